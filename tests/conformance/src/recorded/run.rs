//! Runs one case, and says what came of it.

use serde_json::Value;

use super::calls::Calls;
use super::case::{Case, Course};
use super::compare::{Comparer, Difference, Likeness};
use super::world::{Stuck, World};
use super::{calls, execution};

/// What came of a case.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// As recorded, but for what changes with each run.
    Exact,
    /// The same values written differently: the first such difference.
    Loose(String),
    /// Not as recorded.
    Failed(Failure),
    /// Not run: what it needs that is not here.
    Skipped(String),
}

/// Why a case is not as recorded.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// The first difference.
    Differs(Difference),
    /// It could not be run to its end.
    Broken(String),
    /// It had not ended when its (virtual) time was over.
    TimedOut,
}

impl Verdict {
    /// `exact`, `loose`, `fail` or `skipped`.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Exact => "exact",
            Verdict::Loose(_) => "loose",
            Verdict::Failed(_) => "fail",
            Verdict::Skipped(_) => "skipped",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Verdict::Exact => write!(f, "exact"),
            Verdict::Loose(note) => write!(f, "loose: {note}"),
            Verdict::Failed(Failure::Differs(difference)) => write!(f, "{difference}"),
            Verdict::Failed(Failure::Broken(why)) => write!(f, "{why}"),
            Verdict::Failed(Failure::TimedOut) => write!(f, "it did not end in time"),
            Verdict::Skipped(why) => write!(f, "skipped: {why}"),
        }
    }
}

/// Why a course was broken off.
#[derive(Debug)]
pub(crate) enum Stop {
    /// For this reason.
    Broken(String),
    /// It needs something that is not here.
    Skipped(String),
    /// Its time is over.
    TimedOut,
}

impl From<String> for Stop {
    fn from(why: String) -> Self {
        Stop::Broken(why)
    }
}

/// Runs a case in a world of its own, in which the order of what happens at once follows from `seed`.
///
/// In every world but the first, calls of ports may take their time. In every second one drivers die, where the case calls
/// nobody: no history shows that.
pub fn run(case: &Case, seed: u64) -> Verdict {
    if let Some(need) = case.needs_elsewhere() {
        return Verdict::Skipped(need.to_owned());
    }
    let mut world = World::new(seed);
    if seed % 2 == 1 && case.needs == ["none"] {
        world.let_drivers_die();
    }
    let mut calls = Calls::new(case, world.client());
    for (name, handler) in &case.lambdas {
        match calls.fill_text(name) {
            Ok(name) => world.functions().register(name, handler.clone()),
            Err(why) => return Verdict::Failed(Failure::Broken(why)),
        }
    }
    let course = case.course.clone();
    let came = world.block_on(async move {
        match &course {
            Course::Execution(start) => execution::run(&mut calls, start).await,
            Course::Calls { calls: steps, expect } => calls::run(&mut calls, steps, expect).await,
        }
    });
    match came {
        Ok(Ok(parts)) => verdict(parts),
        Ok(Err(Stop::Broken(why))) => Verdict::Failed(Failure::Broken(why)),
        Ok(Err(Stop::Skipped(why))) => Verdict::Skipped(why),
        Ok(Err(Stop::TimedOut)) => Verdict::Failed(Failure::TimedOut),
        Err(stuck @ (Stuck::AtRest | Stuck::Endless)) => Verdict::Failed(Failure::Broken(stuck.to_string())),
    }
}

/// The worst of what came of the values compared; nothing compared is nothing shown.
fn verdict(parts: Vec<Likeness>) -> Verdict {
    if parts.is_empty() {
        return Verdict::Failed(Failure::Broken("nothing was compared".to_owned()));
    }
    let mut verdict = Verdict::Exact;
    for part in parts {
        match part {
            Likeness::Different(difference) => return Verdict::Failed(Failure::Differs(difference)),
            Likeness::Loose(note) if verdict == Verdict::Exact => verdict = Verdict::Loose(note),
            Likeness::Exact | Likeness::Loose(_) => {}
        }
    }
    verdict
}

/// A comparer for the values of a case.
pub(crate) fn comparer(case: &Case) -> Comparer {
    Comparer::new(&case.wild_text, &case.wild_values, case.recorded.as_deref())
}

/// A value that could not be put together.
pub(crate) fn missing(key: &str, why: String, expected: &Value) -> Likeness {
    let difference =
        Difference { path: key.to_owned(), why, expected: expected.clone(), actual: Value::Null };
    Likeness::Different(difference)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A case that passes.
    fn recorded() -> Value {
        let event = |id: u64, name: &str, details: &str, value: Value| {
            json!({"id": id, "previousEventId": if id == 2 { 0 } else { id - 1 }, "type": name,
                "timestamp": "timestamp", details: value})
        };
        json!({
            "id": "a::B::c", "kind": "execution", "type": "STANDARD", "needs": ["none"],
            "definition": {"StartAt": "Rest", "States": {"Rest": {"Type": "Wait", "Seconds": 25, "End": true}}},
            "input": {"b": 1, "a": "é"},
            "expect": {"history": {"events": [
                event(1, "ExecutionStarted", "executionStartedEventDetails", json!({
                    "input": {"b": 1, "a": "é"}, "inputDetails": {"truncated": false}, "roleArn": "<role>",
                })),
                event(2, "WaitStateEntered", "stateEnteredEventDetails", json!({
                    "input": {"b": 1, "a": "é"}, "inputDetails": {"truncated": false}, "name": "Rest",
                })),
                event(3, "WaitStateExited", "stateExitedEventDetails", json!({
                    "output": {"b": 1, "a": "é"}, "outputDetails": {"truncated": false}, "name": "Rest",
                })),
                event(4, "ExecutionSucceeded", "executionSucceededEventDetails", json!({
                    "output": {"b": 1, "a": "é"}, "outputDetails": {"truncated": false},
                })),
            ]}},
        })
    }

    #[test]
    fn a_case_that_differs_does_not_pass() {
        let check = |plant: fn(&mut Value), expected: &str| {
            let mut case = recorded();
            plant(&mut case);
            let verdict = run(&serde_json::from_value(case).unwrap(), 0);
            let found = match &verdict {
                Verdict::Failed(Failure::Differs(difference)) => difference.path.as_str(),
                verdict => verdict.name(),
            };
            assert_eq!(found, expected, "{verdict}");
        };
        check(|_| {}, "exact");
        check(|case| case["input"]["b"] = json!(1.0), "loose");
        check(|case| case["input"]["b"] = json!(2), "history.events[0].executionStartedEventDetails.input.b");
        check(|case| case["definition"]["States"]["Rest"]["Seconds"] = json!(31), "fail");
        check(|case| case["needs"] = json!(["sns"]), "skipped");
        check(|case| case["expect"] = json!({}), "fail");
        check(|case| case["definition"] = json!({}), "fail");
        check(
            |case| drop(case["expect"]["history"]["events"].as_array_mut().unwrap().remove(2)),
            "history.events[2].executionSucceededEventDetails",
        );
    }

    #[test]
    fn calls_refer_to_the_answers_of_others() {
        let check = |of: Value, value: Value, expected: &str| {
            let case = json!({
                "id": "a::B::c", "kind": "calls", "type": "STANDARD", "needs": ["none"],
                "calls": [
                    {"service": "stepfunctions", "op": "CreateStateMachine", "params": {
                        "name": "m-{{u1}}", "roleArn": "arn:aws:iam::{{account}}:role/r",
                        "definition": "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Succeed\"}}}",
                    }},
                    {"service": "stepfunctions", "op": "StartExecution", "params": {
                        "stateMachineArn": "{{ref:0:stateMachineArn}}",
                    }},
                    {"wait": "await_execution_success", "params": {"execution_arn": "{{ref:1:executionArn}}"}},
                    {"service": "stepfunctions", "op": "DescribeExecution", "params": {"executionArn": "{{u1}}"}},
                    {"service": "stepfunctions", "op": "ListExecutions", "params": {"nextToken": ""}},
                ],
                "expect": [{"key": "k", "of": of, "value": value}],
            });
            let verdict = run(&serde_json::from_value(case).unwrap(), 1);
            assert_eq!(verdict.name(), expected, "{verdict}");
        };
        check(json!({"$ref": [2, ["-1", "type"]]}), json!("ExecutionSucceeded"), "exact");
        check(json!({"$ref": [2, ["-1", "type"]]}), json!("ExecutionFailed"), "fail");
        check(json!({"$errtype": 3}), json!("InvalidArn"), "exact");
        check(
            json!({"n": {"$errtype": 4}, "c": {"$const": 1}}),
            json!({"n": "ParamValidationError", "c": 1}),
            "exact",
        );
        check(json!({"$ref": [3, ["$error", "Error", "Code"]]}), json!("InvalidArn"), "exact");
        check(json!({"$errtype": 1}), json!("InvalidArn"), "fail");
        check(json!({"$ref": [3, []]}), json!({}), "fail");
        check(json!({"$ref": [1, ["nothing"]]}), json!({}), "fail");
    }
}
