//! What an execution is at one moment: the fold of its records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use stepwell_asl::StateName;
use stepwell_expr::Payload;

use crate::Pattern;
use crate::record::{
    AttemptId, BranchId, Claimant, ErrorOutput, EventId, ExecutionInfo, Family, MapItem, MapRunLimits,
    StateType, TimerId, Timestamp,
};

/// An execution: a tree of branches, and what is open in it. Only [`crate::evolve()`] changes one.
///
/// A clone costs a reference count for each live branch, so that a decision can be made on a copy.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Execution {
    pub(crate) info: Option<Arc<ExecutionInfo>>,
    pub(crate) input: Payload,
    pub(crate) status: Status,
    pub(crate) last_event: EventId,
    pub(crate) branches: BTreeMap<BranchId, Arc<Branch>>,
    pub(crate) timers: BTreeMap<TimerId, Timer>,
    pub(crate) branches_made: u32,
    pub(crate) attempts_made: u32,
    pub(crate) timers_made: u32,
    pub(crate) lost: Vec<Claimant>,
    pub(crate) abandoned: Vec<Job>,
    pub(crate) abandoned_map_runs: Vec<Arc<str>>,
    /// Once it has ended without success: the branches as they stood then, for a redrive.
    pub(crate) kept: BTreeMap<BranchId, Arc<Branch>>,
    /// The latest redrives, the last one last.
    pub(crate) redrives: Option<Arc<Vec<Redriven>>>,
    /// When the state machine's `TimeoutSeconds` began anew, until their timer is set.
    pub(crate) timed_from: Option<Timestamp>,
}

/// One redrive of an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Redriven {
    /// Which it is, from 1.
    pub count: u32,
    /// When.
    pub at: Timestamp,
    /// Its event.
    pub event: EventId,
    /// The random id of the request.
    pub request: u64,
    /// `clientToken` of the request.
    pub token: Option<Arc<str>>,
}

/// How far an execution is.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Status {
    /// No record yet.
    #[default]
    New,
    /// `RUNNING`
    Running,
    /// `SUCCEEDED`
    Succeeded {
        /// The output.
        output: Payload,
        /// When.
        at: Timestamp,
    },
    /// `FAILED`
    Failed {
        /// Why.
        error: ErrorOutput,
        /// When.
        at: Timestamp,
    },
    /// `ABORTED`
    Aborted {
        /// What StopExecution said.
        error: ErrorOutput,
        /// When.
        at: Timestamp,
    },
    /// `TIMED_OUT`
    TimedOut {
        /// When.
        at: Timestamp,
    },
}

impl Status {
    /// Whether the execution has ended.
    pub fn is_terminal(&self) -> bool {
        !matches!(self, Status::New | Status::Running)
    }

    /// The API's word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Status::New | Status::Running => "RUNNING",
            Status::Succeeded { .. } => "SUCCEEDED",
            Status::Failed { .. } => "FAILED",
            Status::Aborted { .. } => "ABORTED",
            Status::TimedOut { .. } => "TIMED_OUT",
        }
    }
}

/// A timer that is set.
#[derive(Debug, Clone, PartialEq)]
pub struct Timer {
    /// The branch it belongs to.
    pub branch: BranchId,
    /// When it is due.
    pub due: Timestamp,
    /// What it is for.
    pub purpose: TimerPurpose,
}

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimerPurpose {
    /// A Wait state's end.
    Wait,
    /// A Retrier's delay.
    Retry,
    /// An attempt's `TimeoutSeconds`.
    Timeout(AttemptId),
    /// An attempt's `HeartbeatSeconds`.
    Heartbeat(AttemptId),
    /// The state machine's `TimeoutSeconds`, or [`crate::EXPRESS_SECONDS_MAX`].
    Execution,
}

/// One line of states that follow one another: the trunk, a Parallel's branch, or a Map's iteration.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    /// The branch whose Parallel or Map made this one, and this one's index there; `None` for the trunk.
    pub parent: Option<(BranchId, u32)>,
    /// The `previousEventId` of what happens next here.
    pub previous: EventId,
    /// The variables of this branch's scope. Outer ones are read through [`Branch::parent`].
    pub variables: Arc<BTreeMap<Arc<str>, Payload>>,
    /// The item, in a Map's iteration.
    pub item: Option<Arc<MapItem>>,
    /// Where it stands.
    pub phase: Phase,
}

/// Where a branch stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Before a state.
    Before {
        /// Which.
        state: StateName,
        /// What it will be entered with.
        input: Payload,
    },
    /// In a state.
    In {
        /// Which.
        state: StateName,
        /// Its type.
        state_type: StateType,
        /// What it was entered with.
        input: Payload,
        /// Its Entered event.
        entered: EventId,
        /// When.
        entered_at: Timestamp,
        /// The Entered event's own `previousEventId`.
        before: EventId,
        /// How often each of its Retriers was used.
        retries: Vec<u32>,
        /// What it is at.
        step: Step,
        /// The Map Run that it began and that ended without success: a redrive lets it go on.
        map_run: Option<Box<MapRun>>,
    },
    /// After its last state.
    Done {
        /// With what.
        output: Payload,
    },
}

/// What a state is at.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// To be begun, for the first time or again.
    Ready,
    /// A Wait state's timer is set.
    Waiting,
    /// A Wait state's time has come.
    Waited,
    /// A Retrier's delay is on.
    Backoff,
    /// A task is under way.
    Calling(Box<Call>),
    /// The task, branches or iterations gave a result.
    Returned {
        /// The result.
        result: Payload,
    },
    /// The task failed.
    Erred {
        /// Why.
        error: ErrorOutput,
        /// Whether by a missed heartbeat.
        heartbeat: bool,
    },
    /// Branches or iterations are under way.
    Forked(Fork),
    /// A Map Run is under way.
    MapRun(Box<MapRun>),
    /// One of the branches or iterations failed, and with it the state.
    Stopped(Box<Stopped>),
}

/// A Map Run as the execution sees it that waits for it.
#[derive(Debug, Clone, PartialEq)]
pub struct MapRun {
    /// The attempt that its end ends.
    pub attempt: AttemptId,
    /// Its ARN.
    pub arn: Arc<str>,
    /// What it keeps to, to begin with.
    pub limits: MapRunLimits,
    /// Its items: an array, or an object whose members are iterated.
    pub items: Payload,
    /// `BatchInput`, evaluated.
    pub batch_input: Option<Payload>,
    /// How often it was redriven.
    pub redrives: u32,
}

impl MapRun {
    /// How many items it has.
    pub fn length(&self) -> u64 {
        match self.items.value() {
            stepwell_expr::Value::Object(members) => members.len() as u64,
            items => items.as_array().map_or(0, |items| items.len() as u64),
        }
    }
}

/// What a Parallel or Map state that failed leaves behind, until it is left or redriven.
#[derive(Debug, Clone, PartialEq)]
pub struct Stopped {
    /// The branches or iterations.
    pub fork: Fork,
    /// Those that were under way, with all that they forked.
    pub branches: Vec<(BranchId, Arc<Branch>)>,
}

/// An attempt of a task that is open.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Which.
    pub attempt: AttemptId,
    /// Its nonce.
    pub nonce: u128,
    /// Which events it writes.
    pub family: Family,
    /// What it is called with.
    pub parameters: Payload,
    /// `TimeoutSeconds`
    pub timeout_seconds: Option<u64>,
    /// `HeartbeatSeconds`
    pub heartbeat_seconds: Option<u64>,
    /// The role to assume.
    pub credentials: Option<Arc<str>>,
    /// How far it is.
    pub progress: Progress,
    /// The last sign of life.
    pub heard_at: Timestamp,
    /// What the call answered, once it is [`Progress::Submitted`].
    pub submitted: Option<Payload>,
    /// Until when the end of the call is told, where it goes on without its driver and the public history does not show that.
    pub accepted_until: Option<Timestamp>,
}

/// How far a [`Call`] is.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// An activity's: no worker has it yet. Another's: its claim was given back.
    Scheduled,
    /// A driver makes it, or a worker has it (then without claimant).
    Started(Option<Claimant>),
    /// It was accepted, and its end is awaited from outside.
    Submitted,
}

/// What a call began that goes on by itself, such as the execution of a `states:startExecution.sync`.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The attempt that began it.
    pub attempt: AttemptId,
    /// Which events the attempt writes; it tells the service.
    pub family: Family,
    /// The role that was assumed for the call.
    pub credentials: Option<Arc<str>>,
    /// What the call answered.
    pub submitted: Payload,
}

/// The branches or iterations of a Parallel or Map state.
#[derive(Debug, Clone, PartialEq)]
pub struct Fork {
    /// How many there are in all.
    pub length: u32,
    /// How many were begun.
    pub begun: u32,
    /// How many have ended.
    pub ended: u32,
    /// How many may run at once.
    pub concurrency: u32,
    /// Those under way, with their index.
    pub running: BTreeMap<BranchId, u32>,
    /// The outputs of those that have ended.
    pub results: Vec<Option<Payload>>,
    /// A Map's items.
    pub items: Payload,
    /// The state's Started event.
    pub started: EventId,
    /// Whether a redrive left room for iterations that were never begun.
    pub resumed: bool,
}

impl Execution {
    /// How far it is.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// What it was started with; `None` before its first record.
    pub fn info(&self) -> Option<&Arc<ExecutionInfo>> {
        self.info.as_ref()
    }

    /// The jobs that went on when the attempts that had begun them were given up. When it ends they are stopped, those
    /// again that were stopped before: whoever was to do it may have died.
    pub fn abandoned(&self) -> &[Job] {
        &self.abandoned
    }

    /// Its input.
    pub fn input(&self) -> &Payload {
        &self.input
    }

    /// The id of its last event.
    pub fn last_event(&self) -> EventId {
        self.last_event
    }

    /// How often it was redriven.
    pub fn redrive_count(&self) -> u32 {
        self.redrives().last().map_or(0, |redriven| redriven.count)
    }

    /// The latest redrives, [`crate::REDRIVES_REMEMBERED`] at most, the last one last.
    pub fn redrives(&self) -> &[Redriven] {
        self.redrives.as_deref().map_or(&[], Vec::as_slice)
    }

    /// The timers that are set.
    pub fn timers(&self) -> impl Iterator<Item = (TimerId, &Timer)> {
        self.timers.iter().map(|(id, timer)| (*id, timer))
    }

    /// The live branches, the trunk first.
    pub fn branches(&self) -> impl Iterator<Item = (BranchId, &Branch)> {
        self.branches.iter().map(|(id, branch)| (*id, &**branch))
    }

    /// The attempts that are open.
    pub fn calls(&self) -> impl Iterator<Item = (BranchId, &Call)> {
        self.branches().filter_map(|(id, branch)| Some((id, branch.call()?)))
    }

    /// The open attempt `attempt`.
    pub fn call(&self, attempt: AttemptId) -> Option<(BranchId, &Call)> {
        self.calls().find(|(_, call)| call.attempt == attempt)
    }

    /// Whether `attempt` is open and waits for something that its call began: that call was answered.
    pub fn awaits_child(&self, attempt: AttemptId) -> bool {
        self.call(attempt).is_some_and(|(_, call)| call.progress == Progress::Submitted)
    }

    /// The Map Runs that are under way.
    pub fn map_runs(&self) -> impl Iterator<Item = (BranchId, &MapRun)> {
        self.branches().filter_map(|(id, branch)| Some((id, branch.map_run()?)))
    }

    /// The Map Run under way whose end ends `attempt`.
    pub fn map_run(&self, attempt: AttemptId) -> Option<(BranchId, &MapRun)> {
        self.map_runs().find(|(_, map_run)| map_run.attempt == attempt)
    }

    /// The ARNs of the Map Runs that nobody waits for any more though they were under way, in the order that this came
    /// about. They are to be stopped.
    pub fn abandoned_map_runs(&self) -> &[Arc<str>] {
        &self.abandoned_map_runs
    }

    /// The open attempts that `claimant` has claimed and whose call has not been accepted.
    pub fn claims<'a>(&'a self, claimant: &'a Claimant) -> impl Iterator<Item = AttemptId> + 'a {
        self.calls().filter(move |(_, call)| call.claimant() == Some(claimant)).map(|(_, call)| call.attempt)
    }

    /// Whether pure logic can go on: some branch stands before a state, or in one that has something to do.
    pub fn is_ready(&self) -> bool {
        self.status == Status::Running && self.branches.values().any(|branch| branch.is_ready())
    }

    /// Whether `claimant` was buried.
    pub fn is_lost(&self, claimant: &Claimant) -> bool {
        self.lost.contains(claimant)
    }

    /// The branch `id`; once the execution has ended, a branch that is done.
    ///
    /// An execution may end in the middle of a state's work, when its history is full.
    pub(crate) fn branch(&self, id: BranchId) -> &Branch {
        static ENDED: LazyLock<Arc<Branch>> = LazyLock::new(|| {
            Arc::new(Branch {
                parent: None,
                previous: EventId(0),
                variables: Arc::default(),
                item: None,
                phase: Phase::Done { output: Payload::default() },
            })
        });
        self.branches.get(&id).unwrap_or_else(|| {
            let holds = "a branch lives while something refers to it: evolve removes them together";
            assert!(self.status.is_terminal(), "{holds}");
            &ENDED
        })
    }

    /// The variable `name` as `branch` sees it.
    pub(crate) fn variable(&self, branch: BranchId, name: &str) -> Option<&Payload> {
        let mut at = Some(branch);
        while let Some(branch) = at.and_then(|id| self.branches.get(&id)) {
            if let Some(value) = branch.variables.get(name) {
                return Some(value);
            }
            at = branch.parent.map(|(parent, _)| parent);
        }
        None
    }

    /// Bytes of all variables, but for those of `branch` that `assigned` takes the place of.
    pub(crate) fn variables_bytes_but(&self, branch: BranchId, assigned: &[(Arc<str>, Payload)]) -> usize {
        let new: BTreeSet<&Arc<str>> = assigned.iter().map(|(name, _)| name).collect();
        let stays = |id: BranchId, name: &Arc<str>| id != branch || !new.contains(name);
        self.branches
            .iter()
            .flat_map(|(id, branch)| branch.variables.iter().filter(move |(name, _)| stays(*id, name)))
            .map(|(_, value)| value.bytes())
            .sum()
    }

    /// The type of the state that `branch` is in, as its Entered event told.
    pub(crate) fn last_state_type(&self, branch: BranchId) -> Option<StateType> {
        match &self.branches.get(&branch)?.phase {
            Phase::In { state_type, .. } => Some(*state_type),
            _ => None,
        }
    }

    /// The nearest Map iteration that `branch` is in.
    pub(crate) fn item(&self, branch: BranchId) -> Option<&Arc<MapItem>> {
        let mut at = Some(branch);
        while let Some(branch) = at.and_then(|id| self.branches.get(&id)) {
            if branch.item.is_some() {
                return branch.item.as_ref();
            }
            at = branch.parent.map(|(parent, _)| parent);
        }
        None
    }

    /// `root` and everything forked from it, the deepest last.
    pub(crate) fn descendants(&self, root: BranchId) -> Vec<BranchId> {
        let mut found = vec![];
        let mut todo = vec![root];
        while let Some(id) = todo.pop() {
            if let Some(Phase::In { step: Step::Forked(fork), .. }) = self.branches.get(&id).map(|b| &b.phase)
            {
                for child in fork.running.keys().rev() {
                    todo.push(*child);
                }
            }
            if id != root {
                found.push(id);
            }
        }
        found
    }
}

impl Branch {
    /// The attempt that is open here.
    pub fn call(&self) -> Option<&Call> {
        match &self.phase {
            Phase::In { step: Step::Calling(call), .. } => Some(call),
            _ => None,
        }
    }

    /// The Map Run that is under way here.
    pub fn map_run(&self) -> Option<&MapRun> {
        match &self.phase {
            Phase::In { step: Step::MapRun(map_run), .. } => Some(map_run),
            _ => None,
        }
    }

    /// Whether pure logic can go on here.
    pub fn is_ready(&self) -> bool {
        match &self.phase {
            Phase::Before { .. } => true,
            Phase::In { step, .. } => match step {
                Step::Ready | Step::Waited | Step::Returned { .. } | Step::Erred { .. } => true,
                Step::Calling(call) => call.is_released(),
                Step::Forked(fork) => fork.resumed,
                Step::Waiting | Step::Backoff | Step::Stopped(_) | Step::MapRun(_) => false,
            },
            Phase::Done { .. } => false,
        }
    }
}

impl Call {
    /// What the call began, where the attempt waits for that.
    pub(crate) fn job(&self) -> Option<Job> {
        let Family::Task { resource, .. } = &self.family else { return None };
        let awaits_job = [Pattern::Sync, Pattern::Sync2].iter().any(|p| resource.ends_with(p.suffix()));
        let submitted = self.submitted.clone().filter(|_| awaits_job)?;
        let (family, credentials) = (self.family.clone(), self.credentials.clone());
        Some(Job { attempt: self.attempt, family, credentials, submitted })
    }

    /// When `TimeoutSeconds` are over, where the state has any.
    pub(crate) fn times_out_at(&self) -> Option<Timestamp> {
        self.timeout_seconds.map(|seconds| self.heard_at.plus_seconds(seconds))
    }

    /// Who makes the call.
    pub fn claimant(&self) -> Option<&Claimant> {
        if let Progress::Started(claimant) = &self.progress { claimant.as_ref() } else { None }
    }

    /// The activity's ARN, where no worker has taken the attempt yet.
    pub fn untaken_activity(&self) -> Option<&Arc<str>> {
        match &self.family {
            Family::Activity { resource } if self.progress == Progress::Scheduled => Some(resource),
            _ => None,
        }
    }

    /// Whether the claim was given back, so that another driver may make the call.
    pub fn is_released(&self) -> bool {
        self.progress == Progress::Scheduled && !matches!(self.family, Family::Activity { .. })
    }
}
