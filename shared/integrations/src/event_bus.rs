//! EventBridge: events for the default bus.

use std::fmt::Write;
use std::time::Duration;

use stepwell_expr::Value;
use stepwell_expr::json::{parse, write_string};
use stepwell_interpreter::Timestamp;

use crate::logs::json_error;
use crate::{Aws, CallError, Service, ServiceClient};

/// What EventBridge takes in one request (API: PutEvents).
const ENTRIES_MAX: usize = 10;
const BYTES_MAX: usize = 256 * 1024;

/// What an entry's time counts for.
const TIME_BYTES: usize = 14;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// An event for a bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusEvent {
    /// `Source`
    pub source: &'static str,
    /// `DetailType`
    pub detail_type: &'static str,
    /// `Detail`: a JSON object.
    pub detail: String,
    /// `Resources`
    pub resource: String,
    /// `Time`
    pub at: Timestamp,
}

/// Why events were not sent, or nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum EventBusError {
    /// EventBridge says no, to all of them or to the first of these.
    #[error("EventBridge refuses PutEvents: {code}: {message}")]
    Refused {
        /// Its code.
        code: String,
        /// What it says besides.
        message: String,
    },
    /// EventBridge does not answer.
    #[error("EventBridge does not answer PutEvents")]
    NoAnswer(#[from] CallError),
}

/// The default bus.
pub struct EventBus {
    client: ServiceClient,
}

impl EventBus {
    /// The bus of the account and region that `aws` calls.
    pub fn new(aws: &Aws) -> Self {
        EventBus { client: ServiceClient::new(aws, Service::EventBridge) }
    }

    /// Sends events, as many in one request as it takes.
    ///
    /// # Errors
    /// [`EventBusError`]; some may have been sent.
    pub async fn put(&self, events: &[BusEvent]) -> Result<(), EventBusError> {
        let mut left = events;
        while !left.is_empty() {
            let (now, later) = left.split_at(fitting(left));
            self.put_now(now).await?;
            left = later;
        }
        Ok(())
    }

    async fn put_now(&self, events: &[BusEvent]) -> Result<(), EventBusError> {
        let answer = self.client.json("AWSEvents.PutEvents", body(events).into(), PATIENCE).await?;
        if !(200..300).contains(&answer.status) {
            let (code, message) = json_error(&answer);
            return Err(EventBusError::Refused { code, message });
        }
        let said = parse(&String::from_utf8_lossy(&answer.body)).unwrap_or_default();
        let entries = said.get("Entries").and_then(Value::as_array).unwrap_or_default();
        let text = |entry: &Value, name| entry.get(name).and_then(Value::as_str).map(str::to_owned);
        let failed = entries.iter().find_map(|entry| Some((text(entry, "ErrorCode")?, entry)));
        match failed {
            None => Ok(()),
            Some((code, entry)) => {
                let message = text(entry, "ErrorMessage").unwrap_or_default();
                Err(EventBusError::Refused { code, message })
            }
        }
    }
}

/// How many of the first events one request takes: one at least.
fn fitting(events: &[BusEvent]) -> usize {
    let mut bytes = 0;
    let fits = |event: &&BusEvent| {
        bytes += event.bytes();
        bytes <= BYTES_MAX
    };
    events.iter().take(ENTRIES_MAX).take_while(fits).count().max(1)
}

impl BusEvent {
    /// What EventBridge counts it for (API: PutEvents, "Calculating event entry size").
    fn bytes(&self) -> usize {
        let BusEvent { source, detail_type, detail, resource, .. } = self;
        TIME_BYTES + source.len() + detail_type.len() + detail.len() + resource.len()
    }
}

fn body(events: &[BusEvent]) -> String {
    let mut body = String::with_capacity(events.iter().map(|event| event.bytes() * 5 / 4 + 128).sum());
    body.push_str(r#"{"Entries":["#);
    for (at, event) in events.iter().enumerate() {
        let separator = if at > 0 { "," } else { "" };
        let (seconds, millis) = (event.at.0.div_euclid(1000), event.at.0.rem_euclid(1000));
        let _ = write!(body, r#"{separator}{{"Time":{seconds}.{millis:03},"Source":"#);
        write_string(event.source, &mut body);
        body.push_str(r#","DetailType":"#);
        write_string(event.detail_type, &mut body);
        body.push_str(r#","Resources":["#);
        write_string(&event.resource, &mut body);
        body.push_str(r#"],"Detail":"#);
        write_string(&event.detail, &mut body);
        body.push('}');
    }
    body.push_str("]}");
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_takes_so_many_events() {
        let check = |details: &[usize], expected: usize| {
            let event = |bytes: &usize| BusEvent {
                source: "stepwell",
                detail_type: "t",
                detail: "x".repeat(*bytes),
                resource: "r".into(),
                at: Timestamp(0),
            };
            assert_eq!(fitting(&details.iter().map(event).collect::<Vec<_>>()), expected);
        };
        check(&[1], 1);
        check(&[1; 11], 10);
        check(&[200_000, 50_000, 50_000], 2);
        check(&[300_000, 1], 1);
    }
}
