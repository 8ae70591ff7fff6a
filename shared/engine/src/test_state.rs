//! TestState: one state in memory, in the caller's task. Nothing is read from a store, and nothing is written.

use std::sync::Arc;
use std::time::Duration;

use stepwell_asl::{Definition, ErrorName, StateName};
use stepwell_expr::Payload;
use stepwell_interpreter::{
    AttemptId, Claimant, Effect, ErrorOutput, Execution, ExecutionInfo, Inspection, StateTest, TestSetup,
    Trigger, advance_tested, apply, before_state,
};

use crate::Engine;
use crate::port::TaskCall;
use crate::work::Work;

/// Longest that a test runs (API: TestState).
const DURATION_MAX: Duration = Duration::from_secs(300);

/// A state to test.
pub struct TestRequest {
    /// Where it stands.
    pub definition: Arc<Definition>,
    /// Its name there.
    pub state: StateName,
    /// What it is entered with.
    pub input: Payload,
    /// The execution that it seems to belong to.
    pub info: Arc<ExecutionInfo>,
    /// What stands in for the world.
    pub setup: TestSetup,
}

impl Engine {
    /// Runs one state to its end, or for five minutes, in the caller's task (API: TestState).
    ///
    /// A task without a mock is called through the port, and a wait is waited for.
    pub async fn test_state(&self, request: TestRequest) -> Inspection {
        let clock = &self.inner.ports.clock;
        let ends = clock.monotonic() + DURATION_MAX;
        let TestRequest { definition, state, input, info, setup } = request;
        let test = StateTest::new(setup);
        let execution = before_state(info.clone(), &state, &input, &test);
        let claimant = Claimant { message: "test".into(), delivery: clock.random() };
        let mut run =
            Test { engine: self, definition, info, claimant, execution, test, work: Work::default() };
        run.go_on(vec![]);
        while !run.test.is_over() && clock.monotonic() < ends {
            let left = ends.saturating_sub(clock.monotonic());
            let mut work = std::mem::take(&mut run.work);
            let arrived = work.arrival_within(clock.sleep(left)).await;
            run.work = work;
            if !arrived {
                break;
            }
            let arrived = run.work.take_arrived();
            run.go_on(arrived);
        }
        run.test.fail(ErrorOutput { error: Some(ErrorName::TIMEOUT.into()), cause: None });
        run.test.finish()
    }
}

struct Test<'e> {
    engine: &'e Engine,
    definition: Arc<Definition>,
    info: Arc<ExecutionInfo>,
    claimant: Claimant,
    execution: Execution,
    test: StateTest,
    work: Work,
}

impl Test<'_> {
    /// Takes in what arrived, and does everything that is then ready.
    fn go_on(&mut self, mut arrived: Vec<Trigger>) {
        (self.engine.inner.settings.aside)(&mut || {
            self.take_in(std::mem::take(&mut arrived));
            let ends = self.mocked();
            self.take_in(ends);
        });
    }

    fn take_in(&mut self, arrived: Vec<Trigger>) {
        let clock = self.engine.inner.ports.clock.clone();
        for trigger in arrived {
            let now = clock.decision();
            self.execution = apply(&self.definition, &self.execution, &trigger, now).execution;
        }
        while !self.test.is_over() && self.execution.is_ready() {
            let (execution, now) = (&self.execution, clock.decision());
            let decision = advance_tested(&self.definition, execution, &self.claimant, &self.test, now);
            self.execution = decision.execution;
            self.perform(decision.effects);
        }
    }

    /// The end of the task that is under way, where it is mocked. A mock takes an activity's task before.
    fn mocked(&self) -> Vec<Trigger> {
        let call = self.execution.calls().next();
        let Some(((_, call), outcome)) = call.zip(self.test.mock().cloned()) else { return vec![] };
        let (attempt, nonce): (AttemptId, u128) = (call.attempt, call.nonce);
        let taken = call.untaken_activity().map(|_| Trigger::ActivityStarted { attempt, worker: None });
        taken.into_iter().chain([Trigger::TaskResult { attempt, nonce, outcome }]).collect()
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        let ports = &self.engine.inner.ports;
        for effect in effects {
            match effect {
                Effect::SetTimer { timer, due } => self.work.wait(ports.clock.clone(), timer, due),
                Effect::CancelTimer { timer } => self.work.abort_timer(timer),
                // A Map's result is mocked.
                Effect::StartMapRun { .. } => {}
                Effect::CancelTask { attempt, .. } => self.work.abort_call(attempt),
                // Without a mock no worker comes for it.
                Effect::OfferTask { .. } => {}
                Effect::CallTask(_) if self.test.mock().is_some() => {}
                Effect::CallTask(call) => {
                    let info = self.info.clone();
                    let call = TaskCall { info, call, token: None, parent: None, wait_max: None };
                    self.work.call(self.engine, call);
                }
            }
        }
    }
}
