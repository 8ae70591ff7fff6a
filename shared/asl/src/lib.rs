//! The Amazon States Language: what a definition is, how it is read, and what is wrong with it.
//!
//! This crate turns JSON or YAML text into a [`Definition`] in which every transition resolves and every expression is
//! compiled, or into all its [`Diagnostic`]s. It does not know what an execution is.

#![deny(clippy::disallowed_methods)]

pub mod graph;

mod diagnostic;
mod error_name;
mod model;
mod parse;
mod variables;

pub use diagnostic::{Code, Diagnostic, Severity, invalid_definition};
pub use error_name::ErrorName;
pub use model::*;
pub use parse::{Format, LONE_STATE, MachineType, Parsed, json_of_yaml, parse, parse_state};
pub use variables::variable_references;
