//! A case of one execution: a machine is created and started, and its end is looked at.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::calls::Calls;
use super::case::Start;
use super::client::CallError;
use super::compare::Likeness;
use super::python::dumps;
use super::run::{Stop, comparer};
use super::wait::is_last;

/// How long an execution that was recorded while it ran may take to come as far.
const AS_FAR: Duration = Duration::from_secs(10);

pub(crate) async fn run(calls: &mut Calls, start: &Start) -> Result<Vec<Likeness>, Stop> {
    let case = calls.case.clone();
    let mut came = Map::new();
    let definition = start.definition_text.clone().or_else(|| start.definition.as_ref().map(dumps));
    let role = start.role_arn.as_deref().unwrap_or("arn:aws:iam::{{account}}:role/conformance");
    let request = json!({
        "name": "conf-machine",
        "definition": calls.fill_text(&definition.unwrap_or_default())?,
        "roleArn": calls.fill_text(role)?,
        "type": case.machine_type,
    });
    came.insert("create".to_owned(), asked(calls, "CreateStateMachine", &request).await?);
    let mut request = json!({"stateMachineArn": came["create"]["stateMachineArn"]});
    if let Some(input) = start.input_text.clone().or_else(|| start.input.as_ref().map(dumps)) {
        request["input"] = calls.fill_text(&input)?.into();
    }
    if start.sync {
        came.insert("sync".to_owned(), asked(calls, "StartSyncExecution", &request).await?);
    } else {
        let started = asked(calls, "StartExecution", &request).await?;
        let arn = json!({"executionArn": started["executionArn"]});
        came.insert("start".to_owned(), started);
        await_end(calls, start, &arn).await?;
        for (key, operation) in [("describe", "DescribeExecution"), ("history", "GetExecutionHistory")] {
            if start.expect.contains_key(key) {
                came.insert(key.to_owned(), asked(calls, operation, &arn).await?);
            }
        }
    }
    let mut comparer = comparer(&case);
    let compare = |(key, expected): (&String, &Value)| {
        comparer.compare(key, expected, came.get(key).unwrap_or(&Value::Null))
    };
    Ok(start.expect.iter().map(compare).collect())
}

/// Waits until the execution has come as far as the recorded one.
async fn await_end(calls: &mut Calls, start: &Start, arn: &Value) -> Result<(), Stop> {
    let text = arn["executionArn"].as_str().unwrap_or_default().to_owned();
    let events = start.expect.get("history").and_then(|history| history["events"].as_array());
    match events {
        Some(events) if events.last().is_some_and(|event| !is_last(event)) => {
            let mut far = calls.poll(Some(AS_FAR));
            while calls.events(&text).await?.len() < events.len() && calls.again(&mut far).await? {}
            calls.sleep(Duration::from_millis(500)).await;
            Ok(())
        }
        _ => calls.await_end(&text).await,
    }
}

async fn asked(calls: &Calls, operation: &str, params: &Value) -> Result<Value, Stop> {
    let refused = |error: CallError| Stop::Broken(format!("{operation}: {}", error.text()));
    calls.client.call(operation, params).await.map_err(refused)
}
