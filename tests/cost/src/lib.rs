//! What an execution costs in AWS.
//!
//! This crate knows the services' endpoints and counts what the functions ask of them, by AWS's published rules, and prices it by
//! a dated file. It does not know what the engine does, and asserts no time.

pub mod clock;
pub mod dynamodb;
pub mod emulator;
pub mod functions;
pub mod prices;
pub mod report;
pub mod run;
pub mod services;
pub mod usage;
pub mod workload;
