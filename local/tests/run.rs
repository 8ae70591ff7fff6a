//! `stepwell run` from outside: what it prints, and how it exits.

mod support;

use std::path::Path;
use std::process::{Command, Output};

use support::Folder;

const GREET: &str = r#"{"StartAt": "Greet", "States": {"Greet": {"Type": "Pass", "Parameters": {"hello.$": "$.name"}, "End": true}}}"#;
const FAIL: &str =
    r#"{"StartAt": "No", "States": {"No": {"Type": "Fail", "Error": "Nope", "Cause": "because"}}}"#;
const CALL: &str = r#"{"StartAt": "Call", "States": {"Call": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:Absent", "Retry": [{"ErrorEquals": ["Busy"], "IntervalSeconds": 1, "MaxAttempts": 1}], "End": true}}}"#;
const MOCKS: &str = r#"{
  "StateMachines": {"call": {"TestCases": {"Well": {"Call": "R"}, "Ill": {"Call": "E"}}}},
  "MockedResponses": {"R": {"0": {"Throw": {"Error": "Busy", "Cause": "c"}}, "1": {"Return": {"ok": true}}},
                      "E": {"0": {"Throw": {"Error": "Broken", "Cause": "c"}}}}
}"#;

fn stepwell(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stepwell"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("AWS_ENDPOINT_URL")
        .output()
        .expect("the program starts")
}

/// Runs `arguments` in a folder with the files above; exit status, standard output, and a part of standard error.
fn check(arguments: &[&str], status: i32, stdout: &str, stderr: &str) {
    let folder = Folder::new("run");
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let files = [
        ("greet.asl.json", GREET),
        (
            "greet.asl.yaml",
            "StartAt: Greet\nStates:\n  Greet: {Type: Pass, Result: {hello: yaml}, End: true}\n",
        ),
        ("fail.asl.json", FAIL),
        ("call.asl.json", CALL),
        ("mocks.json", MOCKS),
        ("name.json", "{\"name\": \"file\"}\n"),
        ("deep.json", &deep),
        (
            "broken.asl.json",
            "{\"StartAt\": \"A\", \"States\": {\"A\": {\"Type\": \"Pass\", \"Next\": \"B\"}}}",
        ),
    ];
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("the folder can be written");
    }
    let output = stepwell(folder.path(), arguments);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {out}{err}");
    assert_eq!(out.trim_end(), stdout, "{arguments:?}: {err}");
    assert!(err.contains(stderr), "{arguments:?}: no {stderr:?} in {err}");
}

#[test]
fn the_output_is_on_standard_output_and_the_log_beside_it() {
    check(
        &["run", "greet.asl.json", "--input", "{\"name\": \"you\"}"],
        0,
        "{\"hello\":\"you\"}",
        "execution succeeded",
    );
    check(&["run", "greet.asl.json", "--input", "name.json"], 0, "{\"hello\":\"file\"}", "Greet: done");
    check(&["run", "greet.asl.yaml"], 0, "{\"hello\":\"yaml\"}", "execution succeeded");
}

#[test]
fn an_execution_that_does_not_succeed_exits_with_1() {
    check(&["run", "fail.asl.json"], 1, "", "FAILED: Nope: because");
    check(&["run", "greet.asl.json"], 1, "", "States.Runtime");
}

#[test]
fn mocks_answer_attempt_by_attempt() {
    check(&["run", "call.asl.json", "--mock", "mocks.json#Well"], 0, "{\"ok\":true}", "retries in 1.0 s");
    check(&["run", "call.asl.json", "--mock", "mocks.json#Ill"], 1, "", "FAILED: Broken: c");
    check(&["run", "call.asl.json", "--mock", "mocks.json#None"], 1, "", "no test case `None`");
    check(&["run", "call.asl.json", "--mock", "mocks.json"], 1, "", "say which case");
}

#[test]
fn what_cannot_be_run_is_said_with_its_place() {
    check(&["run", "broken.asl.json"], 1, "", "MISSING_TRANSITION_TARGET");
    check(&["run", "greet.asl.json", "--input", "{\"name\":"], 1, "", "--input, line 1, column 9");
    check(&["run", "greet.asl.json", "--input", "deep.json"], 1, "", "nesting depth");
    check(&["run", "absent.asl.json"], 1, "", "cannot read absent.asl.json");
    check(&["run", "."], 1, "", "declares no state machine");
}

#[test]
fn a_history_is_kept_where_a_data_dir_is_named() {
    let folder = Folder::new("run-kept");
    std::fs::write(folder.path().join("greet.asl.json"), GREET).expect("the folder can be written");
    for _ in 0..2 {
        let output = stepwell(
            folder.path(),
            &["run", "greet.asl.json", "--input", "{\"name\":1}", "--data-dir", "kept"],
        );
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let local = support::Local::start(folder.path(), &folder.path().join("kept"));
    let machines = local.call("ListStateMachines", serde_json::json!({}));
    let arn = &machines["stateMachines"][0]["stateMachineArn"];
    let listed = local.call("ListExecutions", serde_json::json!({"stateMachineArn": arn}));
    let executions = listed["executions"].as_array().expect("executions are listed");
    assert_eq!(executions.len(), 2, "{listed}");
    let history =
        local.call("GetExecutionHistory", serde_json::json!({"executionArn": executions[0]["executionArn"]}));
    assert_eq!(history["events"].as_array().map(Vec::len), Some(4), "{history}");
}

#[test]
fn a_projects_machines_are_there_when_it_is_served_and_follow_their_files() {
    let folder = Folder::new("serve");
    let write =
        |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("it can be written");
    write("stepwell.toml", "[state_machines.Greet]\ndefinition = \"greet.asl.json\"\n");
    for definition in [GREET, FAIL, FAIL] {
        write("greet.asl.json", definition);
        let local = support::Local::start(folder.path(), &folder.path().join("data"));
        let machines = local.call("ListStateMachines", serde_json::json!({}));
        assert_eq!(machines["stateMachines"].as_array().map(Vec::len), Some(1), "{machines}");
        let arn = &machines["stateMachines"][0]["stateMachineArn"];
        let machine = local.call("DescribeStateMachine", serde_json::json!({"stateMachineArn": arn}));
        assert_eq!(machine["definition"], definition);
        assert_eq!(machine["name"], "Greet");
    }
}
