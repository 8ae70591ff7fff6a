//! A clock that stands still until it is advanced.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use stepwell_engine::port::Clock;
use stepwell_interpreter::{Now, Timestamp};

use crate::faults::At;
use crate::{Fault, Faults, Place, Random, lock};

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

    /// When the next sleeper wakes.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let inner = lock(&self.inner);
        // Who was woken and has not gone on yet stands still for another reason.
        let next = inner.sleepers.keys().find(|(wakes, _)| *wakes > inner.elapsed);
        next.map(|(wakes, _)| timestamp(*wakes))
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

/// How much later than asked for a sleeper wakes at most.
const OVERSLEPT_MAX: Duration = Duration::from_secs(20);

/// A simulated clock as a machine shows it whose clock is wrong, and where who sleeps may oversleep.
pub struct SkewedClock {
    clock: Arc<SimClock>,
    /// By how much this one is ahead, in milliseconds; negative where it is behind.
    ahead: AtomicI64,
    faults: At,
}

impl SkewedClock {
    /// A clock that is ahead of `clock` by this much.
    pub fn new(clock: Arc<SimClock>, faults: Arc<Faults>, ahead_milliseconds: i64) -> Self {
        if ahead_milliseconds != 0 {
            faults.count(Place::Clock, Fault::Skewed);
        }
        SkewedClock { clock, ahead: AtomicI64::new(ahead_milliseconds), faults: faults.at(Place::Clock) }
    }

    /// From now on it is ahead by this much.
    pub fn jump(&self, ahead_milliseconds: i64) {
        self.ahead.store(ahead_milliseconds, Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.clock.now().0 + self.ahead.load(Ordering::Relaxed))
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
        let late = self.faults.draw(Fault::Late, |rates| rates.late);
        let over = if late { self.faults.faults.up_to(OVERSLEPT_MAX) } else { Duration::ZERO };
        self.clock.sleep(duration + over).await;
    }
}
