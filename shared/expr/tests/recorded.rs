//! Templates against what AWS recorded: every Pass state with `Parameters` whose input and output a history shows.

use std::path::PathBuf;

use stepwell_expr::json::{Map, parse};
use stepwell_expr::{Entropy, Environment, QueryLanguage, Template, Value};

struct Recorded {
    input: Value,
    context: Value,
    variables: Map,
    entropy: Entropy,
}

impl Environment for Recorded {
    fn input(&self) -> &Value {
        &self.input
    }
    fn context(&self) -> &Value {
        &self.context
    }
    fn variable(&self, name: &str) -> Option<&Value> {
        self.variables.get(name)
    }
    fn entropy(&self) -> &Entropy {
        &self.entropy
    }
}

#[test]
fn pass_states_give_what_aws_gave() {
    let cases = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/cases"));
    let Ok(files) = std::fs::read_dir(&cases) else {
        println!("skipped: no recordings at {}", cases.display());
        return;
    };
    let mut checked = 0;
    for file in files {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let cases = parse(&text).unwrap();
        let cases = cases.get("cases").unwrap_or(&cases).as_array().unwrap().to_vec();
        checked += cases.iter().map(check).sum::<usize>();
    }
    assert!(checked > 100, "{checked}");
    println!("{checked} Pass states");
}

/// Evaluates each Pass state of a case again, and compares texts, so that the order of keys counts.
fn check(case: &Value) -> usize {
    let mut checked = 0;
    let mut recorded = Recorded {
        input: Value::Null,
        context: context(case),
        variables: Map::new(),
        entropy: Entropy::new(1, 0),
    };
    let Some(events) = case.get("expect").and_then(|expect| expect.get("history")?.get("events")?.as_array())
    else {
        return 0;
    };
    for event in events {
        if let Some(entered) = event.get("stateEnteredEventDetails") {
            recorded.input = entered.get("input").map_or(Value::Null, payload);
        }
        let Some(exited) = event.get("stateExitedEventDetails") else { continue };
        let state = exited.get("name").and_then(Value::as_str).and_then(|name| state(case, name));
        if let Some((template, output)) = state.and_then(template).zip(exited.get("output")) {
            let template = Template::compile(template, QueryLanguage::JsonPath).expect("AWS took it");
            let given = template.evaluate(&recorded, "Parameters");
            let given = given.map_or_else(|error| error.message, |value| value.to_json());
            let expected = payload(output).to_json();
            if !is_wild(&expected) {
                assert_eq!(given, expected, "{:?}", case.get("id"));
                checked += 1;
            }
        }
        for (name, value) in
            exited.get("assignedVariables").and_then(Value::as_object).into_iter().flat_map(Map::iter)
        {
            recorded.variables.insert(name.clone(), payload(value));
        }
    }
    checked
}

/// What of the Context object the definitions read and no run changes.
fn context(case: &Value) -> Value {
    let input = case.get("input").cloned().unwrap_or_default();
    Value::from([("Execution", Value::from([("Input", input)]))])
}

/// Recordings keep payloads parsed where they are objects, and as text otherwise.
fn payload(value: &Value) -> Value {
    match value.as_str() {
        Some(text) => parse(text).unwrap_or_else(|_| value.clone()),
        None => value.clone(),
    }
}

fn state<'a>(case: &'a Value, name: &str) -> Option<&'a Value> {
    case.get("definition")?.get("States")?.get(name)
}

/// `Parameters` of a Pass state that are its whole output.
fn template(state: &Value) -> Option<&Value> {
    let is_pass = state.get("Type")?.as_str() == Some("Pass");
    let whole =
        ["InputPath", "ResultPath", "OutputPath", "Result"].iter().all(|field| state.get(field).is_none());
    state.get("Parameters").filter(|_| is_pass && whole)
}

/// Whether a text holds what changes with each run.
fn is_wild(text: &str) -> bool {
    ["<", "RandomNumberGenerated", "generated-uuid", "timestamp"].iter().any(|place| text.contains(place))
}
