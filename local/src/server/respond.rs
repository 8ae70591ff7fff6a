//! One request, and its answer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use stepwell_wire::{Api, Call, Error, REQUEST_BYTES_MAX, Reply};

use super::hosts::Hosts;

/// What is served.
pub(super) struct Site {
    api: Api,
    hosts: Hosts,
    body_timeout: Duration,
}

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Characters of `traceHeader` at most (API: StartExecution).
const TRACE_ID_MAX: usize = 256;

/// The operations that last as long as what they run.
const LASTING: [&str; 2] = ["AWSStepFunctions.StartSyncExecution", "AWSStepFunctions.TestState"];

/// Why a body was not read.
enum Unread {
    TooLarge,
    TooSlow,
    Broken,
}

impl Site {
    pub(super) fn new(api: Api, hosts: Hosts, body_timeout: Duration) -> Self {
        Site { api, hosts, body_timeout }
    }

    /// Answers a request, whatever it is.
    pub(super) async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if !self.is_addressed(&request) {
            return text(StatusCode::FORBIDDEN, "This server does not answer under that name.\n");
        }
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/") => self.call(request).await,
            (&Method::GET | &Method::HEAD, "/") => text(StatusCode::OK, &self.about()),
            (_, "/") => {
                let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "POST calls the API.\n");
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
                response
            }
            _ => text(StatusCode::NOT_FOUND, "There is nothing here.\n"),
        }
    }

    fn is_addressed(&self, request: &Request<Incoming>) -> bool {
        let in_uri = request.uri().authority().map(|authority| authority.as_str());
        let host = in_uri.or_else(|| request.headers().get(HOST).and_then(|host| host.to_str().ok()));
        host.is_some_and(|host| self.hosts.contain(host))
    }

    fn about(&self) -> String {
        let settings = self.api.settings();
        format!(
            "Stepwell {}: the API of AWS Step Functions, region {}, account {}.\n\
             Give SDKs and the AWS CLI this address as AWS_ENDPOINT_URL_SFN.\n",
            env!("CARGO_PKG_VERSION"),
            settings.region,
            settings.account,
        )
    }

    async fn call(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let body = match tokio::time::timeout(self.body_timeout, read(body)).await {
            Ok(Ok(body)) => body,
            Ok(Err(Unread::TooLarge)) => return closing(answered(self.api.refuse(&Error::RequestTooLarge))),
            Ok(Err(Unread::Broken)) => return closing(text(StatusCode::BAD_REQUEST, "No body.\n")),
            Ok(Err(Unread::TooSlow)) | Err(_) => {
                return closing(text(StatusCode::REQUEST_TIMEOUT, "The body did not come.\n"));
            }
        };
        let target = header(&head.headers, TARGET).unwrap_or_default();
        let trace_header = header(&head.headers, TRACE_ID).filter(|id| id.len() <= TRACE_ID_MAX);
        let reply = if let Some(target) = LASTING.into_iter().find(|lasting| *lasting == target) {
            self.last(target, body, trace_header).await
        } else {
            self.api.answer(Call { target, body: &body, trace_header, parent: None }).await
        };
        tell(target, &reply, &head.headers);
        answered(reply)
    }

    /// Runs on when the caller hangs up: what is run is not to depend on who watches.
    async fn last(&self, target: &'static str, body: Bytes, trace_header: Option<&str>) -> Reply {
        let (api, trace_header) = (self.api.clone(), trace_header.map(str::to_owned));
        let run = tokio::spawn(async move {
            let trace_header = trace_header.as_deref();
            api.answer(Call { target, body: &body, trace_header, parent: None }).await
        });
        match run.await {
            Ok(reply) => reply,
            Err(error) => self.api.refuse(&Error::Internal(Box::new(error))),
        }
    }
}

/// Says in the log who called what.
fn tell(call: &str, reply: &Reply, headers: &HeaderMap) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let (status, error, request_id) = (reply.status, reply.error_type, &reply.request_id);
    let agent = headers.get(USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default().escape_ascii();
    tracing::debug!(call, status, error, request_id, %agent, "answered");
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Reads a body of at most [`REQUEST_BYTES_MAX`] bytes. One that comes in one piece is not copied.
async fn read(mut body: Incoming) -> Result<Bytes, Unread> {
    let max = REQUEST_BYTES_MAX;
    if body.size_hint().lower() > max as u64 {
        return Err(Unread::TooLarge);
    }
    let (mut first, mut all) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| if error.is_timeout() { Unread::TooSlow } else { Unread::Broken })?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + all.len() + data.len() > max {
            return Err(Unread::TooLarge);
        }
        if all.is_empty() && first.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn answered(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(Reply::CONTENT_TYPE));
    if let Ok(id) = HeaderValue::try_from(reply.request_id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// The rest of the request is not read.
fn closing(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
