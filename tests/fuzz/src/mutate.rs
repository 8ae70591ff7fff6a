//! Makes inputs of inputs: as bytes, as words, and as JSON.

use serde_json::Value;
use stepwell_test_support::Random;

use crate::{DIVIDER, Target};

/// Levels of JSON within strings of JSON that are gone into.
const WITHIN_MAX: usize = 2;

/// Values that are often at a border of something.
const VALUES: [&str; 22] = [
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1",
    "1.5",
    "-0.0",
    "2147483647",
    "2147483648",
    "-2147483649",
    "9223372036854775807",
    "9223372036854775808",
    "1e308",
    "1e400",
    "\"\"",
    "\"$\"",
    "\"$.x\"",
    "\"{% $states.input %}\"",
    "[]",
    "{}",
    "\"\\u0000é\u{1F600}\"",
];

/// Another input made of `data`, of at most the target's size. `corpus` is what pieces are taken from.
pub fn mutate(target: &Target, data: &[u8], corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut data = data.to_vec();
    for _ in 0..=random.below(4) {
        data = match random.below(5) {
            0 | 1 => structured(target, &data, corpus, random).unwrap_or_else(|| bytes(&data, random)),
            2 => word(target, &data, random),
            3 => spliced(&data, corpus, random),
            _ => bytes(&data, random),
        };
    }
    data.truncate(target.bytes_max);
    data
}

/// A place in `data`.
fn place(data: &[u8], random: &mut Random) -> usize {
    random.below(data.len() + 1)
}

/// A short range of `data`.
fn range(data: &[u8], random: &mut Random) -> std::ops::Range<usize> {
    let start = place(data, random);
    let length = match random.below(4) {
        0 => random.below(data.len() + 1),
        _ => random.below(16) + 1,
    };
    start..(start + length).min(data.len())
}

fn bytes(data: &[u8], random: &mut Random) -> Vec<u8> {
    let mut data = data.to_vec();
    match random.below(8) {
        0 | 1 if !data.is_empty() => {
            let at = random.below(data.len());
            data[at] ^= 1 << random.below(8);
        }
        2 if !data.is_empty() => {
            let at = random.below(data.len());
            data[at] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'\\', b'[', b'{', b'$', b'9'][random.below(11)];
        }
        3 => drop(data.drain(range(&data, random))),
        4 => {
            let at = place(&data, random);
            let piece = data[range(&data, random)].to_vec();
            data.splice(at..at, piece);
        }
        5 => {
            // The same again and again: nesting, repetition.
            let at = place(&data, random);
            let piece = data[range(&data, random)].repeat(1 << random.below(8));
            data.splice(at..at, piece);
        }
        6 => number(&mut data, random),
        _ => {
            let at = place(&data, random);
            data.insert(at, random.bits() as u8);
        }
    }
    data
}

/// Puts another number in a number's place.
fn number(data: &mut Vec<u8>, random: &mut Random) {
    let from = place(data, random);
    let Some(start) = (from..data.len()).find(|at| data[*at].is_ascii_digit()) else { return };
    let end = (start..data.len()).find(|at| !data[*at].is_ascii_digit()).unwrap_or(data.len());
    let value = VALUES[3 + random.below(12)];
    data.splice(start..end, value.bytes());
}

fn word(target: &Target, data: &[u8], random: &mut Random) -> Vec<u8> {
    let Some(word) = target.words.get(random.below(target.words.len())) else { return data.to_vec() };
    let (at, mut data) = (range(data, random), data.to_vec());
    let end = if random.below(2) == 0 { at.start } else { at.end };
    data.splice(at.start..end, word.bytes());
    data
}

/// The beginning of one and the end of another, or a piece of another within one.
fn spliced(data: &[u8], corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let Some(other) = corpus.get(random.below(corpus.len())) else { return data.to_vec() };
    if random.below(2) == 0 {
        return [&data[..place(data, random)], &other[place(other, random)..]].concat();
    }
    let (at, mut data) = (place(data, random), data.to_vec());
    data.splice(at..at, other[range(other, random)].iter().copied());
    data
}

/// Changes a part that is JSON as JSON; `None` where there is none.
fn structured(target: &Target, data: &[u8], corpus: &[Vec<u8>], random: &mut Random) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(data).ok()?;
    let mut parts: Vec<String> = text.split(DIVIDER).map(str::to_owned).collect();
    let at = random.below(parts.len());
    let mut value: Value = serde_json::from_str(&parts[at]).ok()?;
    let donor = corpus.get(random.below(corpus.len())).and_then(|other| json_within(other, random));
    change(&mut value, donor.as_ref(), target, random, 0);
    parts[at] = value.to_string();
    Some(parts.join(DIVIDER).into_bytes())
}

/// The JSON in a part of an input.
fn json_within(data: &[u8], random: &mut Random) -> Option<Value> {
    let text = std::str::from_utf8(data).ok()?;
    let parts: Vec<_> = text.split(DIVIDER).collect();
    serde_json::from_str(parts[random.below(parts.len())]).ok()
}

fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(members) => members.values().map(nodes).sum(),
        _ => 0,
    }
}

/// The node of this number, in the order of the text.
fn node<'v>(value: &'v mut Value, number: &mut usize) -> Option<&'v mut Value> {
    if *number == 0 {
        return Some(value);
    }
    *number -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| node(item, number)),
        Value::Object(members) => members.values_mut().find_map(|member| node(member, number)),
        _ => None,
    }
}

fn some_node<'v>(value: &'v mut Value, random: &mut Random) -> Option<&'v mut Value> {
    let mut number = random.below(nodes(value));
    node(value, &mut number)
}

fn change(value: &mut Value, donor: Option<&Value>, target: &Target, random: &mut Random, within: usize) {
    let Some(place) = some_node(value, random) else { return };
    if let Value::String(text) = place
        && within < WITHIN_MAX
        && random.below(4) > 0
    {
        match serde_json::from_str::<Value>(text) {
            Ok(mut inner) if inner.is_object() || inner.is_array() => {
                change(&mut inner, donor, target, random, within + 1);
                *text = inner.to_string();
            }
            _ => *text = String::from_utf8_lossy(&word(target, text.as_bytes(), random)).into_owned(),
        }
        return;
    }
    match (random.below(6), place) {
        (0, Value::Array(items)) if !items.is_empty() => {
            let at = random.below(items.len());
            let twice = items[at].clone();
            items.insert(at, twice);
        }
        (1, Value::Array(items)) if !items.is_empty() => drop(items.remove(random.below(items.len()))),
        (0 | 1, Value::Object(members)) if !members.is_empty() => {
            let name = members.keys().nth(random.below(members.len())).cloned();
            let member = name.and_then(|name| members.shift_remove(&name));
            // Under another name, or under none.
            if let (Some(member), Some(donor), true) =
                (member, donor.and_then(Value::as_object), random.below(2) == 0)
                && let Some(name) = donor.keys().nth(random.below(donor.len()))
            {
                members.insert(name.clone(), member);
            }
        }
        (2, Value::Object(members)) => {
            let mut donor = donor.cloned().unwrap_or_default();
            if let Some(Value::Object(given)) = some_node(&mut donor, random) {
                members.extend(given.clone());
            }
        }
        (3, place) => *place = Value::Array(vec![place.take()]),
        (4, place) => {
            if let Some(given) = donor.cloned().as_mut().and_then(|donor| some_node(donor, random)) {
                *place = given.take();
            }
        }
        (_, place) => *place = serde_json::from_str(VALUES[random.below(VALUES.len())]).unwrap_or_default(),
    }
}
