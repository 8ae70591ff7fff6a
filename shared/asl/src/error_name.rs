//! Error names, of which the reserved ones are constants.

use std::sync::Arc;

/// The name of an error, as `ErrorEquals` and histories have it (ASL: Errors).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorName(Arc<str>);

impl ErrorName {
    /// Matches any error but [`Self::RUNTIME`] and, at a transition, [`Self::DATA_LIMIT_EXCEEDED`].
    pub const ALL: &str = "States.ALL";
    /// A payload over 262,144 bytes.
    pub const DATA_LIMIT_EXCEEDED: &str = "States.DataLimitExceeded";
    /// A failure of interpretation, such as a path that finds nothing.
    pub const RUNTIME: &str = "States.Runtime";
    /// A Task over its `TimeoutSeconds`, or a missed heartbeat.
    pub const TIMEOUT: &str = "States.Timeout";
    /// A missed heartbeat; the history shows [`Self::TIMEOUT`].
    pub const HEARTBEAT_TIMEOUT: &str = "States.HeartbeatTimeout";
    /// In `ErrorEquals`: any error but [`Self::TIMEOUT`]. As an error: a job that failed.
    pub const TASK_FAILED: &str = "States.TaskFailed";
    /// The role may not do it.
    pub const PERMISSIONS: &str = "States.Permissions";
    /// A `ResultPath` that cannot be applied.
    pub const RESULT_PATH_MATCH_FAILURE: &str = "States.ResultPathMatchFailure";
    /// A path that runs into a value it cannot step into: what `ResultPath` and `ItemsPath` are seen to fail with.
    pub const REFERENCE_PATH_CONFLICT: &str = "States.ReferencePathConflict";
    /// A path in `Parameters` that finds nothing.
    pub const PARAMETER_PATH_FAILURE: &str = "States.ParameterPathFailure";
    /// A branch failed.
    pub const BRANCH_FAILED: &str = "States.BranchFailed";
    /// No rule matched and there is no `Default`.
    pub const NO_CHOICE_MATCHED: &str = "States.NoChoiceMatched";
    /// An intrinsic function failed.
    pub const INTRINSIC_FAILURE: &str = "States.IntrinsicFailure";
    /// A JSONata expression failed.
    pub const QUERY_EVALUATION_ERROR: &str = "States.QueryEvaluationError";
    /// More iterations failed than tolerated.
    pub const EXCEED_TOLERATED_FAILURE_THRESHOLD: &str = "States.ExceedToleratedFailureThreshold";
    /// The items could not be read.
    pub const ITEM_READER_FAILED: &str = "States.ItemReaderFailed";
    /// The results could not be written.
    pub const RESULT_WRITER_FAILED: &str = "States.ResultWriterFailed";
    /// A Lambda call whose outcome nobody knows.
    pub const LAMBDA_UNKNOWN: &str = "Lambda.Unknown";

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ErrorName {
    fn from(name: &str) -> Self {
        ErrorName(name.into())
    }
}

impl From<String> for ErrorName {
    fn from(name: String) -> Self {
        ErrorName(name.into())
    }
}

impl PartialEq<str> for ErrorName {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for ErrorName {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl std::fmt::Display for ErrorName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
