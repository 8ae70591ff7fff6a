//! What a redrive does: an execution that has ended without success goes on in the states that it was in (API:
//! RedriveExecution; Developer Guide, "Restarting state machine executions with redrive").

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwell_asl::ErrorName;

use crate::decision::Decider;
use crate::execution::{Branch, Execution, Fork, Phase, Redriven, Status, Step};
use crate::record::{BranchId, Event, EventBody, Record, StateType};
use crate::{HISTORY_EVENTS_MAX, REDRIVES_REMEMBERED};

impl Decider<'_> {
    /// Begins redrive number `count`, where the execution has ended and may be redriven, and that is its next one.
    pub(crate) fn redrive(&mut self, count: u32, request: u64, token: Option<Arc<str>>) {
        if !self.execution.is_redrivable() || count != self.execution.redrive_count() + 1 {
            return;
        }
        let end = self.execution.last_event();
        // A fact owes no effect: the machine's timer is set by who goes on from here.
        self.event_after(BranchId(0), end, EventBody::ExecutionRedriven { count, request, token });
    }

    /// Sets the timer of the machine's `TimeoutSeconds`, which a redrive has begun anew.
    pub(crate) fn time_anew(&mut self) {
        if let Some(since) = self.execution.timed_from {
            self.set_execution_timer(since);
        }
    }
}

impl Record {
    /// Whether it may follow an execution's end.
    pub(crate) fn is_redrive(&self) -> bool {
        matches!(self, Record::Event(Event { body: EventBody::ExecutionRedriven { .. }, .. }))
    }
}

impl Execution {
    /// Whether it has ended without success, and its history has room for more.
    pub fn is_redrivable(&self) -> bool {
        let failed = self.status.is_terminal() && !matches!(self.status, Status::Succeeded { .. });
        failed && !self.kept.is_empty() && self.last_event.0 < HISTORY_EVENTS_MAX - 1
    }

    /// The execution goes on: each state that was entered and not left is to be begun again.
    pub(crate) fn redriven(&mut self, redriven: Redriven) {
        if !self.status.is_terminal() {
            return;
        }
        // The guide: a Parallel or Map that failed by this runs again with all its branches or iterations.
        let afresh = matches!(&self.status, Status::Failed { error, .. }
            if error.error.as_deref() == Some(ErrorName::DATA_LIMIT_EXCEEDED));
        self.status = Status::Running;
        self.timed_from = Some(redriven.at);
        // What was left behind has been stopped with the end.
        self.abandoned.clear();
        self.abandoned_map_runs.clear();
        let redrives = Arc::make_mut(self.redrives.get_or_insert_default());
        redrives.push(redriven);
        let forgotten = redrives.len().saturating_sub(REDRIVES_REMEMBERED);
        redrives.drain(..forgotten);
        let mut kept = std::mem::take(&mut self.kept);
        self.branches.clear();
        self.restore(&mut kept, BranchId(0), afresh);
    }

    /// Takes `id` and what it has forked out of `kept`, each to go on where it stood.
    fn restore(&mut self, kept: &mut BTreeMap<BranchId, Arc<Branch>>, id: BranchId, afresh: bool) {
        let Some(mut branch) = kept.remove(&id) else { return };
        let children = Arc::make_mut(&mut branch).restart(kept, afresh);
        self.branches.insert(id, branch);
        for child in children {
            self.restore(kept, child, false);
        }
    }
}

impl Branch {
    /// Keeps the Map Run that is under way here for a redrive, since it ends.
    pub(crate) fn set_map_run_aside(&mut self) {
        let Phase::In { step, map_run, .. } = &mut self.phase else { return };
        match std::mem::replace(step, Step::Ready) {
            Step::MapRun(open) => *map_run = Some(open),
            other => *step = other,
        }
    }

    /// Lets the state that this is in begin again; its branches or iterations only where they are to go on, and then it gives
    /// their ids. Those that were set aside go into `kept`.
    fn restart(&mut self, kept: &mut BTreeMap<BranchId, Arc<Branch>>, afresh: bool) -> Vec<BranchId> {
        self.set_map_run_aside();
        // What was not entered yet will be, and what was left stays so.
        let Phase::In { step, entered, retries, state_type, .. } = &mut self.phase else { return vec![] };
        retries.clear();
        let fork = match std::mem::replace(step, Step::Ready) {
            Step::Forked(fork) if !afresh => fork,
            Step::Stopped(stopped) if !afresh => {
                kept.extend(stopped.branches);
                stopped.fork
            }
            // All its branches or iterations have a result: it is the state's own output that failed.
            Step::Returned { result } if !afresh && state_type.forks() => {
                *step = Step::Returned { result };
                return vec![];
            }
            _ => {
                // Recorded: what begins again follows its Entered event, of which there is no second one.
                self.previous = *entered;
                return vec![];
            }
        };
        let children = fork.running.keys().copied().collect();
        let resumed = fork.has_room();
        *step = Step::Forked(Fork { resumed, ..fork });
        children
    }
}

impl StateType {
    fn forks(self) -> bool {
        matches!(self, StateType::Parallel | StateType::Map)
    }
}
