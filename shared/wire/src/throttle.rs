//! AWS's request quotas: a bucket of tokens for each account and operation, which is refilled each second.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::Error;

/// A bucket's size, and what comes into it (Developer Guide, "Service quotas", "API action throttling").
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Requests that may come at once after a while of none.
    pub bucket: u32,
    /// Requests per second that may come for good.
    pub refill_per_second: f64,
}

/// Refuses requests of an account that makes too many of one operation.
#[derive(Debug, Default)]
pub struct Throttle {
    rates: BTreeMap<String, Rate>,
    buckets: Mutex<Accounts>,
}

/// The buckets of each account, by operation.
type Accounts = BTreeMap<Arc<str>, BTreeMap<String, Bucket>>;

type Quota = (&'static str, (u32, u32), (u32, u32));

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    /// When the tokens were counted, on the monotonic clock.
    at: Duration,
}

/// Accounts whose buckets are kept at once. Where nobody's signature is checked a caller may name any.
const ACCOUNTS_MAX: usize = 1000;

/// Regions with the larger quotas.
const LARGE_REGIONS: [&str; 3] = ["us-east-1", "us-west-2", "eu-west-1"];

/// Operation, bucket and refill per second in the large regions, and in all others.
const AWS: [Quota; 26] = [
    ("CreateActivity", (100, 1), (100, 1)),
    ("CreateStateMachine", (100, 1), (100, 1)),
    ("CreateStateMachineAlias", (100, 1), (100, 1)),
    ("DeleteActivity", (100, 1), (100, 1)),
    ("DeleteStateMachine", (100, 1), (100, 1)),
    ("DescribeActivity", (200, 1), (200, 1)),
    ("DescribeExecution", (300, 15), (250, 10)),
    ("DescribeStateMachine", (200, 20), (200, 20)),
    ("DescribeStateMachineForExecution", (200, 1), (200, 1)),
    ("GetActivityTask", (3000, 500), (1500, 300)),
    ("GetExecutionHistory", (400, 20), (400, 20)),
    ("ListActivities", (100, 10), (100, 5)),
    ("ListExecutions", (200, 5), (100, 2)),
    ("ListStateMachines", (100, 5), (100, 5)),
    ("ListTagsForResource", (100, 1), (100, 1)),
    ("RedriveExecution", (1300, 300), (800, 150)),
    ("SendTaskFailure", (3000, 500), (1500, 300)),
    ("SendTaskHeartbeat", (3000, 500), (1500, 300)),
    ("SendTaskSuccess", (3000, 500), (1500, 300)),
    ("StartExecution", (1300, 300), (800, 150)),
    ("StopExecution", (1000, 200), (500, 25)),
    ("TagResource", (200, 1), (200, 1)),
    ("TestState", (1, 1), (1, 1)),
    ("UntagResource", (200, 1), (200, 1)),
    ("UpdateStateMachine", (100, 1), (100, 1)),
    ("ValidateStateMachineDefinition", (100, 1), (100, 1)),
];

impl Throttle {
    /// The quotas that AWS gives an account in `region` to begin with.
    pub fn aws(region: &str) -> Self {
        let is_large = LARGE_REGIONS.contains(&region);
        let rates = AWS.iter().map(|(operation, large, other)| {
            let (bucket, refill) = if is_large { *large } else { *other };
            ((*operation).to_owned(), Rate { bucket, refill_per_second: f64::from(refill) })
        });
        Throttle { rates: rates.collect(), buckets: Mutex::default() }
    }

    /// Lets `operation`, such as `StartExecution`, have another rate.
    #[must_use]
    pub fn with(mut self, operation: &str, rate: Rate) -> Self {
        self.rates.insert(operation.to_owned(), rate);
        self
    }

    /// Takes a token.
    ///
    /// # Errors
    /// [`Error::Throttling`] where there is none.
    pub(crate) fn admit(&self, account: &Arc<str>, operation: &str, now: Duration) -> Result<(), Error> {
        let Some(rate) = self.rates.get(operation) else { return Ok(()) };
        let mut accounts = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= ACCOUNTS_MAX && !accounts.contains_key(account) {
            accounts.clear();
        }
        let buckets = accounts.entry(account.clone()).or_default();
        let full = Bucket { tokens: f64::from(rate.bucket), at: now };
        let bucket = buckets.entry(operation.to_owned()).or_insert(full);
        let gone_by = now.saturating_sub(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + gone_by * rate.refill_per_second).min(full.tokens);
        bucket.at = bucket.at.max(now);
        if bucket.tokens < 1.0 {
            return Err(Error::Throttling(Error::RATE_EXCEEDED));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_emptied_and_refilled() {
        let throttle = Throttle::default().with("Op", Rate { bucket: 2, refill_per_second: 0.5 });
        let (one, two) = (Arc::from("1"), Arc::from("2"));
        let check = |account: &Arc<str>, operation: &str, seconds: u64, expected: bool| {
            let admitted = throttle.admit(account, operation, Duration::from_secs(seconds));
            assert_eq!(admitted.is_ok(), expected, "{account} {operation} at {seconds}");
        };
        check(&one, "Op", 10, true);
        check(&one, "Op", 10, true);
        check(&one, "Op", 10, false);
        check(&two, "Op", 10, true);
        check(&one, "Other", 10, true);
        check(&one, "Op", 11, false);
        check(&one, "Op", 12, true);
        check(&one, "Op", 12, false);
        // It does not overflow, nor does time go back.
        check(&one, "Op", 1000, true);
        check(&one, "Op", 999, true);
        check(&one, "Op", 1000, false);
    }

    #[test]
    fn aws_differs_by_region() {
        let rate = |region: &str| Throttle::aws(region).rates["StartExecution"];
        assert_eq!(rate("us-east-1"), Rate { bucket: 1300, refill_per_second: 300.0 });
        assert_eq!(rate("eu-central-1"), Rate { bucket: 800, refill_per_second: 150.0 });
    }

    #[test]
    fn many_accounts_take_up_bounded_room() {
        let throttle = Throttle::aws("us-east-1");
        for n in 0..3 * ACCOUNTS_MAX {
            throttle.admit(&n.to_string().into(), "TestState", Duration::ZERO).unwrap();
        }
        assert!(throttle.buckets.lock().unwrap().len() <= ACCOUNTS_MAX);
    }
}
