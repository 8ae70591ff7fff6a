//! Mocked answers: the MockConfigFile.json of Step Functions Local, as it is. (Developer Guide, "Using mocked service
//! integrations".)

mod file;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use stepwell_asl::ErrorName;
use stepwell_engine::port::TaskCall;
use stepwell_expr::Payload;
use stepwell_interpreter::{ErrorOutput, Outcome};

pub use file::MockError;

/// The test cases of a mock file, and which executions run under them.
///
/// A state that its execution's test case names is answered by the file, attempt by attempt; every other state makes
/// its call.
#[derive(Debug, Default)]
pub struct Mocks {
    machines: BTreeMap<String, BTreeMap<String, Arc<TestCase>>>,
    everywhere: Option<Arc<TestCase>>,
    chosen: RwLock<HashMap<Arc<str>, Arc<TestCase>>>,
}

/// The states that a test case mocks.
#[derive(Debug, Default, PartialEq)]
struct TestCase {
    states: BTreeMap<String, Arc<MockedResponse>>,
}

/// A named response: what each attempt is answered.
#[derive(Debug, PartialEq)]
struct MockedResponse {
    name: String,
    /// Ordered, and none in two ranges.
    attempts: Vec<Attempts>,
}

#[derive(Debug, PartialEq)]
struct Attempts {
    first: u32,
    last: u32,
    outcome: Outcome,
}

/// A test case that the file does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownTestCase {
    /// No such machine under `StateMachines`.
    #[error("the mock file has no state machine `{machine}`; it has {known}")]
    Machine {
        /// What was asked for.
        machine: String,
        /// What there is.
        known: String,
    },
    /// No such case under the machine's `TestCases`.
    #[error("the mock file has no test case `{case}` for the state machine `{machine}`; it has {known}")]
    Case {
        /// The machine.
        machine: String,
        /// What was asked for.
        case: String,
        /// What there is.
        known: String,
    },
}

impl Mocks {
    /// Reads a mock file.
    ///
    /// # Errors
    /// [`MockError`] says where the file is not what Step Functions Local reads.
    pub fn parse(text: &str) -> Result<Self, MockError> {
        file::parse(text)
    }

    /// The same, with every execution under a test case of `machine`: what `FILE#Case` on a command line asks for.
    ///
    /// # Errors
    /// [`UnknownTestCase`] where the file does not have it.
    pub fn select(mut self, machine: &str, case: &str) -> Result<Self, UnknownTestCase> {
        self.everywhere = Some(self.find(machine, case)?);
        Ok(self)
    }

    /// Puts one execution under a test case of its machine: what a start of `stateMachineArn#Case` asks for. Call it
    /// before the execution is started.
    ///
    /// # Errors
    /// [`UnknownTestCase`] where the file does not have it.
    pub fn choose(&self, execution_arn: &str, machine: &str, case: &str) -> Result<(), UnknownTestCase> {
        let case = self.find(machine, case)?;
        let mut chosen = self.chosen.write().unwrap_or_else(PoisonError::into_inner);
        chosen.insert(execution_arn.into(), case);
        Ok(())
    }

    /// Forgets what an execution was put under, when it has ended or was not started.
    pub fn forget(&self, execution_arn: &str) {
        self.chosen.write().unwrap_or_else(PoisonError::into_inner).remove(execution_arn);
    }

    /// The names of the state machines in the file.
    pub fn machines(&self) -> impl Iterator<Item = &str> {
        self.machines.keys().map(String::as_str)
    }

    /// The names of the states that a test case mocks, so that one which the machine does not have can be reported.
    ///
    /// # Errors
    /// [`UnknownTestCase`] where the file does not have the case.
    pub fn states(&self, machine: &str, case: &str) -> Result<Vec<String>, UnknownTestCase> {
        Ok(self.find(machine, case)?.states.keys().cloned().collect())
    }

    fn find(&self, machine: &str, case: &str) -> Result<Arc<TestCase>, UnknownTestCase> {
        let Some(cases) = self.machines.get(machine) else {
            let known = listed(self.machines.keys());
            return Err(UnknownTestCase::Machine { machine: machine.to_owned(), known });
        };
        cases.get(case).cloned().ok_or_else(|| {
            let known = listed(cases.keys());
            UnknownTestCase::Case { machine: machine.to_owned(), case: case.to_owned(), known }
        })
    }

    /// How a mocked call ends; `None` where the call is not mocked. A mocked callback task or job ends at once.
    pub(crate) fn outcome(&self, task: &TaskCall) -> Option<Outcome> {
        let case = {
            let chosen = self.chosen.read().unwrap_or_else(PoisonError::into_inner);
            chosen.get(&task.info.execution_arn).or(self.everywhere.as_ref()).cloned()?
        };
        let response = case.states.get(&*task.call.state)?;
        let attempt = task.call.retry_count;
        let found = response.attempts.iter().find(|range| (range.first..=range.last).contains(&attempt));
        Some(match found {
            Some(range) => range.outcome.clone(),
            None => Outcome::Failed(not_mocked(&task.call.state, &response.name, attempt)),
        })
    }
}

fn not_mocked(state: &str, response: &str, attempt: u32) -> ErrorOutput {
    let cause =
        format!("The mocked response '{response}' of the state '{state}' has nothing for attempt {attempt}.");
    ErrorOutput::new(ErrorName::RUNTIME, cause)
}

fn listed<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// What `Return` stands for.
fn returned(value: stepwell_expr::Value) -> Outcome {
    Outcome::Succeeded(Payload::of(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::task;

    const FILE: &str = r#"{
        "StateMachines": {"machine": {"TestCases": {"Retries": {"State": "Third"}, "Other": {"Else": "Third"}}}},
        "MockedResponses": {"Third": {
            "0": {"Throw": {"Error": "Lambda.ServiceException", "Cause": "busy"}},
            "1-2": {"Throw": {"Error": "Lambda.Unknown"}},
            "3": {"Return": {"StatusCode": 200, "Payload": [1.0]}}
        }}
    }"#;

    #[test]
    fn attempts_are_answered_in_turn() {
        let mocks = Mocks::parse(FILE).unwrap().select("machine", "Retries").unwrap();
        let check = |attempt, expected| {
            let mut task = task("arn:aws:states:::lambda:invoke", "{}");
            task.call.retry_count = attempt;
            assert_eq!(mocks.outcome(&task), Some(expected), "{attempt}");
        };
        check(0, Outcome::Failed(ErrorOutput::new("Lambda.ServiceException", "busy")));
        let unknown = ErrorOutput { error: Some("Lambda.Unknown".into()), cause: None };
        check(1, Outcome::Failed(unknown.clone()));
        check(2, Outcome::Failed(unknown));
        let result = Payload::parse(r#"{"StatusCode":200,"Payload":[1.0]}"#).unwrap();
        check(3, Outcome::Succeeded(result));
        check(4, Outcome::Failed(not_mocked("State", "Third", 4)));
    }

    #[test]
    fn executions_choose_their_case() {
        let mocks = Mocks::parse(FILE).unwrap();
        let task = task("arn:aws:states:::lambda:invoke", "{}");
        assert_eq!(mocks.outcome(&task), None);
        mocks.choose(&task.info.execution_arn, "machine", "Retries").unwrap();
        assert!(mocks.outcome(&task).is_some());
        mocks.choose(&task.info.execution_arn, "machine", "Other").unwrap();
        assert_eq!(mocks.outcome(&task), None, "the case does not mock this state");
        mocks.forget(&task.info.execution_arn);
        assert_eq!(mocks.outcome(&task), None);
    }

    #[test]
    fn unknown_cases_are_named_with_what_there_is() {
        let mocks = Mocks::parse(FILE).unwrap();
        let check = |machine, case, expected: &str| {
            assert_eq!(mocks.choose("arn", machine, case).unwrap_err().to_string(), expected);
        };
        check("m", "Retries", "the mock file has no state machine `m`; it has `machine`");
        check(
            "machine",
            "Retry",
            "the mock file has no test case `Retry` for the state machine `machine`; it has `Other`, `Retries`",
        );
        assert_eq!(mocks.states("machine", "Retries"), Ok(vec!["State".to_owned()]));
    }

    #[test]
    fn the_examples_files_are_read() {
        let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
        for example in std::fs::read_dir(examples).unwrap() {
            let file = example.unwrap().path().join("MockConfigFile.json");
            if let Ok(text) = std::fs::read_to_string(&file) {
                let mocks = Mocks::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
                assert!(mocks.machines().count() > 0, "{}", file.display());
            }
        }
    }
}
