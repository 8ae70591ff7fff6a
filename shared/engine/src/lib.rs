//! Drives the interpreter: loads, decides, commits, performs (DESIGN §3–4), over ten ports that adapters provide.
//!
//! This crate knows the commit protocol and the stored form of pages. It does not know which database, queue or
//! wire stands behind the ports, nor how a task's call is made.

mod activity;
mod bury;
mod cache;
mod callback;
mod commit;
mod definitions;
mod delete;
mod driver;
mod engine;
mod express;
mod line;
pub mod map_run;
pub mod message;
pub mod meta;
mod notices;
mod pace;
mod planted;
pub mod port;
mod reading;
mod redrive;
mod run;
mod start;
mod step_functions;
mod stop;
pub mod stored;
mod test_state;
mod work;

pub use activity::{ActivityTask, ActivityTaskError};
pub use engine::{
    CallbackError, Committed, Deadline, Driven, Engine, ExpressRun, RedriveError, Settings, StartError,
    StartRequest, Started, StopError, UpdateMapRunError, WeakEngine,
};
pub use line::POLLERS_MAX;
pub use planted::Bug;
#[cfg(feature = "planted-bugs")]
pub use planted::plant;
pub use port::Ports;
pub use redrive::NotRedrivable;
pub use step_functions::{Caller, StepFunctions, StepFunctionsAnswer, StepFunctionsCall};
pub use test_state::TestRequest;
