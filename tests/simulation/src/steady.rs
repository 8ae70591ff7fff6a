//! Makes of a drawn definition one whose output no fault may change.
//!
//! What a call's unknown outcome is, is tried again without end, and so is what nobody answers; what differs from run to run (random
//! numbers, times, ARNs of executions) does not get into the data. Some calls of functions become executions that are started, or
//! that call back.

use serde_json::{Map, Value, json};

/// The machine that drawn definitions start.
pub const CHILD: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:Child";
/// The machine that calls back with the token of its input.
pub const TELLER: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:Teller";

/// [`TELLER`]'s definition, before it is made steady.
pub const TELLER_DEFINITION: &str = r#"{"StartAt":"T","States":{
    "T":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:sfn:sendTaskSuccess","End":true,
        "Parameters":{"TaskToken.$":"$.token","Output":"{\"ok\":\"told\"}"}}}}"#;

/// What differs from run to run, and what is in its place.
const UNSTEADY: &[(&str, &str)] = &[
    ("States.UUID()", "States.Base64Encode('u')"),
    ("States.MathRandom(0, 100)", "States.MathAdd(0, 100)"),
    ("\"at.$\":\"$$.State.EnteredTime\"", "\"at.$\":\"$$.State.Name\""),
    ("$$.Execution.Id", "$$.StateMachine.Name"),
    ("$states.context.Execution.Id", "$states.context.StateMachine.Name"),
    ("$uuid()", "'u'"),
    ("$random()", "1"),
    ("$now()", "'now'"),
];

/// The definition, made steady. Those that drawn definitions start `begin` no others, or there would be no end to it.
///
/// # Panics
/// Where it is no JSON.
pub fn steady(definition: &str, begins: bool) -> String {
    let text = UNSTEADY.iter().fold(definition.to_owned(), |text, (from, to)| text.replace(from, to));
    let mut definition: Value = serde_json::from_str(&text).expect("a definition is JSON");
    block(&mut definition, &mut Tasks { seen: 0, begins });
    definition.to_string()
}

/// The Task states so far, and whether some may start executions.
struct Tasks {
    seen: usize,
    begins: bool,
}

fn block(block: &mut Value, tasks: &mut Tasks) {
    let Some(states) = block.get_mut("States").and_then(Value::as_object_mut) else { return };
    for state in states.values_mut().filter_map(Value::as_object_mut) {
        if let Some(branches) = state.get_mut("Branches").and_then(Value::as_array_mut) {
            branches.iter_mut().for_each(|branch| self::block(branch, tasks));
        }
        if let Some(processor) = state.get_mut("ItemProcessor") {
            self::block(processor, tasks);
        }
        if state.get("Type") == Some(&json!("Task")) {
            task(state, tasks);
        }
    }
}

fn task(state: &mut Map<String, Value>, tasks: &mut Tasks) {
    tasks.seen += 1;
    if tasks.begins && tasks.seen.is_multiple_of(2) {
        start(state);
    }
    let resource = state.get("Resource").and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_answered_late = [".waitForTaskToken", ":activity:"].iter().any(|part| resource.contains(part));
    if is_answered_late {
        state.insert("TimeoutSeconds".into(), json!(600));
        if tasks.seen.is_multiple_of(3) {
            state.insert("HeartbeatSeconds".into(), json!(100));
        }
    }
    let again = json!({
        "ErrorEquals": ["Lambda.Unknown", "Lambda.SdkClientException", "States.Timeout", "States.HeartbeatTimeout"],
        "MaxAttempts": 10_000, "IntervalSeconds": 1, "BackoffRate": 1.0,
    });
    let retriers = state.entry("Retry").or_insert_with(|| json!([]));
    if let Some(retriers) = retriers.as_array_mut() {
        retriers.insert(0, again);
    }
}

/// A call of a function becomes the start of an execution.
fn start(state: &mut Map<String, Value>) {
    let (resource, machine, input) = match state.get("Resource").and_then(Value::as_str) {
        Some("arn:aws:states:::lambda:invoke") => ("startExecution", CHILD, json!({"n": 1})),
        Some("arn:aws:states:::lambda:invoke.waitForTaskToken") => {
            let token = match state.contains_key("Arguments") {
                true => json!({"token": "{% $states.context.Task.Token %}"}),
                false => json!({"token.$": "$$.Task.Token"}),
            };
            ("startExecution.waitForTaskToken", TELLER, token)
        }
        _ => return,
    };
    let name = if state.contains_key("Arguments") { "Arguments" } else { "Parameters" };
    state.insert(name.into(), json!({"StateMachineArn": machine, "Input": input}));
    state.insert("Resource".into(), json!(format!("arn:aws:states:::states:{resource}")));
}

#[cfg(test)]
mod tests {
    use stepwell_asl::{Format, MachineType, parse};
    use stepwell_test_support::Choices;
    use stepwell_test_support::definitions::Wanted;

    use super::*;

    #[test]
    fn what_is_made_steady_is_valid() {
        let mut all = String::new();
        for seed in 0..300 {
            let wanted = Wanted { errors: false, timeouts: false, ..Wanted::ALL };
            let drawn = steady(&wanted.draw(&mut Choices::seeded(seed)).definition, true);
            let parsed = parse(&drawn, Format::Json, MachineType::Standard);
            assert!(parsed.definition.is_some(), "{:?}\n{drawn}", parsed.diagnostics);
            all.push_str(&drawn);
        }
        for word in
            ["startExecution\"", "startExecution.sync", "startExecution.waitForTaskToken", CHILD, TELLER]
        {
            assert!(all.matches(word).count() > 10, "{word}");
        }
        for (word, _) in UNSTEADY {
            assert!(!all.contains(word), "{word}");
        }
    }
}
