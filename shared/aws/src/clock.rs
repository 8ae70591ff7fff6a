//! A function's clocks and its randomness.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use stepwell_engine::port::Clock;
use stepwell_interpreter::Timestamp;

/// Time as a function's sandbox tells it, and random bits of its operating system.
///
/// A sandbox may be frozen between two events, and copied before the first: nothing random is kept for later.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock { started: Instant::now() }
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn random(&self) -> u64 {
        getrandom::u64().expect("a system that functions run on has randomness")
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_in_milliseconds_and_words_differ() {
        let clock = SystemClock::default();
        // 2026 to 2126
        assert!((1_767_225_600_000..4_922_899_200_000).contains(&clock.now().0));
        let earlier = clock.monotonic();
        assert!(clock.monotonic() >= earlier);
        let words: std::collections::BTreeSet<u64> = (0..200).map(|_| clock.random()).collect();
        assert_eq!(words.len(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn sleep_ends() {
        SystemClock::default().sleep(Duration::from_secs(3_600)).await;
    }

    #[test]
    fn a_decision_is_drawn_from_128_bits_of_the_system() {
        // What an engine is put together with unless a test says otherwise.
        let seeds: Vec<u128> = (0..300).map(|_| SystemClock::default().decision().seed).collect();
        let halves = seeds.iter().flat_map(|seed| [(seed >> 64) as u64, *seed as u64]);
        assert_eq!(halves.collect::<std::collections::BTreeSet<u64>>().len(), 600);
        // No bit stands still.
        assert_eq!(seeds.iter().fold(0, |all, seed| all | seed), u128::MAX);
        assert_eq!(seeds.iter().fold(u128::MAX, |all, seed| all & seed), 0);
    }
}
