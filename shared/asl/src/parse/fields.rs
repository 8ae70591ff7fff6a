//! Fields that several kinds of object share, and which of them belong where.

use std::ops::RangeInclusive;

use stepwell_expr::QueryLanguage;

use super::checker::{Checker, Fields, nearest};
use super::source::{Content, Node};
use crate::{Code, Severity, StateName, Transition};

/// From here on doubles are integers, and not every integer is a double.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Largest number of seconds in a definition (ASL: `TimeoutSeconds`, `Seconds`).
pub(crate) const SECONDS_MAX: u64 = 99_999_999;

/// The language in which a field may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum In {
    Both,
    Path,
    Jsonata,
}

/// Reports every field that is not `allowed`.
pub(crate) fn unsupported(checker: &mut Checker<'_>, fields: &Fields<'_>, allowed: &[&str]) {
    for member in fields.members.iter().filter(|m| !allowed.contains(&&*m.key)) {
        if checker.is_full() {
            return;
        }
        let help =
            nearest(&member.key, allowed.iter().copied()).map(|name| format!("did you mean '{name}'?"));
        let message = format!("Field '{}' is not supported", member.key);
        let location = fields.pointer.location();
        checker.report(
            Severity::Error,
            Code::SCHEMA_VALIDATION_FAILED,
            location,
            &member.key_span,
            message,
            help,
        );
    }
}

/// Reports every field that is not `allowed`, or not in the state's language.
pub(crate) fn check(checker: &mut Checker<'_>, fields: &Fields<'_>, allowed: &[(&str, In)]) {
    let names: Vec<&str> = allowed.iter().map(|(name, _)| *name).collect();
    unsupported(checker, fields, &names);
    foreign(checker, fields, allowed);
}

/// Reports every field that is only for the other language.
pub(crate) fn foreign(checker: &mut Checker<'_>, fields: &Fields<'_>, allowed: &[(&str, In)]) {
    let (ours, foreign, theirs) = match fields.language {
        QueryLanguage::JsonPath => ("JSONPath", In::Jsonata, "JSONata"),
        QueryLanguage::Jsonata => ("JSONata", In::Path, "JSONPath"),
    };
    for member in fields.members {
        if allowed.contains(&(&*member.key, foreign)) {
            let message = format!(
                "The QueryLanguage is set to '{ours}', but field '{}' is only supported for the '{theirs}' QueryLanguage",
                member.key
            );
            checker.error(
                Code::SCHEMA_VALIDATION_FAILED,
                fields.pointer.location(),
                &member.key_span,
                message,
            );
        }
    }
}

/// `QueryLanguage`, where it is given. Whatever is not `JSONPath` counts as `JSONata`, as the service has it.
pub(crate) fn query_language(fields: &Fields<'_>) -> Option<QueryLanguage> {
    let node = fields.get("QueryLanguage")?;
    let is_path = node.as_str().is_some_and(|text| &**text == "JSONPath");
    Some(if is_path { QueryLanguage::JsonPath } else { QueryLanguage::Jsonata })
}

/// A field with one of a few values; anything else is reported, and is `None`.
pub(crate) fn one_of<'v>(
    checker: &mut Checker<'_>,
    fields: &Fields<'_>,
    name: &str,
    values: &[&'v str],
) -> Option<&'v str> {
    let text = fields.string(checker, name)?;
    let value = values.iter().copied().find(|value| *value == &**text);
    if value.is_none() {
        let span = fields.get(name).map_or(fields.span, |node| &node.span);
        let help = nearest(text, values.iter().copied()).map(|value| format!("did you mean '{value}'?"));
        let message = format!("Value should be one of the following: [{}]", values.join(", "));
        let location = fields.pointer.key(name).location();
        checker.report(Severity::Error, Code::SCHEMA_VALIDATION_FAILED, location, span, message, help);
    }
    value
}

/// Reports more than one of `names`, which exclude each other.
pub(crate) fn at_most_one(checker: &mut Checker<'_>, fields: &Fields<'_>, names: &[&str]) {
    if names.iter().filter(|name| fields.has(name)).count() > 1 {
        let message = format!("There should only be one of the following fields: [{}]", names.join(", "));
        checker.schema(fields.pointer, fields.span, message);
    }
}

/// An integer field within `range`; anything else is reported.
pub(crate) fn integer(
    checker: &mut Checker<'_>,
    fields: &Fields<'_>,
    name: &str,
    range: RangeInclusive<u64>,
) -> Option<u64> {
    let node = fields.get(name)?;
    integer_of(checker, fields, name, node, range)
}

/// The integer that `node`, the field `name`, holds.
pub(crate) fn integer_of(
    checker: &mut Checker<'_>,
    fields: &Fields<'_>,
    name: &str,
    node: &Node,
    range: RangeInclusive<u64>,
) -> Option<u64> {
    let pointer = fields.pointer.key(name);
    let Content::Number(number) = &node.content else {
        checker.schema(&pointer, &node.span, "Expected value of type [NUMBER]");
        return None;
    };
    let (low, high) = range.into_inner();
    let nearest = number.as_f64();
    let mistake = match number.as_integral().map(u64::try_from) {
        _ if nearest < low as f64 => format!("Minimum value is {low}"),
        _ if nearest > high as f64 => format!("Maximum value is {high}"),
        Some(Ok(value)) => return Some(value),
        // An integer beyond what doubles hold exactly: the nearest stands for it.
        _ if nearest >= MAX_EXACT => return Some(nearest as u64),
        _ => "Expected value of type [INTEGER]".to_owned(),
    };
    checker.schema(&pointer, &node.span, mistake);
    None
}

/// `Next` or `End`.
pub(crate) fn transition(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Transition {
    let end = fields.get("End");
    let ends = end.is_some_and(|node| matches!(node.content, Content::Bool(true)));
    if let Some(node) = end
        && !matches!(node.content, Content::Bool(_))
    {
        checker.schema(&fields.pointer.key("End"), &node.span, "Expected value of type [BOOLEAN]");
    }
    let next = next(checker, fields, "Next");
    match (next, ends) {
        (Some(_), true) => {
            at_most_one(checker, fields, &["Next", "End"]);
            Transition::End
        }
        (Some(next), false) => Transition::Next(next),
        (None, true) => Transition::End,
        (None, false) => {
            checker.lacks_transition = true;
            if !fields.has("Next") && end.is_none_or(|node| matches!(node.content, Content::Bool(_))) {
                checker.schema(
                    fields.pointer,
                    fields.span,
                    "There should be one of the following fields: [Next, End]",
                );
            }
            Transition::End
        }
    }
}

/// A field that names a state of the same block, such as `Next` or `Default`.
pub(crate) fn next(checker: &mut Checker<'_>, fields: &Fields<'_>, name: &str) -> Option<StateName> {
    let to = fields.string(checker, name)?.clone();
    let span = fields.get(name).map_or(0..0, |node| node.span.clone());
    let location = fields.pointer.key(name).location();
    checker.edges.push(super::checker::Edge { from: fields.state.clone(), to: to.clone(), location, span });
    Some(to)
}

/// A field that must name a state of the same block.
pub(crate) fn required_next(checker: &mut Checker<'_>, fields: &Fields<'_>) -> StateName {
    fields.required(checker, "Next");
    let next = next(checker, fields, "Next");
    checker.lacks_transition |= next.is_none();
    next.unwrap_or_else(|| "".into())
}
