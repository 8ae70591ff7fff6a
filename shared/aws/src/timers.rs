//! Timers that share a schedule: those that are set together and are due in the same minute.
//!
//! What a schedule invokes and sends costs more than two write units, and an account has only so many schedules. So timers that
//! meet in one process, as those of one batch do, go into one item of their minute, and one schedule of that minute has the
//! timer function send them all. A timer that meets no other has a schedule of its own, unless its minute has one already.
//!
//! The item is there before the schedule is, and both are minutes before that fires. What was read stays until it expires, so
//! firing twice sends copies, which are no-ops.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use stepwell_engine::message::Message;
use stepwell_engine::port::{BoxError, QueueError, Scheduler};
use stepwell_engine::stored::{decode_message, encode_message};
use stepwell_interpreter::Timestamp;
use tokio::sync::oneshot;

use crate::error::StoreError;
use crate::executions::expiry;
use crate::item::{Fields, Write, binary, key};
use crate::queue::{SqsQueue, gather};
use crate::scheduler::{FireError, Schedules, ahead_of};
use crate::store::{Range, Table};
use crate::table::EXPIRES;

/// What the partition keys begin with.
const TIMERS: &str = "TIMERS#";

/// Partitions of a minute: DynamoDB takes 1,000 writes a second in one.
const SHARDS: u64 = 8;

/// Timers of one item at most.
const SHARED_MAX: usize = 100;

/// How long an item is kept behind its minute: longer than a schedule tries its target.
const KEPT: Duration = Duration::from_secs(3 * 24 * 60 * 60);

const MINUTE_MILLISECONDS: i64 = 60_000;

/// The version of an item's body.
const VERSION: u8 = 1;

/// The Scheduler on EventBridge Scheduler and the table.
pub struct Timers {
    table: Arc<Table>,
    schedules: Schedules,
    /// Timers that wait for one who sets them, by their minute.
    lanes: Mutex<BTreeMap<i64, Vec<Waiting>>>,
    /// Minutes whose schedule this process knows to be set.
    made: Mutex<BTreeSet<i64>>,
}

struct Waiting {
    message: Message,
    due: Timestamp,
    answer: oneshot::Sender<Result<(), SetError>>,
}

/// Why timers were not set, or may not have been: the same for all of them.
#[derive(Debug, Clone)]
enum SetError {
    /// An answer of the table or the scheduler.
    Answer(Arc<dyn Error + Send + Sync>),
    /// Whoever set them was dropped meanwhile.
    Dropped,
    /// Setting them took until their minute.
    Late,
}

impl SetError {
    fn of(error: impl Into<BoxError>) -> Self {
        SetError::Answer(error.into().into())
    }
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetError::Answer(error) => write!(f, "a timer: {error}"),
            SetError::Dropped => f.write_str("whoever set the timer was dropped meanwhile"),
            SetError::Late => f.write_str("setting the timer took until its minute"),
        }
    }
}

impl Error for SetError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            SetError::Answer(error) => Some(&**error),
            SetError::Dropped | SetError::Late => None,
        }
    }
}

/// Who sets the timers of a minute. When it is dropped before it is done, those who wait are told.
struct Lead<'a> {
    timers: &'a Timers,
    minute: i64,
    is_done: bool,
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.timers.lanes().remove(&self.minute);
        }
    }
}

/// The minute, since 1970, in which a timer is sent on its way.
fn minute_of(due: Timestamp) -> i64 {
    ahead_of(due).0.div_euclid(MINUTE_MILLISECONDS)
}

fn begins(minute: i64) -> Timestamp {
    Timestamp(minute.saturating_mul(MINUTE_MILLISECONDS))
}

fn partition(minute: i64, shard: u64) -> String {
    format!("{TIMERS}{minute}#{shard}")
}

impl Timers {
    pub(crate) fn new(table: Arc<Table>, schedules: Schedules) -> Self {
        Timers { table, schedules, lanes: Mutex::default(), made: Mutex::default() }
    }

    fn lanes(&self) -> MutexGuard<'_, BTreeMap<i64, Vec<Waiting>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn made(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn set(&self, message: Message, due: Timestamp) -> Result<(), SetError> {
        let minute = minute_of(due);
        let (answer, answered) = oneshot::channel();
        let leads = {
            let mut lanes = self.lanes();
            let leads = !lanes.contains_key(&minute);
            lanes.entry(minute).or_default().push(Waiting { message, due, answer });
            leads
        };
        if leads {
            let mut lead = Lead { timers: self, minute, is_done: false };
            gather().await;
            while let Some(together) = self.next(minute) {
                let result = self.set_together(minute, &together).await;
                for waiting in together {
                    // Who no longer waits has been dropped, and asks no more.
                    let _ = waiting.answer.send(result.clone());
                }
            }
            lead.is_done = true;
        }
        answered.await.unwrap_or(Err(SetError::Dropped))
    }

    /// Those that wait, as many as one item takes; where none do, whoever comes next leads.
    fn next(&self, minute: i64) -> Option<Vec<Waiting>> {
        let mut lanes = self.lanes();
        let waiting = lanes.get_mut(&minute)?;
        if waiting.is_empty() {
            lanes.remove(&minute);
            return None;
        }
        let most = waiting.len().min(SHARED_MAX);
        Some(waiting.drain(..most).collect())
    }

    async fn set_together(&self, minute: i64, together: &[Waiting]) -> Result<(), SetError> {
        let is_made = self.made().contains(&minute);
        if let ([alone], false) = (together, is_made) {
            let set = self.schedules.set(&alone.message, alone.due).await;
            return set.map_err(SetError::of);
        }
        self.put(minute, together).await.map_err(|error| SetError::of(error.boxed()))?;
        if !is_made {
            let set = self.schedules.set_minute(minute, begins(minute)).await;
            set.map_err(SetError::of)?;
        }
        let now = self.table.clock.now();
        let mut made = self.made();
        made.retain(|minute| begins(*minute) > now);
        if begins(minute) <= now {
            return Err(SetError::Late);
        }
        made.insert(minute);
        Ok(())
    }

    async fn put(&self, minute: i64, together: &[Waiting]) -> Result<(), StoreError> {
        let clock = &self.table.clock;
        let partition = partition(minute, clock.random() % SHARDS);
        let mut item = key(&partition, &format!("{:016x}", clock.random()));
        item.insert("body".into(), binary(encode(together)));
        item.insert(EXPIRES.into(), expiry(begins(minute), KEPT));
        self.table.write(Write::put(item)).await.map(drop)
    }

    /// What the timer function does when a minute has come: sends its timers, each with what is left of its time as a delay.
    ///
    /// # Errors
    /// [`FireError`]. Sending them again sends copies.
    pub async fn fire(&self, queue: &SqsQueue, minute: i64) -> Result<(), FireError> {
        for shard in 0..SHARDS {
            // Sort keys are hexadecimal.
            let partition = partition(minute, shard);
            let items =
                self.table.items(Range::new(&partition, "0", "g")).await.map_err(FireError::of_table)?;
            let mut timers = vec![];
            for item in &items {
                let body = item.bytes("body").map_err(FireError::of_table)?;
                timers.extend(decode(body).map_err(FireError::of_table)?);
            }
            queue.send_all(timers).await?;
        }
        Ok(())
    }
}

/// The body of an item: for each timer when it is due, and its message, less what that begins with as the one before does. So
/// ten of one machine fit a write unit.
fn encode(timers: &[Waiting]) -> Bytes {
    let mut bytes = vec![VERSION];
    let mut before = Bytes::new();
    for timer in timers {
        let message = encode_message(&timer.message);
        let same = message.iter().zip(&before).take_while(|(one, other)| one == other).count();
        let same = same.min(usize::from(u16::MAX));
        bytes.extend(timer.due.0.to_le_bytes());
        bytes.extend((same as u16).to_le_bytes());
        bytes.extend(((message.len() - same) as u32).to_le_bytes());
        bytes.extend(&message[same..]);
        before = message;
    }
    bytes.into()
}

fn decode(bytes: &[u8]) -> Result<Vec<(Message, Timestamp)>, StoreError> {
    let damaged = |why: &str| StoreError::damaged("timers", why);
    let cut_off = || damaged("cut off");
    let (version, mut rest) = bytes.split_first().ok_or_else(cut_off)?;
    if *version != VERSION {
        return Err(damaged("of a version that is not known"));
    }
    let (mut timers, mut before) = (vec![], vec![]);
    while !rest.is_empty() {
        let (due, behind) = rest.split_first_chunk().ok_or_else(cut_off)?;
        let (same, behind) = behind.split_first_chunk().ok_or_else(cut_off)?;
        let (length, behind) = behind.split_first_chunk().ok_or_else(cut_off)?;
        let (end, behind) =
            behind.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(cut_off)?;
        let mut message: Vec<u8> =
            before.get(..usize::from(u16::from_le_bytes(*same))).ok_or_else(cut_off)?.to_vec();
        message.extend(end);
        let decoded = decode_message(&message).map_err(|error| damaged(&error.to_string()))?;
        timers.push((decoded, Timestamp(i64::from_le_bytes(*due))));
        (before, rest) = (message, behind);
    }
    Ok(timers)
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers").field("schedules", &self.schedules).finish_non_exhaustive()
    }
}

#[async_trait]
impl Scheduler for Timers {
    async fn schedule(&self, message: Message, due: Timestamp) -> Result<(), QueueError> {
        self.set(message, due).await.map_err(|error| QueueError(Box::new(error)))
    }
}

#[cfg(test)]
mod tests {
    use stepwell_engine::message::MessageBody;
    use stepwell_engine::meta::RunId;
    use stepwell_engine::port::Refused;
    use stepwell_interpreter::TimerId;

    use super::*;

    fn waiting(timer: u32, due: i64) -> Waiting {
        let body = MessageBody::TimerFired { timer: TimerId(timer), due: Timestamp(due) };
        let message = Message { execution: "e".into(), run: RunId(1), epoch: 0, sent_at: Timestamp(1), body };
        Waiting { message, due: Timestamp(due), answer: oneshot::channel().0 }
    }

    #[test]
    fn an_item_is_read_as_it_was_written() {
        let timers = [waiting(1, 5), waiting(2, i64::MAX)];
        let bytes = encode(&timers);
        let expected = timers.iter().map(|timer| (timer.message.clone(), timer.due));
        assert_eq!(decode(&bytes).unwrap(), expected.collect::<Vec<_>>());
        for length in [0, 2, 9, bytes.len() - 1] {
            assert!(decode(&bytes[..length]).is_err(), "{length}");
        }
        assert!(decode(&[VERSION + 1]).is_err());
    }

    #[test]
    fn a_refusal_stays_one() {
        let refused: BoxError = Box::new(Refused("no".into()));
        assert!(Refused::is_in(&QueueError(Box::new(SetError::of(refused)))));
        assert!(!Refused::is_in(&QueueError(Box::new(SetError::Late))));
    }

    #[test]
    fn a_minute_begins_before_its_timers_are_due() {
        for due in [900_000, 959_999, 960_000, 1_767_225_600_123] {
            let left = due - begins(minute_of(Timestamp(due))).0;
            assert!((180_000..240_000).contains(&left), "{due}: {left}");
        }
    }
}
