//! The program is killed at any instant, again and again: every acknowledged execution goes on and ends as it would
//! have, and no task is called twice without a Retry.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Folder, Local, have};

/// How often the program is killed.
const KILLS: u64 = 12;
/// Executions started in each of its lives, half of them of the machine without Retry.
const STARTS: u64 = 6;

/// Writes down each call before it does anything else, then takes a moment, so that kills fall into calls.
const COUNT: &str = r#"
import os, time

def handler(event, context):
    line = f"{event['execution']} {event['state']} {event['attempt']}\n".encode()
    out = os.open(os.environ["CALLS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(out, line)
    os.close(out)
    time.sleep(0.004)
    return event["state"]
"#;

fn task(state: &str, next: Option<&str>, retry: bool) -> Value {
    let mut task = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {
            "FunctionName": "Count",
            "Payload": {
                "execution.$": "$$.Execution.Name", "state": state, "attempt.$": "$$.State.RetryCount"
            }
        },
        "ResultPath": format!("$.{state}"),
        "ResultSelector": {"result.$": "$.Payload"}
    });
    match next {
        Some(next) => task["Next"] = json!(next),
        None => task["End"] = json!(true),
    }
    if retry {
        task["Retry"] = json!([{"ErrorEquals": ["Lambda.Unknown"], "IntervalSeconds": 1, "MaxAttempts": 20, "BackoffRate": 1.0}]);
    }
    task
}

/// Tasks in a row, a Wait, and two tasks side by side.
fn machine(retry: bool) -> Value {
    json!({
        "StartAt": "A",
        "States": {
            "A": task("A", Some("B"), retry),
            "B": task("B", Some("Pause"), retry),
            "Pause": {"Type": "Wait", "Seconds": 1, "Next": "Both"},
            "Both": {
                "Type": "Parallel",
                "Branches": [
                    {"StartAt": "C", "States": {"C": task("C", None, retry)}},
                    {"StartAt": "D", "States": {"D": task("D", None, retry)}}
                ],
                "ResultPath": "$.both",
                "Next": "E"
            },
            "E": task("E", None, retry)
        }
    })
}

fn project(folder: &Path, calls: &Path) {
    fs::create_dir_all(folder.join("count")).unwrap();
    fs::write(folder.join("count/app.py"), COUNT).unwrap();
    let toml = format!(
        "[functions.Count]\nruntime = \"python3.11\"\nhandler = \"app.handler\"\ncode = \"count\"\ntimeout = 30\n\n\
         [functions.Count.environment]\nCALLS = {:?}\n",
        calls.display().to_string()
    );
    fs::write(folder.join("stepwell.toml"), toml).unwrap();
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_called_twice() {
    if !have("python3") {
        println!("SKIPPED: there is no python3");
        return;
    }
    let folder = Folder::new("crash");
    let calls = folder.path().join("calls.txt");
    project(folder.path(), &calls);
    let mut acknowledged: Vec<(String, bool)> = Vec::new();
    let mut machines = BTreeMap::new();
    for life in 0..KILLS {
        let local = Local::start(folder.path(), &folder.path().join("data"));
        for retry in [false, true] {
            machines.entry(retry).or_insert_with(|| {
                let created = local.call(
                    "CreateStateMachine",
                    json!({
                        "name": if retry { "retry" } else { "once" },
                        "definition": machine(retry).to_string(),
                        "roleArn": "arn:aws:iam::123456789012:role/r"
                    }),
                );
                created["stateMachineArn"].as_str().expect("the machine is created").to_owned()
            });
        }
        // The instant of the kill wanders through everything an execution does, from its start on.
        let instant = Instant::now() + Duration::from_micros(life * life * 17_000 % 900_000);
        for number in 0..STARTS {
            let retry = number % 2 == 1;
            let name = format!("e-{life}-{number}");
            let request = json!({"stateMachineArn": machines[&retry], "name": name, "input": "{}"});
            // No answer, no promise: the server may be dead by now.
            if let Some(answer) = local.try_call("StartExecution", &request) {
                let arn = answer["executionArn"].as_str().unwrap_or_else(|| panic!("no start: {answer}"));
                acknowledged.push((arn.to_owned(), retry));
            }
        }
        while Instant::now() < instant {
            std::thread::yield_now();
        }
        local.kill();
    }
    assert!(acknowledged.len() as u64 > KILLS * STARTS / 2, "too few starts were acknowledged");
    let local = Local::start(folder.path(), &folder.path().join("data"));
    let ends: Vec<_> = acknowledged.iter().map(|(arn, retry)| (arn, *retry, ended(&local, arn))).collect();
    let unknown = ends.iter().filter(|(_, retry, end)| judge(*retry, end)).count();
    let told: BTreeMap<String, usize> =
        fs::read_to_string(&calls).unwrap().lines().fold(BTreeMap::new(), |mut told, line| {
            *told.entry(line.to_owned()).or_default() += 1;
            told
        });
    let twice: Vec<_> = told.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "called twice: {twice:?}");
    for (arn, _, end) in ends.iter().filter(|(_, _, end)| end["status"] == "SUCCEEDED") {
        let name = arn.rsplit(':').next().unwrap();
        for state in ["A", "B", "C", "D", "E"] {
            let prefix = format!("{name} {state} ");
            assert!(told.keys().any(|line| line.starts_with(&prefix)), "{name} never called {state}: {end}");
        }
    }
    println!("{} executions over {KILLS} kills, {unknown} of them ended with Lambda.Unknown", ends.len());
}

/// An execution's end, however long it takes within reason.
fn ended(local: &Local, arn: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let execution = local.call("DescribeExecution", json!({"executionArn": arn}));
        if execution["status"] != "RUNNING" {
            return execution;
        }
        assert!(Instant::now() < deadline, "it does not end: {execution}");
        std::thread::yield_now();
    }
}

/// Whether it ended with an unknown call: only without Retry it may.
fn judge(retry: bool, end: &Value) -> bool {
    if end["status"] == "SUCCEEDED" {
        return false;
    }
    assert_eq!(end["status"], "FAILED", "{end}");
    assert_eq!(end["error"], "Lambda.Unknown", "{end}");
    assert!(!retry, "the Retry did not take it: {end}");
    true
}
