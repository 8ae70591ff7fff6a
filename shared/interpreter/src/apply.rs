//! Takes in what happened outside.

use stepwell_asl::{Definition, ErrorName};
use stepwell_expr::Payload;

use crate::decision::Decider;
use crate::execution::{Call, Progress, Status, TimerPurpose};
use crate::failure::data_limit_exceeded;
use crate::record::{AttemptId, BranchId, ErrorOutput, EventBody, EventId, Record, TimerId};
use crate::{
    Claimant, Decision, EXPRESS_SECONDS_MAX, Effect, Execution, Family, Now, Outcome, PAYLOAD_BYTES_MAX,
    Timestamp, Trigger,
};

/// Decides what `trigger` means for `execution`; changes nothing.
///
/// A trigger that does not apply, or no longer, gives no records: it is a no-op for ever, because it names what it is
/// about. A fact owes no effect, but for a heartbeat's timer that is set again and the execution's own timeout.
pub fn apply(definition: &Definition, execution: &Execution, trigger: &Trigger, now: Now) -> Decision {
    let mut decider = Decider::new(definition, execution, now, None);
    match trigger {
        Trigger::Start { info, input } if *execution.status() == Status::New => {
            let start_at = definition.block(definition.root()).start_at.clone();
            let body = EventBody::ExecutionStarted { info: info.clone(), input: input.clone(), start_at };
            decider.event_after(BranchId(0), EventId(0), body);
            decider.set_execution_timer(info.started_at);
        }
        Trigger::TaskResult { attempt, nonce, outcome } => decider.task_result(*attempt, *nonce, outcome),
        Trigger::ChildFinished { attempt, outcome } => {
            if let Some((branch, _)) = decider.execution.map_run(*attempt) {
                decider.map_run_ended(branch, *attempt, outcome);
            } else if decider.execution.awaits_child(*attempt)
                && let Some((_, call)) = decider.open(*attempt)
            {
                decider.task_result(*attempt, call.nonce, outcome);
            }
        }
        Trigger::TaskSubmitted { attempt, output } => decider.task_submitted(*attempt, output),
        Trigger::TaskAccepted { attempt, until } => decider.task_accepted(*attempt, *until),
        Trigger::ActivityStarted { attempt, worker } => {
            if let Some((branch, call)) = decider.open(*attempt)
                && call.untaken_activity().is_some()
            {
                let (family, attempt, worker) = (call.family.clone(), *attempt, worker.clone());
                decider.event(branch, EventBody::Started { family, attempt, claimant: None, worker });
                decider.set_task_timers(branch, &call);
            }
        }
        Trigger::TaskHeartbeat { attempt, nonce } => {
            if decider
                .open(*attempt)
                .is_some_and(|(_, call)| call.nonce == *nonce && call.untaken_activity().is_none())
            {
                let at = now.time;
                decider.record(Record::HeartbeatReceived { attempt: *attempt, at });
            }
        }
        Trigger::TimerFired { timer } => decider.timer_fired(*timer),
        Trigger::Stop(error) if *execution.status() == Status::Running => {
            decider.cancel_below(BranchId(0));
            decider.abort_map_runs();
            decider.event_after(BranchId(0), EventId(0), EventBody::ExecutionAborted(error.cut()));
        }
        Trigger::MachineDeleted if *execution.status() == Status::Running => {
            decider.cancel_below(BranchId(0));
            let name = execution.info().map_or("", |info| &info.state_machine_name);
            // One of a Map Run has a label behind it.
            let name = name.split('/').next().unwrap_or_default();
            let cause = format!("State machine {name} has been deleted.");
            let error = ErrorOutput::new(ErrorName::RUNTIME, cause);
            decider.event(BranchId(0), EventBody::ExecutionFailed(error));
        }
        Trigger::GivenUp(error) if *execution.status() == Status::Running => {
            decider.cancel_below(BranchId(0));
            decider.event(BranchId(0), EventBody::ExecutionFailed(error.cut()));
        }
        Trigger::DriverLost { claimant, callable_again } => decider.driver_lost(claimant, callable_again),
        Trigger::Redrive { count, request, token } => decider.redrive(*count, *request, token.clone()),
        Trigger::Start { .. } | Trigger::Stop(_) | Trigger::MachineDeleted | Trigger::GivenUp(_) => {}
    }
    decider.finish()
}

impl Decider<'_> {
    /// Sets the timer of the state machine's `TimeoutSeconds`, which count from `since`. An Express execution's five minutes count
    /// from now: what has waited for its driver has not begun.
    pub(crate) fn set_execution_timer(&mut self, since: Timestamp) {
        let declared = self.definition.timeout_seconds().map(|seconds| since.plus_seconds(seconds));
        let is_express = self.execution.info().is_some_and(|info| info.express);
        let most = is_express.then(|| self.now.time.plus_seconds(EXPRESS_SECONDS_MAX));
        if let Some(due) = declared.into_iter().chain(most).min() {
            self.set_timer(BranchId(0), due, TimerPurpose::Execution);
        }
    }

    fn open(&self, attempt: AttemptId) -> Option<(BranchId, Call)> {
        self.execution.call(attempt).map(|(branch, call)| (branch, call.clone()))
    }

    fn task_result(&mut self, attempt: AttemptId, nonce: u128, outcome: &Outcome) {
        let Some((branch, call)) = self.open(attempt) else { return };
        // Nobody can have the token of an activity's task before a worker has taken it.
        if call.nonce != nonce || call.untaken_activity().is_some() {
            return;
        }
        let family = call.family.clone();
        match outcome {
            Outcome::Succeeded(output) if output.bytes() > PAYLOAD_BYTES_MAX => {
                let name = self.state_of(branch).map(|state| state.name.clone()).unwrap_or_default();
                let name = match &call.family {
                    // Recorded: a service task is named by its service, a function by its ARN.
                    Family::Task { resource_type, .. } => resource_type.clone(),
                    Family::LambdaFunction { resource } => resource.clone(),
                    Family::Activity { .. } => name,
                };
                self.event(branch, EventBody::Failed(family, attempt, data_limit_exceeded(&name)));
            }
            Outcome::Succeeded(output) => {
                self.event(branch, EventBody::Succeeded { family, attempt, output: output.clone() });
            }
            Outcome::Failed(error) => {
                self.event(branch, EventBody::Failed(family, attempt, error.cut()));
            }
            Outcome::TimedOut => self.timed_out(branch, &call, false),
        }
    }

    fn timed_out(&mut self, branch: BranchId, call: &Call, heartbeat: bool) {
        let error = ErrorOutput { error: Some(ErrorName::TIMEOUT.into()), cause: None };
        let (family, attempt) = (call.family.clone(), call.attempt);
        self.event(branch, EventBody::TimedOut { family, attempt, error, heartbeat });
    }

    fn task_submitted(&mut self, attempt: AttemptId, output: &Payload) {
        let Some((branch, call)) = self.open(attempt) else { return };
        if call.progress == Progress::Submitted {
            return;
        }
        let (family, output) = (call.family, output.clone());
        self.event(branch, EventBody::Submitted { family, attempt, output });
    }

    /// From now on the attempt's clock is a timer's to keep: no driver waits.
    fn task_accepted(&mut self, attempt: AttemptId, until: Timestamp) {
        let Some((branch, call)) = self.open(attempt) else { return };
        if !matches!(call.progress, Progress::Started(_)) {
            return;
        }
        self.record(Record::Accepted { attempt, until });
        let due = call.times_out_at().map_or(until, |due| due.min(until));
        self.set_timer(branch, due, TimerPurpose::Timeout(attempt));
    }

    fn timer_fired(&mut self, timer: TimerId) {
        let Some(set) = self.execution.timers.get(&timer) else { return };
        if set.due > self.now.time {
            return;
        }
        let (branch, purpose) = (set.branch, set.purpose);
        match purpose {
            TimerPurpose::Wait | TimerPurpose::Retry => self.record(Record::TimerClosed { timer }),
            TimerPurpose::Execution => {
                self.cancel_below(BranchId(0));
                self.abort_map_runs();
                let error = ErrorOutput { error: Some(ErrorName::TIMEOUT.into()), cause: None };
                self.event_after(BranchId(0), EventId(0), EventBody::ExecutionTimedOut(error));
            }
            TimerPurpose::Timeout(attempt) => {
                self.record(Record::TimerClosed { timer });
                if let Some((branch, call)) = self.open(attempt) {
                    self.effect(Effect::CancelTask { attempt, job: call.job() });
                    let has_time = call.times_out_at().is_none_or(|due| due > self.now.time);
                    if call.accepted_until.is_some() && has_time {
                        self.unknown(
                            attempt,
                            "The outcome of the call is unknown: its end was not told in time.",
                        );
                    } else {
                        self.timed_out(branch, &call, false);
                    }
                }
            }
            TimerPurpose::Heartbeat(attempt) => {
                self.record(Record::TimerClosed { timer });
                let Some((_, call)) = self.open(attempt) else { return };
                let due = call.heard_at.plus_seconds(call.heartbeat_seconds.unwrap_or(0));
                if due > self.now.time {
                    self.set_timer(branch, due, purpose);
                } else {
                    self.effect(Effect::CancelTask { attempt, job: call.job() });
                    self.timed_out(branch, &call, true);
                }
            }
        }
    }

    fn driver_lost(&mut self, claimant: &Claimant, callable_again: &[AttemptId]) {
        if self.execution.is_lost(claimant) || *self.execution.status() != Status::Running {
            return;
        }
        let claims: Vec<_> = self.execution.claims(claimant).collect();
        self.record(Record::DriverLost { claimant: claimant.clone() });
        for attempt in claims {
            if callable_again.contains(&attempt) {
                self.record(Record::ClaimReleased { attempt });
            } else {
                self.unknown(
                    attempt,
                    "The outcome of the call is unknown: its driver died. The task is not called again without a Retry.",
                );
            }
        }
    }

    /// The outcome of a call is unknown, and it must not be made twice.
    fn unknown(&mut self, attempt: AttemptId, cause: &str) {
        let Some((branch, call)) = self.open(attempt) else { return };
        let error = ErrorOutput::new(ErrorName::LAMBDA_UNKNOWN, cause);
        self.event(branch, EventBody::Failed(call.family, attempt, error));
    }
}
