//! Log events and bus events, as they are sent.

#![allow(clippy::unwrap_used, reason = "a test fails where there is nothing to unwrap")]

mod stub;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::future::join_all;
use stepwell_engine::port::LogLine;
use stepwell_expr::Value;
use stepwell_expr::json::parse;
use stepwell_integrations::{Aws, BusEvent, CloudWatchLogs, Endpoints, EventBus, Keys, Service};
use stepwell_interpreter::Timestamp;
use stub::{Asked, Stub};

const GROUP: &str = "arn:aws:logs:us-east-1:123456789012:log-group:/g:*";

fn aws(stub: &Stub) -> Aws {
    let endpoints = [Service::Logs, Service::EventBridge]
        .into_iter()
        .fold(Endpoints::aws(), |endpoints, service| endpoints.with(service, stub.endpoint.clone()));
    Aws::new("us-east-1", endpoints, Keys::none())
}

fn event(at: i64, message: &str) -> LogLine {
    LogLine { at: Timestamp(at), message: message.to_owned() }
}

fn operation(asked: &Asked) -> String {
    asked.header("x-amz-target").to_owned()
}

fn missing() -> (u16, Bytes) {
    (400, r#"{"__type":"com.amazonaws.logs#ResourceNotFoundException","message":"no such thing"}"#.into())
}

#[tokio::test]
async fn a_stream_is_made_once_and_written() {
    let stub = Stub::answering(200, &[], "{}").await;
    let logs = CloudWatchLogs::new(&aws(&stub));
    logs.put(GROUP, "m", vec![event(2, "b\""), event(1, "a")]).await.unwrap();
    logs.put(GROUP, "m", vec![event(3, "c")]).await.unwrap();
    logs.put(GROUP, "n", vec![event(4, "d")]).await.unwrap();
    let asked = stub.asked();
    let operations: Vec<_> = asked.iter().map(operation).collect();
    let (create, put) = ("Logs_20140328.CreateLogStream", "Logs_20140328.PutLogEvents");
    assert_eq!(operations, [create, put, put, create, put]);
    let body = parse(&asked[1].body).unwrap();
    assert_eq!(body.get("logGroupName").and_then(Value::as_str), Some("/g"));
    assert!(body.get("logStreamName").and_then(Value::as_str).unwrap().starts_with("states/m/20"));
    let expected = r#"[{"timestamp":1,"message":"a"},{"timestamp":2,"message":"b\""}]"#;
    assert_eq!(body.get("logEvents").unwrap().to_json(), expected);
    assert!(asked[1].header("authorization").contains("/us-east-1/logs/aws4_request"));
}

#[tokio::test]
async fn those_who_write_at_once_share_a_request() {
    let stub = Stub::answering(200, &[], "{}").await;
    let logs = CloudWatchLogs::new(&aws(&stub));
    let all = (0..50).map(|at| logs.put(GROUP, "m", vec![event(at, "x")]));
    assert!(join_all(all).await.iter().all(Result::is_ok));
    let asked = stub.asked();
    assert!(asked.len() <= 4, "{} requests", asked.len());
    let events = asked.iter().filter(|asked| operation(asked).ends_with("PutLogEvents"));
    let count =
        |asked: &Asked| parse(&asked.body).unwrap().get("logEvents").unwrap().as_array().unwrap().len();
    assert_eq!(events.map(count).sum::<usize>(), 50);
}

#[tokio::test]
async fn a_stream_that_is_gone_is_made_again() {
    let puts = Arc::new(AtomicUsize::new(0));
    let stub = Stub::answering_by(move |asked| {
        let (status, body) = match operation(asked).as_str() {
            "Logs_20140328.CreateLogStream" => {
                (400, r#"{"__type":"ResourceAlreadyExistsException","message":"there"}"#.into())
            }
            _ if puts.fetch_add(1, Ordering::Relaxed) == 0 => missing(),
            _ => (200, "{}".into()),
        };
        (status, vec![], body)
    })
    .await;
    let logs = CloudWatchLogs::new(&aws(&stub));
    let refused = logs.put(GROUP, "m", vec![event(1, "a")]).await.unwrap_err().to_string();
    assert_eq!(refused, "CloudWatch Logs refuses PutLogEvents: ResourceNotFoundException: no such thing");
    logs.put(GROUP, "m", vec![event(1, "a")]).await.unwrap();
    assert_eq!(stub.asked().len(), 4, "the stream is made anew, though it is there");
}

#[tokio::test]
async fn whether_a_group_is_there() {
    let check = async |status: u16, answer: &'static str, expected: Option<bool>| {
        let stub = Stub::answering(status, &[], answer).await;
        assert_eq!(CloudWatchLogs::new(&aws(&stub)).has_group(GROUP).await, expected, "{answer}");
    };
    check(200, r#"{"logGroups":[{"logGroupName":"/g"},{"logGroupName":"/group"}]}"#, Some(true)).await;
    check(200, r#"{"logGroups":[{"logGroupName":"/group"}]}"#, Some(false)).await;
    check(200, r#"{"logGroups":[]}"#, Some(false)).await;
    check(400, r#"{"__type":"AccessDeniedException"}"#, None).await;
    check(200, "?", None).await;
}

#[tokio::test]
async fn events_go_to_the_bus() {
    let check = async |answer: &'static str, expected: Result<(), &str>| {
        let stub = Stub::answering(200, &[], answer).await;
        let event = BusEvent {
            source: "stepwell",
            detail_type: "Changed",
            detail: r#"{"a":1}"#.to_owned(),
            resource: "arn:e".to_owned(),
            at: Timestamp(1_700_000_000_007),
        };
        let put = EventBus::new(&aws(&stub)).put(&[event.clone(), event]).await;
        assert_eq!(put.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
        let asked = stub.asked();
        assert_eq!(asked.len(), 1);
        assert_eq!(operation(&asked[0]), "AWSEvents.PutEvents");
        let entry = r#"{"Time":1700000000.007,"Source":"stepwell","DetailType":"Changed","Resources":["arn:e"],"Detail":"{\"a\":1}"}"#;
        assert_eq!(asked[0].body, format!(r#"{{"Entries":[{entry},{entry}]}}"#));
    };
    check(r#"{"FailedEntryCount":0,"Entries":[{"EventId":"1"},{"EventId":"2"}]}"#, Ok(())).await;
    check(
        r#"{"FailedEntryCount":1,"Entries":[{"EventId":"1"},{"ErrorCode":"ThrottlingException","ErrorMessage":"later"}]}"#,
        Err("EventBridge refuses PutEvents: ThrottlingException: later"),
    )
    .await;
}
