//! Nested executions and `aws-sdk:sfn:…`, over an API that remembers what it was asked.

#![allow(clippy::unwrap_used, reason = "a test fails where there is nothing to unwrap")]

mod stub;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stepwell_engine::port::{TaskAnswer, Tasks};
use stepwell_engine::{StepFunctions, StepFunctionsAnswer, StepFunctionsCall};
use stepwell_integrations::{Integrations, Sfn, States};
use stepwell_interpreter::Outcome;
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
    let (answer, _) = answered("states:startExecution.waitForTaskToken", parameters, STARTED).await;
    assert!(matches!(answer, TaskAnswer::Submitted(output) if **output.text() == *expected));
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
