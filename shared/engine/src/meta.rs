//! An execution's META: what is known of it without its pages.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwell_expr::Payload;
use stepwell_interpreter::{ErrorOutput, ExecutionInfo, Timestamp};

/// A random id of one start. A name may be used again after retention; its runs never mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub struct RunId(pub u128);

/// What is known of an execution without its pages (PROTOCOL §2).
#[derive(Debug, Clone, PartialEq)]
pub struct Meta {
    /// The execution's ARN.
    pub execution_arn: Arc<str>,
    /// Which start of this name.
    pub run: RunId,
    /// The redrive count.
    pub epoch: u32,
    /// Everything fixed at the start.
    pub info: Arc<ExecutionInfo>,
    /// The input. Pages refer to it and do not hold it again.
    pub input: Payload,
    /// The definition that it started with.
    pub revision: Arc<str>,
    /// `traceHeader` of the start.
    pub trace_header: Option<Arc<str>>,
    /// How it ended; `None` while it runs.
    pub end: Option<End>,
    /// Why it is not driven on, where it is not.
    pub parked: Option<Parked>,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// `SUCCEEDED`, `FAILED`, `ABORTED` or `TIMED_OUT`.
    pub status: &'static str,
    /// The output of one that succeeded.
    pub output: Option<Payload>,
    /// The error of one that did not.
    pub error: ErrorOutput,
    /// When.
    pub at: Timestamp,
}

/// Why an execution is not driven on, though it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The message whose deliveries failed again and again.
    pub message: String,
    /// The reason, for people.
    pub why: String,
}

impl Meta {
    /// The API's word for how far it is.
    pub fn status(&self) -> &'static str {
        self.end.as_ref().map_or("RUNNING", |end| end.status)
    }
}
