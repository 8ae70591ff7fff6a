//! Cases that were recorded on AWS, each run in a world of its own: no sockets, no sleeping, no other process.
//!
//! The API's operations are called as boto3 calls them (`client.rs`, `parameters.rs`), over an engine whose ports are in
//! memory and whose clock jumps to whatever is due next (`world.rs`). Functions are handlers of our own
//! (`functions.rs`), and queues are in memory (`queues.rs`). What came is compared with what AWS answered (`compare/`). The same cases go through boto3 and HTTP
//! against the program by `cargo xtask conformance`, and the same list says which of them may differ.
//!
//! Nothing here knows what a state machine means.

mod calls;
mod case;
mod client;
pub mod compare;
mod execution;
mod expected;
mod fill;
mod functions;
mod logs;
mod parameters;
mod python;
mod queues;
mod run;
mod wait;
mod world;

pub use case::{Case, case_file, case_files, cases};
pub use expected::{ExpectedFailures, take_off};
pub use run::{Failure, Verdict, run};
