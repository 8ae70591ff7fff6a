//! The Step Functions API as tasks call it: declared here, because the integration that calls it and the API that
//! answers do not know each other.

use async_trait::async_trait;
use bytes::Bytes;
use stepwell_interpreter::ExecutionInfo;

use crate::meta::Parent;
use crate::port::TaskCall;

/// Answers calls of the Step Functions API that tasks make: `states:startExecution` and `aws-sdk:sfn:…`.
#[async_trait]
pub trait StepFunctions: Send + Sync {
    /// Answers one call.
    async fn call(&self, call: StepFunctionsCall<'_>) -> StepFunctionsAnswer;
}

/// A call of the Step Functions API by a task.
#[derive(Clone, Copy)]
pub struct StepFunctionsCall<'a> {
    /// Such as `StartExecution`.
    pub operation: &'a str,
    /// The request: JSON.
    pub body: &'a [u8],
    /// Whose task calls.
    pub caller: Caller<'a>,
}

/// Whose task calls.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// The execution.
    pub info: &'a ExecutionInfo,
    /// The role that the task assumes.
    pub role: Option<&'a str>,
    /// What an execution that it starts is to have as its parent.
    pub parent: Option<&'a Parent>,
}

impl<'a> From<&'a TaskCall> for Caller<'a> {
    fn from(task: &'a TaskCall) -> Self {
        let (info, role) = (&*task.info, task.call.credentials.as_deref());
        Caller { info, role, parent: task.parent.as_ref() }
    }
}

/// What the API answered.
#[derive(Debug, Clone)]
pub struct StepFunctionsAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The result, or the exception: JSON.
    pub body: Bytes,
    /// The exception's name, such as `ExecutionDoesNotExist`.
    pub error_type: Option<&'static str>,
    /// `x-amzn-RequestId`
    pub request_id: String,
}
