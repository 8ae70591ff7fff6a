//! What a run leaves when its META expires or is replaced: pages, Map Runs with their outcomes, objects. All of it goes.
//!
//! A run whose META is gone never comes back: only a Start message less than 15 minutes old puts META, and META expires long after
//! the end. So what is removed here is decided by one read: as long as META is this run's, as it is after a redrive, nothing is touched.
//! Everything may be done again, and what was begun is gone on with: Map Runs are found by the names that are removed last.

use std::sync::Arc;

use futures::{TryStreamExt, stream};
use stepwell_engine::meta::RunId;
use stepwell_engine::port::BoxError;
use stepwell_engine::stored::decode_map_run;

use crate::blobs::key as object_key;
use crate::error::StoreError;
use crate::executions::{META, PAGE, owner, run_text};
use crate::item::{AttributeValue, Fields, Item, Write};
use crate::map_runs::{LISTING, MAP_RUN, OUTCOME, results_of};
use crate::services::dynamodb::Found;
use crate::store::{Range, Table};
use crate::table::{PARTITION, SORT};

/// Items in one BatchWriteItem.
const BATCH: usize = 25;

/// Batches under way at once.
const AT_ONCE: usize = 8;

/// Removes what runs leave.
#[derive(Clone)]
pub struct Remains {
    table: Arc<Table>,
}

/// A run whose META was removed or replaced, as the table's stream tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The execution's ARN.
    pub execution: String,
    /// Which run of it.
    pub run: RunId,
    /// What META named objects by: its input and its end, where they were too large for it.
    pub objects: Vec<String>,
}

/// Why something is left.
#[derive(Debug, thiserror::Error)]
#[error("what run {run:032x} of {execution} left is not all removed: {source}")]
pub struct RemoveError {
    execution: String,
    run: u128,
    source: BoxError,
}

impl Remains {
    pub(crate) fn new(table: Arc<Table>) -> Self {
        Remains { table }
    }

    /// Removes what a run left, unless it is the execution's run still.
    ///
    /// # Errors
    /// [`RemoveError`]; some may be removed, and the next try goes on.
    pub async fn remove(&self, gone: &Gone) -> Result<(), RemoveError> {
        let failed = |source| RemoveError { execution: gone.execution.clone(), run: gone.run.0, source };
        self.try_remove(gone).await.map_err(failed)
    }

    async fn try_remove(&self, gone: &Gone) -> Result<(), BoxError> {
        let meta = self.table.item(&gone.execution, META).await?;
        if meta.is_some_and(|meta| meta.get("run_id") == Some(&run_text(gone.run))) {
            return Ok(());
        }
        self.remove_map_runs(gone).await?;
        let owner = owner(gone.run);
        self.remove_items(&gone.execution, &format!("{PAGE}{:032x}#", gone.run.0), &owner).await?;
        if let Some(blobs) = &self.table.bodies.blobs {
            for hash in &gone.objects {
                blobs.delete_one(&object_key(&owner, hash)).await?;
            }
        }
        Ok(())
    }

    /// Removes the Map Runs of the run. An earlier or later run of the execution may have some too.
    async fn remove_map_runs(&self, gone: &Gone) -> Result<(), BoxError> {
        let mut after = None;
        loop {
            let (listed, next) = self.some_of(&gone.execution, LISTING, SORT, after).await?;
            for item in &listed {
                let sort = item.text(SORT)?;
                // MAPRUN#date#ARN
                let arn = sort[LISTING.len()..].split_once('#').map_or("", |(_, arn)| arn);
                let is_its = match self.table.item(arn, MAP_RUN).await? {
                    Some(there) => decode_map_run(there.bytes("form")?)?.run == gone.run,
                    // Both are put in one transaction, and removed the Map Run first.
                    None => true,
                };
                if is_its {
                    self.remove_items(arn, OUTCOME, &results_of(arn)).await?;
                    self.table.write(Write::delete((arn, MAP_RUN))).await?;
                    self.table.write(Write::delete((&gone.execution, sort))).await?;
                }
            }
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Removes all items of a partition with this prefix, and before the first that names an object all objects of `owner`: there may
    /// be some that no item names, of pages that lost a race.
    async fn remove_items(&self, partition: &str, prefix: &str, owner: &str) -> Result<(), BoxError> {
        let (mut objects, mut after) = (self.table.bodies.blobs.as_ref(), None);
        loop {
            let (found, next) = self.some_of(partition, prefix, "sk, body", after).await?;
            if found.iter().any(|item| matches!(item.get("body"), Some(AttributeValue::S(_))))
                && let Some(blobs) = objects.take()
            {
                blobs.delete(&object_key(owner, "")).await?;
            }
            let sorts = found.iter().map(|item| item.text(SORT)).collect::<Result<Vec<_>, _>>()?;
            let batches = sorts.chunks(BATCH).map(|batch| Ok(self.table.delete_batch(partition, batch)));
            stream::iter(batches).try_for_each_concurrent(AT_ONCE, |removed| removed).await?;
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// A megabyte of items with this prefix at the most, and where to go on.
    async fn some_of(
        &self,
        partition: &str,
        prefix: &str,
        attributes: &'static str,
        after: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), StoreError> {
        let range = Range { attributes: Some(attributes), ..Range::prefix(partition, prefix) };
        let Found { items, last_evaluated_key } = self.table.some_items(&range, after.as_ref(), None).await?;
        Ok((items, last_evaluated_key))
    }
}

impl Gone {
    /// Reads what the stream says of a META that was removed or replaced; `None` where it is no META.
    pub(crate) fn read(item: &Item) -> Result<Option<Gone>, StoreError> {
        if item.text(SORT)? != META {
            return Ok(None);
        }
        let run = u128::from_str_radix(item.text("run_id")?, 16);
        let run = RunId(run.map_err(|error| StoreError::damaged("run_id", error))?);
        let objects = ["input_body", "end_body"].iter().filter_map(|name| match item.get(*name)? {
            AttributeValue::S(hash) => Some(hash.to_string()),
            _ => None,
        });
        let objects = objects.collect();
        Ok(Some(Gone { execution: item.text(PARTITION)?.to_owned(), run, objects }))
    }
}
