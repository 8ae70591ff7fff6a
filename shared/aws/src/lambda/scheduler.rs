//! What EventBridge Scheduler sends: a message whose time has nearly come.

use super::Failure;
use crate::{Assembly, FireError, fire};

/// Sends the message on, with the rest of its time as a delay.
///
/// # Errors
/// [`Failure`]: Lambda tries again, and then hands it to the queue itself, where it is a message too.
pub(super) async fn fired(assembly: &Assembly, input: &str) -> Result<String, Failure> {
    match fire(&*assembly.queue, input).await {
        Ok(()) => Ok("null".to_owned()),
        Err(error @ FireError::Queue(_)) => Err(Failure::new("QueueUnavailable", error)),
        Err(error) => Err(Failure::new("InvalidSchedule", error)),
    }
}
