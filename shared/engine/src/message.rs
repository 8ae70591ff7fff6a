//! Messages: what wakes an execution, and why (PROTOCOL §3).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwell_expr::Payload;
use stepwell_interpreter::{AttemptId, ErrorOutput, Outcome, TimerId, Timestamp, Trigger};

use crate::map_run::LimitsUpdate;
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
    /// Something for a Map Run, whose ARN stands in place of an execution's.
    MapRun(MapRunMessage),
    /// Delete the state machine whose ARN stands in the place of the execution's.
    DeleteMachine {
        /// Its newest revision: a later machine of its name has another.
        revision: Arc<str>,
    },
    /// Redrive the execution, which has ended: the message's epoch is to begin.
    Redrive {
        /// The request's random id.
        request: u64,
        /// `clientToken`
        token: Option<Arc<str>>,
    },
    /// Run this Express execution, of which nothing else is stored ([`crate::Settings::express_in_memory`]).
    Express(Arc<Meta>),
}

/// What a message says to a Map Run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum MapRunMessage {
    /// Begin it.
    Begin {
        /// The execution that waits for it.
        execution: Arc<str>,
        /// Which start of that name.
        run: RunId,
        /// The attempt that its end ends.
        attempt: AttemptId,
    },
    /// One of its executions has ended.
    ChildFinished {
        /// Its place among them.
        index: u64,
        /// How many items it had.
        items: u64,
        /// The execution, with its end and the output in it.
        child: Arc<Meta>,
    },
    /// Its limits change.
    Update {
        /// How many such changes were before.
        after: u64,
        /// What is new.
        update: LimitsUpdate,
    },
    /// Nobody waits for it any more.
    Stop,
    /// Something is left to do for it that the sender could not do.
    Continue,
    /// Redrive it.
    Redrive {
        /// The execution that waits for it.
        execution: Arc<str>,
        /// Which start of that name.
        run: RunId,
        /// The attempt that its end ends.
        attempt: AttemptId,
        /// Which redrive of the Map Run this is, from 1.
        redrives: u32,
    },
    /// One of its executions has ended that a redrive of the Map Run had redriven.
    RedrivenChildFinished {
        /// Its place among them.
        index: u64,
        /// How many items it had.
        items: u64,
        /// Which redrive of the Map Run that was.
        redrives: u32,
        /// The execution, with its end and the output in it.
        child: Arc<Meta>,
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
