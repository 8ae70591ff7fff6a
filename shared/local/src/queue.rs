//! The Queue and the Scheduler on SQLite: messages are rows.
//!
//! A timer is a row of its own, keyed by its execution: a few integers and no body, which a parked execution costs, and
//! setting the same timer again replaces it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};
use stepwell_engine::message::{Message, MessageBody};
use stepwell_engine::meta::RunId;
use stepwell_engine::port::{Queue, QueueError, Scheduler};
use stepwell_engine::stored;
use stepwell_interpreter::{TimerId, Timestamp};

use crate::batch::{Batch, Notice, Row, Slot, Start, Wake};
use crate::error::StoreError;
use crate::schema::{PLACE_BITS, PLACE_MAX, key};
use crate::writer::{Kind, Writer};

/// Messages in the store.
#[derive(Clone)]
pub(crate) struct LocalQueue {
    pub(crate) writer: Writer,
    pub(crate) ids: Arc<MessageIds>,
}

/// Gives out the ids of messages, none of them ever a second time.
pub(crate) struct MessageIds {
    next: AtomicI64,
    first: i64,
}

/// Bits of a message's id that number it within one life of the process.
const ID_BITS: u32 = 40;

impl MessageIds {
    /// The ids of the `boot`th life of the store's process.
    pub(crate) fn of_boot(boot: i64) -> Self {
        let first = boot << ID_BITS;
        MessageIds { next: AtomicI64::new(first), first }
    }

    /// Whether the message was sent in an earlier life.
    pub(crate) fn is_old(&self, id: i64) -> bool {
        id < self.first
    }

    fn give(&self) -> i64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

/// A Start message waits this long for its META at most, in milliseconds (PROTOCOL, s3).
const START_WAITS: i64 = 60_000;

/// Messages with more bytes are not kept in memory while they wait for a driver.
const AT_HAND_BYTES_MAX: usize = 4096;

/// A row that is due this much later, in milliseconds, need not be written at once: what asked for it is still there.
const FAR_OFF: i64 = 1_000;

#[async_trait]
impl Queue for LocalQueue {
    async fn send(&self, message: Message, due: Option<Timestamp>) -> Result<(), QueueError> {
        self.writer.accepts().map_err(|error| QueueError(error.boxed()))?;
        let id = self.ids.give();
        match message.body {
            MessageBody::Start(meta) if due.is_none() => {
                let bytes = meta.map_or(0, |meta| meta.input.text().len());
                self.send_start(id, Message { body: MessageBody::Start(None), ..message }, bytes);
            }
            MessageBody::TimerFired { timer, due: timer_due }
                if due == Some(timer_due) && u64::from(timer.0) <= PLACE_MAX =>
            {
                self.set_timer(id, timer, timer_due, message);
            }
            _ => self.send_body(id, message, due),
        }
        Ok(())
    }

    /// Nobody else receives here: a message is delivered again when its driver has given it back, not before.
    async fn set_visibility(&self, _message: &str, _visibility: Duration) -> Result<(), QueueError> {
        Ok(())
    }

    async fn cancel_timer(&self, execution: &str, run: RunId, timer: TimerId) {
        let execution = Box::<str>::from(execution);
        self.writer.post(Kind::Courtesy, move |batch| {
            let Some(hot) = batch.execution(&execution)?.filter(|hot| hot.run == run) else { return Ok(()) };
            let key = key(hot.id, timer.0.into());
            let due = batch
                .statement("DELETE FROM timer WHERE key = ?1 RETURNING due")?
                .query_row([key], |row| row.get(0))
                .optional()?;
            if let Some(due) = due {
                batch.notify(Notice::Cancelled(Wake { due, slot: Slot::timer(key) }));
            }
            Ok(())
        });
    }
}

#[async_trait]
impl Scheduler for LocalQueue {
    async fn schedule(&self, message: Message, due: Timestamp) -> Result<(), QueueError> {
        self.send(message, Some(due)).await
    }
}

impl LocalQueue {
    /// A Start message rests until its META is there, which is mostly in the same commit.
    fn send_start(&self, id: i64, message: Message, bytes: usize) {
        let body = stored::encode_message(&message);
        let due = message.sent_at.0 + START_WAITS;
        self.writer.post(Kind::OwedLater, move |batch| {
            insert(batch, id, None, &body)?;
            batch.hold_start(message.run, Start { id, message: message.clone(), due, bytes });
            Ok(())
        });
    }

    fn send_body(&self, id: i64, message: Message, due: Option<Timestamp>) {
        let body = stored::encode_message(&message);
        let due = due.filter(|due| *due > message.sent_at).map(|due| due.0);
        self.writer.post(haste(message.sent_at, due), move |batch| {
            insert(batch, id, due, &body)?;
            batch.notify(match due {
                Some(due) => Notice::Due(Wake { due, slot: Slot::message(id) }),
                // It is read again when it is its turn.
                None if body.len() > AT_HAND_BYTES_MAX => {
                    Notice::Due(Wake { due: 0, slot: Slot::message(id) })
                }
                None => Notice::Ready(id, message.clone()),
            });
            Ok(())
        });
    }

    fn set_timer(&self, id: i64, timer: TimerId, due: Timestamp, message: Message) {
        let Message { execution, run, epoch, sent_at, .. } = message;
        self.writer.post(haste(sent_at, Some(due.0)), move |batch| {
            // A timer of no execution is void, and of a damaged one, too: what is owed must not hold up all others for ever.
            let found = match batch.execution(&execution) {
                Err(error) if error.is_damage() => {
                    tracing::error!(%execution, %error, "a timer of an execution that is damaged is not set");
                    return Ok(());
                }
                found => found?,
            };
            let Some(hot) = found.filter(|hot| hot.run == run) else { return Ok(()) };
            let key = key(hot.id, timer.0.into());
            put_timer(batch, key, id, due.0, epoch, sent_at.0)
        });
    }

    /// Deletes a delivered message, some time.
    pub(crate) fn delete(&self, slot: Slot, id: i64) {
        self.writer.post(Kind::Courtesy, move |batch| {
            match slot.row() {
                Row::Message(id) => batch.statement("DELETE FROM message WHERE id = ?1")?.execute([id])?,
                Row::Timer(key) => {
                    batch.statement("DELETE FROM timer WHERE key = ?1 AND id = ?2")?.execute([key, id])?
                }
            };
            Ok(())
        });
    }

    /// Writes how often a message was received.
    pub(crate) async fn count(&self, slot: Slot, id: i64, receives: u32) -> Result<(), StoreError> {
        let count = move |batch: &mut Batch<'_>| {
            match slot.row() {
                Row::Message(id) => batch
                    .statement("UPDATE message SET receives = ?2 WHERE id = ?1")?
                    .execute((id, receives))?,
                Row::Timer(key) => batch
                    .statement("UPDATE timer SET receives = ?3 WHERE key = ?1 AND id = ?2")?
                    .execute((key, id, receives))?,
            };
            Ok(())
        };
        self.writer.write(count).await
    }
}

fn haste(sent_at: Timestamp, due: Option<i64>) -> Kind {
    match due {
        Some(due) if due.saturating_sub(sent_at.0) >= FAR_OFF => Kind::OwedLater,
        _ => Kind::Owed,
    }
}

fn insert(batch: &Batch<'_>, id: i64, due: Option<i64>, body: &[u8]) -> Result<(), StoreError> {
    batch
        .statement("INSERT INTO message (id, due, receives, body) VALUES (?1, ?2, 0, ?3)")?
        .execute((id, due, body))?;
    Ok(())
}

fn put_timer(
    batch: &mut Batch<'_>,
    key: i64,
    id: i64,
    due: i64,
    epoch: u32,
    sent_at: i64,
) -> Result<(), StoreError> {
    let slot = Slot::timer(key);
    let inserted = batch
        .statement(
            "INSERT INTO timer (key, id, due, receives, epoch, sent_at) VALUES (?1, ?2, ?3, 0, ?4, ?5)
             ON CONFLICT DO NOTHING",
        )?
        .execute((key, id, due, epoch, sent_at))?;
    if inserted == 0 {
        let before =
            batch.statement("SELECT due FROM timer WHERE key = ?1")?.query_row([key], |row| row.get(0))?;
        batch.notify(Notice::Cancelled(Wake { due: before, slot }));
        batch
            .statement(
                "UPDATE timer SET id = ?2, due = ?3, receives = 0, epoch = ?4, sent_at = ?5 WHERE key = ?1",
            )?
            .execute((key, id, due, epoch, sent_at))?;
    }
    batch.notify(Notice::Due(Wake { due, slot }));
    Ok(())
}

/// A message as it is in its row.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) id: i64,
    /// When it is due; 0 for at once.
    pub(crate) due: i64,
    /// How often it was received, as far as that was written down.
    pub(crate) receives: u32,
    pub(crate) message: Message,
}

/// Reads the row that `slot` names; `None` where it is gone.
pub(crate) fn read(connection: &Connection, slot: Slot) -> Result<Option<Stored>, StoreError> {
    match slot.row() {
        Row::Message(id) => read_message(connection, id),
        Row::Timer(key) => read_timer(connection, key),
    }
}

fn read_message(connection: &Connection, id: i64) -> Result<Option<Stored>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT due, receives, body FROM message WHERE id = ?1")?;
    let row = statement
        .query_row([id], |row| {
            let message = row.get_ref(2)?.as_blob().map(stored::decode_message);
            Ok((row.get::<_, Option<i64>>(0)?, row.get(1)?, message))
        })
        .optional()?;
    let Some((due, receives, message)) = row else { return Ok(None) };
    let damaged = |why: String| StoreError::Damaged { table: "message", key: id, why };
    let message =
        message.map_err(|error| damaged(error.to_string()))?.map_err(|error| damaged(error.to_string()))?;
    Ok(Some(Stored { id, due: due.unwrap_or(0), receives, message }))
}

fn read_timer(connection: &Connection, key: i64) -> Result<Option<Stored>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT t.id, t.due, t.receives, t.epoch, t.sent_at, e.arn, e.run
         FROM timer t JOIN execution e ON e.id = t.key >> ?2 WHERE t.key = ?1",
    )?;
    let stored = statement.query_row([key, PLACE_BITS.into()], |row| {
        let due = row.get(1)?;
        let timer = TimerId((key.cast_unsigned() & PLACE_MAX) as u32);
        let message = Message {
            execution: row.get(5)?,
            run: RunId(u128::from_be_bytes(row.get(6)?)),
            epoch: row.get(3)?,
            sent_at: Timestamp(row.get(4)?),
            body: MessageBody::TimerFired { timer, due: Timestamp(due) },
        };
        Ok(Stored { id: row.get(0)?, due, receives: row.get(2)?, message })
    });
    Ok(stored.optional()?)
}

/// When the messages of earlier lives of the process are due.
pub(crate) fn read_old(connection: &Connection, ids: &MessageIds) -> Result<Vec<Wake>, StoreError> {
    let mut wakes = vec![];
    let mut messages = connection.prepare("SELECT id, coalesce(due, 0) FROM message WHERE id < ?1")?;
    let mut rows = messages.query([ids.first])?;
    while let Some(row) = rows.next()? {
        wakes.push(Wake { slot: Slot::message(row.get(0)?), due: row.get(1)? });
    }
    let mut timers = connection.prepare("SELECT key, due FROM timer WHERE id < ?1")?;
    let mut rows = timers.query([ids.first])?;
    while let Some(row) = rows.next()? {
        wakes.push(Wake { slot: Slot::timer(row.get(0)?), due: row.get(1)? });
    }
    Ok(wakes)
}
