//! How a call ended.

use bytes::Bytes;
use serde::Serialize;

/// How a call of a function ended. Everything but [`Outcome::Success`] is a function error to the caller, with the
/// payload that AWS would answer beside `X-Amz-Function-Error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The function returned this payload, as it wrote it.
    Success(Bytes),
    /// The function failed; the payload is what it told, mostly `{"errorType", "errorMessage", …}`.
    FunctionError(Bytes),
    /// The call took longer than the function's timeout, and its process was killed (`Sandbox.Timedout`).
    Timeout(Bytes),
    /// The process ended before it answered (`Runtime.ExitError`). The function may have done some of its work.
    Crashed {
        /// The payload AWS would answer.
        payload: Bytes,
        /// How the process ended: `exit status 1`, `signal: killed`.
        reason: String,
    },
    /// The process did not come up, so the function was not called.
    InitError(Bytes),
}

impl Outcome {
    /// The payload: the function's result, or the JSON text of its error.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        match self {
            Self::Success(payload)
            | Self::FunctionError(payload)
            | Self::Timeout(payload)
            | Self::Crashed { payload, .. }
            | Self::InitError(payload) => payload,
        }
    }

    /// Whether AWS would set `X-Amz-Function-Error`.
    #[must_use]
    pub fn is_error(&self) -> bool {
        !matches!(self, Self::Success(_))
    }
}

/// Why a call did not begin.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The project declares no function of this name.
    #[error("no function `{name}` is declared here")]
    FunctionNotFound {
        /// What was asked for.
        name: String,
    },
    /// A request id or client context that no HTTP header can carry.
    #[error("{what} holds a character that no header can carry")]
    Header {
        /// Which of the two.
        what: &'static str,
    },
    /// The host is being dropped.
    #[error("the host of the functions is closing")]
    Closing,
}

/// A failure in the words of AWS's own sandbox: these carry the request in their message.
pub(super) fn sandbox_error(error_type: &str, request_id: &str, message: &str) -> Bytes {
    error_json(error_type, &format!("RequestId: {request_id} Error: {message}"))
}

/// `{"errorType", "errorMessage"}`.
pub(super) fn error_json(error_type: &str, message: &str) -> Bytes {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Error<'a> {
        error_type: &'a str,
        error_message: &'a str,
    }
    let error = Error { error_type, error_message: message };
    serde_json::to_vec(&error).expect("two strings are always JSON").into()
}
