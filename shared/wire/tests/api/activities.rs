//! Activities, their workers, and their tags.

use std::time::Duration;

use stepwell_engine::POLLERS_MAX;
use stepwell_expr::Value;

use crate::site::{ACTIVITY, MACHINE, Site, body, check, quoted, text};

const SECOND: Duration = Duration::from_secs(1);

/// A machine of one task of the activity `dig`, with further members of its state.
fn digging(members: &str) -> String {
    format!(
        r#"{{"StartAt":"D","States":{{"D":{{"Type":"Task","Resource":"{ACTIVITY}dig","End":true{members}}}}}}}"#
    )
}

/// A site with the activity `dig` and an execution that waits for a worker.
fn waiting(members: &str) -> (Site, String) {
    let mut site = Site::new();
    site.ask("CreateActivity", body("name", "dig"));
    let machine = site.create("m", &digging(members));
    let execution = site.start(&machine, "e", r#"{ "depth": 2 }"#);
    site.settle(SECOND);
    (site, execution)
}

fn poll(worker: &str) -> String {
    format!(r#"{{"activityArn":"{ACTIVITY}dig","workerName":{}}}"#, quoted(worker))
}

fn events(site: &mut Site, execution: &str) -> Vec<String> {
    let history = site.ask("GetExecutionHistory", body("executionArn", execution));
    let events = history.get("events").and_then(Value::as_array).unwrap_or_default();
    events.iter().map(|event| text(event, "type")).collect()
}

fn status(site: &mut Site, execution: &str) -> String {
    text(&site.ask("DescribeExecution", body("executionArn", execution)), "status")
}

#[test]
fn an_activity_is_created_once_shown_and_deleted() {
    let mut site = Site::new();
    let created = site.ask("CreateActivity", body("name", "dig"));
    check(&created, &format!(r#"{{"activityArn":"{ACTIVITY}dig","creationDate":0}}"#));
    site.settle(SECOND);
    let again = site.ask("CreateActivity", r#"{"name":"dig","tags":[{"key":"k","value":"v"}]}"#);
    assert_eq!(again, created, "idempotent, whatever the tags are");
    let arn = body("activityArn", &format!("{ACTIVITY}dig"));
    check(
        &site.ask("DescribeActivity", &arn),
        &format!(
            r#"{{"activityArn":"{ACTIVITY}dig","name":"dig","creationDate":0,
                "encryptionConfiguration":{{"type":"AWS_OWNED_KEY"}}}}"#
        ),
    );
    for _ in 0..2 {
        assert_eq!(site.ask("DeleteActivity", &arn).to_json(), "{}");
    }
    for operation in ["DescribeActivity", "GetActivityTask"] {
        let gone = format!("ActivityDoesNotExist: Activity Does Not Exist: '{ACTIVITY}dig'");
        site.refused(operation, &arn, &gone);
    }
}

#[test]
fn encryption_is_shown_and_makes_an_activity_another_one() {
    let mut site = Site::new();
    let key = r#""encryptionConfiguration":{"type":"CUSTOMER_MANAGED_KMS_KEY","kmsKeyId":"alias/k"}"#;
    site.ask("CreateActivity", format!(r#"{{"name":"dig",{key}}}"#));
    site.ask("CreateActivity", format!(r#"{{"name":"dig",{key}}}"#));
    let shown = site.ask("DescribeActivity", body("activityArn", &format!("{ACTIVITY}dig")));
    assert_eq!(
        shown.get("encryptionConfiguration").map(Value::to_json).unwrap_or_default(),
        r#"{"type":"CUSTOMER_MANAGED_KMS_KEY","kmsKeyId":"alias/k","kmsDataKeyReusePeriodSeconds":300}"#
    );
    let exists = format!("ActivityAlreadyExists: Activity Already Exists: '{ACTIVITY}dig'");
    site.refused("CreateActivity", r#"{"name":"dig"}"#, &exists);
    site.ask("CreateActivity", r#"{"name":"plain"}"#);
    site.ask("CreateActivity", r#"{"name":"plain","encryptionConfiguration":{"type":"AWS_OWNED_KEY"}}"#);
    site.refused(
        "CreateActivity",
        r#"{"name":"x","encryptionConfiguration":{"type":"CUSTOMER_MANAGED_KMS_KEY"}}"#,
        "InvalidEncryptionConfiguration: Invalid Encryption Configuration: A customer managed key needs its key id.",
    );
}

#[test]
fn what_is_refused() {
    let mut site = Site::new();
    let violation = |what: &str| {
        format!(
            "ValidationException: 1 validation error detected: Value {what} failed to satisfy constraint: "
        )
    };
    for name in ["a b", "a>b", "a\u{0}", "a\u{1f}", "a~b", "a:b"] {
        site.refused("CreateActivity", &body("name", name), &format!("InvalidName: Invalid Name: '{name}'"));
    }
    let null = violation("null at 'name'") + "Member must not be null";
    site.refused("CreateActivity", "{}", &null);
    let (long, worker) = ("n".repeat(81), "w".repeat(81));
    let too_long = "Member must have length less than or equal to 80";
    let expected = violation(&format!("'{long}' at 'name'")) + too_long;
    site.refused("CreateActivity", &body("name", &long), &expected);
    let expected = violation(&format!("'{worker}' at 'workerName'")) + too_long;
    site.refused("GetActivityTask", &poll(&worker), &expected);
    for operation in ["DescribeActivity", "DeleteActivity", "GetActivityTask"] {
        for (arn, message) in [
            ("no_an_activity_arn".to_owned(), "Invalid ARN prefix: no_an_activity_arn"),
            (format!("{MACHINE}m"), "Resource type not valid in this context: stateMachine"),
        ] {
            let expected = format!("InvalidArn: Invalid Arn: '{message}'");
            site.refused(operation, &body("activityArn", &arn), &expected);
        }
        let null = violation("null at 'activityArn'") + "Member must not be null";
        site.refused(operation, "{}", &null);
    }
    let elsewhere = "arn:aws:states:eu-west-1:123456789012:activity:dig";
    for operation in ["DescribeActivity", "GetActivityTask"] {
        let expected = format!("ActivityDoesNotExist: Activity Does Not Exist: '{elsewhere}'");
        site.refused(operation, &body("activityArn", elsewhere), &expected);
    }
}

#[test]
fn activities_are_listed_by_pages() {
    let mut site = Site::new();
    for name in ["b", "c", "a"] {
        site.ask("CreateActivity", body("name", name));
    }
    let page = site.ask("ListActivities", r#"{"maxResults":2}"#);
    let item =
        |name: &str| format!(r#"{{"activityArn":"{ACTIVITY}{name}","name":"{name}","creationDate":0}}"#);
    let items = page.get("activities").cloned().unwrap_or_default();
    check(&items, &format!("[{},{}]", item("a"), item("b")));
    let token = text(&page, "nextToken");
    let rest = site.ask("ListActivities", body("nextToken", &token));
    check(&rest, &format!(r#"{{"activities":[{}]}}"#, item("c")));
    site.refused("ListActivities", r#"{"nextToken":"x"}"#, "InvalidToken: Invalid Token: 'Invalid token'");
    site.refused(
        "ListStateMachines",
        &body("nextToken", &token),
        "InvalidToken: Invalid Token: 'Invalid token'",
    );
}

#[test]
fn activities_have_tags() {
    let mut site = Site::new();
    site.ask("CreateActivity", r#"{"name":"dig","tags":[{"key":"a","value":"1"}]}"#);
    let arn = format!("{ACTIVITY}dig");
    site.ask("TagResource", format!(r#"{{"resourceArn":"{arn}","tags":[{{"key":"b","value":"2"}}]}}"#));
    site.ask("UntagResource", format!(r#"{{"resourceArn":"{arn}","tagKeys":["a","none"]}}"#));
    let tags = site.ask("ListTagsForResource", body("resourceArn", &arn));
    assert_eq!(tags.to_json(), r#"{"tags":[{"key":"b","value":"2"}]}"#);
    let gone = format!("{ACTIVITY}gone");
    site.refused(
        "ListTagsForResource",
        &body("resourceArn", &gone),
        &format!("ResourceNotFound: Resource not found: '{gone}'"),
    );
}

#[test]
fn a_worker_gets_a_task_and_ends_it_once() {
    let (mut site, execution) = waiting("");
    let task = site.ask("GetActivityTask", poll("w-1"));
    assert_eq!(text(&task, "input"), r#"{ "depth": 2 }"#);
    let token = text(&task, "taskToken");
    let success = format!(r#"{{"taskToken":{},"output":"{{\"done\": true}}"}}"#, quoted(&token));
    site.ask("SendTaskHeartbeat", body("taskToken", &token));
    site.ask("SendTaskSuccess", &success);
    site.settle(SECOND);
    assert_eq!(status(&mut site, &execution), "SUCCEEDED");
    let expected = ["ExecutionStarted", "TaskStateEntered", "ActivityScheduled", "ActivityStarted"];
    let then = ["ActivitySucceeded", "TaskStateExited", "ExecutionSucceeded"];
    assert_eq!(events(&mut site, &execution), [&expected[..], &then].concat());
    let over = "TaskTimedOut: Task Timed Out: 'Provided task does not exist anymore'";
    site.refused("SendTaskFailure", &body("taskToken", &token), over);
}

#[test]
fn a_worker_without_a_task_waits_for_a_minute() {
    let mut site = Site::new();
    site.ask("CreateActivity", body("name", "dig"));
    let polled = site.begin("GetActivityTask", poll("w"));
    site.settle(59 * SECOND);
    assert!(polled.borrow().is_none());
    site.settle(2 * SECOND);
    let answer = polled.borrow().as_ref().map(Value::to_json);
    assert_eq!(answer.as_deref(), Some(r#"{"taskToken":null,"input":null}"#));
}

#[test]
fn workers_are_served_in_the_order_they_came() {
    let mut site = Site::new();
    site.ask("CreateActivity", body("name", "dig"));
    let machine = site.create("m", &digging(""));
    let polled: Vec<_> = (0..3)
        .map(|n| {
            site.settle(SECOND);
            site.begin("GetActivityTask", poll(&format!("w-{n}")))
        })
        .collect();
    for n in 0..2 {
        site.settle(SECOND);
        site.start(&machine, &format!("e-{n}"), &n.to_string());
    }
    site.settle(SECOND);
    let inputs = polled.iter().map(|polled| polled.borrow().as_ref().map(|task| text(task, "input")));
    assert_eq!(inputs.collect::<Vec<_>>(), [Some("0".into()), Some("1".into()), None]);
}

#[test]
fn many_workers_get_the_tasks_of_one_execution_each_once() {
    let mut site = Site::new();
    site.ask("CreateActivity", body("name", "dig"));
    let processor = digging("");
    let map = format!(
        r#"{{"StartAt":"M","States":{{"M":{{"Type":"Map","ItemProcessor":{processor},"End":true}}}}}}"#
    );
    let machine = site.create("m", &map);
    // An inline Map runs 40 iterations at once at most.
    let polled: Vec<_> = (0..40).map(|_| site.begin("GetActivityTask", poll("w"))).collect();
    let items: Vec<_> = (0..40).map(|n| n.to_string()).collect();
    site.start(&machine, "e", &format!("[{}]", items.join(",")));
    site.settle(SECOND);
    let inputs = polled.iter().map(|polled| polled.borrow().as_ref().map(|task| text(task, "input")));
    let mut inputs: Vec<_> = inputs.map(Option::unwrap_or_default).collect();
    inputs.sort_by_key(|input| input.parse::<u32>().ok());
    assert_eq!(inputs, items);
}

#[test]
fn both_clocks_start_when_a_worker_takes_the_task() {
    let (mut site, execution) = waiting(r#","TimeoutSeconds":30,"HeartbeatSeconds":10"#);
    site.settle(1000 * SECOND);
    assert_eq!(status(&mut site, &execution), "RUNNING");
    let token = text(&site.ask("GetActivityTask", poll("w")), "taskToken");
    for _ in 0..2 {
        site.settle(9 * SECOND);
        site.ask("SendTaskHeartbeat", body("taskToken", &token));
    }
    site.settle(9 * SECOND);
    assert_eq!(status(&mut site, &execution), "RUNNING");
    site.settle(4 * SECOND);
    assert_eq!(status(&mut site, &execution), "FAILED");
    assert_eq!(events(&mut site, &execution)[3..5], ["ActivityStarted", "ActivityTimedOut"]);
    let over = "TaskTimedOut: Task Timed Out: 'Provided task does not exist anymore'";
    site.refused("SendTaskSuccess", &format!(r#"{{"taskToken":{},"output":"1"}}"#, quoted(&token)), over);
}

#[test]
fn a_task_of_an_execution_that_is_over_is_given_to_nobody() {
    let (mut site, execution) = waiting("");
    site.ask("StopExecution", body("executionArn", &execution));
    let polled = site.begin("GetActivityTask", poll("w"));
    site.settle(61 * SECOND);
    let answer = polled.borrow().as_ref().map(Value::to_json);
    assert_eq!(answer.as_deref(), Some(r#"{"taskToken":null,"input":null}"#));
    assert!(site.world.activities.tasks().is_empty(), "its entry is gone");
}

#[test]
fn a_task_of_an_activity_that_does_not_exist_fails_the_execution() {
    let mut site = Site::new();
    let machine = site.create("m", &digging(r#","Catch":[{"ErrorEquals":["States.ALL"],"Next":"D"}]"#));
    let execution = site.start(&machine, "e", "{}");
    site.settle(SECOND);
    let described = site.ask("DescribeExecution", body("executionArn", &execution));
    assert_eq!(text(&described, "error"), "States.Runtime");
    assert_eq!(
        text(&described, "cause"),
        format!(
            "An error occurred while executing the state 'D' (entered at the event id #2). \
             The activity {ACTIVITY}dig does not exist."
        )
    );
    assert_eq!(events(&mut site, &execution), ["ExecutionStarted", "TaskStateEntered", "ExecutionFailed"]);
}

#[test]
fn an_activity_has_so_many_workers_at_most() {
    let mut site = Site::new();
    site.ask("CreateActivity", body("name", "dig"));
    let polls: Vec<_> = (0..POLLERS_MAX).map(|_| site.begin("GetActivityTask", poll("w"))).collect();
    site.settle(SECOND);
    let full = format!("ActivityWorkerLimitExceeded: Activity Worker Limit Exceeded: '{ACTIVITY}dig'");
    site.refused("GetActivityTask", &poll("w"), &full);
    site.settle(61 * SECOND);
    assert!(polls.iter().all(|polled| polled.borrow().is_some()));
}

#[test]
fn testing_an_activity_takes_a_mock() {
    let mut site = Site::new();
    let state = format!(r#"{{"Type":"Task","Resource":"{ACTIVITY}dig","End":true}}"#);
    let request = format!(r#"{{"definition":{},"mock":{{"result":"{{\"n\":1}}"}}}}"#, quoted(&state));
    let tested = site.ask("TestState", request);
    assert_eq!(["status", "output"].map(|name| text(&tested, name)), ["SUCCEEDED", r#"{"n":1}"#]);
}
