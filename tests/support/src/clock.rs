//! A clock that stands still until it is advanced.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use stepwell_engine::port::Clock;
use stepwell_interpreter::{Now, Timestamp};

use crate::{Random, lock};

/// When simulated time begins: 2026-01-01T00:00:00Z, in milliseconds.
const BEGINNING: i64 = 1_767_225_600_000;

/// Simulated time and seeded randomness.
pub struct SimClock {
    inner: Mutex<Inner>,
}

struct Inner {
    elapsed: Duration,
    random: Random,
    sleepers: BTreeMap<(Duration, u64), Option<Waker>>,
    sleeps: u64,
}

impl SimClock {
    /// A clock at its beginning.
    pub fn new(seed: u64) -> Self {
        let random = Random::new(seed);
        let sleepers = BTreeMap::new();
        SimClock { inner: Mutex::new(Inner { elapsed: Duration::ZERO, random, sleepers, sleeps: 0 }) }
    }

    /// When the first sleeper wakes.
    pub fn next_wake(&self) -> Option<Timestamp> {
        lock(&self.inner).sleepers.keys().next().map(|(wakes, _)| timestamp(*wakes))
    }

    /// Lets time go by up to `until`, and wakes whose time has come.
    pub fn advance_to(&self, until: Timestamp) {
        let mut inner = lock(&self.inner);
        let to = Duration::from_millis(u64::try_from(until.0 - BEGINNING).unwrap_or(0));
        inner.elapsed = inner.elapsed.max(to);
        let now = inner.elapsed;
        for (_, waker) in inner.sleepers.range_mut(..=(now, u64::MAX)) {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }

    /// Lets `duration` go by.
    pub fn advance(&self, duration: Duration) {
        let now = self.now();
        self.advance_to(Timestamp(now.0 + duration.as_millis() as i64));
    }
}

fn timestamp(elapsed: Duration) -> Timestamp {
    // Rounded up: who waits for this moment finds it reached.
    Timestamp(BEGINNING + elapsed.as_nanos().div_ceil(1_000_000) as i64)
}

/// Forgets a sleeper that is dropped before its time.
struct Sleeper<'a>(&'a SimClock, (Duration, u64));

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        lock(&self.0.inner).sleepers.remove(&self.1);
    }
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp(BEGINNING + lock(&self.inner).elapsed.as_millis() as i64)
    }

    fn monotonic(&self) -> Duration {
        lock(&self.inner).elapsed
    }

    fn random(&self) -> u64 {
        lock(&self.inner).random.bits()
    }

    /// Of one word, which is enough where nobody guesses.
    fn decision(&self) -> Now {
        Now { time: self.now(), seed: self.random().into() }
    }

    async fn sleep(&self, duration: Duration) {
        let sleeper = {
            let mut inner = lock(&self.inner);
            inner.sleeps += 1;
            let key = (inner.elapsed + duration, inner.sleeps);
            inner.sleepers.insert(key, None);
            Sleeper(self, key)
        };
        poll_fn(|cx| {
            let mut inner = lock(&self.inner);
            if inner.elapsed >= sleeper.1.0 {
                return Poll::Ready(());
            }
            inner.sleepers.insert(sleeper.1, Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// A simulated clock as a machine shows it whose clock is wrong.
pub struct SkewedClock {
    /// The right one.
    pub clock: Arc<SimClock>,
    /// By how much this one is ahead, in milliseconds; negative where it is behind.
    pub ahead_milliseconds: i64,
}

#[async_trait]
impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.clock.now().0 + self.ahead_milliseconds)
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn random(&self) -> u64 {
        self.clock.random()
    }

    fn decision(&self) -> Now {
        Now { time: self.now(), ..self.clock.decision() }
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }
}
