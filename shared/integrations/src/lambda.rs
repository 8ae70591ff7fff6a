//! Functions: `arn:aws:lambda:…` as a Resource, and `lambda:invoke`.

#[cfg(feature = "lambda")]
mod client;
#[cfg(feature = "lambda")]
mod functions;
mod hosted;
mod invocation;
mod record;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use stepwell_asl::ErrorName;
use stepwell_engine::port::{Accepted, TaskCall};
use stepwell_expr::json::{DEPTH_MAX, JsonErrorKind, parse};
use stepwell_expr::{Map, Payload, Value};
use stepwell_interpreter::{ErrorOutput, PAYLOAD_BYTES_MAX, Pattern, Resource};

use crate::error;
use crate::metadata::{Spelling, sdk_members};
use crate::{FunctionHost, Integration};
#[cfg(feature = "lambda")]
pub use client::LambdaClient;
use hosted::Hosted;
use invocation::Invocation;
pub use record::InvocationRecord;

/// Calls functions: those the program hosts, and all others over the API of Lambda.
#[derive(Default)]
pub struct Lambda {
    hosted: Option<Hosted>,
    #[cfg(feature = "lambda")]
    client: Option<LambdaClient>,
}

impl Lambda {
    /// Knows no function yet.
    pub fn new() -> Self {
        Lambda::default()
    }

    /// Functions of `host` go before those of AWS.
    #[must_use]
    pub fn hosted_by(mut self, host: Arc<dyn FunctionHost>) -> Self {
        self.hosted = Some(Hosted::new(host));
        self
    }

    /// Functions that are not hosted here are called by `client`.
    #[cfg(feature = "lambda")]
    #[must_use]
    pub fn called_by(mut self, client: LambdaClient) -> Self {
        self.client = Some(client);
        self
    }

    /// What a task asks of a function.
    fn invocation(task: &TaskCall) -> Result<Invocation, ErrorOutput> {
        match &*task.call.resource {
            Resource::LambdaFunction { arn } => Ok(Invocation::of_function(arn, &task.call.parameters)),
            _ => Invocation::of_parameters(&task.call.parameters),
        }
    }

    async fn invoke(&self, task: &TaskCall, invocation: Invocation) -> Result<Invoked, ErrorOutput> {
        if let Some(hosted) = &self.hosted
            && let Some(invoked) = hosted.invoke(&invocation).await
        {
            return invoked;
        }
        #[cfg(feature = "lambda")]
        if let Some(client) = &self.client {
            return client.invoke(task, &invocation).await;
        }
        let _ = task;
        let cause =
            format!("The function '{}' is not hosted here, and no endpoint is known.", invocation.function);
        Err(error::LAMBDA.client(cause))
    }
}

/// What Lambda answered to a call that it took.
struct Invoked {
    status: u16,
    /// Names in small letters, in the order received.
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Invoked {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn is_function_error(&self) -> bool {
        self.header("x-amz-function-error").is_some()
    }
}

#[async_trait]
impl Integration for Lambda {
    async fn call(&self, task: &TaskCall) -> Result<Payload, ErrorOutput> {
        match &*task.call.resource {
            Resource::LambdaFunction { arn } => {
                let invoked = self.invoke(task, Self::invocation(task)?).await?;
                if invoked.is_function_error() {
                    return Err(function_error(&invoked.body, false));
                }
                bare_result(arn, invoked.body)
            }
            _ => {
                let invoked = self.invoke(task, Self::invocation(task)?).await?;
                if invoked.is_function_error() {
                    return Err(function_error(&invoked.body, true));
                }
                service_result(&invoked)
            }
        }
    }

    async fn accept(&self, task: &TaskCall, wait_max: Duration) -> Result<Option<Accepted>, ErrorOutput> {
        let invocation = Self::invocation(task)?;
        if self.hosted.as_ref().is_some_and(|hosted| hosted.hosts(&invocation)) {
            return Ok(None);
        }
        #[cfg(feature = "lambda")]
        if let Some(client) = &self.client {
            return client.accept(task, invocation, wait_max).await;
        }
        let _ = wait_max;
        Ok(None)
    }

    fn offers(&self, action: &str, pattern: Pattern) -> bool {
        action == "invoke" && matches!(pattern, Pattern::RequestResponse | Pattern::WaitForTaskToken)
    }
}

/// The result of a bare function: its payload as it wrote it.
fn bare_result(arn: &str, body: Bytes) -> Result<Payload, ErrorOutput> {
    if body.len() > PAYLOAD_BYTES_MAX {
        // Over the limit whatever it is: parsing it would be for nothing.
        return Err(error::result_too_large(arn));
    }
    let text = match String::from_utf8(body.into()) {
        Ok(text) => text,
        Err(error) => return Ok(Payload::of(String::from_utf8_lossy(error.as_bytes()).as_ref().into())),
    };
    let text: Arc<str> = text.into();
    match Payload::parse(text.clone()) {
        Ok(payload) => Ok(payload),
        Err(error) if error.kind == JsonErrorKind::Depth => Err(too_deep()),
        Err(_) => Ok(Payload::of(text.into())),
    }
}

/// The result of `lambda:invoke`.
fn service_result(invoked: &Invoked) -> Result<Payload, ErrorOutput> {
    let mut result = Map::with_capacity(6);
    if let Some(version) = invoked.header("x-amz-executed-version") {
        result.insert("ExecutedVersion", version.into());
    }
    if let Some(log) = invoked.header("x-amz-log-result") {
        result.insert("LogResult", log.into());
    }
    result.insert("Payload", value_of(&invoked.body)?);
    let headers = invoked.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let request_id = invoked.header("x-amzn-requestid").unwrap_or_default();
    for (name, member) in sdk_members(invoked.status, headers, request_id, Spelling::Classic) {
        result.insert(name, member);
    }
    result.insert("StatusCode", i64::from(invoked.status).into());
    Ok(Payload::of(Value::object(result)))
}

/// A payload's value; text that is no JSON becomes a string.
fn value_of(body: &[u8]) -> Result<Value, ErrorOutput> {
    if body.len() > PAYLOAD_BYTES_MAX {
        return Err(error::result_too_large("lambda"));
    }
    let text = String::from_utf8_lossy(body);
    match parse(&text) {
        Ok(value) => Ok(value),
        Err(error) if error.kind == JsonErrorKind::Depth => Err(too_deep()),
        Err(_) => Ok(text.as_ref().into()),
    }
}

fn too_deep() -> ErrorOutput {
    let cause =
        format!("The payload that the function returned is nested more than {DEPTH_MAX} levels deep.");
    ErrorOutput::new(ErrorName::RUNTIME, cause)
}

/// The error of a function that failed. `compact` says that the payload is written anew for the cause.
fn function_error(body: &[u8], compact: bool) -> ErrorOutput {
    let text = String::from_utf8_lossy(body);
    let value = parse(&text).ok();
    let error_type = value
        .as_ref()
        .and_then(|value| value.get("errorType"))
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty());
    let Some(error_type) = error_type else {
        let cause = "The cause could not be determined because Lambda did not return an error type.";
        return ErrorOutput::new(ErrorName::LAMBDA_UNKNOWN, format!("{cause} Returned payload: {text}"));
    };
    let cause = match &value {
        Some(value) if compact => value.to_json(),
        _ => text.as_ref().to_owned(),
    };
    ErrorOutput::new(error_type, cause)
}
