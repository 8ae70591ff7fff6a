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
    /// JSON pointer to the place, such as `/States/Charge/Retry[0]` (in AWS's own spelling of indexes); empty where
    /// AWS names none.
    pub location: String,
    /// Bytes of the definition's source that it is about; empty where unknown.
    pub span: Range<usize>,
    /// Line in the source, from 1.
    pub line: usize,
    /// Column in the source, in characters, from 1.
    pub column: usize,
    /// What to do about it, where we can tell: `did you mean 'Charge'?`. Not AWS's.
    pub help: Option<String>,
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

impl Code {
    /// The text is no JSON.
    pub const INVALID_JSON_DESCRIPTION: Code = Code("INVALID_JSON_DESCRIPTION");
    /// A field is missing, unknown, misplaced, or has a wrong value.
    pub const SCHEMA_VALIDATION_FAILED: Code = Code("SCHEMA_VALIDATION_FAILED");
    /// A transition leads nowhere, or no transition leads to a state.
    pub const MISSING_TRANSITION_TARGET: Code = Code("MISSING_TRANSITION_TARGET");
    /// No state of a block ends it.
    pub const MISSING_END_STATE: Code = Code("MISSING_END_STATE");
    /// Two states have one name.
    pub const DUPLICATE_STATE_NAME: Code = Code("DUPLICATE_STATE_NAME");
    /// A state's name is too long or empty.
    pub const INVALID_STATE_NAME: Code = Code("INVALID_STATE_NAME");
    /// Two Map states have one `Label`.
    pub const DUPLICATE_LABEL_NAME: Code = Code("DUPLICATE_LABEL_NAME");
    /// A Map state's `Label` is empty, too long, or has characters that labels have not.
    pub const INVALID_LABEL_NAME: Code = Code("INVALID_LABEL_NAME");
    /// Too many blocks stand inside one another.
    pub const TOO_DEEPLY_NESTED: Code = Code("TOO_DEEPLY_NESTED");
    /// An expression that the service does not evaluate.
    pub const UNSUPPORTED_JSONATA_EXPRESSION: Code = Code("UNSUPPORTED_JSONATA_EXPRESSION");
    /// An expression that does not parse.
    pub const INVALID_JSONATA_EXPRESSION: Code = Code("INVALID_JSONATA_EXPRESSION");
    /// Warning: a value looks like a path, but its key lacks the `.$`.
    pub const NO_DOLLAR: Code = Code("NO_DOLLAR");
    /// Warning: a value looks like a path, but the field's name does not end in `Path`.
    pub const NO_PATH: Code = Code("NO_PATH");
    /// Warning: a `Result` holds what looks like a path, and is not evaluated.
    pub const PASS_RESULT_IS_STATIC: Code = Code("PASS_RESULT_IS_STATIC");
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// The message of `InvalidDefinition` for the definition `text` (API: CreateStateMachine, UpdateStateMachine): its
/// errors in order, joined.
pub fn invalid_definition(text: &str, diagnostics: &[Diagnostic]) -> String {
    let mut errors = diagnostics.iter().filter(|d| d.severity == Severity::Error);
    if let Some(label) = errors.clone().find(|d| d.code == Code::INVALID_LABEL_NAME) {
        return invalid_label(text, &label.message);
    }
    let first = errors.next().map(described).unwrap_or_default();
    let all = errors.fold(first, |all, error| all + ", " + &described(error));
    format!("Invalid State Machine Definition: '{all}'")
}

fn described(error: &Diagnostic) -> String {
    let location = if error.location.is_empty() { "null" } else { &error.location };
    format!("{}: {} at {location}", error.code, error.message)
}

// What was recorded for labels names no code and no place, but quotes the definition.
fn invalid_label(text: &str, message: &str) -> String {
    let message = message.replace('\\', r"\\");
    let quote = if message.contains('\'') { '"' } else { '\'' };
    format!("Error=ValueError Args=[{quote}{message}{quote}] in definition '{text}'.")
}
