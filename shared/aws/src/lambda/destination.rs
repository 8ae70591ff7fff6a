//! What Lambda tells of functions that tasks have invoked asynchronously: it invokes `callback` as their destination.

use std::time::Duration;

use stepwell_engine::CallbackError;
use stepwell_expr::Value;
use stepwell_integrations::InvocationRecord;
use stepwell_interpreter::Timestamp;

use super::{Failure, Time};
use crate::Assembly;

/// How long after its end an invocation that nobody knows may still be one of ours: the driver that made it has it kept after
/// Lambda's answer. Lambda tells again a minute after the first time.
const KEPT_WITHIN: Duration = Duration::from_secs(60);

/// A function's asynchronous invocation has ended. Where it was a task's, so has the task.
///
/// # Errors
/// [`Failure`] where Lambda is to tell again.
pub(super) async fn ended(assembly: &Assembly, event: &Value, time: Time) -> Result<String, Failure> {
    const NOTHING: &str = "null";
    let Some(record) = InvocationRecord::read(event) else {
        return Err(Failure::new(
            "UnknownEvent",
            "the invocation record does not say which invocation it is of",
        ));
    };
    let (engine, id) = (assembly.engine.until(time.deadline), record.request_id);
    let Some(invocation) = engine.invocation(id).await.map_err(Failure::internal)? else {
        let now = assembly.clock.now();
        let at = record.at.map_or(now, |at| Timestamp(at.as_millisecond()));
        if now.0.saturating_sub(at.0) < KEPT_WITHIN.as_millis() as i64 {
            return Err(Failure::new("TaskDoesNotExist", format!("no task is known yet that invoked {id}")));
        }
        // Whoever else invokes the function asynchronously: its destinations are told of all.
        tracing::info!(id, "an invocation has ended that no task has made");
        return Ok(NOTHING.to_owned());
    };
    let Some(result) = record.outcome(&invocation) else { return Ok(NOTHING.to_owned()) };
    match engine.send_task_result(&invocation.token, result).await {
        Ok(()) => {}
        Err(error @ CallbackError::Unavailable(_)) => return Err(Failure::internal(error)),
        // It was told before, or nobody waits for it any more.
        Err(error) => tracing::info!(id, %error, "the end of an invocation is of no use"),
    }
    Ok(NOTHING.to_owned())
}
