//! How decisions share a process: none goes on for long, and those that may take long keep no other driver waiting.
//!
//! A decision is synchronous, and one state's expressions may take seconds. A machine whose decisions are quick is decided for
//! where its driver runs, which costs nothing. One that nothing is known of yet, or that was slow lately, is decided for
//! [`aside`](crate::Settings::aside), a few at a time.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::Engine;
use crate::meta::Meta;

/// A decision that takes longer is slow.
const SLOW: Duration = Duration::from_millis(5);

/// Decisions of a machine that are made aside after a slow one.
const WARY: u32 = 1_000;

/// States between two looks at the clock.
const LOOKS_EVERY: u32 = 8;

/// Machines that something is known of.
const KNOWN_MAX: usize = 10_000;

/// What is known of the machines' decisions.
pub(crate) struct Pace {
    /// How many more decisions of a machine are made aside.
    wary: Mutex<HashMap<u64, u32>>,
    hasher: RandomState,
    aside: Semaphore,
}

impl Pace {
    pub(crate) fn new(aside_max: usize) -> Self {
        Pace { wary: Mutex::default(), hasher: RandomState::new(), aside: Semaphore::new(aside_max.max(1)) }
    }

    fn key(&self, meta: &Meta) -> u64 {
        self.hasher.hash_one(&*meta.info.state_machine_arn)
    }

    /// Whether the next decision of a machine is made aside. Nothing is known of a new one, so its first is.
    fn is_wary(&self, key: u64) -> bool {
        let wary = self.wary.lock().unwrap_or_else(PoisonError::into_inner);
        wary.get(&key).is_none_or(|left| *left > 0)
    }

    /// One more decision was made, in `took`.
    fn note(&self, key: u64, took: Duration, was_aside: bool) {
        if took < SLOW && !was_aside {
            return;
        }
        let mut wary = self.wary.lock().unwrap_or_else(PoisonError::into_inner);
        if wary.len() >= KNOWN_MAX {
            wary.clear();
        }
        let left = wary.entry(key).or_insert(1);
        *left = if took < SLOW { left.saturating_sub(1) } else { WARY };
    }
}

/// Leave to make one decision of a machine.
pub(crate) struct Turn<'e> {
    engine: &'e Engine,
    key: u64,
    /// Where the decision is made aside.
    aside: Option<SemaphorePermit<'e>>,
}

impl Engine {
    /// Returns when a decision may be made for the execution of `meta`.
    pub(crate) async fn turn(&self, meta: &Meta) -> Turn<'_> {
        let pace = &self.inner.pace;
        let key = pace.key(meta);
        let aside = match pace.is_wary(key) {
            // It is never closed.
            true => pace.aside.acquire().await.ok(),
            false => None,
        };
        Turn { engine: self, key, aside }
    }
}

impl Turn<'_> {
    /// Makes the decision: `decide` asks behind each state whether it is to go on.
    pub(crate) fn decide<T>(self, decide: impl FnOnce(&mut dyn FnMut() -> bool) -> T) -> T {
        let inner = &self.engine.inner;
        let (settings, clock) = (&inner.settings, &inner.ports.clock);
        let (began, mut states) = (clock.monotonic(), 0_u32);
        let mut goes_on = || {
            states += 1;
            !states.is_multiple_of(LOOKS_EVERY) || clock.monotonic() - began < settings.decision_max
        };
        let decided = match self.aside {
            None => decide(&mut goes_on),
            Some(_) => {
                let (mut decide, mut decided) = (Some(decide), None);
                (settings.aside)(&mut || {
                    if let Some(decide) = decide.take() {
                        decided = Some(decide(&mut goes_on));
                    }
                });
                decided.expect("whoever runs it aside runs it: Settings::aside")
            }
        };
        inner.pace.note(self.key, clock.monotonic() - began, self.aside.is_some());
        decided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_decided_for_aside_until_it_was_quick_and_again_after_a_slow_one() {
        let pace = Pace::new(1);
        let quick = Duration::from_micros(50);
        assert!(pace.is_wary(1), "nothing is known of it");
        pace.note(1, quick, true);
        assert!(!pace.is_wary(1));
        pace.note(1, SLOW, false);
        for _ in 0..WARY {
            assert!(pace.is_wary(1));
            pace.note(1, quick, true);
        }
        assert!(!pace.is_wary(1));
        assert!(pace.is_wary(2), "each machine for itself");
    }
}
