//! Functions that the program itself hosts.

use async_trait::async_trait;
use bytes::Bytes;

/// Runs functions in the place of AWS Lambda.
#[async_trait]
pub trait FunctionHost: Send + Sync {
    /// Whether a function of this name or ARN, perhaps with a qualifier, is hosted here. All others are called
    /// elsewhere.
    fn hosts(&self, function: &str) -> bool;

    /// Calls a hosted function and waits for its end.
    ///
    /// The caller gives up by dropping the future. One call is one call: nothing is tried again that may have run.
    async fn invoke(&self, call: HostCall) -> HostAnswer;
}

/// A call of a hosted function. (API: Lambda Invoke.)
#[derive(Debug, Clone)]
pub struct HostCall {
    /// Its name or ARN as the state machine has it, perhaps with a qualifier.
    pub function: String,
    /// `Qualifier`, where the state machine gives one apart from the name.
    pub qualifier: Option<String>,
    /// The event: JSON text.
    pub payload: Bytes,
    /// The id of the request, which the function sees in its context.
    pub request_id: String,
    /// The X-Ray trace header.
    pub trace_id: String,
    /// The JSON text of the client context, decoded.
    pub client_context: Option<String>,
}

/// What came of a call of a hosted function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostAnswer {
    /// The function returned this, as it wrote it.
    Success(Bytes),
    /// The function failed, ran into its timeout or crashed: what AWS would answer beside `X-Amz-Function-Error`,
    /// mostly `{"errorType", "errorMessage", …}`.
    FunctionError(Bytes),
    /// The host refuses the call, which did not begin: the code and message of AWS's exception.
    Refused {
        /// The HTTP status AWS would answer.
        status: u16,
        /// Such as `InvalidParameterValueException`.
        code: &'static str,
        /// For people.
        message: String,
    },
}
