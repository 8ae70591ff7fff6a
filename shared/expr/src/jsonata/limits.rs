//! How much an evaluation may take. AWS's bounds, as they were measured on the service.

use jsonata_core::evaluator::EvaluatorOptions;

/// Bytes one value may hold, a number counted as eight and a character as one. `[1..873782]` is the longest range.
pub(super) const VALUE_BYTES_MAX: usize = 6_990_256;

/// Elements `$range` may give.
pub(super) const RANGE_ELEMENTS_MAX: i128 = 360_145;

/// Values one result may hold, whatever their size: a result can name one inner value many times.
pub(super) const RESULT_VALUES_MAX: usize = 4_000_000;

/// The bounds of one evaluation.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// Milliseconds of wall-clock time. AWS documents one second; a busy machine is given more.
    pub(super) timeout_ms: u64,
    /// Levels of nesting, leaves not counted. AWS evaluates to depth 100, leaves counted.
    pub(super) depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { timeout_ms: 5_000, depth: 99 }
    }
}

impl Limits {
    pub(super) fn options(&self) -> EvaluatorOptions {
        EvaluatorOptions {
            timeout_ms: Some(self.timeout_ms),
            max_stack_depth: Some(self.depth),
            max_sequence_length: Some(VALUE_BYTES_MAX / 8),
            cancel: None,
        }
    }
}
