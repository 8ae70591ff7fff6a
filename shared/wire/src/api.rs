//! The entrance: one call of the API.

use std::sync::Arc;

use bytes::Bytes;
use stepwell_engine::map_run::MapRun;
use stepwell_engine::meta::{Meta, Parent};
use stepwell_engine::port::{Activity, Clock};
use stepwell_engine::{Deadline, Engine};
use stepwell_interpreter::Timestamp;

use crate::answer::Answer;
use crate::capacity::{self, Capacity};
use crate::throttle::Throttle;
use crate::{
    ActivityArn, Error, ExecutionArn, MapRunArn, create_activity, create_state_machine,
    create_state_machine_alias, delete_activity, delete_state_machine, delete_state_machine_alias,
    delete_state_machine_version, describe_activity, describe_execution, describe_map_run,
    describe_state_machine, describe_state_machine_alias, describe_state_machine_for_execution,
    get_activity_task, get_execution_history, id, list_activities, list_executions, list_map_runs,
    list_state_machine_aliases, list_state_machine_versions, list_state_machines,
    publish_state_machine_version, redrive_execution, request, send_task, start_execution,
    start_sync_execution, stop_execution, tags, update_map_run, update_state_machine,
    update_state_machine_alias, validate_state_machine_definition,
};

/// Whose state machines these are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The account number.
    pub account: Arc<str>,
    /// The region.
    pub region: Arc<str>,
}

/// The API over an engine. A clone is the same one.
#[derive(Clone)]
pub struct Api {
    engine: Engine,
    settings: Arc<Settings>,
    throttle: Option<Arc<Throttle>>,
    capacity: Option<Arc<dyn Capacity>>,
}

/// A call.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The header `X-Amz-Target`, such as `AWSStepFunctions.StartExecution`.
    pub target: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// The header `X-Amzn-Trace-Id`, which goes before the member `traceHeader`.
    pub trace_header: Option<&'a str>,
    /// The task that calls, where it waits for the execution that it starts.
    pub parent: Option<&'a Parent>,
}

/// The answer to a call.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body: JSON, to be sent as [`Reply::CONTENT_TYPE`].
    pub body: Bytes,
    /// The exception's name, such as `ExecutionDoesNotExist`, where the call failed.
    pub error_type: Option<&'static str>,
    /// The header `x-amzn-RequestId`.
    pub request_id: String,
}

impl Reply {
    /// The header `Content-Type` of every reply.
    pub const CONTENT_TYPE: &'static str = "application/x-amz-json-1.0";
}

impl Api {
    /// What `X-Amz-Target` begins with.
    pub const TARGET_PREFIX: &'static str = "AWSStepFunctions.";

    /// The API over `engine`.
    pub fn new(engine: Engine, settings: Settings) -> Self {
        Api { engine, settings: Arc::new(settings), throttle: None, capacity: None }
    }

    /// The same API, which refuses who asks too often. It is not asked about the calls that tasks make.
    #[must_use]
    pub fn throttled(self, throttle: Throttle) -> Self {
        Api { throttle: Some(Arc::new(throttle)), ..self }
    }

    /// The same API, which refuses more work than there is room for. It is not asked about the calls that tasks make, since those
    /// belong to work that is there.
    #[must_use]
    pub fn within(self, capacity: Arc<dyn Capacity>) -> Self {
        Api { capacity: Some(capacity), ..self }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whose state machines these are.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The same API for another account, which sees nothing of this one.
    #[must_use]
    pub fn in_account(&self, account: &str) -> Self {
        if *self.settings.account == *account {
            return self.clone();
        }
        let settings = Settings { account: account.into(), region: self.settings.region.clone() };
        Api { settings: Arc::new(settings), ..self.clone() }
    }

    /// The same API, for calls that have to be answered by then.
    #[must_use]
    pub fn until(&self, deadline: Deadline) -> Self {
        Api { engine: self.engine.until(deadline), ..self.clone() }
    }

    /// Answers a call that has nothing but a target and a body.
    pub async fn call(&self, target: &str, body: &[u8]) -> Reply {
        self.answer(Call { target, body, trace_header: None, parent: None }).await
    }

    /// Answers a call. Whatever the body holds, there is an answer.
    pub async fn answer(&self, call: Call<'_>) -> Reply {
        let request_id = id::random_uuid(self.clock());
        match self.dispatch(call).await {
            Ok(answer) => Reply { status: 200, body: answer.finish().into(), error_type: None, request_id },
            Err(error) => {
                if let Error::Internal(cause) = &error {
                    tracing::error!(
                        target = call.target,
                        request_id,
                        cause,
                        "the call could not be answered"
                    );
                }
                let (status, body) = (error.status(), error.body().into());
                Reply { status, body, error_type: Some(error.name()), request_id }
            }
        }
    }

    /// The answer to a request that is refused before it is read.
    pub fn refuse(&self, error: &Error) -> Reply {
        let request_id = id::random_uuid(self.clock());
        Reply {
            status: error.status(),
            body: error.body().into(),
            error_type: Some(error.name()),
            request_id,
        }
    }

    async fn dispatch(&self, call: Call<'_>) -> Result<Answer, Error> {
        let operation = call.target.strip_prefix(Api::TARGET_PREFIX).unwrap_or_default();
        if let Some(throttle) = &self.throttle {
            throttle.admit(&self.settings.account, operation, self.clock().monotonic())?;
        }
        let bytes = call.body.len();
        let place = self.capacity.as_ref().map(|capacity| capacity::place(&**capacity, operation, bytes));
        // Kept until the call is answered.
        let _place = place.transpose()?;
        let body = &request::parse(call.body)?;
        match operation {
            "StartExecution" => start_execution::answer(self, body, call).await,
            "DescribeExecution" => describe_execution::answer(self, body).await,
            "SendTaskSuccess" => send_task::success(self, body).await,
            "SendTaskFailure" => send_task::failure(self, body).await,
            "SendTaskHeartbeat" => send_task::heartbeat(self, body).await,
            "StartSyncExecution" => start_sync_execution::answer(self, body, call.trace_header).await,
            "StopExecution" => stop_execution::answer(self, body).await,
            "DescribeMapRun" => describe_map_run::answer(self, body).await,
            "ListMapRuns" => list_map_runs::answer(self, body).await,
            "UpdateMapRun" => update_map_run::answer(self, body).await,
            "RedriveExecution" => redrive_execution::answer(self, body).await,
            "GetExecutionHistory" => get_execution_history::answer(self, body).await,
            "ListExecutions" => list_executions::answer(self, body).await,
            "DescribeStateMachineForExecution" => {
                describe_state_machine_for_execution::answer(self, body).await
            }
            "CreateStateMachine" => create_state_machine::answer(self, body).await,
            "UpdateStateMachine" => update_state_machine::answer(self, body).await,
            "DescribeStateMachine" => describe_state_machine::answer(self, body).await,
            "ListStateMachines" => list_state_machines::answer(self, body).await,
            "DeleteStateMachine" => delete_state_machine::answer(self, body).await,
            "PublishStateMachineVersion" => publish_state_machine_version::answer(self, body).await,
            "ListStateMachineVersions" => list_state_machine_versions::answer(self, body).await,
            "DeleteStateMachineVersion" => delete_state_machine_version::answer(self, body).await,
            "CreateStateMachineAlias" => create_state_machine_alias::answer(self, body).await,
            "UpdateStateMachineAlias" => update_state_machine_alias::answer(self, body).await,
            "DescribeStateMachineAlias" => describe_state_machine_alias::answer(self, body).await,
            "ListStateMachineAliases" => list_state_machine_aliases::answer(self, body).await,
            "DeleteStateMachineAlias" => delete_state_machine_alias::answer(self, body).await,
            "ValidateStateMachineDefinition" => validate_state_machine_definition::answer(body),
            #[cfg(feature = "test-state")]
            "TestState" => crate::test_state::answer(self, body).await,
            "CreateActivity" => create_activity::answer(self, body).await,
            "DescribeActivity" => describe_activity::answer(self, body).await,
            "ListActivities" => list_activities::answer(self, body).await,
            "DeleteActivity" => delete_activity::answer(self, body).await,
            "GetActivityTask" => get_activity_task::answer(self, body).await,
            "TagResource" => tags::tag(self, body).await,
            "UntagResource" => tags::untag(self, body).await,
            "ListTagsForResource" => tags::list(self, body).await,
            _ => Err(unknown(call.target)),
        }
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.engine.ports().clock
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock().now()
    }

    /// The activity that `arn` names.
    ///
    /// # Errors
    /// [`Error::ActivityDoesNotExist`].
    pub(crate) async fn activity(&self, arn: &ActivityArn) -> Result<Arc<Activity>, Error> {
        let missing = || Error::ActivityDoesNotExist(arn.text().to_string());
        if !arn.is_here() {
            return Err(missing());
        }
        self.engine.ports().activities.activity(arn.text()).await?.ok_or_else(missing)
    }

    /// The Map Run that `arn` names.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`].
    pub(crate) async fn map_run(&self, arn: &MapRunArn) -> Result<Arc<MapRun>, Error> {
        let missing = || Error::ResourceNotFound(arn.text().to_string());
        if !arn.is_here() {
            return Err(missing());
        }
        self.engine.map_run(arn.text()).await?.ok_or_else(missing)
    }

    /// What is known of the execution that `arn` names.
    ///
    /// # Errors
    /// [`Error::ExecutionDoesNotExist`].
    pub(crate) async fn execution(&self, arn: &ExecutionArn) -> Result<Arc<Meta>, Error> {
        let missing = || Error::ExecutionDoesNotExist(arn.text().to_string());
        if !arn.is_here() {
            return Err(missing());
        }
        self.engine.describe(arn.text()).await?.ok_or_else(missing)
    }
}

fn unknown(target: &str) -> Error {
    let shown: String = target.chars().take(100).collect();
    Error::UnknownOperation(format!("'{shown}' is no operation of the API of AWS Step Functions"))
}
