//! An execution's META: what is known of it without its pages.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stepwell_expr::Payload;
use stepwell_interpreter::{AttemptId, ErrorOutput, ExecutionInfo, Timestamp};

/// How long an execution is kept after its end, and its name with it (Developer Guide, "Service quotas").
pub const RETENTION: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A random id of one start. A name may be used again after retention; its runs never mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub struct RunId(pub u128);

/// What is known of an execution without its pages (PROTOCOL §2). Its stored form is in [`crate::stored`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// What it is a part of and tells of its end, where there is such a thing.
    pub parent: Option<Parent>,
    /// When it was last redriven.
    pub redriven_at: Option<Timestamp>,
}

/// What an execution is a part of. It is told of the execution's end, by a message that is sent before that end is in
/// META (PROTOCOL §5, `finish`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parent {
    /// A Task's attempt in another execution, which waits for this one (`states:startExecution.sync`).
    Task {
        /// The other execution's ARN.
        execution_arn: Arc<str>,
        /// Which start of that name.
        run: RunId,
        /// Which redrive of that run.
        epoch: u32,
        /// The attempt, numbered through the other execution.
        attempt: AttemptId,
        /// Its Resource, which decides how the attempt ends by this execution's end.
        resource: Arc<str>,
    },
    /// A Map Run, which this is an execution of.
    MapRun {
        /// The Map Run's ARN.
        map_run_arn: Arc<str>,
        /// Its place among the Map Run's executions, from 0.
        index: u64,
        /// How many items it has: more than one where they come in batches.
        items: u64,
    },
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// `SUCCEEDED`, `FAILED`, `ABORTED` or `TIMED_OUT`.
    #[serde(with = "status")]
    pub status: StatusName,
    /// The output of one that succeeded; `None` also where only [`End::output_at`] is stored.
    pub output: Option<Payload>,
    /// Where a page holds the output, if it is too large to be stored a second time here. An adapter stores this and
    /// leaves it alone; [`crate::Engine::describe`] fills [`End::output`] in.
    pub output_at: Option<PayloadPlace>,
    /// The error of one that did not.
    pub error: ErrorOutput,
    /// When.
    pub at: Timestamp,
    /// How many events its history has; 0 where that was not written down.
    #[serde(skip)]
    pub events: u64,
}

/// The API's word for how far an execution is.
pub type StatusName = &'static str;

/// Where a payload is stored within its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PayloadPlace {
    /// It is the input, in [`Meta::input`].
    Input,
    /// It is in a page's payload table.
    Page {
        /// The page.
        seq: u64,
        /// Its index in the table.
        index: u32,
    },
}

/// Why an execution is not driven on, though it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The message whose deliveries failed again and again.
    pub message: String,
    /// The reason, for people.
    pub why: String,
}

impl End {
    /// Without an output that a page holds.
    pub(crate) fn as_stored(&self) -> std::borrow::Cow<'_, End> {
        if self.output_at.is_some() && self.output.is_some() {
            std::borrow::Cow::Owned(End { output: None, ..self.clone() })
        } else {
            std::borrow::Cow::Borrowed(self)
        }
    }
}

impl Meta {
    /// The Map Run that it is an execution of.
    pub fn map_run_arn(&self) -> Option<&Arc<str>> {
        match &self.parent {
            Some(Parent::MapRun { map_run_arn, .. }) => Some(map_run_arn),
            Some(Parent::Task { .. }) | None => None,
        }
    }

    /// The ARNs that it is listed under: its Map Run's, or else those of its state machine, and of the version and the alias that
    /// were started.
    pub fn listed_under(&self) -> impl Iterator<Item = &Arc<str>> {
        let info = &self.info;
        let all = match self.map_run_arn() {
            Some(map_run) => [Some(map_run), None, None],
            None => [Some(&info.state_machine_arn), info.version_arn.as_ref(), info.alias_arn.as_ref()],
        };
        all.into_iter().flatten()
    }

    /// The API's word for how far it is.
    pub fn status(&self) -> &'static str {
        self.end.as_ref().map_or("RUNNING", |end| end.status)
    }

    /// The date that it is listed by (API: ListExecutions): of its end; before that of its last redrive, or of its start.
    pub fn listed_at(&self) -> Timestamp {
        self.end.as_ref().map_or_else(|| self.redriven_at.unwrap_or(self.info.started_at), |end| end.at)
    }

    /// Whether its name is free again for an execution that starts at `at` (API: StartExecution).
    pub fn makes_room(&self, at: Timestamp) -> bool {
        self.end.as_ref().is_some_and(|end| end.at.plus_seconds(RETENTION.as_secs()) <= at)
    }

    /// What it becomes when its run goes on as `epoch`, redriven at `at`: RUNNING.
    pub fn redriven(&self, epoch: u32, at: Timestamp) -> Meta {
        Meta { epoch, end: None, redriven_at: Some(at), ..self.clone() }
    }
}

/// The words for an execution's end.
mod status {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const ALL: [&str; 4] = ["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"];

    pub(super) fn serialize<S: Serializer>(status: &&'static str, serializer: S) -> Result<S::Ok, S::Error> {
        let at = ALL.iter().position(|s| s == status).unwrap_or(ALL.len());
        serializer.serialize_u8(at as u8)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static str, D::Error> {
        let at = u8::deserialize(deserializer)?;
        ALL.get(usize::from(at)).copied().ok_or_else(|| D::Error::custom("unknown status"))
    }
}
