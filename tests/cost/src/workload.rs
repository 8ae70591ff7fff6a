//! What is run: the workloads of `tests/bench`, and the order example.

use std::path::Path;

use serde_json::Value;

/// A state machine, an input, and what they are to come to.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// The definition.
    pub definition: String,
    /// The input.
    pub input: String,
    /// What Stepwell may cost, where that was set.
    pub bar: Option<Bar>,
}

/// What Stepwell may cost, in dollars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bar {
    /// A thousand transitions, at the most.
    Transitions(f64),
    /// A million executions, at the most.
    Executions(f64),
}

/// All of them, in the table's order.
pub const ALL: [&str; 9] = ["W1", "W2", "W3", "W4", "W4J", "W5", "W6", "W7", "order"];

/// The workload of a name.
pub fn workload(name: &str) -> Option<Workload> {
    let bar = match name {
        "W1" => Some(Bar::Transitions(0.0002)),
        "W2" | "order" => Some(Bar::Transitions(0.0020)),
        "W3" => Some(Bar::Transitions(0.0010)),
        "W7" => Some(Bar::Executions(6.0)),
        _ => None,
    };
    if name == "order" {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/order-processing");
        let read = |file: &str| std::fs::read_to_string(example.join(file)).expect("the example is there");
        let (definition, input) = (read("order-processing.asl.json"), read("input.json"));
        return Some(Workload { name: name.to_owned(), definition, input, bar });
    }
    let workload = stepwell_bench::workload(name)?;
    let (definition, input) = (workload.definition.to_string(), workload.input);
    Some(Workload { name: workload.name, definition, input, bar })
}

/// What AWS would charge for, by an execution's history: a state that is entered, and a task that is tried again.
pub fn transitions(events: &[Value]) -> u64 {
    let kind = |event: &Value, of: &[&str]| {
        of.iter().any(|kind| event["type"].as_str().is_some_and(|t| t.ends_with(kind)))
    };
    let entered = events.iter().filter(|event| kind(event, &["StateEntered"])).count();
    let tasks = events.iter().filter(|event| kind(event, &["TaskStateEntered"])).count();
    let tried = events
        .iter()
        .filter(|event| kind(event, &["TaskScheduled", "LambdaFunctionScheduled", "ActivityScheduled"]))
        .count();
    (entered + tried.saturating_sub(tasks)) as u64
}
