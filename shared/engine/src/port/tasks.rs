//! Calls of Task states.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stepwell_asl::ErrorName;
use stepwell_expr::Payload;
use stepwell_interpreter::{CallTask, ErrorOutput, ExecutionInfo, Job, Outcome, Resource, Timestamp};

use crate::message::Callback;
use crate::meta::{End, Meta, Parent};

/// Makes the calls of Task states. One attempt is one request: nothing here retries what may have run.
#[async_trait]
pub trait Tasks: Send + Sync {
    /// Makes a call. The caller gives up at its timeout by dropping the future.
    async fn call(&self, call: TaskCall) -> TaskAnswer;

    /// Whether a call of `resource` whose outcome is unknown may be made again with the same nonce.
    fn is_idempotent(&self, resource: &Resource) -> bool;

    /// Stops what a call began and nobody waits for any more: a courtesy, which may come twice, and whose failure is
    /// nobody's (Developer Guide, "Run a Job").
    async fn cancel(&self, info: &ExecutionInfo, job: &Job) {
        let _ = (info, job);
    }

    /// How an attempt of `resource` (a Resource ARN) ends that waited for the execution `child`, whose META has its end
    /// with the output in it.
    fn child_outcome(&self, resource: &str, child: &Meta) -> Callback {
        let _ = resource;
        match child.end.as_ref() {
            Some(End { output: Some(output), .. }) => Callback::Success(output.clone()),
            _ => Callback::Failure(ErrorOutput::new(ErrorName::TASK_FAILED, child.status())),
        }
    }
}

/// A call with what it is made for.
#[derive(Debug, Clone)]
pub struct TaskCall {
    /// The execution.
    pub info: Arc<ExecutionInfo>,
    /// The call.
    pub call: CallTask,
    /// The task token, where the resource has one. It is in the parameters already, wherever `$$.Task.Token` was.
    pub token: Option<Arc<str>>,
    /// What an execution that this call starts is to have as its parent, so that its end ends the attempt; `None` where
    /// the attempt does not wait for it, or nobody could be told: the calling execution is not stored.
    pub parent: Option<Parent>,
    /// How long the caller can wait for the answer. A call that may take longer is to be made so that it goes on by itself
    /// ([`TaskAnswer::Accepted`]). `None`: as long as it takes.
    pub wait_max: Option<Duration>,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskAnswer {
    /// The task has ended.
    Ended(Outcome),
    /// The call was accepted with this output; the task ends by a callback or with its job.
    Submitted(Payload),
    /// The call was accepted and goes on by itself. Its service tells of its end by the name that it gave the call.
    Accepted(Accepted),
}

/// A call that goes on by itself. (API: Lambda Invoke, `InvocationType: Event`.)
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// What the service calls it, such as the id of the request: the engine keeps by it which attempt this is
    /// ([`crate::Engine::invocation`]).
    pub id: Arc<str>,
    /// `X-Amzn-Trace-Id`, for the result.
    pub trace: Option<Arc<str>>,
    /// How long it takes until its end is told, at the most. Then nobody waits for it any more.
    pub within: Duration,
    /// Where the task ends by a callback all the same: what the call answered.
    pub submitted: Option<Payload>,
}

/// Which attempt a call belongs to that goes on by itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Invocation {
    /// What ends the attempt ([`crate::Engine::send_task_result`]).
    pub token: Arc<str>,
    /// The Resource ARN.
    pub resource: Arc<str>,
    /// [`Accepted::trace`]
    pub trace: Option<Arc<str>>,
    /// After this nobody waits for it any more.
    pub until: Timestamp,
}

/// The token is not shown.
impl std::fmt::Debug for Invocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Invocation");
        shown.field("resource", &self.resource).field("until", &self.until).finish_non_exhaustive()
    }
}
