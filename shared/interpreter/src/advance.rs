//! Does everything that is ready.

use std::ops::Bound;
use std::sync::Arc;

use stepwell_asl::{Definition, State};

use crate::decision::Decider;
use crate::effect::CallTask;
use crate::execution::{Phase, Step};
use crate::failure::Failure;
use crate::record::{BranchId, ErrorOutput, EventBody, Record};
use crate::state::state_type;
use crate::{Claimant, Decision, Effect, Execution, Now, Resource};

/// Decides everything that is ready, and claims its calls for `claimant`.
///
/// Stops when nothing is ready or the page is full; [`Execution::is_ready`] tells which. Branches take turns, a state
/// each, so that none starves another.
pub fn advance(definition: &Definition, execution: &Execution, claimant: &Claimant, now: Now) -> Decision {
    advance_without(definition, execution, claimant, now, &[])
}

/// [`advance`], where the activities of these ARNs do not exist: a task of theirs fails.
pub fn advance_without(
    definition: &Definition,
    execution: &Execution,
    claimant: &Claimant,
    now: Now,
    missing_activities: &[Arc<str>],
) -> Decision {
    advance_while(definition, execution, claimant, now, missing_activities, &mut || true)
}

/// [`advance_without`], which stops also when `goes_on` says so: it is asked behind each state. One state is always done,
/// so that an execution gets on however little time it is given.
pub fn advance_while(
    definition: &Definition,
    execution: &Execution,
    claimant: &Claimant,
    now: Now,
    missing_activities: &[Arc<str>],
    goes_on: &mut dyn FnMut() -> bool,
) -> Decision {
    let mut decider = Decider::new(definition, execution, now, Some(claimant));
    decider.missing_activities = missing_activities;
    decider.time_anew();
    let mut last = None;
    while !decider.is_full() && !decider.has_ended() {
        let Some(branch) = decider.next_ready(last) else { break };
        decider.turn(branch);
        last = Some(branch);
        if !goes_on() {
            break;
        }
    }
    decider.finish()
}

impl<'a> Decider<'a> {
    /// The first ready branch behind `last`, going round.
    ///
    /// Thousands of branches may wait while one goes on: all are looked at once, and from then on what a step may have changed.
    pub(crate) fn next_ready(&mut self, last: Option<BranchId>) -> Option<BranchId> {
        let branches = &self.execution.branches;
        if branches.len() == 1 {
            // Most executions have the trunk alone.
            self.ready = None;
            return branches.iter().find_map(|(id, branch)| branch.is_ready().then_some(*id));
        }
        let all = || branches.iter().filter(|(_, branch)| branch.is_ready()).map(|(id, _)| *id).collect();
        let ready = self.ready.get_or_insert_with(all);
        let behind = last.map_or(Bound::Unbounded, Bound::Excluded);
        loop {
            let next = ready.range((behind, Bound::Unbounded)).next().or_else(|| ready.first()).copied()?;
            if branches.get(&next).is_some_and(|branch| branch.is_ready()) {
                return Some(next);
            }
            ready.remove(&next);
        }
    }

    /// Lets one branch do what it can do next, and takes note of what that makes ready: itself, those it is a part of, and
    /// what grows.
    pub(crate) fn turn(&mut self, branch: BranchId) {
        self.effort.renew();
        if self.ready.is_none() {
            return self.step(branch);
        }
        let above = |id: BranchId| self.execution.branches.get(&id)?.parent.map(|(parent, _)| parent);
        let line: Vec<BranchId> = std::iter::successors(above(branch), |id| above(*id)).collect();
        let grown = self.execution.branches_made;
        self.step(branch);
        let (execution, Some(ready)) = (&self.execution, &mut self.ready) else { return };
        let is_ready = |id: &BranchId| execution.branches.get(id).is_some_and(|branch| branch.is_ready());
        for id in std::iter::once(branch).chain(line) {
            if is_ready(&id) {
                ready.insert(id);
            } else {
                ready.remove(&id);
            }
        }
        ready.extend((grown..execution.branches_made).map(BranchId).filter(is_ready));
    }

    /// The state that `branch` is in.
    pub(crate) fn state_of(&self, branch: BranchId) -> Option<&'a State> {
        match &self.execution.branches.get(&branch)?.phase {
            Phase::Before { state, .. } | Phase::In { state, .. } => self.definition.state(state),
            Phase::Done { .. } => None,
        }
    }

    /// Lets one branch do what it can do next.
    pub(crate) fn step(&mut self, branch: BranchId) {
        if let Phase::Before { state, input } = &self.execution.branch(branch).phase {
            let (name, input) = (state.clone(), input.clone());
            let definition = self.definition;
            let Some(state) = definition.state(&name) else { return self.broken(branch, &name) };
            let state_type = state_type(&state.kind);
            self.event(branch, EventBody::StateEntered { state_type, name: state.name.clone(), input });
        }
        let Phase::In { state, step, input, .. } = &self.execution.branch(branch).phase else { return };
        let (step, input) = (step.clone(), input.clone());
        let definition = self.definition;
        let Some(state) = definition.state(state) else {
            let name = state.clone();
            return self.broken(branch, &name);
        };
        match step {
            Step::Ready => self.begin(branch, state, &input),
            Step::Waited => self.waited(branch, state, &input),
            Step::Returned { result } => self.returned(branch, state, &input, &result),
            Step::Erred { error, heartbeat } => {
                self.fail(branch, state, Failure { heartbeat, ..Failure::new(error) });
            }
            Step::Calling(call) => {
                if let (Some(claimant), true) = (self.claimant, call.is_released()) {
                    self.record(Record::Claimed { attempt: call.attempt, claimant: claimant.clone() });
                    self.call_task(branch, state, &call);
                }
            }
            Step::Forked(fork) if fork.resumed => self.resume(branch, state),
            Step::Waiting | Step::Backoff | Step::Forked(_) | Step::Stopped(_) | Step::MapRun(_) => {}
        }
    }

    /// Asks for the call of an attempt that was just claimed.
    pub(crate) fn call_task(&mut self, branch: BranchId, state: &State, call: &crate::Call) {
        let stepwell_asl::StateKind::Task(task) = &state.kind else { return };
        let Some(resource) = Resource::parse(&task.resource) else { return };
        let retry_count = match &self.execution.branch(branch).phase {
            Phase::In { retries, .. } => retries.iter().sum(),
            _ => 0,
        };
        self.effect(Effect::CallTask(CallTask {
            attempt: call.attempt,
            nonce: call.nonce,
            branch,
            resource: resource.into(),
            state: state.name.clone(),
            retry_count,
            parameters: call.parameters.clone(),
            timeout_seconds: call.timeout_seconds,
            credentials: call.credentials.clone(),
        }));
    }

    /// The journal names a state that the definition doesn't have: it is not this execution's definition.
    fn broken(&mut self, branch: BranchId, state: &str) {
        let cause = format!("The state '{state}' is not in the definition that the execution started with.");
        self.event(
            branch,
            EventBody::ExecutionFailed(ErrorOutput::new(stepwell_asl::ErrorName::RUNTIME, cause)),
        );
    }
}
