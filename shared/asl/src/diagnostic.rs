//! What is wrong with a definition, and where.

use std::ops::Range;

/// One finding about a definition (API: ValidateStateMachineDefinition).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the definition can be created all the same.
    pub severity: Severity,
    /// AWS's code, such as `SCHEMA_VALIDATION_FAILED` or `MISSING_TRANSITION_TARGET`.
    pub code: Code,
    /// AWS's message where it is known.
    pub message: String,
    /// JSON pointer to the place, such as `/States/Charge/Retry[0]` (in AWS's own spelling of indexes).
    pub location: String,
    /// Bytes of the definition's source that it is about; empty where unknown.
    pub span: Range<usize>,
    /// Line in the source, from 1.
    pub line: usize,
    /// Column in the source, in characters, from 1.
    pub column: usize,
}

/// How grave a [`Diagnostic`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The definition is refused.
    Error,
    /// The definition is accepted.
    Warning,
}

/// AWS's code of a [`Diagnostic`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub &'static str);
