//! Invocations by whoever may invoke the function: members of an operation, with JSON where the API has text that holds JSON.

use std::sync::Arc;

use stepwell_expr::Value;
use stepwell_expr::json::{write_string, write_value};

use super::{Failure, Time, call, eventbridge, succeeded};
use crate::Assembly;

/// Members whose text holds JSON; here they may be that JSON.
const JSON_MEMBERS: [&str; 3] = ["definition", "input", "output"];

/// The member that names the operation, where there is a choice.
const OPERATION: &str = "operation";

/// `{stateMachineArn?, name?, input?, operation?}`; or `{stateMachineArn, event}` or `{stateMachineArn, eventId, input}`, as rules and
/// schedules make it.
///
/// Without a name the execution is named after the invocation, so that one that Lambda repeats starts nothing twice.
///
/// # Errors
/// [`Failure`]
pub(super) async fn start(
    assembly: &Assembly,
    event: &Value,
    request_id: &str,
    time: Time,
) -> Result<String, Failure> {
    let machine = event.get("stateMachineArn").and_then(Value::as_str);
    if let (Some(machine), Some(event)) = (machine, event.get("event")) {
        let name = event.get("id").and_then(Value::as_str);
        return eventbridge::start_once(assembly, machine, name, &event.to_json(), time).await;
    }
    if let (Some(machine), Some(id)) = (machine, event.get(EVENT_ID).and_then(Value::as_str)) {
        let input = match event.get("input") {
            Some(Value::String(text)) => text.to_string(),
            input => input.map(Value::to_json).unwrap_or_else(|| "{}".to_owned()),
        };
        return eventbridge::start_once(assembly, machine, Some(id), &input, time).await;
    }
    let operation = operation(event, &["StartExecution", "StartSyncExecution"])?.unwrap_or("StartExecution");
    let mut body = Members::of(event)?;
    if event.get("stateMachineArn").is_none()
        && let Some(machine) = &assembly.config.state_machine_arn
    {
        body.text("stateMachineArn", machine);
    }
    if event.get("name").is_none() {
        body.text("name", request_id);
    }
    let reply = call(&assembly.api.until(time.deadline), operation, body.close().as_bytes()).await;
    match succeeded(reply) {
        // An invocation of this id was here before: it is Lambda that repeats it.
        Err(failure) if failure.error_type == "ExecutionAlreadyExists" && event.get("name").is_none() => {
            Ok("null".to_owned())
        }
        answer => answer,
    }
}

/// `{taskToken, output}`, `{taskToken, error?, cause?}`, or a heartbeat: `{taskToken}` alone.
///
/// # Errors
/// [`Failure`]
pub(super) async fn callback(assembly: &Assembly, event: &Value, time: Time) -> Result<String, Failure> {
    let known = ["SendTaskSuccess", "SendTaskFailure", "SendTaskHeartbeat"];
    let has = |name| event.get(name).is_some();
    let operation = match operation(event, &known)? {
        Some(operation) => operation,
        None if has("output") => "SendTaskSuccess",
        None if has("error") || has("cause") => "SendTaskFailure",
        None => "SendTaskHeartbeat",
    };
    let body = Members::of(event)?.close();
    succeeded(call(&assembly.api.until(time.deadline), operation, body.as_bytes()).await)
}

/// `{operation, …}`, with the members of that operation.
///
/// # Errors
/// [`Failure`]
pub(super) async fn call_any(assembly: &Assembly, event: &Value, time: Time) -> Result<String, Failure> {
    let Some(operation) = event.get(OPERATION).and_then(Value::as_str) else {
        return Err(Failure::new("UnknownOperationException", "the member `operation` names no operation"));
    };
    let body = Members::of(event)?.close();
    succeeded(call(&assembly.api.until(time.deadline), operation, body.as_bytes()).await)
}

/// The operation that is asked for, if any is.
fn operation<'k>(event: &Value, known: &[&'k str]) -> Result<Option<&'k str>, Failure> {
    let Some(asked) = event.get(OPERATION) else { return Ok(None) };
    let asked = asked.as_str().unwrap_or_default();
    match known.iter().find(|known| **known == asked) {
        Some(known) => Ok(Some(known)),
        None => {
            let message = format!("`operation` is not one of {}", known.join(", "));
            Err(Failure::new("UnknownOperationException", message))
        }
    }
}

/// The member that names the execution after an event, which may be delivered again.
const EVENT_ID: &str = "eventId";

/// A request's body that is put together.
pub(super) struct Members(String);

impl Default for Members {
    fn default() -> Self {
        Members("{".to_owned())
    }
}

impl Members {
    /// The members of an invocation as those of an operation.
    fn of(event: &Value) -> Result<Self, Failure> {
        let Some(members) = event.as_object() else {
            return Err(Failure::new("SerializationException", "an invocation is a JSON object"));
        };
        let mut body = Members::default();
        for (name, value) in members.iter().filter(|(name, _)| &***name != OPERATION) {
            if JSON_MEMBERS.contains(&&**name) && value.as_str().is_none() {
                body.text(name, &value.to_json());
            } else {
                body.name(name);
                write_value(value, &mut body.0);
            }
        }
        Ok(body)
    }

    /// The members of a request, with another number of items.
    ///
    /// # Errors
    /// [`Failure`] where there are no members.
    pub(super) fn with_max_results(request: &Value, items: i64) -> Result<String, Failure> {
        let mut request = request.clone();
        let Value::Object(members) = &mut request else {
            return Err(Failure::new("SerializationException", "a request is a JSON object"));
        };
        Arc::make_mut(members).insert("maxResults", items.into());
        Ok(request.to_json())
    }

    pub(super) fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        write_string(value, &mut self.0);
        self
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        write_string(name, &mut self.0);
        self.0.push(':');
    }

    pub(super) fn close(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_becomes_text_where_the_api_has_text() {
        let check = |event: &str, expected: &str| {
            let event = stepwell_expr::json::parse(event).unwrap();
            assert_eq!(Members::of(&event).unwrap().close(), expected);
        };
        check("{}", "{}");
        check(
            r#"{"operation":"StartExecution","name":"a","input":{"n":1.10,"s":"\""}}"#,
            r#"{"name":"a","input":"{\"n\":1.10,\"s\":\"\\\"\"}"}"#,
        );
        check(r#"{"input":"[1]","maxResults":3}"#, r#"{"input":"[1]","maxResults":3}"#);
        check(r#"{"output":null}"#, r#"{"output":"null"}"#);
        assert!(Members::of(&Value::Null).is_err());
    }
}
