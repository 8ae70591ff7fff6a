//! The API of Lambda over HTTP.

use std::time::Duration;

use ::http::Request;
use bytes::Bytes;
use stepwell_asl::ErrorName;
use stepwell_engine::port::{Accepted, TaskCall};
use stepwell_interpreter::{ErrorOutput, Resource};

use super::functions::{EventConfig, Functions};
use super::invocation::{Invocation, InvocationType};
use super::{Invoked, service_result};
use crate::client::{CallError, ServiceClient, escaped};
use crate::error::{self, LAMBDA};
use crate::exception::Exception;
use crate::http::{HttpAnswer, HttpError};
use crate::{Aws, Service};

/// The most that is read of an answer: Lambda's own limit with room for headers and escapes.
const BODY_BYTES_MAX: usize = 7 * 1024 * 1024;

/// Calls functions over the API of Lambda. Connections are kept and used again.
pub struct LambdaClient {
    client: ServiceClient,
    aws: Aws,
    functions: Functions,
}

/// What is added to a function's timeout: it may have to be set up first, which takes ten seconds at the most, and to be reached.
const SET_UP: Duration = Duration::from_secs(12);

/// How long after an asynchronous invocation's end that is told at the latest: destinations are tried again, too.
const TOLD_WITHIN: Duration = Duration::from_secs(15 * 60);

impl LambdaClient {
    /// Calls functions where `aws` says.
    pub fn new(aws: &Aws) -> Self {
        LambdaClient {
            client: ServiceClient::new(aws, Service::Lambda),
            aws: aws.clone(),
            functions: Functions::new(aws),
        }
    }

    /// Invokes a function asynchronously that may take longer than `wait_max`; `None` where it may be waited for, or what it takes
    /// cannot be known.
    pub(super) async fn accept(
        &self,
        task: &TaskCall,
        invocation: Invocation,
        wait_max: Duration,
    ) -> Result<Option<Accepted>, ErrorOutput> {
        let bounded =
            task.call.timeout_seconds.is_some_and(|seconds| Duration::from_secs(seconds) <= wait_max);
        let awaits_token = task.call.resource.has_token();
        if invocation.kind != InvocationType::RequestResponse || (bounded && !awaits_token) {
            return Ok(None);
        }
        let timeout = match self.functions.timeout(&invocation).await {
            Some(timeout) if timeout + SET_UP > wait_max => timeout,
            _ => return Ok(None),
        };
        let config = self.functions.event_config(&invocation).await;
        let event_age_max = match config {
            EventConfig::Told { event_age_max } => event_age_max,
            // Its token tells of its end, but for a failure that it does not live to see.
            _ if awaits_token => Duration::ZERO,
            EventConfig::Unreadable => return Ok(None),
            EventConfig::Lacks(what) => return Err(not_told(&invocation, timeout, wait_max, what)),
        };
        if invocation.client_context.is_some() {
            let why = "no ClientContext, which functions do not get that are invoked asynchronously";
            return Err(not_told(&invocation, timeout, wait_max, why));
        }
        let invoked = self.invoke(task, &Invocation { kind: InvocationType::Event, ..invocation }).await?;
        let Some(id) = invoked.header("x-amzn-requestid").filter(|id| !id.is_empty()) else {
            return Err(error::lambda_unknown("Lambda took the event and gave it no id"));
        };
        Ok(Some(Accepted {
            id: id.into(),
            trace: invoked.header("x-amzn-trace-id").map(Into::into),
            within: timeout + event_age_max + TOLD_WITHIN,
            submitted: if awaits_token { Some(service_result(&invoked)?) } else { None },
        }))
    }

    /// Makes one call: one request, sent once.
    pub(super) async fn invoke(
        &self,
        task: &TaskCall,
        invocation: &Invocation,
    ) -> Result<Invoked, ErrorOutput> {
        let keys = self.aws.keys_for(task, Service::Lambda).await?;
        let request = self.request(invocation).map_err(|error| LAMBDA.client(error))?;
        let answer = match self.client.send_with(&keys, request, BODY_BYTES_MAX).await {
            Ok(answer) => answer,
            Err(CallError::Http(HttpError::TooLarge(_))) => {
                return Err(error::result_too_large(name_in_errors(task)));
            }
            Err(CallError::Http(HttpError::Unknown(why))) => return Err(error::lambda_unknown(why)),
            Err(error) => return Err(LAMBDA.not_called(&error)),
        };
        if (200..300).contains(&answer.status) {
            Ok(invoked(answer))
        } else {
            Err(LAMBDA.refused(&Exception::of_json(&answer).as_refusal()))
        }
    }

    fn request(&self, invocation: &Invocation) -> Result<Request<Bytes>, ::http::Error> {
        let function = escaped(&invocation.function, b"");
        let mut uri = format!("{}/2015-03-31/functions/{function}/invocations", self.client.endpoint());
        if let Some(qualifier) = &invocation.qualifier {
            uri.push_str("?Qualifier=");
            uri.push_str(&escaped(qualifier, b""));
        }
        let mut request = Request::post(uri).header("content-type", "application/json");
        if invocation.kind != InvocationType::RequestResponse {
            request = request.header("x-amz-invocation-type", invocation.kind.name());
        }
        if invocation.tail {
            request = request.header("x-amz-log-type", "Tail");
        }
        if let Some(context) = &invocation.client_context {
            request = request.header("x-amz-client-context", context);
        }
        request.body(invocation.payload.clone())
    }
}

/// A function that a driver cannot wait for, and whose end nobody would be told.
fn not_told(invocation: &Invocation, timeout: Duration, wait_max: Duration, what: &str) -> ErrorOutput {
    let (function, timeout, wait_max) = (&invocation.function, timeout.as_secs(), wait_max.as_secs());
    let cause = format!(
        "The function {function} may take {timeout} seconds, and calls are waited for up to {wait_max} seconds. To be invoked \
         asynchronously it needs {what}."
    );
    ErrorOutput::new(ErrorName::TASK_FAILED, cause)
}

fn name_in_errors(task: &TaskCall) -> &str {
    if let Resource::LambdaFunction { arn } = &*task.call.resource { arn } else { "lambda" }
}

fn invoked(answer: HttpAnswer) -> Invoked {
    let headers = answer
        .headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    Invoked { status: answer.status, headers, body: answer.body }
}
