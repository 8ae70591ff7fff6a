//! Nested executions and `aws-sdk:sfn:…`, over an API that remembers what it was asked.

#![allow(clippy::unwrap_used, reason = "a test fails where there is nothing to unwrap")]

mod stub;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stepwell_engine::message::Callback;
use stepwell_engine::meta::{End, Meta, RunId};
use stepwell_engine::port::{TaskAnswer, Tasks};
use stepwell_engine::{StepFunctions, StepFunctionsAnswer, StepFunctionsCall};
use stepwell_expr::Payload;
use stepwell_integrations::{Integrations, Sfn, States};
use stepwell_interpreter::{ErrorOutput, Outcome, Resource, Timestamp};
use stub::{error, output, task};

/// Answers everything alike.
struct Answering {
    status: u16,
    error_type: Option<&'static str>,
    body: &'static str,
    asked: Mutex<Vec<(String, String)>>,
}

#[async_trait]
impl StepFunctions for Answering {
    async fn call(&self, call: StepFunctionsCall<'_>) -> StepFunctionsAnswer {
        let body = String::from_utf8(call.body.to_vec()).unwrap();
        self.asked.lock().unwrap().push((call.operation.to_owned(), body));
        let (status, error_type, body) = (self.status, self.error_type, self.body.into());
        StepFunctionsAnswer { status, body, error_type, request_id: "7-7".into() }
    }
}

/// The answer to a task, and `Operation request` as it was asked.
async fn answered(
    resource: &str,
    parameters: &str,
    (error_type, body): (Option<&'static str>, &'static str),
) -> (TaskAnswer, String) {
    let status = if error_type.is_some() { 400 } else { 200 };
    let api = Arc::new(Answering { status, error_type, body, asked: Mutex::default() });
    let integrations = Integrations::builder()
        .register("states", Arc::new(States::new(api.clone())))
        .register("aws-sdk:sfn", Arc::new(Sfn::new(api.clone())))
        .build();
    let answer = integrations.call(task(&format!("arn:aws:states:::{resource}"), parameters)).await;
    let asked = api.asked.lock().unwrap();
    (answer, asked.iter().map(|(operation, body)| format!("{operation} {body}")).collect())
}

const STARTED: (Option<&str>, &str) = (None, r#"{"executionArn":"arn","startDate":1688136139.123}"#);

#[tokio::test]
async fn executions_are_started_with_their_input_as_text() {
    let check = async |parameters: &str, expected: &str| {
        let (_, asked) = answered("states:startExecution", parameters, STARTED).await;
        assert_eq!(asked, format!("StartExecution {expected}"), "{parameters}");
    };
    check(
        r#"{"StateMachineArn":"m","Name":"n","Input":{"a":[1]}}"#,
        r#"{"stateMachineArn":"m","name":"n","input":"{\"a\":[1]}"}"#,
    )
    .await;
    check(
        r#"{"StateMachineArn":"m","Name":"n","Input":"\"text\"","TraceHeader":"t"}"#,
        r#"{"stateMachineArn":"m","name":"n","input":"\"text\"","traceHeader":"t"}"#,
    )
    .await;
    // Without a name: the same one for each try of the same attempt.
    check(
        r#"{"StateMachineArn":"m","Input":null}"#,
        r#"{"stateMachineArn":"m","name":"00000000-0000-4000-8000-000000000001"}"#,
    )
    .await;
}

#[tokio::test]
async fn a_start_tells_of_its_exchange() {
    let parameters = r#"{"StateMachineArn":"m","Name":"n"}"#;
    let (answer, _) = answered("states:startExecution", parameters, STARTED).await;
    let expected = concat!(
        r#"{"ExecutionArn":"arn","SdkHttpMetadata":{"AllHttpHeaders":{"x-amzn-RequestId":["7-7"],"#,
        r#""connection":["keep-alive"],"Content-Length":["51"],"Date":["Fri, 30 Jun 2023 14:42:19 GMT"],"#,
        r#""Content-Type":["application/x-amz-json-1.0"]},"HttpHeaders":{"connection":"keep-alive","#,
        r#""Content-Length":"51","Content-Type":"application/x-amz-json-1.0","#,
        r#""Date":"Fri, 30 Jun 2023 14:42:19 GMT","x-amzn-RequestId":"7-7"},"HttpStatusCode":200},"#,
        r#""SdkResponseMetadata":{"RequestId":"7-7"},"StartDate":1688136139123}"#
    );
    assert_eq!(output(answer), expected);
    for pattern in [".sync", ".sync:2", ".waitForTaskToken"] {
        let (answer, _) = answered(&format!("states:startExecution{pattern}"), parameters, STARTED).await;
        assert!(matches!(answer, TaskAnswer::Submitted(output) if **output.text() == *expected), "{pattern}");
    }
}

#[tokio::test]
async fn operations_are_spelled_as_the_java_sdk_does() {
    let (answer, asked) = answered(
        "aws-sdk:sfn:describeExecution",
        r#"{"ExecutionArn":"e","Tags":[{"Key":"a","Value":"B"}]}"#,
        (None, r#"{"startDate":1688136139.120,"output":null,"inputDetails":{"included":true},"variableReferences":{"State":["a"]}}"#),
    )
    .await;
    assert_eq!(asked, r#"DescribeExecution {"executionArn":"e","tags":[{"key":"a","value":"B"}]}"#);
    let expected = r#"{"StartDate":"2023-06-30T14:42:19.120Z","InputDetails":{"Included":true},"VariableReferences":{"State":["a"]}}"#;
    assert_eq!(output(answer), expected);
}

#[tokio::test]
async fn exceptions_have_the_names_of_their_sdk() {
    let refused = (Some("StateMachineDoesNotExist"), r#"{"message":"No machine"}"#);
    let check = async |resource: &str, parameters: &str, name: &str, cause: &str| {
        let (answer, _) = answered(resource, parameters, refused).await;
        let TaskAnswer::Ended(Outcome::Failed(failed)) = answer else { panic!("{answer:?}") };
        assert_eq!(error(TaskAnswer::Ended(Outcome::Failed(failed))), (name.to_owned(), cause.to_owned()));
    };
    let parameters = r#"{"StateMachineArn":"m"}"#;
    check(
        "states:startExecution",
        parameters,
        "StepFunctions.StateMachineDoesNotExistException",
        "No machine (Service: AWSStepFunctions; Status Code: 400; Error Code: StateMachineDoesNotExist; Request ID: 7-7; Proxy: null)",
    )
    .await;
    check(
        "aws-sdk:sfn:startExecution",
        parameters,
        "Sfn.StateMachineDoesNotExistException",
        "No machine (Service: Sfn, Status Code: 400, Request ID: 7-7) (SDK Attempt Count: 1)",
    )
    .await;
    check(
        "states:startExecution",
        r#"{"StateMachineArn":"m","Nmae":"n"}"#,
        "States.Runtime",
        "The Parameters '{\"StateMachineArn\":\"m\",\"Nmae\":\"n\"}' could not be used to start the Task: [The field \"Nmae\" is not supported by Step Functions]",
    )
    .await;
}

/// Before AWS calls anything it assumes the role of the task's `Credentials`: that it may not is no exception of the service.
#[tokio::test]
async fn a_role_that_may_not_be_assumed_is_no_exception_of_the_service() {
    let denied =
        (Some("AccessDeniedException"), r#"{"__type":"AccessDeniedException","Message":"The role m …"}"#);
    for resource in ["states:startExecution", "states:startExecution.sync:2", "aws-sdk:sfn:startExecution"] {
        let (answer, _) = answered(resource, r#"{"StateMachineArn":"m"}"#, denied).await;
        assert_eq!(error(answer), ("States.TaskFailed".to_owned(), "The role m …".to_owned()), "{resource}");
    }
}

#[tokio::test]
async fn only_starts_that_are_awaited_may_be_made_again() {
    let api = Arc::new(Answering { status: 200, error_type: None, body: "{}", asked: Mutex::default() });
    let integrations = Integrations::builder()
        .register("states", Arc::new(States::new(api.clone())))
        .register("aws-sdk:sfn", Arc::new(Sfn::new(api)))
        .build();
    for (resource, again) in [
        ("states:startExecution", false),
        ("states:startExecution.sync", true),
        ("states:startExecution.sync:2", true),
        ("states:startExecution.waitForTaskToken", false),
        ("aws-sdk:sfn:startExecution", false),
    ] {
        let arn = format!("arn:aws:states:::{resource}");
        assert_eq!(integrations.is_idempotent(&Resource::parse(&arn).unwrap()), again, "{resource}");
    }
}

#[test]
fn a_job_ends_with_what_is_told_of_its_execution() {
    let check = |pattern: &str, end: End, expected: &str| {
        let parent = task("arn:aws:states:::states:startExecution", "{}");
        let child = Meta {
            execution_arn: "arn".into(),
            run: RunId::default(),
            epoch: 0,
            info: parent.info,
            input: Payload::parse(r#"{"i":1}"#).unwrap(),
            revision: "r".into(),
            trace_header: None,
            end: Some(end),
            parked: None,
            parent: None,
            redriven_at: None,
        };
        let resource = format!("arn:aws:states:::states:startExecution{pattern}");
        let text = match Integrations::builder().build().child_outcome(&resource, &child) {
            Callback::Success(output) => output.text().to_string(),
            Callback::Failure(error) => format!("{} {}", error.error.unwrap(), error.cause.unwrap()),
        };
        assert_eq!(text, expected, "{pattern}");
    };
    let ended = |status: &'static str, output: Option<&str>, error: ErrorOutput| End {
        status,
        output: output.map(|text| Payload::parse(text).unwrap()),
        error,
        at: Timestamp(2),
        output_at: None,
        events: 0,
    };
    let output = r#"{"a":1}"#;
    check(
        ".sync",
        ended("SUCCEEDED", Some(output), ErrorOutput::default()),
        concat!(
            r#"{"ExecutionArn":"arn","Input":"{\"i\":1}","InputDetails":{"Included":true},"Name":"run","#,
            r#""Output":"{\"a\":1}","OutputDetails":{"Included":true},"RedriveCount":0,"#,
            r#""RedriveStatus":"NOT_REDRIVABLE","#,
            r#""RedriveStatusReason":"Execution is SUCCEEDED and cannot be redriven","StartDate":0,"#,
            r#""StateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:machine","#,
            r#""Status":"SUCCEEDED","StopDate":2}"#
        ),
    );
    check(
        ".sync:2",
        ended("SUCCEEDED", Some(output), ErrorOutput::default()),
        concat!(
            r#"{"ExecutionArn":"arn","Input":{"i":1},"InputDetails":{"Included":true},"Name":"run","#,
            r#""Output":{"a":1},"OutputDetails":{"Included":true},"RedriveCount":0,"#,
            r#""RedriveStatus":"NOT_REDRIVABLE","#,
            r#""RedriveStatusReason":"Execution is SUCCEEDED and cannot be redriven","StartDate":0,"#,
            r#""StateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:machine","#,
            r#""Status":"SUCCEEDED","StopDate":2}"#
        ),
    );
    check(
        ".sync:2",
        ended("FAILED", None, ErrorOutput::new("E", "C")),
        concat!(
            r#"States.TaskFailed {"Cause":"C","Error":"E","ExecutionArn":"arn","Input":{"i":1},"#,
            r#""InputDetails":{"Included":true},"Name":"run","RedriveCount":0,"RedriveStatus":"REDRIVABLE","#,
            r#""StartDate":0,"#,
            r#""StateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:machine","#,
            r#""Status":"FAILED","StopDate":2}"#
        ),
    );
}
