//! Messages: what wakes an execution, and why (PROTOCOL §3).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwell_expr::Payload;
use stepwell_interpreter::{AttemptId, ErrorOutput, Outcome, TimerId, Timestamp, Trigger};

use crate::meta::{Meta, RunId};

/// A wake-up. It carries its own trigger: whoever receives it first applies that, for everyone else it is a no-op.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The execution's ARN.
    pub execution: Arc<str>,
    /// Which start of that name.
    pub run: RunId,
    /// Which redrive of that run.
    pub epoch: u32,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// What it says.
    pub body: MessageBody,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum MessageBody {
    /// Start the execution. The engine sends the META with it. A queue that is one store with the journal may keep
    /// `None` instead: the message is then void without its META, and waits for it a while.
    Start(Option<Arc<Meta>>),
    /// A task has ended, says a callback.
    TaskResult {
        /// Which attempt.
        attempt: AttemptId,
        /// Its nonce.
        nonce: u128,
        /// What was said of it.
        result: Callback,
    },
    /// A timer is due.
    TimerFired {
        /// Which.
        timer: TimerId,
        /// When it is due.
        due: Timestamp,
    },
    /// Stop the execution.
    Stop {
        /// The request's random id.
        request: u64,
        /// `error` and `cause`.
        error: ErrorOutput,
    },
    /// Something is ready that the sender could not do.
    Continue {
        /// The last page that the sender saw.
        after: u64,
        /// A message whose first driver is to be buried before.
        bury: Option<Arc<str>>,
    },
    /// An execution has ended that an attempt of this one waits for ([`crate::meta::Parent::Task`]).
    ChildFinished {
        /// Which attempt.
        attempt: AttemptId,
        /// How the attempt ends by that.
        outcome: Callback,
    },
    /// A worker may take an activity's task: the timers of the attempt are this message's to set.
    ///
    /// The page that says so is the one behind `after`, or there is none and never will be.
    ActivityStarted {
        /// The attempt.
        attempt: AttemptId,
        /// The last page that the sender saw.
        after: u64,
    },
}

/// What SendTaskSuccess or SendTaskFailure said, or the end of what a task waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Callback {
    /// SendTaskSuccess
    Success(Payload),
    /// SendTaskFailure
    Failure(ErrorOutput),
}

impl Callback {
    pub(crate) fn trigger(&self, attempt: AttemptId, nonce: u128) -> Trigger {
        Trigger::TaskResult { attempt, nonce, outcome: self.outcome() }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match self.clone() {
            Callback::Success(output) => Outcome::Succeeded(output),
            Callback::Failure(error) => Outcome::Failed(error),
        }
    }
}
