//! Logs and status events in memory.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stepwell_engine::port::{BoxError, Events, LoggedEvents, Logs, StatusChange};

use crate::faults::At;
use crate::{Faults, Place, lock};

/// Who writes gives up after a while: so long these take at most, and what is written is there.
const DELAY_MAX: Duration = Duration::from_millis(200);

/// Who writes gives up after a while. So that what is to be written is there all the same, no more calls fail in a row.
const REFUSALS_MAX: u32 = 2;

/// The faults of a port whose callers have little patience.
struct Mild {
    faults: At,
    refusals: AtomicU32,
}

impl Mild {
    fn new(faults: At) -> Self {
        Mild { faults, refusals: AtomicU32::new(0) }
    }

    async fn before(&self) -> Result<(), BoxError> {
        let may_refuse = self.refusals.load(Ordering::Relaxed) < REFUSALS_MAX;
        let answer = self.faults.before_within(DELAY_MAX, may_refuse).await;
        let in_a_row = if answer.is_err() { self.refusals.load(Ordering::Relaxed) + 1 } else { 0 };
        self.refusals.store(in_a_row, Ordering::Relaxed);
        answer
    }
}

/// Logs in memory.
pub struct MemoryLogs {
    inner: Mutex<Inner>,
    faults: Mild,
}

#[derive(Default)]
struct Inner {
    logged: Vec<LoggedEvents>,
    /// The log groups that there are; where this is `None`, every one is there.
    groups: Option<BTreeSet<String>>,
}

impl MemoryLogs {
    pub(crate) fn new(faults: Arc<Faults>) -> Self {
        MemoryLogs { inner: Mutex::default(), faults: Mild::new(faults.at(Place::Logs)) }
    }

    /// What was written, in its order.
    pub fn logged(&self) -> Vec<LoggedEvents> {
        lock(&self.inner).logged.clone()
    }

    /// The log groups that were made.
    pub fn groups(&self) -> BTreeSet<String> {
        lock(&self.inner).groups.clone().unwrap_or_default()
    }

    /// From now on there are no other log groups than those that are made.
    pub fn make_group(&self, log_group_arn: &str) {
        lock(&self.inner).groups.get_or_insert_default().insert(log_group_arn.to_owned());
    }
}

#[async_trait]
impl Logs for MemoryLogs {
    async fn put(&self, logged: LoggedEvents) -> Result<(), BoxError> {
        self.faults.before().await?;
        lock(&self.inner).logged.push(logged);
        self.faults.faults.after().await
    }

    async fn has_group(&self, log_group_arn: &str) -> bool {
        lock(&self.inner).groups.as_ref().is_none_or(|groups| groups.contains(log_group_arn))
    }
}

/// Status events in memory.
pub struct MemoryEvents {
    changes: Mutex<Vec<StatusChange>>,
    faults: Mild,
}

impl MemoryEvents {
    pub(crate) fn new(faults: Arc<Faults>) -> Self {
        MemoryEvents { changes: Mutex::default(), faults: Mild::new(faults.at(Place::Events)) }
    }

    /// What was told, in its order.
    pub fn changes(&self) -> Vec<StatusChange> {
        lock(&self.changes).clone()
    }
}

#[async_trait]
impl Events for MemoryEvents {
    async fn put(&self, changes: Vec<StatusChange>) -> Result<(), BoxError> {
        self.faults.before().await?;
        lock(&self.changes).extend(changes);
        self.faults.faults.after().await
    }
}
