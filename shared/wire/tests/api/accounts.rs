//! What one account sees of another: nothing.

use std::time::Duration;

use stepwell_expr::Value;
use stepwell_test_support::Answer;

use crate::site::{PASS, Site, body, create, start, text};

const OTHER: &str = "000000000002";
const TOKEN: &str = "InvalidToken: Invalid Token: 'Invalid token'";

/// The names on all pages of one item.
fn names(site: &mut Site) -> Vec<String> {
    let (mut names, mut token) = (vec![], String::new());
    loop {
        let page = site.ask("ListStateMachines", format!(r#"{{"maxResults":1{token}}}"#));
        let machines = page.get("stateMachines").and_then(Value::as_array).expect("a list");
        names.extend(machines.iter().map(|machine| text(machine, "name")));
        match page.get("nextToken").and_then(Value::as_str) {
            Some(next) => token = format!(r#","nextToken":"{next}""#),
            None => return names,
        }
    }
}

#[test]
fn each_account_lists_its_own() {
    let mut site = Site::new();
    let (here, there) = (site.api.clone(), site.api.in_account(OTHER));
    for name in ["b", "a"] {
        site.create(name, PASS);
    }
    let first = site.ask("ListStateMachines", r#"{"maxResults":1}"#);
    site.api = there;
    assert_eq!(names(&mut site), [""; 0]);
    let arn = site.create("a", PASS);
    assert_eq!(arn, format!("arn:aws:states:us-east-1:{OTHER}:stateMachine:a"));
    site.create("c", PASS);
    assert_eq!(names(&mut site), ["a", "c"]);
    site.refused("ListStateMachines", &body("nextToken", &text(&first, "nextToken")), TOKEN);
    site.api = here;
    assert_eq!(names(&mut site), ["a", "b"]);
}

#[test]
fn activities_are_an_accounts_own() {
    let mut site = Site::new();
    let (here, there) = (site.api.clone(), site.api.in_account(OTHER));
    let arn = text(&site.ask("CreateActivity", body("name", "dig")), "activityArn");
    site.ask("CreateActivity", body("name", "fill"));
    let first = site.ask("ListActivities", r#"{"maxResults":1}"#);
    site.api = there;
    assert_eq!(site.ask("ListActivities", "{}").to_json(), r#"{"activities":[]}"#);
    site.refused("ListActivities", &body("nextToken", &text(&first, "nextToken")), TOKEN);
    let missing = format!("ActivityDoesNotExist: Activity Does Not Exist: '{arn}'");
    site.refused("DescribeActivity", &body("activityArn", &arn), &missing);
    site.refused("GetActivityTask", &body("activityArn", &arn), &missing);
    site.ask("DeleteActivity", body("activityArn", &arn));
    site.api = here;
    let listed = site.ask("ListActivities", "{}");
    assert_eq!(listed.get("activities").and_then(Value::as_array).map(<[Value]>::len), Some(2));
}

#[test]
fn what_another_account_has_is_not_there() {
    let mut site = Site::new();
    let machine = site.create("m", PASS);
    let execution = site.start(&machine, "e", "{}");
    site.settle(Duration::from_secs(1));
    let listed = site.ask("ListExecutions", format!(r#"{{"stateMachineArn":"{machine}"}}"#));
    assert_eq!(listed.get("executions").and_then(Value::as_array).map(<[Value]>::len), Some(1));
    site.api = site.api.in_account(OTHER);
    let no_machine = format!("StateMachineDoesNotExist: State Machine Does Not Exist: '{machine}'");
    let no_execution = format!("ExecutionDoesNotExist: Execution Does Not Exist: '{execution}'");
    let no_resource = format!("ResourceNotFound: Resource not found: '{machine}'");
    for (operation, request, expected) in [
        ("DescribeStateMachine", body("stateMachineArn", &machine), &no_machine),
        ("ListExecutions", body("stateMachineArn", &machine), &no_machine),
        ("StartExecution", start(&machine, "f", "{}"), &no_machine),
        (
            "UpdateStateMachine",
            format!(r#"{{"stateMachineArn":"{machine}","roleArn":"arn:aws:iam::1:role/r"}}"#),
            &no_machine,
        ),
        ("DescribeExecution", body("executionArn", &execution), &no_execution),
        ("DescribeStateMachineForExecution", body("executionArn", &execution), &no_execution),
        ("GetExecutionHistory", body("executionArn", &execution), &no_execution),
        ("StopExecution", body("executionArn", &execution), &no_execution),
        ("ListTagsForResource", body("resourceArn", &machine), &no_resource),
        ("UntagResource", format!(r#"{{"resourceArn":"{machine}","tagKeys":["k"]}}"#), &no_resource),
    ] {
        site.refused(operation, &request, expected);
    }
    // Deleting what is not there is done already; the other account's stays.
    site.ask("DeleteStateMachine", body("stateMachineArn", &machine));
    site.api = site.api.in_account("123456789012");
    site.ask("DescribeStateMachine", body("stateMachineArn", &machine));
    // The same name is another's too.
    site.api = site.api.in_account(OTHER);
    site.ask("CreateStateMachine", create("m", PASS, ""));
}

#[test]
fn a_task_token_is_good_in_its_own_account() {
    let mut site = Site::new();
    site.world.tasks.script(|_| Answer::submit(Duration::from_millis(1)));
    let machine = site.create(
        "m",
        r#"{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Parameters":{"FunctionName":"f","Payload":{"token.$":"$$.Task.Token"}},"End":true}}}"#,
    );
    site.start(&machine, "e", "{}");
    site.settle(Duration::from_secs(1));
    let token = site.world.tasks.tokens().last().expect("the task was called").to_string();
    let here = site.api.clone();
    site.api = here.in_account(OTHER);
    site.refused("SendTaskHeartbeat", &body("taskToken", &token), TOKEN);
    site.refused("SendTaskFailure", &body("taskToken", &token), TOKEN);
    site.refused("SendTaskSuccess", &format!(r#"{{"taskToken":"{token}","output":"1"}}"#), TOKEN);
    site.api = here;
    site.ask("SendTaskSuccess", format!(r#"{{"taskToken":"{token}","output":"1"}}"#));
}
