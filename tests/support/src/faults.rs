//! What goes wrong at the ports.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stepwell_engine::port::{BoxError, Clock};

use crate::{Random, SimClock, lock};

/// How often each thing goes wrong, in a thousand port calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    /// The call takes up to [`Rates::delay_max`].
    pub delay: u32,
    /// How long a delayed call takes at most.
    pub delay_max: Duration,
    /// The call fails and does nothing.
    pub refuse: u32,
    /// The call does its work and fails all the same.
    pub lose_reply: u32,
    /// The caller dies before the call, or after it.
    pub crash: u32,
    /// A message that is sent arrives twice.
    pub duplicate: u32,
}

/// Decides what goes wrong. At first nothing does.
pub struct Faults {
    inner: Mutex<Inner>,
    clock: Arc<SimClock>,
}

struct Inner {
    random: Random,
    rates: Rates,
    crashed: bool,
    calls: u64,
}

impl Faults {
    pub(crate) fn new(seed: u64, clock: Arc<SimClock>) -> Self {
        let random = Random::new(seed ^ 0xFA17);
        Faults {
            inner: Mutex::new(Inner { random, rates: Rates::default(), crashed: false, calls: 0 }),
            clock,
        }
    }

    /// Sets how often things go wrong from now on.
    pub fn set(&self, rates: Rates) {
        lock(&self.inner).rates = rates;
    }

    /// Port calls so far.
    pub fn calls(&self) -> u64 {
        lock(&self.inner).calls
    }

    /// Whether the task that was just polled died; asked once, it is forgotten.
    pub fn take_crash(&self) -> bool {
        std::mem::take(&mut lock(&self.inner).crashed)
    }

    pub(crate) fn duplicates(&self) -> bool {
        let mut inner = lock(&self.inner);
        let rate = inner.rates.duplicate;
        rate > 0 && inner.random.chance(rate)
    }

    /// What happens before a call.
    pub(crate) async fn before(&self) -> Result<(), BoxError> {
        self.before_within(Duration::MAX).await
    }

    /// What happens before a call that takes no longer than `delay_max`.
    pub(crate) async fn before_within(&self, delay_max: Duration) -> Result<(), BoxError> {
        lock(&self.inner).calls += 1;
        self.maybe_die().await;
        let (delay, refuse) = {
            let mut inner = lock(&self.inner);
            let rates = inner.rates;
            let delay_max = rates.delay_max.min(delay_max);
            let delays = inner.random.chance(rates.delay);
            let delay = delays.then(|| {
                Duration::from_millis(1 + inner.random.below(delay_max.as_millis() as usize) as u64)
            });
            (delay, inner.random.chance(rates.refuse))
        };
        if let Some(delay) = delay {
            self.clock.sleep(delay).await;
        }
        if refuse { Err("refused".into()) } else { Ok(()) }
    }

    /// What happens after a call.
    pub(crate) async fn after(&self) -> Result<(), BoxError> {
        self.maybe_die().await;
        let lost = {
            let mut inner = lock(&self.inner);
            let rate = inner.rates.lose_reply;
            inner.random.chance(rate)
        };
        if lost { Err("the reply was lost".into()) } else { Ok(()) }
    }

    async fn maybe_die(&self) {
        let dies = {
            let mut inner = lock(&self.inner);
            let rate = inner.rates.crash;
            let dies = inner.random.chance(rate);
            inner.crashed |= dies;
            dies
        };
        if dies {
            pending::<()>().await;
        }
    }
}
