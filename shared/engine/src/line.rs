//! Workers in line for the tasks of an activity, first come, first served, and what they hold in hand.
//!
//! A line is of one process: between two, the journal alone decides who gets a task.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::port::WaitingTask;

/// Workers that may wait for tasks of one activity at once (API: GetActivityTask), in one process.
pub const POLLERS_MAX: usize = 1_000;

/// The workers that wait for tasks, in one line for each activity.
#[derive(Default)]
pub(crate) struct Lines {
    known: Mutex<Known>,
    /// Whether nobody is to wait any more.
    closed: watch::Sender<bool>,
    /// Those who take tasks of one execution do so one behind the other: their pages would only get in each other's way.
    /// Executions share locks by their hash.
    takers: [tokio::sync::Mutex<()>; TAKERS],
}

/// Locks of those who take tasks.
const TAKERS: usize = 32;

/// By the activity's ARN: how many have a place, and the line.
type Known = HashMap<Arc<str>, (usize, Arc<Line>)>;

/// The workers that wait for tasks of one activity.
#[derive(Default)]
pub(crate) struct Line {
    /// Held by the first in line; the others wait for it in the order they came.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// Somebody let a task go that he held.
    pub(crate) given_back: tokio::sync::Notify,
    /// The tasks that workers of this line are about to take.
    hands: Mutex<BTreeSet<WaitingTask>>,
}

/// A worker's place in a line, until it is dropped.
pub(crate) struct Place<'e> {
    lines: &'e Lines,
    pub(crate) line: Arc<Line>,
    /// The activity's ARN.
    pub(crate) activity: Arc<str>,
}

/// A task that nobody else of the line looks at, until this is dropped.
pub(crate) struct Hand<'p> {
    line: &'p Line,
    pub(crate) task: WaitingTask,
    /// Whether its entry is gone.
    pub(crate) is_gone: bool,
}

impl Lines {
    /// A place at the end of the line of `activity`; `None` where the line is full.
    pub(crate) fn join(&self, activity: &str) -> Option<Place<'_>> {
        let activity = Arc::<str>::from(activity);
        let mut lines = self.lock();
        let (places, line) = lines.entry(activity.clone()).or_default();
        if *places == POLLERS_MAX {
            return None;
        }
        *places += 1;
        Some(Place { lines: self, line: line.clone(), activity })
    }

    /// The lock of those who take tasks of `execution`.
    pub(crate) fn takers(&self, execution: &str) -> &tokio::sync::Mutex<()> {
        let mut hasher = DefaultHasher::new();
        execution.hash(&mut hasher);
        &self.takers[hasher.finish() as usize % TAKERS]
    }

    /// Nobody is to wait any more.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Ready when nobody is to wait any more.
    pub(crate) async fn closed(&self) {
        // The sender is at hand as long as this is awaited.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut lines = self.lines.lock();
        let Some((places, _)) = lines.get_mut(&self.activity) else { return };
        *places -= 1;
        if *places == 0 {
            lines.remove(&self.activity);
        }
    }
}

impl Line {
    /// How many tasks are in hand.
    pub(crate) fn held(&self) -> usize {
        self.hands().len()
    }

    fn hands(&self) -> MutexGuard<'_, BTreeSet<WaitingTask>> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a task in hand; `None` where another has it.
    pub(crate) fn hold(&self, task: WaitingTask) -> Option<Hand<'_>> {
        let is_free = self.hands().insert(task.clone());
        is_free.then_some(Hand { line: self, task, is_gone: false })
    }
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        self.line.hands().remove(&self.task);
        if !self.is_gone {
            self.line.given_back.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use stepwell_interpreter::AttemptId;

    use super::*;
    use crate::meta::RunId;

    #[test]
    fn a_line_is_full_at_its_limit_and_gone_when_it_is_empty() {
        let lines = Lines::default();
        let mut places: Vec<_> = (0..POLLERS_MAX).map(|_| lines.join("a").unwrap()).collect();
        assert!(lines.join("a").is_none());
        assert!(lines.join("b").is_some(), "each activity has its own");
        places.pop();
        assert!(lines.join("a").is_some());
        drop(places);
        assert!(lines.lock().is_empty());
    }

    #[test]
    fn a_task_is_in_one_hand() {
        let task = |n| WaitingTask {
            activity: "a".into(),
            execution: "e".into(),
            run: RunId(1),
            attempt: AttemptId(n),
        };
        let line = Line::default();
        let first = line.hold(task(1)).unwrap();
        assert!(line.hold(task(1)).is_none());
        assert!(line.hold(task(2)).is_some());
        drop(first);
        assert!(line.hold(task(1)).is_some());
    }
}
