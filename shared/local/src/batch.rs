//! One transaction of the writer, and what becomes visible when it is committed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{CachedStatement, Connection};
use sha2::{Digest, Sha256};
use stepwell_engine::message::Message;
use stepwell_engine::meta::RunId;
use tokio::sync::mpsc::UnboundedSender;

use crate::activities::Arrivals;
use crate::backlog::{Backlog, Limits};
use crate::error::StoreError;
use crate::hot::{Hot, HotExecutions};
use crate::machines::{Change, HotMachines};

/// A transaction that is being made.
pub(crate) struct Batch<'a> {
    /// The writing connection, within the transaction.
    pub(crate) connection: &'a Connection,
    committed: &'a Committed,
    changes: Changes,
}

/// What a transaction changes besides the rows.
#[derive(Default)]
pub(crate) struct Changes {
    executions: BTreeMap<Arc<str>, Hot>,
    notices: Vec<Notice>,
    starts: Vec<(RunId, Start)>,
    started: Vec<RunId>,
    void: Vec<RunId>,
    machines: Vec<Change>,
    waiting: Vec<i64>,
}

/// What the dispatcher is told.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A message is there and due.
    Ready(i64, Message),
    /// A start is there and due.
    Started(Start),
    /// A row will be due.
    Due(Wake),
    /// A row that would have been due is gone.
    Cancelled(Wake),
    /// A driver has ended.
    Idle,
}

/// A row that is due at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wake {
    /// When, in milliseconds since 1970.
    pub(crate) due: i64,
    /// Which.
    pub(crate) slot: Slot,
}

/// Names a row of `message` (its id) or of `timer` (its key, as the complement of it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(i64);

/// What a [`Slot`] names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    /// A row of `message`.
    Message(i64),
    /// A row of `timer`.
    Timer(i64),
}

impl Slot {
    pub(crate) fn message(id: i64) -> Self {
        Slot(id)
    }

    pub(crate) fn timer(key: i64) -> Self {
        Slot(!key)
    }

    pub(crate) fn row(self) -> Row {
        if self.0 < 0 { Row::Timer(!self.0) } else { Row::Message(self.0) }
    }
}

/// A Start message whose META has not come yet.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) id: i64,
    pub(crate) message: Message,
    /// When it is delivered in any case, in milliseconds since 1970.
    pub(crate) due: i64,
    /// The length of the execution's input.
    pub(crate) bytes: usize,
}

/// What is committed, for those who look at it: readers and the dispatcher.
#[derive(Clone)]
pub(crate) struct Committed {
    /// Executions written or read lately.
    pub(crate) hot: Arc<HotExecutions>,
    /// State machines written or read lately.
    pub(crate) machines: Arc<HotMachines>,
    /// Workers that wait for activities' tasks.
    pub(crate) arrivals: Arc<Arrivals>,
    /// The dispatcher's ear.
    pub(crate) notices: UnboundedSender<Vec<Notice>>,
    /// How much is in hand.
    pub(crate) backlog: Arc<Backlog>,
    starts: Arc<Mutex<HashMap<RunId, Start>>>,
    /// What goes wrong.
    #[cfg(test)]
    pub(crate) faults: crate::faults::Faults,
}

/// Start messages kept for their METAs at most; beyond that they are delivered when they are due.
const STARTS_MAX: usize = 10_000;

impl Committed {
    pub(crate) fn new(notices: UnboundedSender<Vec<Notice>>, limits: Limits) -> Self {
        let (hot, machines, arrivals) = Default::default();
        let backlog = Backlog::new(limits);
        Committed {
            hot,
            machines,
            arrivals,
            notices,
            backlog,
            starts: Arc::default(),
            #[cfg(test)]
            faults: Default::default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn with(self, faults: crate::faults::Faults) -> Self {
        Committed { faults, ..self }
    }

    /// Makes a committed transaction visible.
    pub(crate) fn publish(&self, changes: Changes) {
        let Changes { executions, mut notices, starts: new, started, void, machines, waiting } = changes;
        waiting.into_iter().for_each(|activity| self.arrivals.tell(activity));
        if !machines.is_empty() {
            self.machines.publish(machines);
        }
        if !executions.is_empty() {
            self.hot.publish(executions);
        }
        let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new: HashMap<RunId, Start> = new.into_iter().collect();
        for run in started {
            if let Some(start) = new.remove(&run) {
                self.backlog.waits();
                notices.push(Notice::Started(start));
            } else if let Some(start) = starts.remove(&run) {
                notices.push(Notice::Cancelled(start.wake()));
                self.backlog.waits();
                notices.push(Notice::Started(start));
            }
        }
        for run in void {
            new.remove(&run);
            if let Some(start) = starts.remove(&run) {
                notices.push(Notice::Cancelled(start.wake()));
            }
        }
        if starts.len() + new.len() > STARTS_MAX {
            starts.clear();
        }
        notices.extend(new.values().map(|start| Notice::Due(start.wake())));
        starts.extend(new);
        drop(starts);
        if !notices.is_empty() {
            // Without a dispatcher the rows wait for the next start of the process.
            let _ = self.notices.send(notices);
        }
    }

    fn start(&self, run: RunId) -> Option<i64> {
        let starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        starts.get(&run).map(|start| start.id)
    }
}

impl Start {
    fn wake(&self) -> Wake {
        Wake { due: self.due, slot: Slot::message(self.id) }
    }
}

impl<'a> Batch<'a> {
    pub(crate) fn new(connection: &'a Connection, committed: &'a Committed) -> Self {
        Batch { connection, committed, changes: Changes::default() }
    }

    pub(crate) fn changes(self) -> Changes {
        self.changes
    }

    /// A statement, prepared once for each connection.
    pub(crate) fn statement(&self, sql: &str) -> Result<CachedStatement<'a>, StoreError> {
        #[cfg(test)]
        self.committed.faults.meet(crate::faults::Point::Statement)?;
        Ok(self.connection.prepare_cached(sql)?)
    }

    /// The execution of this ARN as this transaction sees it.
    pub(crate) fn execution(&self, arn: &str) -> Result<Option<Hot>, StoreError> {
        if let Some(hot) = self.changes.executions.get(arn) {
            return Ok(Some(hot.clone()));
        }
        match self.committed.hot.find(arn).0 {
            Some(hot) => Ok(Some(hot)),
            None => find(self.connection, arn),
        }
    }

    /// Notes what becomes of an execution.
    pub(crate) fn set_execution(&mut self, arn: &str, hot: Hot) {
        if let Some(known) = self.changes.executions.get_mut(arn) {
            *known = hot;
        } else {
            self.changes.executions.insert(Arc::from(arn), hot);
        }
    }

    /// Notes what becomes of a state machine.
    pub(crate) fn set_machine(&mut self, change: Change) {
        self.changes.machines.push(change);
    }

    /// Tells whoever waits for tasks of the activity of this hash, once this is committed.
    pub(crate) fn task_waits(&mut self, activity: i64) {
        self.changes.waiting.push(activity);
    }

    /// Tells the dispatcher, once this is committed.
    pub(crate) fn notify(&mut self, notice: Notice) {
        self.changes.notices.push(notice);
    }

    /// Holds a Start message until its META comes.
    pub(crate) fn hold_start(&mut self, run: RunId, start: Start) {
        self.changes.starts.push((run, start));
    }

    /// The META of `run` is there: its Start message may be delivered.
    pub(crate) fn release_start(&mut self, run: RunId) {
        self.changes.started.push(run);
    }

    /// The META of `run` was refused: its Start message goes.
    pub(crate) fn drop_start(&mut self, run: RunId) -> Result<(), StoreError> {
        let new = self.changes.starts.iter().find(|(held, _)| *held == run).map(|(_, start)| start.id);
        if let Some(id) = new.or_else(|| self.committed.start(run)) {
            self.statement("DELETE FROM message WHERE id = ?1")?.execute([id])?;
            self.changes.void.push(run);
        }
        Ok(())
    }
}

/// What indexes of ARNs hold.
pub(crate) fn hash(arn: &str) -> i64 {
    let digest = Sha256::digest(arn);
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_le_bytes(first)
}

/// Whether a row that was found by the hash of `arn` is of that ARN. Two ARNs may share a hash; but the ARN of a row has the row's.
///
/// # Errors
/// Where it has not, so that nobody can say whose row it is.
pub(crate) fn is_of(arn: &str, found: &str, table: &'static str, key: i64) -> Result<bool, StoreError> {
    if found == arn {
        return Ok(true);
    }
    let why = || "its ARN is not that of its hash".to_owned();
    if hash(found) == hash(arn) { Ok(false) } else { Err(StoreError::Damaged { table, key, why: why() }) }
}

/// The execution of this ARN, from the disk, without its META.
pub(crate) fn find(connection: &Connection, arn: &str) -> Result<Option<Hot>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT e.id, e.run, e.epoch, r.epoch, r.ended, e.arn FROM execution e LEFT JOIN revised r ON r.id = e.id
         WHERE e.arn_hash = ?1",
    )?;
    let mut rows = statement.query([hash(arn)])?;
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        if !is_of(arn, row.get_ref(5)?.as_str().map_err(rusqlite::Error::from)?, "execution", id)? {
            continue;
        }
        let revised: Option<u32> = row.get(3)?;
        return Ok(Some(Hot {
            id,
            run: RunId(u128::from_be_bytes(row.get(1)?)),
            epoch: revised.map_or_else(|| row.get(2), Ok)?,
            ended: row.get::<_, Option<bool>>(4)?.unwrap_or(false),
            tail: None,
            meta: None,
        }));
    }
    Ok(None)
}
