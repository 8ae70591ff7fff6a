//! The Step Functions API as tasks call it: declared here, because the integration that calls it and the API that
//! answers do not know each other.

use async_trait::async_trait;
use bytes::Bytes;

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
    /// The task that calls.
    pub task: &'a TaskCall,
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
