//! What a decision asks of the world, once its records are committed.

use std::sync::Arc;

use stepwell_expr::Payload;

use crate::{AttemptId, BranchId, Job, Resource, TimerId, Timestamp};

/// An effect owed by the page that was just committed. (That an execution has ended is seen by its
/// [`crate::Status`], and whoever meets it finishes it.)
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Make the call of a claimed attempt.
    CallTask(CallTask),
    /// Let a worker of the activity take the attempt. Offering it again does no harm.
    OfferTask {
        /// Which.
        attempt: AttemptId,
        /// The activity's ARN.
        activity: Arc<str>,
    },
    /// Let [`crate::Trigger::TimerFired`] come when `due` is reached.
    SetTimer {
        /// Which.
        timer: TimerId,
        /// When.
        due: Timestamp,
    },
    /// Begin the Map Run of an attempt; doing so again is harmless.
    StartMapRun {
        /// Which.
        attempt: AttemptId,
    },
    /// A timer is no longer wanted. Not doing this does no harm.
    CancelTimer {
        /// Which.
        timer: TimerId,
    },
    /// An attempt that may still be under way is no longer wanted; stopping it is a courtesy.
    CancelTask {
        /// Which.
        attempt: AttemptId,
        /// The job that it waited for.
        job: Option<Job>,
    },
}

/// Everything a task's call needs.
#[derive(Debug, Clone, PartialEq)]
pub struct CallTask {
    /// The attempt.
    pub attempt: AttemptId,
    /// Its nonce.
    pub nonce: u128,
    /// The branch it belongs to.
    pub branch: BranchId,
    /// What to call.
    pub resource: Arc<Resource>,
    /// The state's name, for logs and mocks.
    pub state: Arc<str>,
    /// How many times this state's task was tried before, since the state was entered.
    pub retry_count: u32,
    /// What to call it with.
    pub parameters: Payload,
    /// `TimeoutSeconds`: the call is given up then.
    pub timeout_seconds: Option<u64>,
    /// The role to assume for the call.
    pub credentials: Option<Arc<str>>,
}
