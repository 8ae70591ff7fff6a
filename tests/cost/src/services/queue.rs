//! SQS: one standard queue, and the poller that Lambda keeps for it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stepwell_engine::port::Clock;
use stepwell_interpreter::Timestamp;

use super::{Answer, Asked, Services, list};
use crate::usage::chunks;

/// A request is one for each 64 KB of what it carries.
const CHUNK: usize = 64 * 1024;
/// Messages of a batch.
const BATCH: usize = 10;

#[derive(Default)]
pub(super) struct Messages {
    sent: u64,
    held: BTreeMap<u64, Held>,
}

struct Held {
    body: String,
    visible_at: i64,
    sent_at: i64,
    receives: u32,
    receipt: String,
}

/// A message of a batch.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its id.
    pub id: String,
    /// The receipt of this delivery.
    pub receipt: String,
    /// What it says.
    pub body: String,
    /// Which delivery this is, from 1.
    pub receives: u32,
    /// When it was sent, in milliseconds since 1970.
    pub sent_at: i64,
}

impl Services {
    /// What Lambda's poller finds: up to ten messages. A poll that finds none is not counted.
    pub fn receive(&self, most: usize, visibility: std::time::Duration) -> Vec<Received> {
        let now = self.inner.clock.now().0;
        let mut state = self.state();
        let mut found = vec![];
        for (n, held) in state.queue.held.iter_mut().filter(|(_, held)| held.visible_at <= now) {
            if found.len() == most.min(BATCH) {
                break;
            }
            held.receives += 1;
            held.visible_at = now + visibility.as_millis() as i64;
            held.receipt = format!("{n}/{}", held.receives);
            found.push(Received {
                id: format!("m{n:08}"),
                receipt: held.receipt.clone(),
                body: held.body.clone(),
                receives: held.receives,
                sent_at: held.sent_at,
            });
        }
        if !found.is_empty() {
            let bytes = found.iter().map(|message| message.body.len()).sum();
            state.usage.request("sqs", "ReceiveMessage");
            state.usage.add("sqs.requests", chunks(bytes, CHUNK));
        }
        found
    }

    /// What Lambda's poller removes when a batch is done.
    pub fn delete(&self, batch: &[Received]) {
        if batch.is_empty() {
            return;
        }
        let mut state = self.state();
        for message in batch {
            let n: u64 = message.id.trim_start_matches('m').parse().expect("it is one of ours");
            state.queue.held.remove(&n);
        }
        state.usage.request("sqs", "DeleteMessageBatch");
        state.usage.add("sqs.requests", 1.0);
    }

    /// When the next message may be received.
    pub fn next_visible(&self) -> Option<Timestamp> {
        self.state().queue.held.values().map(|held| Timestamp(held.visible_at)).min()
    }

    pub(super) fn sqs(&self, asked: &Asked) -> Answer {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let now = self.inner.clock.now().0;
        let mut state = self.state();
        state.usage.request("sqs", &asked.operation);
        match asked.operation.as_str() {
            "SendMessageBatch" => {
                let text = |entry: &Value| entry["MessageBody"].as_str().unwrap_or_default().to_owned();
                let bytes = list(&body["Entries"]).map(|entry| text(entry).len()).sum();
                state.usage.add("sqs.requests", chunks(bytes, CHUNK));
                let mut done = vec![];
                for entry in list(&body["Entries"]) {
                    let visible_at = now + entry["DelaySeconds"].as_i64().unwrap_or(0) * 1000;
                    let id = state.queue.send(text(entry), visible_at, now);
                    done.push(json!({ "Id": entry["Id"], "MessageId": id, "MD5OfMessageBody": "" }));
                }
                Answer::json(&json!({ "Successful": done, "Failed": [] }))
            }
            "SendMessage" => {
                let text = body["MessageBody"].as_str().unwrap_or_default().to_owned();
                state.usage.add("sqs.requests", chunks(text.len(), CHUNK));
                let visible_at = now + body["DelaySeconds"].as_i64().unwrap_or(0) * 1000;
                let id = state.queue.send(text, visible_at, now);
                Answer::json(&json!({ "MessageId": id, "MD5OfMessageBody": "" }))
            }
            "ChangeMessageVisibility" => {
                state.usage.add("sqs.requests", 1.0);
                state.queue.change(&body, now);
                Answer::json(&json!({}))
            }
            "ChangeMessageVisibilityBatch" => {
                state.usage.add("sqs.requests", 1.0);
                let mut done = vec![];
                for entry in list(&body["Entries"]) {
                    state.queue.change(entry, now);
                    done.push(json!({ "Id": entry["Id"] }));
                }
                Answer::json(&json!({ "Successful": done, "Failed": [] }))
            }
            "DeleteMessageBatch" => {
                state.usage.add("sqs.requests", 1.0);
                let receipts: Vec<_> =
                    list(&body["Entries"]).filter_map(|entry| entry["ReceiptHandle"].as_str()).collect();
                state.queue.held.retain(|_, held| !receipts.contains(&&*held.receipt));
                let done: Vec<_> = list(&body["Entries"]).map(|entry| json!({ "Id": entry["Id"] })).collect();
                Answer::json(&json!({ "Successful": done, "Failed": [] }))
            }
            _ => Answer::error(400, "UnknownOperationException"),
        }
    }
}

impl Messages {
    fn send(&mut self, body: String, visible_at: i64, sent_at: i64) -> String {
        self.sent += 1;
        let held = Held { body, visible_at, sent_at, receives: 0, receipt: String::new() };
        self.held.insert(self.sent, held);
        format!("m{:08}", self.sent)
    }

    fn change(&mut self, entry: &Value, now: i64) {
        let receipt = entry["ReceiptHandle"].as_str().unwrap_or_default();
        let seconds = entry["VisibilityTimeout"].as_i64().unwrap_or(0);
        if let Some(held) = self.held.values_mut().find(|held| held.receipt == receipt) {
            held.visible_at = now + seconds * 1000;
        }
    }
}
