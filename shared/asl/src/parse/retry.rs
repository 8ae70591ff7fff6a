//! Retriers and Catchers.

use std::ops::RangeInclusive;

use super::checker::{Checker, Fields};
use super::expression::template;
use super::fields::In::{Both, Jsonata, Path};
use super::fields::{self, integer};
use super::io;
use super::source::{Content, Node, Pointer};
use crate::{Catcher, ErrorName, JitterStrategy, Retrier};

/// Longest `MaxDelaySeconds`: a year (ASL: Retrying after error).
const MAX_DELAY_SECONDS: RangeInclusive<u64> = 1..=31_622_400;

/// `Retry`
pub(crate) fn retriers(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Vec<Retrier> {
    rules(checker, fields, "Retry", retrier)
}

/// `Catch`
pub(crate) fn catchers(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Vec<Catcher> {
    rules(checker, fields, "Catch", catcher)
}

fn rules<T>(
    checker: &mut Checker<'_>,
    fields: &Fields<'_>,
    name: &str,
    read: fn(&mut Checker<'_>, &Fields<'_>, last: bool) -> T,
) -> Vec<T> {
    let Some(node) = fields.get(name) else { return Vec::new() };
    let pointer = fields.pointer.key(name);
    let Content::Array(items) = &node.content else {
        checker.schema(&pointer, &node.span, "Expected value of type [ARRAY]");
        return Vec::new();
    };
    let mut rules = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let pointer = pointer.index(index);
        if let Some(inner) = fields.inner(checker, item, &pointer) {
            rules.push(read(checker, &inner, index + 1 == items.len()));
        }
    }
    rules
}

fn retrier(checker: &mut Checker<'_>, fields: &Fields<'_>, last: bool) -> Retrier {
    let allowed = [
        "ErrorEquals",
        "IntervalSeconds",
        "MaxAttempts",
        "BackoffRate",
        "MaxDelaySeconds",
        "JitterStrategy",
        "Comment",
    ];
    fields::unsupported(checker, fields, &allowed);
    Retrier {
        error_equals: error_equals(checker, fields, last),
        interval_seconds: integer(checker, fields, "IntervalSeconds", 1..=fields::SECONDS_MAX).unwrap_or(1),
        max_attempts: integer(checker, fields, "MaxAttempts", 0..=fields::SECONDS_MAX).unwrap_or(3),
        backoff_rate: backoff_rate(checker, fields),
        max_delay_seconds: integer(checker, fields, "MaxDelaySeconds", MAX_DELAY_SECONDS),
        jitter: jitter(checker, fields),
    }
}

fn backoff_rate(checker: &mut Checker<'_>, fields: &Fields<'_>) -> f64 {
    let Some(node) = fields.get("BackoffRate") else { return 2.0 };
    match &node.content {
        Content::Number(number) if number.as_f64() >= 1.0 => number.as_f64().min(f64::MAX),
        other => {
            let is_number = matches!(other, Content::Number(_));
            let message = if is_number { "Minimum value is 1.0" } else { "Expected value of type [NUMBER]" };
            checker.schema(&fields.pointer.key("BackoffRate"), &node.span, message);
            2.0
        }
    }
}

fn jitter(checker: &mut Checker<'_>, fields: &Fields<'_>) -> JitterStrategy {
    match fields::one_of(checker, fields, "JitterStrategy", &["FULL", "NONE"]) {
        Some("FULL") => JitterStrategy::Full,
        _ => JitterStrategy::None,
    }
}

fn catcher(checker: &mut Checker<'_>, fields: &Fields<'_>, last: bool) -> Catcher {
    let allowed = [
        ("ErrorEquals", Both),
        ("Next", Both),
        ("ResultPath", Path),
        ("Output", Jsonata),
        ("Assign", Both),
        ("Comment", Both),
    ];
    fields::check(checker, fields, &allowed);
    let fields = &Fields { is_catcher: true, ..*fields };
    Catcher {
        error_equals: error_equals(checker, fields, last),
        next: fields::required_next(checker, fields),
        result_path: io::result_path(checker, fields),
        output: if fields.is_jsonata() { template(checker, fields, "Output") } else { None },
        assign: io::assign(checker, fields),
    }
}

fn error_equals(checker: &mut Checker<'_>, fields: &Fields<'_>, last: bool) -> Vec<ErrorName> {
    let Some(node) = fields.required(checker, "ErrorEquals") else { return Vec::new() };
    let pointer = fields.pointer.key("ErrorEquals");
    let Content::Array(items) = &node.content else {
        checker.schema(&pointer, &node.span, "Expected value of type [ARRAY]");
        return Vec::new();
    };
    if items.is_empty() {
        checker.schema(&pointer, &node.span, "ErrorEquals must not be empty");
    }
    let names: Vec<ErrorName> = items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| error_name(checker, &pointer, index, item))
        .collect();
    if names.iter().any(|name| *name == *ErrorName::ALL) && (names.len() > 1 || !last) {
        let message = "'States.ALL' must stand alone in ErrorEquals, and in the last of the rules";
        checker.schema(&pointer, &node.span, message);
    }
    names
}

fn error_name(
    checker: &mut Checker<'_>,
    pointer: &Pointer<'_>,
    index: usize,
    item: &Node,
) -> Option<ErrorName> {
    let name = item.as_str().map(|name| ErrorName::from(&**name));
    if name.is_none() {
        checker.schema(&pointer.index(index), &item.span, "Expected value of type [STRING]");
    }
    name
}
