//! The machine's clocks and its randomness.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use stepwell_engine::port::Clock;
use stepwell_interpreter::Timestamp;

/// Time as this machine tells it, and random bits of the operating system.
///
/// [`Clock::now`] never goes back while the process lives: where the machine's clock is set back, it goes on at the
/// pace of the monotonic one, so that no wait grows longer and no history runs backwards.
pub struct SystemClock {
    started: Instant,
    /// What to add to the time since `started`, in microseconds since 1970.
    offset: Mutex<i64>,
    random: Mutex<Pool>,
}

struct Pool {
    words: [u64; 64],
    used: usize,
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock::new()
    }
}

impl SystemClock {
    /// A clock that begins at the machine's time.
    pub fn new() -> Self {
        SystemClock {
            started: Instant::now(),
            offset: Mutex::new(i64::MIN),
            random: Mutex::new(Pool { words: [0; 64], used: 64 }),
        }
    }

    fn at(&self, wall: SystemTime, elapsed: Duration) -> Timestamp {
        let elapsed = microseconds(elapsed);
        let wall = match wall.duration_since(UNIX_EPOCH) {
            Ok(since) => microseconds(since),
            Err(before) => -microseconds(before.duration()),
        };
        let mut offset = self.offset.lock().unwrap_or_else(PoisonError::into_inner);
        *offset = (*offset).max(wall - elapsed);
        Timestamp((elapsed + *offset).div_euclid(1000))
    }
}

fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4)
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.at(SystemTime::now(), self.started.elapsed())
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn random(&self) -> u64 {
        let mut pool = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.used == pool.words.len() {
            pool.fill();
        }
        let at = pool.used;
        pool.used += 1;
        // What was given out is kept nowhere.
        std::mem::take(&mut pool.words[at])
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

impl Pool {
    fn fill(&mut self) {
        let mut bytes = [0; 512];
        getrandom::fill(&mut bytes).expect("an operating system that stepwell runs on has randomness");
        let (words, _) = bytes.as_chunks::<8>();
        for (word, bytes) in self.words.iter_mut().zip(words) {
            *word = u64::from_le_bytes(*bytes);
        }
        self.used = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_follows_the_machine_forward_but_not_back() {
        let clock = SystemClock::new();
        let at = |wall, elapsed| {
            let wall = UNIX_EPOCH + Duration::from_millis(wall);
            clock.at(wall, Duration::from_millis(elapsed)).0
        };
        assert_eq!(at(1_000_000, 0), 1_000_000);
        assert_eq!(at(1_000_010, 10), 1_000_010);
        assert_eq!(at(900_000, 20), 1_000_020, "set back");
        assert_eq!(at(5_000_000, 30), 5_000_000, "set forward, or the machine slept");
        assert_eq!(at(4_999_999, 40), 5_000_010);
    }

    #[test]
    fn random_words_differ() {
        let clock = SystemClock::new();
        let words: std::collections::BTreeSet<u64> = (0..200).map(|_| clock.random()).collect();
        assert_eq!(words.len(), 200);
    }

    #[test]
    fn a_decision_is_drawn_from_128_bits_of_the_system() {
        // What an engine is put together with unless a test says otherwise.
        let seeds: Vec<u128> = (0..300).map(|_| SystemClock::new().decision().seed).collect();
        let halves = seeds.iter().flat_map(|seed| [(seed >> 64) as u64, *seed as u64]);
        assert_eq!(halves.collect::<std::collections::BTreeSet<u64>>().len(), 600);
        // No bit stands still.
        assert_eq!(seeds.iter().fold(0, |all, seed| all | seed), u128::MAX);
        assert_eq!(seeds.iter().fold(u128::MAX, |all, seed| all & seed), 0);
    }
}
