//! DynamoDB. (API: DynamoDB_20120810.)

use std::sync::Arc;

use stepwell_engine::port::Clock;
use stepwell_expr::Value;
use stepwell_integrations::{Aws, Exception, Service};

use super::attribute::{read_item, write_item};
use super::json::body;
use super::{Caller, Item, ServiceError};

/// Asks DynamoDB.
#[derive(Debug)]
pub struct Client {
    caller: Caller,
}

/// One answer to a Query.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) items: Vec<Item>,
    /// Where to go on; `None` where that is all.
    pub(crate) last_evaluated_key: Option<Item>,
}

/// Why one write of a transaction kept it from being done. (API: CancellationReason.)
#[derive(Debug, Default)]
pub(crate) struct CancellationReason {
    /// `None` where it did not.
    pub(crate) code: Option<Arc<str>>,
    pub(crate) message: Option<Arc<str>>,
    /// What is there, where a condition failed.
    pub(crate) item: Option<Item>,
}

impl Client {
    /// Asks where `aws` says, and waits by `clock` before it asks again.
    pub fn new(aws: &Aws, clock: Arc<dyn Clock>) -> Self {
        Client { caller: Caller::new(aws, Service::DynamoDb, clock) }
    }

    /// Any operation.
    pub(crate) async fn call(&self, operation: &str, body: String) -> Result<Value, ServiceError> {
        self.caller.json(&format!("DynamoDB_20120810.{operation}"), body).await
    }

    /// The item of a key. (API: GetItem.)
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn get_item(
        &self,
        table_name: &str,
        key: &Item,
        consistent_read: bool,
    ) -> Result<Option<Item>, ServiceError> {
        let body = body(|body| {
            body.text("TableName", table_name);
            write_item(key, body.name("Key"));
            if consistent_read {
                body.plain("ConsistentRead", "true");
            }
        });
        let answer = self.call("GetItem", body).await?;
        Ok(answer.get("Item").map(read_item))
    }

    /// Items of a partition. (API: Query.)
    pub(crate) async fn query(&self, body: String) -> Result<Found, ServiceError> {
        let answer = self.call("Query", body).await?;
        let items = answer.get("Items").and_then(Value::as_array).unwrap_or_default();
        Ok(Found {
            items: items.iter().map(read_item).collect(),
            last_evaluated_key: answer.get("LastEvaluatedKey").map(read_item).filter(|key| !key.is_empty()),
        })
    }
}

/// The item of a ConditionalCheckFailedException.
pub(crate) fn item_there(exception: &Exception) -> Option<Item> {
    exception.body.get("Item").map(read_item)
}

/// The reasons of a TransactionCanceledException, in the order of its writes.
pub(crate) fn cancellation_reasons(exception: &Exception) -> Vec<CancellationReason> {
    let text = |reason: &Value, name: &str| match reason.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    };
    let reasons = exception.body.get("CancellationReasons").and_then(Value::as_array);
    let read = |reason: &Value| CancellationReason {
        code: text(reason, "Code").filter(|code| &**code != "None"),
        message: text(reason, "Message"),
        item: reason.get("Item").map(read_item).filter(|item| !item.is_empty()),
    };
    reasons.unwrap_or_default().iter().map(read).collect()
}
