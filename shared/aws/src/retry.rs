//! What is tried again, how often, and after how long: one answer for all services.
//!
//! There are two patiences. A client tries a request again a few times within a second or so, whatever it is for: every request of
//! this crate may be repeated, since a write recognises itself and a message that was sent twice is a no-op. What still fails is the
//! engine's, which goes on as long as its own patience says and then gives the message back to SQS. A task's call is none of this: one
//! attempt is one request there.
//!
//! Numbers and codes are those of the SDKs' standard mode.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use stepwell_engine::port::Clock;
use stepwell_integrations::Connections;

/// How often a request is sent at most.
pub const ATTEMPTS: u32 = 4;

/// How long a client waits before its second try at most; before each later one twice as long, and less by what is drawn.
pub const WAIT: Duration = Duration::from_millis(50);

/// How long it ever waits at most.
pub const WAIT_MAX: Duration = Duration::from_secs(1);

/// How long an answer may take, its connection included. All of these services answer within milliseconds.
pub(crate) const ANSWER: Duration = Duration::from_secs(5);

/// The connections to the services that the ports stand on: another try is soon better than a connection that does not come about, and
/// an event may well come in half a minute.
pub(crate) const CONNECTIONS: Connections =
    Connections { connect: Duration::from_secs(2), idle: Duration::from_secs(45) };

/// Codes that say: later.
const PASSING: [&str; 21] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "IDPCommunicationError",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "LimitExceededException",
    "OverLimit",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
];

/// Whether what a service answers may be otherwise a moment later: it is throttled, or broken. Anything else is a refusal.
pub(crate) fn is_passing(status: u16, code: &str) -> bool {
    // The query protocol's names end with `.Name`, JSON's begin with `namespace#`; SQS puts both into one header.
    let code = code.rsplit(['#', '.']).next().unwrap_or_default();
    status >= 500 || status == 429 || status == 408 || PASSING.contains(&code)
}

/// Codes that say: too much, for what is paid or agreed.
const THROTTLED: [&str; 7] = [
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
];

/// Whether a service that does not do what it is asked has only too much to do.
pub(crate) fn is_throttled(status: u16, code: &str) -> bool {
    let code = code.rsplit(['#', '.']).next().unwrap_or_default();
    status == 429 || THROTTLED.contains(&code)
}

/// Tries of one request.
pub(crate) struct Retries {
    tried: u32,
}

impl Retries {
    pub(crate) fn new() -> Self {
        Retries { tried: 1 }
    }

    /// Waits, for a time that is drawn so that many do not come back at once; `false` where it was tried often enough.
    pub(crate) async fn again(&mut self, clock: &dyn Clock) -> bool {
        if self.tried >= ATTEMPTS {
            return false;
        }
        clock.sleep(wait(self.tried, clock.random())).await;
        self.tried += 1;
        true
    }
}

/// How long to wait after try number `tried`: all of it is drawn.
fn wait(tried: u32, random: u64) -> Duration {
    let most = WAIT.saturating_mul(1 << (tried - 1).min(16)).min(WAIT_MAX).as_micros() as u64;
    Duration::from_micros(random % (most + 1))
}

/// What a client may spend on trying again: where a service fails for long, its requests come once only, and help it up again.
#[derive(Debug)]
pub(crate) struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Budget(AtomicU32::new(Budget::MOST))
    }
}

impl Budget {
    const MOST: u32 = 500;
    const RETRY: u32 = 5;

    /// Whether there is enough for another try, which is then paid.
    pub(crate) fn takes(&self) -> bool {
        let pay = |left: u32| left.checked_sub(Budget::RETRY);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay).is_ok()
    }

    /// An answer came: what its last try cost is given back, and a little where it was the first.
    pub(crate) fn succeeded(&self, tries: &Retries) {
        let gain = if tries.tried > 1 { Budget::RETRY } else { 1 };
        if self.0.load(Ordering::Relaxed) < Budget::MOST {
            let add = |left: u32| Some((left + gain).min(Budget::MOST));
            let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttled_and_broken_is_tried_again_and_a_refusal_is_not() {
        let check =
            |status, code, expected| assert_eq!(is_passing(status, code), expected, "{status} {code}");
        check(400, "ThrottlingException", true);
        check(400, "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException", true);
        check(403, "AWS.SimpleQueueService.RequestThrottled", true);
        check(503, "SlowDown", true);
        check(500, "", true);
        check(429, "", true);
        check(400, "ValidationException", false);
        check(403, "AccessDenied", false);
        check(404, "ResourceNotFoundException", false);
    }

    #[test]
    fn waits_grow_and_are_drawn() {
        for (tried, most) in [(1, 50), (2, 100), (3, 200), (5, 800), (6, 1_000), (40, 1_000)] {
            let most = Duration::from_millis(most);
            assert_eq!(wait(tried, 0), Duration::ZERO);
            assert!((0..50).all(|n| wait(tried, n * 7_777_777_777) <= most), "{tried}");
        }
    }

    #[test]
    fn where_a_service_fails_for_long_it_is_asked_once() {
        let budget = Budget::default();
        assert_eq!((0..1_000).filter(|_| budget.takes()).count(), 100);
        budget.succeeded(&Retries { tried: 2 });
        assert!(budget.takes() && !budget.takes());
        for _ in 0..Budget::RETRY {
            budget.succeeded(&Retries::new());
        }
        assert!(budget.takes() && !budget.takes());
    }
}
