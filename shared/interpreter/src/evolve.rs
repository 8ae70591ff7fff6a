//! The fold: the only code that changes an [`Execution`].

use std::sync::Arc;

use stepwell_expr::Payload;

use crate::execution::{
    Branch, Call, Execution, Fork, MapRun, Phase, Progress, Redriven, Status, Step, Stopped, Timer,
    TimerPurpose,
};
use crate::record::{AttemptId, BranchId, Event, EventBody, EventId, Record, Timestamp};

/// Retriers that one state can have: more do not fit a definition.
const RETRIERS_MAX: u32 = 1 << 16;

/// Changes `execution` by one record.
///
/// A record that does not fit, which only a damaged journal can bring, changes nothing but the event count.
pub fn evolve(execution: &mut Execution, record: &Record) {
    match record {
        Record::Event(event) => execution.event(event),
        Record::TimerSet { timer, branch, due, purpose } => {
            execution.timers_made = execution.timers_made.max(timer.0 + 1);
            execution.timers.insert(*timer, Timer { branch: *branch, due: *due, purpose: *purpose });
            match purpose {
                TimerPurpose::Wait => execution.set_step(*branch, Step::Waiting),
                TimerPurpose::Execution => execution.timed_from = None,
                _ => {}
            }
        }
        Record::TimerClosed { timer } => {
            let Some(timer) = execution.timers.remove(timer) else { return };
            match timer.purpose {
                TimerPurpose::Wait => execution.set_step(timer.branch, Step::Waited),
                TimerPurpose::Retry => execution.set_step(timer.branch, Step::Ready),
                TimerPurpose::Timeout(_) | TimerPurpose::Heartbeat(_) | TimerPurpose::Execution => {}
            }
        }
        Record::RetryScheduled { branch, retrier, previous } => {
            execution.retry_scheduled(*branch, *retrier, *previous)
        }
        Record::HeartbeatReceived { attempt, at } => {
            execution.with_call(*attempt, |call| call.heard_at = *at)
        }
        Record::ClaimReleased { attempt } => {
            execution.with_call(*attempt, |call| call.progress = Progress::Scheduled);
        }
        Record::Claimed { attempt, claimant } => {
            execution.with_call(*attempt, |call| call.progress = Progress::Started(Some(claimant.clone())));
        }
        Record::DriverLost { claimant } => execution.lost.push(claimant.clone()),
        Record::Accepted { attempt, until } => execution.with_call(*attempt, |call| {
            call.progress = Progress::Submitted;
            call.accepted_until = Some(*until);
        }),
    }
}

impl Execution {
    fn event(&mut self, event: &Event) {
        self.last_event = EventId(self.last_event.0 + 1);
        let (id, at, branch) = (self.last_event, event.at, event.branch);
        match &event.body {
            EventBody::ExecutionStarted { info, input, start_at } => {
                self.info = Some(info.clone());
                self.input = input.clone();
                self.status = Status::Running;
                let trunk = Phase::Before { state: start_at.clone(), input: input.clone() };
                self.grow(None, EventId(0), None, trunk);
                return;
            }
            EventBody::ExecutionSucceeded { output } => {
                return self.end(Status::Succeeded { output: output.clone(), at });
            }
            EventBody::ExecutionFailed(error) => {
                return self.end(Status::Failed { error: error.clone(), at });
            }
            EventBody::ExecutionAborted(error) => {
                return self.end(Status::Aborted { error: error.clone(), at });
            }
            EventBody::ExecutionTimedOut(_) => return self.end(Status::TimedOut { at }),

            EventBody::StateEntered { state_type, name, input } => self.set_phase(
                branch,
                Phase::In {
                    state: name.clone(),
                    state_type: *state_type,
                    input: input.clone(),
                    entered: id,
                    entered_at: at,
                    before: event.previous,
                    retries: Vec::new(),
                    step: Step::Ready,
                    map_run: None,
                },
            ),
            EventBody::StateExited { output, assigned, values, next, .. } => {
                self.drop_forked(branch);
                self.drop_timers(branch);
                self.assign(branch, assigned, values);
                let output = output.clone();
                self.set_phase(
                    branch,
                    match next {
                        Some(state) => Phase::Before { state: state.clone(), input: output },
                        None => Phase::Done { output },
                    },
                );
            }
            EventBody::Scheduled {
                family,
                attempt,
                nonce,
                parameters,
                timeout_seconds,
                heartbeat_seconds,
                credentials,
            } => {
                self.attempts_made = self.attempts_made.max(attempt.0 + 1);
                let call = Call {
                    attempt: *attempt,
                    nonce: *nonce,
                    family: family.clone(),
                    parameters: parameters.clone(),
                    timeout_seconds: *timeout_seconds,
                    heartbeat_seconds: *heartbeat_seconds,
                    credentials: credentials.clone(),
                    progress: Progress::Scheduled,
                    heard_at: at,
                    submitted: None,
                    accepted_until: None,
                };
                self.set_step(branch, Step::Calling(Box::new(call)));
            }
            EventBody::Started { claimant, .. } => self.with_call_in(branch, |call| {
                call.progress = Progress::Started(claimant.clone());
                call.heard_at = at;
            }),
            EventBody::Submitted { output, .. } => self.with_call_in(branch, |call| {
                call.progress = Progress::Submitted;
                call.submitted = Some(output.clone());
                call.heard_at = at;
            }),
            EventBody::Succeeded { output, .. } => {
                self.drop_timers(branch);
                self.set_step(branch, Step::Returned { result: output.clone() });
            }
            EventBody::ScheduleFailed(_, error)
            | EventBody::StartFailed(_, error)
            | EventBody::SubmitFailed(_, _, error)
            | EventBody::Failed(_, _, error) => {
                self.drop_timers(branch);
                self.set_step(branch, Step::Erred { error: error.clone(), heartbeat: false });
            }
            EventBody::TimedOut { error, heartbeat, .. } => {
                self.abandon(branch);
                self.drop_timers(branch);
                self.set_step(branch, Step::Erred { error: error.clone(), heartbeat: *heartbeat });
            }

            EventBody::ParallelStateStarted { branches, input } => {
                self.fork(branch, id, branches.len() as u32, branches.len() as u32, Payload::default());
                for (index, start_at) in (0..).zip(branches) {
                    let phase = Phase::Before { state: start_at.clone(), input: input.clone() };
                    let child = self.grow(Some((branch, index)), id, None, phase);
                    self.with_fork(branch, |fork| fork.begin(child, index));
                }
            }
            EventBody::MapStateStarted { concurrency: 0, .. } => {}
            // Each item takes a byte of the text at least. Room is made for as many results.
            EventBody::MapStateStarted { length, items, .. } if *length as usize > items.bytes() => return,
            EventBody::MapStateStarted { length, items, concurrency } => {
                self.fork(branch, id, *length, *concurrency, items.clone());
            }
            EventBody::MapRunStarted {
                attempt,
                map_run_arn,
                limits,
                items,
                batch_input,
                has_batch_input,
            } => {
                self.attempts_made = self.attempts_made.max(attempt.0 + 1);
                let map_run = MapRun {
                    attempt: *attempt,
                    arn: map_run_arn.clone(),
                    limits: *limits,
                    items: items.clone(),
                    batch_input: has_batch_input.then(|| batch_input.clone()),
                    redrives: 0,
                };
                self.set_step(branch, Step::MapRun(Box::new(map_run)));
            }
            EventBody::MapRunRedriven { attempt, count, .. } => {
                self.attempts_made = self.attempts_made.max(attempt.0 + 1);
                self.with_branch(branch, |branch| {
                    let Phase::In { step, map_run, .. } = &mut branch.phase else { return };
                    let Some(mut map_run) = map_run.take() else { return };
                    (map_run.attempt, map_run.redrives) = (*attempt, *count);
                    *step = Step::MapRun(map_run);
                });
            }
            EventBody::MapRunSucceeded { output, exits_behind_start, .. } => {
                self.set_step(branch, Step::Returned { result: output.clone() });
                if *exits_behind_start {
                    return;
                }
            }
            EventBody::MapRunFailed(_, error) => {
                self.with_branch(branch, Branch::set_map_run_aside);
                self.set_step(branch, Step::Erred { error: error.clone(), heartbeat: false });
            }
            EventBody::MapRunAborted(_) => {
                self.abandon(branch);
                self.with_branch(branch, Branch::set_map_run_aside);
                self.set_step(branch, Step::Waiting);
            }
            EventBody::MapIterationStarted { item, input, start_at, .. } => {
                // The event stands in the iteration's own branch, which it makes; `branch` is the Map's.
                let phase = Phase::Before { state: start_at.clone(), input: input.clone() };
                let index = item.index;
                let child = self.grow(Some((branch, index)), id, Some(Arc::new(item.clone())), phase);
                self.with_fork(branch, |fork| fork.begin(child, index));
                return;
            }
            EventBody::MapIterationSucceeded { .. } => return self.collect(branch, id),
            EventBody::ParallelStateSucceeded => {
                for child in self.descendants(branch) {
                    self.collect(child, event.previous);
                }
                self.join(branch, event.previous);
                return;
            }
            EventBody::MapStateSucceeded => {
                if self.is_forked(branch) {
                    self.join(branch, event.previous);
                }
                return;
            }
            EventBody::ParallelStateFailed | EventBody::MapStateFailed => self.stop_forked(branch),
            EventBody::EvaluationFailed { .. } => {}
            // They tell of what has happened to the branch, which stands where it stood.
            EventBody::StateAborted { .. }
            | EventBody::MapIterationFailed { .. }
            | EventBody::MapIterationAborted { .. } => return,
            EventBody::ExecutionRedriven { count, request, token } => {
                let (count, request, token) = (*count, *request, token.clone());
                return self.redriven(Redriven { count, at, event: id, request, token });
            }
        }
        self.with_branch(branch, |branch| branch.previous = id);
    }

    fn is_forked(&self, branch: BranchId) -> bool {
        let phase = self.branches.get(&branch).map(|branch| &branch.phase);
        matches!(phase, Some(Phase::In { step: Step::Forked(_), .. }))
    }

    fn end(&mut self, status: Status) {
        let jobs: Vec<_> = self.calls().filter_map(|(_, call)| call.job()).collect();
        let map_runs: Vec<_> = self.map_runs().map(|(_, map_run)| map_run.arn.clone()).collect();
        self.abandoned.extend(jobs);
        self.abandoned_map_runs.extend(map_runs);
        let may_go_on = !matches!(status, Status::Succeeded { .. });
        self.status = status;
        let branches = std::mem::take(&mut self.branches);
        if may_go_on && self.info.as_ref().is_some_and(|info| !info.express) {
            self.kept = branches;
        }
        self.timers.clear();
    }

    /// Nobody waits any more for the job or Map Run that `branch` waits for.
    fn abandon(&mut self, branch: BranchId) {
        let Some(branch) = self.branches.get(&branch) else { return };
        let (job, map_run) = (branch.call().and_then(Call::job), branch.map_run());
        self.abandoned_map_runs.extend(map_run.map(|map_run| map_run.arn.clone()));
        self.abandoned.extend(job);
    }

    fn grow(
        &mut self,
        parent: Option<(BranchId, u32)>,
        previous: EventId,
        item: Option<Arc<crate::MapItem>>,
        phase: Phase,
    ) -> BranchId {
        let id = BranchId(self.branches_made);
        self.branches_made += 1;
        let variables = Arc::default();
        self.branches.insert(id, Arc::new(Branch { parent, previous, variables, item, phase }));
        id
    }

    fn fork(&mut self, branch: BranchId, started: EventId, length: u32, concurrency: u32, items: Payload) {
        let results = vec![None; length as usize];
        let running = Default::default();
        let fork = Fork {
            length,
            begun: 0,
            ended: 0,
            concurrency,
            running,
            results,
            items,
            started,
            resumed: false,
        };
        self.set_step(branch, Step::Forked(fork));
    }

    /// Takes a finished branch's output into its parent's results.
    fn collect(&mut self, child: BranchId, last: EventId) {
        let Some(branch) = self.branches.remove(&child) else { return };
        let (Some((parent, index)), Phase::Done { output }) = (branch.parent, &branch.phase) else { return };
        self.with_fork(parent, |fork| {
            fork.running.remove(&child);
            fork.ended += 1;
            if let Some(slot) = fork.results.get_mut(index as usize) {
                *slot = Some(output.clone());
            }
        });
        self.with_branch(parent, |branch| branch.previous = last);
    }

    /// Turns the results of a fork into the state's result.
    fn join(&mut self, branch: BranchId, previous: EventId) {
        let mut result = None;
        self.with_fork(branch, |fork| {
            // Recorded: each output stands in the array as it was written, white space included.
            let texts = fork.results.iter().map(|slot| slot.as_ref().map_or("null", |output| output.text()));
            result = Some(Payload::trusted(format!("[{}]", texts.collect::<Vec<_>>().join(","))));
        });
        if let Some(result) = result {
            self.set_step(branch, Step::Returned { result });
        }
        self.with_branch(branch, |branch| branch.previous = previous);
    }

    fn retry_scheduled(&mut self, branch: BranchId, retrier: u32, previous: EventId) {
        if retrier >= RETRIERS_MAX {
            return;
        }
        self.drop_forked(branch);
        self.drop_timers(branch);
        self.with_branch(branch, |branch| {
            branch.previous = previous;
            if let Phase::In { retries, step, map_run, .. } = &mut branch.phase {
                // The next try begins one of its own.
                *map_run = None;
                let at = retrier as usize;
                if retries.len() <= at {
                    retries.resize(at + 1, 0);
                }
                retries[at] += 1;
                *step = Step::Backoff;
            }
        });
    }

    fn assign(&mut self, branch: BranchId, names: &[Arc<str>], values: &[Payload]) {
        if names.is_empty() {
            return;
        }
        self.with_branch(branch, |branch| {
            Arc::make_mut(&mut branch.variables).extend(names.iter().cloned().zip(values.iter().cloned()));
        });
    }

    fn drop_forked(&mut self, branch: BranchId) {
        for id in self.descendants(branch) {
            self.abandon(id);
            self.branches.remove(&id);
            self.drop_timers(id);
        }
        self.with_fork(branch, |fork| fork.running.clear());
    }

    /// Sets what `branch` has forked aside: the state may be caught, or the execution redriven.
    fn stop_forked(&mut self, branch: BranchId) {
        let mut branches = vec![];
        for id in self.descendants(branch) {
            self.abandon(id);
            branches.extend(self.branches.remove(&id).map(|branch| (id, branch)));
            self.drop_timers(id);
        }
        self.with_branch(branch, |branch| {
            let Phase::In { step, .. } = &mut branch.phase else { return };
            *step = match std::mem::replace(step, Step::Ready) {
                Step::Forked(fork) => Step::Stopped(Box::new(Stopped { fork, branches })),
                other => other,
            };
        });
    }

    fn drop_timers(&mut self, branch: BranchId) {
        if !self.timers.is_empty() {
            self.timers.retain(|_, timer| timer.branch != branch || timer.purpose == TimerPurpose::Execution);
        }
    }

    fn with_branch(&mut self, id: BranchId, change: impl FnOnce(&mut Branch)) {
        if let Some(branch) = self.branches.get_mut(&id) {
            change(Arc::make_mut(branch));
        }
    }

    fn set_phase(&mut self, id: BranchId, to: Phase) {
        self.with_branch(id, |branch| branch.phase = to);
    }

    fn set_step(&mut self, id: BranchId, to: Step) {
        self.with_branch(id, |branch| {
            if let Phase::In { step, .. } = &mut branch.phase {
                *step = to;
            }
        });
    }

    fn with_fork(&mut self, id: BranchId, change: impl FnOnce(&mut Fork)) {
        self.with_branch(id, |branch| {
            if let Phase::In { step: Step::Forked(fork), .. } = &mut branch.phase {
                change(fork);
            }
        });
    }

    fn with_call_in(&mut self, id: BranchId, change: impl FnOnce(&mut Call)) {
        self.with_branch(id, |branch| {
            if let Phase::In { step: Step::Calling(call), .. } = &mut branch.phase {
                change(call);
            }
        });
    }

    fn with_call(&mut self, attempt: AttemptId, change: impl FnOnce(&mut Call)) {
        if let Some((branch, _)) = self.call(attempt) {
            self.with_call_in(branch, change);
        }
    }
}

impl Fork {
    fn begin(&mut self, child: BranchId, index: u32) {
        self.begun += 1;
        self.running.insert(child, index);
        self.resumed = self.resumed && self.has_room();
    }

    /// Whether another iteration is left, and may run beside those under way.
    pub(crate) fn has_room(&self) -> bool {
        self.begun < self.length && self.running.len() < self.concurrency as usize
    }
}

impl Timestamp {
    /// This moment, `seconds` later; saturating.
    pub fn plus_seconds(self, seconds: u64) -> Self {
        Timestamp(self.0.saturating_add_unsigned(seconds.saturating_mul(1000)))
    }
}

#[cfg(test)]
mod tests {
    use crate::record::StateType;

    use super::*;

    /// An execution in a Map state, which then finds `records` in its journal.
    fn in_a_map(records: &[Record]) -> Execution {
        let event =
            |body| Record::Event(Event { at: Timestamp(0), branch: BranchId(0), previous: EventId(0), body });
        let (state_type, name) = (StateType::Map, "M".into());
        let mut execution = Execution::default();
        let trunk = Phase::Before { state: "M".into(), input: Payload::default() };
        execution.grow(None, EventId(0), None, trunk);
        evolve(
            &mut execution,
            &event(EventBody::StateEntered { state_type, name, input: Payload::default() }),
        );
        records.iter().for_each(|record| evolve(&mut execution, record));
        execution
    }

    #[test]
    fn what_a_damaged_record_counts_costs_nothing() {
        let untouched = in_a_map(&[]);
        let body =
            EventBody::MapStateStarted { length: u32::MAX, items: Payload::trusted("[1]"), concurrency: 1 };
        let started =
            Record::Event(Event { at: Timestamp(0), branch: BranchId(0), previous: EventId(1), body });
        assert_eq!(
            in_a_map(&[started]).branches().collect::<Vec<_>>(),
            untouched.branches().collect::<Vec<_>>()
        );
        let retried = Record::RetryScheduled { branch: BranchId(0), retrier: u32::MAX, previous: EventId(1) };
        assert_eq!(in_a_map(&[retried]), untouched);
    }
}
