//! Wake-ups.

use std::time::Duration;

use async_trait::async_trait;
use stepwell_interpreter::Timestamp;

use super::BoxError;
use crate::message::Message;

/// A queue of wake-ups: at least once, in no order (SQS; locally rows of the store).
///
/// Who receives is the adapter's business: it hands each delivery to [`crate::Engine::drive`] and deletes the message
/// when that says so.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sends `message`, to be received now or, at the earliest, when `due` is reached.
    ///
    /// When it returns, the message cannot be lost before anything that is then written to the journal.
    ///
    /// # Errors
    /// [`QueueError`]; the message may have been sent.
    async fn send(&self, message: Message, due: Option<Timestamp>) -> Result<(), QueueError>;

    /// Hides a delivered message from other receivers for `visibility` from now.
    ///
    /// # Errors
    /// [`QueueError`] where the queue does not answer.
    async fn set_visibility(&self, message: &str, visibility: Duration) -> Result<(), QueueError>;

    /// Forgets the timer message of `(execution, run, timer)`, where the queue can; doing nothing is right too.
    async fn cancel_timer(
        &self,
        _execution: &str,
        _run: crate::meta::RunId,
        _timer: stepwell_interpreter::TimerId,
    ) {
    }
}

/// The queue did not answer, or not sensibly.
#[derive(Debug, thiserror::Error)]
#[error("queue: {0}")]
pub struct QueueError(#[source] pub BoxError);
