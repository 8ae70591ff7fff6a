//! What goes wrong at the ports, and how often it did.

use std::collections::BTreeMap;
use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stepwell_engine::port::{BoxError, Clock};

use crate::{Random, SimClock, lock};

/// How often each thing goes wrong, in a thousand port calls, or in a thousand steps where that is said.
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
    /// A message comes before its time, by up to half a minute.
    pub early: u32,
    /// A message comes after its time, by up to two minutes; who sleeps oversleeps.
    pub late: u32,
    /// A call of a Task state fails before anything happened, or its answer is lost.
    pub task: u32,
    /// A message that was dealt with is not deleted.
    pub undeleted: u32,
    /// In a thousand steps: whoever took the step never takes another, wherever it stands.
    pub stop: u32,
    /// In a thousand steps: whoever took the step stands still for up to four minutes, wherever it stands.
    pub freeze: u32,
    /// In a thousand steps: a process's clock jumps.
    pub jump: u32,
}

impl Rates {
    /// Nothing goes wrong.
    pub const NONE: Rates = Rates {
        delay: 0,
        delay_max: Duration::ZERO,
        refuse: 0,
        lose_reply: 0,
        crash: 0,
        duplicate: 0,
        early: 0,
        late: 0,
        task: 0,
        undeleted: 0,
        stop: 0,
        freeze: 0,
        jump: 0,
    };
}

/// Where something goes wrong: a port, or who stands on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The port of this name.
    Journal,
    /// The port of this name.
    MapRuns,
    /// The port of this name.
    Queue,
    /// The port of this name.
    Scheduler,
    /// The port of this name.
    Tasks,
    /// The port of this name.
    Registry,
    /// The port of this name.
    Activities,
    /// The port of this name.
    Logs,
    /// The port of this name.
    Events,
    /// The port of this name.
    Clock,
    /// Who deals with a message.
    Driver,
    /// Who answers somebody.
    Handler,
    /// A process, with all that runs in it.
    Process,
    /// Who calls from outside.
    Caller,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The call takes its time.
    Delayed,
    /// The call fails before it takes effect.
    Refused,
    /// The call takes effect, and fails all the same.
    ReplyLost,
    /// The caller dies before the call.
    DiedBefore,
    /// The caller dies after the call.
    DiedAfter,
    /// The call panics.
    Panicked,
    /// A message is there twice.
    Duplicated,
    /// A message comes before one that is older.
    Reordered,
    /// A message comes before its time.
    Early,
    /// A message comes after its time, or a sleeper wakes after its own.
    Late,
    /// A message is delivered again while it is hidden.
    Redelivered,
    /// A message is delivered while another delivery of it is being dealt with.
    AtOnce,
    /// A message stays that was dealt with.
    Undeleted,
    /// It stops at any await, and never goes on.
    Stopped,
    /// It stands still at any await, and goes on long after.
    Frozen,
    /// It dies, with everything in it.
    Killed,
    /// A clock jumps.
    Jumped,
    /// A clock is wrong.
    Skewed,
    /// It comes in the very moment of a timer.
    Raced,
    /// The same is told a second time.
    Repeated,
}

/// How often each thing went wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<(Place, Fault), u64>);

impl Counts {
    /// How often `fault` happened at `place`.
    pub fn of(&self, place: Place, fault: Fault) -> u64 {
        self.0.get(&(place, fault)).copied().unwrap_or(0)
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Adds what others have counted.
    pub fn add(&mut self, others: &Counts) {
        for (what, times) in &others.0 {
            *self.0.entry(*what).or_default() += times;
        }
    }

    fn count(&mut self, place: Place, fault: Fault) {
        *self.0.entry((place, fault)).or_default() += 1;
    }
}

/// One line for each kind of fault, with its places.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut by_fault: BTreeMap<Fault, Vec<(Place, u64)>> = BTreeMap::new();
        for ((place, fault), times) in &self.0 {
            by_fault.entry(*fault).or_default().push((*place, *times));
        }
        for (fault, places) in by_fault {
            let total: u64 = places.iter().map(|(_, times)| times).sum();
            let places: Vec<_> = places.iter().map(|(place, times)| format!("{place:?} {times}")).collect();
            writeln!(f, "{:<12} {total:>9}   {}", format!("{fault:?}"), places.join(", "))?;
        }
        Ok(())
    }
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
    counts: Counts,
}

impl Inner {
    /// Whether `fault` happens at `place`, which it does at this rate.
    fn draw(&mut self, place: Place, fault: Fault, rate: u32) -> bool {
        let happens = self.random.chance(rate);
        if happens {
            self.counts.count(place, fault);
        }
        happens
    }
}

impl Faults {
    pub(crate) fn new(seed: u64, clock: Arc<SimClock>) -> Self {
        let (random, rates, counts) = (Random::new(seed ^ 0xFA17), Rates::default(), Counts::default());
        Faults { inner: Mutex::new(Inner { random, rates, crashed: false, calls: 0, counts }), clock }
    }

    /// Sets how often things go wrong from now on.
    pub fn set(&self, rates: Rates) {
        lock(&self.inner).rates = rates;
    }

    /// How often things go wrong now.
    pub fn rates(&self) -> Rates {
        lock(&self.inner).rates
    }

    /// Port calls so far.
    pub fn calls(&self) -> u64 {
        lock(&self.inner).calls
    }

    /// What went wrong so far.
    pub fn counts(&self) -> Counts {
        lock(&self.inner).counts.clone()
    }

    /// Counts what somebody else let go wrong.
    pub fn count(&self, place: Place, fault: Fault) {
        lock(&self.inner).counts.count(place, fault);
    }

    /// Whether `fault` happens now at `place`, which it does at the rate that `rate` takes out of those that are set.
    pub fn draw(&self, place: Place, fault: Fault, rate: impl FnOnce(&Rates) -> u32) -> bool {
        let mut inner = lock(&self.inner);
        let rate = rate(&inner.rates);
        rate > 0 && inner.draw(place, fault, rate)
    }

    /// A time of up to `most`.
    pub fn up_to(&self, most: Duration) -> Duration {
        Duration::from_millis(1 + lock(&self.inner).random.below(most.as_millis() as usize) as u64)
    }

    /// Whether the task that was just polled died; asked once, it is forgotten.
    pub fn take_crash(&self) -> bool {
        std::mem::take(&mut lock(&self.inner).crashed)
    }

    /// What goes wrong at one port.
    pub(crate) fn at(self: Arc<Self>, place: Place) -> At {
        At { place, faults: self }
    }
}

/// What goes wrong at one port.
pub(crate) struct At {
    place: Place,
    pub(crate) faults: Arc<Faults>,
}

impl At {
    /// Whether `fault` happens here now.
    pub(crate) fn draw(&self, fault: Fault, rate: impl FnOnce(&Rates) -> u32) -> bool {
        self.faults.draw(self.place, fault, rate)
    }

    /// What happens before a call.
    pub(crate) async fn before(&self) -> Result<(), BoxError> {
        self.before_within(Duration::MAX, true).await
    }

    /// What happens before a call that takes no longer than `delay_max`, and is refused only if it `may_refuse`.
    pub(crate) async fn before_within(&self, delay_max: Duration, may_refuse: bool) -> Result<(), BoxError> {
        lock(&self.faults.inner).calls += 1;
        self.maybe_die(Fault::DiedBefore).await;
        let (delay, refuse) = {
            let mut inner = lock(&self.faults.inner);
            let rates = inner.rates;
            let delay_max = rates.delay_max.min(delay_max);
            let delays = inner.draw(self.place, Fault::Delayed, rates.delay);
            let delay = delays.then(|| {
                Duration::from_millis(1 + inner.random.below(delay_max.as_millis() as usize) as u64)
            });
            (delay, may_refuse && inner.draw(self.place, Fault::Refused, rates.refuse))
        };
        if let Some(delay) = delay {
            self.faults.clock.sleep(delay).await;
        }
        if refuse { Err("refused".into()) } else { Ok(()) }
    }

    /// What happens after a call.
    pub(crate) async fn after(&self) -> Result<(), BoxError> {
        self.maybe_die(Fault::DiedAfter).await;
        let lost = {
            let mut inner = lock(&self.faults.inner);
            let rate = inner.rates.lose_reply;
            inner.draw(self.place, Fault::ReplyLost, rate)
        };
        if lost { Err("the reply was lost".into()) } else { Ok(()) }
    }

    /// The caller dies here, or does not.
    pub(crate) async fn maybe_die(&self, fault: Fault) {
        let dies = {
            let mut inner = lock(&self.faults.inner);
            let rate = inner.rates.crash;
            let dies = inner.draw(self.place, fault, rate);
            inner.crashed |= dies;
            dies
        };
        if dies {
            pending::<()>().await;
        }
    }
}
