//! One file for each type of state: what it computes. Which of them runs is chosen here alone.

mod choice;
mod fail;
mod fork;
pub(crate) mod map;
mod map_run;
mod map_test;
mod parallel;
mod pass;
mod task;
mod wait;

use std::sync::Arc;

use stepwell_asl::{Io, State, StateKind, StateName, Transition};
use stepwell_expr::{Payload, Template};

use crate::decision::Decider;
use crate::execution::{Execution, Phase};
use crate::failure::Fault;
use crate::io::{Leaving, is_within_limits};
use crate::record::{BranchId, EventBody, StateType};

/// The type of a state, for events.
pub(crate) fn state_type(kind: &StateKind) -> StateType {
    match kind {
        StateKind::Pass(_) => StateType::Pass,
        StateKind::Task(_) => StateType::Task,
        StateKind::Choice(_) => StateType::Choice,
        StateKind::Wait(_) => StateType::Wait,
        StateKind::Succeed(_) => StateType::Succeed,
        StateKind::Fail(_) => StateType::Fail,
        StateKind::Parallel(_) => StateType::Parallel,
        StateKind::Map(_) => StateType::Map,
    }
}

impl Decider<'_> {
    /// Begins a state's work, for the first time or after a Retrier's delay.
    pub(crate) fn begin(&mut self, branch: BranchId, state: &State, input: &Payload) {
        let done = match &state.kind {
            StateKind::Pass(pass) => self.pass(branch, state, pass, input),
            StateKind::Task(task) => self.task(branch, state, task, input),
            StateKind::Choice(choice) => self.choice(branch, state, choice, input),
            StateKind::Wait(wait) => self.wait(branch, state, wait, input),
            StateKind::Succeed(succeed) => self.succeed(branch, state, succeed, input),
            StateKind::Fail(fail) => self.fail_state(branch, state, fail, input),
            StateKind::Parallel(parallel) => self.parallel(branch, state, parallel, input),
            StateKind::Map(map) => self.map(branch, state, map, input),
        };
        if let Err(fault) = done {
            self.fault(branch, state, fault);
        }
    }

    /// A Wait state's time has come.
    pub(crate) fn waited(&mut self, branch: BranchId, state: &State, input: &Payload) {
        let StateKind::Wait(wait) = &state.kind else { return };
        if let Err(fault) = self.wait_over(branch, state, wait, input) {
            self.fault(branch, state, fault);
        }
    }

    /// A Task, Parallel or Map has its result.
    pub(crate) fn returned(&mut self, branch: BranchId, state: &State, input: &Payload, result: &Payload) {
        let (io, assign, transition): (&Io, Option<&Template>, &Transition) = match &state.kind {
            StateKind::Task(task) => (&task.io, task.assign.as_ref(), &task.transition),
            StateKind::Parallel(parallel) => (&parallel.io, parallel.assign.as_ref(), &parallel.transition),
            StateKind::Map(map) => (&map.io, map.assign.as_ref(), &map.transition),
            _ => return,
        };
        if matches!(state.kind, StateKind::Task(_)) {
            self.note(|seen| seen.result = Some(result.clone()));
        }
        match self.leaving(branch, io, assign, input, result) {
            Ok(leaving) => self.exit(branch, state, leaving, transition.target()),
            Err(fault) => self.fault(branch, state, fault),
        }
    }

    /// Leaves a state, unless its output is too large to pass on.
    pub(crate) fn exit(
        &mut self,
        branch: BranchId,
        state: &State,
        leaving: Leaving,
        next: Option<StateName>,
    ) {
        let is_new = match &self.execution.branch(branch).phase {
            Phase::In { input, .. } => !input.same(&leaving.output),
            _ => true,
        };
        if is_within_limits(&leaving.output, is_new) {
            self.leave(branch, state, leaving, next);
        } else {
            self.too_large(branch, state);
        }
    }

    /// Leaves a state for `next`, or for the end of its block.
    pub(crate) fn leave(
        &mut self,
        branch: BranchId,
        state: &State,
        leaving: Leaving,
        next: Option<StateName>,
    ) {
        let Leaving { output, assigned } = leaving;
        self.note_left(&output, &assigned, next.as_ref());
        let (assigned, values): (Vec<Arc<str>>, Vec<Payload>) = assigned.into_iter().unzip();
        let ends = next.is_none().then(|| output.clone());
        self.cancel_timers(branch);
        let name = state.name.clone();
        let state_type = state_type(&state.kind);
        self.event(branch, EventBody::StateExited { state_type, name, output, assigned, values, next });
        if let Some(output) = ends {
            self.block_ended(branch, output);
        }
    }

    fn cancel_timers(&mut self, branch: BranchId) {
        if self.execution.timers().next().is_some() {
            self.cancel_below(branch);
        }
    }

    fn block_ended(&mut self, branch: BranchId, output: Payload) {
        match self.execution.branch(branch).parent {
            None => {
                self.event(branch, EventBody::ExecutionSucceeded { output });
            }
            Some((parent, index)) => self.child_ended(parent, branch, index),
        }
    }
}

impl Execution {
    /// Whether the Context object of the state that `branch` is in shows `RetryCount`: where a Retry may stand.
    pub(crate) fn retries_are_counted(&self, branch: BranchId) -> bool {
        self.last_state_type(branch)
            .is_some_and(|kind| matches!(kind, StateType::Task | StateType::Parallel | StateType::Map))
    }
}

/// A transition as a record has it.
pub(crate) trait Target {
    /// The state that follows; `None` at the end.
    fn target(&self) -> Option<StateName>;
}

impl Target for Transition {
    fn target(&self) -> Option<StateName> {
        match self {
            Transition::Next(name) => Some(name.clone()),
            Transition::End => None,
        }
    }
}

/// Why a number in a field is not one that the field takes.
pub(crate) fn not_an_integer(field: &str, path: &str, value: &stepwell_expr::Value, kind: &str) -> Fault {
    // Recorded of a text, in quotes; what is no text is shown alike.
    let shown = value.as_str().map_or_else(|| value.shown(), str::to_owned);
    Fault::runtime(format!(
        "The {field} field refers to value \"{shown}\" which is not a valid {kind}: {path}"
    ))
}

/// Why a number that an expression gave is not one that `field` takes.
pub(crate) fn not_a_count(field: &str, value: &stepwell_expr::Value) -> Fault {
    Fault::query(format!("The {field} field must be a non-negative integer: {}", value.shown()), field)
}
