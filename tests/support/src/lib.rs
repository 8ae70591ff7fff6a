//! What tests of several crates share: ports in memory, a clock that a test owns, an executor that a seed decides, faults,
//! and the suites that every adapter of a port must pass.
//!
//! It knows the ports and nothing of any store, queue or service behind them. [`definitions`] writes definitions that a seed
//! decides.

mod activities;
mod choices;
mod clock;
pub mod definitions;
mod execution;
mod executor;
mod faults;
mod journal;
mod map_runs;
mod notices;
mod process;
mod queue;
mod random;
mod registry;
pub mod suite;
mod tasks;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stepwell_engine::Ports;

pub use activities::{MemoryActivities, activity};
pub use choices::Choices;
pub use clock::{SimClock, SkewedClock};
pub use execution::{execution, meta};
pub use executor::{Executor, TaskId};
pub use faults::{Counts, Fault, Faults, Place, Rates};
pub use journal::MemoryJournal;
pub use map_runs::{MemoryMapRuns, map_run};
pub use notices::{MemoryEvents, MemoryLogs};
pub use process::Process;
pub use queue::{Delivery, MemoryQueue};
pub use random::Random;
pub use registry::{MemoryRegistry, machine};
pub use tasks::{Answer, NoTasks, ScriptedTasks};

/// A world in memory: every port, and what a test needs to look behind them.
#[derive(Clone)]
pub struct World {
    /// Time and randomness.
    pub clock: Arc<SimClock>,
    /// Executions.
    pub journal: Arc<MemoryJournal>,
    /// Map Runs.
    pub map_runs: Arc<MemoryMapRuns>,
    /// Wake-ups, near and far.
    pub queue: Arc<MemoryQueue>,
    /// State machines.
    pub registry: Arc<MemoryRegistry>,
    /// Activities.
    pub activities: Arc<MemoryActivities>,
    /// Logs.
    pub logs: Arc<MemoryLogs>,
    /// Status events.
    pub events: Arc<MemoryEvents>,
    /// Calls.
    pub tasks: Arc<ScriptedTasks>,
    /// What goes wrong.
    pub faults: Arc<Faults>,
}

impl World {
    /// A world that `seed` decides.
    pub fn new(seed: u64) -> Self {
        let clock = Arc::new(SimClock::new(seed));
        let faults = Arc::new(Faults::new(seed, clock.clone()));
        World {
            journal: Arc::new(MemoryJournal::new(faults.clone(), seed.is_multiple_of(2))),
            map_runs: Arc::new(MemoryMapRuns::new(faults.clone())),
            queue: Arc::new(MemoryQueue::new(clock.clone(), faults.clone())),
            registry: Arc::new(MemoryRegistry::new(faults.clone())),
            activities: Arc::new(MemoryActivities::new(faults.clone())),
            logs: Arc::new(MemoryLogs::new(faults.clone())),
            events: Arc::new(MemoryEvents::new(faults.clone())),
            tasks: Arc::new(ScriptedTasks::new(clock.clone(), faults.clone())),
            clock,
            faults,
        }
    }

    /// A clock of one of its machines, which is ahead by this much.
    pub fn skewed_clock(&self, ahead_milliseconds: i64) -> Arc<SkewedClock> {
        Arc::new(SkewedClock::new(self.clock.clone(), self.faults.clone(), ahead_milliseconds))
    }

    /// Its ports, on a machine with this clock.
    pub fn ports_by(&self, clock: Arc<SkewedClock>) -> Ports {
        Ports { clock, ..self.ports() }
    }

    /// Its ports.
    pub fn ports(&self) -> Ports {
        Ports {
            journal: self.journal.clone(),
            map_runs: self.map_runs.clone(),
            queue: self.queue.clone(),
            scheduler: self.queue.clone(),
            tasks: self.tasks.clone(),
            registry: self.registry.clone(),
            activities: self.activities.clone(),
            logs: Some(self.logs.clone()),
            events: Some(self.events.clone()),
            clock: self.clock.clone(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
