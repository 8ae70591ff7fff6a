//! The queue, schedules and the user's functions, as the services answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::HeaderName;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use crate::http::{Answers, json as answer};

/// How long a delivered message stays hidden.
const VISIBILITY: Duration = Duration::from_secs(900);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// The keys of every role.
const ROLE_KEYS: &str = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId>\
    <SecretAccessKey>MARK-role-secret</SecretAccessKey><SessionToken>MARK-role-token</SessionToken>\
    <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";

/// What is in the services.
#[derive(Default)]
pub(crate) struct Services {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    messages: BTreeMap<String, Held>,
    sent: u64,
    schedules: Vec<Value>,
    calls: u64,
    call_time: Duration,
}

struct Held {
    body: String,
    visible_at: Instant,
    receives: u32,
    receipt: String,
}

impl Services {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Delivers up to `most` messages that can be received, as an event source mapping hands them over.
    pub(crate) fn receive(&self, most: usize) -> Vec<Value> {
        let now = Instant::now();
        let mut state = self.state();
        let visible = state.messages.iter_mut().filter(|(_, held)| held.visible_at <= now).take(most);
        let records = visible.map(|(id, held)| {
            held.receives += 1;
            held.visible_at = now + VISIBILITY;
            held.receipt = format!("{id}/{}", held.receives);
            json!({
                "messageId": id,
                "receiptHandle": held.receipt,
                "body": held.body,
                "attributes": { "ApproximateReceiveCount": held.receives.to_string() },
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:transitions",
                "awsRegion": "us-east-1",
            })
        });
        records.collect()
    }

    /// Removes a message.
    pub(crate) fn delete(&self, id: &str) {
        self.state().messages.remove(id);
    }

    /// How often functions of the user's were called.
    pub(crate) fn calls(&self) -> u64 {
        self.state().calls
    }

    /// How long they take from now on.
    pub(crate) fn set_call_time(&self, time: Duration) {
        self.state().call_time = time;
    }

    /// The inputs of the schedules that were set.
    pub(crate) fn schedules(&self) -> Vec<Value> {
        self.state().schedules.clone()
    }

    fn send(&self, body: &Value) -> Value {
        let mut state = self.state();
        let entries = body["Entries"].as_array().cloned().unwrap_or_default();
        let done: Vec<_> = entries
            .iter()
            .map(|entry| {
                state.sent += 1;
                let id = format!("m{:06}", state.sent);
                let delay = Duration::from_secs(entry["DelaySeconds"].as_u64().unwrap_or(0));
                let (body, visible_at) = (text(&entry["MessageBody"]), Instant::now() + delay);
                let held = Held { body, visible_at, receives: 0, receipt: String::new() };
                state.messages.insert(id.clone(), held);
                json!({ "Id": entry["Id"], "MessageId": id, "MD5OfMessageBody": "" })
            })
            .collect();
        json!({ "Successful": done, "Failed": [] })
    }

    fn change_visibility(&self, body: &Value) -> Value {
        let receipt = text(&body["ReceiptHandle"]);
        let visible_at =
            Instant::now() + Duration::from_secs(body["VisibilityTimeout"].as_u64().unwrap_or(0));
        let mut state = self.state();
        let held = state.messages.values_mut().filter(|held| held.receipt == receipt);
        held.for_each(|held| held.visible_at = visible_at);
        json!({})
    }

    fn delete_batch(&self, body: &Value) -> Value {
        let entries = body["Entries"].as_array().cloned().unwrap_or_default();
        let receipts: Vec<_> = entries.iter().map(|entry| text(&entry["ReceiptHandle"])).collect();
        self.state().messages.retain(|_, held| !receipts.contains(&held.receipt));
        let gone: Vec<_> = entries.iter().map(|entry| json!({ "Id": entry["Id"] })).collect();
        json!({ "Successful": gone, "Failed": [] })
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Answers for Services {
    async fn answer(self: Arc<Self>, head: Parts, body: Bytes) -> Response<Full<Bytes>> {
        if head.uri.path().ends_with("/invocations") {
            let (time, call) = {
                let mut state = self.state();
                state.calls += 1;
                (state.call_time, state.calls)
            };
            let is_event = head.headers.get("x-amz-invocation-type").is_some_and(|kind| kind == "Event");
            if !is_event {
                tokio::time::sleep(time).await;
            }
            let mut answered = if is_event { answer(202, "") } else { answer(200, body) };
            let id = format!("5f3c1d2e-7b9a-4c60-8e21-{call:012}");
            answered.headers_mut().extend(id.parse().map(|id| (REQUEST_ID, id)));
            return answered;
        }
        if head.uri.path().ends_with("/configuration") {
            return answer(200, json!({ "Timeout": 60 }).to_string());
        }
        if body.starts_with(b"Action=AssumeRole&") {
            return answer(200, ROLE_KEYS);
        }
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        if head.uri.path().starts_with("/schedules/") {
            self.state().schedules.push(request["Target"]["Input"].clone());
            return answer(200, json!({ "ScheduleArn": "arn" }).to_string());
        }
        let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let done = match target.unwrap_or_default() {
            "AmazonSQS.SendMessageBatch" => self.send(&request),
            "AmazonSQS.ChangeMessageVisibility" => self.change_visibility(&request),
            "AmazonSQS.DeleteMessageBatch" => self.delete_batch(&request),
            _ => return answer(400, json!({ "__type": "UnknownOperationException" }).to_string()),
        };
        answer(200, done.to_string())
    }
}
