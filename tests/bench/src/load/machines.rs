//! The machines of a load: W1–W6 with tasks that say which attempt they are of, and some that last.

use serde_json::{Value, json};

use crate::workload;

/// A machine, and what its executions must come to.
pub struct Machine {
    /// Its name in a mix.
    pub name: String,
    /// Its ARN, once it is created.
    pub arn: String,
    /// Its weight in the mix.
    pub weight: u32,
    /// Its definition.
    pub definition: Value,
    /// The input of each execution.
    pub input: String,
    /// What each ends with.
    pub output: Value,
    /// States entered by one execution.
    pub transitions: u64,
    /// Events of one history.
    pub events: u64,
    /// Calls of functions by one execution.
    pub calls: u64,
    /// Whether states follow one another, so that each event's predecessor is the one before it.
    pub linear: bool,
}

/// The function that answers at once.
const ECHO: &str = "arn:aws:lambda:us-east-1:000000000000:function:echo";
/// The function that takes its time.
const SLOW: &str = "arn:aws:lambda:us-east-1:000000000000:function:slow";

/// What one passed state is in a history: entered, exited.
const PASSED: u64 = 2;
/// What one task is: entered, scheduled, started, succeeded, exited.
const TASK: u64 = 5;
/// What every history has besides: the execution started, succeeded.
const ENDS: u64 = 2;

/// How long executions of `WAIT` last, in seconds.
const WAIT_SECONDS: u64 = 5;

/// A task whose call bears the names of execution, state and attempt.
fn task(function: &str, value: &str, item: bool) -> Value {
    let mut payload = json!({
        "value.$": value, "execution.$": "$$.Execution.Name", "state.$": "$$.State.Name",
        "attempt.$": "$$.State.RetryCount"
    });
    if item {
        payload["item.$"] = json!("$$.Map.Item.Index");
    }
    json!({
        "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload": payload}, "OutputPath": "$.Payload.value"
    })
}

fn chain(length: usize, state: impl Fn() -> Value) -> Value {
    let mut states = serde_json::Map::new();
    for number in 1..=length {
        let mut state = state();
        match number == length {
            true => state["End"] = json!(true),
            false => state["Next"] = json!(format!("S{}", number + 1)),
        }
        states.insert(format!("S{number}"), state);
    }
    json!({"StartAt": "S1", "States": states})
}

/// The machine of this name; `None` where there is none.
///
/// `SLOW` is two slow tasks, `WAIT` a wait of some seconds, `BIG` a slow task over 200 kB.
pub fn machine(name: &str) -> Option<Machine> {
    let base = workload(match name {
        "SLOW" | "WAIT" => "W1",
        "BIG" => "W6",
        name => name,
    })?;
    let input: Value = serde_json::from_str(&base.input).ok()?;
    let same =
        |definition, transitions, events, calls| (definition, input.clone(), transitions, events, calls);
    let (definition, output, transitions, events, calls) = match name {
        "W1" => same(base.definition, 100, 100 * PASSED + ENDS, 0),
        "W2" => same(chain(10, || task(ECHO, "$", false)), 10, 10 * TASK + ENDS, 10),
        "W3" => {
            let (mut definition, mut call) = (base.definition, task(ECHO, "$", true));
            call["End"] = json!(true);
            definition["States"]["Fan"]["ItemProcessor"]["States"]["Call"] = call;
            let output = input["items"].clone();
            // The Map entered, started, succeeded, exited; each iteration started and succeeded around its task.
            (definition, output, 101, ENDS + 4 + 100 * (TASK + 2), 100)
        }
        "W4" | "W4J" => (base.definition, json!({"i": 1000}), 2003, 2003 * PASSED + ENDS, 0),
        "W5" => same(base.definition, 1, PASSED + ENDS, 0),
        "W6" => same(base.definition, 10, 10 * PASSED + ENDS, 0),
        "SLOW" => same(chain(2, || task(SLOW, "$", false)), 2, 2 * TASK + ENDS, 2),
        "BIG" => same(chain(1, || task(SLOW, "$", false)), 1, TASK + ENDS, 1),
        "WAIT" => {
            let definition = chain(1, || json!({"Type": "Wait", "Seconds": WAIT_SECONDS}));
            same(definition, 1, PASSED + ENDS, 0)
        }
        _ => return None,
    };
    let (arn, weight, linear) = (String::new(), 0, name != "W3");
    Some(Machine {
        name: name.to_owned(),
        arn,
        weight,
        definition,
        input: base.input,
        output,
        transitions,
        events,
        calls,
        linear,
    })
}
