//! The functions on all services: events in, answers out.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use stepwell_aws::lambda::{self, Event, Failure};
use stepwell_aws::{Assembly, Config};
use stepwell_engine::message::{Message, MessageBody};
use stepwell_engine::meta::RunId;
use stepwell_engine::port::{Clock, Scheduler};
use stepwell_integrations::{Aws, Http, HttpAnswer, HttpClient, HttpError, Keys};
use stepwell_interpreter::{TimerId, Timestamp};

use crate::lambda::{Call, Lambda};
use crate::stub::{Schedule, Stub};
use crate::support::{TABLE, Wire, World};

pub(crate) const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:orders";

/// The function's configured timeout.
const TIMEOUT: Duration = Duration::from_secs(900);

/// Requests for the table go to the emulator, those for the queue and the scheduler to the stub, all others to where they say.
#[derive(Debug, Clone)]
struct Services {
    dynamodb: Wire,
    stub: Stub,
    others: Arc<HttpClient>,
}

#[async_trait]
impl Http for Services {
    async fn send(&self, request: Request<Bytes>, bytes_max: usize) -> Result<HttpAnswer, HttpError> {
        let target = request.headers().get("x-amz-target").map(|target| target.as_bytes());
        if target.is_some_and(|target| target.starts_with(b"DynamoDB")) {
            self.dynamodb.send(request, bytes_max).await
        } else if request.uri().host() == Some("stub") {
            self.stub.send(request, bytes_max).await
        } else {
            self.others.send(request, bytes_max).await
        }
    }
}

/// A deployment.
pub(crate) struct Account {
    pub(crate) world: World,
    stub: Stub,
    pub(crate) lambda: Lambda,
    /// CloudWatch Logs and EventBridge, to which any answer is a good one.
    told: Lambda,
}

impl Account {
    pub(crate) async fn new() -> Self {
        let world = World::new().await;
        let stub = Stub::new(world.clock.clone());
        let lambda = Lambda::new(world.clock.clone()).await;
        let told = Lambda::new(world.clock.clone()).await;
        Account { world, stub, lambda, told }
    }

    /// One with a machine.
    pub(crate) async fn with(definition: Value) -> Self {
        Account::with_more(definition, json!({})).await
    }

    /// The same, with more members of CreateStateMachine.
    async fn with_more(definition: Value, more: Value) -> Self {
        let account = Account::new().await;
        let mut request = json!({ "name": "orders", "definition": definition.to_string(), "roleArn": "arn:aws:iam::123456789012:role/r" });
        request.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        let created = account.http("CreateStateMachine", request).await;
        assert_eq!(created["stateMachineArn"], MACHINE, "{created}");
        account
    }

    /// A sandbox that has just been made.
    pub(crate) fn sandbox(&self) -> Assembly {
        let variables = |name: &str| {
            let value = match name {
                "AWS_REGION" => "us-east-1",
                "AWS_ACCESS_KEY_ID" => self.world.account(),
                "AWS_SECRET_ACCESS_KEY" => "test",
                "AWS_ENDPOINT_URL_DYNAMODB" => self.world.endpoint(),
                "AWS_ENDPOINT_URL_LAMBDA" | "AWS_ENDPOINT_URL_STS" => &self.lambda.endpoint,
                "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS" | "AWS_ENDPOINT_URL_EVENTBRIDGE" => &self.told.endpoint,
                "AWS_ENDPOINT_URL" => "http://stub",
                "STEPWELL_STATUS_EVENTS" => "on",
                "STEPWELL_ACCOUNT_ID" => "123456789012",
                "STEPWELL_TABLE" => TABLE,
                "STEPWELL_QUEUE_URL" => "http://stub/queue",
                "STEPWELL_SCHEDULE_GROUP" => "stepwell",
                "STEPWELL_SCHEDULE_ROLE_ARN" => "arn:aws:iam::123456789012:role/schedules",
                "STEPWELL_TIMER_ARN" => "arn:aws:lambda:us-east-1:123456789012:function:timer",
                "STEPWELL_STATE_MACHINE_ARN" => MACHINE,
                _ => return None,
            };
            Some(value.to_owned())
        };
        let config = Config::from_variables(variables).expect("it is whole");
        let (dynamodb, stub, others) = (self.world.wire.clone(), self.stub.clone(), Arc::default());
        let keys = Keys::of(config.credentials.clone());
        let aws = Aws::new("us-east-1", config.endpoints.clone(), keys);
        let aws = aws.over(Services { dynamodb, stub, others });
        Assembly::with(config, aws, self.world.clock.clone())
    }

    pub(crate) fn deadline(&self) -> i64 {
        self.world.clock.now().0 + TIMEOUT.as_millis() as i64
    }

    /// Calls the API over HTTP; the answer's body.
    pub(crate) async fn http(&self, operation: &str, body: Value) -> Value {
        let event = http_api(operation, &body).to_string();
        let event = Event::new(&event, "request", self.deadline());
        let answer = lambda::api(&self.sandbox(), event).await.expect("there is an answer");
        let answer: Value = serde_json::from_str(&answer).expect("it is JSON");
        serde_json::from_str(answer["body"].as_str().expect("there is a body")).expect("it is JSON")
    }

    pub(crate) async fn start(&self, event: &Value) -> Result<Value, Failure> {
        let (event, deadline) = (event.to_string(), self.deadline());
        let answer = lambda::start(&self.sandbox(), Event::new(&event, "request-1", deadline)).await?;
        Ok(serde_json::from_str(&answer).expect("it is JSON"))
    }

    /// Takes a schedule whose time has come.
    pub(crate) fn due_schedule(&self) -> Option<Schedule> {
        self.stub.next_schedule(self.world.clock.now())
    }

    /// What can be received, as an event source mapping hands it over.
    fn receive(&self) -> Vec<Value> {
        let mut records = vec![];
        while let Some(received) = self.stub.receive() {
            records.push(json!({
                "messageId": received.id,
                "receiptHandle": received.receipt,
                "body": received.body,
                "attributes": { "ApproximateReceiveCount": received.receives.to_string() },
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:transitions",
                "awsRegion": "us-east-1",
            }));
        }
        records
    }

    /// Hands a batch to `step`, removes what is done with as the mapping does, and gives what is not.
    async fn step(&self, records: &[Value]) -> Vec<String> {
        let event = json!({ "Records": records }).to_string();
        let event = Event::new(&event, "request", self.deadline());
        let answer = lambda::step(&self.sandbox(), event).await.expect("there is an answer");
        let answer: Value = serde_json::from_str(&answer).expect("it is JSON");
        let failed: Vec<String> = answer["batchItemFailures"]
            .as_array()
            .expect("it is a list")
            .iter()
            .map(|failure| failure["itemIdentifier"].as_str().expect("it is an id").to_owned())
            .collect();
        for id in records.iter().filter_map(|record| record["messageId"].as_str()) {
            if !failed.iter().any(|failed| failed == id) {
                self.stub.delete(id);
            }
        }
        failed
    }

    /// Drives everything that can be received, until nothing can.
    pub(crate) async fn drive(&self) {
        loop {
            let records = self.receive();
            if records.is_empty() {
                return;
            }
            self.step(&records).await;
        }
    }

    pub(crate) async fn describe(&self, name: &str) -> Value {
        let arn = format!("arn:aws:states:us-east-1:123456789012:execution:orders:{name}");
        self.http("DescribeExecution", json!({ "executionArn": arn })).await
    }
}

fn http_api(operation: &str, body: &Value) -> Value {
    json!({
        "version": "2.0",
        "routeKey": "POST /",
        "rawPath": "/",
        "rawQueryString": "",
        "headers": {
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": format!("AWSStepFunctions.{operation}"),
            "x-amzn-trace-id": "Root=1-5e1b4151-5ac6c58f3c3f5f9a9ce0e3f1",
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": "api.execute-api.us-east-1.amazonaws.com",
            "http": { "method": "POST", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1" },
            "requestId": "id",
            "stage": "$default",
        },
        "body": body.to_string(),
        "isBase64Encoded": false,
    })
}

fn rest_api(path: &str, body: &Value) -> Value {
    json!({
        "resource": path,
        "path": path,
        "httpMethod": "POST",
        "headers": { "Content-Type": "application/json" },
        "multiValueHeaders": { "Content-Type": ["application/json"] },
        "queryStringParameters": null,
        "requestContext": { "resourcePath": path, "httpMethod": "POST", "stage": "prod" },
        "body": body.to_string(),
        "isBase64Encoded": false,
    })
}

fn event_bridge(id: &str) -> Value {
    json!({
        "version": "0",
        "id": id,
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "123456789012",
        "time": "2026-01-01T00:00:00Z",
        "region": "us-east-1",
        "resources": ["arn:aws:s3:::bucket"],
        "detail": { "size": 1 },
    })
}

fn tasks(count: usize) -> Value {
    let mut states = serde_json::Map::new();
    for n in 1..=count {
        let resource = "arn:aws:lambda:us-east-1:123456789012:function:f";
        let mut task = json!({ "Type": "Task", "Resource": resource });
        match n == count {
            true => task["End"] = json!(true),
            false => task["Next"] = json!(format!("T{}", n + 1)),
        }
        states.insert(format!("T{n}"), task);
    }
    json!({ "StartAt": "T1", "States": states })
}

#[tokio::test]
async fn every_kind_of_event_starts_an_execution() {
    let account = Account::with(tasks(1)).await;
    let body = |name: &str| json!({ "stateMachineArn": MACHINE, "name": name, "input": r#"{"n":1.10}"# });
    let answer = account.start(&http_api("StartExecution", &body("http"))).await.expect("started");
    assert_eq!(answer["statusCode"], 200, "{answer}");
    assert_eq!(answer["headers"]["Content-Type"], "application/x-amz-json-1.0");
    let answer = account.start(&rest_api("/StartExecution", &body("rest"))).await.expect("started");
    assert!(answer["body"].as_str().expect("it is text").contains("execution:orders:rest"), "{answer}");
    let answer = account.start(&json!({ "stateMachineArn": MACHINE, "input": { "a": [1] } })).await;
    assert!(answer.expect("started")["executionArn"].as_str().expect("it is text").ends_with(":request-1"));
    for _ in 0..2 {
        account.start(&event_bridge("e1")).await.expect("started, or started before");
    }
    let rule = json!({ "stateMachineArn": MACHINE, "event": event_bridge("e2") });
    account.start(&rule).await.expect("started");
    // What the macro makes of rules and schedules with an input of their own.
    let target = json!({ "stateMachineArn": MACHINE, "eventId": "e3", "input": { "own": true } });
    account.start(&target).await.expect("started");

    account.drive().await;
    for name in ["http", "rest", "request-1", "e1", "e2", "e3"] {
        let described = account.describe(name).await;
        assert_eq!(described["status"], "SUCCEEDED", "{name}: {described}");
    }
    assert_eq!(account.describe("http").await["output"], r#"{"n":1.10}"#);
    assert_eq!(account.describe("e3").await["output"], r#"{"own":true}"#);
    assert_eq!(account.lambda.payloads().len(), 6);
    // After its end an event may still be delivered again.
    account.start(&event_bridge("e1")).await.expect("it was started before");
    account.start(&target).await.expect("it was started before");
    account.drive().await;
    assert_eq!(account.lambda.payloads().len(), 6);

    let missing = json!({ "stateMachineArn": format!("{MACHINE}-not") });
    let failure = account.start(&missing).await.expect_err("there is no such machine");
    assert_eq!(failure.error_type, "StateMachineDoesNotExist");
    let other = account.start(&http_api("ListStateMachines", &json!({}))).await.expect("refused");
    assert_eq!(other["headers"]["x-amzn-ErrorType"], "UnknownOperationException");
}

#[tokio::test]
async fn a_message_fails_alone() {
    let account = Account::with(tasks(2)).await;
    for name in ["a", "b", "c"] {
        account.start(&json!({ "stateMachineArn": MACHINE, "name": name })).await.expect("started");
    }
    let mut records = account.receive();
    records[1]["body"] = json!("no message");
    let failed = account.step(&records).await;
    assert_eq!(failed, [records[1]["messageId"].as_str().expect("it is an id")]);
    let status = async |name| account.describe(name).await["status"].as_str().map(str::to_owned);
    let statuses = [status("a").await, status("b").await, status("c").await];
    assert_eq!(statuses.map(Option::unwrap_or_default), ["SUCCEEDED", "RUNNING", "SUCCEEDED"]);

    let nonsense = lambda::step(&account.sandbox(), Event::new(r#"{"a":1}"#, "r", account.deadline())).await;
    assert_eq!(nonsense.expect_err("it is no batch").error_type, "UnknownEvent");
    let broken = lambda::step(&account.sandbox(), Event::new("{", "r", account.deadline())).await;
    assert!(broken.is_err());
}

#[tokio::test]
async fn a_driver_hands_over_before_its_time_is_up() {
    let account = Account::with(tasks(4)).await;
    account.start(&json!({ "stateMachineArn": MACHINE, "name": "a" })).await.expect("started");
    // With 900 s of time, and calls that may take 600, nothing is begun after 294 s.
    account.lambda.set(Call { seconds: 200, is_answered: true });
    let records = account.receive();
    assert!(account.step(&records).await.is_empty());
    assert_eq!(account.lambda.payloads().len(), 2);
    assert_eq!(account.describe("a").await["status"], "RUNNING");
    account.drive().await;
    assert_eq!(account.lambda.payloads().len(), 4);
    assert_eq!(account.describe("a").await["status"], "SUCCEEDED");
}

#[tokio::test]
async fn a_call_that_is_not_answered_in_time_costs_its_own_message_only() {
    let account = Account::with(tasks(1)).await;
    account.start(&json!({ "stateMachineArn": MACHINE, "name": "a" })).await.expect("started");
    let records = account.receive();
    account.lambda.set(Call { seconds: 898, is_answered: false });
    assert_eq!(account.step(&records).await, [records[0]["messageId"].as_str().expect("it is an id")]);
    account.world.clock.advance(Duration::from_secs(70));
    account.drive().await;
    account.world.clock.advance(Duration::from_secs(70));
    account.drive().await;
    let described = account.describe("a").await;
    assert_eq!((&described["status"], &described["error"]), (&json!("FAILED"), &json!("Lambda.Unknown")));
    assert_eq!(account.lambda.payloads().len(), 1);
}

/// What the function `timer` could not send on, as it comes to the queue.
fn not_sent_on(input: &str) -> String {
    let record = json!({
        "version": "1.0",
        "timestamp": "2026-01-01T00:00:00.000Z",
        "requestContext": { "requestId": "r", "condition": "RetriesExhausted", "approximateInvokeCount": 3 },
        "requestPayload": serde_json::from_str::<Value>(input).expect("it is JSON"),
        "responseContext": { "statusCode": 200, "functionError": "Unhandled" },
    });
    record.to_string()
}

#[tokio::test]
async fn a_minute_sends_its_timers_by_way_of_either_function() {
    let account = Account::with(tasks(1)).await;
    let due = Timestamp(account.world.clock.now().0 + 5_000_000);
    let message = |timer| Message {
        execution: "gone".into(),
        run: RunId(1),
        epoch: 0,
        sent_at: Timestamp(1),
        body: MessageBody::TimerFired { timer: TimerId(timer), due },
    };
    let sandbox = account.sandbox();
    let (one, other) =
        tokio::join!(sandbox.timers.schedule(message(1), due), sandbox.timers.schedule(message(2), due));
    one.and(other).expect("both are set");
    let schedules = account.stub.schedules();
    assert_eq!(schedules.len(), 1);
    account.world.clock.advance_to(schedules[0].at);
    let sent =
        || account.stub.take().into_iter().filter(|(name, _)| name == "SendMessageBatch").collect::<Vec<_>>();
    sent();
    let fired = Event::new(&schedules[0].input, "r", account.deadline());
    assert_eq!(lambda::timer(&account.sandbox(), fired).await.expect("sent on"), "null");
    assert_eq!(sent(), [("SendMessageBatch".to_owned(), 2)]);
    account.stub.put("dead", &not_sent_on(&schedules[0].input));
    account.drive().await;
    assert_eq!(sent(), [("SendMessageBatch".to_owned(), 2)]);
}

#[tokio::test]
async fn a_long_wait_goes_by_way_of_the_scheduler() {
    let definition =
        json!({ "StartAt": "W", "States": { "W": { "Type": "Wait", "Seconds": 5000, "End": true } } });
    let account = Account::with(definition).await;
    for name in ["a", "b"] {
        account.start(&json!({ "stateMachineArn": MACHINE, "name": name })).await.expect("started");
        account.drive().await;
    }
    let clock = &account.world.clock;
    let schedules = account.stub.schedules();
    assert_eq!(schedules.len(), 2);
    clock.advance_to(Timestamp(schedules[0].at.0 + 30_000));
    let fired = Event::new(&schedules[0].input, "r", account.deadline());
    assert_eq!(lambda::timer(&account.sandbox(), fired).await.expect("sent on"), "null");
    account.stub.put("dead", &not_sent_on(&schedules[1].input));
    account.drive().await;
    assert_eq!(account.describe("a").await["status"], "RUNNING");
    clock.advance(Duration::from_secs(160));
    account.drive().await;
    for name in ["a", "b"] {
        assert_eq!(account.describe(name).await["status"], "SUCCEEDED", "{name}");
    }
    let nonsense = Event::new(r#"{"due":1,"message":"x"}"#, "r", account.deadline());
    let failure = lambda::timer(&account.sandbox(), nonsense).await.expect_err("it is no message");
    assert_eq!(failure.error_type, "InvalidSchedule");
}

#[tokio::test]
async fn a_callback_ends_a_task() {
    let payload = json!({ "FunctionName": "f", "Payload": { "token.$": "$$.Task.Token" } });
    let task = json!({ "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": payload, "HeartbeatSeconds": 600, "End": true });
    let account = Account::with(json!({ "StartAt": "T", "States": { "T": task } })).await;
    for name in ["a", "b", "c"] {
        account.start(&json!({ "stateMachineArn": MACHINE, "name": name })).await.expect("started");
        account.drive().await;
    }
    let token = |call: &String| {
        let payload: Value = serde_json::from_str(call).expect("it is JSON");
        payload["token"].clone()
    };
    let tokens: Vec<_> = account.lambda.payloads().iter().map(token).collect();
    let callback = async |event: Value| {
        let (event, deadline) = (event.to_string(), account.deadline());
        lambda::callback(&account.sandbox(), Event::new(&event, "r", deadline)).await
    };
    callback(json!({ "taskToken": tokens[0] })).await.expect("a heartbeat");
    callback(json!({ "taskToken": tokens[0], "output": { "n": 1 } })).await.expect("a success");
    callback(json!({ "taskToken": tokens[1], "error": "E", "cause": "why" })).await.expect("a failure");
    let body = json!({ "taskToken": tokens[2], "output": "3" });
    let answer = callback(http_api("SendTaskSuccess", &body)).await.expect("answered");
    assert!(answer.contains(r#""statusCode":200"#), "{answer}");
    let twice = callback(json!({ "taskToken": tokens[1], "output": 2 })).await;
    assert_eq!(twice.expect_err("it has ended").error_type, "TaskTimedOut");
    account.drive().await;
    let described = [account.describe("a").await, account.describe("b").await, account.describe("c").await];
    assert_eq!(described[0]["output"], r#"{"n":1}"#);
    assert_eq!((&described[1]["status"], &described[1]["error"]), (&json!("FAILED"), &json!("E")));
    assert_eq!(described[2]["output"], "3");
}

/// AWS assumes the role of a task's `Credentials` once the task has begun, and before it calls anything.
#[tokio::test]
async fn a_task_whose_role_may_not_be_assumed_fails() {
    const REFUSED: &str = "arn:aws:iam::123456789012:role/refused";
    const ABROAD: &str = "arn:aws:iam::000000000002:role/abroad";
    let task = |resource: &str, parameters: Value, role: &str, next: &str| {
        let catch = json!([{ "ErrorEquals": ["States.TaskFailed"], "Next": next }]);
        json!({ "Type": "Task", "Resource": resource, "Parameters": parameters,
            "Credentials": { "RoleArn": role }, "Catch": catch, "End": true })
    };
    let function = "arn:aws:lambda:us-east-1:123456789012:function:f";
    let (called, started) = (json!({ "FunctionName": "f" }), json!({ "StateMachineArn": MACHINE }));
    let account = Account::with(json!({ "StartAt": "A", "States": {
        "A": task(function, json!({}), REFUSED, "B"),
        "B": task("arn:aws:states:::lambda:invoke", called, REFUSED, "C"),
        "C": task("arn:aws:states:::states:startExecution.sync:2", started.clone(), ABROAD, "D"),
        "D": task("arn:aws:states:::aws-sdk:sfn:startExecution", started, ABROAD, "E"),
        "E": { "Type": "Fail", "ErrorPath": "$.Error", "CausePath": "$.Cause" } } }))
    .await;
    account.start(&json!({ "stateMachineArn": MACHINE, "name": "a" })).await.expect("started");
    account.drive().await;
    let described = account.describe("a").await;
    let cause = |role: &str| {
        let machine = "arn:aws:iam::123456789012:role/r";
        format!("The role {machine} is not authorized to assume the task state's role, {role}.")
    };
    assert_eq!((&described["status"], &described["error"]), (&json!("FAILED"), &json!("States.TaskFailed")));
    assert_eq!(described["cause"], cause(ABROAD));
    assert!(account.lambda.payloads().is_empty(), "nothing was called");

    let arn = "arn:aws:states:us-east-1:123456789012:execution:orders:a";
    let history = account.http("GetExecutionHistory", json!({ "executionArn": arn })).await;
    let events = history["events"].as_array().expect("there are events");
    let expected = [
        ("lambdaFunction", "LambdaFunction", REFUSED),
        ("task", "Task", REFUSED),
        ("task", "Task", ABROAD),
        ("task", "Task", ABROAD),
    ];
    for (at, (member, name, role)) in expected.into_iter().enumerate() {
        let [scheduled, started, failed] = [2, 3, 4].map(|n| &events[at * 5 + n]);
        let types = [scheduled, started, failed].map(|event| event["type"].as_str().unwrap_or_default());
        assert_eq!(types, ["Scheduled", "Started", "Failed"].map(|stage| format!("{name}{stage}")));
        let details = |event: &Value, stage: &str| event[format!("{member}{stage}EventDetails")].clone();
        assert_eq!(details(scheduled, "Scheduled")["taskCredentials"], json!({ "roleArn": role }));
        let failed = details(failed, "Failed");
        assert_eq!((&failed["error"], &failed["cause"]), (&json!("States.TaskFailed"), &json!(cause(role))));
    }
}

#[tokio::test]
async fn what_is_done_with_is_deleted_while_others_go_on() {
    let definition = json!({ "StartAt": "C", "States": {
        "C": { "Type": "Choice", "Choices": [{ "Variable": "$.long", "BooleanEquals": true, "Next": "T" }], "Default": "P" },
        "T": { "Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:f", "End": true },
        "P": { "Type": "Pass", "End": true } } });
    let account = Account::with(definition).await;
    for (name, long) in [("a", true), ("b", false)] {
        let start = json!({ "stateMachineArn": MACHINE, "name": name, "input": { "long": long } });
        account.start(&start).await.expect("started");
    }
    let records = account.receive();
    // While the call lasts, time goes by in steps that a sweep falls into.
    account.lambda.set(Call { seconds: 30, is_answered: false });
    let clock = account.world.clock.clone();
    let passing = async {
        while account.lambda.payloads().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for _ in 0..40 {
            clock.advance(Duration::from_secs(30));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (failed, ()) = tokio::join!(account.step(&records), passing);
    assert_eq!(failed, [records[0]["messageId"].as_str().expect("it is an id")]);
    let requests = account.stub.take();
    let deleted: Vec<_> = requests.iter().filter(|(name, _)| name == "DeleteMessageBatch").collect();
    assert_eq!(deleted.len(), 1, "{requests:?}");
}

#[tokio::test]
async fn an_answer_that_is_too_large_for_a_function_is_cut() {
    let pass = |n: usize| match n {
        20 => json!({ "Type": "Pass", "End": true }),
        n => json!({ "Type": "Pass", "Next": format!("P{}", n + 1) }),
    };
    let states: serde_json::Map<_, _> = (1..=20).map(|n| (format!("P{n}"), pass(n))).collect();
    let account = Account::with(json!({ "StartAt": "P1", "States": states })).await;
    let input = json!({ "text": "\\".repeat(25_000) });
    let start = json!({ "stateMachineArn": MACHINE, "name": "a", "input": input });
    account.start(&start).await.expect("started");
    account.drive().await;
    let arn = "arn:aws:states:us-east-1:123456789012:execution:orders:a";
    let mut request = json!({ "executionArn": arn, "maxResults": 1000 });
    let mut events = 0;
    loop {
        let event = http_api("GetExecutionHistory", &request).to_string();
        let event = Event::new(&event, "request", account.deadline());
        let answer = lambda::api(&account.sandbox(), event).await.expect("there is an answer");
        assert!(answer.len() < 6 * 1024 * 1024, "{} bytes", answer.len());
        let answer: Value = serde_json::from_str(&answer).expect("it is JSON");
        let body: Value =
            serde_json::from_str(answer["body"].as_str().expect("it has one")).expect("it is JSON");
        events += body["events"].as_array().expect("it is a history").len();
        let Some(next) = body.get("nextToken") else { break };
        request["nextToken"] = next.clone();
    }
    assert_eq!(events, 42);
}

#[tokio::test]
async fn an_invocation_may_name_an_operation() {
    let account = Account::with(tasks(1)).await;
    let deadline = account.deadline();
    let api = async |event: Value| {
        let event = event.to_string();
        let answer = lambda::api(&account.sandbox(), Event::new(&event, "r", deadline)).await?;
        Ok::<Value, Failure>(serde_json::from_str(&answer).expect("it is JSON"))
    };
    let listed = api(json!({ "operation": "ListStateMachines", "maxResults": 5 })).await.expect("listed");
    assert_eq!(listed["stateMachines"][0]["stateMachineArn"], MACHINE);
    let refused = api(json!({ "operation": "DescribeStateMachine", "stateMachineArn": "x" })).await;
    assert_eq!(refused.expect_err("it is no ARN").error_type, "InvalidArn");
    let unknown = api(json!({ "operation": "Dance" })).await.expect_err("it is no operation");
    assert_eq!(unknown.error_type, "UnknownOperationException");
    assert!(api(json!({ "hello": 1 })).await.is_err());

    let definition = json!({ "StartAt": "P", "States": { "P": { "Type": "Pass", "End": true } } });
    let quick = json!({ "operation": "CreateStateMachine", "name": "quick", "type": "EXPRESS",
        "definition": definition, "roleArn": "arn:aws:iam::123456789012:role/r" });
    let arn = api(quick).await.expect("created")["stateMachineArn"].clone();
    let start = json!({ "operation": "StartSyncExecution", "stateMachineArn": arn, "input": [1] });
    let run = account.start(&start).await.expect("it ran");
    assert_eq!((&run["status"], &run["output"]), (&json!("SUCCEEDED"), &json!("[1]")));
    let other = account.start(&json!({ "operation": "StopExecution" })).await.expect_err("not here");
    assert_eq!(other.error_type, "UnknownOperationException");
}

/// How a machine of `machine_type` is logged: everything.
fn logged(machine_type: &str) -> Value {
    let group = json!({ "logGroupArn": "arn:aws:logs:us-east-1:123456789012:log-group:g:*" });
    let destinations = json!([{ "cloudWatchLogsLogGroup": group }]);
    let logging = json!({ "level": "ALL", "includeExecutionData": true, "destinations": destinations });
    json!({ "type": machine_type, "loggingConfiguration": logging })
}

impl Account {
    /// The types of the events that were logged, and the statuses that were told.
    fn told(&self) -> (Vec<String>, Vec<String>) {
        let bodies = self.told.payloads();
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        let texts = |members: [&str; 3]| {
            let [list, text, member] = members;
            let all =
                bodies.iter().flat_map(|body| parse(body)[list].as_array().cloned().unwrap_or_default());
            let read = |one: Value| parse(one[text].as_str().unwrap_or_default())[member].clone();
            all.map(|one| read(one).as_str().unwrap_or_default().to_owned()).collect()
        };
        (texts(["logEvents", "message", "type"]), texts(["Entries", "Detail", "status"]))
    }
}

#[tokio::test]
async fn what_is_logged_and_told() {
    let account = Account::with_more(tasks(1), logged("STANDARD")).await;
    account.start(&json!({ "stateMachineArn": MACHINE, "name": "a" })).await.expect("started");
    account.drive().await;
    let expected = [
        "ExecutionStarted",
        "TaskStateEntered",
        "LambdaFunctionScheduled",
        "LambdaFunctionStarted",
        "LambdaFunctionSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ];
    assert_eq!(
        account.told(),
        (expected.map(str::to_owned).into(), vec!["RUNNING".into(), "SUCCEEDED".into()])
    );
}

#[tokio::test]
async fn an_express_execution_touches_no_table() {
    let account = Account::with_more(tasks(2), logged("EXPRESS")).await;
    account.world.wire.take();
    account.start(&json!({ "stateMachineArn": MACHINE, "name": "a" })).await.expect("started");
    account.drive().await;
    let requests = account.world.wire.take();
    let reads = ["GetItem", "Query", "BatchGetItem"];
    assert!(requests.iter().all(|name| reads.contains(&name.as_str())), "{requests:?}");
    let (logged, told) = account.told();
    assert_eq!(
        (logged.len(), logged.last().map(String::as_str)),
        (12, Some("ExecutionSucceeded")),
        "{logged:?}"
    );
    assert!(told.is_empty(), "Express executions have no status events: {told:?}");
    assert_eq!(account.lambda.payloads().len(), 2);
    assert!(account.receive().is_empty());
}

#[test]
fn everything_may_be_awaited_on_any_thread() {
    fn send<T: Send>(_: impl Fn(&'static Assembly, Event<'static>) -> T) {}
    send(|assembly, event| lambda::start(assembly, event));
    send(|assembly, event| lambda::step(assembly, event));
    send(|assembly, event| lambda::timer(assembly, event));
    send(|assembly, event| lambda::callback(assembly, event));
    send(|assembly, event| lambda::api(assembly, event));
}
