//! The three callbacks.

use std::time::Duration;

use stepwell_test_support::Answer;

use crate::site::{Site, body, quoted, text};

const MACHINE: &str = r#"{"StartAt":"T","States":{"T":{"Type":"Task",
    "Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","HeartbeatSeconds":60,
    "Parameters":{"FunctionName":"f","Payload":{"token.$":"$$.Task.Token"}},"End":true}}}"#;

const TOKEN: &str = "InvalidToken: Invalid Token: 'Invalid token'";
const OVER: &str = "TaskTimedOut: Task Timed Out: 'Provided task does not exist anymore'";

fn waiting() -> (Site, String, String) {
    let mut site = Site::new();
    site.world.tasks.script(|_| Answer::submit(Duration::from_millis(1)));
    let machine = site.create("m", MACHINE);
    let arn = site.start(&machine, "e", "{}");
    site.settle(Duration::from_secs(1));
    let token = site.world.tasks.tokens().last().expect("the task was called").to_string();
    (site, arn, token)
}

#[test]
fn a_success_ends_the_task_once() {
    let (mut site, arn, token) = waiting();
    assert_eq!(site.ask("SendTaskHeartbeat", body("taskToken", &token)).to_json(), "{}");
    let success = format!(r#"{{"taskToken":{},"output":"{{\"n\": 1}}"}}"#, quoted(&token));
    assert_eq!(site.ask("SendTaskSuccess", &success).to_json(), "{}");
    site.settle(Duration::from_secs(1));
    let described = site.ask("DescribeExecution", body("executionArn", &arn));
    assert_eq!((&*text(&described, "status"), &*text(&described, "output")), ("SUCCEEDED", "{\"n\": 1}"));
    assert_eq!(site.ask("SendTaskSuccess", &success).to_json(), "{}", "the same again is answered alike");
    site.refused("SendTaskSuccess", &success.replace("1}", "2}"), OVER);
    site.refused("SendTaskFailure", &body("taskToken", &token), OVER);
    site.refused("SendTaskHeartbeat", &body("taskToken", &token), OVER);
}

#[test]
fn a_failure_ends_the_task_with_its_error() {
    let (mut site, arn, token) = waiting();
    let failure = format!(r#"{{"taskToken":{},"error":"E","cause":"C"}}"#, quoted(&token));
    site.ask("SendTaskFailure", failure);
    site.settle(Duration::from_secs(1));
    let described = site.ask("DescribeExecution", body("executionArn", &arn));
    assert_eq!(["status", "error", "cause"].map(|name| text(&described, name)), ["FAILED", "E", "C"]);
}

#[test]
fn what_is_no_callback() {
    let (mut site, _, token) = waiting();
    site.refused("SendTaskHeartbeat", &body("taskToken", "abc"), TOKEN);
    site.refused("SendTaskFailure", &body("taskToken", "abc"), TOKEN);
    site.refused("SendTaskSuccess", r#"{"taskToken":"abc","output":"1"}"#, TOKEN);
    site.refused("SendTaskSuccess", r#"{"taskToken":"abc","output":"no"}"#, TOKEN);
    site.refused(
        "SendTaskSuccess",
        &format!(r#"{{"taskToken":{},"output":"no"}}"#, quoted(&token)),
        "InvalidOutput: Invalid Output: 'Unrecognized token 'no': was expecting (JSON String, Number, Array, Object or \
         token 'null', 'true' or 'false')'",
    );
    site.refused(
        "SendTaskSuccess",
        &body("taskToken", &token),
        "ValidationException: 1 validation error detected: Value at 'output' failed to satisfy constraint: \
         Member must not be null",
    );
    let long = "t".repeat(2049);
    site.refused(
        "SendTaskHeartbeat",
        &body("taskToken", &long),
        &format!(
            "ValidationException: 1 validation error detected: Value '{long}' at 'taskToken' failed to satisfy \
             constraint: Member must have length less than or equal to 2048"
        ),
    );
}
