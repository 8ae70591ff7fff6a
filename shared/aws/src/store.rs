//! Requests to the table. Every read here is strongly consistent, but for one that says otherwise.

use std::sync::Arc;
use std::time::Duration;

use stepwell_engine::port::Clock;
use stepwell_expr::json::write_value;

use crate::blobs::Bodies;
use crate::error::StoreError;
use crate::item::{Act, Item, Reason, Transacted, Write, Written, key};
use crate::retry::Retries;
use crate::services::dynamodb::{CancellationReason, Client, Found, cancellation_reasons, item_there};
use crate::services::{Object, ServiceError, array, body, write_item};
use crate::table::{Index, LISTED, PARTITION, SORT};

/// How often a write is tried that other transactions are in the way of.
const TRIES: u32 = 8;

/// How long the first of those waits at most, in milliseconds; each later one twice as long.
const WAIT_MILLISECONDS: u64 = 10;

/// The table, and what its adapters share.
pub(crate) struct Table {
    pub(crate) client: Arc<Client>,
    pub(crate) name: String,
    pub(crate) bodies: Bodies,
    pub(crate) clock: Arc<dyn Clock>,
    /// How long an execution is kept after its end.
    pub(crate) retention: Duration,
}

/// Items of one partition, by their sort keys.
pub(crate) struct Range<'a> {
    /// An index, which lags behind; `None` is the table itself.
    pub(crate) index: Option<Index>,
    pub(crate) partition: &'a str,
    /// The first.
    pub(crate) from: String,
    /// The last.
    pub(crate) to: String,
    /// From the last to the first.
    pub(crate) descending: bool,
    /// How many at most.
    pub(crate) limit: Option<usize>,
    /// Only those with this attribute.
    pub(crate) having: Option<&'static str>,
    /// Only these attributes, with commas between them.
    pub(crate) attributes: Option<&'static str>,
}

impl<'a> Range<'a> {
    pub(crate) fn new(partition: &'a str, from: impl Into<String>, to: impl Into<String>) -> Self {
        Range {
            index: None,
            partition,
            from: from.into(),
            to: to.into(),
            descending: false,
            limit: None,
            having: None,
            attributes: None,
        }
    }

    /// All with this prefix.
    pub(crate) fn prefix(partition: &'a str, prefix: &str) -> Self {
        Range::new(partition, prefix, format!("{prefix}{LAST}"))
    }

    /// The request for some of them, from behind `start`. (API: Query.)
    fn query(&self, table_name: &str, start: Option<&Item>, limit: Option<usize>) -> String {
        let (partition, sort) = self.index.map_or((PARTITION, SORT), |index| (index.partition, LISTED));
        let bounds = [(":p", self.partition), (":from", &self.from), (":to", &self.to)];
        body(|query| {
            query.text("TableName", table_name);
            match self.index {
                Some(index) => query.text("IndexName", index.name),
                None => query.plain("ConsistentRead", "true"),
            }
            let condition = format!("{partition} = :p AND {sort} BETWEEN :from AND :to");
            query.text("KeyConditionExpression", &condition);
            query.object("ExpressionAttributeValues", |values| {
                for (name, value) in bounds {
                    values.object(name, |attribute| attribute.text("S", value));
                }
            });
            if let Some(name) = self.having {
                query.text("FilterExpression", &format!("attribute_exists({name})"));
            }
            if let Some(attributes) = self.attributes {
                query.text("ProjectionExpression", attributes);
            }
            if self.descending {
                query.plain("ScanIndexForward", "false");
            }
            if let Some(limit) = limit {
                query.plain("Limit", &limit.min(i32::MAX as usize).to_string());
            }
            if let Some(start) = start {
                write_item(start, query.name("ExclusiveStartKey"));
            }
        })
    }
}

/// Behind every text that this crate writes into a sort key.
pub(crate) const LAST: char = '\u{10FFFF}';

impl Table {
    /// The item of this key.
    pub(crate) async fn item(&self, partition: &str, sort: &str) -> Result<Option<Item>, StoreError> {
        self.get(partition, sort, true).await
    }

    /// The same as it is now or was a moment ago, for half the price.
    pub(crate) async fn item_lately(&self, partition: &str, sort: &str) -> Result<Option<Item>, StoreError> {
        self.get(partition, sort, false).await
    }

    async fn get(&self, partition: &str, sort: &str, consistent: bool) -> Result<Option<Item>, StoreError> {
        let found = self.client.get_item(&self.name, &key(partition, sort), consistent).await;
        found.map_err(|error| StoreError::of("GetItem", error))
    }

    /// The items of a range.
    pub(crate) async fn items(&self, range: Range<'_>) -> Result<Vec<Item>, StoreError> {
        let mut found: Vec<Item> = vec![];
        let mut start = None;
        let limit = range.limit.unwrap_or(usize::MAX);
        while found.len() < limit {
            // What a filter leaves out counts here too.
            let asked = range.limit.filter(|_| range.having.is_none()).map(|limit| limit - found.len());
            let answer = self.some_items(&range, start.as_ref(), asked).await?;
            found.extend(answer.items);
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// A megabyte of a range's items at the most, from behind `start`, and where to go on.
    pub(crate) async fn some_items(
        &self,
        range: &Range<'_>,
        start: Option<&Item>,
        limit: Option<usize>,
    ) -> Result<Found, StoreError> {
        let found = self.client.query(range.query(&self.name, start, limit)).await;
        found.map_err(|error| StoreError::of("Query", error))
    }

    /// Does one write.
    pub(crate) async fn write(&self, write: Write) -> Result<Written, StoreError> {
        if let Act::Check(_) = write.act {
            return Err(StoreError::damaged("a write", "a condition alone is no write"));
        }
        let operation = write.act.operation();
        let request = body(|request| write.write(&self.name, request));
        for attempt in 0..TRIES {
            let Err(error) = self.client.call(operation, request.clone()).await else {
                return Ok(Written::Done);
            };
            match &error {
                ServiceError::Refused(failed) if failed.code == "ConditionalCheckFailedException" => {
                    return Ok(Written::Not(item_there(failed)));
                }
                ServiceError::Refused(failed) if failed.code == "TransactionConflictException" => {
                    self.back_off(attempt).await;
                }
                _ => return Err(StoreError::of(operation, error)),
            }
        }
        Err(StoreError::Busy { operation })
    }

    /// Does all of `writes`, which are to different items, or none. All tries bear one token, the client's own too, so
    /// that a transaction whose answer was lost is not done twice.
    pub(crate) async fn transact(&self, writes: Vec<Write>) -> Result<Transacted, StoreError> {
        const OPERATION: &str = "TransactWriteItems";
        let token = format!("{:016x}{:016x}", self.clock.random(), self.clock.random());
        let request = body(|request| {
            request.text("ClientRequestToken", &token);
            array(request.name("TransactItems"), &writes, |out, write| {
                let mut item = Object::begin(out);
                item.object(write.act.part(), |part| write.write(&self.name, part));
                item.end();
            });
        });
        for attempt in 0..TRIES {
            let Err(error) = self.client.call(OPERATION, request.clone()).await else {
                return Ok(Transacted::Done);
            };
            let reasons = match &error {
                ServiceError::Refused(cancelled) if cancelled.code == "TransactionCanceledException" => {
                    cancellation_reasons(cancelled)
                }
                ServiceError::Refused(failed) if failed.code == "TransactionInProgressException" => {
                    self.back_off(attempt).await;
                    continue;
                }
                _ => return Err(StoreError::of(OPERATION, error)),
            };
            match judge(reasons) {
                Some(refused) => return refused,
                None => self.back_off(attempt).await,
            }
        }
        Err(StoreError::Busy { operation: OPERATION })
    }

    /// Deletes items of a partition, up to 25 of them. (API: BatchWriteItem.)
    pub(crate) async fn delete_batch(&self, partition: &str, sorts: &[&str]) -> Result<(), StoreError> {
        const OPERATION: &str = "BatchWriteItem";
        let mut request = body(|request| {
            request.object("RequestItems", |tables| {
                array(tables.name(&self.name), sorts, |out, sort| {
                    let mut item = Object::begin(out);
                    item.object("DeleteRequest", |delete| {
                        write_item(&key(partition, sort), delete.name("Key"));
                    });
                    item.end();
                });
            });
        });
        let mut retries = Retries::new();
        loop {
            let answer = self.client.call(OPERATION, request).await;
            let answer = answer.map_err(|error| StoreError::of(OPERATION, error))?;
            let left = answer.get("UnprocessedItems").filter(|left| left.get(&self.name).is_some());
            let Some(left) = left else { return Ok(()) };
            request = body(|request| write_value(left, request.name("RequestItems")));
            if !retries.again(&*self.clock).await {
                return Err(StoreError::Busy { operation: OPERATION });
            }
        }
    }

    /// Waits before attempt number `attempt` + 1, for a time that is drawn, so that two do not meet again.
    async fn back_off(&self, attempt: u32) {
        let most = WAIT_MILLISECONDS << attempt;
        self.clock.sleep(Duration::from_millis(self.clock.random() % most + 1)).await;
    }
}

/// What a cancelled transaction means; `None` where it was only in the way of another.
fn judge(reasons: Vec<CancellationReason>) -> Option<Result<Transacted, StoreError>> {
    let mut found = Vec::with_capacity(reasons.len());
    let mut is_busy = false;
    for reason in reasons {
        match reason.code.as_deref() {
            None => found.push(Reason::Held),
            Some("ConditionalCheckFailed") => found.push(Reason::Failed(reason.item)),
            Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded") => {
                is_busy = true
            }
            Some(code) => {
                let message = reason.message.as_deref().unwrap_or_default().to_owned();
                return Some(Err(StoreError::Cancelled { code: code.to_owned(), message }));
            }
        }
    }
    if is_busy { None } else { Some(Ok(Transacted::Not(found))) }
}

#[cfg(test)]
mod tests {
    use stepwell_expr::json::parse;
    use stepwell_integrations::Exception;

    use super::*;

    #[test]
    fn a_cancelled_transaction_says_whether_to_try_again() {
        let check = |codes: &[&str], expected: &str| {
            let reasons = codes.iter().map(|code| format!(r#"{{"Code":"{code}","Item":{{}}}}"#));
            let reasons = reasons.collect::<Vec<_>>().join(",");
            let body = parse(&format!(r#"{{"CancellationReasons":[{reasons}]}}"#)).unwrap();
            let reasons = cancellation_reasons(&Exception { body, ..Exception::default() });
            let judged = match judge(reasons) {
                None => "again".to_owned(),
                Some(Err(error)) => error.to_string(),
                Some(Ok(Transacted::Done)) => "done".to_owned(),
                Some(Ok(Transacted::Not(reasons))) => {
                    reasons.iter().map(|reason| if reason.failed() { 'x' } else { '-' }).collect()
                }
            };
            assert!(judged.contains(expected), "{codes:?}: {judged}");
        };
        check(&["None", "ConditionalCheckFailed", "None"], "-x-");
        check(&["ConditionalCheckFailed", "ConditionalCheckFailed"], "xx");
        check(&["TransactionConflict", "None"], "again");
        // Who is in the way may change what a condition is about.
        check(&["ConditionalCheckFailed", "TransactionConflict"], "again");
        check(&["ThrottlingError"], "again");
        check(&["ProvisionedThroughputExceeded"], "again");
        check(&["None", "ValidationError"], "ValidationError");
        check(&["ItemCollectionSizeLimitExceeded"], "ItemCollectionSizeLimitExceeded");
    }
}
