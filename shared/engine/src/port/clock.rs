//! Time and randomness.

use std::time::Duration;

use async_trait::async_trait;
use stepwell_interpreter::{Now, Timestamp};

/// Time and randomness, so that a test can own both.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time, by a clock that may jump.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment, by a clock that never jumps: what leases are kept by.
    fn monotonic(&self) -> Duration;

    /// 64 random bits, unguessable by a stranger.
    fn random(&self) -> u64;

    /// Returns when `duration` has gone by.
    async fn sleep(&self, duration: Duration);

    /// Time and a fresh seed for one decision.
    fn decision(&self) -> Now {
        let seed = u128::from(self.random()) << 64 | u128::from(self.random());
        Now { time: self.now(), seed }
    }
}
