//! How much an evaluation may take. AWS's bounds, as they were measured on the service.

use jsonata_core::evaluator::EvaluatorOptions;

/// Bytes one value may hold, a number counted as eight and a character as one. `[1..873782]` is the longest range.
pub(super) const VALUE_BYTES_MAX: usize = 6_990_256;

/// Elements `$range` may give.
pub(super) const RANGE_ELEMENTS_MAX: i128 = 360_145;

/// Values one result may hold, whatever their size: a result can name one inner value many times.
pub(super) const RESULT_VALUES_MAX: usize = 4_000_000;

/// Elements of a sequence in which each element knows its parents, its index or its variables (`%`, `#$i`, `@$v`): each takes
/// a kilobyte and more.
pub(super) const TUPLES_MAX: usize = 20_000;

/// Milliseconds of an evaluation that makes such sequences: the engine looks at their length when they are whole, and makes half a
/// gigabyte in a second. It is what AWS documents for any evaluation.
pub(super) const TUPLES_MS_MAX: u64 = 1_000;

/// Bytes of a picture, such as `[Y0001]-[M01]-[D01]`: the engine reads it again for each of its parts.
pub(super) const PICTURE_BYTES_MAX: usize = 4_096;

/// Parts that a text may be split into, and matches that may be found in it: as many as the longest range has elements.
pub(super) const PARTS_MAX: usize = VALUE_BYTES_MAX / 8;

/// Bytes of text that one regular expression reads, times its states.
pub(super) const REGEX_WORK_MAX: usize = 500_000_000;

/// Bytes of large texts that an evaluation may hold at once, in a sequence for instance.
pub(super) const KEPT_BYTES_MAX: usize = 128 << 20;

/// How long an evaluation that failed is looked at again, for the words of its error.
pub(super) const DIAGNOSIS_MS_MAX: u64 = 500;

/// The bounds of one evaluation.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// Milliseconds of wall-clock time. AWS documents one second; a busy machine is given more.
    pub(super) timeout_ms: u64,
    /// Levels of nesting, leaves not counted. AWS evaluates to depth 100, leaves counted.
    pub(super) depth: usize,
    /// Elements of a sequence.
    pub(super) sequence: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { timeout_ms: 5_000, depth: 99, sequence: VALUE_BYTES_MAX / 8 }
    }
}

impl Limits {
    pub(super) fn options(&self) -> EvaluatorOptions {
        EvaluatorOptions {
            timeout_ms: Some(self.timeout_ms),
            max_stack_depth: Some(self.depth),
            max_sequence_length: Some(self.sequence),
            cancel: None,
        }
    }
}
