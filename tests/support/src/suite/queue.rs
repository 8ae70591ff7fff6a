//! What every Queue and Scheduler does.

use std::time::Duration;

use async_trait::async_trait;
use stepwell_engine::message::{Message, MessageBody};
use stepwell_engine::meta::RunId;
use stepwell_engine::port::{Clock, Queue, Scheduler};
use stepwell_interpreter::{ErrorOutput, Timestamp};

use super::arn;
use crate::Delivery;

/// The receiving end of a queue, as whoever hands deliveries to the engine uses it.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// The next message that may be received now; `None` where there is none.
    async fn receive(&self) -> Option<Delivery>;

    /// The driver said `Done`.
    async fn done(&self, delivery: &Delivery);

    /// The driver said `Again`.
    async fn again(&self, delivery: &Delivery, after: Duration);

    /// Lets time go by.
    async fn pass(&self, time: Duration);
}

/// What every Queue and Scheduler does. The clock is the one that due times are measured by.
pub async fn queue(queue: &dyn Queue, scheduler: &dyn Scheduler, clock: &dyn Clock, consumer: &dyn Consumer) {
    assert!(consumer.receive().await.is_none());
    let sent = message(clock, 1);
    queue.send(sent.clone(), None).await.expect("sent");
    let first = consumer.receive().await.expect("it is there at once");
    assert_eq!((&first.message, first.receives), (&sent, 1));
    assert!(consumer.receive().await.is_none(), "a delivered message is hidden");
    consumer.again(&first, Duration::from_secs(2)).await;
    assert!(consumer.receive().await.is_none(), "it comes again after its time, not before");
    consumer.pass(Duration::from_secs(3)).await;
    let second = consumer.receive().await.expect("it came again");
    assert_eq!((&second.message, second.receives), (&sent, 2));
    assert_eq!(second.claimant.message, first.claimant.message, "it is the same message");
    assert_ne!(second.claimant.delivery, first.claimant.delivery, "and another delivery");
    consumer.done(&second).await;
    consumer.pass(Duration::from_secs(1000)).await;
    assert!(consumer.receive().await.is_none(), "what is done never comes again");

    for (n, seconds) in [(2, 5), (3, 800)] {
        let due = Timestamp(clock.now().0 + seconds * 1000);
        queue.send(message(clock, n), Some(due)).await.expect("sent");
        wait_for(consumer, clock, n, seconds).await;
    }
    let due = Timestamp(clock.now().0 + 100_000_000);
    scheduler.schedule(message(clock, 4), due).await.expect("scheduled");
    wait_for(consumer, clock, 4, 100_000).await;
}

async fn wait_for(consumer: &dyn Consumer, clock: &dyn Clock, n: u64, seconds: i64) {
    consumer.pass(Duration::from_millis(seconds as u64 * 1000 - 500)).await;
    assert!(consumer.receive().await.is_none(), "message {n} came before its time");
    consumer.pass(Duration::from_secs(2)).await;
    let delivery = consumer.receive().await.unwrap_or_else(|| panic!("message {n} did not come in time"));
    assert_eq!(delivery.message.body, message(clock, n).body);
    consumer.done(&delivery).await;
}

fn message(clock: &dyn Clock, n: u64) -> Message {
    let body = MessageBody::Stop { request: n, error: ErrorOutput::new("Error", "cause") };
    Message { execution: arn("queue").into(), run: RunId(n.into()), epoch: 0, sent_at: clock.now(), body }
}
