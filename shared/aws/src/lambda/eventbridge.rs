//! Events of EventBridge that start executions.

use stepwell_expr::Value;

use super::direct::Members;
use super::{Failure, Time, call, succeeded};
use crate::Assembly;

/// Starts the configured machine with the event as its input, under the event's id: however often the event is delivered, it
/// starts one execution.
///
/// # Errors
/// [`Failure`]: the event comes again.
pub(super) async fn start(
    assembly: &Assembly,
    event: &Value,
    payload: &str,
    time: Time,
) -> Result<String, Failure> {
    let Some(machine) = &assembly.config.state_machine_arn else {
        let message = "STEPWELL_STATE_MACHINE_ARN is not set, and the rule's input names no state machine";
        return Err(Failure::new("MissingRequiredParameter", message));
    };
    let name = event.get("id").and_then(Value::as_str);
    start_once(assembly, machine, name, payload, time).await
}

/// What a service tells of a job. The jobs that tasks wait for are executions (`states:startExecution.sync`), whose ends are messages
/// of ours; no other integration has any, so there is nobody who waits.
pub(super) fn job_changed(event: &Value) -> String {
    let member = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    tracing::info!(
        source = member("source"),
        kind = member("detail-type"),
        "an event that no task waits for"
    );
    "null".to_owned()
}

/// Starts an execution that may have been started by the same event before.
pub(super) async fn start_once(
    assembly: &Assembly,
    machine: &str,
    name: Option<&str>,
    input: &str,
    time: Time,
) -> Result<String, Failure> {
    let mut body = Members::default();
    body.text("stateMachineArn", machine).text("input", input);
    if let Some(name) = name {
        body.text("name", name);
    }
    let reply = call(&assembly.api.until(time.deadline), "StartExecution", body.close().as_bytes()).await;
    match succeeded(reply) {
        Err(failure) if failure.error_type == "ExecutionAlreadyExists" => {
            tracing::info!(machine, name, "the event was delivered again");
            Ok("null".to_owned())
        }
        answer => answer,
    }
}
