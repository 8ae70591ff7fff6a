//! Queues in the place of SQS, for cases that wait for a task token. What tasks get is what AWS was recorded to answer; the
//! integration that the program has for SQS is not tried here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::{Value, json};
use stepwell_engine::port::{Clock, TaskCall};
use stepwell_expr::Payload;
use stepwell_integrations::Integration;
use stepwell_interpreter::{ErrorOutput, Pattern, Resource};

/// How long a message that was received stays hidden, in milliseconds (API: SQS VisibilityTimeout).
const VISIBILITY: i64 = 30_000;

/// How long it takes until a message can be received, in milliseconds: longer than it takes a slow world to record that it
/// was sent. A worker who is faster ends a task that is not submitted yet, and its history then says so.
const PASSAGE: i64 = 200;

/// Queues by their URL.
pub(crate) struct Queues {
    clock: Arc<dyn Clock>,
    queues: Mutex<BTreeMap<String, Vec<Message>>>,
}

struct Message {
    id: String,
    body: String,
    /// In milliseconds since 1970.
    visible_at: i64,
}

impl Queues {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Queues { clock, queues: Mutex::default() }
    }

    /// Answers an operation of the API.
    ///
    /// # Errors
    ///
    /// It is none of those that cases need, or its queue is not there.
    pub(crate) fn call(&self, operation: &str, params: &Value) -> Result<Value, String> {
        let text = |name: &str| params[name].as_str().unwrap_or_default().to_owned();
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if operation == "CreateQueue" {
            let url = format!("https://sqs.us-east-1.amazonaws.com/123456789012/{}", text("QueueName"));
            queues.entry(url.clone()).or_default();
            return Ok(json!({"QueueUrl": url}));
        }
        let queue = queues.get_mut(&text("QueueUrl")).ok_or("The specified queue does not exist.")?;
        let now = self.clock.now().0;
        match operation {
            "SendMessage" => {
                let (id, body) = (self.uuid(), text("MessageBody"));
                queue.push(Message { id: id.clone(), body, visible_at: now + PASSAGE });
                Ok(json!({"MD5OfMessageBody": self.uuid().replace('-', ""), "MessageId": id}))
            }
            "ReceiveMessage" => {
                let count = params["MaxNumberOfMessages"].as_u64().unwrap_or(1) as usize;
                let mut messages = vec![];
                for message in queue.iter_mut().filter(|message| message.visible_at <= now).take(count) {
                    message.visible_at = now + VISIBILITY;
                    messages.push(json!({
                        "Body": message.body, "MessageId": message.id, "ReceiptHandle": message.id,
                    }));
                }
                Ok(if messages.is_empty() { json!({}) } else { json!({"Messages": messages}) })
            }
            "DeleteMessage" => {
                let handle = text("ReceiptHandle");
                queue.retain(|message| message.id != handle);
                Ok(json!({}))
            }
            _ => Err(format!("there is no {operation} here")),
        }
    }

    fn uuid(&self) -> String {
        let (high, low) = (self.clock.random(), self.clock.random());
        let [a, b, c] = [high >> 32, high >> 16 & 0xFFFF, high & 0xFFFF];
        format!("{a:08x}-{b:04x}-{c:04x}-{:04x}-{:012x}", low >> 48, low & 0xFFFF_FFFF_FFFF)
    }

    /// What the SDK tells of the exchange, as it was recorded.
    fn with_metadata(&self, mut answer: Value) -> Value {
        let (id, length) = (self.uuid(), answer.to_string().len().to_string());
        let headers = |wrap: fn(&str) -> Value| {
            json!({
                "x-amzn-RequestId": wrap(&id), "connection": wrap("keep-alive"), "Content-Length": wrap(&length),
                "Date": wrap("Thu, 01 Jan 2026 00:00:00 GMT"), "Content-Type": wrap("application/x-amz-json-1.0"),
            })
        };
        answer["SdkHttpMetadata"] = json!({
            "AllHttpHeaders": headers(|value| json!([value])), "HttpHeaders": headers(|value| json!(value)),
            "HttpStatusCode": 200,
        });
        answer["SdkResponseMetadata"] = json!({"RequestId": id});
        answer
    }
}

/// Queues as tasks reach them: `sqs:sendMessage`, and `aws-sdk:sqs:receiveMessage`.
pub(crate) struct QueueTasks(pub(crate) Arc<Queues>);

#[async_trait]
impl Integration for QueueTasks {
    async fn call(&self, task: &TaskCall) -> Result<Payload, ErrorOutput> {
        let Resource::Service { action, .. } = &*task.call.resource else {
            return Err(ErrorOutput::new("Sqs.SqsException", "not a queue"));
        };
        let mut params: Value = serde_json::from_str(task.call.parameters.text()).unwrap_or_default();
        let is_send = &**action == "sendMessage";
        if !params["MessageBody"].is_string() {
            params["MessageBody"] = params["MessageBody"].to_string().into();
        }
        let operation = if is_send { "SendMessage" } else { "ReceiveMessage" };
        let answer =
            self.0.call(operation, &params).map_err(|why| ErrorOutput::new("SQS.AmazonSQSException", why))?;
        let answer = if is_send { self.0.with_metadata(answer) } else { answer };
        Ok(Payload::parse(answer.to_string()).expect("a value is written as JSON"))
    }

    fn offers(&self, action: &str, pattern: Pattern) -> bool {
        match action {
            "sendMessage" => matches!(pattern, Pattern::RequestResponse | Pattern::WaitForTaskToken),
            action => action == "receiveMessage" && pattern == Pattern::RequestResponse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_received_is_hidden_for_a_while() {
        let world = stepwell_test_support::World::new(1);
        let queues = Queues::new(world.clock.clone());
        let url = queues.call("CreateQueue", &json!({"QueueName": "q"})).unwrap()["QueueUrl"].clone();
        for body in ["a", "b"] {
            queues.call("SendMessage", &json!({"QueueUrl": url, "MessageBody": body})).unwrap();
        }
        assert_eq!(queues.call("ReceiveMessage", &json!({"QueueUrl": url})).unwrap(), json!({}));
        world.clock.advance(std::time::Duration::from_millis(PASSAGE as u64));
        let receive = || {
            let answer = queues.call("ReceiveMessage", &json!({"QueueUrl": url})).unwrap();
            let message = answer["Messages"][0].clone();
            (message["Body"].as_str().map(str::to_owned), message["ReceiptHandle"].clone())
        };
        let (first, handle) = receive();
        assert_eq!((first.as_deref(), receive().0.as_deref(), receive().0), (Some("a"), Some("b"), None));
        queues.call("DeleteMessage", &json!({"QueueUrl": url, "ReceiptHandle": handle})).unwrap();
        world.clock.advance(std::time::Duration::from_secs(30));
        assert_eq!((receive().0.as_deref(), receive().0), (Some("b"), None));
        assert!(queues.call("ReceiveMessage", &json!({"QueueUrl": "other"})).is_err());
    }
}
