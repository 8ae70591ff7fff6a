//! RedriveExecution, and what other operations tell of redrives.

use std::time::Duration;

use stepwell_expr::Value;

use crate::site::{EXECUTION, FAIL, PASS, Site, WAIT, body, check, quoted, text};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn redrive(arn: &str, token: &str) -> String {
    format!(r#"{{"executionArn":{},"clientToken":{}}}"#, quoted(arn), quoted(token))
}

#[track_caller]
fn refused(site: &mut Site, arn: &str, token: &str, why: &str) {
    let expected = format!("ExecutionNotRedrivable: Execution {arn} invalid for redrive as: {why}");
    site.refused("RedriveExecution", &redrive(arn, token), &expected);
}

/// An execution of `definition` that has run for a second.
fn started(site: &mut Site, name: &str, definition: &str) -> String {
    let machine = site.create(name, definition);
    let arn = site.start(&machine, "e", "{}");
    site.settle(SECOND);
    arn
}

fn types(site: &mut Site, arn: &str) -> String {
    let history = site.ask("GetExecutionHistory", body("executionArn", arn));
    let events = history.get("events").and_then(Value::as_array).unwrap_or_default();
    let shown = |event: &Value| {
        let previous = event.get("previousEventId").map(Value::to_string).unwrap_or_default();
        format!("{}<{previous}", text(event, "type"))
    };
    events.iter().map(shown).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_stopped_execution_goes_on_under_its_arn() {
    let mut site = Site::new();
    let arn = started(&mut site, "m", WAIT);
    refused(&mut site, &arn, "a", "Execution is RUNNING and cannot be redriven");
    site.ask("StopExecution", body("executionArn", &arn));
    let answer = site.ask("RedriveExecution", redrive(&arn, "a"));
    check(&answer, r#"{"redriveDate":0}"#);
    site.settle(SECOND);
    assert_eq!(
        types(&mut site, &arn),
        "ExecutionStarted<0 WaitStateEntered<0 ExecutionAborted<0 ExecutionRedriven<3"
    );
    let described = site.ask("DescribeExecution", body("executionArn", &arn));
    assert_eq!(described.get("redriveDate"), answer.get("redriveDate"));
    let fixed = format!(
        r#""executionArn":"{arn}","stateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:m","name":"e",
        "status":"RUNNING","startDate":0,"redriveCount":1,"redriveDate":0"#
    );
    check(
        &described,
        &format!(
            r#"{{{fixed},"input":"{{}}","inputDetails":{{"included":true}},"redriveStatus":"NOT_REDRIVABLE",
            "redriveStatusReason":"Execution is RUNNING and cannot be redriven"}}"#
        ),
    );
    let listed = site.ask("ListExecutions", body("stateMachineArn", &text(&described, "stateMachineArn")));
    check(&listed, &format!(r#"{{"executions":[{{{fixed}}}]}}"#));
    let history = site.ask("GetExecutionHistory", body("executionArn", &arn));
    let event = history.get("events").and_then(|events| events.as_array()?.get(3)).expect("four events");
    let redriven = r#"{"timestamp":0,"type":"ExecutionRedriven","id":4,"previousEventId":3,
        "executionRedrivenEventDetails":{"redriveCount":1}}"#;
    check(event, redriven);
    site.settle(2 * DAY);
    let described = site.ask("DescribeExecution", body("executionArn", &arn));
    assert_eq!(
        (text(&described, "status"), described.get("redriveCount")),
        ("SUCCEEDED".into(), Some(&1.into()))
    );
    refused(&mut site, &arn, "b", "Execution is SUCCEEDED and cannot be redriven");
}

/// Recorded: a token is answered as it was, whatever has become of the execution; one that was refused is as good as new.
#[test]
fn a_token_begins_one_redrive() {
    let mut site = Site::new();
    let arn = started(&mut site, "m", FAIL);
    let ask = |site: &mut Site, token: &str| {
        let answer = site.ask("RedriveExecution", redrive(&arn, token));
        site.settle(SECOND);
        site.world.clock.advance(SECOND);
        answer
    };
    let first = ask(&mut site, "a");
    assert_eq!(ask(&mut site, "a"), first);
    let second = ask(&mut site, "b");
    assert_ne!(second, first);
    assert_eq!((ask(&mut site, "a"), ask(&mut site, "b")), (first.clone(), second));
    let described = site.ask("DescribeExecution", body("executionArn", &arn));
    assert_eq!(described.get("redriveCount"), Some(&2.into()));

    let without = format!(r#"{{"executionArn":{}}}"#, quoted(&arn));
    site.ask("RedriveExecution", &without);
    site.settle(SECOND);
    site.ask("RedriveExecution", &without);
    site.settle(SECOND);
    let described = site.ask("DescribeExecution", body("executionArn", &arn));
    assert_eq!(described.get("redriveCount"), Some(&4.into()), "without a token each is another");

    site.world.clock.advance(15 * 60 * SECOND);
    assert_ne!(ask(&mut site, "a"), first, "it is forgotten after a while");
    for n in 0..10 {
        ask(&mut site, &format!("t{n}"));
    }
    let before = site.ask("DescribeExecution", body("executionArn", &arn)).get("redriveCount").cloned();
    ask(&mut site, "t0");
    let after = site.ask("DescribeExecution", body("executionArn", &arn)).get("redriveCount").cloned();
    assert_eq!((before, after), (Some(15.into()), Some(15.into())));
    ask(&mut site, "a");
    let after = site.ask("DescribeExecution", body("executionArn", &arn)).get("redriveCount").cloned();
    assert_eq!(after, Some(16.into()), "the eleventh of the last tokens is not remembered");
}

#[test]
fn what_ended_long_ago_or_has_no_machine_stays_ended() {
    let mut site = Site::new();
    let status = |site: &mut Site, arn: &str| {
        let described = site.ask("DescribeExecution", body("executionArn", arn));
        let reason = described.get("redriveStatusReason").and_then(Value::as_str).unwrap_or_default();
        format!("{} {reason}", text(&described, "redriveStatus"))
    };
    let arn = started(&mut site, "m", FAIL);
    assert_eq!(status(&mut site, &arn), "REDRIVABLE ");
    site.world.clock.advance(14 * DAY);
    assert_eq!(status(&mut site, &arn), "NOT_REDRIVABLE Execution redrivable period exceeded");
    refused(&mut site, &arn, "a", "Execution redrivable period exceeded");

    let arn = started(&mut site, "gone", FAIL);
    let machine = arn.replace("execution", "stateMachine");
    site.ask("DeleteStateMachine", body("stateMachineArn", machine.trim_end_matches(":e")));
    site.settle(SECOND);
    assert_eq!(status(&mut site, &arn), "NOT_REDRIVABLE State machine is in DELETING status");
    refused(&mut site, &arn, "a", "State machine is in DELETING status");
}

#[test]
fn requests_that_make_no_sense() {
    let mut site = Site::new();
    let express = site.create_with("x", PASS, r#","type":"EXPRESS""#);
    let run = site.ask("StartSyncExecution", body("stateMachineArn", &express));
    for (body, expected) in [
        (
            "{}".to_owned(),
            "ValidationException: 1 validation error detected: Value null at 'executionArn' failed to satisfy \
             constraint: Member must not be null",
        ),
        (
            redrive(&format!("{EXECUTION}m:e"), "a b"),
            "ValidationException: 1 validation error detected: Value 'a b' at 'clientToken' failed to satisfy \
             constraint: Member must satisfy regular expression pattern: [!-~]+",
        ),
        (
            redrive(&format!("{EXECUTION}m:e"), "a"),
            &format!("ExecutionDoesNotExist: Execution Does Not Exist: '{EXECUTION}m:e'"),
        ),
        (
            redrive(&format!("{EXECUTION}m:e").replace("123456789012", "111111111111"), "a"),
            "ExecutionDoesNotExist: Execution Does Not Exist: \
             'arn:aws:states:us-east-1:111111111111:execution:m:e'",
        ),
        (redrive("abc", "a"), "InvalidArn: Invalid Arn: 'Invalid ARN prefix: abc'"),
        (
            redrive(&text(&run, "executionArn"), "a"),
            "InvalidArn: Invalid Arn: 'Resource type not valid in this context: express'",
        ),
    ] {
        site.refused("RedriveExecution", &body, expected);
    }
    let machine = site.create("m", PASS);
    site.refused(
        "ListExecutions",
        &format!(r#"{{"stateMachineArn":"{machine}","redriveFilter":"REDRIVEN"}}"#),
        "ValidationException: RedriveFilter cannot be applied to ListExecutions call with StateMachine ARN",
    );
}
