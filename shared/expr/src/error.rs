//! Why an expression gave no value.

/// Why an expression gave no value.
///
/// The interpreter turns it into an `ErrorOutput`: `error` is the reserved error name, and `message` becomes the
/// cause behind `An error occurred while executing the state '…' (entered at the event id #n). `.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{error}: {message}")]
pub struct EvalError {
    /// `States.Runtime`, `States.QueryEvaluationError` and their like.
    pub error: &'static str,
    /// The text as AWS words it, whole and with the field's name.
    pub message: String,
    /// The field for `EvaluationFailed.location`, such as `Output/result`; JSONata only.
    pub location: Option<String>,
}

impl EvalError {
    /// A template gave more than any state may make.
    pub fn too_large() -> Self {
        EvalError { error: "States.DataLimitExceeded", message: String::new(), location: None }
    }

    /// An error `States.Runtime`.
    pub fn runtime(message: String) -> Self {
        EvalError { error: "States.Runtime", message, location: None }
    }
}
