//! How much work may be in hand at once, where requests are answered. Quotas are another thing ([`crate::Throttle`]): they say what an
//! account may ask for, and this what the machine can hold.

use crate::Error;

/// What a request is to the work in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// It adds an execution that is done later (StartExecution, RedriveExecution).
    Started,
    /// It adds an execution that is done while it is answered (StartSyncExecution).
    Awaited,
    /// It lets an execution go on that is there (SendTaskSuccess, SendTaskFailure, SendTaskHeartbeat).
    GoesOn,
}

/// The place that a request takes until it is answered.
pub type Place = Box<dyn Send + Sync>;

/// Says whether there is room for more work.
pub trait Capacity: Send + Sync {
    /// A place for a request of so many `bytes`, kept until it is answered; `None` where there is none now.
    ///
    /// What does not add work and what ends some (StopExecution) is never asked about.
    fn admit(&self, work: Work, bytes: usize) -> Option<Place>;
}

impl Work {
    /// What `operation`, such as `StartExecution`, is; `None` where it needs no place.
    pub(crate) fn of(operation: &str) -> Option<Self> {
        Some(match operation {
            "StartExecution" | "RedriveExecution" => Work::Started,
            "StartSyncExecution" => Work::Awaited,
            "SendTaskSuccess" | "SendTaskFailure" | "SendTaskHeartbeat" => Work::GoesOn,
            _ => return None,
        })
    }
}

/// A place for a call.
///
/// # Errors
/// [`Error::Throttling`], which SDKs take as a reason to come again later, each time after a longer while.
pub(crate) fn place(capacity: &dyn Capacity, operation: &str, bytes: usize) -> Result<Option<Place>, Error> {
    let Some(work) = Work::of(operation) else { return Ok(None) };
    capacity.admit(work, bytes).map(Some).ok_or(Error::Throttling(Error::RATE_EXCEEDED))
}
