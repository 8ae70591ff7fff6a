//! Wait and Fail states.

use super::checker::{Checker, Fields};
use super::expression::{PathKind, dynamic_integer, dynamic_string};
use super::fields::{self, SECONDS_MAX};
use super::io;
use super::timestamp::is_timestamp;
use crate::{Dynamic, Fail, Wait, WaitUntil};

pub(crate) fn wait(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Wait {
    let ways = ["Seconds", "SecondsPath", "Timestamp", "TimestampPath"];
    if !ways.iter().any(|name| fields.has(name)) {
        let message = format!("There should be one of the following fields: [{}]", ways.join(", "));
        checker.schema(fields.pointer, fields.span, message);
    }
    fields::at_most_one(checker, fields, &ways);
    Wait {
        io: io::io(checker, fields),
        until: until(checker, fields),
        assign: io::assign(checker, fields),
        transition: fields::transition(checker, fields),
    }
}

fn until(checker: &mut Checker<'_>, fields: &Fields<'_>) -> WaitUntil {
    if fields.has("Timestamp") || fields.has("TimestampPath") {
        let timestamp = dynamic_string(checker, fields, "Timestamp", PathKind::Reference)
            .unwrap_or_else(|| Dynamic::Fixed("".into()));
        if let (Dynamic::Fixed(text), Some(node)) = (&timestamp, fields.get("Timestamp"))
            && node.as_str().is_some()
            && !is_timestamp(text)
        {
            checker.schema(
                &fields.pointer.key("Timestamp"),
                &node.span,
                "String does not match RFC3339 timestamp",
            );
        }
        return WaitUntil::Timestamp(timestamp);
    }
    WaitUntil::Seconds(
        dynamic_integer(checker, fields, "Seconds", 0..=SECONDS_MAX, PathKind::Reference)
            .unwrap_or(Dynamic::Fixed(0)),
    )
}

pub(crate) fn fail(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Fail {
    Fail {
        error: dynamic_string(checker, fields, "Error", PathKind::ReferenceOrIntrinsic),
        cause: dynamic_string(checker, fields, "Cause", PathKind::ReferenceOrIntrinsic),
    }
}
