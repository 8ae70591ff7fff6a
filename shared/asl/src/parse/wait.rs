//! Wait and Fail states.

use super::checker::{Checker, Fields};
use super::expression::{dynamic_integer, dynamic_string};
use super::fields::{self, SECONDS_MAX};
use super::io;
use super::timestamp::is_timestamp;
use crate::{Dynamic, Fail, Wait, WaitUntil};

pub(crate) fn wait(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Wait {
    let ways = ["Seconds", "SecondsPath", "Timestamp", "TimestampPath"];
    let given: Vec<&str> = ways.into_iter().filter(|name| fields.has(name)).collect();
    match given.len() {
        0 => {
            let message = format!("One of these fields is required: [{}]", ways.join(", "));
            checker.schema(fields.pointer, fields.span, message);
        }
        1 => {}
        _ => {
            let message = format!("Only one of these fields is allowed: [{}]", given.join(", "));
            checker.schema(fields.pointer, fields.span, message);
        }
    }
    Wait {
        io: io::io(checker, fields),
        until: until(checker, fields),
        assign: io::assign(checker, fields),
        transition: fields::transition(checker, fields),
    }
}

fn until(checker: &mut Checker<'_>, fields: &Fields<'_>) -> WaitUntil {
    if fields.has("Timestamp") || fields.has("TimestampPath") {
        let timestamp =
            dynamic_string(checker, fields, "Timestamp").unwrap_or_else(|| Dynamic::Fixed("".into()));
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
        dynamic_integer(checker, fields, "Seconds", 0..=SECONDS_MAX).unwrap_or(Dynamic::Fixed(0)),
    )
}

pub(crate) fn fail(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Fail {
    Fail { error: dynamic_string(checker, fields, "Error"), cause: dynamic_string(checker, fields, "Cause") }
}
