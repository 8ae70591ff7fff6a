//! The indexes by which executions are listed.
//!
//! An index's partition is an ARN and a shard, which the run decides, so that no machine's starts meet in one partition. Within
//! it an execution stands by its status, then by its date. So a page of one status is read from as many places as there are shards, and
//! one of all statuses from five times as many; none of them reads what is not asked for.
//!
//! An index lags behind its table, mostly by milliseconds. That is so of ListExecutions in AWS too.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use futures::future::try_join_all;
use stepwell_engine::meta::{Meta, RunId};
use stepwell_engine::port::{ListQuery, Listed};
use stepwell_interpreter::Timestamp;

use crate::error::StoreError;
use crate::executions::read_listed;
use crate::item::{AttributeValue, Fields, Item, text};
use crate::store::{LAST, Range, Table};
use crate::table::{BY_ALIAS, BY_MACHINE, BY_VERSION, Index, LISTED};

/// Shards of each partition. DynamoDB takes 1,000 small writes a second in one, and an execution makes three in its.
/// More can be had later, not fewer.
const SHARDS: u128 = 4;

/// All statuses, each by a letter of its own.
const STATUSES: [&str; 5] = ["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"];

/// Where an execution of this status stands.
pub(crate) fn place(status: &str, meta: &Meta) -> String {
    placed(status, meta.listed_at(), &meta.info.name)
}

/// The same, of what is known without META.
pub(crate) fn placed(status: &str, listed_at: Timestamp, name: &str) -> String {
    format!("{}#{:014}#{name}", letter(status), listed_at.0.max(0))
}

fn letter(status: &str) -> &str {
    status.get(..1).unwrap_or_default()
}

/// The index's partition keys that an execution bears.
pub(crate) fn partitions(meta: &Meta) -> Vec<(&'static str, AttributeValue)> {
    let all =
        meta.listed_under().map(|arn| (index(arn).partition, text(partition(arn, meta.run.0 % SHARDS))));
    all.collect()
}

fn partition(arn: &str, shard: u128) -> String {
    format!("{arn}#{shard}")
}

/// The index that lists what is under `arn`.
fn index(arn: &str) -> Index {
    // arn:partition:states:region:account:stateMachine:name[:version or alias]
    let mut parts = arn.splitn(8, ':').skip(5);
    match (parts.next(), parts.next(), parts.next()) {
        (Some("stateMachine"), _, Some(number)) if number.bytes().all(|b| b.is_ascii_digit()) => BY_VERSION,
        (Some("stateMachine"), _, Some(_)) => BY_ALIAS,
        _ => BY_MACHINE,
    }
}

/// Answers `query`. Positions are dates and names, so that a page goes on where the one before ended, whatever came since.
pub(crate) async fn list(table: &Table, query: &ListQuery) -> Result<Listed, StoreError> {
    let statuses = STATUSES.iter().filter(|status| query.status.is_none_or(|asked| asked == **status));
    let places = statuses.flat_map(|status| (0..SHARDS).map(move |shard| (*status, shard)));
    let parts = try_join_all(places.map(|(status, shard)| part(table, query, status, shard))).await?;
    // An execution that ends while it is listed may be seen in two places: it counts once, in the later one.
    let mut places: BTreeMap<RunId, String> = BTreeMap::new();
    let mut all: BTreeMap<Reverse<(String, RunId)>, Item> = BTreeMap::new();
    for item in parts.into_iter().flatten() {
        let meta = read_listed(&item)?;
        let position = item.text(LISTED)?.split_at_checked(2).map(|(_, position)| position.to_owned());
        let position = position.ok_or_else(|| StoreError::damaged(LISTED, "too short"))?;
        match places.insert(meta.run, position.clone()) {
            Some(later) if later > position => {
                places.insert(meta.run, later);
            }
            earlier => {
                earlier.map(|earlier| all.remove(&Reverse((earlier, meta.run))));
                all.insert(Reverse((position, meta.run)), item);
            }
        }
    }
    let more = all.len() > query.limit;
    let mut next = None;
    let mut metas = Vec::with_capacity(query.limit.min(all.len()));
    for (Reverse((position, _)), item) in all.into_iter().take(query.limit) {
        metas.push(read_listed(&item)?);
        next = Some(position);
    }
    Ok(Listed { metas, next: next.filter(|_| more) })
}

/// One more than the page holds, of one status and shard, newest first.
async fn part(table: &Table, query: &ListQuery, status: &str, shard: u128) -> Result<Vec<Item>, StoreError> {
    let index = index(&query.state_machine_arn);
    let letter = letter(status);
    let (from, to) = match &query.after {
        Some(after) => (format!("{letter}#"), format!("{letter}#{after}")),
        None => (format!("{letter}#"), format!("{letter}#{LAST}")),
    };
    // The last one of the page before is within these bounds.
    let wanted = query.limit.saturating_add(2);
    let mut found = vec![];
    let mut start = None;
    let partition = partition(&query.state_machine_arn, shard);
    let range =
        Range { index: Some(index), descending: true, ..Range::new(&partition, from.as_str(), to.as_str()) };
    loop {
        let answer = table.some_items(&range, start.as_ref(), Some(wanted - found.len())).await?;
        found.extend(answer.items);
        start = answer.last_evaluated_key;
        if start.is_none() || found.len() >= wanted {
            break;
        }
    }
    if query.after.is_some() {
        found.retain(|item| item.text(LISTED).is_ok_and(|place| place != to));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_says_its_index() {
        let machine = "arn:aws:states:us-east-1:123456789012:stateMachine:orders";
        for (arn, expected) in [
            (machine.to_owned(), BY_MACHINE),
            (format!("{machine}:7"), BY_VERSION),
            (format!("{machine}:PROD"), BY_ALIAS),
            (format!("{machine}:7a"), BY_ALIAS),
            ("arn:aws:states:us-east-1:123456789012:mapRun:orders/label:1:2".into(), BY_MACHINE),
            ("nonsense".into(), BY_MACHINE),
        ] {
            assert_eq!(index(&arn), expected, "{arn}");
        }
    }

    #[test]
    fn every_status_has_a_letter_of_its_own() {
        let mut letters = STATUSES.map(letter);
        letters.sort_unstable();
        assert_eq!(letters, ["A", "F", "R", "S", "T"]);
    }

    #[test]
    fn later_ones_stand_behind_earlier_ones() {
        assert!(placed("RUNNING", Timestamp(999), "z") < placed("RUNNING", Timestamp(1_000), "a"));
    }
}
