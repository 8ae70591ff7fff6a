//! One state by itself (API: TestState): what a test changes of its surroundings, and what is seen of it as it runs.
//!
//! The state runs by the code that runs it in an execution. A [`StateTest`] that the decider holds is asked for a mock
//! where work would be begun and for the Context object where one is built, and takes note of each stage of the data.

use std::cell::RefCell;
use std::sync::Arc;

use stepwell_asl::{Definition, State, StateName};
use stepwell_expr::{Payload, Value};

use crate::decision::Decider;
use crate::evolve::evolve;
use crate::failure::Failure;
use crate::record::{BranchId, ErrorOutput, Event, EventBody, ExecutionInfo, Record, StateType};
use crate::{Claimant, Decision, Execution, Now, Outcome};

/// What stands in for the world of a state under test.
#[derive(Debug, Clone, Default)]
pub struct TestSetup {
    /// `mock`: what the task, the branches or the iterations come to, instead of being begun.
    pub mock: Option<Outcome>,
    /// `context`: the Context object, instead of one that is made up.
    pub context: Option<Value>,
    /// `variables`: the variables that the state sees.
    pub variables: Vec<(Arc<str>, Payload)>,
    /// `stateConfiguration.retrierRetryCount`: how often the Retrier that takes the error was used before.
    pub retry_count: Option<u32>,
    /// `stateConfiguration.mapIterationFailureCount`: how many of a Map's iterations failed.
    pub failed_iterations: Option<u32>,
    /// `stateConfiguration.mapItemReaderData`: what an ItemReader reads.
    pub reader_data: Option<Arc<str>>,
}

/// A test of one state: what stands in for the world, and what was seen.
#[derive(Debug)]
pub struct StateTest {
    pub(crate) setup: TestSetup,
    seen: RefCell<Inspection>,
}

/// What was seen of a state under test (API: InspectionData). What it did not come to is `None`.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "the names are the API's")]
pub struct Inspection {
    pub after_arguments: Option<Payload>,
    pub after_input_path: Option<Payload>,
    pub after_parameters: Option<Payload>,
    pub result: Option<Payload>,
    pub after_result_selector: Option<Payload>,
    pub after_result_path: Option<Payload>,
    pub after_items_path: Option<Payload>,
    pub after_item_selector: Option<Payload>,
    pub after_item_batcher: Option<Payload>,
    pub after_items_pointer: Option<Payload>,
    pub tolerated_failure_count: Option<u64>,
    pub tolerated_failure_percentage: Option<f64>,
    pub max_concurrency: Option<u64>,
    /// The variables behind the state.
    pub variables: Vec<(Arc<str>, Payload)>,
    pub catch_index: Option<u32>,
    pub(crate) caught: Option<ErrorOutput>,
    pub retry_index: Option<u32>,
    pub retry_backoff_interval_seconds: Option<u64>,
    /// How many iterations a Map has.
    pub iterations: Option<usize>,
    /// What became of the state; `None` while it is under way.
    pub end: Option<TestEnd>,
}

/// What became of a state under test.
#[derive(Debug, Clone, PartialEq)]
pub enum TestEnd {
    /// It was left.
    Left {
        /// With what.
        output: Payload,
        /// For which state; `None` where its block ends.
        next: Option<StateName>,
        /// The error that a Catcher took, where one did.
        caught: Option<ErrorOutput>,
    },
    /// A Retrier took its error up.
    Retriable(ErrorOutput),
    /// It failed, and nothing took the error.
    Failed(ErrorOutput),
}

impl StateTest {
    /// A test in which nothing was seen yet.
    pub fn new(setup: TestSetup) -> Self {
        let seen = Inspection { variables: setup.variables.clone(), ..Inspection::default() };
        StateTest { setup, seen: RefCell::new(seen) }
    }

    /// What stands in for the work.
    pub fn mock(&self) -> Option<&Outcome> {
        self.setup.mock.as_ref()
    }

    /// What was seen, and how the test ended.
    pub fn finish(self) -> Inspection {
        self.seen.into_inner()
    }

    /// Whether the state has come to its end.
    pub fn is_over(&self) -> bool {
        self.seen.borrow().end.is_some()
    }

    /// Ends a test that did not end by itself.
    pub fn fail(&self, error: ErrorOutput) {
        self.seen.borrow_mut().end.get_or_insert(TestEnd::Failed(error));
    }
}

/// An execution that stands before `state`, wherever that is in its definition, with the variables of `test`.
pub fn before_state(
    info: Arc<ExecutionInfo>,
    state: &StateName,
    input: &Payload,
    test: &StateTest,
) -> Execution {
    let mut execution = Execution::default();
    let at = info.started_at;
    let (assigned, values) = test.setup.variables.iter().cloned().unzip();
    let started = EventBody::ExecutionStarted { info, input: input.clone(), start_at: state.clone() };
    // A state that assigned the variables would have been left like this.
    let left = EventBody::StateExited {
        state_type: StateType::Pass,
        name: state.clone(),
        output: input.clone(),
        assigned,
        values,
        next: Some(state.clone()),
    };
    for body in [started, left] {
        let previous = execution.last_event();
        evolve(&mut execution, &Record::Event(Event { at, branch: BranchId(0), previous, body }));
    }
    execution
}

/// [`crate::advance()`] for a state under test: it goes no further than the state.
pub fn advance_tested(
    definition: &Definition,
    execution: &Execution,
    claimant: &Claimant,
    test: &StateTest,
    now: Now,
) -> Decision {
    let mut decider = Decider::new(definition, execution, now, Some(claimant));
    decider.test = Some(test);
    while !test.is_over() && !decider.is_full() && !decider.has_ended() {
        let Some(branch) = decider.next_ready(None) else { break };
        decider.turn(branch);
    }
    decider.finish()
}

impl Decider<'_> {
    /// Takes note of something, where the state is under test.
    #[inline]
    pub(crate) fn note(&self, note: impl FnOnce(&mut Inspection)) {
        if let Some(test) = self.test {
            note(&mut test.seen.borrow_mut());
        }
    }

    /// What stands in for the state's work.
    pub(crate) fn mock(&self) -> Option<&Outcome> {
        self.test?.mock()
    }

    /// The state's work came to its mock.
    pub(crate) fn mocked(&mut self, branch: BranchId, state: &State, input: &Payload, mock: Outcome) {
        let error = match mock {
            Outcome::Succeeded(result) => return self.returned(branch, state, input, &result),
            Outcome::Failed(error) => error,
            Outcome::TimedOut => {
                ErrorOutput { error: Some(stepwell_asl::ErrorName::TIMEOUT.into()), cause: None }
            }
        };
        self.fail(branch, state, Failure::new(error));
    }

    /// Takes note that the state is left.
    pub(crate) fn note_left(
        &self,
        output: &Payload,
        assigned: &[(Arc<str>, Payload)],
        next: Option<&StateName>,
    ) {
        self.note(|seen| {
            for (name, value) in assigned {
                match seen.variables.iter_mut().find(|(known, _)| known == name) {
                    Some((_, known)) => *known = value.clone(),
                    None => seen.variables.push((name.clone(), value.clone())),
                }
            }
            let caught = seen.caught.take();
            seen.end = Some(TestEnd::Left { output: output.clone(), next: next.cloned(), caught });
        });
    }
}

/// The name of a state in the Context object of a test, whatever the state is called (recorded).
pub(crate) const STATE_NAME: &str = "StateName";

/// `$$.Execution` in a test: what an execution's has, but for `RedriveCount`, and in another order (recorded).
pub(crate) fn execution_object(info: &ExecutionInfo, input: &Payload, started_at: Value) -> Value {
    Value::from([
        ("Id", Value::from(info.execution_arn.clone())),
        ("Input", input.value().clone()),
        ("Name", info.name.clone().into()),
        ("RoleArn", info.role_arn.clone().into()),
        ("StartTime", started_at),
    ])
}

/// An array of `items` as it is shown of a test: a comma and a space between them (recorded).
pub(crate) fn shown<'p>(items: impl Iterator<Item = &'p Payload>) -> Payload {
    let texts: Vec<&str> = items.map(|item| &**item.text()).collect();
    Payload::trusted(format!("[{}]", texts.join(", ")))
}
