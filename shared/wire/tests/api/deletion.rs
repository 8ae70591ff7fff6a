//! What becomes of a machine that is deleted, and of its executions.

use std::time::Duration;

use stepwell_expr::Value;

use crate::site::{MACHINE, PASS, Site, WAIT, body, create, quoted, start, text};

/// Waits for a minute, and then goes to another state.
const MINUTE: &str = r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":60,"Next":"P"},
    "P":{"Type":"Pass","End":true}}}"#;

/// Waits for a minute, and is at its end.
const LAST_MINUTE: &str = r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":60,"End":true}}}"#;

fn describe(site: &mut Site, arn: &str) -> Value {
    site.ask("DescribeStateMachine", body("stateMachineArn", arn))
}

#[track_caller]
fn is_gone(site: &mut Site, arn: &str) {
    let missing = format!("StateMachineDoesNotExist: State Machine Does Not Exist: '{arn}'");
    site.refused("DescribeStateMachine", &body("stateMachineArn", arn), &missing);
}

#[test]
fn versions_and_aliases_go_too() {
    let mut site = Site::new();
    let arn = site.create_with("m", PASS, r#","publish":true"#);
    let routing = format!(r#"[{{"stateMachineVersionArn":"{arn}:1","weight":100}}]"#);
    let alias = format!(r#"{{"name":"live","routingConfiguration":{routing}}}"#);
    site.ask("CreateStateMachineAlias", &alias);
    site.ask("DeleteStateMachine", body("stateMachineArn", &arn));
    for gone in [arn.clone(), format!("{arn}:1"), format!("{arn}:live")] {
        is_gone(&mut site, &gone);
    }
    // The next one of its name begins anew.
    site.create("m", PASS);
    let missing = "ResourceNotFound: Request references a resource that does not exist.";
    site.refused("CreateStateMachineAlias", &alias, missing);
    let version = site.ask("PublishStateMachineVersion", body("stateMachineArn", &arn));
    assert_eq!(text(&version, "stateMachineVersionArn"), format!("{arn}:1"));
    // The message that deletes the former one is void.
    site.settle(Duration::from_secs(300));
    assert_eq!(text(&describe(&mut site, &arn), "status"), "ACTIVE");
}

#[test]
fn a_running_execution_ends_at_its_next_transition() {
    let mut site = Site::new();
    let arn = site.create_with("m", MINUTE, r#","publish":true"#);
    let execution = site.start(&format!("{arn}:1"), "e", "{}");
    site.settle(Duration::from_secs(5));
    for _ in 0..2 {
        assert_eq!(site.ask("DeleteStateMachine", body("stateMachineArn", &arn)).to_json(), "{}");
    }
    site.settle(Duration::from_secs(30));
    assert_eq!(text(&describe(&mut site, &arn), "status"), "DELETING");
    assert_eq!(text(&describe(&mut site, &format!("{arn}:1")), "status"), "DELETING");
    let described = site.ask("DescribeExecution", body("executionArn", &execution));
    assert_eq!(text(&described, "status"), "RUNNING");

    site.settle(Duration::from_secs(180));
    let described = site.ask("DescribeExecution", body("executionArn", &execution));
    let members = ["status", "error", "cause"].map(|name| text(&described, name));
    assert_eq!(members, ["FAILED", "States.Runtime", "State machine m has been deleted."]);
    let history = site.ask("GetExecutionHistory", body("executionArn", &execution));
    let events = history.get("events").and_then(Value::as_array).unwrap_or_default();
    let last = events.last().expect("it has ended");
    assert_eq!(text(last, "type"), "ExecutionFailed");
    is_gone(&mut site, &arn);
    let started_with = site.ask("DescribeStateMachineForExecution", body("executionArn", &execution));
    assert_eq!(text(&started_with, "definition"), MINUTE);
    site.create("m", PASS);
}

#[test]
fn an_execution_that_makes_no_transition_any_more_succeeds() {
    let mut site = Site::new();
    let arn = site.create("m", LAST_MINUTE);
    let execution = site.start(&arn, "e", "{}");
    site.settle(Duration::from_secs(5));
    site.ask("DeleteStateMachine", body("stateMachineArn", &arn));
    site.settle(Duration::from_secs(300));
    let described = site.ask("DescribeExecution", body("executionArn", &execution));
    assert_eq!(text(&described, "status"), "SUCCEEDED");
    is_gone(&mut site, &arn);
}

#[test]
fn a_stopped_execution_lets_its_machine_go() {
    let mut site = Site::new();
    let arn = site.create("m", WAIT);
    let execution = site.start(&arn, "e", "{}");
    site.settle(Duration::from_secs(5));
    site.ask("DeleteStateMachine", body("stateMachineArn", &arn));
    // However long that takes.
    site.settle(Duration::from_secs(3600));
    assert_eq!(text(&describe(&mut site, &arn), "status"), "DELETING");
    site.ask("StopExecution", body("executionArn", &execution));
    site.settle(Duration::from_secs(120));
    is_gone(&mut site, &arn);
    let described = site.ask("DescribeExecution", body("executionArn", &execution));
    assert_eq!(text(&described, "status"), "ABORTED");
}

#[test]
fn what_is_being_deleted_takes_nothing_new() {
    let mut site = Site::new();
    let arn = site.create_with("m", WAIT, r#","publish":true"#);
    let routing = format!(r#"[{{"stateMachineVersionArn":"{arn}:1","weight":100}}]"#);
    let alias = |name: &str| format!(r#"{{"name":"{name}","routingConfiguration":{routing}}}"#);
    site.ask("CreateStateMachineAlias", alias("live"));
    site.start(&arn, "e", "{}");
    site.settle(Duration::from_secs(5));
    site.ask("DeleteStateMachine", body("stateMachineArn", &arn));
    let deleting = format!("StateMachineDeleting: State Machine Deleting: '{MACHINE}m'");
    for target in ["", ":1", ":live"] {
        site.refused("StartExecution", &start(&format!("{arn}{target}"), "late", "{}"), &deleting);
    }
    let update = format!(r#"{{"stateMachineArn":"{arn}","definition":{}}}"#, quoted(PASS));
    let update_alias = format!(r#"{{"stateMachineAliasArn":"{arn}:live","description":"d"}}"#);
    for (operation, request) in [
        ("CreateStateMachine", create("m", WAIT, "")),
        ("UpdateStateMachine", update),
        ("PublishStateMachineVersion", body("stateMachineArn", &arn)),
        ("CreateStateMachineAlias", alias("late")),
        ("UpdateStateMachineAlias", update_alias),
        ("ListStateMachineAliases", body("stateMachineArn", &arn)),
    ] {
        site.refused(operation, &request, &deleting);
    }
    let tag = format!(r#"{{"resourceArn":"{arn}","tags":[{{"key":"k","value":"v"}}]}}"#);
    site.refused("TagResource", &tag, &format!("ResourceNotFound: Resource not found: '{arn}'"));
}

#[test]
fn only_a_machine_is_deleted_by_this() {
    let mut site = Site::new();
    let arn = site.create_with("m", PASS, r#","publish":true"#);
    for other in ["1", "live"] {
        let (status, answer) =
            site.call("DeleteStateMachine", body("stateMachineArn", &format!("{arn}:{other}")));
        assert!(status == 400 && text(&answer, "__type").ends_with("#ValidationException"), "{answer}");
    }
    let labelled = site.call("DeleteStateMachine", body("stateMachineArn", &format!("{arn}/label")));
    assert_eq!(text(&labelled.1, "reason"), "API_DOES_NOT_SUPPORT_LABELED_ARNS");
    site.refused(
        "DeleteStateMachine",
        &body("stateMachineArn", "abc"),
        "InvalidArn: Invalid Arn: 'Invalid ARN prefix: abc'",
    );
    assert_eq!(text(&describe(&mut site, &arn), "status"), "ACTIVE");
}
