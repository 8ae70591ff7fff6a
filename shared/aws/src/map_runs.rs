//! Map Runs on DynamoDB.
//!
//! A Map Run's item holds its stored form, in which nothing is counted, and beside it the counters, to which outcomes add. So many
//! executions can end at once: an outcome is one transaction, of an item of its own that must not be there and of the counters.
//! What else changes a Map Run is rare, and replaces the stored form where it is the one that was read.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::try_join_all;
use stepwell_engine::map_run::{Change, Count, Ended, Known, MapRun, Outcome, RESULT_BYTES_KEPT};
use stepwell_engine::port::{Changed, ListedMapRuns, MapRuns, MapRunsError, MapRunsQuery};
use stepwell_engine::stored::{decode_map_run, encode_map_run};
use stepwell_expr::Payload;

use crate::blobs::Kind;
use crate::error::StoreError;
use crate::item::{Fields, Item, Reason, Transacted, Write, Written, binary, key, number, text};
use crate::store::{LAST, Range, Table};
use crate::table::{PARTITION, SORT};

/// The sort key of a Map Run.
pub(crate) const MAP_RUN: &str = "MAPRUN";

/// What outcomes' sort keys begin with.
pub(crate) const OUTCOME: &str = "OUTCOME#";

/// Under an execution: what the sort keys begin with that name its Map Runs.
pub(crate) const LISTING: &str = "MAPRUN#";

/// The counters of executions and of items, by status.
const COUNTERS: [(&str, &str); 4] = [
    ("succeeded", "succeeded_items"),
    ("failed", "failed_items"),
    ("timed_out", "timed_out_items"),
    ("aborted", "aborted_items"),
];

/// The counters of executions and of items that could not be redriven.
const NOT_REDRIVABLE: (&str, &str) = ("not_redrivable", "not_redrivable_items");

/// The counters of bytes: of successes, and of what ended otherwise.
const RESULT_BYTES: &str = "result_bytes";
const FAILURE_BYTES: &str = "failure_bytes";

/// Of a Map Run, which redrive it is at; of an outcome, in which it came.
const REDRIVES: &str = "redrives";

/// An outcome's status, where that is not success.
const FAILURE: &str = "failure";

/// How often a change is tried when each time something else came first.
const TRIES: usize = 32;

/// Map Runs in the table.
pub(crate) struct DynamoMapRuns {
    pub(crate) table: Arc<Table>,
}

fn outcome_sort(index: u64) -> String {
    format!("{OUTCOME}{index:020}")
}

pub(crate) fn results_of(arn: &str) -> String {
    format!("map-runs/{arn}")
}

/// The stored form, in which nothing is counted.
fn form(map_run: &MapRun) -> Bytes {
    let (ended, not_redrivable) = (Ended::default(), Count::default());
    encode_map_run(&MapRun { ended, not_redrivable, result_bytes: 0, failure_bytes: 0, ..map_run.clone() })
}

/// Everything that is counted, by its attribute.
fn counters(map_run: &MapRun) -> Vec<(&'static str, u64)> {
    let Ended { succeeded, failed, timed_out, aborted } = map_run.ended;
    let counts = [succeeded, failed, timed_out, aborted, map_run.not_redrivable].into_iter();
    let names = COUNTERS.into_iter().chain([NOT_REDRIVABLE]);
    let counts = counts
        .zip(names)
        .flat_map(|(count, (children, items))| [(children, count.children), (items, count.items)]);
    counts.chain([(RESULT_BYTES, map_run.result_bytes), (FAILURE_BYTES, map_run.failure_bytes)]).collect()
}

fn read(item: &Item) -> Result<MapRun, StoreError> {
    let mut map_run = decode_map_run(item.bytes("form")?)?;
    let mut counts = [Count::default(); 4];
    for (count, (children, items)) in counts.iter_mut().zip(COUNTERS) {
        *count = Count { children: item.number(children)?, items: item.number(items)? };
    }
    let [succeeded, failed, timed_out, aborted] = counts;
    map_run.ended = Ended { succeeded, failed, timed_out, aborted };
    map_run.not_redrivable =
        Count { children: item.number(NOT_REDRIVABLE.0)?, items: item.number(NOT_REDRIVABLE.1)? };
    map_run.result_bytes = item.number(RESULT_BYTES)?;
    map_run.failure_bytes = item.number(FAILURE_BYTES)?;
    Ok(map_run)
}

impl DynamoMapRuns {
    async fn find(&self, arn: &str) -> Result<Option<Arc<MapRun>>, StoreError> {
        let found = self.table.item(arn, MAP_RUN).await?;
        found.map(|item| read(&item).map(Arc::new)).transpose()
    }

    async fn put(&self, map_run: &Arc<MapRun>) -> Result<Arc<MapRun>, StoreError> {
        let mut item = key(&map_run.arn, MAP_RUN);
        item.insert("form".into(), binary(form(map_run)));
        for (name, count) in counters(map_run) {
            item.insert(name.into(), number(count));
        }
        item.insert(REDRIVES.into(), number(map_run.redrives));
        let listed = format!("{LISTING}{:014}#{}", map_run.started_at.0.max(0), map_run.arn);
        let listed = Write::put(key(&map_run.execution_arn, &listed));
        match self.table.transact(vec![Write::put(item).when_absent(), listed]).await? {
            Transacted::Done => Ok(map_run.clone()),
            Transacted::Not(reasons) => match reasons.into_iter().next() {
                Some(Reason::Failed(Some(there))) => read(&there).map(Arc::new),
                _ => Err(StoreError::damaged(&*map_run.arn, "it is there, and it is not")),
            },
        }
    }

    /// Adds an outcome, with its result while results are kept.
    async fn add(&self, arn: &str, outcome: &Outcome) -> Result<Option<Changed>, StoreError> {
        let result = Bytes::copy_from_slice(outcome.result.text().as_bytes());
        let mut keeps = true;
        for _ in 0..TRIES {
            let mut item = key(arn, &outcome_sort(outcome.index));
            if keeps {
                let stored = self.table.bodies.store(Kind::Page, &results_of(arn), result.clone()).await?;
                item.insert("body".into(), stored);
            }
            item.insert("items".into(), number(outcome.items));
            item.insert("begun".into(), number(outcome.begun));
            item.insert(REDRIVES.into(), number(outcome.redrives));
            if outcome.status != "SUCCEEDED" {
                item.insert(FAILURE.into(), text(outcome.status));
            }
            let put = Write::put(item)
                .when(format!("attribute_not_exists({PARTITION}) OR {REDRIVES} < :redrives"))
                .with(":redrives", number(outcome.redrives));
            let writes = vec![count(arn, outcome, keeps), put];
            match self.table.transact(writes).await? {
                Transacted::Done => {
                    let map_run = self.find(arn).await?;
                    return Ok(map_run.map(|map_run| Changed { map_run, applied: true }));
                }
                Transacted::Not(reasons) => {
                    let is_known = reasons.get(1).is_some_and(Reason::failed);
                    let there = match reasons.into_iter().next() {
                        Some(Reason::Failed(there)) => {
                            there.map(|item| read(&item)).transpose()?.map(Arc::new)
                        }
                        _ => self.find(arn).await?,
                    };
                    let Some(map_run) = there else { return Ok(None) };
                    let is_void = map_run.changed(&Change::Outcome(outcome.clone())).is_none();
                    if is_known || is_void {
                        return Ok(Some(Changed { map_run, applied: false }));
                    }
                    keeps = map_run.keeps(outcome.status);
                }
            }
        }
        Err(StoreError::Busy { operation: "an outcome" })
    }

    async fn replace(&self, arn: &str, change: &Change) -> Result<Option<Changed>, StoreError> {
        for _ in 0..TRIES {
            let Some(map_run) = self.find(arn).await? else { return Ok(None) };
            let Some(next) = map_run.changed(change) else {
                return Ok(Some(Changed { map_run, applied: false }));
            };
            let closed = if next.closed_at.is_some() { ", is_closed = :closed" } else { " REMOVE is_closed" };
            let mut expression = format!("SET form = :next, {REDRIVES} = :redrives{closed}");
            // What is counted may be added to meanwhile.
            let mut added = vec![];
            for ((name, before), (_, after)) in counters(&map_run).into_iter().zip(counters(&next)) {
                if before != after {
                    expression.push_str(if added.is_empty() { " ADD " } else { ", " });
                    expression.push_str(&format!("{name} :{name}"));
                    added.push((format!(":{name}"), i128::from(after) - i128::from(before)));
                }
            }
            let mut update = Write::update((arn, MAP_RUN), expression)
                .when("form = :form")
                .with(":form", binary(form(&map_run)))
                .with(":next", binary(form(&next)))
                .with(":redrives", number(next.redrives));
            for (name, difference) in added {
                update = update.with(&name, number(difference));
            }
            if next.closed_at.is_some() {
                update = update.with(":closed", number(1));
            }
            if let Written::Done = self.table.write(update).await? {
                let map_run = self.find(arn).await?;
                return Ok(map_run.map(|map_run| Changed { map_run, applied: true }));
            }
        }
        Err(StoreError::Busy { operation: "a Map Run's change" })
    }

    async fn kept(&self, arn: &str, from: u64, limit: usize) -> Result<Vec<(u64, Payload)>, StoreError> {
        let range = Range::new(arn, outcome_sort(from), format!("{OUTCOME}{LAST}"));
        let items = self.table.items(Range { limit: Some(limit), having: Some("body"), ..range }).await?;
        let owner = results_of(arn);
        let read = items.iter().map(|item| async {
            let sort = item.text(SORT)?;
            let index = sort.strip_prefix(OUTCOME).and_then(|index| index.parse().ok());
            let index = index.ok_or_else(|| StoreError::damaged(sort, "no index"))?;
            let result = self.table.bodies.fetch(&owner, item.attribute("body")?).await?;
            let result = std::str::from_utf8(&result).map_err(|error| StoreError::damaged(sort, error))?;
            Ok::<_, StoreError>((index, Payload::trusted(result)))
        });
        try_join_all(read).await
    }

    async fn known(
        &self,
        arn: &str,
        from: u64,
        limit: usize,
        failures: bool,
    ) -> Result<Vec<Known>, StoreError> {
        let range = Range::new(arn, outcome_sort(from), format!("{OUTCOME}{LAST}"));
        let items = self
            .table
            .items(Range { limit: Some(limit), having: failures.then_some(FAILURE), ..range })
            .await?;
        let read = items.iter().map(|item| {
            let sort = item.text(SORT)?;
            let index = sort.strip_prefix(OUTCOME).and_then(|index| index.parse().ok());
            Ok(Known {
                index: index.ok_or_else(|| StoreError::damaged(sort, "no index"))?,
                items: item.number("items")?,
                status: match item.text(FAILURE) {
                    Err(_) => "SUCCEEDED",
                    Ok("TIMED_OUT") => "TIMED_OUT",
                    Ok("ABORTED") => "ABORTED",
                    Ok(_) => "FAILED",
                },
                begun: item.number("begun")?,
                redrives: item.number(REDRIVES)?,
            })
        });
        read.collect()
    }

    async fn listed(&self, query: &MapRunsQuery) -> Result<ListedMapRuns, StoreError> {
        let to = match &query.after {
            Some(after) => format!("{LISTING}{after}"),
            None => format!("{LISTING}{LAST}"),
        };
        let range = Range::new(&query.execution_arn, LISTING, to.clone());
        // The last one of the page before is within these bounds.
        let limit = query.limit.saturating_add(2);
        let mut found = self.table.items(Range { descending: true, limit: Some(limit), ..range }).await?;
        found.retain(|item| item.text(SORT).is_ok_and(|sort| sort != to));
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        let places = found.iter().map(|item| item.text(SORT).map(|sort| &sort[LISTING.len()..]));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        let read = places
            .iter()
            .map(|place| async { self.find(place.split_once('#').map_or("", |(_, arn)| arn)).await });
        let map_runs = try_join_all(read).await?.into_iter().flatten().collect();
        let next = places.last().filter(|_| more).map(|place| (*place).to_owned());
        Ok(ListedMapRuns { map_runs, next })
    }
}

/// Adds an outcome to the counters of a Map Run that is not over, and that keeps results or does not.
fn count(arn: &str, outcome: &Outcome, keeps: bool) -> Write {
    let (children, items) = match outcome.status {
        "SUCCEEDED" => COUNTERS[0],
        "TIMED_OUT" => COUNTERS[2],
        "ABORTED" => COUNTERS[3],
        _ => COUNTERS[1],
    };
    let compared = if keeps { "<=" } else { ">" };
    let bytes = if outcome.status == "SUCCEEDED" { RESULT_BYTES } else { FAILURE_BYTES };
    let mut add = format!("ADD {children} :one, {items} :items, {bytes} :bytes");
    if outcome.not_redrivable {
        add.push_str(&format!(", {} :one, {} :items", NOT_REDRIVABLE.0, NOT_REDRIVABLE.1));
    }
    Write::update((arn, MAP_RUN), add)
        .when(format!(
            "attribute_exists(form) AND attribute_not_exists(is_closed) AND {REDRIVES} = :redrives \
                AND {bytes} {compared} :kept"
        ))
        .with(":redrives", number(outcome.redrives))
        .with(":one", number(1))
        .with(":items", number(outcome.items))
        .with(":bytes", number(outcome.result.bytes() as u64 + 1))
        .with(":kept", number(RESULT_BYTES_KEPT))
}

fn unavailable(error: StoreError) -> MapRunsError {
    MapRunsError(error.boxed())
}

#[async_trait]
impl MapRuns for DynamoMapRuns {
    async fn create(&self, map_run: Arc<MapRun>) -> Result<Arc<MapRun>, MapRunsError> {
        self.put(&map_run).await.map_err(unavailable)
    }

    async fn map_run(&self, arn: &str) -> Result<Option<Arc<MapRun>>, MapRunsError> {
        self.find(arn).await.map_err(unavailable)
    }

    async fn change(&self, arn: &str, change: Change) -> Result<Option<Changed>, MapRunsError> {
        let changed = match &change {
            Change::Outcome(outcome) => self.add(arn, outcome).await,
            other => self.replace(arn, other).await,
        };
        changed.map_err(unavailable)
    }

    async fn results(&self, arn: &str, from: u64, limit: usize) -> Result<Vec<(u64, Payload)>, MapRunsError> {
        self.kept(arn, from, limit).await.map_err(unavailable)
    }

    async fn outcomes(
        &self,
        arn: &str,
        from: u64,
        limit: usize,
        failures: bool,
    ) -> Result<Vec<Known>, MapRunsError> {
        self.known(arn, from, limit, failures).await.map_err(unavailable)
    }

    async fn list(&self, query: MapRunsQuery) -> Result<ListedMapRuns, MapRunsError> {
        self.listed(&query).await.map_err(unavailable)
    }
}
