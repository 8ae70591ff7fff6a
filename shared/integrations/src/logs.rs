//! CloudWatch Logs: events into the streams of log groups.
//!
//! Each process has a stream of its own for each state machine and day. Whoever writes into a stream while another does waits, and then
//! writes for all who have gathered. Nothing is spawned: who is dropped while writing for others lets them try again.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stepwell_engine::port::LogLine;
use stepwell_expr::Value;
use stepwell_expr::json::{parse, write_string};
use tokio::sync::oneshot;

use crate::exception::Exception;
use crate::{Aws, CallError, HttpAnswer, Service, ServiceClient};

/// What CloudWatch Logs takes in one request (API: PutLogEvents): bytes, where each event counts for more than its text, events, and
/// milliseconds between the first and the last.
const BATCH_BYTES_MAX: usize = 1_048_576;
const EVENT_BYTES: usize = 26;
const EVENTS_MAX: usize = 10_000;
const SPAN_MAX: i64 = 24 * 60 * 60 * 1000;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Streams that a process knows at once. It makes new ones for what it has forgotten.
const STREAMS_MAX: usize = 1_000;

/// Why events were not written, or nobody knows.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogsError {
    /// CloudWatch Logs says no.
    #[error("CloudWatch Logs refuses {operation}: {code}: {message}")]
    Refused {
        /// The operation.
        operation: &'static str,
        /// Its code, such as `ResourceNotFoundException`.
        code: String,
        /// What it says besides.
        message: String,
    },
    /// CloudWatch Logs does not answer.
    #[error("CloudWatch Logs does not answer {operation}: {why}")]
    NoAnswer {
        /// The operation.
        operation: &'static str,
        /// Why.
        why: String,
    },
    /// Whoever wrote them with their own was dropped.
    #[error("whoever wrote the events was dropped meanwhile")]
    Dropped,
}

/// Writes into log groups.
pub struct CloudWatchLogs {
    client: ServiceClient,
    /// Tells this process's streams from others'.
    process: String,
    streams: Mutex<Streams>,
}

/// By group and state machine.
type Streams = HashMap<(Arc<str>, Arc<str>), Arc<Stream>>;

struct Stream {
    group: String,
    name: String,
    /// The day that it was made for, since 1970.
    day: i64,
    waiting: Mutex<VecDeque<Waiting>>,
    /// Whether it is there; held by who writes.
    turn: tokio::sync::Mutex<bool>,
}

struct Waiting {
    events: Vec<LogLine>,
    answer: oneshot::Sender<Result<(), LogsError>>,
}

impl CloudWatchLogs {
    /// The log groups of the account and region that `aws` calls.
    pub fn new(aws: &Aws) -> Self {
        let process = uuid::Uuid::new_v4().simple().to_string()[..8].to_owned();
        CloudWatchLogs { client: ServiceClient::new(aws, Service::Logs), process, streams: Mutex::default() }
    }

    /// Writes events of an execution of `state_machine` into the group of this ARN. Where that fails, some may be there.
    ///
    /// # Errors
    /// [`LogsError`].
    pub async fn put(
        &self,
        group_arn: &str,
        state_machine: &str,
        events: Vec<LogLine>,
    ) -> Result<(), LogsError> {
        let stream = self.stream(group_arn, state_machine);
        let (answer, mut answered) = oneshot::channel();
        lock(&stream.waiting).push_back(Waiting { events, answer });
        let mut is_there = stream.turn.lock().await;
        loop {
            match answered.try_recv() {
                Ok(result) => return result,
                Err(oneshot::error::TryRecvError::Closed) => return Err(LogsError::Dropped),
                Err(oneshot::error::TryRecvError::Empty) => self.write(&stream, &mut is_there).await,
            }
        }
    }

    /// Whether there is a group of this ARN; `None` where CloudWatch Logs does not say.
    pub async fn has_group(&self, group_arn: &str) -> Option<bool> {
        let name = group_name(group_arn);
        let mut body = r#"{"logGroupNamePrefix":"#.to_owned();
        write_string(name, &mut body);
        body.push('}');
        // Of the groups whose names begin so it is the first: a name comes before those that are longer.
        let answer = self.call("DescribeLogGroups", body).await.ok()?;
        let groups = answer.get("logGroups")?.as_array()?;
        Some(groups.iter().any(|group| group.get("logGroupName").and_then(Value::as_str) == Some(name)))
    }

    fn stream(&self, group_arn: &str, state_machine: &str) -> Arc<Stream> {
        let now = jiff::Timestamp::now();
        let day = now.as_second().div_euclid(24 * 60 * 60);
        let key = (group_arn.into(), state_machine.into());
        let mut streams = lock(&self.streams);
        if let Some(stream) = streams.get(&key).filter(|stream| stream.day == day) {
            return stream.clone();
        }
        if streams.len() >= STREAMS_MAX {
            streams.clear();
        }
        let name = format!("states/{state_machine}/{}/{}", now.strftime("%Y-%m-%d-%H-%M"), self.process);
        let group = group_name(group_arn).to_owned();
        let (waiting, turn) = Default::default();
        let stream = Arc::new(Stream { group, name, day, waiting, turn });
        streams.insert(key, stream.clone());
        stream
    }

    /// Writes what waits.
    async fn write(&self, stream: &Stream, is_there: &mut bool) {
        let waiting: Vec<_> = lock(&stream.waiting).drain(..).collect();
        let (events, answers): (Vec<_>, Vec<_>) =
            waiting.into_iter().map(|waiting| (waiting.events, waiting.answer)).unzip();
        let written = self.try_write(stream, is_there, events.concat()).await;
        for answer in answers {
            // Who no longer waits has been dropped, and asks no more.
            let _ = answer.send(written.clone());
        }
    }

    async fn try_write(
        &self,
        stream: &Stream,
        is_there: &mut bool,
        events: Vec<LogLine>,
    ) -> Result<(), LogsError> {
        if !*is_there {
            self.create(stream).await?;
            *is_there = true;
        }
        for batch in batches(events) {
            let put = self.call("PutLogEvents", put_body(stream, &batch)).await;
            if is_missing(&put) {
                *is_there = false;
            }
            if let Some(rejected) = put?.get("rejectedLogEventsInfo") {
                tracing::warn!(
                    group = stream.group,
                    rejected = rejected.to_json(),
                    "log events were rejected"
                );
            }
        }
        Ok(())
    }

    async fn create(&self, stream: &Stream) -> Result<(), LogsError> {
        let mut body = String::with_capacity(256);
        body.push_str(r#"{"logGroupName":"#);
        write_string(&stream.group, &mut body);
        body.push_str(r#","logStreamName":"#);
        write_string(&stream.name, &mut body);
        body.push('}');
        match self.call("CreateLogStream", body).await {
            Err(LogsError::Refused { code, .. }) if code == "ResourceAlreadyExistsException" => Ok(()),
            made => made.map(drop),
        }
    }

    async fn call(&self, operation: &'static str, body: String) -> Result<Value, LogsError> {
        let target = format!("Logs_20140328.{operation}");
        let no_answer = |error: CallError| LogsError::NoAnswer { operation, why: error.to_string() };
        let answer = self.client.json(&target, body.into(), PATIENCE).await.map_err(no_answer)?;
        match answer.status {
            200..300 => Ok(said(&answer)),
            _ => Err(refused(operation, &answer)),
        }
    }
}

fn said(answer: &HttpAnswer) -> Value {
    parse(&String::from_utf8_lossy(&answer.body)).unwrap_or_default()
}

fn refused(operation: &'static str, answer: &HttpAnswer) -> LogsError {
    let (code, message) = json_error(answer);
    LogsError::Refused { operation, code, message }
}

/// Code and message of an exception; its status where it has no code.
pub(crate) fn json_error(answer: &HttpAnswer) -> (String, String) {
    let Exception { status, code, message, .. } = Exception::of_json(answer);
    (if code.is_empty() { status.to_string() } else { code }, message.unwrap_or_default())
}

fn is_missing(answer: &Result<Value, LogsError>) -> bool {
    matches!(answer, Err(LogsError::Refused { code, .. }) if code == "ResourceNotFoundException")
}

/// The name in a log group's ARN.
fn group_name(arn: &str) -> &str {
    let name = arn.split_once(":log-group:").map_or(arn, |(_, name)| name);
    name.strip_suffix(":*").unwrap_or(name)
}

/// Events in the order of their times, in parts that one request takes each.
fn batches(mut events: Vec<LogLine>) -> Vec<Vec<LogLine>> {
    events.sort_by_key(|event| event.at);
    let mut batches: Vec<Vec<LogLine>> = vec![];
    let mut bytes = 0;
    for event in events {
        let size = event.message.len() + EVENT_BYTES;
        let fits = batches.last().is_some_and(|batch| {
            let span = batch.first().map_or(0, |first| event.at.0.saturating_sub(first.at.0));
            batch.len() < EVENTS_MAX && bytes + size <= BATCH_BYTES_MAX && span < SPAN_MAX
        });
        match batches.last_mut().filter(|_| fits) {
            Some(batch) => {
                batch.push(event);
                bytes += size;
            }
            None => {
                batches.push(vec![event]);
                bytes = size;
            }
        }
    }
    batches
}

fn put_body(stream: &Stream, events: &[LogLine]) -> String {
    let bytes: usize = events.iter().map(|event| event.message.len() * 5 / 4 + 64).sum();
    let mut body = String::with_capacity(bytes + 256);
    body.push_str(r#"{"logGroupName":"#);
    write_string(&stream.group, &mut body);
    body.push_str(r#","logStreamName":"#);
    write_string(&stream.name, &mut body);
    body.push_str(r#","logEvents":["#);
    for (at, event) in events.iter().enumerate() {
        let separator = if at > 0 { "," } else { "" };
        let _ = write!(body, r#"{separator}{{"timestamp":{},"message":"#, event.at.0);
        write_string(&event.message, &mut body);
        body.push('}');
    }
    body.push_str("]}");
    body
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use stepwell_interpreter::Timestamp;

    use super::*;

    #[test]
    fn names_in_arns() {
        let check = |arn: &str, expected: &str| assert_eq!(group_name(arn), expected);
        check(
            "arn:aws:logs:us-east-1:123456789012:log-group:/aws/vendedlogs/states/x:*",
            "/aws/vendedlogs/states/x",
        );
        check("arn:aws:logs:us-east-1:123456789012:log-group:x", "x");
        check("x", "x");
    }

    #[test]
    fn batches_keep_the_limits_and_the_order() {
        let check = |events: &[(i64, usize)], expected: &[usize]| {
            let event =
                |(at, bytes): &(i64, usize)| LogLine { at: Timestamp(*at), message: "x".repeat(*bytes) };
            let found = batches(events.iter().map(event).collect());
            assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), expected);
            let times: Vec<_> = found.concat().iter().map(|event| event.at).collect();
            assert!(times.is_sorted());
        };
        check(&[], &[]);
        check(&[(2, 1), (1, 1), (3, 1)], &[3]);
        check(&[(1, 500_000), (2, 500_000), (3, 500_000)], &[2, 1]);
        check(&[(1, 2_000_000), (2, 1)], &[1, 1]);
        check(&[(0, 1), (SPAN_MAX - 1, 1), (SPAN_MAX, 1)], &[2, 1]);
        check(&vec![(1, 1); EVENTS_MAX + 1], &[EVENTS_MAX, 1]);
    }
}
