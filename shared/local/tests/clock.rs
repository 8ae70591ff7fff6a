//! A machine whose clock jumps, while the store is open and between two times that it is: whatever waits for a time goes on, once,
//! and never before the clock says so.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use stepwell_engine::Settings;
use stepwell_engine::message::Callback;
use stepwell_engine::port::Clock;
use stepwell_expr::Payload;
use stepwell_interpreter::Timestamp;
use stepwell_local::Options;
use stepwell_test_support::{Answer, SimClock, World};
use support::{DISTRIBUTED, Life, WAIT, arn};

const HOUR: i64 = 3_600_000;

/// A clock that is set otherwise at any time; its monotonic time and its sleeps go on as if nothing had been.
struct Jumping {
    clock: Arc<SimClock>,
    ahead: AtomicI64,
}

impl Jumping {
    fn jump(&self, milliseconds: i64) {
        self.ahead.fetch_add(milliseconds, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        Timestamp(self.clock.now().0 + self.ahead.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn random(&self) -> u64 {
        self.clock.random()
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }
}

struct Scene {
    directory: tempfile::TempDir,
    world: World,
    clock: Arc<Jumping>,
}

impl Scene {
    fn new() -> Self {
        let world = World::new(1);
        let mut busy = true;
        world.tasks.script(move |call| match &*call.info.state_machine_name {
            "Retry" if std::mem::take(&mut busy) => Answer::fail("Busy", Duration::ZERO),
            _ if call.token.is_some() => Answer::submit(Duration::ZERO),
            _ => Answer::echo(call, Duration::ZERO),
        });
        let clock = Arc::new(Jumping { clock: world.clock.clone(), ahead: AtomicI64::new(0) });
        Scene { directory: tempfile::tempdir().unwrap(), world, clock }
    }

    fn open(&self) -> Life {
        let options = Options { clock: self.clock.clone(), ..Options::default() };
        Life::with(self.directory.path(), &self.world, options, Settings::default())
    }

    /// Returns when so many timers are set in the store.
    async fn until_timers(&self, life: &Life, count: u32) {
        let store = rusqlite::Connection::open(self.directory.path().join("stepwell.db")).unwrap();
        let began = std::time::Instant::now();
        while store.query_row("SELECT count(*) FROM timer", [], |row| row.get::<_, u32>(0)).unwrap() < count {
            assert!(began.elapsed() < MINUTE, "{count} timers are not set");
            life.settle().await;
        }
    }
}

/// Lets time go by, at most so much of it, until something has ended; how long that took.
async fn until_ended(life: &Life, arn: &str, most: Duration) -> Duration {
    let clock = &life.world.clock;
    let began = clock.monotonic();
    life.settle().await;
    while life.meta(arn).await.end.is_none() {
        assert!(clock.monotonic() - began <= most, "{arn} does not end within {most:?}");
        life.pass().await;
    }
    clock.monotonic() - began
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_clock_set_forward_is_noticed_within_a_minute() {
    let scene = Scene::new();
    let life = scene.open();
    let callback = support::callback();
    let wait = life.start(WAIT, "e", "{}").await;
    let token = life.start((callback.0, &callback.1), "e", "{}").await;
    let map_run = life.start(DISTRIBUTED, "e", "[1,2]").await;
    let retry = support::retry();
    let retry = life.start((retry.0, &retry.1), "e", "{}").await;
    for (arn, events) in [(&wait, 2), (&token, 5), (&map_run, 4), (&retry, 8)] {
        life.until_events(arn, events).await;
    }
    // Who waits: three of them, and the two executions of the Map Run.
    scene.until_timers(&life, 5).await;
    scene.clock.jump(2 * HOUR);
    for arn in [&wait, &map_run, &retry] {
        until_ended(&life, arn, MINUTE * 2).await;
        assert_eq!(life.meta(arn).await.status(), "SUCCEEDED", "{arn}");
    }
    assert_eq!(life.meta(&token).await.status(), "RUNNING");
    // Its timeout is a day.
    scene.clock.jump(24 * HOUR);
    until_ended(&life, &token, MINUTE * 2).await;
    assert_eq!(life.meta(&token).await.end.as_ref().unwrap().error.error.as_deref(), Some("States.Timeout"));
    assert_eq!(scene.world.tasks.most_calls(), 1);
    life.close().await;
}

#[tokio::test]
async fn a_clock_set_back_delays_and_loses_nothing() {
    let scene = Scene::new();
    let life = scene.open();
    let (wait, map_run) = (life.start(WAIT, "e", "{}").await, life.start(DISTRIBUTED, "e", "[1,2,3]").await);
    let callback = support::callback();
    let token = life.start((callback.0, &callback.1), "e", "{}").await;
    life.until_events(&wait, 2).await;
    life.until_events(&token, 5).await;
    scene.clock.jump(-5 * HOUR);
    let later = life.start(WAIT, "later", "{}").await;
    // What began after the jump waits for an hour, what began before it until the clock says so.
    let hour = Duration::from_secs(3600);
    let took = until_ended(&life, &later, hour + MINUTE).await;
    assert!(took >= hour, "{took:?}");
    assert!(life.meta(&wait).await.end.is_none());
    let took = took + until_ended(&life, &wait, 5 * hour + MINUTE).await;
    assert!(took >= 6 * hour, "{took:?}");
    life.succeed(&life.tokens(&token).await[0], "1").await;
    until_ended(&life, &token, MINUTE).await;
    until_ended(&life, &map_run, 8 * hour).await;
    for arn in [&wait, &later, &map_run, &token] {
        assert_eq!(life.meta(arn).await.status(), "SUCCEEDED", "{arn}");
        life.events(arn).await;
    }
    life.close().await;
}

#[tokio::test]
async fn a_clock_set_otherwise_between_two_lives() {
    for jump in [-30 * 24 * HOUR, -HOUR, -1, HOUR / 2, 400 * 24 * HOUR] {
        let scene = Scene::new();
        let life = scene.open();
        let wait = life.start(WAIT, "e", "{}").await;
        let callback = support::callback();
        let called = life.start((callback.0, &callback.1), "e", "{}").await;
        let map_run = life.start(DISTRIBUTED, "e", "[1,2,3]").await;
        life.until_events(&wait, 2).await;
        life.until_events(&called, 5).await;
        let token = life.tokens(&called).await.remove(0);
        life.succeed(&token, "1").await;
        life.close().await;

        scene.clock.jump(jump);
        let life = scene.open();
        life.settle().await;
        // The same callback and the same start again: answered alike, whatever the clock says.
        let result = Callback::Success(Payload::parse("1").unwrap());
        life.engine.send_task_result(&token, result).await.unwrap();
        if jump < HOUR {
            assert_eq!(life.start(WAIT, "e", "{}").await, wait);
        }
        let most = Duration::from_millis((3 * HOUR - jump.min(0)) as u64) + 3 * MINUTE;
        for arn in [&wait, &called, &map_run] {
            until_ended(&life, arn, most).await;
            assert_eq!(life.meta(arn).await.status(), "SUCCEEDED", "{jump}: {arn}");
            life.events(arn).await;
        }
        assert_eq!(scene.world.tasks.most_calls(), 1, "{jump}");
        life.close().await;
    }
}

/// A redrive is refused by the time that has gone by, and a clock set back makes it no younger than it is.
#[tokio::test]
async fn an_execution_that_has_ended_stays_as_it_is() {
    let scene = Scene::new();
    let life = scene.open();
    let (name, definition) = support::chain();
    let ended = life.start((name, &definition), "e", r#"{"n":1}"#).await;
    until_ended(&life, &ended, MINUTE).await;
    let before = life.meta(&ended).await;
    for jump in [-HOUR, 3 * HOUR, -20 * HOUR] {
        scene.clock.jump(jump);
        life.settle().await;
        life.pass().await;
        assert_eq!(life.meta(&ended).await, before);
    }
    assert_eq!(*arn(name, "e"), *ended);
    life.close().await;
}
