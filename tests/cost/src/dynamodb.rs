//! DynamoDB's request units, by its published rules, from the sizes of items.
//!
//! A write is of whole kilobytes of the larger of the item before and after, also where its condition fails; a strongly consistent
//! read of whole four kilobytes, another half as much; in a transaction twice as much. An index is written where what it has of
//! an item changes: twice where that moves.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use stepwell_aws::table::{EXPIRES, INDEXES, LISTED, PARTITION, PROJECTED, SORT};

use crate::usage::Usage;

const WRITE_UNIT: usize = 1024;
const READ_UNIT: usize = 4096;
/// What DynamoDB adds to each item, and to each item of an index, when it charges for storage.
const OVERHEAD: usize = 100;

/// An item in its JSON form.
pub type Item = Map<String, Value>;

/// The bytes of an item.
pub fn size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|value| value.iter().next()) else { return 0 };
    let text = |value: &Value| value.as_str().map_or(0, str::len);
    let set = |each: &dyn Fn(&Value) -> usize| value.as_array().map_or(0, |all| all.iter().map(each).sum());
    match kind.as_str() {
        "S" => text(value),
        "N" => number_size(value),
        "B" => binary_size(value),
        "SS" => set(&text),
        "NS" => set(&number_size),
        "BS" => set(&binary_size),
        "L" => 3 + set(&|value| 1 + value_size(value)),
        "M" => 3 + value.as_object().map_or(0, |map| size(map) + map.len()),
        _ => 1,
    }
}

fn number_size(value: &Value) -> usize {
    let text = value.as_str().unwrap_or_default();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits.div_ceil(2) + 1 + usize::from(text.starts_with('-'))
}

/// The bytes behind a Base64 text.
fn binary_size(value: &Value) -> usize {
    let text = value.as_str().unwrap_or_default();
    text.len() / 4 * 3 - text.bytes().rev().take_while(|byte| *byte == b'=').count()
}

fn units(bytes: usize, unit: usize) -> f64 {
    bytes.div_ceil(unit).max(1) as f64
}

/// The items that are there, as far as requests have shown them.
#[derive(Default)]
pub struct Shadow {
    items: BTreeMap<(String, String), Item>,
}

/// What becomes of one item.
pub enum Change {
    /// It is this now.
    Put(Item),
    /// It is gone.
    Deleted,
    /// It was not changed, as a condition did not hold; this is what would have been put, where that is known.
    Refused(Option<Item>),
}

impl Shadow {
    /// Counts a write of the item of this key, and notes it. `times` is 2 in a transaction.
    pub fn write(&mut self, key: (String, String), change: Change, times: f64, usage: &mut Usage) {
        let before = self.items.get(&key);
        let bytes_before = before.map_or(0, size);
        let after = match change {
            Change::Refused(wanted) => {
                let bytes = wanted.as_ref().map_or(0, size).max(bytes_before);
                return usage.add("dynamodb.write_units", times * units(bytes, WRITE_UNIT));
            }
            Change::Put(item) => Some(item),
            Change::Deleted => None,
        };
        let bytes = after.as_ref().map_or(0, size).max(bytes_before);
        usage.add("dynamodb.write_units", times * units(bytes, WRITE_UNIT));
        let of_indexes = index_units(before, after.as_ref());
        if of_indexes > 0.0 {
            usage.add("dynamodb.index_write_units", of_indexes);
        }
        match after {
            Some(item) => self.items.insert(key, item),
            None => self.items.remove(&key),
        };
    }

    /// Bytes that are charged for what partitions hold, indexes included.
    pub fn kept(&self, which: impl Fn(&str) -> bool) -> usize {
        let mut bytes = 0;
        for (_, item) in self.items.iter().filter(|((partition, _), _)| which(partition)) {
            let entries = INDEXES.iter().filter_map(|index| entry(item, index.partition));
            bytes += entries.map(|entry| size(&entry) + OVERHEAD).sum::<usize>();
            bytes += size(item) + OVERHEAD;
        }
        bytes
    }

    /// Takes out what DynamoDB removes by itself, at no charge, when its time has come.
    pub fn expire(&mut self, which: impl Fn(&str) -> bool) -> Vec<Item> {
        let expires =
            |(partition, _): &(String, String), item: &Item| which(partition) && item.contains_key(EXPIRES);
        let keys: Vec<_> =
            self.items.iter().filter(|(key, item)| expires(key, item)).map(|(key, _)| key.clone()).collect();
        keys.iter().filter_map(|key| self.items.remove(key)).collect()
    }

    /// How many items partitions hold.
    pub fn count(&self, which: impl Fn(&str) -> bool) -> usize {
        self.items.keys().filter(|(partition, _)| which(partition)).count()
    }
}

/// What an index has of an item: nothing, where the item lacks one of its keys.
fn entry(item: &Item, partition: &str) -> Option<Item> {
    let key = [partition, LISTED];
    if key.iter().any(|name| !item.contains_key(*name)) {
        return None;
    }
    let names = key.into_iter().chain([PARTITION, SORT]).chain(PROJECTED);
    Some(names.filter_map(|name| Some((name.to_owned(), item.get(name)?.clone()))).collect())
}

fn index_units(before: Option<&Item>, after: Option<&Item>) -> f64 {
    let mut sum = 0.0;
    for index in INDEXES {
        let of = |item: Option<&Item>| item.and_then(|item| entry(item, index.partition));
        sum += match (of(before), of(after)) {
            (None, None) => 0.0,
            (Some(one), None) | (None, Some(one)) => units(size(&one), WRITE_UNIT),
            (Some(before), Some(after)) if before == after => 0.0,
            (Some(before), Some(after)) => {
                let (was, is) = (size(&before), size(&after));
                if [index.partition, LISTED].iter().all(|name| before.get(*name) == after.get(*name)) {
                    units(was.max(is), WRITE_UNIT)
                } else {
                    units(was, WRITE_UNIT) + units(is, WRITE_UNIT)
                }
            }
        };
    }
    sum
}

/// Counts a read of items of these sizes: together where they are of one Query, each for itself otherwise.
pub fn read(bytes: usize, consistent: bool, times: f64, usage: &mut Usage) {
    let whole = units(bytes, READ_UNIT);
    usage.add("dynamodb.read_units", times * if consistent { whole } else { whole / 2.0 });
}

/// The key of an item or of a request.
pub fn key(item: &Value) -> (String, String) {
    let part = |name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
    (part(PARTITION), part(SORT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item(value: Value) -> Item {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn sizes_are_dynamodbs() {
        for (value, expected) in [
            (json!({ "pk": { "S": "abc" } }), 5),
            (json!({ "é": { "S": "é" } }), 4),
            (json!({ "n": { "N": "27" } }), 3),
            (json!({ "n": { "N": "-123" } }), 5),
            (json!({ "b": { "B": "AAAA" } }), 4),
            (json!({ "b": { "B": "AA==" } }), 2),
            (json!({ "x": { "BOOL": true } }), 2),
            (json!({ "m": { "M": { "a": { "S": "bc" } } } }), 8),
            (json!({ "l": { "L": [{ "S": "bc" }] } }), 7),
        ] {
            assert_eq!(size(&item(value.clone())), expected, "{value}");
        }
    }

    #[test]
    fn writes_are_whole_kilobytes_and_an_index_is_written_where_it_changes() {
        let mut shadow = Shadow::default();
        let mut check = |value: Value, listed: &str, expected: (f64, f64)| {
            let mut usage = Usage::default();
            let mut written = item(value);
            written.insert("pk".into(), json!({ "S": "e" }));
            written.insert("lm".into(), json!({ "S": "machine#1" }));
            written.insert("ls".into(), json!({ "S": listed }));
            shadow.write(("e".into(), "META".into()), Change::Put(written), 1.0, &mut usage);
            let units = (usage.meter("dynamodb.write_units"), usage.meter("dynamodb.index_write_units"));
            assert_eq!(units, expected, "{listed}");
        };
        check(json!({ "head": { "S": "h" } }), "R", (1.0, 1.0));
        check(json!({ "head": { "S": "h" }, "other": { "S": "x".repeat(1500) } }), "R", (2.0, 0.0));
        check(json!({ "head": { "S": "i" } }), "R", (2.0, 1.0));
        check(json!({ "head": { "S": "i" } }), "S", (1.0, 2.0));
        let mut usage = Usage::default();
        shadow.write(("e".into(), "META".into()), Change::Refused(None), 2.0, &mut usage);
        assert_eq!(usage.meter("dynamodb.write_units"), 2.0);
        assert_eq!((shadow.count(|key| key == "e"), shadow.count(|key| key == "f")), (1, 0));
        shadow.write(("e".into(), "META".into()), Change::Deleted, 1.0, &mut usage);
        assert_eq!(usage.meter("dynamodb.index_write_units"), 1.0);
    }

    #[test]
    fn reads_are_whole_four_kilobytes() {
        let mut usage = Usage::default();
        read(0, true, 1.0, &mut usage);
        read(4097, true, 1.0, &mut usage);
        read(10, false, 1.0, &mut usage);
        read(10, true, 2.0, &mut usage);
        assert_eq!(usage.meter("dynamodb.read_units"), 1.0 + 2.0 + 0.5 + 2.0);
    }
}
