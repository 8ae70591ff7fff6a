//! What happens when a state fails: its Retriers, its Catchers, and the branch that holds it.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwell_asl::{Catcher, ErrorName, JitterStrategy, Retrier, State, StateKind};
use stepwell_expr::{EvalError, Payload, QueryLanguage, Value};

use crate::Effect;
use crate::decision::Decider;
use crate::execution::{Phase, Step, TimerPurpose};
use crate::io::{Leaving, is_within_limits, place};
use crate::record::{BranchId, ErrorOutput, EventBody, EventId, Record, StateType, TimerId, Timestamp};
use crate::tested::TestEnd;

/// Why a state's own logic failed, before it is worded for the state.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    error: &'static str,
    message: String,
    location: Option<String>,
}

impl Fault {
    pub(crate) fn of(error: &'static str, message: impl Into<String>) -> Self {
        Fault { error, message: message.into(), location: None }
    }

    pub(crate) fn runtime(message: impl Into<String>) -> Self {
        Fault::of(ErrorName::RUNTIME, message)
    }

    /// What a state hands to its task, branches or iterations is more than it may be.
    pub(crate) fn too_large() -> Self {
        Fault::of(ErrorName::DATA_LIMIT_EXCEEDED, "")
    }

    /// Whether it is [`Fault::too_large`].
    pub(crate) fn is_too_large(&self) -> bool {
        self.error == ErrorName::DATA_LIMIT_EXCEEDED
    }

    /// A JSONata result that is not what the field takes.
    pub(crate) fn query(message: impl Into<String>, location: impl Into<String>) -> Self {
        Fault { location: Some(location.into()), ..Fault::of(ErrorName::QUERY_EVALUATION_ERROR, message) }
    }
}

impl From<EvalError> for Fault {
    fn from(error: EvalError) -> Self {
        Fault { error: error.error, message: error.message, location: error.location }
    }
}

/// A failure on its way through the tree.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) error: ErrorOutput,
    /// Whether it came of a missed heartbeat.
    pub(crate) heartbeat: bool,
    /// Whether no Retrier and no Catcher may take it.
    pub(crate) is_final: bool,
    /// Whether `EvaluationFailed` was written for it.
    pub(crate) is_evaluation: bool,
    /// Whether it came out of a branch or iteration, by way of the event of this id.
    pub(crate) from_fork: Option<EventId>,
}

impl Failure {
    pub(crate) fn new(error: ErrorOutput) -> Self {
        Failure { error, heartbeat: false, is_final: false, is_evaluation: false, from_fork: None }
    }
}

impl Decider<'_> {
    /// The logic of the state that `branch` is in failed.
    pub(crate) fn fault(&mut self, branch: BranchId, state: &State, fault: Fault) {
        let Phase::In { entered, before, .. } = &self.execution.branch(branch).phase else { return };
        let (entered, before) = (*entered, *before);
        if fault.error == ErrorName::DATA_LIMIT_EXCEEDED {
            self.abort_begun(branch);
            return self.too_large(branch, state);
        }
        // Recorded: EvaluationFailed does not follow the Entered event but shares its predecessor, except in a Wait.
        let last = self.execution.branch(branch).previous;
        let is_wait = matches!(state.kind, StateKind::Wait(_));
        let previous = if last == entered && !is_wait { before } else { last };
        let error = self.worded(branch, state, &fault, previous);
        let is_evaluation = fault.error == ErrorName::QUERY_EVALUATION_ERROR;
        self.abort_begun(branch);
        self.fail(branch, state, Failure { is_evaluation, ..Failure::new(error) });
    }

    /// An ItemSelector may fail while iterations are under way: they are aborted.
    pub(crate) fn abort_begun(&mut self, branch: BranchId) {
        let cause_event = self.execution.branch(branch).previous;
        self.abort_siblings(branch, branch, cause_event);
    }

    /// A state's data would exceed what a state may pass on.
    pub(crate) fn too_large(&mut self, branch: BranchId, state: &State) {
        let error = data_limit_exceeded(&state.name);
        self.fail(branch, state, Failure { is_final: true, ..Failure::new(error) });
    }

    /// The state that `branch` is in failed: retry it, catch it, or let it fail the branch.
    pub(crate) fn fail(&mut self, branch: BranchId, state: &State, failure: Failure) {
        let (retry, catch, failed) = match &state.kind {
            StateKind::Task(task) => (&task.retry[..], &task.catch[..], None),
            StateKind::Parallel(parallel) => {
                (&parallel.retry[..], &parallel.catch[..], Some(EventBody::ParallelStateFailed))
            }
            StateKind::Map(map) => (&map.retry[..], &map.catch[..], Some(EventBody::MapStateFailed)),
            _ => return self.fail_branch(branch, state, failure),
        };
        if !failure.is_final && self.retry(branch, retry, &failure) {
            return;
        }
        if let Some(failed) = failed
            && self.is_forked(branch, &failure)
        {
            let previous = failure.from_fork.unwrap_or_else(|| self.execution.branch(branch).previous);
            self.cancel_below(branch);
            self.event_after(branch, previous, failed);
        }
        let catcher = (!failure.is_final)
            .then(|| catch.iter().position(|c| matches(&c.error_equals, &failure)))
            .flatten();
        match catcher {
            Some(at) => self.catch(branch, state, at, &catch[at], &failure),
            None => self.fail_branch(branch, state, failure),
        }
    }

    fn is_forked(&self, branch: BranchId, failure: &Failure) -> bool {
        // A Map's Map Run has failed where the step says so.
        let forked = matches!(
            &self.execution.branch(branch).phase,
            Phase::In { step: Step::Forked(_) | Step::Erred { .. }, .. }
        );
        // Recorded: a Map whose Items don't evaluate has failed as a Map; one whose paths don't, has not.
        forked || failure.from_fork.is_some() || failure.is_evaluation
    }

    fn retry(&mut self, branch: BranchId, retriers: &[Retrier], failure: &Failure) -> bool {
        let Some(at) = retriers.iter().position(|retrier| matches(&retrier.error_equals, failure)) else {
            return false;
        };
        let Phase::In { retries, .. } = &self.execution.branch(branch).phase else { return false };
        let tested = self.test.and_then(|test| test.setup.retry_count);
        let (retrier, used) = (&retriers[at], tested.or(retries.get(at).copied()).unwrap_or(0));
        self.note(|seen| seen.retry_index = Some(at as u32));
        if u64::from(used) >= retrier.max_attempts {
            return false;
        }
        let delay = delay_ms(retrier, used, self.entropy().unit());
        self.note(|seen| {
            seen.retry_backoff_interval_seconds = Some((delay / 1000).unsigned_abs());
            seen.end = Some(TestEnd::Retriable(failure.error.clone()));
        });
        let due = Timestamp(self.now.time.0.saturating_add(delay));
        let previous = failure.from_fork.unwrap_or(self.execution.branch(branch).previous);
        self.cancel_below(branch);
        self.record(Record::RetryScheduled { branch, retrier: at as u32, previous });
        self.set_timer(branch, due, TimerPurpose::Retry);
        true
    }

    /// Sets a timer for `branch`.
    pub(crate) fn set_timer(&mut self, branch: BranchId, due: Timestamp, purpose: TimerPurpose) {
        let timer = TimerId(self.execution.timers_made);
        self.record(Record::TimerSet { timer, branch, due, purpose });
        self.effect(Effect::SetTimer { timer, due });
    }

    fn catch(&mut self, branch: BranchId, state: &State, at: usize, catcher: &Catcher, failure: &Failure) {
        self.note(|seen| {
            seen.catch_index = Some(at as u32);
            seen.caught = Some(failure.error.clone());
        });
        match self.caught(branch, state, at, catcher, &failure.error) {
            Ok(leaving) => {
                if is_within_limits(&leaving.output, true) {
                    self.leave(branch, state, leaving, Some(catcher.next.clone()));
                } else {
                    let error = data_limit_exceeded(&state.name);
                    self.fail_branch(branch, state, Failure { is_final: true, ..Failure::new(error) });
                }
            }
            Err(fault) => {
                // No Catcher of this state takes it; one of an outer state may.
                let last = self.execution.branch(branch).previous;
                let failure = Failure::new(self.worded(branch, state, &fault, last));
                self.fail_branch(branch, state, failure);
            }
        }
    }

    /// The error that a fault is for Retriers and Catchers. One of JSONata is told by an event behind `previous`.
    fn worded(&mut self, branch: BranchId, state: &State, fault: &Fault, previous: EventId) -> ErrorOutput {
        let error = self.error_output(branch, state, fault);
        if fault.error == ErrorName::QUERY_EVALUATION_ERROR {
            let (error, location) = (error.clone(), fault.location.as_deref().map(Arc::from));
            let body = EventBody::EvaluationFailed { error, location, state: state.name.clone() };
            self.event_after(branch, previous, body);
        }
        error
    }

    /// A fault in AWS's words.
    pub(crate) fn error_output(&self, branch: BranchId, state: &State, fault: &Fault) -> ErrorOutput {
        let entered = match &self.execution.branch(branch).phase {
            Phase::In { entered, .. } => entered.0,
            _ => 0,
        };
        let cause = if self.test.is_some() {
            // Recorded: a test has no history whose events could be named.
            fault.message.clone()
        } else {
            let (name, message) = (&state.name, &fault.message);
            format!(
                "An error occurred while executing the state '{name}' (entered at the event id #{entered}). {message}"
            )
        };
        ErrorOutput::new(fault.error, cause).cut()
    }

    fn caught(
        &mut self,
        branch: BranchId,
        state: &State,
        at: usize,
        catcher: &Catcher,
        error: &ErrorOutput,
    ) -> Result<Leaving, Fault> {
        let Phase::In { input, .. } = &self.execution.branch(branch).phase else {
            return Err(Fault::runtime("The state is not entered."));
        };
        let input = input.clone();
        let error_output = error_output(error);
        let field = |name: &str| format!("Catch[{at}]/{name}");
        if state.language == QueryLanguage::JsonPath {
            let assigned =
                self.assigned_for(branch, catcher.assign.as_ref(), &field("Assign"), |s| s, &error_output)?;
            return Ok(Leaving { output: place(&catcher.result_path, &input, &error_output)?, assigned });
        }
        let value = error_output.value();
        let assigned = self.assigned_for(
            branch,
            catcher.assign.as_ref(),
            &field("Assign"),
            |scope| scope.with_error_output(value),
            &input,
        )?;
        let output = match &catcher.output {
            Some(template) => {
                let entropy = self.entropy();
                let scope =
                    self.scope(branch, entropy, input.value()).with_error_output(error_output.value());
                Payload::of(template.evaluate(&scope, &field("Output"))?)
            }
            None => error_output,
        };
        Ok(Leaving { output, assigned })
    }

    /// Nothing took the failure: the branch fails, and with it the state that forked it, or the execution.
    fn fail_branch(&mut self, branch: BranchId, state: &State, failure: Failure) {
        let cause_event = self.execution.branch(branch).previous;
        let Some((parent, index)) = self.execution.branch(branch).parent else {
            self.note(|seen| seen.end = Some(TestEnd::Failed(failure.error.clone())));
            // Recorded: where nothing has happened since a redrive, it follows that.
            let redriven = self.execution.redrives().last().map_or(EventId(0), |redriven| redriven.event);
            self.event_after(branch, cause_event.max(redriven), EventBody::ExecutionFailed(failure.error));
            return;
        };
        let Some(forking) = self.state_of(parent) else { return };
        if matches!(forking.kind, StateKind::Map(_)) {
            let name = forking.name.clone();
            self.event_after(branch, cause_event, EventBody::MapIterationFailed { name, index });
        }
        self.abort_siblings(parent, branch, cause_event);
        // Recorded: behind what was aborted because of it, the failing task is aborted too.
        if matches!(state.kind, StateKind::Task(_)) {
            self.event_after(branch, cause_event, EventBody::StateAborted { state_type: StateType::Task });
        }
        self.fail(
            parent,
            forking,
            Failure { heartbeat: false, is_evaluation: false, from_fork: Some(cause_event), ..failure },
        );
    }

    /// What `parent` has under way, but for `failed`, is aborted because of the event `cause`: the deepest first.
    fn abort_siblings(&mut self, parent: BranchId, failed: BranchId, cause: EventId) {
        let Phase::In { step: Step::Forked(fork), .. } = &self.execution.branch(parent).phase else { return };
        let siblings: Vec<_> = fork.running.keys().copied().filter(|id| *id != failed).collect();
        for sibling in siblings {
            let mut below = self.execution.descendants(sibling);
            below.reverse();
            for id in below.into_iter().chain([sibling]) {
                self.abort_state(id, cause);
                self.abort_iteration(id, cause);
            }
        }
    }

    /// Where `branch` is a Map's iteration, it is aborted.
    fn abort_iteration(&mut self, branch: BranchId, cause: EventId) {
        let Some((parent, index)) = self.execution.branch(branch).parent else { return };
        let Some(forking) = self.state_of(parent) else { return };
        if matches!(forking.kind, StateKind::Map(_)) {
            let name = forking.name.clone();
            self.event_after(branch, cause, EventBody::MapIterationAborted { name, index });
        }
    }

    fn abort_state(&mut self, branch: BranchId, cause: EventId) {
        let is_entered = matches!(self.execution.branch(branch).phase, Phase::In { .. });
        let Some(state) = self.state_of(branch).filter(|_| is_entered) else { return };
        let state_type = match &state.kind {
            StateKind::Task(_) => StateType::Task,
            StateKind::Wait(_) => StateType::Wait,
            StateKind::Parallel(_) => StateType::Parallel,
            StateKind::Map(_) => StateType::Map,
            _ => return,
        };
        if let Some(attempt) = self.execution.branch(branch).map_run().map(|map_run| map_run.attempt) {
            self.event_after(branch, cause, EventBody::MapRunAborted(attempt));
        }
        self.event_after(branch, cause, EventBody::StateAborted { state_type });
    }

    /// The effects that stop what is open in `branch` and below it.
    pub(crate) fn cancel_below(&mut self, branch: BranchId) {
        let mut branches = self.execution.descendants(branch);
        branches.push(branch);
        let mut timers_of = BTreeMap::<BranchId, Vec<TimerId>>::new();
        for (timer, set) in self.execution.timers() {
            if set.purpose != TimerPurpose::Execution {
                timers_of.entry(set.branch).or_default().push(timer);
            }
        }
        for id in branches {
            let call = self.execution.branches.get(&id).and_then(|b| b.call());
            if let Some((attempt, job)) = call.map(|call| (call.attempt, call.job())) {
                self.effect(Effect::CancelTask { attempt, job });
            }
            for timer in timers_of.remove(&id).unwrap_or_default() {
                self.effect(Effect::CancelTimer { timer });
            }
        }
    }
}

/// What a task's result, or a state's output, of more than 256 KiB fails with.
pub fn data_limit_exceeded(state: &str) -> ErrorOutput {
    ErrorOutput::new(
        ErrorName::DATA_LIMIT_EXCEEDED,
        format!(
            "The state/task '{state}' returned a result with a size exceeding the maximum number of bytes service limit."
        ),
    )
}

/// The error output that Catchers see. What was not given is null, as recorded of a SendTaskFailure that says nothing. Only
/// a timeout's cause is empty, as users' executions show it, though its event has none.
fn error_output(error: &ErrorOutput) -> Payload {
    let (name, cause) = (error.error.clone(), error.cause.clone());
    let cause = match (&name, cause) {
        (Some(name), None) if **name == *ErrorName::TIMEOUT => Value::from(""),
        (_, cause) => cause.map_or(Value::Null, Value::from),
    };
    Payload::of(Value::from([("Error", name.map_or(Value::Null, Value::from)), ("Cause", cause)]))
}

/// Whether an `ErrorEquals` takes the failure (ASL: Errors).
fn matches(error_equals: &[ErrorName], failure: &Failure) -> bool {
    let error = failure.error.error.as_deref().unwrap_or_default();
    // The guide: it is not retriable, and always fails the execution. That holds for its own name, too.
    if error == ErrorName::RUNTIME {
        return false;
    }
    error_equals.iter().any(|name| match name.as_str() {
        // The guide also exempts States.DataLimitExceeded, but a recorded run catches a task's by States.ALL.
        ErrorName::ALL => true,
        ErrorName::TASK_FAILED => error != ErrorName::TIMEOUT,
        ErrorName::HEARTBEAT_TIMEOUT => failure.heartbeat || error == ErrorName::HEARTBEAT_TIMEOUT,
        name => name == error,
    })
}

/// A Retrier's delay before its next attempt, when it was `used` so often before. `unit` is drawn from `[0, 1)`.
fn delay_ms(retrier: &Retrier, used: u32, unit: f64) -> i64 {
    let seconds = retrier.interval_seconds as f64 * retrier.backoff_rate.powi(used.min(1 << 20) as i32);
    let cap = retrier.max_delay_seconds.unwrap_or(99_999_999) as f64;
    let seconds = seconds.min(cap);
    let seconds = match retrier.jitter {
        JitterStrategy::None => seconds,
        JitterStrategy::Full => seconds * unit,
    };
    (seconds * 1000.0) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retrier() -> Retrier {
        Retrier {
            error_equals: vec![],
            interval_seconds: 3,
            max_attempts: 3,
            backoff_rate: 2.0,
            max_delay_seconds: Some(10),
            jitter: JitterStrategy::None,
        }
    }

    #[test]
    fn delays_grow_to_their_cap_and_jitter_below() {
        let delays: Vec<_> = (0..4).map(|used| delay_ms(&retrier(), used, 0.5)).collect();
        assert_eq!(delays, [3000, 6000, 10_000, 10_000]);
        let full = Retrier { jitter: JitterStrategy::Full, ..retrier() };
        assert_eq!(delay_ms(&full, 0, 0.5), 1500);
        assert_eq!(
            delay_ms(&Retrier { max_delay_seconds: None, backoff_rate: 1e300, ..retrier() }, 9, 0.0),
            99_999_999_000
        );
    }

    #[test]
    fn wildcards_take_what_they_take() {
        let taken = |names: &[&str], error: &str, heartbeat| {
            let names: Vec<_> = names.iter().map(|name| ErrorName::from(*name)).collect();
            let error = ErrorOutput { error: Some(error.into()), cause: None };
            matches(&names, &Failure { heartbeat, ..Failure::new(error) })
        };
        assert!(taken(&["States.ALL"], "Anything", false));
        assert!(taken(&["States.ALL"], "States.Timeout", false));
        assert!(!taken(&["States.ALL"], "States.Runtime", false));
        assert!(!taken(&["States.TaskFailed", "States.Runtime"], "States.Runtime", false));
        assert!(taken(&["States.TaskFailed"], "Busy", false));
        assert!(!taken(&["States.TaskFailed"], "States.Timeout", false));
        assert!(taken(&["States.HeartbeatTimeout"], "States.Timeout", true));
        assert!(!taken(&["States.HeartbeatTimeout"], "States.Timeout", false));
        assert!(taken(&["Other", "Busy"], "Busy", false));
    }
}
