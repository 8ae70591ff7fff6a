//! Hands each message that is due to a driver.
//!
//! In memory a message that is not due yet costs its time and its slot. Nothing polls: the dispatcher sleeps until the
//! next one is due or something is committed.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use stepwell_engine::message::Message;
use stepwell_engine::port::Clock;
use stepwell_engine::{Driven, Engine};
use stepwell_interpreter::Claimant;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::batch::{Notice, Slot, Wake};
use crate::due::{AtWork, Due, Lane};
use crate::error::StoreError;
use crate::queue::{self, LocalQueue};
use crate::read::Readers;

/// No sleep is longer, so that a clock set forward (or a machine that slept) is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// How long a message rests whose row could not be read or whose driver panicked.
const REST: Duration = Duration::from_secs(5);

/// How long a message rests whose machine has no driver left for it.
const TURN: Duration = Duration::from_millis(250);

/// What drives messages: the engine, except in tests.
pub trait Drive: Clone + Send + Sync + 'static {
    /// Drives `message` for the delivery that `claimant` names, its `receives`th.
    fn drive(
        &self,
        message: Message,
        claimant: Claimant,
        receives: u32,
    ) -> impl Future<Output = Driven> + Send;
}

impl Drive for Engine {
    fn drive(
        &self,
        message: Message,
        claimant: Claimant,
        receives: u32,
    ) -> impl Future<Output = Driven> + Send {
        Engine::drive(self, message, claimant, receives)
    }
}

/// A running dispatcher.
pub struct Dispatching {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Dispatching {
    /// Begins no more deliveries and waits until the drivers at work are done, `patience` at most. What is then still at work
    /// is delivered again when the store is next opened.
    pub async fn stop(self, patience: Duration) {
        // Without a receiver the dispatcher has ended.
        let _ = self.stop.send(true);
        let _ = tokio::time::timeout(patience, self.task).await;
    }
}

/// What the dispatcher and its deliveries share.
pub(crate) struct Post {
    pub(crate) queue: LocalQueue,
    pub(crate) readers: Readers,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) notices: mpsc::UnboundedSender<Vec<Notice>>,
    pub(crate) at_work: AtWork,
}

enum Delivery {
    /// The message is at hand; it was never delivered.
    First(i64, Message),
    /// It is in its row.
    Row(Wake),
}

impl Delivery {
    fn slot(&self) -> Slot {
        match self {
            Delivery::First(id, _) => Slot::message(*id),
            Delivery::Row(wake) => wake.slot,
        }
    }
}

/// Starts a dispatcher, which begins with the messages that an earlier life of the process has left.
pub(crate) fn start<D: Drive>(
    post: Arc<Post>,
    notices: mpsc::UnboundedReceiver<Vec<Notice>>,
    drive: D,
) -> Dispatching {
    let (stop, stopped) = watch::channel(false);
    let dispatcher =
        Dispatcher { post, notices, drive, waiting: BTreeSet::new(), due: Due::default(), sleep: None };
    Dispatching { stop, task: tokio::spawn(dispatcher.run(stopped)) }
}

struct Dispatcher<D> {
    post: Arc<Post>,
    notices: mpsc::UnboundedReceiver<Vec<Notice>>,
    drive: D,
    waiting: BTreeSet<Wake>,
    due: Due<Delivery>,
    sleep: Option<Sleep>,
}

struct Sleep {
    until: i64,
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<D: Drive> Dispatcher<D> {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        self.recover().await;
        loop {
            self.begin();
            self.set_sleep();
            let sleep = async {
                match &mut self.sleep {
                    Some(sleep) => sleep.future.as_mut().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                notices = self.notices.recv() => match notices {
                    Some(notices) => self.take(notices),
                    None => break,
                },
                () = sleep => self.sleep = None,
                _ = stopped.changed() => break,
            }
        }
        while self.post.at_work.all() > 0 {
            if self.notices.recv().await.is_none() {
                break;
            }
        }
    }

    async fn recover(&mut self) {
        let ids = self.post.queue.ids.clone();
        loop {
            let ids = ids.clone();
            match self.post.readers.read_much(move |connection| queue::read_old(connection, &ids)).await {
                Ok(wakes) => {
                    self.waiting = wakes.into_iter().collect();
                    return;
                }
                Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::error!(%error, "the messages of an earlier run cannot be read");
                    self.post.clock.sleep(REST).await;
                }
            }
        }
    }

    fn take(&mut self, notices: Vec<Notice>) {
        for notice in notices {
            match notice {
                Notice::Ready(id, message) => {
                    let lane = self.post.at_work.lane(&message.execution);
                    self.due.push(lane, Delivery::First(id, message));
                }
                Notice::Due(wake) => {
                    self.waiting.insert(wake);
                }
                Notice::Cancelled(wake) => {
                    self.waiting.remove(&wake);
                }
                Notice::Idle => {}
            }
        }
    }

    /// Begins deliveries of what is due, as many as may be at work at once.
    fn begin(&mut self) {
        let now = self.post.clock.now().0;
        while let Some(wake) = self.waiting.first().copied().filter(|wake| wake.due <= now) {
            self.waiting.pop_first();
            self.due.push(Lane::UNREAD, Delivery::Row(wake));
        }
        while let Some((lane, delivery)) = self.due.begin(&self.post.at_work) {
            let running = Running { post: self.post.clone(), slot: delivery.slot(), lane, again: Some(REST) };
            tokio::spawn(deliver(running, delivery, self.drive.clone()));
        }
    }

    /// Sets the sleep to the next time that something is due.
    fn set_sleep(&mut self) {
        let Some(next) = self.waiting.first() else {
            self.sleep = None;
            return;
        };
        if self.sleep.as_ref().is_some_and(|sleep| sleep.until == next.due) {
            return;
        }
        let (clock, until) = (self.post.clock.clone(), next.due);
        let left = until.saturating_sub(clock.now().0);
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(SLEEP_MAX);
        self.sleep = Some(Sleep { until, future: Box::pin(async move { clock.sleep(left).await }) });
    }
}

/// A driver at work. Dropped without a word, by a panic say, it lets its message come again.
struct Running {
    post: Arc<Post>,
    slot: Slot,
    lane: Lane,
    again: Option<Duration>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let notice = match self.again {
            Some(after) => {
                let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
                Notice::Due(Wake { due: self.post.clock.now().0.saturating_add(after), slot: self.slot })
            }
            None => Notice::Idle,
        };
        let ended = self.post.at_work.end(self.lane);
        // The dispatcher need not hear of each end: only of the last one and of one that makes room.
        if self.again.is_some() || ended.was_last || ended.makes_room {
            let _ = self.post.notices.send(vec![notice]);
        }
    }
}

async fn deliver<D: Drive>(mut running: Running, delivery: Delivery, drive: D) {
    let post = running.post.clone();
    let (id, receives, message) = match delivery {
        Delivery::First(id, message) => (id, 1, message),
        Delivery::Row(wake) => match receive(&post, wake).await {
            Ok(Some(received)) => {
                let lane = post.at_work.lane(&received.2.execution);
                let has_room = post.at_work.recount(running.lane, lane);
                running.lane = lane;
                if !has_room {
                    // Its machine has all the drivers that it may have.
                    running.again = Some(TURN);
                    return;
                }
                received
            }
            Ok(None) => {
                running.again = None;
                return;
            }
            Err(error) if error.is_damage() => {
                // Whose it was, it does not say any more. Its row stays, and is looked at again when the store is next opened.
                tracing::error!(%error, "a message is damaged, and is not delivered");
                running.again = None;
                return;
            }
            Err(error) => {
                tracing::error!(%error, "a message cannot be read");
                return;
            }
        },
    };
    let claimant = Claimant { message: id.to_string().into(), delivery: post.clock.random() };
    match drive.drive(message, claimant, receives).await {
        Driven::Done => {
            running.again = None;
            post.queue.delete(running.slot, id);
        }
        Driven::Again { after } => {
            running.again = Some(after);
            if let Err(error) = post.queue.count(running.slot, id, receives).await {
                tracing::warn!(%error, "a message's receives were not counted");
            }
        }
    }
}

/// Reads a message's row; `None` where it is gone or was replaced by one that is due later.
async fn receive(post: &Post, wake: Wake) -> Result<Option<(i64, u32, Message)>, StoreError> {
    let Some(row) = post.readers.read(|connection| queue::read(connection, wake.slot))? else {
        return Ok(None);
    };
    if row.due > wake.due {
        return Ok(None);
    }
    let receives = row.receives.saturating_add(1);
    if post.queue.ids.is_old(row.id) {
        post.queue.count(wake.slot, row.id, receives).await?;
    }
    Ok(Some((row.id, receives, row.message)))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use stepwell_engine::message::MessageBody;
    use stepwell_engine::meta::RunId;
    use stepwell_interpreter::{TimerId, Timestamp};

    use super::*;
    use crate::testing::{Fixture, arn, message, meta};

    /// Tells of each delivery and does with it as it is told.
    #[derive(Clone)]
    struct Told {
        seen: mpsc::UnboundedSender<(Message, Claimant, u32)>,
        answers: Arc<Mutex<mpsc::UnboundedReceiver<Answer>>>,
    }

    enum Answer {
        Is(Driven),
        Panic,
        Never,
    }

    impl Drive for Told {
        async fn drive(&self, message: Message, claimant: Claimant, receives: u32) -> Driven {
            let answer = self.answers.lock().expect("no panic").try_recv();
            let _ = self.seen.send((message, claimant, receives));
            match answer {
                Ok(Answer::Is(driven)) => driven,
                Ok(Answer::Panic) => std::panic::panic_any("told to"),
                Ok(Answer::Never) => std::future::pending().await,
                Err(_) => Driven::Done,
            }
        }
    }

    struct Scene {
        seen: mpsc::UnboundedReceiver<(Message, Claimant, u32)>,
        answers: mpsc::UnboundedSender<Answer>,
        _dispatching: Dispatching,
    }

    fn scene(fixture: &Fixture) -> Scene {
        let (seen, receiver) = mpsc::unbounded_channel();
        let (answers, told) = mpsc::unbounded_channel();
        let drive = Told { seen, answers: Arc::new(Mutex::new(told)) };
        let dispatching = fixture.store.run(drive).expect("the first dispatcher");
        Scene { seen: receiver, answers, _dispatching: dispatching }
    }

    impl Scene {
        async fn next(&mut self) -> (Message, Claimant, u32) {
            self.seen.recv().await.expect("the dispatcher lives")
        }
    }

    fn timer(number: u32, due: i64) -> MessageBody {
        MessageBody::TimerFired { timer: TimerId(number), due: Timestamp(due) }
    }

    fn again(after: u64) -> Answer {
        Answer::Is(Driven::Again { after: Duration::from_millis(after) })
    }

    /// Returns when nothing moves any more without the clock: the runtime has one thread, and the writer answers in order.
    async fn settle(fixture: &Fixture) {
        for _ in 0..3 {
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            fixture.ports.registry.delete("none", "").await.expect("written");
        }
    }

    async fn rows(fixture: &Fixture) -> i64 {
        settle(fixture).await;
        let file = fixture.directory.path().join("stepwell.db");
        let connection = rusqlite::Connection::open(file).expect("opened");
        let sql = "SELECT (SELECT count(*) FROM message) + (SELECT count(*) FROM timer)";
        connection.query_row(sql, [], |row| row.get(0)).expect("counted")
    }

    #[tokio::test]
    async fn a_start_waits_for_its_meta_and_a_refused_one_is_void() {
        let fixture = Fixture::new();
        let mut scene = scene(&fixture);
        let start = |run, meta| message("a", run, MessageBody::Start(Some(meta)));
        let (queue, journal) = (&fixture.ports.queue, &fixture.ports.journal);

        let (first, second) = (meta("a", 1, 1_000, "{}"), meta("a", 2, 1_000, "{}"));
        queue.send(start(1, first.clone()), None).await.expect("sent");
        journal.put_meta(first).await.expect("put");
        let (message, _, receives) = scene.next().await;
        assert_eq!((message.run, message.body, receives), (RunId(1), MessageBody::Start(None), 1));

        queue.send(start(2, second.clone()), None).await.expect("sent");
        journal.put_meta(second).await.expect_err("the name is taken");
        assert_eq!(rows(&fixture).await, 0);

        let lost = meta("b", 3, 1_000, "{}");
        queue.send(super::tests::message("b", 3, MessageBody::Start(Some(lost))), None).await.expect("sent");
        assert_eq!(rows(&fixture).await, 1);
        fixture.clock.advance(60_000);
        assert_eq!(scene.next().await.0.run, RunId(3), "the driver finds that it is void");
    }

    #[tokio::test]
    async fn timers_come_when_they_are_due_unless_cancelled() {
        let fixture = Fixture::new();
        let mut scene = scene(&fixture);
        let (queue, journal) = (&fixture.ports.queue, &fixture.ports.journal);
        journal.put_meta(meta("a", 1, 1_000, "{}")).await.expect("put");
        for (number, due) in [(1, 90_000), (2, 5_000), (3, 20_000)] {
            let due_at = Some(Timestamp(due));
            queue.send(message("a", 1, timer(number, due)), due_at).await.expect("sent");
        }
        queue.cancel_timer(&arn("a"), RunId(1), TimerId(3)).await;
        assert_eq!(rows(&fixture).await, 2);
        fixture.clock.advance(4_000);
        assert_eq!(scene.next().await.0, message("a", 1, timer(2, 5_000)));
        fixture.clock.advance(85_000);
        assert_eq!(scene.next().await.0, message("a", 1, timer(1, 90_000)));
    }

    #[tokio::test]
    async fn a_timer_set_again_by_its_own_driver_outlives_that_delivery() {
        let fixture = Fixture::new();
        let mut scene = scene(&fixture);
        let (queue, journal) = (&fixture.ports.queue, &fixture.ports.journal);
        journal.put_meta(meta("a", 1, 1_000, "{}")).await.expect("put");
        scene.answers.send(again(0)).expect("told");
        let set = message("a", 1, timer(1, 2_000));
        queue.send(set.clone(), Some(Timestamp(2_000))).await.expect("sent");
        assert_eq!(rows(&fixture).await, 1);
        fixture.clock.advance(1_000);
        let (_, first, _) = scene.next().await;
        queue.send(message("a", 1, timer(1, 9_000)), Some(Timestamp(9_000))).await.expect("sent");
        assert_eq!(rows(&fixture).await, 1);
        fixture.clock.advance(9_000);
        loop {
            let (message, claimant, _) = scene.next().await;
            if message.body == timer(1, 9_000) {
                assert_ne!(claimant.message, first.message);
                break;
            }
        }
    }

    #[tokio::test]
    async fn a_message_given_back_or_dropped_comes_again_as_another_delivery() {
        for (answer, after) in [(again(3_000), 3_000), (Answer::Panic, REST.as_millis() as i64)] {
            let fixture = Fixture::new();
            let mut scene = scene(&fixture);
            scene.answers.send(answer).expect("told");
            let sent = message("a", 1, MessageBody::Continue { after: 1, bury: None });
            fixture.ports.queue.send(sent.clone(), None).await.expect("sent");
            let (_, first, _) = scene.next().await;
            assert_eq!(rows(&fixture).await, 1);
            fixture.clock.advance(after);
            let (message, second, receives) = scene.next().await;
            assert_eq!((message, &second.message), (sent, &first.message));
            assert_ne!(second.delivery, first.delivery);
            assert!(receives >= 1);
        }
    }

    #[tokio::test]
    async fn what_was_not_done_comes_again_after_a_restart() {
        let fixture = Fixture::new();
        let mut scene_1 = scene(&fixture);
        scene_1.answers.send(Answer::Never).expect("told");
        fixture.ports.journal.put_meta(meta("a", 1, 1_000, "{}")).await.expect("put");
        let sent = message("a", 1, MessageBody::Continue { after: 1, bury: None });
        let far = message("a", 1, timer(7, 50_000));
        fixture.ports.queue.send(far.clone(), Some(Timestamp(50_000))).await.expect("sent");
        fixture.ports.queue.send(sent.clone(), None).await.expect("sent");
        let (_, first, _) = scene_1.next().await;

        let fixture = fixture.reopened();
        let mut scene_2 = scene(&fixture);
        let (message, second, _) = scene_2.next().await;
        assert_eq!((message, &second.message), (sent, &first.message));
        fixture.clock.advance(60_000);
        assert_eq!(scene_2.next().await.0, far);
    }
}
