//! The ten ports, declared by the side that calls them.

mod activities;
mod clock;
mod events;
mod journal;
mod logs;
mod map_runs;
mod queue;
mod registry;
mod scheduler;
mod tasks;

use std::sync::Arc;

pub use activities::{Activities, ActivitiesError, Activity, WaitingTask};
pub use clock::Clock;
pub use events::{Events, StatusChange};
pub use journal::{
    AppendError, FinishError, Journal, JournalError, ListQuery, Listed, Loaded, Page, PutMetaError, Seq,
    Writer,
};
pub use logs::{LogLevel, LogLine, LoggedEvents, Logging, Logs};
pub use map_runs::{Changed, ListedMapRuns, MapRuns, MapRunsError, MapRunsQuery};
pub use queue::{Queue, QueueError};
pub use registry::{
    ALIASES_MAX, Alias, MachineStatus, Publication, Registry, RegistryError, Route, StateMachine,
    VERSIONS_MAX, Version,
};
pub use scheduler::Scheduler;
pub use tasks::{Accepted, Invocation, TaskAnswer, TaskCall, Tasks};

/// What an engine stands on. The ports travel together.
#[derive(Clone)]
pub struct Ports {
    /// Executions.
    pub journal: Arc<dyn Journal>,
    /// Map Runs.
    pub map_runs: Arc<dyn MapRuns>,
    /// Wake-ups.
    pub queue: Arc<dyn Queue>,
    /// Wake-ups that are far off.
    pub scheduler: Arc<dyn Scheduler>,
    /// Calls of Task states.
    pub tasks: Arc<dyn Tasks>,
    /// State machines.
    pub registry: Arc<dyn Registry>,
    /// Activities, and the tasks that wait for their workers.
    pub activities: Arc<dyn Activities>,
    /// Logs of executions; `None` where nothing is logged, whatever a state machine asks for.
    pub logs: Option<Arc<dyn Logs>>,
    /// Events of executions' status; `None` where nobody wants to be told.
    pub events: Option<Arc<dyn Events>>,
    /// Time and randomness.
    pub clock: Arc<dyn Clock>,
}

/// An error of whatever stands behind a port.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What stands behind a port refuses, and will again, as where a permission is missing. An adapter puts this around such an error,
/// so that nobody is patient with it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Refused(pub BoxError);

impl Refused {
    /// Whether `error` says so, or what caused it.
    pub fn is_in(error: &(dyn std::error::Error + 'static)) -> bool {
        is_in::<Refused>(error)
    }
}

/// Where a listing is to go on is no place of its own: somebody made that up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the listing has no such place")]
pub struct NoSuchPlace;

impl NoSuchPlace {
    /// Whether `error` says so, or what caused it.
    pub fn is_in(error: &(dyn std::error::Error + 'static)) -> bool {
        is_in::<NoSuchPlace>(error)
    }
}

/// What stands behind a port has more to do than it may, as where a table's capacity is used up. An adapter puts this around such an
/// error: the engine is patient with it, and where its patience ends, whoever asked is told to come again later.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Throttled(pub BoxError);

impl Throttled {
    /// Whether `error` says so, or what caused it.
    pub fn is_in(error: &(dyn std::error::Error + 'static)) -> bool {
        is_in::<Throttled>(error)
    }
}

/// Whether `error` is an `E`, or was caused by one.
fn is_in<E: std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<E>() {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_found_under_whatever_a_port_put_around_it() {
        let refused = || -> BoxError { Box::new(Refused("no".into())) };
        assert!(Refused::is_in(&JournalError(refused())));
        assert!(Refused::is_in(&PutMetaError::Unknown(JournalError(refused()))));
        assert!(Refused::is_in(&QueueError(refused())));
        assert!(Refused::is_in(&RegistryError::Unavailable(refused())));
        assert!(!Refused::is_in(&JournalError("later".into())));
        assert_eq!(JournalError(refused()).to_string(), "journal: no");
        assert!(!Throttled::is_in(&JournalError(refused())));
        assert!(Throttled::is_in(&JournalError(Box::new(Throttled("too much".into())))));
    }
}
