//! Tasks that outlive their driver, and those that go from one process to another: functions that take long, nested executions,
//! activities. Each event has a sandbox of its own, which remembers nothing.

use std::time::Duration;

use serde_json::{Value, json};
use stepwell_aws::lambda::{self, Event, Failure};
use stepwell_engine::port::Clock;

use crate::functions::{Account, MACHINE};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:f";

impl Account {
    async fn callback(&self, event: &Value) -> Result<String, Failure> {
        let event = event.to_string();
        lambda::callback(&self.sandbox(), Event::new(&event, "r", self.deadline())).await
    }

    async fn begin(&self, name: &str) {
        let start = json!({ "stateMachineArn": MACHINE, "name": name, "input": { "n": 1 } });
        self.start(&start).await.expect("started");
        self.drive().await;
    }

    /// The types of an execution's events.
    async fn events(&self, name: &str) -> Vec<String> {
        let arn = format!("arn:aws:states:us-east-1:123456789012:execution:orders:{name}");
        let history = self.http("GetExecutionHistory", json!({ "executionArn": arn })).await;
        let events = history["events"].as_array().expect("it is a list");
        events.iter().map(|event| event["type"].as_str().expect("it is text").to_owned()).collect()
    }

    /// What Lambda tells of an invocation's end.
    fn record(&self, id: &str, condition: &str, response: Value) -> Value {
        let now = jiff::Timestamp::from_millisecond(self.world.clock.now().0).expect("it is a time");
        let mut context = json!({ "statusCode": 200, "executedVersion": "$LATEST" });
        if condition != "Success" {
            context["functionError"] = json!("Unhandled");
        }
        json!({
            "version": "1.0",
            "timestamp": now.to_string(),
            "requestContext": { "requestId": id, "functionArn": format!("{FUNCTION}:$LATEST"),
                "condition": condition, "approximateInvokeCount": 1 },
            "requestPayload": { "n": 1 },
            "responseContext": context,
            "responsePayload": response,
        })
    }
}

#[tokio::test]
async fn functions_that_take_long_are_told_of_by_their_destination() {
    let account = Account::with(json!({ "StartAt": "A", "States": {
        "A": { "Type": "Task", "Resource": FUNCTION, "Next": "B" },
        "B": { "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": { "FunctionName": "f", "Payload.$": "$" }, "ResultSelector": { "got.$": "$.Payload" }, "End": true } } }))
    .await;
    account.lambda.set_timeout(900);
    account.begin("a").await;
    let [(first, payload)] = &account.lambda.take_events()[..] else { panic!("one event") };
    assert_eq!(payload, r#"{"n":1}"#);
    assert_eq!(account.describe("a").await["status"], "RUNNING");
    account.world.clock.advance(Duration::from_secs(700));
    account.drive().await;
    assert_eq!(account.describe("a").await["status"], "RUNNING");

    let early = account.callback(&account.record("unknown", "Success", json!(1))).await;
    assert_eq!(early.expect_err("it may be kept in a moment").error_type, "TaskDoesNotExist");
    let late = account.record("unknown", "Success", json!(1));
    account.world.clock.advance(Duration::from_secs(61));
    assert_eq!(account.callback(&late).await.expect("it is somebody else's"), "null");

    let record = account.record(first, "Success", json!({ "m": 2 }));
    for _ in 0..2 {
        account.callback(&record).await.expect("taken, or taken before");
    }
    account.drive().await;
    let [(second, payload)] = &account.lambda.take_events()[..] else { panic!("one event") };
    assert_eq!(payload, r#"{"m":2}"#);
    account.callback(&account.record(second, "Success", json!("done"))).await.expect("taken");
    account.callback(&record).await.expect("taken before");
    account.drive().await;
    let described = account.describe("a").await;
    assert_eq!(described["output"], r#"{"got":"done"}"#, "{described}");
    let events = account.events("a").await;
    assert_eq!(
        events,
        [
            "ExecutionStarted",
            "TaskStateEntered",
            "LambdaFunctionScheduled",
            "LambdaFunctionStarted",
            "LambdaFunctionSucceeded",
            "TaskStateExited",
            "TaskStateEntered",
            "TaskScheduled",
            "TaskStarted",
            "TaskSucceeded",
            "TaskStateExited",
            "ExecutionSucceeded"
        ]
    );
    assert!(account.lambda.payloads().is_empty(), "no driver waited");
}

#[tokio::test]
async fn functions_that_take_long_may_fail_or_never_end() {
    let task = json!({ "Type": "Task", "Resource": FUNCTION, "TimeoutSeconds": 1000, "End": true,
        "Catch": [{ "ErrorEquals": ["Busy"], "ResultPath": "$.error", "Next": "Busy" }] });
    let busy = json!({ "Type": "Pass", "End": true });
    let account = Account::with(json!({ "StartAt": "A", "States": { "A": task, "Busy": busy } })).await;
    account.lambda.set_timeout(900);
    account.begin("a").await;
    account.begin("b").await;
    let events = account.lambda.take_events();
    let raised = json!({ "errorMessage": "no", "errorType": "Busy" });
    account.callback(&account.record(&events[0].0, "RetriesExhausted", raised)).await.expect("taken");
    account.drive().await;
    let described = account.describe("a").await;
    assert_eq!(described["status"], "SUCCEEDED", "{described}");
    assert!(described["output"].as_str().expect("it is text").contains(r#""Error":"Busy""#));
    for _ in 0..20 {
        account.world.clock.advance(Duration::from_secs(61));
        account.drive().await;
        account.fire().await;
    }
    let described = account.describe("b").await;
    assert_eq!((&described["status"], &described["error"]), (&json!("FAILED"), &json!("States.Timeout")));
    account.callback(&account.record(&events[1].0, "Success", json!(1))).await.expect("of no use");
}

impl Account {
    /// Lets schedules fire whose time has come.
    async fn fire(&self) {
        while let Some(schedule) = self.due_schedule() {
            let event = Event::new(&schedule.input, "r", self.deadline());
            lambda::timer(&self.sandbox(), event).await.expect("sent on");
            self.drive().await;
        }
    }
}

/// A machine beside the account's first.
async fn child(account: &Account, definition: Value) -> String {
    let request = json!({ "name": "child", "definition": definition.to_string(), "roleArn": "arn:aws:iam::123456789012:role/r" });
    let created = account.http("CreateStateMachine", request).await;
    created["stateMachineArn"].as_str().expect("it is an ARN").to_owned()
}

#[tokio::test]
async fn executions_start_others_in_every_way() {
    let child_arn = MACHINE.replace("orders", "child");
    let start = |name: &str, resource: &str, input: Value| {
        json!({ "StartAt": name, "States": { name: { "Type": "Task", "End": true,
            "Resource": format!("arn:aws:states:::{resource}"),
            "Parameters": { "StateMachineArn": child_arn, "Input": input } } } })
    };
    let (n, token) = (json!({ "n.$": "$.n" }), json!({ "token.$": "$$.Task.Token" }));
    let branches = [
        start("A", "states:startExecution", n.clone()),
        start("B", "states:startExecution.sync", n.clone()),
        start("C", "states:startExecution.sync:2", n),
        start("D", "states:startExecution.waitForTaskToken", token),
        start("E", "aws-sdk:sfn:startExecution", json!("{}")),
    ];
    let account = Account::with(json!({ "StartAt": "P", "States": {
        "P": { "Type": "Parallel", "Branches": branches, "End": true } } }))
    .await;
    // The children end well after their parent's driver has left.
    let arn = child(
        &account,
        json!({ "StartAt": "W", "States": { "W": { "Type": "Wait", "Seconds": 30, "Next": "T" },
            "T": { "Type": "Task", "Resource": FUNCTION, "End": true } } }),
    )
    .await;
    assert_eq!(arn, child_arn);
    account.begin("a").await;
    let running =
        account.http("ListExecutions", json!({ "stateMachineArn": arn, "statusFilter": "RUNNING" })).await;
    assert_eq!(running["executions"].as_array().map(Vec::len), Some(5), "{running}");
    account.world.clock.advance(Duration::from_secs(31));
    account.drive().await;
    let tokens: Vec<_> = account
        .lambda
        .payloads()
        .iter()
        .filter_map(|input| {
            let input: Value = serde_json::from_str(input).expect("it is JSON");
            input.get("token").cloned()
        })
        .collect();
    assert_eq!(account.describe("a").await["status"], "RUNNING", "its token is out");
    account.callback(&json!({ "taskToken": tokens[0], "output": { "told": true } })).await.expect("taken");
    account.drive().await;
    let described = account.describe("a").await;
    assert_eq!(described["status"], "SUCCEEDED", "{described}");
    let output: Value =
        serde_json::from_str(described["output"].as_str().expect("it is text")).expect("it is JSON");
    assert!(output[0]["ExecutionArn"].as_str().is_some_and(|arn| arn.contains(":child:")), "{output}");
    assert_eq!((&output[1]["Status"], &output[1]["Output"]), (&json!("SUCCEEDED"), &json!(r#"{"n":1}"#)));
    assert_eq!((&output[2]["Status"], &output[2]["Output"]), (&json!("SUCCEEDED"), &json!({ "n": 1 })));
    assert_eq!(output[3], json!({ "told": true }));
    assert!(output[4]["ExecutionArn"].is_string(), "{output}");
}

#[tokio::test]
async fn a_worker_in_one_process_gets_the_task_of_another() {
    let activity = "arn:aws:states:us-east-1:123456789012:activity:dig";
    let task = json!({ "Type": "Task", "Resource": activity, "TimeoutSeconds": 600, "End": true });
    let account = Account::new().await;
    account.http("CreateActivity", json!({ "name": "dig" })).await;
    let machine = json!({ "name": "orders", "roleArn": "arn:aws:iam::123456789012:role/r",
        "definition": json!({ "StartAt": "A", "States": { "A": task } }).to_string() });
    account.http("CreateStateMachine", machine).await;
    account.world.wire.take();

    // Nothing comes for twenty seconds; then somebody else's process has a task.
    let clock = account.world.clock.clone();
    let passing = async |seconds: u32| {
        for _ in 0..seconds * 4 {
            clock.advance(Duration::from_millis(250));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let began = clock.now().0;
    let asked = account.http("GetActivityTask", json!({ "activityArn": activity, "workerName": "w" }));
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        passing(20).await;
        let looks = account.world.wire.take().iter().filter(|request| *request == "Query").count();
        assert!((8..=14).contains(&looks), "{looks}: it looks ever less often");
        account.begin("a").await;
        passing(3).await;
    };
    let (given, ()) = tokio::join!(asked, meanwhile);
    assert_eq!(given["input"], r#"{"n":1}"#, "{given}");
    assert!(clock.now().0 - began < 24_000);
    account.callback(&json!({ "taskToken": given["taskToken"], "output": 7 })).await.expect("taken");
    account.drive().await;
    assert_eq!(account.describe("a").await["output"], "7");

    // Whoever waits in vain is told so before API Gateway gives up.
    let began = clock.now().0;
    let asked = account.http("GetActivityTask", json!({ "activityArn": activity }));
    let (none, ()) = tokio::join!(asked, passing(30));
    assert_eq!(none, json!({ "taskToken": null, "input": null }));
    assert!(clock.now().0 - began <= 30_000);
}
