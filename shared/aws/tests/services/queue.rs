//! The Queue on SQS and the Scheduler on EventBridge Scheduler.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::maybe_done;
use stepwell_aws::{Schedules, SqsQueue, fire, read_body};
use stepwell_engine::message::{Message, MessageBody};
use stepwell_engine::meta::RunId;
use stepwell_engine::port::{Clock, Queue, Scheduler};
use stepwell_interpreter::{Claimant, ErrorOutput, TimerId, Timestamp};
use stepwell_test_support::suite::{self, Consumer};
use stepwell_test_support::{Delivery, SimClock};

use crate::stub::Stub;

/// Functions: the queue's, and the timer's.
pub(crate) struct Functions {
    pub(crate) stub: Stub,
    pub(crate) queue: Arc<SqsQueue>,
}

impl Functions {
    fn new() -> Self {
        Functions::with(Arc::new(SimClock::new(1)))
    }

    pub(crate) fn with(clock: Arc<SimClock>) -> Self {
        let stub = Stub::new(clock);
        let queue = Arc::new(SqsQueue::new(stub.sqs(), "http://stub/queue", stub.clock.clone()));
        Functions { stub, queue }
    }

    pub(crate) fn schedules(&self) -> Schedules {
        let [group, target, role] = ["stepwell", "arn:timer", "arn:role"].map(str::to_owned);
        Schedules { client: self.stub.scheduler(), group, target, role }
    }
}

#[async_trait]
impl Consumer for Functions {
    async fn receive(&self) -> Option<Delivery> {
        let received = self.stub.receive()?;
        self.queue.received(&received.id, &received.receipt);
        let claimant = Claimant { message: received.id.as_str().into(), delivery: self.stub.clock.random() };
        let message = read_body(&received.body).expect("it is a message");
        Some(Delivery { message, claimant, receives: received.receives })
    }

    async fn done(&self, delivery: &Delivery) {
        self.stub.delete(&delivery.claimant.message);
        self.queue.dismissed(&delivery.claimant.message);
    }

    async fn again(&self, delivery: &Delivery, after: Duration) {
        self.queue.set_visibility(&delivery.claimant.message, after).await.expect("it is held");
        self.queue.dismissed(&delivery.claimant.message);
    }

    async fn pass(&self, time: Duration) {
        let until = Timestamp(self.stub.clock.now().0 + time.as_millis() as i64);
        while let Some(schedule) = self.stub.next_schedule(until) {
            // As late as schedules may be.
            self.stub.clock.advance_to(Timestamp(until.0.min(schedule.at.0 + 59_000)));
            fire(&*self.queue, &schedule.input).await.expect("the queue takes it");
        }
        self.stub.clock.advance_to(until);
    }
}

#[tokio::test]
async fn the_queue_and_the_scheduler_pass_their_suite() {
    let functions = Functions::new();
    suite::queue(&*functions.queue, &functions.schedules(), &*functions.stub.clock, &functions).await;
}

fn message(n: u64, bytes: usize) -> Message {
    let body = MessageBody::Stop { request: n, error: ErrorOutput::new("Error", "x".repeat(bytes)) };
    Message { execution: "e".into(), run: RunId(1), epoch: 0, sent_at: Timestamp(1), body }
}

#[tokio::test]
async fn messages_that_are_sent_at_once_share_requests() {
    let functions = Functions::new();
    let send = |n, bytes| functions.queue.send(message(n, bytes), None);
    for sent in futures::future::join_all((0..25).map(|n| send(n, 10))).await {
        sent.expect("sent");
    }
    let requests = functions.stub.take();
    assert_eq!(requests.iter().map(|(_, entries)| *entries).collect::<Vec<_>>(), [10, 10, 5]);
    // A request holds a megabyte in all.
    for sent in futures::future::join_all((0..4).map(|n| send(n, 300_000))).await {
        sent.expect("sent");
    }
    let requests = functions.stub.take();
    assert_eq!(requests.iter().map(|(_, entries)| *entries).collect::<Vec<_>>(), [2, 2]);
    let too_large = send(1, 800_000).await.expect_err("no request holds it");
    assert!(too_large.to_string().contains("more than SQS takes"), "{too_large}");
    let mut received = 0;
    while functions.receive().await.is_some() {
        received += 1;
    }
    assert_eq!(received, 29);
}

#[tokio::test]
async fn a_sender_that_is_dropped_leaves_the_others_their_messages() {
    for polls in 0..8 {
        let functions = Functions::new();
        let mut first = Box::pin(maybe_done(functions.queue.send(message(1, 1), None)));
        let mut second = Box::pin(maybe_done(functions.queue.send(message(2, 1), None)));
        for _ in 0..polls {
            poll_fn(|cx| {
                let _ = (first.as_mut().poll(cx), second.as_mut().poll(cx));
                Poll::Ready(())
            })
            .await;
            tokio::task::yield_now().await;
        }
        drop(first);
        second.as_mut().await;
        let sent = second.as_mut().take_output().expect("it came to its end").is_ok();
        let mut found = false;
        while let Some(delivery) = functions.receive().await {
            found |= delivery.message.body == message(2, 1).body;
        }
        assert!(found || !sent, "sent, and not there, after {polls} polls");
    }
}

#[tokio::test]
async fn when_a_reply_is_lost_the_message_may_be_there_twice() {
    let functions = Functions::new();
    functions.stub.lose(1);
    functions.queue.send(message(1, 1), None).await.expect("the second try was answered");
    functions.stub.lose(99);
    let lost = functions.queue.send(message(2, 1), None).await.expect_err("nobody answers");
    assert!(lost.to_string().contains("the reply is lost"), "{lost}");
}

#[tokio::test]
async fn a_timer_is_scheduled_once_ahead_of_its_time() {
    let functions = Functions::new();
    let schedules = functions.schedules();
    let year = 365 * 24 * 60 * 60 * 1000;
    let due = Timestamp(functions.stub.clock.now().0 + year);
    let timer = |timer, sent_at| Message {
        sent_at: Timestamp(sent_at),
        body: MessageBody::TimerFired { timer: TimerId(timer), due },
        ..message(1, 0)
    };
    schedules.schedule(timer(1, 5), due).await.expect("scheduled");
    schedules.schedule(timer(1, 6), due).await.expect("it is set already");
    functions.stub.lose(1);
    schedules.schedule(timer(2, 5), due).await.expect("the second try finds the first");
    let set = functions.stub.schedules();
    assert_eq!(set.iter().map(|schedule| due.0 - schedule.at.0).collect::<Vec<_>>(), [180_000; 2]);

    let too_far = functions.queue.send(timer(3, 5), Some(due)).await.expect_err("SQS has no such delay");
    assert!(too_far.to_string().contains("the scheduler's"), "{too_far}");
    functions.pass(Duration::from_millis(year as u64 - 1)).await;
    assert!(functions.receive().await.is_none());
    functions.pass(Duration::from_millis(1)).await;
    for _ in 0..2 {
        let delivery = functions.receive().await.expect("a year has gone by");
        assert!(matches!(delivery.message.body, MessageBody::TimerFired { .. }));
    }
    assert!(functions.stub.schedules().is_empty());
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let functions = Functions::new();
    for input in ["", "{}", r#"{"due":1,"message":"*"}"#, r#"{"due":1,"message":"AAAA"}"#] {
        fire(&*functions.queue, input).await.expect_err(input);
    }
    let held = functions.queue.set_visibility("m", Duration::from_secs(1)).await;
    assert!(held.is_err_and(|error| error.to_string().contains("not held")));
}
