//! The engine's ports on one machine: executions, messages, timers, state machines and activities in one SQLite file.
//!
//! This crate knows the file's tables, the order in which things become durable, and when a message is due. It does not
//! know what a message or a page says: their bytes are the engine's. It makes no calls of Task states.
//!
//! One thread writes ([`LocalStore::open`] starts it) and commits whatever has come in meanwhile with one sync. It
//! applies everything in the order in which it was enqueued, so what was sent before something else was acknowledged
//! cannot be lost without it.
//!
//! What is being done takes memory, and [`Backlog`] says how much of it there may be.

mod activities;
mod backlog;
mod batch;
mod clock;
mod dispatch;
mod due;
mod error;
mod executions;
mod hot;
mod journal;
mod machines;
mod map_runs;
mod queue;
mod read;
mod registry;
mod schema;
mod store;
mod versions;
mod writer;

#[cfg(test)]
extern crate self as stepwell_local;

pub use backlog::{Backlog, Limits, Taken};
pub use clock::SystemClock;
pub use dispatch::{Dispatching, Drive};
pub use error::OpenError;
pub use store::{LocalStore, Options};
#[cfg(test)]
mod faulted;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod testing;
