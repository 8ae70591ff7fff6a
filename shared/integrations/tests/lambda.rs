//! Calls of functions, over HTTP and hosted.

mod stub;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use stepwell_engine::port::{Accepted, TaskAnswer, TaskCall, Tasks};
use stepwell_integrations::{
    Aws, Endpoints, FunctionHost, HostAnswer, HostCall, Integrations, Keys, Lambda, LambdaClient, Service,
};
use stub::{Stub, error, output, task};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:f";
const INVOKE: &str = "arn:aws:states:::lambda:invoke";
const OK: [(&str, &str); 4] = [
    ("x-amzn-RequestId", "7-7"),
    ("X-Amz-Executed-Version", "$LATEST"),
    ("content-type", "application/json"),
    ("date", "Fri, 20 Nov 2026 06:00:00 GMT"),
];
const FAILED: [(&str, &str); 2] = [("x-amzn-RequestId", "7-7"), ("X-Amz-Function-Error", "Unhandled")];

fn calling(stub: &Stub) -> Integrations {
    let endpoints = Endpoints::aws().with(Service::Lambda, stub.endpoint.clone());
    let client = LambdaClient::new(&Aws::new("us-east-1", endpoints, Keys::none()));
    Integrations::builder().register("lambda", Arc::new(Lambda::new().called_by(client))).build()
}

#[tokio::test]
async fn a_function_gets_the_whole_input_and_its_payload_is_the_result() {
    let stub = Stub::answering(200, &OK, "{\"a\": [1.0 , null]}").await;
    let answer = calling(&stub).call(task(FUNCTION, "{\"in\" : 1}")).await;
    assert_eq!(output(answer), "{\"a\": [1.0 , null]}");
    let [asked] = &stub.asked()[..] else { panic!("one request") };
    let arn = "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af";
    assert_eq!(
        (&*asked.method, &*asked.path),
        ("POST", &*format!("/2015-03-31/functions/{arn}/invocations"))
    );
    assert_eq!(asked.body, "{\"in\" : 1}");
    assert_eq!(asked.header("content-type"), "application/json");
    let signature = asked.header("authorization");
    assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=test/"), "{signature}");
    assert!(
        signature.contains("/us-east-1/lambda/aws4_request, SignedHeaders=content-type;host;x-amz-date, ")
    );
}

#[tokio::test]
async fn invoke_shows_the_exchange() {
    let stub = Stub::answering(200, &OK, "\"HelloWorld!\"").await;
    let parameters = r#"{"FunctionName":"f","Payload":{"a":1},"LogType":"Tail","Qualifier":"v 1"}"#;
    let answer = calling(&stub).call(task(INVOKE, parameters)).await;
    assert_eq!(
        output(answer),
        concat!(
            r#"{"ExecutedVersion":"$LATEST","Payload":"HelloWorld!","SdkHttpMetadata":{"AllHttpHeaders":{"#,
            r#""X-Amz-Executed-Version":["$LATEST"],"x-amzn-RequestId":["7-7"],"Content-Length":["13"],"#,
            r#""Date":["Fri, 20 Nov 2026 06:00:00 GMT"],"Content-Type":["application/json"]},"HttpHeaders":{"#,
            r#""Content-Length":"13","Content-Type":"application/json","Date":"Fri, 20 Nov 2026 06:00:00 GMT","#,
            r#""X-Amz-Executed-Version":"$LATEST","x-amzn-RequestId":"7-7"},"HttpStatusCode":200},"#,
            r#""SdkResponseMetadata":{"RequestId":"7-7"},"StatusCode":200}"#
        )
    );
    let [asked] = &stub.asked()[..] else { panic!("one request") };
    assert_eq!(asked.path, "/2015-03-31/functions/f/invocations?Qualifier=v%201");
    assert_eq!(asked.header("x-amz-log-type"), "Tail");
    assert_eq!(asked.body, "{\"a\":1}");
}

#[tokio::test]
async fn a_callback_task_is_submitted() {
    let stub = Stub::answering(200, &OK, "null").await;
    let resource = "arn:aws:states:::lambda:invoke.waitForTaskToken";
    let answer = calling(&stub).call(task(resource, r#"{"FunctionName":"f","Payload":{"t":"token"}}"#)).await;
    assert!(matches!(answer, TaskAnswer::Submitted(_)), "{answer:?}");
}

#[tokio::test]
async fn events_are_answered_when_they_are_taken() {
    let stub = Stub::answering(202, &OK, "").await;
    let parameters = r#"{"FunctionName":"f","InvocationType":"Event"}"#;
    let text = output(calling(&stub).call(task(INVOKE, parameters)).await);
    assert!(text.contains(r#""Payload":"","#) && text.ends_with(r#""StatusCode":202}"#), "{text}");
    assert_eq!(stub.asked()[0].header("x-amz-invocation-type"), "Event");
}

/// Lambda, with a function that may take this long, and what is said of its asynchronous invocations; `None` may not be read.
async fn lambda(timeout: Option<u32>, event_config: Option<&'static str>) -> Stub {
    Stub::answering_by(move |asked| {
        let (path, _) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let denied = || (403, vec![], Bytes::from_static(b"{}"));
        match path.rsplit('/').next() {
            Some("configuration") => timeout
                .map_or_else(denied, |timeout| (200, vec![], format!("{{\"Timeout\":{timeout}}}").into())),
            Some("event-invoke-config") => match event_config {
                None => denied(),
                Some("") => (404, vec![], Bytes::from_static(b"{}")),
                Some(config) => (200, vec![], config.into()),
            },
            _ if asked.header("x-amz-invocation-type") == "Event" => {
                (202, vec![("x-amzn-RequestId", "8-8"), ("X-Amzn-Trace-Id", "root=1-2")], Bytes::new())
            }
            _ => (200, OK.to_vec(), Bytes::from_static(b"1")),
        }
    })
    .await
}

/// What is to be configured for a function that takes long.
const TOLD: &str = r#"{"DestinationConfig":{"OnSuccess":{"Destination":"arn:c"},"OnFailure":{"Destination":"arn:c"}},
    "MaximumEventAgeInSeconds":600,"MaximumRetryAttempts":0}"#;

/// A call by a driver that can wait a minute.
fn awaited(resource: &str, parameters: &str) -> TaskCall {
    TaskCall { wait_max: Some(Duration::from_secs(60)), ..task(resource, parameters) }
}

#[tokio::test]
async fn a_function_that_takes_too_long_is_invoked_asynchronously() {
    let stub = lambda(Some(300), Some(TOLD)).await;
    let integrations = calling(&stub);
    let input = r#"{ "in" : 1.0 }"#;
    for times in 1..=2 {
        let TaskAnswer::Accepted(accepted) = integrations.call(awaited(FUNCTION, input)).await else {
            panic!()
        };
        let within = Duration::from_secs(300 + 600 + 900);
        let trace = Some("root=1-2".into());
        assert_eq!(accepted, Accepted { id: "8-8".into(), trace, within, submitted: None });
        let asked = stub.asked();
        assert_eq!(asked.len(), if times == 1 { 3 } else { 1 }, "what was read is kept");
        let event = &asked[asked.len() - 1];
        assert_eq!((event.header("x-amz-invocation-type"), &*event.body), ("Event", input));
    }
    let resource = "arn:aws:states:::lambda:invoke.waitForTaskToken";
    let call = awaited(resource, r#"{"FunctionName":"f","Qualifier":"live","Payload":{"t":"token"}}"#);
    let TaskAnswer::Accepted(accepted) = integrations.call(call).await else { panic!() };
    assert!(accepted.submitted.unwrap().text().ends_with(r#""StatusCode":202}"#));
    let paths: Vec<_> = stub.asked().into_iter().map(|asked| asked.path).collect();
    let functions = |version: &str, rest: &str| format!("/{version}/functions/f/{rest}?Qualifier=live");
    let expected = [
        functions("2015-03-31", "configuration"),
        functions("2019-09-25", "event-invoke-config"),
        functions("2015-03-31", "invocations"),
    ];
    assert_eq!(paths, expected);
}

#[tokio::test]
async fn a_function_that_may_be_waited_for_is_invoked_synchronously() {
    let check = async |timeout, config, call: TaskCall, reads: usize| {
        let stub = lambda(timeout, config).await;
        let answer = calling(&stub).call(call.clone()).await;
        assert!(matches!(answer, TaskAnswer::Ended(_)), "{answer:?}");
        let asked = stub.asked();
        assert_eq!(asked.len(), reads + 1, "{asked:?}");
        assert_ne!(asked[reads].header("x-amz-invocation-type"), "Event");
    };
    let call = awaited(FUNCTION, "{}");
    check(Some(40), Some(TOLD), call.clone(), 1).await;
    // What may not be read, or not be found.
    check(None, Some(TOLD), call.clone(), 1).await;
    check(Some(300), None, call.clone(), 2).await;
    // Nobody is in a hurry, or the task ends before.
    check(Some(300), Some(TOLD), TaskCall { wait_max: None, ..call.clone() }, 0).await;
    let mut bounded = call;
    bounded.call.timeout_seconds = Some(60);
    check(Some(300), Some(TOLD), bounded, 0).await;
}

#[tokio::test]
async fn a_function_whose_end_nobody_would_be_told_is_not_called() {
    let check = async |config, parameters: &str, lacks: &str| {
        let stub = lambda(Some(300), Some(config)).await;
        let (name, cause) = error(calling(&stub).call(awaited(INVOKE, parameters)).await);
        assert_eq!(name, "States.TaskFailed");
        let expected = format!(
            "The function f may take 300 seconds, and calls are waited for up to 60 seconds. To be invoked asynchronously it needs {lacks}."
        );
        assert_eq!(cause, expected);
        assert!(stub.asked().iter().all(|asked| asked.method == "GET"));
    };
    let plain = r#"{"FunctionName":"f"}"#;
    let destinations = "destinations OnSuccess and OnFailure that are Stepwell's callback function";
    check("", plain, destinations).await;
    check("{}", plain, destinations).await;
    let retries: &str =
        r#"{"DestinationConfig":{"OnSuccess":{"Destination":"arn:c"},"OnFailure":{"Destination":"arn:c"}}}"#;
    check(retries, plain, "MaximumRetryAttempts 0").await;
    let with_context = r#"{"FunctionName":"f","ClientContext":"e30="}"#;
    check(TOLD, with_context, "no ClientContext, which functions do not get that are invoked asynchronously")
        .await;
}

#[tokio::test]
async fn function_errors_are_the_tasks_errors() {
    let check = async |resource, body: &'static str, name: &str, cause: &str| {
        let stub = Stub::answering(200, &FAILED, body).await;
        let answer = calling(&stub).call(task(resource, r#"{"FunctionName":"f"}"#)).await;
        assert_eq!(error(answer), (name.to_owned(), cause.to_owned()));
        assert_eq!(stub.asked().len(), 1);
    };
    let python = r#"{"errorMessage": "", "errorType": "CustomException", "stackTrace": []}"#;
    let compact = r#"{"errorMessage":"","errorType":"CustomException","stackTrace":[]}"#;
    check(FUNCTION, python, "CustomException", python).await;
    check(INVOKE, python, "CustomException", compact).await;
    let untyped = r#"{"errorMessage":"2026-11-20 Task timed out after 3.00 seconds"}"#;
    let cause = format!(
        "The cause could not be determined because Lambda did not return an error type. Returned payload: {untyped}"
    );
    check(INVOKE, untyped, "Lambda.Unknown", &cause).await;
    check(FUNCTION, untyped, "Lambda.Unknown", &cause).await;
}

#[tokio::test]
async fn refusals_are_lambdas_exceptions() {
    let check = async |status,
                       headers: &[(&'static str, &'static str)],
                       body: &'static str,
                       name: &str,
                       cause: &str| {
        let stub = Stub::answering(status, headers, body).await;
        let answer = calling(&stub).call(task(INVOKE, r#"{"FunctionName":"f"}"#)).await;
        assert_eq!(error(answer), (name.to_owned(), cause.to_owned()));
        assert_eq!(stub.asked().len(), 1, "nothing is tried again");
    };
    check(
        404,
        &[("x-amzn-ErrorType", "ResourceNotFoundException"), ("x-amzn-RequestId", "7")],
        r#"{"Type":"User","Message":"Function not found: f"}"#,
        "Lambda.ResourceNotFoundException",
        "Function not found: f (Service: AWSLambda; Status Code: 404; Error Code: ResourceNotFoundException; \
         Request ID: 7; Proxy: null)",
    )
    .await;
    check(
        429,
        &[("x-amzn-ErrorType", "TooManyRequestsException:http://internal.amazon.com/")],
        r#"{"message":"Rate Exceeded."}"#,
        "Lambda.TooManyRequestsException",
        "Rate Exceeded. (Service: AWSLambda; Status Code: 429; Error Code: TooManyRequestsException; \
         Request ID: null; Proxy: null)",
    )
    .await;
    check(
        502,
        &[],
        "<html>Bad Gateway</html>",
        "Lambda.AWSLambdaException",
        "null (Service: AWSLambda; Status Code: 502; Error Code: ; Request ID: null; Proxy: null)",
    )
    .await;
}

#[tokio::test]
async fn payloads_that_are_no_json_become_strings() {
    let check = async |body: &'static [u8], bare: &str| {
        let stub = Stub::answering(200, &OK, Bytes::from_static(body)).await;
        let integrations = calling(&stub);
        assert_eq!(output(integrations.call(task(FUNCTION, "{}")).await), bare);
        let invoked = output(integrations.call(task(INVOKE, r#"{"FunctionName":"f"}"#)).await);
        assert!(invoked.contains(&format!(r#""Payload":{bare},"#)), "{invoked}");
    };
    check(b"not json", "\"not json\"").await;
    check(b"{\"a\":", "\"{\\\"a\\\":\"").await;
    check(b"\xff", "\"\u{fffd}\"").await;
    check(b"", "\"\"").await;
}

#[tokio::test]
async fn too_much_is_an_error() {
    let large = Stub::answering(200, &OK, vec![b'a'; 8 << 20]).await;
    let deep = Stub::answering(200, &OK, "[".repeat(100_000) + &"]".repeat(100_000)).await;
    for (stub, resource, name) in [
        (&large, FUNCTION, "States.DataLimitExceeded"),
        (&large, INVOKE, "States.DataLimitExceeded"),
        (&deep, FUNCTION, "States.Runtime"),
        (&deep, INVOKE, "States.Runtime"),
    ] {
        let answer = calling(stub).call(task(resource, r#"{"FunctionName":"f"}"#)).await;
        assert_eq!(error(answer).0, name, "{resource}");
    }
    let (_, cause) = error(calling(&large).call(task(INVOKE, r#"{"FunctionName":"f"}"#)).await);
    assert_eq!(
        cause,
        "The state/task 'lambda' returned a result with a size exceeding the maximum number of bytes service limit."
    );
}

#[tokio::test]
async fn a_call_that_was_not_sent_differs_from_one_whose_outcome_is_unknown() {
    let nobody = Stub::nobody().await;
    let (name, cause) = error(calling(&nobody).call(task(FUNCTION, "{}")).await);
    assert_eq!(name, "Lambda.SdkClientException");
    assert!(cause.contains("Connection refused"), "{cause}");
    for bytes in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{",
        b"nonsense\r\n\r\n",
    ] {
        let stub = Stub::breaking_off_after(bytes).await;
        let (name, cause) = error(calling(&stub).call(task(FUNCTION, "{}")).await);
        assert_eq!(name, "Lambda.Unknown", "{cause}");
    }
}

#[tokio::test]
async fn a_tls_connection_that_is_not_made_sends_nothing() {
    for mut stub in
        [Stub::nobody().await, Stub::breaking_off_after(b"HTTP/1.1 400 Bad Request\r\n\r\n").await]
    {
        stub.endpoint = stub.endpoint.replace("http://", "https://");
        let (name, cause) = error(calling(&stub).call(task(FUNCTION, "{}")).await);
        assert_eq!(name, "Lambda.SdkClientException", "{cause}");
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    let stub = Stub::answering(200, &OK, "1").await;
    let integrations = calling(&stub);
    for _ in 0..3 {
        assert_eq!(output(integrations.call(task(FUNCTION, "{}")).await), "1");
    }
    assert_eq!(stub.connections(), 1);
}

struct Host;

#[async_trait]
impl FunctionHost for Host {
    fn hosts(&self, function: &str) -> bool {
        function.ends_with(":function:f") || function == "f"
    }

    async fn invoke(&self, call: HostCall) -> HostAnswer {
        match &*call.payload {
            b"\"crash\"" => HostAnswer::FunctionError(r#"{"errorType":"Runtime.ExitError"}"#.into()),
            b"\"refuse\"" => HostAnswer::Refused {
                status: 400,
                code: "InvalidParameterValueException",
                message: "no".to_owned(),
            },
            _ => HostAnswer::Success(call.payload),
        }
    }
}

fn hosting() -> Integrations {
    let lambda = Lambda::new().hosted_by(Arc::new(Host));
    Integrations::builder().register("lambda", Arc::new(lambda)).build()
}

#[tokio::test]
async fn hosted_functions_answer_as_lambda_does() {
    let integrations = hosting();
    assert_eq!(output(integrations.call(task(FUNCTION, "{\"a\": 1}")).await), "{\"a\": 1}");
    let text = output(integrations.call(task(INVOKE, r#"{"FunctionName":"f","Payload":[1]}"#)).await);
    assert!(text.starts_with(r#"{"ExecutedVersion":"$LATEST","Payload":[1],"SdkHttpMetadata":{"AllHttpHeaders":{"X-Amz-Executed-Version":["$LATEST"],"x-amzn-Remapped-Content-Length":["0"],"Connection":["keep-alive"],"x-amzn-RequestId":[""#), "{text}");
    assert!(text.contains(r#""Content-Length":["3"]"#) && text.ends_with(r#""StatusCode":200}"#), "{text}");
    let failed = error(integrations.call(task(FUNCTION, "\"crash\"")).await);
    assert_eq!(failed, ("Runtime.ExitError".to_owned(), r#"{"errorType":"Runtime.ExitError"}"#.to_owned()));
    let (name, cause) = error(integrations.call(task(FUNCTION, "\"refuse\"")).await);
    assert_eq!(name, "Lambda.InvalidParameterValueException");
    assert!(cause.starts_with("no (Service: AWSLambda; Status Code: 400; Error Code: Inv"), "{cause}");
}

#[tokio::test]
async fn what_nobody_offers_fails() {
    let integrations = hosting();
    let check = async |resource, name: &str, part: &str| {
        let (error, cause) = error(integrations.call(task(resource, r#"{"FunctionName":"other"}"#)).await);
        assert_eq!(error, name);
        assert!(cause.contains(part), "{cause}");
    };
    check("arn:aws:states:::ecs:runTask.sync", "States.Runtime", "'arn:aws:states:::ecs:runTask.sync'").await;
    check("arn:aws:states:::lambda:list", "States.Runtime", "is not available in this build").await;
    check("arn:aws:states:us-east-1:1:activity:a", "States.Runtime", "activity:a").await;
    check(INVOKE, "Lambda.SdkClientException", "'other' is not hosted here").await;
}
