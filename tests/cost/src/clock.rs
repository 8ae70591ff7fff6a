//! A clock that jumps.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use stepwell_engine::port::Clock;
use stepwell_interpreter::Timestamp;

/// The machine's clock and how far it was put forward: what is slept is slept, and what nobody is awake for goes by at once.
pub struct JumpingClock {
    started: Instant,
    ahead: AtomicI64,
}

impl Default for JumpingClock {
    fn default() -> Self {
        JumpingClock { started: Instant::now(), ahead: AtomicI64::new(0) }
    }
}

impl JumpingClock {
    /// Puts the clock forward to `until`.
    pub fn jump_to(&self, until: Timestamp) {
        let left = until.0 - self.now().0;
        if left > 0 {
            self.ahead.fetch_add(left, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl Clock for JumpingClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(since.as_millis() as i64 + self.ahead.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed() + Duration::from_millis(self.ahead.load(Ordering::Relaxed) as u64)
    }

    fn random(&self) -> u64 {
        getrandom::u64().expect("a system has randomness")
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
