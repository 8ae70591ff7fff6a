//! SQS. (API: AmazonSQS.)

use std::sync::Arc;

use stepwell_engine::port::Clock;
use stepwell_expr::Value;
use stepwell_integrations::{Aws, Service};

use super::json::{Object, array, body};
use super::{Caller, ServiceError};

/// Asks SQS.
#[derive(Debug)]
pub struct Client {
    caller: Caller,
}

/// A message of a batch. (API: SendMessageBatchRequestEntry.) Its `Id` is its place in the batch.
pub(crate) struct SendEntry<'a> {
    pub(crate) message_body: &'a str,
    pub(crate) delay_seconds: i32,
}

/// Why one of a batch was not taken. (API: BatchResultErrorEntry.)
#[derive(Debug)]
pub(crate) struct BatchResultError {
    /// Its place in the batch.
    pub(crate) id: usize,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Client {
    /// Asks where `aws` says, and waits by `clock` before it asks again.
    pub fn new(aws: &Aws, clock: Arc<dyn Clock>) -> Self {
        Client { caller: Caller::new(aws, Service::Sqs, clock) }
    }

    /// Sends messages, and says which were not taken. (API: SendMessageBatch.)
    pub(crate) async fn send_message_batch(
        &self,
        queue_url: &str,
        entries: &[SendEntry<'_>],
    ) -> Result<Vec<BatchResultError>, ServiceError> {
        let bytes: usize = entries.iter().map(|entry| entry.message_body.len() + 64).sum();
        let mut body = String::with_capacity(bytes + 256);
        let mut request = Object::begin(&mut body);
        request.text("QueueUrl", queue_url);
        array(request.name("Entries"), entries.iter().enumerate(), |out, (id, entry)| {
            let mut object = Object::begin(out);
            object.text("Id", &id.to_string());
            object.text("MessageBody", entry.message_body);
            object.plain("DelaySeconds", &entry.delay_seconds.to_string());
            object.end();
        });
        request.end();
        let answer = self.caller.json("AmazonSQS.SendMessageBatch", body).await?;
        let text = |entry: &Value, name: &str| {
            entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let failed = entries_of(&answer, "Failed").map(|(id, entry)| BatchResultError {
            id,
            code: text(entry, "Code"),
            message: text(entry, "Message"),
        });
        Ok(failed.collect())
    }

    /// Deletes deliveries, and says which are gone, by their place. (API: DeleteMessageBatch.)
    pub(crate) async fn delete_message_batch(
        &self,
        queue_url: &str,
        receipt_handles: &[(usize, String)],
    ) -> Result<Vec<usize>, ServiceError> {
        let body = body(|body| {
            body.text("QueueUrl", queue_url);
            array(body.name("Entries"), receipt_handles, |out, (id, receipt_handle)| {
                let mut object = Object::begin(out);
                object.text("Id", &id.to_string());
                object.text("ReceiptHandle", receipt_handle);
                object.end();
            });
        });
        let answer = self.caller.json("AmazonSQS.DeleteMessageBatch", body).await?;
        Ok(entries_of(&answer, "Successful").map(|(id, _)| id).collect())
    }

    /// Hides a delivery for this long from now. (API: ChangeMessageVisibility.)
    pub(crate) async fn change_message_visibility(
        &self,
        queue_url: &str,
        receipt_handle: &str,
        visibility_timeout: u64,
    ) -> Result<(), ServiceError> {
        let body = body(|body| {
            body.text("QueueUrl", queue_url);
            body.text("ReceiptHandle", receipt_handle);
            body.plain("VisibilityTimeout", &visibility_timeout.to_string());
        });
        self.caller.json("AmazonSQS.ChangeMessageVisibility", body).await.map(drop)
    }
}

/// A list of an answer, by the entries' places in the request.
fn entries_of<'a>(answer: &'a Value, name: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    let entries = answer.get(name).and_then(Value::as_array).unwrap_or_default();
    entries.iter().filter_map(|entry| Some((entry.get("Id")?.as_str()?.parse().ok()?, entry)))
}
