//! What Lambda tells of functions: how long each may take, and where the ends of its asynchronous invocations are told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use stepwell_expr::Value;
use stepwell_expr::json::parse;

use super::invocation::Invocation;
use crate::client::{ServiceClient, escaped};
use crate::{Aws, Service};

/// How long what was read is taken to be so.
const KEPT: Duration = Duration::from_secs(5 * 60);

/// How long it is taken to be unknown what Lambda did not say.
const KEPT_UNKNOWN: Duration = Duration::from_secs(10);

/// How long Lambda may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Functions that are known at once.
const KNOWN_MAX: usize = 1000;

/// Configurations are far smaller: their environment has 4 KB at most.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// How long Lambda keeps an event at the most, where the function does not say (API: `MaximumEventAgeInSeconds`).
const EVENT_AGE_MAX: Duration = Duration::from_secs(6 * 60 * 60);

/// How often Lambda invokes a function again for an event that it failed on, where the function does not say.
const RETRIES: i64 = 2;

/// A function by its name or ARN, and the qualifier that stands beside it.
type Name = (Arc<str>, Option<String>);

/// Functions' configurations, read with the program's own keys and kept for a while.
pub(super) struct Functions {
    client: ServiceClient,
    /// `None`: it may not be read.
    timeouts: Known<Option<Duration>>,
    event_configs: Known<EventConfig>,
    /// One at a time, since Lambda answers some 15 such requests a second: who waited finds what was read.
    reading: tokio::sync::Mutex<()>,
}

/// What was read, and until when it is taken to be so.
type Known<T> = Mutex<BTreeMap<Name, (T, Instant)>>;

/// How a function is invoked asynchronously. (API: Lambda GetFunctionEventInvokeConfig.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EventConfig {
    /// Its ends are told, and it is invoked once for an event, which is at most this old then.
    Told {
        /// `MaximumEventAgeInSeconds`
        event_age_max: Duration,
    },
    /// What has to be configured, and is not.
    Lacks(&'static str),
    /// It may not be read.
    Unreadable,
}

/// A configuration that was asked for.
enum Found {
    Body(Value),
    Nothing,
    Denied,
    /// Lambda did not answer, or not sensibly: another time perhaps.
    Unknown(String),
}

impl Functions {
    pub(super) fn new(aws: &Aws) -> Self {
        let client = ServiceClient::new(aws, Service::Lambda);
        let (timeouts, event_configs, reading) = Default::default();
        Functions { client, timeouts, event_configs, reading }
    }

    /// How long the function may take; `None` where that cannot be read.
    pub(super) async fn timeout(&self, invocation: &Invocation) -> Option<Duration> {
        let name = name(invocation);
        if let Some(known) = kept(&self.timeouts, &name) {
            return known;
        }
        let _alone = self.reading.lock().await;
        if let Some(known) = kept(&self.timeouts, &name) {
            return known;
        }
        let function = &invocation.function;
        let mut during = KEPT;
        let timeout = match self.find("2015-03-31", "configuration", invocation).await {
            Found::Body(body) => whole(&body, "Timeout").map(Duration::from_secs),
            Found::Denied => {
                tracing::warn!(
                    %function,
                    "lambda:GetFunctionConfiguration is not allowed: the function is waited for, however long it takes"
                );
                None
            }
            // The call itself will say so.
            Found::Nothing => {
                during = KEPT_UNKNOWN;
                None
            }
            Found::Unknown(why) => {
                tracing::info!(%function, why, "how long the function may take is not known");
                during = KEPT_UNKNOWN;
                None
            }
        };
        keep(&self.timeouts, name, timeout, during);
        timeout
    }

    /// How the function is invoked asynchronously.
    pub(super) async fn event_config(&self, invocation: &Invocation) -> EventConfig {
        let name = name(invocation);
        if let Some(known) = kept(&self.event_configs, &name) {
            return known;
        }
        let _alone = self.reading.lock().await;
        if let Some(known) = kept(&self.event_configs, &name) {
            return known;
        }
        let function = &invocation.function;
        let mut during = KEPT;
        let config = match self.find("2019-09-25", "event-invoke-config", invocation).await {
            Found::Body(body) => event_config(&body),
            Found::Nothing => EventConfig::Lacks(DESTINATIONS),
            Found::Denied => {
                tracing::warn!(
                    %function,
                    "lambda:GetFunctionEventInvokeConfig is not allowed: the function is waited for, however long it takes"
                );
                EventConfig::Unreadable
            }
            Found::Unknown(why) => {
                tracing::info!(%function, why, "how the function is invoked asynchronously is not known");
                during = KEPT_UNKNOWN;
                EventConfig::Unreadable
            }
        };
        // What is not there yet may be a moment later.
        if matches!(config, EventConfig::Lacks(_)) {
            during = KEPT_UNKNOWN;
        }
        keep(&self.event_configs, name, config.clone(), during);
        config
    }

    async fn find(&self, version: &str, what: &str, invocation: &Invocation) -> Found {
        let function = escaped(&invocation.function, b"");
        let mut uri = format!("{}/{version}/functions/{function}/{what}", self.client.endpoint());
        if let Some(qualifier) = &invocation.qualifier {
            uri.push_str("?Qualifier=");
            uri.push_str(&escaped(qualifier, b""));
        }
        let request = match Request::get(uri).body(Bytes::new()) {
            Ok(request) => request,
            Err(error) => return Found::Unknown(error.to_string()),
        };
        match self.client.send(request, ANSWER_BYTES_MAX, PATIENCE).await {
            Ok(answer) => match (answer.status, parse(&String::from_utf8_lossy(&answer.body))) {
                (200, Ok(body)) => Found::Body(body),
                (403, _) => Found::Denied,
                (404, _) => Found::Nothing,
                (status, _) => Found::Unknown(format!("Lambda answers {status}")),
            },
            Err(error) => Found::Unknown(error.to_string()),
        }
    }
}

/// What nobody is told without.
const DESTINATIONS: &str = "destinations OnSuccess and OnFailure that are Stepwell's callback function";

/// What a function's calls are not made at most once without.
const NO_RETRIES: &str = "MaximumRetryAttempts 0";

fn event_config(body: &Value) -> EventConfig {
    let destination = |of: &str| {
        let destination = body.get("DestinationConfig")?.get(of)?.get("Destination")?.as_str();
        destination.filter(|arn| !arn.is_empty())
    };
    if destination("OnSuccess").is_none() || destination("OnFailure").is_none() {
        return EventConfig::Lacks(DESTINATIONS);
    }
    let retries = body.get("MaximumRetryAttempts").and_then(Value::as_number);
    if retries.and_then(|number| number.as_integral()).unwrap_or(RETRIES) != 0 {
        return EventConfig::Lacks(NO_RETRIES);
    }
    let event_age_max = whole(body, "MaximumEventAgeInSeconds").map_or(EVENT_AGE_MAX, Duration::from_secs);
    EventConfig::Told { event_age_max }
}

fn whole(body: &Value, name: &str) -> Option<u64> {
    body.get(name)?.as_number()?.as_integral().and_then(|number| u64::try_from(number).ok())
}

fn name(invocation: &Invocation) -> Name {
    (invocation.function.clone(), invocation.qualifier.clone())
}

fn lock<T>(known: &Known<T>) -> MutexGuard<'_, BTreeMap<Name, (T, Instant)>> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kept<T: Clone>(known: &Known<T>, name: &Name) -> Option<T> {
    lock(known).get(name).filter(|(_, until)| Instant::now() < *until).map(|(value, _)| value.clone())
}

fn keep<T>(known: &Known<T>, name: Name, value: T, during: Duration) {
    let mut known = lock(known);
    if known.len() >= KNOWN_MAX {
        known.clear();
    }
    known.insert(name, (value, Instant::now() + during));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_asynchronous_invocation_needs() {
        let check = |body: &str, expected: EventConfig| {
            assert_eq!(event_config(&parse(body).unwrap()), expected, "{body}");
        };
        let both = r#""DestinationConfig":{"OnSuccess":{"Destination":"arn:c"},"OnFailure":{"Destination":"arn:c"}}"#;
        let told = |seconds| EventConfig::Told { event_age_max: Duration::from_secs(seconds) };
        check(&format!(r#"{{{both},"MaximumRetryAttempts":0}}"#), told(21_600));
        check(&format!(r#"{{{both},"MaximumRetryAttempts":0,"MaximumEventAgeInSeconds":300}}"#), told(300));
        check(&format!(r#"{{{both},"MaximumRetryAttempts":1}}"#), EventConfig::Lacks(NO_RETRIES));
        check(&format!("{{{both}}}"), EventConfig::Lacks(NO_RETRIES));
        check("{}", EventConfig::Lacks(DESTINATIONS));
        check(r#"{"DestinationConfig":{"OnSuccess":{},"OnFailure":{}}}"#, EventConfig::Lacks(DESTINATIONS));
        let one = r#"{"DestinationConfig":{"OnFailure":{"Destination":"arn:c"}},"MaximumRetryAttempts":0}"#;
        check(one, EventConfig::Lacks(DESTINATIONS));
        check(r#"{"DestinationConfig":7}"#, EventConfig::Lacks(DESTINATIONS));
    }
}
