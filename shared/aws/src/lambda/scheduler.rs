//! What EventBridge Scheduler sends: a message whose time has nearly come.

use super::Failure;
use crate::{Assembly, FireError, fire};

/// Sends the message on, with the rest of its time as a delay.
///
/// # Errors
/// [`Failure`]: Lambda tries again, and then hands it to the queue itself, where it is a message too.
pub(super) async fn fired(assembly: &Assembly, input: &str) -> Result<String, Failure> {
    sent(fire(&*assembly.queue, input).await)
}

/// Sends the timers of a minute on.
///
/// # Errors
/// [`Failure`], as [`fired`].
pub(super) async fn minute_came(assembly: &Assembly, minute: i64) -> Result<String, Failure> {
    sent(assembly.timers.fire(&assembly.queue, minute).await)
}

fn sent(sent: Result<(), FireError>) -> Result<String, Failure> {
    match sent {
        Ok(()) => Ok("null".to_owned()),
        Err(error @ FireError::Queue(_)) => Err(Failure::new("QueueUnavailable", error)),
        Err(error @ FireError::Table(_)) => Err(Failure::new("TableUnavailable", error)),
        Err(error) => Err(Failure::new("InvalidSchedule", error)),
    }
}
