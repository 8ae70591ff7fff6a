//! What can happen to an execution from outside.

use std::sync::Arc;

use stepwell_expr::Payload;

use crate::{AttemptId, Claimant, ErrorOutput, ExecutionInfo, TimerId, Timestamp};

/// Something from outside that an execution is told (PROTOCOL §3).
#[derive(Debug, Clone, PartialEq)]
pub enum Trigger {
    /// StartExecution. Applies to an execution without records.
    Start {
        /// Everything fixed at the start.
        info: Arc<ExecutionInfo>,
        /// The execution's input.
        input: Payload,
    },
    /// A task has ended. Applies while the attempt is open.
    TaskResult {
        /// The attempt.
        attempt: AttemptId,
        /// Its nonce: a token of another run or attempt does not match.
        nonce: u128,
        /// How it ended.
        outcome: Outcome,
    },
    /// A callback task's or job's call was accepted; its end is still awaited. Applies while the attempt is open.
    TaskSubmitted {
        /// The attempt.
        attempt: AttemptId,
        /// What the call answered.
        output: Payload,
    },
    /// A call that answers once was accepted, and goes on without its driver. Applies while the attempt is open.
    TaskAccepted {
        /// The attempt.
        attempt: AttemptId,
        /// Until when its end is told, if it ever is.
        until: Timestamp,
    },
    /// An execution or Map Run has ended that an attempt waits for. Applies while the attempt is open and, where its call
    /// is answered first, once that is.
    ChildFinished {
        /// The attempt.
        attempt: AttemptId,
        /// How the attempt ends by that.
        outcome: Outcome,
    },
    /// A worker took an activity task. Applies while the attempt is open and untaken.
    ActivityStarted {
        /// The attempt.
        attempt: AttemptId,
        /// The worker's name.
        worker: Option<Arc<str>>,
    },
    /// SendTaskHeartbeat. Applies while the attempt is open.
    TaskHeartbeat {
        /// The attempt.
        attempt: AttemptId,
        /// Its nonce.
        nonce: u128,
    },
    /// A timer is due. Applies while it is open.
    TimerFired {
        /// Which.
        timer: TimerId,
    },
    /// StopExecution. Applies while the execution runs.
    Stop(ErrorOutput),
    /// The state machine is being deleted, and the execution is about to enter a state. Applies while the execution runs.
    MachineDeleted,
    /// The execution cannot go on, whatever its definition says: it fails with this. Applies while it runs.
    GivenUp(ErrorOutput),
    /// A driver died (PROTOCOL, line 25). Applies unless it is buried already.
    DriverLost {
        /// Who.
        claimant: Claimant,
        /// Those of its calls that may be made again (Express, and integrations that are idempotent): their claims
        /// are given back. The outcome of its others is unknown.
        callable_again: Vec<AttemptId>,
    },
    /// RedriveExecution. Applies to an execution that has ended without success.
    Redrive {
        /// Which redrive it is to be, from 1.
        count: u32,
        /// The request's random id.
        request: u64,
        /// `clientToken`
        token: Option<Arc<str>>,
    },
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// With a result.
    Succeeded(Payload),
    /// With an error.
    Failed(ErrorOutput),
    /// Its `TimeoutSeconds` went by while the driver was waiting.
    TimedOut,
}
