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

use crate::backlog::Backlog;
use crate::batch::{Notice, Slot, Start, Wake};
use crate::due::{AtWork, Due, Lane, Work};
use crate::error::StoreError;
use crate::queue::{self, LocalQueue};
use crate::read::Readers;

/// Messages that are kept in memory while they wait for a driver. Of further ones only their ids are.
const AT_HAND_MAX: usize = 1000;

/// Where executions wait to begin and others to go on, this many drivers of the latter come before one of the former.
const GO_ON_FIRST: u32 = 3;

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
    pub(crate) backlog: Arc<Backlog>,
}

enum Delivery {
    /// The message is at hand; it was never delivered.
    First(i64, Box<Message>),
    /// It is in its row.
    Row(Wake),
}

impl Delivery {
    /// The message, which is read again from its row where many wait already.
    fn of(id: i64, message: Message, waiting: usize) -> Self {
        if waiting < AT_HAND_MAX {
            Delivery::First(id, message.into())
        } else {
            Delivery::Row(Wake { due: 0, slot: Slot::message(id) })
        }
    }

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
    let (waiting, due, starts) = (BTreeSet::new(), Due::default(), Due::default());
    let dispatcher = Dispatcher { post, notices, drive, waiting, due, starts, went_on: 0, sleep: None };
    Dispatching { stop, task: tokio::spawn(dispatcher.run(stopped)) }
}

struct Dispatcher<D> {
    post: Arc<Post>,
    notices: mpsc::UnboundedReceiver<Vec<Notice>>,
    drive: D,
    waiting: BTreeSet<Wake>,
    /// What is due of executions that have begun.
    due: Due<Delivery>,
    /// Starts, each with the length of its input.
    starts: Due<(Delivery, usize)>,
    /// Deliveries of the former since the last of the latter.
    went_on: u32,
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
                    let delivery = Delivery::of(id, message, self.due.len());
                    self.due.push(lane, delivery);
                }
                Notice::Started(Start { id, message, bytes, .. }) => {
                    let lane = self.post.at_work.lane(&message.execution);
                    let delivery = Delivery::of(id, message, self.starts.len());
                    self.starts.push(lane, (delivery, bytes));
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
        let backlog = self.post.backlog.clone();
        backlog.is_hungry(true);
        while let Some((lane, delivery, first)) = self.next(now, &backlog) {
            backlog.begin(first);
            let (post, slot, again) = (self.post.clone(), delivery.slot(), Some(REST));
            tokio::spawn(deliver(Running { post, slot, lane, first, again }, delivery, self.drive.clone()));
        }
        backlog.is_hungry(!(self.due.is_empty() && self.starts.is_empty()));
    }

    /// What is delivered next, and of a start the length of its input. What is there goes on before anything begins, or most of it.
    fn next(&mut self, now: i64, backlog: &Backlog) -> Option<(Lane, Delivery, Option<usize>)> {
        while self.has_place()
            && let Some(wake) = self.waiting.first().copied().filter(|wake| wake.due <= now)
        {
            self.waiting.pop_first();
            self.due.push(Lane::UNREAD, Delivery::Row(wake));
        }
        let at_work = &self.post.at_work;
        let has_room = |(_, bytes): &(Delivery, usize)| backlog.may_begin(*bytes);
        // In its turn a start may have any driver: otherwise those that go on could leave it none, for ever.
        let its_turn = self.went_on >= GO_ON_FIRST;
        let start = if its_turn { self.starts.begin(at_work, Work::GoesOn, has_room) } else { None };
        if start.is_none()
            && let Some((lane, delivery)) = self.due.begin(at_work, Work::GoesOn, |_| true)
        {
            self.went_on = self.went_on.saturating_add(1);
            return Some((lane, delivery, None));
        }
        let (lane, (delivery, bytes)) =
            start.or_else(|| self.starts.begin(at_work, Work::Begins, has_room))?;
        self.went_on = 0;
        Some((lane, delivery, Some(bytes)))
    }

    /// Whether what is due finds a place among what waits for a driver. Where it does not, it is taken up when one ends.
    fn has_place(&self) -> bool {
        self.due.waiting_in(Lane::UNREAD) < AT_HAND_MAX
    }

    /// Sets the sleep to the next time that something is due.
    fn set_sleep(&mut self) {
        let Some(next) = self.waiting.first().filter(|_| self.has_place()) else {
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
    /// Of an execution's first driver, the length of the input.
    first: Option<usize>,
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
        let is_awaited = self.post.backlog.end(self.first);
        if self.again.is_some() || ended.was_last || ended.makes_room || is_awaited {
            let _ = self.post.notices.send(vec![notice]);
        }
    }
}

async fn deliver<D: Drive>(mut running: Running, delivery: Delivery, drive: D) {
    let post = running.post.clone();
    let (id, receives, message) = match delivery {
        Delivery::First(id, message) => (id, 1, *message),
        Delivery::Row(wake) => match receive(&post, wake).await {
            Ok(Some(received)) => {
                let lane = post.at_work.lane(&received.2.execution);
                let has_room = running.lane == lane || post.at_work.recount(running.lane, lane);
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
    use stepwell_interpreter::{ErrorOutput, TimerId, Timestamp};

    use super::*;
    use crate::Limits;
    use crate::testing::{Fixture, ManualClock, arn, message, meta};

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
        /// Done when the clock has come so far.
        Until(Arc<ManualClock>, i64),
    }

    impl Drive for Told {
        async fn drive(&self, message: Message, claimant: Claimant, receives: u32) -> Driven {
            let answer = self.answers.lock().expect("no panic").try_recv();
            let _ = self.seen.send((message, claimant, receives));
            match answer {
                Ok(Answer::Is(driven)) => driven,
                Ok(Answer::Panic) => std::panic::panic_any("told to"),
                Ok(Answer::Never) => std::future::pending().await,
                Ok(Answer::Until(clock, at)) => {
                    clock.sleep(Duration::from_millis(at.saturating_sub(clock.now().0) as u64)).await;
                    Driven::Done
                }
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

    /// Starts an execution whose driver is to do as it is told.
    async fn start(fixture: &Fixture, run: u32, input: &str) {
        let name = run.to_string();
        let meta = meta(&name, run.into(), 1_000, input);
        let start = message(&name, run.into(), MessageBody::Start(Some(meta.clone())));
        fixture.ports.queue.send(start, None).await.expect("sent");
        fixture.ports.journal.put_meta(meta).await.expect("put");
    }

    fn limited(limits: Limits) -> Fixture {
        Fixture::limited(tempfile::tempdir().expect("a temporary directory"), None, limits)
    }

    #[tokio::test]
    async fn what_goes_on_finds_room_where_nothing_begins_any_more() {
        let fixture = limited(Limits { drivers: 2, backlog: 2, ..Limits::default() });
        let mut scene = scene(&fixture);
        let backlog = fixture.store.backlog();
        for run in 1..=4 {
            scene.answers.send(Answer::Never).expect("told");
            assert!(backlog.start(1).is_some(), "{run}");
            start(&fixture, run, "{}").await;
            settle(&fixture).await;
        }
        assert!(backlog.start(1).is_none(), "two wait for a driver");
        for run in [1, 2] {
            assert_eq!(scene.next().await.0.run, RunId(run));
        }
        let callback = message("1", 1, MessageBody::Continue { after: 1, bury: None });
        fixture.ports.queue.send(callback.clone(), None).await.expect("sent");
        assert_eq!(scene.next().await.0, callback);
        settle(&fixture).await;
        assert!(scene.seen.try_recv().is_err());
    }

    #[tokio::test]
    async fn inputs_of_what_begins_are_bounded_and_each_finds_its_turn() {
        let fixture = limited(Limits { bytes: 100, ..Limits::default() });
        let mut scene = scene(&fixture);
        let (told, gate) = (fixture.clock.clone(), 7_000);
        for run in 1..=3 {
            scene.answers.send(Answer::Until(told.clone(), gate * i64::from(run))).expect("told");
            start(&fixture, run, &format!("{:?}", "x".repeat(60))).await;
        }
        for run in 1..=3 {
            assert_eq!(scene.next().await.0.run, RunId(run));
            settle(&fixture).await;
            assert!(scene.seen.try_recv().is_err(), "the next has no room yet");
            fixture.clock.advance(gate);
        }
    }

    #[tokio::test]
    async fn what_begins_is_not_kept_waiting_by_what_goes_on() {
        let fixture = limited(Limits { drivers: 1, ..Limits::default() });
        let mut scene = scene(&fixture);
        scene.answers.send(Answer::Until(fixture.clock.clone(), 5_000)).expect("told");
        scene.answers.send(Answer::Until(fixture.clock.clone(), 5_000)).expect("told");
        start(&fixture, 1, "{}").await;
        settle(&fixture).await;
        for after in 1..=8 {
            let go_on = message("1", 1, MessageBody::Continue { after, bury: None });
            fixture.ports.queue.send(go_on, None).await.expect("sent");
        }
        start(&fixture, 2, "{}").await;
        settle(&fixture).await;
        fixture.clock.advance(5_000);
        let mut order = vec![];
        for _ in 0..10 {
            order.push(scene.next().await.0.run.0);
        }
        let place = order.iter().position(|run| *run == 2).expect("it began");
        assert!((2..=5).contains(&place), "{order:?}");
    }

    #[tokio::test]
    async fn more_than_is_kept_in_memory_is_read_again() {
        const COUNT: u64 = AT_HAND_MAX as u64 + 300;
        let fixture = limited(Limits { drivers: 1, ..Limits::default() });
        let mut scene = scene(&fixture);
        for _ in 0..2 {
            scene.answers.send(Answer::Until(fixture.clock.clone(), 5_000)).expect("told");
        }
        let large = MessageBody::Stop { error: ErrorOutput::new("E", "x".repeat(10_000)), request: 1 };
        fixture.ports.queue.send(message("0", 1, large.clone()), None).await.expect("sent");
        for after in 1..=COUNT {
            let go_on = message("1", 1, MessageBody::Continue { after, bury: None });
            fixture.ports.queue.send(go_on, None).await.expect("sent");
        }
        for run in 1..=AT_HAND_MAX as u32 + 100 {
            start(&fixture, run, "{}").await;
        }
        settle(&fixture).await;
        fixture.clock.advance(5_000);
        let (mut continued, mut started, mut stopped) = (BTreeSet::new(), BTreeSet::new(), 0);
        for _ in 0..COUNT + AT_HAND_MAX as u64 + 101 {
            let (message, _, receives) = scene.next().await;
            assert_eq!(receives, 1);
            match message.body {
                MessageBody::Continue { after, .. } => assert!(continued.insert(after)),
                MessageBody::Start(None) => assert!(started.insert(message.run)),
                body => {
                    assert_eq!(body, large);
                    stopped += 1;
                }
            }
        }
        assert_eq!((continued.len() as u64, started.len(), stopped), (COUNT, AT_HAND_MAX + 100, 1));
        assert_eq!(rows(&fixture).await, 0);
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
