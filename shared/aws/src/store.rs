//! Requests to the table. Every read here is strongly consistent, but for one that says otherwise.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    CancellationReason, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure as Returned,
    TransactWriteItem, Update,
};
use stepwell_engine::port::Clock;

use crate::blobs::Bodies;
use crate::error::StoreError;
use crate::item::{Act, Item, Reason, Transacted, Write, Written, key, text};
use crate::table::{PARTITION, SORT};

/// How often a write is tried that other transactions are in the way of.
const TRIES: u32 = 8;

/// How long the first of those waits at most, in milliseconds; each later one twice as long.
const WAIT_MILLISECONDS: u64 = 10;

/// The table, and what its adapters share.
pub(crate) struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
    pub(crate) bodies: Bodies,
    pub(crate) clock: Arc<dyn Clock>,
    /// How long an execution is kept after its end.
    pub(crate) retention: Duration,
}

/// Items of one partition, by their sort keys.
pub(crate) struct Range<'a> {
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
}

impl<'a> Range<'a> {
    pub(crate) fn new(partition: &'a str, from: impl Into<String>, to: impl Into<String>) -> Self {
        Range { partition, from: from.into(), to: to.into(), descending: false, limit: None, having: None }
    }

    /// All with this prefix.
    pub(crate) fn prefix(partition: &'a str, prefix: &str) -> Self {
        Range::new(partition, prefix, format!("{prefix}{LAST}"))
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
        let get = self.client.get_item().table_name(&self.name).set_key(Some(key(partition, sort)));
        let found = get.consistent_read(consistent).send().await;
        found.map(|found| found.item).map_err(|error| StoreError::of("GetItem", error))
    }

    /// The items of a range.
    pub(crate) async fn items(&self, range: Range<'_>) -> Result<Vec<Item>, StoreError> {
        let mut found: Vec<Item> = vec![];
        let mut start = None;
        let limit = range.limit.unwrap_or(usize::MAX);
        while found.len() < limit {
            // What a filter leaves out counts here too.
            let asked = range.limit.filter(|_| range.having.is_none()).map(|limit| limit - found.len());
            let query = self
                .client
                .query()
                .table_name(&self.name)
                .consistent_read(true)
                .key_condition_expression(format!("{PARTITION} = :p AND {SORT} BETWEEN :from AND :to"))
                .expression_attribute_values(":p", text(range.partition))
                .expression_attribute_values(":from", text(&range.from))
                .expression_attribute_values(":to", text(&range.to))
                .set_filter_expression(range.having.map(|name| format!("attribute_exists({name})")))
                .scan_index_forward(!range.descending)
                .set_limit(asked.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX)))
                .set_exclusive_start_key(start);
            let answer = query.send().await.map_err(|error| StoreError::of("Query", error))?;
            found.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Does one write.
    pub(crate) async fn write(&self, write: Write) -> Result<Written, StoreError> {
        for attempt in 0..TRIES {
            match self.write_once(write.clone()).await {
                Err(StoreError::Busy { .. }) => self.back_off(attempt).await,
                other => return other,
            }
        }
        Err(StoreError::Busy { operation: "write" })
    }

    async fn write_once(&self, write: Write) -> Result<Written, StoreError> {
        let Write { act, condition, values } = write;
        let values = (!values.is_empty()).then_some(values);
        let busy = |operation| Err(StoreError::Busy { operation });
        match act {
            Act::Put(item) => {
                let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
                let put = put.set_condition_expression(condition).set_expression_attribute_values(values);
                match put.return_values_on_condition_check_failure(Returned::AllOld).send().await {
                    Ok(_) => Ok(Written::Done),
                    Err(error) => match error.as_service_error() {
                        Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                            Ok(Written::Not(failed.item().cloned()))
                        }
                        Some(PutItemError::TransactionConflictException(_)) => busy("PutItem"),
                        _ => Err(StoreError::of("PutItem", error)),
                    },
                }
            }
            Act::Update(key, expression) => {
                let update = self.client.update_item().table_name(&self.name).set_key(Some(key));
                let update = update.update_expression(expression).set_condition_expression(condition);
                let update = update.set_expression_attribute_values(values);
                match update.return_values_on_condition_check_failure(Returned::AllOld).send().await {
                    Ok(_) => Ok(Written::Done),
                    Err(error) => match error.as_service_error() {
                        Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                            Ok(Written::Not(failed.item().cloned()))
                        }
                        Some(UpdateItemError::TransactionConflictException(_)) => busy("UpdateItem"),
                        _ => Err(StoreError::of("UpdateItem", error)),
                    },
                }
            }
            Act::Check(_) => Err(StoreError::damaged("a write", "a condition alone is no write")),
            Act::Delete(key) => {
                let delete = self.client.delete_item().table_name(&self.name).set_key(Some(key));
                let delete = delete.set_condition_expression(condition);
                let delete = delete.set_expression_attribute_values(values);
                match delete.return_values_on_condition_check_failure(Returned::AllOld).send().await {
                    Ok(_) => Ok(Written::Done),
                    Err(error) => match error.as_service_error() {
                        Some(DeleteItemError::ConditionalCheckFailedException(failed)) => {
                            Ok(Written::Not(failed.item().cloned()))
                        }
                        Some(DeleteItemError::TransactionConflictException(_)) => busy("DeleteItem"),
                        _ => Err(StoreError::of("DeleteItem", error)),
                    },
                }
            }
        }
    }

    /// Does all of `writes`, which are to different items, or none. All tries bear one token, the client's own too, so
    /// that a transaction whose answer was lost is not done twice.
    pub(crate) async fn transact(&self, writes: Vec<Write>) -> Result<Transacted, StoreError> {
        const OPERATION: &str = "TransactWriteItems";
        let token = format!("{:016x}{:016x}", self.clock.random(), self.clock.random());
        for attempt in 0..TRIES {
            let mut transaction = self.client.transact_write_items().client_request_token(&token);
            for write in writes.clone() {
                transaction = transaction.transact_items(self.part(write)?);
            }
            let Err(error) = transaction.send().await else { return Ok(Transacted::Done) };
            let reasons = match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    cancelled.cancellation_reasons()
                }
                Some(TransactWriteItemsError::TransactionInProgressException(_)) => {
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

    fn part(&self, write: Write) -> Result<TransactWriteItem, StoreError> {
        let Write { act, condition, values } = write;
        let values = (!values.is_empty()).then_some(values);
        let part = TransactWriteItem::builder();
        let returned = Returned::AllOld;
        let part = match act {
            Act::Put(item) => Put::builder()
                .table_name(&self.name)
                .set_item(Some(item))
                .set_condition_expression(condition)
                .set_expression_attribute_values(values)
                .return_values_on_condition_check_failure(returned)
                .build()
                .map(|put| part.put(put)),
            Act::Update(key, expression) => Update::builder()
                .table_name(&self.name)
                .set_key(Some(key))
                .update_expression(expression)
                .set_condition_expression(condition)
                .set_expression_attribute_values(values)
                .return_values_on_condition_check_failure(returned)
                .build()
                .map(|update| part.update(update)),
            Act::Delete(key) => Delete::builder()
                .table_name(&self.name)
                .set_key(Some(key))
                .set_condition_expression(condition)
                .set_expression_attribute_values(values)
                .return_values_on_condition_check_failure(returned)
                .build()
                .map(|delete| part.delete(delete)),
            Act::Check(key) => ConditionCheck::builder()
                .table_name(&self.name)
                .set_key(Some(key))
                .set_condition_expression(condition)
                .set_expression_attribute_values(values)
                .return_values_on_condition_check_failure(returned)
                .build()
                .map(|check| part.condition_check(check)),
        };
        part.map(|part| part.build()).map_err(|error| StoreError::damaged("a transaction", error))
    }

    /// Waits before attempt number `attempt` + 1, for a time that is drawn, so that two do not meet again.
    async fn back_off(&self, attempt: u32) {
        let most = WAIT_MILLISECONDS << attempt;
        self.clock.sleep(Duration::from_millis(self.clock.random() % most + 1)).await;
    }
}

/// What a cancelled transaction means; `None` where it was only in the way of another.
fn judge(reasons: &[CancellationReason]) -> Option<Result<Transacted, StoreError>> {
    let mut found = Vec::with_capacity(reasons.len());
    let mut is_busy = false;
    for reason in reasons {
        match reason.code() {
            None | Some("None") => found.push(Reason::Held),
            Some("ConditionalCheckFailed") => {
                let item = reason.item().filter(|item| !item.is_empty()).cloned();
                found.push(Reason::Failed(item));
            }
            Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded") => {
                is_busy = true
            }
            Some(code) => {
                let message = reason.message().unwrap_or_default().to_owned();
                return Some(Err(StoreError::Refused {
                    operation: "TransactWriteItems",
                    code: code.to_owned(),
                    message,
                }));
            }
        }
    }
    if is_busy { None } else { Some(Ok(Transacted::Not(found))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancelled_transaction_says_whether_to_try_again() {
        let check = |codes: &[&str], expected: &str| {
            let reasons: Vec<_> =
                codes.iter().map(|code| CancellationReason::builder().code(*code).build()).collect();
            let judged = match judge(&reasons) {
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
