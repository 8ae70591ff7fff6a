//! Wake-ups that are far off.

use async_trait::async_trait;
use stepwell_interpreter::Timestamp;

use super::QueueError;
use crate::message::Message;

/// Sends a message when its time has come, however far off (EventBridge Scheduler; locally the queue's own delay).
#[async_trait]
pub trait Scheduler: Send + Sync {
    /// Lets `message` be received when `due` is reached, not before. Setting the same timer again is harmless.
    ///
    /// # Errors
    /// [`QueueError`]; it may have been set.
    async fn schedule(&self, message: Message, due: Timestamp) -> Result<(), QueueError>;
}
