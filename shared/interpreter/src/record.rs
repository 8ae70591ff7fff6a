//! What is written down: the events of the public history, and the little that it does not show.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwell_asl::StateName;
use stepwell_expr::Payload;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
pub struct Timestamp(pub i64);

/// An event's place in its history, from 1; 0 stands for "none before".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
pub struct EventId(pub u64);

/// A branch of an execution's tree; 0 is the trunk. Numbers are given in the order of the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default, Hash)]
pub struct BranchId(pub u32);

/// One attempt of one task, numbered through the execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Hash)]
pub struct AttemptId(pub u32);

/// One timer of an execution, numbered through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Hash)]
pub struct TimerId(pub u32);

/// Who claims a call: one delivery of one message (PROTOCOL §1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Hash)]
pub struct Claimant {
    /// The message's id.
    pub message: Arc<str>,
    /// A random id of this delivery of it.
    pub delivery: u64,
}

/// One thing that happened to an execution. [`crate::evolve()`] folds records into an [`crate::Execution`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// An event of the public history.
    Event(Event),
    /// A timer was set.
    TimerSet {
        /// Its number.
        timer: TimerId,
        /// The branch it belongs to.
        branch: BranchId,
        /// When it is due.
        due: Timestamp,
        /// What it is for.
        purpose: crate::TimerPurpose,
    },
    /// A timer fired: what waited for it is ready. (Timers that are no longer wanted go with what they belong to.)
    TimerClosed {
        /// Its number.
        timer: TimerId,
    },
    /// A Retrier took an error up; the state begins again when the branch's timer fires.
    RetryScheduled {
        /// The branch that waits.
        branch: BranchId,
        /// Which of the state's Retriers.
        retrier: u32,
        /// What the next attempt's first event has as its `previousEventId`.
        previous: EventId,
    },
    /// A heartbeat came in for an attempt.
    HeartbeatReceived {
        /// The attempt.
        attempt: AttemptId,
        /// When.
        at: Timestamp,
    },
    /// A claim was given back, because its driver died and the call may be made again.
    ClaimReleased {
        /// The attempt, which stays the same.
        attempt: AttemptId,
    },
    /// A released attempt was claimed again.
    Claimed {
        /// The attempt.
        attempt: AttemptId,
        /// By whom.
        claimant: Claimant,
    },
    /// A driver died: it is fenced, and its open calls are settled in the same page.
    DriverLost {
        /// Who.
        claimant: Claimant,
    },
    /// A call was accepted and goes on without its driver, which the public history does not show: a function that was invoked
    /// asynchronously in place of a synchronous invocation.
    Accepted {
        /// The attempt.
        attempt: AttemptId,
        /// Until when its end is told, if it ever is.
        until: Timestamp,
    },
}

/// An event of the public history. Its id is its place among the execution's events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When it was decided.
    pub at: Timestamp,
    /// The branch it happened in.
    pub branch: BranchId,
    /// `previousEventId`
    pub previous: EventId,
    /// Its type and details, and what [`crate::evolve()`] needs besides.
    pub body: EventBody,
}

/// The types of state, for events that bear them in their name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say all")]
pub enum StateType {
    Pass,
    Task,
    Choice,
    Wait,
    Succeed,
    Fail,
    Parallel,
    Map,
}

/// Which family of events a task writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// `LambdaFunction…`: a function's ARN as the Resource.
    LambdaFunction {
        /// The function's ARN.
        resource: Arc<str>,
    },
    /// `Activity…`
    Activity {
        /// The activity's ARN.
        resource: Arc<str>,
    },
    /// `Task…`: a service integration.
    Task {
        /// Such as `lambda`.
        resource_type: Arc<str>,
        /// Such as `invoke.waitForTaskToken`.
        resource: Arc<str>,
        /// The region of the call.
        region: Arc<str>,
    },
}

/// What failed, as Retry, Catch and histories see it. `Cause` is missing where none was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct ErrorOutput {
    /// The error's name.
    pub error: Option<Arc<str>>,
    /// A text for people.
    pub cause: Option<Arc<str>>,
}

impl ExecutionInfo {
    /// The region in the execution's ARN.
    pub fn region(&self) -> &str {
        self.execution_arn.split(':').nth(3).unwrap_or_default()
    }
}

impl ErrorOutput {
    /// Characters that an error's name may have; a longer one is cut (API: SensitiveError).
    pub const ERROR_CHARACTERS_MAX: usize = 256;
    /// Characters that a cause may have; a longer one is cut (API: SensitiveCause).
    pub const CAUSE_CHARACTERS_MAX: usize = 32_768;

    /// The same, cut to what the API can show.
    pub fn cut(&self) -> Self {
        ErrorOutput {
            error: self.error.as_ref().map(|text| cut(text, Self::ERROR_CHARACTERS_MAX)),
            cause: self.cause.as_ref().map(|text| cut(text, Self::CAUSE_CHARACTERS_MAX)),
        }
    }

    /// An error with its cause.
    pub fn new(error: impl Into<Arc<str>>, cause: impl Into<Arc<str>>) -> Self {
        ErrorOutput { error: Some(error.into()), cause: Some(cause.into()) }
    }
}

fn cut(text: &Arc<str>, characters_max: usize) -> Arc<str> {
    // A text has no more characters than bytes: most need not be counted.
    if text.len() <= characters_max {
        return text.clone();
    }
    match text.char_indices().nth(characters_max) {
        Some((end, _)) => text[..end].into(),
        None => text.clone(),
    }
}

/// What an execution is started with, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionInfo {
    /// Its ARN.
    pub execution_arn: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The machine's ARN, without version or alias.
    pub state_machine_arn: Arc<str>,
    /// The machine's name.
    pub state_machine_name: Arc<str>,
    /// The machine's role.
    pub role_arn: Arc<str>,
    /// The version's ARN, where one was started.
    pub version_arn: Option<Arc<str>>,
    /// The alias's ARN, where one was started.
    pub alias_arn: Option<Arc<str>>,
    /// StartExecution's date.
    pub started_at: Timestamp,
    /// Whether calls may be made again after a crash, as in an Express workflow.
    pub express: bool,
}

/// The item of a Map iteration, for `$$.Map.Item`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MapItem {
    /// `Index`
    pub index: u32,
    /// `Key`, when an object is iterated.
    pub key: Option<Arc<str>>,
    /// `Value`
    #[serde(skip)]
    pub value: Payload,
}

/// What a Map Run keeps to (ASL: Map State in Distributed mode; API: UpdateMapRun).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
pub struct MapRunLimits {
    /// `MaxConcurrency`; 0 is the ceiling.
    pub max_concurrency: u32,
    /// `ToleratedFailureCount`, in items.
    pub tolerated_failure_count: Option<u64>,
    /// `ToleratedFailurePercentage`, from 0 to 100.
    pub tolerated_failure_percentage: Option<f64>,
    /// `MaxItemsPerBatch`
    pub max_items_per_batch: Option<u64>,
    /// `MaxInputBytesPerBatch`, of a child execution's whole input.
    pub max_input_bytes_per_batch: Option<u64>,
}

/// An event's type and details.
///
/// Fields that the public history does not show say what [`crate::evolve()`] needs: where the branch goes next, which
/// attempt this is. Payloads are kept outside the serialised form: see [`Record::visit_payloads`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum EventBody {
    /// `ExecutionStarted`
    ExecutionStarted {
        /// Everything fixed at the start.
        info: Arc<ExecutionInfo>,
        /// `input`
        #[serde(skip)]
        input: Payload,
        /// Where the trunk starts.
        start_at: StateName,
    },
    /// `ExecutionSucceeded`
    ExecutionSucceeded {
        /// `output`
        #[serde(skip)]
        output: Payload,
    },
    /// `ExecutionFailed`
    ExecutionFailed(ErrorOutput),
    /// `ExecutionAborted`
    ExecutionAborted(ErrorOutput),
    /// `ExecutionTimedOut`
    ExecutionTimedOut(ErrorOutput),

    /// `PassStateEntered` and its sisters
    StateEntered {
        /// The state's type.
        state_type: StateType,
        /// `name`
        name: StateName,
        /// `input`
        #[serde(skip)]
        input: Payload,
    },
    /// `PassStateExited` and its sisters
    StateExited {
        /// The state's type.
        state_type: StateType,
        /// `name`
        name: StateName,
        /// `output`
        #[serde(skip)]
        output: Payload,
        /// The names in `assignedVariables`.
        assigned: Vec<Arc<str>>,
        /// The values of `assignedVariables`, one for each name.
        #[serde(skip)]
        values: Vec<Payload>,
        /// The state that follows in the same block; `None` where the block ends.
        next: Option<StateName>,
    },
    /// `TaskStateAborted`, `WaitStateAborted`, `ParallelStateAborted`, `MapStateAborted`
    StateAborted {
        /// The state's type.
        state_type: StateType,
    },

    /// `TaskScheduled`, `LambdaFunctionScheduled`, `ActivityScheduled`
    Scheduled {
        /// Which.
        family: Family,
        /// The attempt that begins.
        attempt: AttemptId,
        /// Random: makes the attempt's task token unguessable and names its idempotent requests.
        nonce: u128,
        /// `parameters` or `input`
        #[serde(skip)]
        parameters: Payload,
        /// `timeoutInSeconds`
        timeout_seconds: Option<u64>,
        /// `heartbeatInSeconds`
        heartbeat_seconds: Option<u64>,
        /// `taskCredentials.roleArn`
        credentials: Option<Arc<str>>,
    },
    /// `LambdaFunctionScheduleFailed`, `ActivityScheduleFailed`
    ScheduleFailed(Family, ErrorOutput),
    /// `TaskStarted`, `LambdaFunctionStarted`, `ActivityStarted`: the claim
    Started {
        /// Which.
        family: Family,
        /// The attempt.
        attempt: AttemptId,
        /// Who makes the call; `None` for an activity, which a worker takes.
        claimant: Option<Claimant>,
        /// `workerName` of an activity's worker.
        worker: Option<Arc<str>>,
    },
    /// `TaskStartFailed`, `LambdaFunctionStartFailed`
    StartFailed(Family, ErrorOutput),
    /// `TaskSubmitted`
    Submitted {
        /// Which.
        family: Family,
        /// The attempt.
        attempt: AttemptId,
        /// `output`: what the call answered.
        #[serde(skip)]
        output: Payload,
    },
    /// `TaskSubmitFailed`
    SubmitFailed(Family, AttemptId, ErrorOutput),
    /// `TaskSucceeded`, `LambdaFunctionSucceeded`, `ActivitySucceeded`
    Succeeded {
        /// Which.
        family: Family,
        /// The attempt.
        attempt: AttemptId,
        /// `output`
        #[serde(skip)]
        output: Payload,
    },
    /// `TaskFailed`, `LambdaFunctionFailed`, `ActivityFailed`
    Failed(Family, AttemptId, ErrorOutput),
    /// `TaskTimedOut`, `LambdaFunctionTimedOut`, `ActivityTimedOut`
    TimedOut {
        /// Which.
        family: Family,
        /// The attempt.
        attempt: AttemptId,
        /// `error` (and no cause)
        error: ErrorOutput,
        /// Whether it was a heartbeat that was missed: a catcher may say `States.HeartbeatTimeout`.
        heartbeat: bool,
    },

    /// `ParallelStateStarted`
    ParallelStateStarted {
        /// Where each branch starts.
        branches: Vec<StateName>,
        /// Each branch's input.
        #[serde(skip)]
        input: Payload,
    },
    /// `ParallelStateSucceeded`
    ParallelStateSucceeded,
    /// `ParallelStateFailed`
    ParallelStateFailed,
    /// `MapStateStarted`
    MapStateStarted {
        /// `length`
        length: u32,
        /// The items: an array, or an object whose members are iterated.
        #[serde(skip)]
        items: Payload,
        /// How many iterations run at once; 0 where a Map Run will do the work, which holds the items.
        concurrency: u32,
    },
    /// `MapIterationStarted`
    MapIterationStarted {
        /// `name` of the Map state.
        name: StateName,
        /// `index` and the item.
        item: MapItem,
        /// The iteration's input.
        #[serde(skip)]
        input: Payload,
        /// Where the iteration starts.
        start_at: StateName,
    },
    /// `MapIterationSucceeded`
    MapIterationSucceeded {
        /// `name` of the Map state.
        name: StateName,
        /// `index`
        index: u32,
    },
    /// `MapIterationFailed`
    MapIterationFailed {
        /// `name` of the Map state.
        name: StateName,
        /// `index`
        index: u32,
    },
    /// `MapIterationAborted`
    MapIterationAborted {
        /// `name` of the Map state.
        name: StateName,
        /// `index`
        index: u32,
    },
    /// `MapStateSucceeded`
    MapStateSucceeded,
    /// `MapStateFailed`
    MapStateFailed,
    /// `EvaluationFailed`
    EvaluationFailed {
        /// `error` and `cause`
        error: ErrorOutput,
        /// `location`, such as `Output/result`
        location: Option<Arc<str>>,
        /// `state`
        state: StateName,
    },
    /// `MapRunStarted`: the Map Run is begun by the page's effect.
    MapRunStarted {
        /// The attempt that is open until the Map Run has ended.
        attempt: AttemptId,
        /// `mapRunArn`
        map_run_arn: Arc<str>,
        /// What it keeps to.
        limits: MapRunLimits,
        /// The items: an array, or an object whose members are iterated.
        #[serde(skip)]
        items: Payload,
        /// `BatchInput`, evaluated; absent where `has_batch_input` is not set.
        #[serde(skip)]
        batch_input: Payload,
        /// Whether each batch has a `BatchInput`.
        has_batch_input: bool,
    },
    /// `MapRunSucceeded`
    MapRunSucceeded {
        /// The attempt.
        attempt: AttemptId,
        /// The state's result, which the public history shows as its output.
        #[serde(skip)]
        output: Payload,
        /// Whether the state's Exited event follows `MapRunStarted` and not this one.
        exits_behind_start: bool,
    },
    /// `MapRunFailed`
    MapRunFailed(AttemptId, ErrorOutput),
    /// `MapRunAborted`: nobody waits for it any more.
    MapRunAborted(AttemptId),
    /// `ExecutionRedriven`: an execution that has ended goes on
    ExecutionRedriven {
        /// `redriveCount`
        count: u32,
        /// The request's random id.
        request: u64,
        /// `clientToken`
        token: Option<Arc<str>>,
    },
    /// `MapRunRedriven`: the Map Run that the state had begun goes on by the page's effect.
    MapRunRedriven {
        /// The attempt that is open until the Map Run has ended again.
        attempt: AttemptId,
        /// `mapRunArn`
        map_run_arn: Arc<str>,
        /// `redriveCount`
        count: u32,
    },
}

impl Record {
    /// Shows every payload of this record, in a fixed order: how a page stores each distinct payload once.
    pub fn visit_payloads<'a>(&'a self, visit: &mut dyn FnMut(&'a Payload)) {
        let Record::Event(event) = self else { return };
        match &event.body {
            EventBody::ExecutionStarted { input, .. }
            | EventBody::StateEntered { input, .. }
            | EventBody::ParallelStateStarted { input, .. } => visit(input),
            EventBody::ExecutionSucceeded { output }
            | EventBody::Submitted { output, .. }
            | EventBody::Succeeded { output, .. }
            | EventBody::MapRunSucceeded { output, .. } => visit(output),
            EventBody::StateExited { output, values, .. } => {
                visit(output);
                values.iter().for_each(visit);
            }
            EventBody::MapRunStarted { items, batch_input, .. } => {
                visit(items);
                visit(batch_input);
            }
            EventBody::Scheduled { parameters, .. } => visit(parameters),
            EventBody::MapStateStarted { items, .. } => visit(items),
            EventBody::MapIterationStarted { item, input, .. } => {
                visit(&item.value);
                visit(input);
            }
            _ => {}
        }
    }

    /// Gives every payload of this record, in the order of [`Record::visit_payloads`], to be put in place.
    ///
    /// The values of `assignedVariables` are made as many as there are names first.
    pub fn visit_payloads_mut(&mut self, visit: &mut dyn FnMut(&mut Payload)) {
        let Record::Event(event) = self else { return };
        match &mut event.body {
            EventBody::ExecutionStarted { input, .. }
            | EventBody::StateEntered { input, .. }
            | EventBody::ParallelStateStarted { input, .. } => visit(input),
            EventBody::ExecutionSucceeded { output }
            | EventBody::Submitted { output, .. }
            | EventBody::Succeeded { output, .. }
            | EventBody::MapRunSucceeded { output, .. } => visit(output),
            EventBody::MapRunStarted { items, batch_input, .. } => {
                visit(items);
                visit(batch_input);
            }
            EventBody::StateExited { output, assigned, values, .. } => {
                visit(output);
                values.resize_with(assigned.len(), Payload::default);
                values.iter_mut().for_each(visit);
            }
            EventBody::Scheduled { parameters, .. } => visit(parameters),
            EventBody::MapStateStarted { items, .. } => visit(items),
            EventBody::MapIterationStarted { item, input, .. } => {
                visit(&mut item.value);
                visit(input);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_cut_to_what_the_api_can_show() {
        let long = "é".repeat(40_000);
        let error = ErrorOutput::new(long.as_str(), long.as_str()).cut();
        assert_eq!(error.error.map(|text| text.chars().count()), Some(256));
        assert_eq!(error.cause.map(|text| text.chars().count()), Some(32_768));
        let short = ErrorOutput::new("Busy", "é".repeat(32_768));
        assert_eq!(short.cut(), short);
    }
}
