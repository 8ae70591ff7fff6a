//! The machines that the clients start.

use serde_json::{Value, json};

/// Name, type and definition of each.
pub(crate) fn all() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("once", "STANDARD", chain(false)),
        ("chain", "STANDARD", chain(true)),
        ("pass", "STANDARD", pass()),
        ("wait", "STANDARD", wait()),
        ("both", "STANDARD", both()),
        ("map", "STANDARD", map("INLINE")),
        ("distributed", "STANDARD", map("DISTRIBUTED")),
        ("busy", "STANDARD", json!({"StartAt": "Busy", "States": {"Busy": task("Busy", None, true)}})),
        ("callback", "STANDARD", callback()),
        (
            "stop",
            "STANDARD",
            json!({"StartAt": "Long", "States": {"Long": {"Type": "Wait", "Seconds": 86400, "End": true}}}),
        ),
        ("express", "EXPRESS", json!({"StartAt": "X", "States": {"X": task("X", None, true)}})),
    ]
}

/// A call of the function, which is told the state and the attempt.
fn task(state: &str, next: Option<&str>, retry: bool) -> Value {
    let mut task = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {
            "FunctionName": "count",
            "Payload": {"execution.$": "$$.Execution.Id", "state": state, "attempt.$": "$$.State.RetryCount"}
        },
        "ResultSelector": {"result.$": "$.Payload"},
        "ResultPath": format!("$.{state}")
    });
    match next {
        Some(next) => task["Next"] = json!(next),
        None => task["End"] = json!(true),
    }
    if retry {
        task["Retry"] = retrier();
    }
    task
}

fn retrier() -> Value {
    json!([{"ErrorEquals": ["Lambda.Unknown", "Busy"], "IntervalSeconds": 1, "MaxAttempts": 30, "BackoffRate": 1.0}])
}

fn chain(retry: bool) -> Value {
    json!({"StartAt": "A", "States": {
        "A": task("A", Some("B"), retry), "B": task("B", Some("C"), retry), "C": task("C", None, retry)
    }})
}

fn pass() -> Value {
    json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Result": 1, "End": true}}})
}

fn wait() -> Value {
    json!({"StartAt": "Short", "States": {
        "Short": {"Type": "Wait", "Seconds": 0, "Next": "A"},
        "A": task("A", Some("Long"), true),
        "Long": {"Type": "Wait", "Seconds": 1, "Next": "B"},
        "B": task("B", None, true)
    }})
}

fn both() -> Value {
    json!({"StartAt": "Both", "States": {"Both": {"Type": "Parallel", "End": true, "Branches": [
        {"StartAt": "A", "States": {"A": task("A", Some("B"), true), "B": task("B", None, true)}},
        {"StartAt": "C", "States": {"C": task("C", None, true)}},
        {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 1, "End": true}}}
    ]}}})
}

fn map(mode: &str) -> Value {
    let mut item = task("Item", None, true);
    item["Parameters"]["Payload"]["item.$"] = json!("$$.Map.Item.Value");
    if mode == "DISTRIBUTED" {
        item["Parameters"]["Payload"]["item.$"] = json!("$.item");
    }
    let mut processor_config = json!({"Mode": mode});
    if mode == "DISTRIBUTED" {
        processor_config["ExecutionType"] = json!("STANDARD");
    }
    json!({"StartAt": "Items", "States": {
        "Items": {"Type": "Pass", "Result": [1, 2, 3, 4], "ResultPath": "$.items", "Next": "Map"},
        "Map": {
            "Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 2, "End": true,
            "ItemSelector": {"item.$": "$$.Map.Item.Value"},
            "ItemProcessor": {"ProcessorConfig": processor_config, "StartAt": "Item", "States": {"Item": item}}
        }
    }})
}

fn callback() -> Value {
    json!({"StartAt": "T", "States": {"T": {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {
            "FunctionName": "count",
            "Payload": {
                "execution.$": "$$.Execution.Id", "state": "T", "attempt.$": "$$.State.RetryCount",
                "token.$": "$$.Task.Token"
            }
        },
        "Retry": retrier(),
        "End": true
    }}})
}
