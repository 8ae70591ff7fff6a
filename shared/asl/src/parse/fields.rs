//! Fields that several kinds of object share, and which of them belong where.

use std::ops::RangeInclusive;

use stepwell_expr::QueryLanguage;

use super::checker::{Checker, Fields, nearest};
use super::source::{Content, Node};
use crate::{Code, Severity, StateName, Transition};

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

/// `QueryLanguage`, where it is given.
pub(crate) fn query_language(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Option<QueryLanguage> {
    let node = fields.get("QueryLanguage")?;
    match node.as_str().map(|text| &**text) {
        Some("JSONPath") => return Some(QueryLanguage::JsonPath),
        Some("JSONata") => {}
        _ => {
            let message = "QueryLanguage must be one of: [JSONPath, JSONata]";
            checker.schema(&fields.pointer.key("QueryLanguage"), &node.span, message);
        }
    }
    Some(QueryLanguage::Jsonata)
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
        checker.schema(&pointer, &node.span, "Expected value of type Integer");
        return None;
    };
    let value = number
        .as_integral()
        .and_then(|value| u64::try_from(value).ok())
        .filter(|value| range.contains(value));
    if value.is_none() {
        let (low, high) = range.into_inner();
        checker.schema(&pointer, &node.span, format!("Expected value to be an integer from {low} to {high}"));
    }
    value
}

/// `Next` or `End`.
pub(crate) fn transition(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Transition {
    let end = fields.get("End");
    let ends = end.is_some_and(|node| matches!(node.content, Content::Bool(true)));
    if let Some(node) = end
        && !matches!(node.content, Content::Bool(_))
    {
        checker.schema(&fields.pointer.key("End"), &node.span, "Expected value of type Boolean");
    }
    let next = next(checker, fields, "Next");
    match (next, ends) {
        (Some(_), true) => {
            checker.schema(fields.pointer, fields.span, "A state cannot have both 'Next' and 'End'");
            Transition::End
        }
        (Some(next), false) => Transition::Next(next),
        (None, true) => Transition::End,
        (None, false) => {
            if !fields.has("Next") && end.is_none_or(|node| matches!(node.content, Content::Bool(_))) {
                checker.schema(fields.pointer, fields.span, "One of these fields is required: [Next, End]");
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
    next(checker, fields, "Next").unwrap_or_else(|| "".into())
}
