//! The engine: what the API, the functions and the program call.

use std::sync::{Arc, Weak};
use std::time::Duration;

use stepwell_expr::Payload;
use stepwell_interpreter::{Execution, ExecutionInfo, Record, Timestamp};
use tokio::sync::broadcast;

use crate::cache::Cache;
use crate::definitions::{ActivityNames, Definitions, Loggings, activity_names, definitions, loggings};
use crate::line::Lines;
use crate::map_run::{Plan, Turns};
use crate::meta::Parent;
use crate::pace::Pace;
use crate::port::{BoxError, Ports, StateMachine};
use crate::redrive::NotRedrivable;
use crate::run::Run;
use crate::stored::Packing;

/// How an engine works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a driver goes on beginning work before it hands over to a fresh message.
    pub slice: Duration,
    /// How long a driver waits for the end of a call; `None`: as long as the call takes, or the [`Deadline`] lets it. A call that may
    /// take longer is made so that it goes on by itself.
    pub wait_max: Option<Duration>,
    /// Calls that one driver keeps open at once.
    pub calls_max: usize,
    /// Whether, when a message is delivered again, the driver of its former delivery is known to be dead: so on one
    /// machine, where one process owns the store. Otherwise leases say (PROTOCOL, line 23).
    pub former_deliveries_are_dead: bool,
    /// Longest delay that the queue is asked for (SQS takes 900 s as `DelaySeconds`); longer ones go to the scheduler.
    pub queue_delay_max: Duration,
    /// How long a driver's message stays hidden, and its lease holds, without a sign of life (V of PROTOCOL §1).
    pub visibility: Duration,
    /// Receipts after which the queue gives a message up; on the last but one its execution is parked.
    pub receives_max: Option<u32>,
    /// How long a port that does not answer is tried again. While calls are under way their driver tries it for as long as its
    /// [`Deadline`] lets it: nobody else learns what comes of them.
    pub patience: Duration,
    /// Executions whose fold is kept at hand.
    pub cached_runs: usize,
    /// How pages are made smaller.
    pub packing: Packing,
    /// Executions of one Map Run at a time at the most, whatever it asks for.
    pub map_run_children_max: u64,
    /// Whether Express executions that nothing waits for are run in memory, from a message alone: at least once, and known by
    /// their logs only, as in AWS. Otherwise they are kept like Standard ones.
    pub express_in_memory: bool,
    /// How long one decision goes on to the next state; what is still ready then is decided for the next page.
    pub decision_max: Duration,
    /// How a decision is run that may keep its thread for long: as it is, or where it keeps no other driver from going on.
    pub aside: fn(&mut dyn FnMut()),
    /// Decisions that are run so at once.
    pub aside_max: usize,
}

impl Default for Settings {
    /// One machine's settings.
    fn default() -> Self {
        Settings {
            slice: Duration::from_secs(60),
            wait_max: None,
            calls_max: 1_000,
            former_deliveries_are_dead: true,
            queue_delay_max: Duration::from_secs(900),
            visibility: Duration::from_secs(60),
            receives_max: None,
            patience: Duration::from_secs(30),
            cached_runs: 128,
            packing: Packing::Quick,
            map_run_children_max: 1_000,
            express_in_memory: false,
            decision_max: Duration::from_millis(100),
            aside: |decide| decide(),
            aside_max: 4,
        }
    }
}

/// Until when something has to be done with, by the monotonic clock ([`crate::port::Clock::monotonic`]): what a function is given
/// for one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// From then on no driver begins work: it hands over to a fresh message. What waits for somebody waits no longer.
    pub hands_over: Duration,
    /// From then on a port that does not answer is not tried again, and no answer to a call is waited for.
    pub gives_up: Duration,
}

/// Drives executions over its ports. A clone is the same engine.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
    deadline: Option<Deadline>,
    insists: bool,
}

/// An engine that may be gone: what an engine's own ports hold of it, so that they do not keep one another.
#[derive(Clone)]
pub struct WeakEngine(Weak<Inner>);

impl WeakEngine {
    /// The engine, while somebody keeps it.
    pub fn upgrade(&self) -> Option<Engine> {
        self.0.upgrade().map(|inner| Engine { inner, deadline: None, insists: false })
    }
}

pub(crate) struct Inner {
    pub(crate) ports: Ports,
    pub(crate) settings: Settings,
    pub(crate) committed: broadcast::Sender<Committed>,
    /// Folds at hand, by their execution. A driver takes one out and puts it back.
    pub(crate) runs: Cache<Arc<str>, Box<Run>>,
    pub(crate) definitions: Definitions,
    pub(crate) activity_names: ActivityNames,
    pub(crate) loggings: Loggings,
    /// Workers that wait for tasks.
    pub(crate) lines: Lines,
    /// What Map Runs under way are made from, by their ARN.
    pub(crate) plans: Cache<Arc<str>, Arc<Plan>>,
    /// Who drives which Map Run.
    pub(crate) turns: Turns,
    /// Which machines' decisions take long.
    pub(crate) pace: Pace,
}

/// Map Runs under way whose [`Plan`] is kept at hand.
const PLANS_MAX: usize = 64;

/// What is started, and how.
#[derive(Debug, Clone)]
pub struct StartRequest {
    /// The machine, in the revision to run.
    pub machine: Arc<StateMachine>,
    /// The execution's ARN.
    pub execution_arn: Arc<str>,
    /// The execution's name.
    pub name: Arc<str>,
    /// The input.
    pub input: Payload,
    /// `traceHeader`
    pub trace_header: Option<Arc<str>>,
    /// The version that was asked for.
    pub version_arn: Option<Arc<str>>,
    /// The alias that was asked for.
    pub alias_arn: Option<Arc<str>>,
    /// What is told of the execution's end, where it is a part of something.
    pub parent: Option<Parent>,
}

/// A start's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// `executionArn`
    pub execution_arn: Arc<str>,
    /// `startDate`
    pub started_at: Timestamp,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another execution has this name (API: ExecutionAlreadyExists).
    #[error("execution {arn} exists")]
    AlreadyExists {
        /// Its ARN.
        arn: Arc<str>,
    },
    /// A port did not answer. The execution may start all the same, and the same request may be made again.
    #[error("the execution could not be started: {0}")]
    Unavailable(#[source] BoxError),
}

/// An Express execution that was run to its end in the caller's task.
#[derive(Debug, Clone)]
pub struct ExpressRun {
    /// What it was started with.
    pub info: Arc<ExecutionInfo>,
    /// Every record.
    pub records: Vec<Record>,
    /// Its end.
    pub execution: Execution,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub stopped_at: Timestamp,
}

/// Why an execution was not stopped.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// There is none of this ARN (API: ExecutionDoesNotExist).
    #[error("execution {0} does not exist")]
    DoesNotExist(Arc<str>),
    /// A port did not answer.
    #[error("the execution could not be stopped: {0}")]
    Unavailable(#[source] BoxError),
}

/// Why a Map Run was not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateMapRunError {
    /// There is none of this ARN (API: ResourceNotFound).
    #[error("map run {0} does not exist")]
    DoesNotExist(Arc<str>),
    /// It is over, or its end is decided.
    #[error("map run {0} is over")]
    Completed(Arc<str>),
    /// A port did not answer.
    #[error("the map run could not be changed: {0}")]
    Unavailable(#[source] BoxError),
}

/// Why an execution was not redriven.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// There is none of this ARN (API: ExecutionDoesNotExist).
    #[error("execution {0} does not exist")]
    DoesNotExist(Arc<str>),
    /// It is not one to be redriven (API: ExecutionNotRedrivable).
    #[error("the execution cannot be redriven: {0}")]
    NotRedrivable(NotRedrivable),
    /// A port did not answer.
    #[error("the execution could not be redriven: {0}")]
    Unavailable(#[source] BoxError),
}

/// Why a callback was refused.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// No engine made this token (API: InvalidToken).
    #[error("invalid token")]
    InvalidToken,
    /// The token's execution or attempt does not exist (API: TaskDoesNotExist).
    #[error("the task does not exist")]
    TaskDoesNotExist,
    /// The attempt has ended already (API: TaskTimedOut).
    #[error("the task has ended")]
    TaskTimedOut,
    /// A port did not answer.
    #[error("the callback could not be taken: {0}")]
    Unavailable(#[source] BoxError),
}

/// What becomes of a delivered message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driven {
    /// Everything it stands for is done or has another message: delete it.
    Done,
    /// Keep it, and deliver it again, not before `after`.
    Again {
        /// From now.
        after: Duration,
    },
}

/// Records that were just committed, for a live view.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The execution's ARN.
    pub execution_arn: Arc<str>,
    /// The records, in order.
    pub records: Arc<[Record]>,
}

impl Engine {
    /// An engine over `ports`.
    pub fn new(ports: Ports, settings: Settings) -> Self {
        let (committed, _) = broadcast::channel(1024);
        let (runs, definitions) = (Cache::new(settings.cached_runs), definitions());
        let (activity_names, loggings, lines) = (activity_names(), loggings(), Lines::default());
        let pace = Pace::new(settings.aside_max);
        let (plans, turns) = (Cache::new(PLANS_MAX), Turns::default());
        let inner = Inner {
            ports,
            settings,
            committed,
            runs,
            definitions,
            activity_names,
            loggings,
            lines,
            plans,
            turns,
            pace,
        };
        Engine { inner: Arc::new(inner), deadline: None, insists: false }
    }

    /// The same engine, for what has to be done by then: beside its settings, the earlier counts.
    #[must_use]
    pub fn until(&self, deadline: Deadline) -> Self {
        Engine { deadline: Some(deadline), ..self.clone() }
    }

    /// The same engine, for who knows what nobody else does: a port that does not answer is tried for as long as there is time.
    pub(crate) fn insisting(&self) -> Self {
        Engine { insists: true, ..self.clone() }
    }

    /// When a driver that begins now hands over.
    pub(crate) fn slice_ends(&self) -> Duration {
        let ends = self.inner.ports.clock.monotonic() + self.inner.settings.slice;
        self.deadline.map_or(ends, |deadline| ends.min(deadline.hands_over))
    }

    /// When a port that does not answer from now on is not tried any more, and when that is worth a word.
    pub(crate) fn patience_ends(&self) -> (Duration, Duration) {
        let ends = self.before_the_end(self.inner.settings.patience);
        let latest = || self.deadline.map_or(Duration::MAX, |deadline| deadline.gives_up);
        (if self.insists { latest() } else { ends }, ends)
    }

    /// How long somebody is waited for who may be waited for as long as `most`.
    pub(crate) fn waits(&self, most: Duration) -> Duration {
        let now = self.inner.ports.clock.monotonic();
        self.deadline.map_or(most, |deadline| most.min(deadline.hands_over.saturating_sub(now)))
    }

    /// When something ends that may take as long as `most` from now.
    pub(crate) fn before_the_end(&self, most: Duration) -> Duration {
        let ends = self.inner.ports.clock.monotonic() + most;
        self.deadline.map_or(ends, |deadline| ends.min(deadline.gives_up))
    }

    /// How long a driver can wait for the end of a call that it makes before its slice is over; `None` where nothing bounds that.
    pub(crate) fn wait_max(&self) -> Option<Duration> {
        let by_deadline = self.deadline.map(|Deadline { hands_over, gives_up }| {
            let latest = hands_over.max(self.inner.ports.clock.monotonic());
            gives_up.saturating_sub(latest)
        });
        self.inner.settings.wait_max.into_iter().chain(by_deadline).min()
    }

    /// The same engine, without keeping it.
    pub fn downgrade(&self) -> WeakEngine {
        WeakEngine(Arc::downgrade(&self.inner))
    }

    /// The ports it stands on.
    pub fn ports(&self) -> &Ports {
        &self.inner.ports
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Everything that is committed from now on, as it is committed by this engine. A receiver that falls behind
    /// loses the oldest.
    pub fn watch(&self) -> broadcast::Receiver<Committed> {
        self.inner.committed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_may_be_awaited_on_any_thread() {
        fn send<T: Send>(_: impl Fn(&'static Engine, StartRequest) -> T) {}
        send(|engine, request| engine.start(request));
        send(|engine, request| engine.start_sync(request));
        fn send_test<T: Send>(_: impl Fn(&'static Engine, crate::TestRequest) -> T) {}
        send_test(|engine, request| engine.test_state(request));
        send(|engine, _| engine.stop("", Default::default()));
        send(|engine, _| engine.redrive("", None));
        send(|engine, _| engine.send_task_heartbeat(""));
        send(|engine, _| engine.activity_task("", None));
        send(|engine, _| engine.describe(""));
        send(|engine, _| engine.history(""));
        send(|engine, _| {
            let claimant = stepwell_interpreter::Claimant { message: "".into(), delivery: 0 };
            let body = crate::message::MessageBody::Continue { after: 0, bury: None };
            let (run, sent_at) = (Default::default(), Timestamp(0));
            engine.drive(
                crate::message::Message { execution: "".into(), run, epoch: 0, sent_at, body },
                claimant,
                1,
            )
        });
    }
}
