//! What one account sees of another: nothing.

use std::sync::Arc;
use std::time::Duration;

use stepwell_engine::{Caller, StepFunctions, StepFunctionsCall};
use stepwell_expr::Value;
use stepwell_test_support::{Answer, execution};
use stepwell_wire::TaskCalls;

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
    let machine = site.create_with("m", PASS, r#","publish":true"#);
    let execution = site.start(&machine, "e", "{}");
    let alias = format!(
        r#"{{"name":"live","routingConfiguration":[{{"stateMachineVersionArn":"{machine}:1","weight":100}}]}}"#
    );
    site.ask("CreateStateMachineAlias", &alias);
    site.settle(Duration::from_secs(1));
    let listed = site.ask("ListExecutions", format!(r#"{{"stateMachineArn":"{machine}"}}"#));
    assert_eq!(listed.get("executions").and_then(Value::as_array).map(<[Value]>::len), Some(1));
    site.api = site.api.in_account(OTHER);
    let no_machine = format!("StateMachineDoesNotExist: State Machine Does Not Exist: '{machine}'");
    let no_execution = format!("ExecutionDoesNotExist: Execution Does Not Exist: '{execution}'");
    let no_resource = format!("ResourceNotFound: Resource not found: '{machine}'");
    let no_version = "ResourceNotFound: Request references a resource that does not exist.".to_owned();
    for (operation, request, expected) in [
        ("DescribeStateMachine", body("stateMachineArn", &machine), &no_machine),
        ("ListExecutions", body("stateMachineArn", &machine), &no_machine),
        ("StartExecution", start(&machine, "f", "{}"), &no_machine),
        ("PublishStateMachineVersion", body("stateMachineArn", &machine), &no_machine),
        ("ListStateMachineAliases", body("stateMachineArn", &machine), &no_machine),
        ("CreateStateMachineAlias", alias.replace("live", "other"), &no_version),
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
    for (operation, name, qualifier) in [
        ("DescribeStateMachine", "stateMachineArn", "1"),
        ("DescribeStateMachine", "stateMachineArn", "live"),
        ("StartExecution", "stateMachineArn", "live"),
        ("ListExecutions", "stateMachineArn", "1"),
        ("DescribeStateMachineAlias", "stateMachineAliasArn", "live"),
        ("UpdateStateMachineAlias", "stateMachineAliasArn", "live"),
    ] {
        let request = format!(r#"{{"{name}":"{machine}:{qualifier}","description":"d"}}"#);
        let (status, answer) = site.call(operation, &request);
        assert_eq!(status, 400, "{operation} {answer}");
        assert!(!answer.to_json().contains("weight"), "{operation} {answer}");
    }
    let versions = site.call("ListStateMachineVersions", body("stateMachineArn", &machine)).1.to_json();
    assert!(!versions.contains(":1\""), "{versions}");
    // Deleting what is not there is done already; the other account's stays.
    site.call("DeleteStateMachineAlias", body("stateMachineAliasArn", &format!("{machine}:live")));
    site.call("DeleteStateMachineVersion", body("stateMachineVersionArn", &format!("{machine}:1")));
    site.ask("DeleteStateMachine", body("stateMachineArn", &machine));
    site.api = site.api.in_account("123456789012");
    site.ask("DescribeStateMachine", body("stateMachineArn", &machine));
    site.ask("DescribeStateMachineAlias", body("stateMachineAliasArn", &format!("{machine}:live")));
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

#[test]
fn a_task_has_no_worker_in_another_account() {
    let mut site = Site::new();
    site.ask("CreateActivity", body("name", "dig"));
    let definition = r#"{"StartAt":"D","States":{"D":{"Type":"Task","End":true,
        "Resource":"arn:aws:states:us-east-1:123456789012:activity:dig"}}}"#;
    site.api = site.api.in_account(OTHER);
    let machine = site.create("m", definition);
    let execution = site.start(&machine, "e", "{}");
    site.settle(Duration::from_secs(1));
    let described = site.ask("DescribeExecution", body("executionArn", &execution));
    assert_eq!(text(&described, "status"), "FAILED");
    assert!(text(&described, "cause").contains("activity:dig does not exist"), "{described}");
}

/// What a task of an execution in the account 123456789012 is answered that lists state machines in a role.
fn listed(site: &mut Site, calls: &Arc<TaskCalls>, role: Option<&'static str>) -> (u16, String) {
    let info = execution("m", "e");
    let calls = calls.clone();
    let answer = site.wait_for(async move {
        let caller = Caller { info: &info, role, parent: None };
        calls.call(StepFunctionsCall { operation: "ListStateMachines", body: b"{}", caller }).await
    });
    (answer.status, String::from_utf8(answer.body.to_vec()).expect("UTF-8"))
}

#[test]
fn a_task_calls_in_the_account_of_its_role_where_it_may() {
    const THERE: &str = "arn:aws:iam::000000000002:role/r";
    const HERE: &str = "arn:aws:iam::123456789012:role/r";
    let mut site = Site::new();
    site.create("ours", PASS);
    let (open, closed) = (Arc::new(TaskCalls::default()), Arc::new(TaskCalls::within_their_account()));
    for calls in [&open, &closed] {
        calls.serve(&site.api);
        for role in [None, Some(HERE)] {
            let (status, body) = listed(&mut site, calls, role);
            assert!(status == 200 && body.contains("ours"), "{role:?} {body}");
        }
    }
    let (status, body) = listed(&mut site, &open, Some(THERE));
    assert_eq!((status, &*body), (200, r#"{"stateMachines":[]}"#));
    for role in [THERE, "nonsense", "arn:aws:iam:::role/r"] {
        let (status, body) = listed(&mut site, &closed, Some(role));
        assert!(status == 400 && body.contains("AccessDeniedException") && body.contains(role), "{body}");
    }
}
