//! What answers the requests that a server lets in.

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Response, StatusCode};
use stepwell_wire::{Api, Call, Error, Reply};
use uuid::Uuid;

/// A call that was let in. Headers and body are not shown.
pub struct Request<'a> {
    /// `X-Amz-Target`, such as `AWSStepFunctions.StartExecution`; empty where there is none.
    pub target: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The body, whole.
    pub body: Bytes,
    /// The account that the caller is known to call in; `None` for the server's own.
    pub account: Option<&'a str>,
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Request");
        shown.field("target", &self.target).field("account", &self.account).finish_non_exhaustive()
    }
}

/// What stands behind a [`Server`](super::Server).
#[async_trait]
pub trait Served: Send + Sync {
    /// What `GET /` shows to whoever may know everything.
    fn about(&self) -> String;

    /// Answers a call. Where the caller hangs up, this is dropped.
    async fn answer(&self, request: Request<'_>) -> Response<Full<Bytes>>;

    /// The server stops: whoever waits for work is to be answered.
    fn dismiss(&self) {}
}

/// The operations that last as long as what they run.
const LASTING: [&str; 2] = ["AWSStepFunctions.StartSyncExecution", "AWSStepFunctions.TestState"];

/// The operation that waits for a task.
const ACTIVITY_TASK: &str = "AWSStepFunctions.GetActivityTask";

/// Whether a call may last longer than it takes to answer it.
pub(super) fn is_lasting(target: &str) -> bool {
    LASTING.contains(&target) || target == ACTIVITY_TASK
}

const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Characters of `traceHeader` at most (API: StartExecution).
const TRACE_ID_MAX: usize = 256;

#[async_trait]
impl Served for Api {
    fn about(&self) -> String {
        let settings = self.settings();
        format!(
            "Stepwell {}: the API of AWS Step Functions, region {}, account {}.\n\
             Give SDKs and the AWS CLI this address as AWS_ENDPOINT_URL_SFN.\n",
            env!("CARGO_PKG_VERSION"),
            settings.region,
            settings.account,
        )
    }

    async fn answer(&self, request: Request<'_>) -> Response<Full<Bytes>> {
        let Request { target, headers, body, account } = request;
        let api = account.map_or_else(|| self.clone(), |account| self.in_account(account));
        let trace_header = header(headers, TRACE_ID).filter(|id| id.len() <= TRACE_ID_MAX);
        let reply = match LASTING.into_iter().find(|lasting| *lasting == target) {
            Some(target) => last(api, target, body, trace_header).await,
            None => Api::answer(&api, Call { target, body: &body, trace_header, parent: None }).await,
        };
        tell(target, &reply, headers);
        answered(reply)
    }

    fn dismiss(&self) {
        self.engine().dismiss_workers();
    }
}

/// Runs on when the caller hangs up: what is run is not to depend on who watches.
async fn last(api: Api, target: &'static str, body: Bytes, trace_header: Option<&str>) -> Reply {
    let (called, trace_header) = (api.clone(), trace_header.map(str::to_owned));
    let run = tokio::spawn(async move {
        let trace_header = trace_header.as_deref();
        Api::answer(&called, Call { target, body: &body, trace_header, parent: None }).await
    });
    match run.await {
        Ok(reply) => reply,
        Err(error) => api.refuse(&Error::Internal(Box::new(error))),
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

/// The text of a header.
pub(super) fn header(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// An exception, as an answer of its own.
pub(super) fn refused(error: &Error) -> Response<Full<Bytes>> {
    answered(Reply {
        status: error.status(),
        body: error.body().into(),
        error_type: Some(error.name()),
        request_id: Uuid::new_v4().to_string(),
    })
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
