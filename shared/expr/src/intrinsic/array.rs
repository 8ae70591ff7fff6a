//! `States.Array*`.

use super::{Outcome, RANGE_ITEMS_MAX, Refusal, TEXT_BYTES_MAX, truncated};
use crate::{Value, java};

/// Different items of one Java hash code that `States.ArrayUnique` takes.
const EQUAL_HASHES_MAX: usize = 4_000;

fn items(array: &Value) -> Result<&[Value], Refusal> {
    array.as_array().ok_or(Refusal::Arguments)
}

/// Parts of `size` items, the last perhaps shorter.
pub(super) fn partition(array: &Value, size: &Value) -> Outcome {
    let size = usize::try_from(truncated(size)?).ok().filter(|size| *size > 0).ok_or(Refusal::Arguments)?;
    Ok(Value::array(items(array)?.chunks(size).map(|chunk| Value::array(chunk.to_vec())).collect()))
}

/// Whether an item prints as `item` does: `true` and `"true"` are the same here, and objects with their keys in
/// another order are not, as AWS has it.
pub(super) fn contains(array: &Value, item: &Value) -> Outcome {
    let items = items(array)?;
    let mut wanted = String::new();
    if !java::write_value_within(item, &mut wanted, TEXT_BYTES_MAX) {
        return Err(Refusal::TooLarge);
    }
    let mut text = String::new();
    let found = items.iter().any(|item| {
        text.clear();
        java::write_value_within(item, &mut text, wanted.len()) && text == wanted
    });
    Ok(found.into())
}

/// `first`, `first + step` … up to and including `last`, at most [`RANGE_ITEMS_MAX`].
pub(super) fn range(first: &Value, last: &Value, step: &Value) -> Outcome {
    let [first, last, step] = [truncated(first)?, truncated(last)?, truncated(step)?].map(i64::from);
    if step == 0 {
        return Err(Refusal::Arguments);
    }
    let count = usize::try_from((last - first) / step + 1).unwrap_or(0);
    let empty = if step > 0 { first > last } else { first < last };
    if !empty && count > RANGE_ITEMS_MAX {
        return Err(Refusal::Arguments);
    }
    let count = if empty { 0 } else { count as i64 };
    Ok(Value::array((0..count).map(|at| (first + at * step).into()).collect()))
}

/// The item at `index`, from 0. An empty array gives `null`, as on AWS.
pub(super) fn item(array: &Value, index: &Value) -> Outcome {
    let (items, index) = (items(array)?, truncated(index)?);
    match usize::try_from(index).ok().and_then(|index| items.get(index)) {
        Some(item) => Ok(item.clone()),
        None if items.is_empty() => Ok(Value::Null),
        None => Err(Refusal::Arguments),
    }
}

/// How many items there are.
pub(super) fn length(array: &Value) -> Outcome {
    Ok((items(array)?.len() as i64).into())
}

/// Each item once, in the order of a `HashSet` made of the array.
pub(super) fn unique(array: &Value) -> Outcome {
    let items = items(array)?;
    let mut hashed: Vec<(i32, usize)> = items.iter().map(java::hash_value).zip(0..).collect();
    hashed.sort_unstable();
    let mut kept: Vec<usize> = Vec::new();
    for same_hash in hashed.chunk_by(|left, right| left.0 == right.0) {
        let from = kept.len();
        for (_, at) in same_hash {
            // Texts of one hash are easily made, and many.
            if kept.len() - from > EQUAL_HASHES_MAX {
                return Err(Refusal::TooLarge);
            }
            if !kept[from..].iter().any(|known| items[*known] == items[*at]) {
                kept.push(*at);
            }
        }
    }
    kept.sort_unstable();
    let hashes: Vec<i32> = kept.iter().map(|at| java::hash_value(&items[*at])).collect();
    let order = java::hash_order_sized(&hashes, items.len());
    Ok(Value::array(order.into_iter().map(|at| items[kept[at]].clone()).collect()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, refused};

    #[test]
    fn partitions() {
        for (size, parts) in
            [("1", "[[0],[1],[2]]"), ("2", "[[0,1],[2]]"), ("2.6", "[[0,1],[2]]"), ("9", "[[0,1,2]]")]
        {
            check(&format!("States.ArrayPartition($, {size})"), "[0,1,2]", parts);
        }
        check("States.ArrayPartition($, 3)", "[]", "[]");
        for size in ["0", "0.6", "-1", "'2'", "null"] {
            refused(&format!("States.ArrayPartition($, {size})"), "[0]");
        }
        refused("States.ArrayPartition('no', 2)", "{}");
    }

    #[test]
    fn contains_compares_as_printed() {
        for (array, item, found) in [
            ("[1,2]", "2", "true"),
            ("[1,2]", "5", "false"),
            ("[1,null]", "null", "true"),
            ("[{\"a\":1}]", "{\"a\":1}", "true"),
            ("[{\"a\":1,\"b\":2}]", "{\"b\":2,\"a\":1}", "false"),
            ("[\"true\"]", "true", "true"),
            ("[0,1]", "false", "false"),
            ("[]", "1", "false"),
        ] {
            check("States.ArrayContains($.a, $.i)", &format!("{{\"a\":{array},\"i\":{item}}}"), found);
        }
        refused("States.ArrayContains('no', 'x')", "{}");
    }

    #[test]
    fn ranges_include_their_ends() {
        for (arguments, range) in [
            ("0, 9, 3", "[0,3,6,9]"),
            ("0, 10, 3", "[0,3,6,9]"),
            ("1, 9, 9", "[1]"),
            ("5, 1, -2", "[5,3,1]"),
            ("5, 1, 1", "[]"),
            ("1, 5, -1", "[]"),
            ("3, 3, -1", "[3]"),
            ("1.6, 1.4, 1", "[1]"),
            ("5.4, -0.6, -2.4", "[5,3,1]"),
        ] {
            check(&format!("States.ArrayRange({arguments})"), "{}", range);
        }
        for arguments in [
            "1, 1001, 1",
            "1001, 1, -1",
            "1, 10, 0",
            "1, 10, 0.49",
            "'a', 5, 1",
            "-2147483648, 2147483647, 1",
        ] {
            refused(&format!("States.ArrayRange({arguments})"), "{}");
        }
        check("States.ArrayLength(States.ArrayRange(1, 1000, 1))", "{}", "1000");
    }

    #[test]
    fn items_are_found_by_index() {
        check("States.ArrayGetItem($, 1)", "[10,20]", "20");
        check("States.ArrayGetItem($, 1.2)", "[10,20]", "20");
        check("States.ArrayGetItem($, 9)", "[]", "null");
        for index in ["2", "-1", "'1'"] {
            refused(&format!("States.ArrayGetItem($, {index})"), "[10,20]");
        }
    }

    #[test]
    fn unique_items_come_in_hash_set_order() {
        for (array, unique) in [
            ("[1,2,3,3,3,4]", "[1,2,3,4]"),
            ("[\"a\",\"b\",\"a\"]", "[\"a\",\"b\"]"),
            ("[true,false,true]", "[false,true]"),
            ("[[1,2],[1,2],[2,1]]", "[[2,1],[1,2]]"),
            ("[null,null,1]", "[null,1]"),
            ("[1,\"1\",1,\"01\"]", "[1,\"1\",\"01\"]"),
            ("[{\"a\":1,\"b\":2},{\"b\":2,\"a\":1}]", "[{\"a\":1,\"b\":2}]"),
            ("[]", "[]"),
        ] {
            check("States.ArrayUnique($)", array, unique);
        }
        refused("States.ArrayUnique($)", "{\"a\":1}");
    }
}
