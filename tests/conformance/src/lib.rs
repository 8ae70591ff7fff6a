//! Executions that were recorded on AWS, held against ours.
//!
//! `cargo xtask conformance` runs the recordings through boto3 against a server of our own. `expected-failures.txt` beside
//! this crate names those that differ and says why; nothing else about them is known here.
