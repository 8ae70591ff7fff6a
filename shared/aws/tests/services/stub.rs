//! SQS and EventBridge Scheduler as the clients see them, within the test and with its clock: what they take, what they refuse.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use serde_json::{Value, json};
use stepwell_aws::services::{scheduler, sqs};
use stepwell_engine::port::Clock;
use stepwell_integrations::{Aws, Endpoints, Http, HttpAnswer, HttpError, Keys, Service};
use stepwell_interpreter::Timestamp;
use stepwell_test_support::SimClock;

use crate::support::Hasty;

/// How long a delivered message stays hidden: the queue's own visibility.
const VISIBILITY: Duration = Duration::from_secs(900);

/// Both services.
#[derive(Clone)]
pub(crate) struct Stub {
    pub(crate) clock: Arc<SimClock>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    messages: BTreeMap<String, Held>,
    schedules: BTreeMap<String, Schedule>,
    sent: u64,
    requests: Vec<(String, usize)>,
    to_lose: u32,
}

struct Held {
    body: String,
    visible_at: i64,
    receives: u32,
    receipt: String,
}

/// A schedule.
#[derive(Clone)]
pub(crate) struct Schedule {
    pub(crate) at: Timestamp,
    pub(crate) input: String,
}

/// One delivery.
pub(crate) struct Received {
    pub(crate) id: String,
    pub(crate) receipt: String,
    pub(crate) body: String,
    pub(crate) receives: u32,
}

impl Stub {
    pub(crate) fn new(clock: Arc<SimClock>) -> Self {
        Stub { clock, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn aws(&self) -> Aws {
        let services = [Service::Sqs, Service::Scheduler].into_iter();
        let endpoints = services.fold(Endpoints::aws(), |all, service| all.with(service, "http://stub"));
        Aws::new("us-east-1", endpoints, Keys::none()).over(self.clone())
    }

    pub(crate) fn sqs(&self) -> sqs::Client {
        sqs::Client::new(&self.aws(), Arc::new(Hasty(self.clock.clone())))
    }

    pub(crate) fn scheduler(&self) -> scheduler::Client {
        scheduler::Client::new(&self.aws(), Arc::new(Hasty(self.clock.clone())))
    }

    /// Requests since this was last called: the operation, and how many entries it had.
    pub(crate) fn take(&self) -> Vec<(String, usize)> {
        std::mem::take(&mut self.state().requests)
    }

    /// Loses the next replies, to requests that are done.
    pub(crate) fn lose(&self, replies: u32) {
        self.state().to_lose = replies;
    }

    /// A delivery of a visible message, as a function's event has it.
    pub(crate) fn receive(&self) -> Option<Received> {
        let now = self.clock.now().0;
        let mut state = self.state();
        let (id, held) = state.messages.iter_mut().find(|(_, held)| held.visible_at <= now)?;
        held.receives += 1;
        held.visible_at = now + VISIBILITY.as_millis() as i64;
        held.receipt = format!("{id}/{}", held.receives);
        let (receipt, body, receives) = (held.receipt.clone(), held.body.clone(), held.receives);
        Some(Received { id: id.clone(), receipt, body, receives })
    }

    /// Puts a message with this body into the queue, as another service does.
    pub(crate) fn put(&self, id: &str, body: &str) {
        let visible_at = self.clock.now().0;
        let held = Held { body: body.to_owned(), visible_at, receives: 0, receipt: String::new() };
        self.state().messages.insert(id.to_owned(), held);
    }

    /// Removes a message.
    pub(crate) fn delete(&self, id: &str) {
        self.state().messages.remove(id);
    }

    /// The schedules that are set.
    pub(crate) fn schedules(&self) -> Vec<Schedule> {
        self.state().schedules.values().cloned().collect()
    }

    /// Takes the schedule that fires first, up to `until`.
    pub(crate) fn next_schedule(&self, until: Timestamp) -> Option<Schedule> {
        let mut state = self.state();
        let first = state.schedules.iter().min_by_key(|(_, schedule)| schedule.at.0)?;
        let (name, at) = (first.0.clone(), first.1.at);
        if at > until { None } else { state.schedules.remove(&name) }
    }

    fn answer(&self, request: &Request<Bytes>) -> Result<Value, (u16, &'static str)> {
        let body: Value =
            serde_json::from_slice(request.body()).map_err(|_| (400, "SerializationException"))?;
        let target = request.headers().get("x-amz-target").map_or("", |target| target.to_str().unwrap_or(""));
        match target.rsplit('.').next().unwrap_or_default() {
            "SendMessageBatch" => self.send(&body),
            "DeleteMessageBatch" => Ok(self.delete_batch(&body)),
            "ChangeMessageVisibility" => self.change_visibility(&body),
            _ if request.uri().path().starts_with("/schedules/") => {
                self.schedule(request.uri().path(), &body)
            }
            _ => Err((400, "UnknownOperationException")),
        }
    }

    fn send(&self, body: &Value) -> Result<Value, (u16, &'static str)> {
        let entries = body["Entries"].as_array().ok_or((400, "EmptyBatchRequest"))?;
        let mut state = self.state();
        state.requests.push(("SendMessageBatch".into(), entries.len()));
        let text = |entry: &Value| entry["MessageBody"].as_str().unwrap_or_default().to_owned();
        if entries.is_empty() || entries.len() > 10 {
            return Err((400, "TooManyEntriesInBatchRequest"));
        }
        if entries.iter().map(|entry| text(entry).len()).sum::<usize>() > 1024 * 1024 {
            return Err((400, "BatchRequestTooLong"));
        }
        let (mut done, mut failed) = (vec![], vec![]);
        for entry in entries {
            let delay = entry["DelaySeconds"].as_i64().unwrap_or(0);
            if !(0..=900).contains(&delay) {
                failed
                    .push(json!({ "Id": entry["Id"], "Code": "InvalidParameterValue", "SenderFault": true }));
                continue;
            }
            state.sent += 1;
            let id = format!("m{:06}", state.sent);
            let visible_at = self.clock.now().0 + delay * 1000;
            let held = Held { body: text(entry), visible_at, receives: 0, receipt: String::new() };
            state.messages.insert(id.clone(), held);
            done.push(json!({ "Id": entry["Id"], "MessageId": id, "MD5OfMessageBody": "" }));
        }
        Ok(json!({ "Successful": done, "Failed": failed }))
    }

    fn delete_batch(&self, body: &Value) -> Value {
        let entries = body["Entries"].as_array().cloned().unwrap_or_default();
        let mut state = self.state();
        state.requests.push(("DeleteMessageBatch".into(), entries.len()));
        let receipts: Vec<_> = entries.iter().filter_map(|entry| entry["ReceiptHandle"].as_str()).collect();
        state.messages.retain(|_, held| !receipts.contains(&&*held.receipt));
        let gone: Vec<_> = entries.iter().map(|entry| json!({ "Id": entry["Id"] })).collect();
        json!({ "Successful": gone, "Failed": [] })
    }

    fn change_visibility(&self, body: &Value) -> Result<Value, (u16, &'static str)> {
        let (now, mut state) = (self.clock.now().0, self.state());
        state.requests.push(("ChangeMessageVisibility".into(), 1));
        let seconds = body["VisibilityTimeout"].as_i64().filter(|seconds| (0..=43_200).contains(seconds));
        let seconds = seconds.ok_or((400, "InvalidParameterValue"))?;
        let receipt = body["ReceiptHandle"].as_str().unwrap_or_default();
        let held = state.messages.values_mut().find(|held| held.receipt == receipt);
        held.ok_or((400, "ReceiptHandleIsInvalid"))?.visible_at = now + seconds * 1000;
        Ok(json!({}))
    }

    fn schedule(&self, uri: &str, body: &Value) -> Result<Value, (u16, &'static str)> {
        let mut state = self.state();
        state.requests.push(("CreateSchedule".into(), 1));
        let name = uri.rsplit('/').next().unwrap_or_default().to_owned();
        let at = body["ScheduleExpression"].as_str().and_then(|at| at.strip_prefix("at(")?.strip_suffix(')'));
        let at = at.and_then(|at| format!("{at}Z").parse::<jiff::Timestamp>().ok());
        let at = Timestamp(at.ok_or((400, "ValidationException"))?.as_millisecond());
        let is_whole = body["ActionAfterCompletion"] == "DELETE"
            && body["FlexibleTimeWindow"]["Mode"] == "OFF"
            && body["Target"]["Arn"].is_string()
            && body["Target"]["RoleArn"].is_string()
            && name.len() <= 64
            && at > self.clock.now();
        let input = body["Target"]["Input"].as_str().filter(|_| is_whole);
        let input = input.ok_or((400, "ValidationException"))?.to_owned();
        if state.schedules.contains_key(&name) {
            return Err((409, "ConflictException"));
        }
        state.schedules.insert(name, Schedule { at, input });
        Ok(json!({ "ScheduleArn": "arn" }))
    }
}

impl fmt::Debug for Stub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stub")
    }
}

#[async_trait]
impl Http for Stub {
    async fn send(&self, request: Request<Bytes>, _: usize) -> Result<HttpAnswer, HttpError> {
        let answer = self.answer(&request);
        // No service answers at once.
        tokio::task::yield_now().await;
        let (status, body, error) = match answer {
            Ok(body) => (200, body, None),
            Err((status, error)) => (status, json!({ "__type": error, "message": "" }), Some(error)),
        };
        let mut state = self.state();
        if state.to_lose > 0 {
            state.to_lose -= 1;
            return Err(HttpError::Unknown("the reply is lost".to_owned()));
        }
        let mut headers = HeaderMap::new();
        if let Some(error) = error {
            headers.insert("x-amzn-errortype", HeaderValue::from_static(error));
        }
        Ok(HttpAnswer { status, headers, body: body.to_string().into() })
    }
}
