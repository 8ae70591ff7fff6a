//! The engine: what the API, the functions and the program call.

use std::sync::Arc;
use std::time::Duration;

use stepwell_asl::{Definition, Diagnostic};
use stepwell_expr::Payload;
use stepwell_interpreter::{Claimant, ErrorOutput, Execution, ExecutionInfo, Record, Timestamp};
use tokio::sync::broadcast;

use crate::message::{Callback, Message};
use crate::meta::Meta;
use crate::port::{BoxError, JournalError, ListQuery, Listed, Ports, StateMachine};

/// How an engine works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a driver goes on beginning work before it hands over to a fresh message.
    pub slice: Duration,
    /// Calls that one driver keeps open at once.
    pub calls_max: usize,
    /// Whether, when a message is delivered again, the driver of its former delivery is known to be dead: so on one
    /// machine, where one process owns the store. Otherwise leases say (PROTOCOL, line 23).
    pub former_deliveries_are_dead: bool,
    /// How long a driver's message stays hidden, and its lease holds, without a sign of life (V of PROTOCOL §1).
    pub visibility: Duration,
    /// Receipts after which the queue gives a message up; on the last but one its execution is parked.
    pub receives_max: Option<u32>,
    /// How long a port that does not answer is tried again.
    pub patience: Duration,
    /// Executions whose fold is kept at hand.
    pub cached_runs: usize,
}

impl Default for Settings {
    /// One machine's settings.
    fn default() -> Self {
        Settings {
            slice: Duration::from_secs(60),
            calls_max: 1_000,
            former_deliveries_are_dead: true,
            visibility: Duration::from_secs(60),
            receives_max: None,
            patience: Duration::from_secs(30),
            cached_runs: 512,
        }
    }
}

/// Drives executions over its ports. A clone is the same engine.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) ports: Ports,
    pub(crate) settings: Settings,
    pub(crate) committed: broadcast::Sender<Committed>,
}

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
        Engine { inner: Arc::new(Inner { ports, settings, committed }) }
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

#[expect(clippy::unimplemented, unused_variables, reason = "signatures first")]
impl Engine {
    /// A machine's definition, parsed once for each revision.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn definition(&self, machine: &StateMachine) -> Result<Arc<Definition>, Vec<Diagnostic>> {
        unimplemented!()
    }

    /// Starts an execution (API: StartExecution; PROTOCOL §5, s1–s4).
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(&self, request: StartRequest) -> Result<Started, StartError> {
        unimplemented!()
    }

    /// Runs an Express execution to its end in the caller's task (API: StartSyncExecution). Nothing is stored.
    ///
    /// # Errors
    /// [`StartError::Unavailable`] where the definition cannot be read.
    pub async fn start_sync(&self, request: StartRequest) -> Result<ExpressRun, StartError> {
        unimplemented!()
    }

    /// Stops an execution (API: StopExecution) and gives its stop date; one that has ended keeps its own.
    ///
    /// # Errors
    /// [`StopError`].
    pub async fn stop(&self, execution_arn: &str, error: ErrorOutput) -> Result<Timestamp, StopError> {
        unimplemented!()
    }

    /// Ends the attempt that `token` names (API: SendTaskSuccess, SendTaskFailure).
    ///
    /// # Errors
    /// [`CallbackError`].
    pub async fn send_task_result(&self, token: &str, result: Callback) -> Result<(), CallbackError> {
        unimplemented!()
    }

    /// A sign of life of the attempt that `token` names (API: SendTaskHeartbeat).
    ///
    /// # Errors
    /// [`CallbackError`].
    pub async fn send_task_heartbeat(&self, token: &str) -> Result<(), CallbackError> {
        unimplemented!()
    }

    /// What is known of an execution, its output included.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn describe(&self, execution_arn: &str) -> Result<Option<Arc<Meta>>, JournalError> {
        unimplemented!()
    }

    /// Every record of an execution, also while it runs.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn history(
        &self,
        execution_arn: &str,
    ) -> Result<Option<(Arc<Meta>, Vec<Record>)>, JournalError> {
        unimplemented!()
    }

    /// Executions, newest first.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn list(&self, query: ListQuery) -> Result<Listed, JournalError> {
        self.inner.ports.journal.list(query).await
    }

    /// Drives the execution that `message` is for (PROTOCOL §4), for the delivery that `claimant` names, which is the
    /// message's `receives`th, from 1.
    pub async fn drive(&self, message: Message, claimant: Claimant, receives: u32) -> Driven {
        unimplemented!()
    }
}
