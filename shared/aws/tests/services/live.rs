//! The Queue and the Scheduler on services that keep time by themselves, such as ministack's, where these are named.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use stepwell_aws::services::{scheduler, sqs};
use stepwell_aws::{Schedules, SqsQueue, SystemClock, fire, read_body};
use stepwell_engine::message::{Message, MessageBody};
use stepwell_engine::meta::RunId;
use stepwell_engine::port::{Clock, Queue, Scheduler};
use stepwell_integrations::{Aws, Endpoints, HttpAnswer, Keys, Service, ServiceClient};
use stepwell_interpreter::{ErrorOutput, TimerId, Timestamp};

use crate::support::other;

/// Name an SQS and an EventBridge Scheduler to run these tests against.
const SQS: &str = "STEPWELL_TEST_SQS";
const SCHEDULER: &str = "STEPWELL_TEST_SCHEDULER";

/// How long a schedule fires ahead of its message's time.
const AHEAD: Duration = Duration::from_secs(180);

/// A queue of its own.
struct Live {
    client: ServiceClient,
    url: String,
    queue: SqsQueue,
    clock: Arc<dyn Clock>,
}

/// Where a service is that takes any keys.
fn aws(service: Service, endpoint: &str) -> Aws {
    let endpoints = Endpoints::aws().with(service, endpoint);
    Aws::new("us-east-1", endpoints, Keys::fixed("123456789012", "test", None))
}

/// Longer than anybody waits for messages.
const PATIENCE: Duration = Duration::from_secs(30);

fn good(answer: &HttpAnswer) -> Value {
    let body = serde_json::from_slice(&answer.body).expect("it is JSON");
    assert!((200..300).contains(&answer.status), "{body}");
    body
}

impl Live {
    async fn new(endpoint: &str, name: &str) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let aws = aws(Service::Sqs, endpoint);
        let queue = sqs::Client::new(&aws, clock.clone());
        let name = format!("stepwell-{name}-{}", std::process::id());
        let attributes = json!({ "MaximumMessageSize": "1048576", "VisibilityTimeout": "60" });
        let client = ServiceClient::new(&aws, Service::Sqs);
        let made = ask(&client, "CreateQueue", json!({ "QueueName": name, "Attributes": attributes })).await;
        let url = made["QueueUrl"].as_str().expect("it has an address").to_owned();
        let queue = SqsQueue::new(queue, &url, clock.clone());
        Live { client, url, queue, clock }
    }

    /// What comes within `seconds`: the bodies, by their ids.
    async fn receive(&self, seconds: i32) -> Vec<(String, String)> {
        let request = json!({ "QueueUrl": self.url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": seconds });
        let received = ask(&self.client, "ReceiveMessage", request).await;
        let messages = received["Messages"].as_array().cloned().unwrap_or_default();
        let each = messages.iter().map(|message| {
            let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
            self.queue.received(&text("MessageId"), &text("ReceiptHandle"));
            (text("MessageId"), text("Body"))
        });
        each.collect()
    }

    async fn attribute(&self, name: &str) -> String {
        let request = json!({ "QueueUrl": self.url, "AttributeNames": [name] });
        let answer = ask(&self.client, "GetQueueAttributes", request).await;
        answer["Attributes"][name].as_str().unwrap_or_default().to_owned()
    }
}

async fn ask(client: &ServiceClient, operation: &str, request: Value) -> Value {
    let answer = client.json(&format!("AmazonSQS.{operation}"), request.to_string().into(), PATIENCE).await;
    good(&answer.expect("it answers"))
}

fn message(n: u64, bytes: usize) -> Message {
    let body = MessageBody::Stop { request: n, error: ErrorOutput::new("Error", "x".repeat(bytes)) };
    Message { execution: "e".into(), run: RunId(1), epoch: 0, sent_at: Timestamp(1), body }
}

fn timer(n: u32, due: Timestamp) -> Message {
    let body = MessageBody::TimerFired { timer: TimerId(n), due };
    Message { execution: "e".into(), run: RunId(7), epoch: 0, sent_at: Timestamp(1), body }
}

#[tokio::test]
async fn a_queue_that_keeps_time_delays_hides_and_forgets() {
    let Ok(endpoint) = other(SQS) else { return println!("{SQS} names no SQS: skipped") };
    let live = Live::new(&endpoint, "queue").await;
    // Many at once, and a large one, in few requests.
    let sends = (0..25).map(|n| live.queue.send(message(n, if n == 7 { 600_000 } else { 10 }), None));
    for sent in futures::future::join_all(sends).await {
        sent.expect("sent");
    }
    let mut numbers = std::collections::BTreeSet::new();
    while numbers.len() < 25 {
        let received = live.receive(5).await;
        assert!(!received.is_empty(), "only {numbers:?} came");
        for (_, body) in &received {
            let MessageBody::Stop { request, .. } = read_body(body).expect("it is a message").body else {
                panic!("another message")
            };
            numbers.insert(request);
        }
        let ids: Vec<&str> = received.iter().map(|(id, _)| id.as_str()).collect();
        assert!(live.queue.delete(&ids).await.into_iter().all(|gone| gone));
    }
    assert!(live.receive(0).await.is_empty());

    // Not before its time, and hidden as long as its holder says.
    let due = Timestamp(live.clock.now().0 + 2_000);
    live.queue.send(message(30, 1), Some(due)).await.expect("sent");
    assert!(live.receive(0).await.is_empty());
    let received = live.receive(10).await;
    assert!(live.clock.now() >= due && received.len() == 1, "{received:?}");
    live.queue.set_visibility(&received[0].0, Duration::from_secs(1)).await.expect("it is held");
    assert!(live.receive(0).await.is_empty());
    let again = live.receive(10).await;
    assert_eq!(again, received);
    assert_eq!(live.queue.delete(&[&again[0].0]).await, [true]);
    let gone = live.queue.set_visibility("another", Duration::ZERO).await.expect_err("nobody holds it");
    assert!(stepwell_engine::port::Refused::is_in(&gone), "{gone}");
}

#[tokio::test]
async fn a_schedule_fires_ahead_of_its_time_and_is_gone() {
    let Ok(endpoint) = other(SCHEDULER) else { return println!("{SCHEDULER} names no scheduler: skipped") };
    let Ok(sqs) = other(SQS) else { return println!("{SQS} names no SQS: skipped") };
    let live = Live::new(&sqs, "schedules").await;
    let aws = aws(Service::Scheduler, &endpoint);
    let client = scheduler::Client::new(&aws, live.clock.clone());
    let others = ServiceClient::new(&aws, Service::Scheduler);
    let other = async |request: http::request::Builder, body: &'static str| {
        let request = request.body(Bytes::from_static(body.as_bytes())).expect("it is a request");
        good(&others.send(request, 1 << 20, PATIENCE).await.expect("it answers"))
    };
    let group = format!("stepwell-{}", std::process::id());
    let target = live.attribute("QueueArn").await;
    let role = "arn:aws:iam::123456789012:role/schedules".to_owned();
    let schedules = Schedules { client, group: group.clone(), target, role };
    let due = Timestamp(live.clock.now().0 + AHEAD.as_millis() as i64 + 3_000);
    let early = schedules.schedule(timer(1, due), due).await.expect_err("there is no such group yet");
    assert!(stepwell_engine::port::Refused::is_in(&early), "{early}");
    other(Request::post(format!("{endpoint}/schedule-groups/{group}")), "{}").await;
    // A timer that is set again is the same schedule; another is another.
    let year = Timestamp(due.0 + 31_536_000_000);
    for message in [timer(1, due), timer(1, due)] {
        schedules.schedule(message, due).await.expect("set");
    }
    schedules.schedule(timer(2, year), year).await.expect("set");
    let listed = async || {
        let listed = other(Request::get(format!("{endpoint}/schedules?ScheduleGroup={group}")), "").await;
        listed["Schedules"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(listed().await, 2);
    let mut received = vec![];
    for _ in 0..6 {
        received = live.receive(10).await;
        if !received.is_empty() {
            break;
        }
    }
    let [(id, input)] = received.as_slice() else { panic!("it did not fire once: {received:?}") };
    assert!(live.clock.now().0 < due.0 - 100_000, "it fires ahead of its time");
    // What the timer function does with it: the rest of the time is a delay of the queue's.
    fire(&live.queue, input).await.expect("sent on");
    assert_eq!(live.queue.delete(&[id]).await, [true]);
    assert_eq!(live.attribute("ApproximateNumberOfMessagesDelayed").await, "1");
    assert!(live.receive(0).await.is_empty());
    for _ in 0..20 {
        if listed().await == 1 {
            return;
        }
        live.receive(1).await;
    }
    panic!("a schedule that has fired is there still");
}
