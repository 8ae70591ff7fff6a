//! What a state machine does next, as pure functions over values.
//!
//! [`apply()`] says what a [`Trigger`] means for an [`Execution`], [`advance()`] does everything that is ready, and
//! [`evolve()`] alone changes an execution, by one [`Record`]. This crate reads no clock, draws no random number, does no
//! I/O and awaits nothing: time and randomness come in as [`Now`], and what is taken from them is recorded.

#![deny(clippy::disallowed_methods)]

mod advance;
mod apply;
mod choice;
mod context;
mod decision;
mod effect;
mod evolve;
mod execution;
mod failure;
mod history;
mod io;
mod item_reader;
mod map_run;
mod record;
mod redrive;
mod resource;
mod state;
mod tested;
pub mod token;
mod trigger;
pub use effect::CallTask;
pub use execution::Progress;

pub use advance::{advance, advance_while, advance_without};
pub use apply::apply;
pub use decision::{Decision, Now, RECORDS_MAX};
pub use effect::Effect;
pub use evolve::evolve;
pub use execution::{
    Branch, Call, Execution, Fork, Job, MapRun, Phase, Redriven, Status, Step, Stopped, Timer, TimerPurpose,
};
pub use failure::data_limit_exceeded;
pub use history::{Detail, HistoryEvent, history};
pub use map_run::{ChildInput, child_inputs};
pub use record::EventBody;
pub use record::{
    AttemptId, BranchId, Claimant, ErrorOutput, Event, EventId, ExecutionInfo, Family, MapItem, MapRunLimits,
    Record, StateType, TimerId, Timestamp,
};
pub use resource::{Pattern, Resource};
pub use tested::{Inspection, StateTest, TestEnd, TestSetup, advance_tested, before_state};
pub use trigger::{Outcome, Trigger};

/// Largest state input, output, task's parameters or result, or variable, in bytes of UTF-8; more fails with
/// `States.DataLimitExceeded` (Developer Guide, "Service quotas").
pub const PAYLOAD_BYTES_MAX: usize = 262_144;

/// Largest sum of an execution's variables, in bytes of UTF-8 (Developer Guide, "Service quotas").
pub const VARIABLES_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Events a Standard execution's history may hold (Developer Guide, "Service quotas").
pub const HISTORY_EVENTS_MAX: u64 = 25_000;

/// Events of an Express execution. AWS bounds those by their five minutes alone; whoever runs one keeps all its events in memory, and
/// reads them again where they are journaled.
pub const EXPRESS_EVENTS_MAX: u64 = 500_000;

/// Longest that an Express execution runs, in seconds (Developer Guide, "Service quotas"). Then it is `TIMED_OUT`.
pub const EXPRESS_SECONDS_MAX: u64 = 300;

/// Bytes that the outputs of a Parallel's branches or a Map's iterations may have together, before `ResultSelector` or `Output` see
/// them.
pub const JOINED_BYTES_MAX: usize = 32 << 20;

/// Redrives of an execution whose requests are remembered (API: RedriveExecution, `clientToken`).
pub const REDRIVES_REMEMBERED: usize = 10;
