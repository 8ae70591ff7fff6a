//! Requests that came before.
//!
//! A signature is good for minutes, and who has read a request on its way could make it again. So each signature is
//! taken once. There is one exception, since stock SDKs sign the second and not the instant: a client that makes the same
//! request again within the second signs it alike. That is taken from the connection that brought the first, where the
//! SDK says that it is another call (`amz-sdk-invocation-id`). Any other repetition is refused with an exception upon
//! which SDKs sign anew and try again, so that a client that meant it loses a moment, and one that copied it gains nothing.

use std::collections::hash_map::{Entry, RandomState};
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError};

use hyper::header::HeaderMap;
use stepwell_access::WINDOW_SECONDS;
use stepwell_wire::Error;

/// Signatures that are remembered at once: 14,000 requests a second. More are refused.
const SEEN_MAX: usize = 1 << 22;

/// How long after the first the same request may come again by the same connection, in milliseconds.
const AGAIN_MILLIS: i64 = 2_000;

/// The signatures of the last minutes.
#[derive(Debug)]
pub(super) struct Replays {
    hasher: RandomState,
    seen: Mutex<Seen>,
    seen_max: usize,
    /// In seconds since 1970. What was signed before may have come before, and nobody remembers.
    since: i64,
}

#[derive(Debug, Default)]
struct Seen {
    /// By the second they were signed in.
    seconds: BTreeMap<i64, HashMap<u64, First>>,
    count: usize,
}

/// Where and when a signature came first.
#[derive(Debug, Clone, Copy)]
struct First {
    connection: u64,
    at: i64,
}

/// A request whose signature fits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub(super) signature: &'a str,
    /// In seconds since 1970.
    pub(super) signed_at: i64,
    pub(super) connection: u64,
    pub(super) headers: &'a HeaderMap,
    /// The time now, in milliseconds since 1970.
    pub(super) now: i64,
}

impl Replays {
    /// Remembers from `since` on, in seconds since 1970; what was signed before that is refused.
    pub(super) fn since(since: i64) -> Self {
        Replays { hasher: RandomState::new(), seen: Mutex::default(), seen_max: SEEN_MAX, since }
    }

    /// Takes a request that did not come before.
    ///
    /// # Errors
    /// [`Error::Throttling`]
    pub(super) fn admit(&self, arrival: Arrival<'_>) -> Result<(), Error> {
        let Arrival { signature, signed_at, connection, now, .. } = arrival;
        if signed_at < self.since {
            return Err(Error::Throttling(
                "The request was signed before this server started. Sign it again.",
            ));
        }
        let alike = self.hasher.hash_one(signature);
        let call = self.call(arrival);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.forget(now / 1000 - WINDOW_SECONDS - 1);
        if seen.count >= self.seen_max {
            return Err(Error::Throttling("Rate exceeded"));
        }
        let second = seen.seconds.entry(signed_at).or_default();
        let before = second.len();
        let first = *second.entry(alike).or_insert(First { connection, at: now });
        let is_first = second.len() > before;
        let may_come_again = first.connection == connection && now - first.at <= AGAIN_MILLIS;
        let is_another_call = match call.filter(|_| is_first || may_come_again).map(|call| second.entry(call))
        {
            Some(Entry::Vacant(vacant)) => {
                vacant.insert(first);
                true
            }
            Some(Entry::Occupied(_)) | None => false,
        };
        seen.count += seen.seconds[&signed_at].len() - before;
        if is_first || is_another_call {
            Ok(())
        } else {
            Err(Error::Throttling("The signature of this request was used before. Sign it again."))
        }
    }

    /// Which try of which call of an SDK this says that it is.
    fn call(&self, arrival: Arrival<'_>) -> Option<u64> {
        let header = |name: &str| arrival.headers.get(name).map(|value| value.as_bytes());
        let id = header("amz-sdk-invocation-id")?;
        Some(self.hasher.hash_one((arrival.signature, id, header("amz-sdk-request"))))
    }
}

impl Seen {
    /// Forgets what was signed before a second: its time refuses it.
    fn forget(&mut self, before: i64) {
        while let Some(oldest) = self.seconds.first_entry().filter(|oldest| *oldest.key() < before) {
            self.count -= oldest.remove().len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(call: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(call) = call {
            headers.insert("amz-sdk-invocation-id", call.parse().unwrap());
        }
        headers
    }

    #[track_caller]
    fn check(
        replays: &Replays,
        signature: &str,
        connection: u64,
        call: Option<&str>,
        now: i64,
        expected: bool,
    ) {
        let headers = headers(call);
        let arrival = Arrival { signature, signed_at: 1_000, connection, headers: &headers, now };
        assert_eq!(replays.admit(arrival).is_ok(), expected, "{signature} {connection} {call:?} {now}");
    }

    #[test]
    fn a_signature_is_taken_once() {
        let replays = Replays::since(1_000);
        check(&replays, "a", 1, None, 1_000_000, true);
        check(&replays, "a", 1, None, 1_000_000, false);
        check(&replays, "a", 2, None, 1_000_500, false);
        check(&replays, "a", 2, Some("x"), 1_000_500, false);
        check(&replays, "b", 2, None, 1_000_500, true);
        check(&Replays::since(1_001), "a", 1, None, 1_001_000, false);
    }

    #[test]
    fn an_sdk_may_repeat_itself_within_the_second() {
        let replays = Replays::since(1_000);
        check(&replays, "a", 1, Some("x"), 1_000_000, true);
        check(&replays, "a", 1, Some("x"), 1_000_100, false);
        check(&replays, "a", 1, Some("y"), 1_000_200, true);
        check(&replays, "a", 1, Some("y"), 1_000_300, false);
        check(&replays, "a", 2, Some("z"), 1_000_400, false);
        check(&replays, "a", 1, Some("z"), 1_000_500, true);
        check(&replays, "a", 1, Some("w"), 1_002_001, false);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let replays = Replays { seen_max: 2, ..Replays::since(1_000) };
        check(&replays, "a", 1, None, 1_000_000, true);
        check(&replays, "b", 1, None, 1_000_000, true);
        check(&replays, "c", 1, None, 1_000_000, false);
        let headers = headers(None);
        let later =
            Arrival { signature: "d", signed_at: 1_400, connection: 1, headers: &headers, now: 1_400_000 };
        replays.admit(later).unwrap();
        assert_eq!(replays.seen.lock().unwrap().count, 1);
    }
}
