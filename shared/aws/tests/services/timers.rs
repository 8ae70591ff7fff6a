//! Timers that share a schedule.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::future::{join_all, maybe_done};
use stepwell_aws::Timers;
use stepwell_engine::message::{Message, MessageBody};
use stepwell_engine::meta::RunId;
use stepwell_engine::port::{Clock, Scheduler};
use stepwell_interpreter::{TimerId, Timestamp};
use stepwell_test_support::suite::{self, Consumer};
use stepwell_test_support::{Delivery, SimClock};

use crate::queue::Functions;
use crate::support::World;

const DAY: i64 = 24 * 60 * 60 * 1000;

/// The functions, whose timers are kept in the table.
pub(crate) struct Together {
    world: World,
    pub(crate) functions: Functions,
    pub(crate) timers: Timers,
}

impl Together {
    async fn new() -> Self {
        let world = World::new().await;
        let functions = Functions::with(world.clock.clone());
        let timers = world.store().timers(functions.schedules());
        Together { world, functions, timers }
    }

    fn clock(&self) -> &Arc<SimClock> {
        &self.functions.stub.clock
    }

    /// Timers that are set at once, one for each time from now.
    async fn set(&self, times: impl Iterator<Item = i64>) -> Vec<Timestamp> {
        let now = self.clock().now().0;
        let dues: Vec<_> = times.map(|time| Timestamp(now + time)).collect();
        let set = dues.iter().zip(0..).map(|(due, n)| self.timers.schedule(timer(n, *due), *due));
        for set in join_all(set).await {
            set.expect("it is set");
        }
        dues
    }
}

fn timer(timer: u32, due: Timestamp) -> Message {
    let body = MessageBody::TimerFired { timer: TimerId(timer), due };
    Message { execution: "e".into(), run: RunId(1), epoch: 0, sent_at: Timestamp(1), body }
}

#[async_trait::async_trait]
impl Consumer for Together {
    async fn receive(&self) -> Option<Delivery> {
        self.functions.receive().await
    }

    async fn done(&self, delivery: &Delivery) {
        self.functions.done(delivery).await;
    }

    async fn again(&self, delivery: &Delivery, after: Duration) {
        self.functions.again(delivery, after).await;
    }

    async fn pass(&self, time: Duration) {
        let until = Timestamp(self.clock().now().0 + time.as_millis() as i64);
        while let Some(schedule) = self.functions.stub.next_schedule(until) {
            // As late as schedules may be.
            self.clock().advance_to(Timestamp(until.0.min(schedule.at.0 + 59_000)));
            let input: serde_json::Value = serde_json::from_str(&schedule.input).expect("it is JSON");
            let Some(minute) = input["minute"].as_i64() else {
                stepwell_aws::fire(&*self.functions.queue, &schedule.input)
                    .await
                    .expect("the queue takes it");
                continue;
            };
            // Another process than the one that set it.
            let timers = self.world.store().timers(self.functions.schedules());
            timers.fire(&self.functions.queue, minute).await.expect("the queue takes them");
        }
        self.clock().advance_to(until);
    }
}

#[tokio::test]
async fn shared_schedules_pass_the_suite() {
    let together = Together::new().await;
    suite::queue(&*together.functions.queue, &together.timers, &**together.clock(), &together).await;
}

#[tokio::test]
async fn timers_of_one_minute_are_one_item_and_one_schedule() {
    let together = Together::new().await;
    let dues = together.set((0..25).map(|n| DAY + n * 100)).await;
    assert_eq!(together.world.wire.take(), ["PutItem"]);
    let schedules = together.functions.stub.schedules();
    assert_eq!(schedules.len(), 1);
    let ahead = dues[0].0 - schedules[0].at.0;
    assert!((180_000..240_000).contains(&ahead), "{ahead}");
    // One that comes later finds the schedule set.
    let later = together.set(std::iter::once(DAY + 3_000)).await;
    assert_eq!((together.world.wire.take().len(), together.functions.stub.schedules().len()), (1, 1));

    together.functions.stub.take();
    together.pass(Duration::from_millis(DAY as u64 - 1)).await;
    let sent: Vec<_> = together.functions.stub.take().into_iter().map(|(_, entries)| entries).collect();
    assert_eq!(sent.iter().sum::<usize>(), 26);
    assert!(sent.len() <= 4, "{sent:?}");
    assert!(together.receive().await.is_none(), "none comes before it is due");
    together.pass(Duration::from_secs(4)).await;
    let mut came = vec![];
    while let Some(delivery) = together.receive().await {
        let MessageBody::TimerFired { due, .. } = delivery.message.body else { panic!("no timer") };
        came.push(due);
    }
    came.sort_unstable_by_key(|due| due.0);
    assert_eq!(came, [dues, later].concat());
}

#[tokio::test]
async fn a_timer_that_is_alone_has_a_schedule_of_its_own() {
    let together = Together::new().await;
    together.set([DAY, DAY + 60_000, DAY + 3_600_000].into_iter()).await;
    assert!(together.world.wire.take().is_empty(), "nothing is written for them");
    assert_eq!(together.functions.stub.schedules().len(), 3);
}

#[tokio::test]
async fn a_minute_that_comes_twice_sends_copies() {
    let together = Together::new().await;
    let dues = together.set((0..2).map(|n| DAY + n)).await;
    together.world.wire.lose("PutItem", 1);
    let minute = together.functions.stub.schedules()[0].at.0 / 60_000;
    together.pass(Duration::from_millis(DAY as u64)).await;
    together.timers.fire(&together.functions.queue, minute).await.expect("sent again");
    together.pass(Duration::from_secs(1)).await;
    let mut received = 0;
    while together.receive().await.is_some() {
        received += 1;
    }
    assert_eq!(received, 2 * dues.len());
}

#[tokio::test]
async fn whoever_waits_for_one_that_is_dropped_is_told() {
    for polls in 0..12 {
        let together = Together::new().await;
        let due = Timestamp(together.clock().now().0 + DAY);
        let mut first = Box::pin(maybe_done(together.timers.schedule(timer(1, due), due)));
        let mut second = Box::pin(maybe_done(together.timers.schedule(timer(2, due), due)));
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
        let set = second.as_mut().take_output().expect("it came to its end").is_ok();
        // Whatever became of it, the next one is set.
        together.timers.schedule(timer(3, due), due).await.expect("set");
        together.pass(Duration::from_millis(DAY as u64)).await;
        let mut came = vec![];
        while let Some(delivery) = together.receive().await {
            came.push(delivery.message.body);
        }
        let has = |n| came.contains(&timer(n, due).body);
        assert!(has(3) && (has(2) || !set), "after {polls} polls: {came:?}");
    }
}
