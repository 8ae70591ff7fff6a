//! Reads definitions.

use crate::{Definition, Diagnostic};

/// How a definition is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON, as the API takes it.
    Json,
    /// YAML, as tools keep it (`.asl.yaml`).
    Yaml,
}

/// The type of the state machine, which decides what its states may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MachineType {
    /// `STANDARD`
    #[default]
    Standard,
    /// `EXPRESS`
    Express,
}

/// What reading a definition gave.
#[derive(Debug)]
pub struct Parsed {
    /// The definition; `None` where a diagnostic is an error.
    pub definition: Option<Definition>,
    /// Everything found, in the order of the source.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads and checks a definition, reporting everything that is wrong with it at once.
pub fn parse(_text: &str, _format: Format, _machine_type: MachineType) -> Parsed {
    todo!()
}
