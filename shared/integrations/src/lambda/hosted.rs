//! Calls of functions that the program hosts, answered as the API of Lambda would.

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use stepwell_interpreter::ErrorOutput;
use uuid::Uuid;

use super::Invoked;
use super::invocation::{Invocation, InvocationType};
use crate::error::{LAMBDA, Refusal};
use crate::{FunctionHost, HostAnswer, HostCall};

pub(super) struct Hosted {
    host: Arc<dyn FunctionHost>,
}

impl Hosted {
    pub(super) fn new(host: Arc<dyn FunctionHost>) -> Self {
        Hosted { host }
    }

    /// Whether the function is hosted.
    pub(super) fn hosts(&self, invocation: &Invocation) -> bool {
        self.host.hosts(&invocation.function)
    }

    /// `None` where the function is not hosted.
    pub(super) async fn invoke(&self, invocation: &Invocation) -> Option<Result<Invoked, ErrorOutput>> {
        if !self.host.hosts(&invocation.function) {
            return None;
        }
        Some(match host_call(invocation) {
            Ok(call) => self.answer(invocation.kind, call).await,
            Err(error) => Err(error),
        })
    }

    async fn answer(&self, kind: InvocationType, call: HostCall) -> Result<Invoked, ErrorOutput> {
        let (request_id, trace_id) = (call.request_id.clone(), call.trace_id.clone());
        let invoked = |status, function_error, body: Bytes| {
            let headers = headers(&request_id, &trace_id, body.len(), function_error);
            Invoked { status, headers, body }
        };
        match kind {
            InvocationType::DryRun => Ok(invoked(204, false, Bytes::new())),
            InvocationType::Event => {
                let host = Arc::clone(&self.host);
                tokio::spawn(async move {
                    let (function, request_id) = (call.function.clone(), call.request_id.clone());
                    let has_succeeded = matches!(host.invoke(call).await, HostAnswer::Success(_));
                    tracing::debug!(
                        function,
                        request_id,
                        has_succeeded,
                        "a function called as an event has ended"
                    );
                });
                Ok(invoked(202, false, Bytes::new()))
            }
            InvocationType::RequestResponse => match self.host.invoke(call).await {
                HostAnswer::Success(body) => Ok(invoked(200, false, body)),
                HostAnswer::FunctionError(body) => Ok(invoked(200, true, body)),
                HostAnswer::Refused { status, code, message } => {
                    Err(refused(status, code, &message, &request_id))
                }
            },
        }
    }
}

fn host_call(invocation: &Invocation) -> Result<HostCall, ErrorOutput> {
    let request_id = Uuid::new_v4().to_string();
    let client_context = match invocation.client_context.as_deref().map(decoded) {
        None => None,
        Some(Some(text)) => Some(text),
        Some(None) => {
            let message = "Client context must be a valid Base64-encoded JSON object.";
            return Err(refused(400, "InvalidRequestContentException", message, &request_id));
        }
    };
    Ok(HostCall {
        function: invocation.function.to_string(),
        qualifier: invocation.qualifier.clone(),
        payload: invocation.payload.clone(),
        request_id,
        trace_id: new_trace_id(),
        client_context,
    })
}

fn decoded(client_context: &str) -> Option<String> {
    let text = String::from_utf8(BASE64_STANDARD.decode(client_context).ok()?).ok()?;
    stepwell_expr::json::check(&text).is_ok().then_some(text)
}

fn refused(status: u16, code: &str, message: &str, request_id: &str) -> ErrorOutput {
    LAMBDA.refused(&Refusal { status, code, message: Some(message), request_id: Some(request_id) })
}

/// The headers of Lambda's answer, in small letters.
fn headers(request_id: &str, trace_id: &str, bytes: usize, function_error: bool) -> Vec<(String, String)> {
    let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default();
    let mut headers = vec![
        ("date", now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()),
        ("content-type", "application/json".to_owned()),
        ("content-length", bytes.to_string()),
        ("connection", "keep-alive".to_owned()),
        ("x-amzn-requestid", request_id.to_owned()),
        ("x-amzn-remapped-content-length", "0".to_owned()),
        ("x-amz-executed-version", "$LATEST".to_owned()),
        ("x-amzn-trace-id", trace_id.to_owned()),
    ];
    if function_error {
        headers.push(("x-amz-function-error", "Unhandled".to_owned()));
    }
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn new_trace_id() -> String {
    let (root, parent) = (Uuid::new_v4().simple().to_string(), Uuid::new_v4().simple().to_string());
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("Root=1-{seconds:08x}-{};Parent={};Sampled=0", &root[..24], &parent[..16])
}
