//! The Queue and the Scheduler on services that keep time by themselves, such as ministack's, where these are named.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::QueueAttributeName;
use stepwell_aws::{Schedules, SqsQueue, SystemClock, fire, read_body, retry};
use stepwell_engine::message::{Message, MessageBody};
use stepwell_engine::meta::RunId;
use stepwell_engine::port::{Clock, Queue, Scheduler};
use stepwell_interpreter::{ErrorOutput, TimerId, Timestamp};

use crate::support::other;

/// Name an SQS and an EventBridge Scheduler to run these tests against.
const SQS: &str = "STEPWELL_TEST_SQS";
const SCHEDULER: &str = "STEPWELL_TEST_SCHEDULER";

/// How long a schedule fires ahead of its message's time.
const AHEAD: Duration = Duration::from_secs(180);

/// A queue of its own.
struct Live {
    client: aws_sdk_sqs::Client,
    url: String,
    queue: SqsQueue,
    clock: Arc<dyn Clock>,
}

fn keys() -> Credentials {
    Credentials::new("123456789012", "test", None, None, "test")
}

impl Live {
    async fn new(endpoint: &str, name: &str) -> Self {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .endpoint_url(endpoint)
            .credentials_provider(keys())
            .retry_config(retry::retries())
            .timeout_config(aws_sdk_sqs::config::timeout::TimeoutConfig::disabled())
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        let client = aws_sdk_sqs::Client::from_conf(config.build());
        let name = format!("stepwell-{name}-{}", std::process::id());
        let create = client.create_queue().queue_name(name);
        let create = create.attributes(QueueAttributeName::MaximumMessageSize, "1048576");
        let made = create.attributes(QueueAttributeName::VisibilityTimeout, "60").send().await.expect("made");
        let url = made.queue_url().expect("it has an address").to_owned();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let queue = SqsQueue::new(client.clone(), &url, clock.clone());
        Live { client, url, queue, clock }
    }

    /// What comes within `seconds`: the bodies, by their ids.
    async fn receive(&self, seconds: i32) -> Vec<(String, String)> {
        let receive = self.client.receive_message().queue_url(&self.url).max_number_of_messages(10);
        let received = receive.wait_time_seconds(seconds).send().await.expect("it answers");
        let each = received.messages().iter().map(|message| {
            let (id, receipt) = (message.message_id(), message.receipt_handle());
            let (id, receipt) = (id.expect("it has an id"), receipt.expect("it has a receipt"));
            self.queue.received(id, receipt);
            (id.to_owned(), message.body().unwrap_or_default().to_owned())
        });
        each.collect()
    }

    async fn attribute(&self, name: QueueAttributeName) -> String {
        let ask = self.client.get_queue_attributes().queue_url(&self.url).attribute_names(name.clone());
        let answer = ask.send().await.expect("it answers");
        answer.attributes().and_then(|all| all.get(&name)).cloned().unwrap_or_default()
    }
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
    let config = aws_sdk_scheduler::Config::builder()
        .behavior_version(aws_sdk_scheduler::config::BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .endpoint_url(&endpoint)
        .credentials_provider(keys())
        .retry_config(retry::retries())
        .timeout_config(retry::timeouts())
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    let client = aws_sdk_scheduler::Client::from_conf(config.build());
    let group = format!("stepwell-{}", std::process::id());
    let target = live.attribute(QueueAttributeName::QueueArn).await;
    let role = "arn:aws:iam::123456789012:role/schedules".to_owned();
    let schedules = Schedules { client: client.clone(), group: group.clone(), target, role };
    let due = Timestamp(live.clock.now().0 + AHEAD.as_millis() as i64 + 3_000);
    let early = schedules.schedule(timer(1, due), due).await.expect_err("there is no such group yet");
    assert!(stepwell_engine::port::Refused::is_in(&early), "{early}");
    client.create_schedule_group().name(&group).send().await.expect("made");
    // A timer that is set again is the same schedule; another is another.
    let year = Timestamp(due.0 + 31_536_000_000);
    for message in [timer(1, due), timer(1, due)] {
        schedules.schedule(message, due).await.expect("set");
    }
    schedules.schedule(timer(2, year), year).await.expect("set");
    let listed = async || {
        let listed = client.list_schedules().group_name(&group).send().await.expect("it answers");
        listed.schedules().len()
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
    assert_eq!(live.attribute(QueueAttributeName::ApproximateNumberOfMessagesDelayed).await, "1");
    assert!(live.receive(0).await.is_empty());
    for _ in 0..20 {
        if listed().await == 1 {
            return;
        }
        live.receive(1).await;
    }
    panic!("a schedule that has fired is there still");
}
