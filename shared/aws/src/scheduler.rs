//! The Scheduler on EventBridge Scheduler.
//!
//! A schedule fires once and removes itself. It is set ahead of its time, since it is exact to a minute only; its target, the
//! timer function, sends the message with the rest as SQS's delay ([`fire`]). So a wait of a year ends to the second.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stepwell_engine::message::Message;
use stepwell_engine::port::{BoxError, Queue, QueueError, Scheduler};
use stepwell_engine::stored::encode_message;
use stepwell_interpreter::Timestamp;

use crate::queue::{BodyError, body, read_body};
use crate::services::scheduler::{Client, Schedule, Target};

/// How long before a message is due its schedule fires: it may do so up to a minute late, and its target may have to be
/// tried again.
const AHEAD: Duration = Duration::from_secs(180);

/// How often a schedule tries its target at most.
const TRIES: i32 = 185;

/// How long a schedule tries its target, in seconds.
const TRIES_SECONDS: i32 = 24 * 60 * 60;

/// What schedules are made of.
#[derive(Debug, Clone)]
pub struct Schedules {
    /// The service.
    pub client: Client,
    /// The group that they stand in.
    pub group: String,
    /// The ARN of the timer function.
    pub target: String,
    /// The role that may invoke it.
    pub role: String,
}

/// What the timer function gets.
#[derive(Serialize, Deserialize)]
struct Fired {
    /// When the message is due, in milliseconds since 1970.
    due: i64,
    /// The message, as the queue has it.
    message: String,
}

/// What the timer function gets where timers share a schedule.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MinuteCame {
    /// The minute, since 1970.
    minute: i64,
}

/// Why what the timer function got was not sent on.
#[derive(Debug, thiserror::Error)]
pub enum FireError {
    /// It is no schedule's input.
    #[error("not the input of a schedule")]
    Input(#[from] serde_json::Error),
    /// Its message cannot be read.
    #[error(transparent)]
    Message(#[from] BodyError),
    /// The queue does not take it. The schedule tries again.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The table does not answer, or what it holds cannot be read.
    #[error("the minute's timers: {0}")]
    Table(#[source] BoxError),
}

impl FireError {
    pub(crate) fn of_table(error: impl Into<BoxError>) -> Self {
        FireError::Table(error.into())
    }
}

/// What the timer function does with its input: sends the message, with what is left of its time as a delay.
///
/// # Errors
/// [`FireError`].
pub async fn fire(queue: &dyn Queue, input: &str) -> Result<(), FireError> {
    let Fired { due, message } = serde_json::from_str(input)?;
    Ok(queue.send(read_body(&message)?, Some(Timestamp(due))).await?)
}

/// The message in an invocation record of the timer function, which Lambda puts into the queue where that failed again and again.
/// It may come before it is due; a driver sees to that.
pub(crate) fn read_fired(record: &str) -> Option<Message> {
    #[derive(Deserialize)]
    struct Record {
        #[serde(rename = "requestPayload")]
        payload: Fired,
    }
    let record: Record = serde_json::from_str(record).ok()?;
    read_body(&record.payload.message).ok()
}

/// The minute in such a record, where that is what the timer function was told.
pub(crate) fn read_fired_minute(record: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Record {
        #[serde(rename = "requestPayload")]
        payload: MinuteCame,
    }
    serde_json::from_str(record).ok().map(|record: Record| record.payload.minute)
}

/// The same for the same timer, whoever sets it again: what a message says, and to whom.
fn name(message: &Message) -> String {
    use std::fmt::Write;
    let timeless = Message { sent_at: Timestamp(0), ..message.clone() };
    let mut name = String::with_capacity(64);
    for byte in Sha256::digest(encode_message(&timeless)) {
        // Writing into a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// When a schedule fires for what is due then.
pub(crate) fn ahead_of(due: Timestamp) -> Timestamp {
    Timestamp(due.0.saturating_sub(AHEAD.as_millis() as i64))
}

/// `at(…)`, in UTC.
fn expression(at: Timestamp) -> Result<String, BoxError> {
    let at = jiff::Timestamp::from_millisecond(at.0)?;
    Ok(format!("at({})", at.strftime("%Y-%m-%dT%H:%M:%S")))
}

impl Schedules {
    /// Sets the schedule of one message.
    pub(crate) async fn set(&self, message: &Message, due: Timestamp) -> Result<(), BoxError> {
        let input = serde_json::to_string(&Fired { due: due.0, message: body(message) })?;
        self.create(name(message), ahead_of(due), input).await
    }

    /// Sets the schedule of a minute, for the timers that share it.
    pub(crate) async fn set_minute(&self, minute: i64, begins: Timestamp) -> Result<(), BoxError> {
        let input = serde_json::to_string(&MinuteCame { minute })?;
        self.create(format!("minute-{minute}"), begins, input).await
    }

    async fn create(&self, name: String, at: Timestamp, input: String) -> Result<(), BoxError> {
        let schedule_expression = expression(at)?;
        let target = Target {
            arn: &self.target,
            role_arn: &self.role,
            input: &input,
            maximum_retry_attempts: TRIES,
            maximum_event_age_in_seconds: TRIES_SECONDS,
        };
        let schedule = Schedule {
            name: &name,
            group_name: &self.group,
            schedule_expression: &schedule_expression,
            target,
        };
        match self.client.create_schedule(&schedule).await {
            Ok(()) => Ok(()),
            // It was set before, by us or by the client's first try.
            Err(error) if error.code() == Some("ConflictException") => Ok(()),
            Err(error) => Err(error.boxed()),
        }
    }
}

#[async_trait]
impl Scheduler for Schedules {
    async fn schedule(&self, message: Message, due: Timestamp) -> Result<(), QueueError> {
        self.set(&message, due).await.map_err(QueueError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_set_in_utc() {
        assert_eq!(expression(Timestamp(1_767_225_600_999)).unwrap(), "at(2026-01-01T00:00:00)");
        assert!(expression(Timestamp(i64::MAX)).is_err());
    }

    #[test]
    fn an_invocation_record_may_tell_of_a_minute() {
        let record = |payload: &str| {
            format!(r#"{{"version":"1.0","requestPayload":{payload},"responsePayload":null}}"#)
        };
        assert_eq!(read_fired_minute(&record(r#"{"minute":7}"#)), Some(7));
        for payload in [r#"{"due":1,"message":"AA=="}"#, r#"{"minute":7,"due":1}"#, "7", r#"{"minute":"7"}"#]
        {
            assert_eq!(read_fired_minute(&record(payload)), None, "{payload}");
        }
        assert_eq!(read_fired_minute(r#"{"minute":7}"#), None, "it is a record that has it");
    }
}
