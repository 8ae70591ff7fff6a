//! What a Map Run's executions give: each one's result, and all of them as the state's.

use stepwell_expr::{Map, Payload, Value, timestamp};
use stepwell_interpreter::{PAYLOAD_BYTES_MAX, data_limit_exceeded};

use super::{MapRun, Transformation};
use crate::Engine;
use crate::driver::DriveError;
use crate::message::Callback;
use crate::meta::{End, Meta};

/// Results that are read at once.
const READ: usize = 500;

/// What an execution that has ended adds to the results (Developer Guide, "ResultWriter"): its output, or what is known
/// of it where that is asked for or it did not succeed.
pub(super) fn result_of(child: &Meta, transformation: Transformation) -> Payload {
    match child.end.as_ref() {
        Some(End { output: Some(output), .. }) if transformation != Transformation::None => output.clone(),
        _ => bounded(Payload::of(described(child).into())),
    }
}

/// A result that is over the limit by itself makes the state fail, whatever it says: of it no more is kept than that, since what is
/// known of an execution may be more than a store holds.
fn bounded(result: Payload) -> Payload {
    if result.bytes() <= PAYLOAD_BYTES_MAX {
        return result;
    }
    Payload::of(Value::string("-".repeat(PAYLOAD_BYTES_MAX)))
}

fn described(child: &Meta) -> Map {
    let mut members = Map::with_capacity(14);
    let time = |at: stepwell_interpreter::Timestamp| Value::from(timestamp::format_ms(at.0));
    let included = || Value::from([("Included", Value::from(true))]);
    let end = child.end.as_ref();
    if let Some(cause) = end.and_then(|end| end.error.cause.clone()) {
        members.insert("Cause", cause.into());
    }
    if let Some(error) = end.and_then(|end| end.error.error.clone()) {
        members.insert("Error", error.into());
    }
    members.insert("ExecutionArn", child.execution_arn.clone().into());
    members.insert("Input", child.input.text().clone().into());
    members.insert("InputDetails", included());
    members.insert("Name", child.info.name.clone().into());
    if let Some(output) = end.and_then(|end| end.output.as_ref()) {
        members.insert("Output", output.text().clone().into());
    }
    members.insert("OutputDetails", included());
    members.insert("RedriveCount", i64::from(child.epoch).into());
    let succeeded = child.status() == "SUCCEEDED";
    members
        .insert("RedriveStatus", if succeeded { "NOT_REDRIVABLE" } else { "REDRIVABLE_BY_MAP_RUN" }.into());
    if succeeded {
        let why = format!("Execution is {} and cannot be redriven", child.status());
        members.insert("RedriveStatusReason", why.as_str().into());
    }
    members.insert("StartDate", time(child.info.started_at));
    members.insert("StateMachineArn", child.info.state_machine_arn.clone().into());
    members.insert("Status", child.status().into());
    if let Some(end) = end {
        members.insert("StopDate", time(end.at));
    }
    members
}

impl Engine {
    /// The results in the order of the items, as the state's result; an error where they are too large together.
    pub(super) async fn gather(&self, map_run: &MapRun, state: &str) -> Result<Callback, DriveError> {
        let map_runs = &self.inner.ports.map_runs;
        let (mut text, mut next) = (String::from("["), 0);
        let mut whole = map_run.keeps_results();
        while whole && next < map_run.cursor.children {
            let results = self.patiently(|| map_runs.results(&map_run.arn, next, READ)).await?;
            let Some((last, _)) = results.last() else { break };
            next = last + 1;
            for (_, result) in &results {
                push(&mut text, result, map_run.transformation);
            }
            whole = text.len() < PAYLOAD_BYTES_MAX;
        }
        text.push(']');
        Ok(if whole && text.len() <= PAYLOAD_BYTES_MAX {
            Callback::Success(Payload::trusted(text))
        } else {
            Callback::Failure(data_limit_exceeded(state))
        })
    }
}

fn push(text: &mut String, result: &Payload, transformation: Transformation) {
    let mut one = |result: &str| {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(result);
    };
    match result.value() {
        Value::Array(items) if transformation == Transformation::Flatten => {
            items.iter().for_each(|item| one(&item.to_json()));
        }
        _ => one(result.text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_the_state_fail_by_itself_is_not_kept_whole() {
        let check = |bytes: usize, expected: usize| {
            let result = bounded(Payload::of(Value::string("x".repeat(bytes - 2))));
            assert_eq!((result.bytes(), result.text().len()), (expected, expected), "{bytes}");
        };
        check(100, 100);
        check(PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX);
        // Still over the limit, and within what an item of DynamoDB holds.
        check(PAYLOAD_BYTES_MAX + 1, PAYLOAD_BYTES_MAX + 2);
        check(1_000_000, PAYLOAD_BYTES_MAX + 2);
    }

    #[test]
    fn arrays_are_flattened_where_that_is_asked_for() {
        let all = |transformation| {
            let mut text = String::from("[");
            for result in ["[1, 2]", "[]", r#"{"a": 1}"#, "[[3]]"] {
                push(&mut text, &Payload::parse(result).expect("it is JSON"), transformation);
            }
            text + "]"
        };
        assert_eq!(all(Transformation::Compact), r#"[[1, 2],[],{"a": 1},[[3]]]"#);
        assert_eq!(all(Transformation::Flatten), r#"[1,2,{"a": 1},[3]]"#);
    }
}
