//! The Lambda Runtime API, as one environment sees it.
//!
//! Each environment has an endpoint of its own, so that what is asked needs no identity and a runtime may take
//! `AWS_LAMBDA_RUNTIME_API` for a host and a port, which all of AWS's do.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use super::outcome::error_json;

/// The largest result of a function, in bytes. (Lambda quotas: 6 MB, synchronous.)
pub const RESPONSE_BYTES_MAX: usize = 6 * 1024 * 1024 + 100;
/// How long to wait for file descriptors when there are none.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// A call on its way to the process.
#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) request_id: HeaderValue,
    pub(super) function_arn: HeaderValue,
    pub(super) trace_id: HeaderValue,
    pub(super) client_context: Option<HeaderValue>,
    /// Milliseconds since 1970.
    pub(super) deadline_ms: u64,
    pub(super) payload: Bytes,
}

/// How the process came up.
#[derive(Debug)]
pub(super) enum Started {
    /// It asked for its first call.
    Ready,
    /// It told of a failure to initialise.
    InitError(Bytes),
    /// It ended, with this reason.
    Exited(String),
}

/// How a call ended, as far as the process tells.
#[derive(Debug)]
pub(super) enum Ended {
    Response(Bytes),
    Error(Bytes),
    TooLarge {
        bytes: usize,
    },
    /// The process ended during the call.
    Exited(String),
    /// The process ended before it took the call; it may be given to another.
    NotTaken(Invocation),
}

/// What the process and the pool say to each other.
#[derive(Debug, Default)]
pub(super) struct Endpoint {
    state: Mutex<State>,
    given: Notify,
}

#[derive(Debug, Default)]
struct State {
    started: Option<oneshot::Sender<Started>>,
    pending: Option<Invocation>,
    running: Option<Running>,
    exited: Option<String>,
}

#[derive(Debug)]
struct Running {
    request_id: HeaderValue,
    ended: oneshot::Sender<Ended>,
}

impl Endpoint {
    /// An endpoint, and word of how its process comes up.
    pub(super) fn new() -> (Arc<Self>, oneshot::Receiver<Started>) {
        let (sender, receiver) = oneshot::channel();
        let state = Mutex::new(State { started: Some(sender), ..State::default() });
        (Arc::new(Self { state, given: Notify::new() }), receiver)
    }

    /// Gives the process a call, which must be its only one.
    pub(super) fn give(&self, invocation: Invocation) -> oneshot::Receiver<Ended> {
        let (ended, receiver) = oneshot::channel();
        let mut state = self.lock();
        if state.exited.is_some() {
            // The receiver is ours and alive.
            let _ = ended.send(Ended::NotTaken(invocation));
            return receiver;
        }
        state.running = Some(Running { request_id: invocation.request_id.clone(), ended });
        state.pending = Some(invocation);
        drop(state);
        self.given.notify_one();
        receiver
    }

    /// Whether the process can take no more calls.
    pub(super) fn has_exited(&self) -> bool {
        self.lock().exited.is_some()
    }

    /// The process has ended.
    pub(super) fn exited(&self, reason: &str) {
        let mut state = self.lock();
        state.exited = Some(reason.to_owned());
        let (started, running, pending) = (state.started.take(), state.running.take(), state.pending.take());
        drop(state);
        if let Some(started) = started {
            let _ = started.send(Started::Exited(reason.to_owned()));
        }
        if let Some(running) = running {
            let _ = running.ended.send(match pending {
                Some(invocation) => Ended::NotTaken(invocation),
                None => Ended::Exited(reason.to_owned()),
            });
        }
    }

    /// `GET /runtime/invocation/next`. May be dropped at any time: the call is taken last.
    async fn next(&self) -> Invocation {
        loop {
            {
                let mut state = self.lock();
                if let Some(started) = state.started.take() {
                    let _ = started.send(Started::Ready);
                }
                if let Some(invocation) = state.pending.take() {
                    return invocation;
                }
            }
            self.given.notified().await;
        }
    }

    /// Ends the call `request_id`, unless another is running.
    fn end(&self, request_id: &str, ended: Ended) -> bool {
        let mut state = self.lock();
        let runs = state.pending.is_none()
            && state
                .running
                .as_ref()
                .is_some_and(|running| running.request_id.as_bytes() == request_id.as_bytes());
        if !runs {
            return false;
        }
        let running = state.running.take();
        drop(state);
        if let Some(running) = running {
            let _ = running.ended.send(ended);
        }
        true
    }

    fn init_error(&self, payload: Bytes) -> bool {
        let started = self.lock().started.take();
        started.is_some_and(|started| started.send(Started::InitError(payload)).is_ok())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The HTTP server of one endpoint.
#[derive(Debug)]
pub(super) struct Server {
    listener: TcpListener,
    /// What `Host` has to be.
    host: Arc<str>,
    endpoint: Arc<Endpoint>,
    connections: JoinSet<()>,
}

impl Server {
    /// Listens on a free port of loopback.
    pub(super) async fn bind(endpoint: Arc<Endpoint>) -> io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let host = listener.local_addr()?.to_string().into();
        Ok(Self { listener, host, endpoint, connections: JoinSet::new() })
    }

    /// The address it listens on.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until it is dropped.
    pub(super) async fn serve(&mut self) -> Infallible {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => self.connect(stream),
                    // Out of file descriptors, most likely: let other tasks close some.
                    Err(error) => {
                        tracing::warn!(%error, "a function's runtime could not connect");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = self.connections.join_next() => {}
            }
        }
    }

    /// Waits until what the process had sent before it ended is read.
    pub(super) async fn drain(&mut self) {
        while self.connections.join_next().await.is_some() {}
    }

    fn connect(&mut self, stream: TcpStream) {
        // Without it answers are only slower.
        let _ = stream.set_nodelay(true);
        let (endpoint, host) = (Arc::clone(&self.endpoint), Arc::clone(&self.host));
        self.connections.spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let (endpoint, host) = (Arc::clone(&endpoint), Arc::clone(&host));
                async move {
                    Ok::<_, Infallible>(match is_a_pages(request.headers(), &host) {
                        false => answer(&endpoint, request).await,
                        true => refused(StatusCode::FORBIDDEN, "Forbidden", "this is no place for browsers"),
                    })
                }
            });
            // A connection that breaks says nothing of the call: the process's end does.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

const REQUEST_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-request-id");
const DEADLINE_MS: HeaderName = HeaderName::from_static("lambda-runtime-deadline-ms");
const INVOKED_FUNCTION_ARN: HeaderName = HeaderName::from_static("lambda-runtime-invoked-function-arn");
const TRACE_ID: HeaderName = HeaderName::from_static("lambda-runtime-trace-id");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("lambda-runtime-client-context");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Whether a browser sends a request on behalf of a page: the page's own name is in `Host` (DNS rebinding), or the browser says
/// so. A page must neither take a function's call nor answer it.
fn is_a_pages(headers: &HeaderMap, host: &str) -> bool {
    let names_us =
        headers.get(HOST).is_some_and(|named| named.as_bytes().eq_ignore_ascii_case(host.as_bytes()));
    !names_us || headers.contains_key(ORIGIN) || headers.contains_key(SEC_FETCH_SITE)
}

async fn answer(endpoint: &Endpoint, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().strip_prefix("/2018-06-01/runtime/").unwrap_or_default();
    if path == "invocation/next" && head.method == Method::GET {
        return handed_over(endpoint.next().await);
    }
    let Some(target) = Target::of(path) else {
        return refused(StatusCode::NOT_FOUND, "NotFound", "no such operation of the Runtime API");
    };
    if head.method != Method::POST {
        return refused(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "this operation is a POST");
    }
    let Ok(body) = read(body).await else {
        return refused(StatusCode::BAD_REQUEST, "InvalidRequest", "the request ended early");
    };
    let too_large = matches!(body, Body::TooLarge { .. });
    let known = match (target, body) {
        (Target::InitError, Body::Whole(payload)) => endpoint.init_error(payload),
        (Target::InitError, Body::TooLarge { .. }) => false,
        (Target::Response(id), Body::Whole(payload)) => endpoint.end(id, Ended::Response(payload)),
        (Target::Error(id), Body::Whole(payload)) => endpoint.end(id, Ended::Error(payload)),
        (Target::Response(id) | Target::Error(id), Body::TooLarge { bytes }) => {
            endpoint.end(id, Ended::TooLarge { bytes })
        }
    };
    match (known, too_large) {
        (true, false) => said(StatusCode::ACCEPTED, Bytes::from_static(br#"{"status":"OK"}"#)),
        (true, true) => {
            let message = format!("Exceeded maximum allowed payload size ({RESPONSE_BYTES_MAX} bytes).");
            refused(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
        }
        (false, _) => refused(StatusCode::BAD_REQUEST, "InvalidRequestID", "no such call is running here"),
    }
}

/// What a POST is about.
enum Target<'a> {
    InitError,
    Response(&'a str),
    Error(&'a str),
}

impl<'a> Target<'a> {
    fn of(path: &'a str) -> Option<Self> {
        if path == "init/error" {
            return Some(Self::InitError);
        }
        match path.strip_prefix("invocation/")?.rsplit_once('/')? {
            (id, "response") => Some(Self::Response(id)),
            (id, "error") => Some(Self::Error(id)),
            _ => None,
        }
    }
}

enum Body {
    Whole(Bytes),
    TooLarge { bytes: usize },
}

/// Reads a body to its end, and keeps it if it is not too large. What is too large is read too, because a client that is
/// still writing does not hear the refusal.
async fn read(mut body: Incoming) -> Result<Body, hyper::Error> {
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        bytes += data.len();
        if bytes > RESPONSE_BYTES_MAX {
            more = BytesMut::new();
        } else if first.is_empty() {
            first = data;
        } else {
            if more.is_empty() {
                more.extend_from_slice(&first);
            }
            more.extend_from_slice(&data);
        }
    }
    Ok(match bytes {
        bytes if bytes > RESPONSE_BYTES_MAX => Body::TooLarge { bytes },
        _ if more.is_empty() => Body::Whole(first),
        _ => Body::Whole(more.freeze()),
    })
}

fn handed_over(invocation: Invocation) -> Response<Full<Bytes>> {
    let mut response = said(StatusCode::OK, invocation.payload);
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, invocation.request_id);
    headers.insert(DEADLINE_MS, HeaderValue::from(invocation.deadline_ms));
    headers.insert(INVOKED_FUNCTION_ARN, invocation.function_arn);
    headers.insert(TRACE_ID, invocation.trace_id);
    if let Some(client_context) = invocation.client_context {
        headers.insert(CLIENT_CONTEXT, client_context);
    }
    response
}

fn refused(status: StatusCode, error_type: &str, message: &str) -> Response<Full<Bytes>> {
    said(status, error_json(error_type, message))
}

fn said(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invocation(id: &'static str) -> Invocation {
        Invocation {
            request_id: HeaderValue::from_static(id),
            function_arn: HeaderValue::from_static("arn"),
            trace_id: HeaderValue::from_static("trace"),
            client_context: None,
            deadline_ms: 0,
            payload: Bytes::new(),
        }
    }

    #[test]
    fn pages_are_refused() {
        let check = |headers: &[(&'static str, &'static str)], expected: bool| {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            assert_eq!(is_a_pages(&headers, "127.0.0.1:4711"), expected, "{headers:?}");
        };
        check(&[("host", "127.0.0.1:4711")], false);
        check(&[("host", "127.0.0.1:4711"), ("user-agent", "aws-lambda-rust/1")], false);
        check(&[], true);
        check(&[("host", "127.0.0.1:4712")], true);
        check(&[("host", "page.example:4711")], true);
        check(&[("host", "127.0.0.1:4711"), ("origin", "https://page.example")], true);
        check(&[("host", "127.0.0.1:4711"), ("origin", "null")], true);
        check(&[("host", "127.0.0.1:4711"), ("sec-fetch-site", "cross-site")], true);
    }

    #[tokio::test]
    async fn a_call_that_was_not_taken_comes_back_and_one_that_was_does_not() {
        let (endpoint, _started) = Endpoint::new();
        let ended = endpoint.give(invocation("1"));
        endpoint.exited("gone");
        assert!(matches!(ended.await, Ok(Ended::NotTaken(back)) if back.request_id == "1"));
        assert!(matches!(endpoint.give(invocation("2")).await, Ok(Ended::NotTaken(_))));

        let (endpoint, _started) = Endpoint::new();
        let ended = endpoint.give(invocation("1"));
        endpoint.next().await;
        endpoint.exited("gone");
        assert!(matches!(ended.await, Ok(Ended::Exited(reason)) if reason == "gone"));
    }

    #[tokio::test]
    async fn only_the_call_that_runs_can_be_answered_and_only_once() {
        let (endpoint, started) = Endpoint::new();
        let answer = |id| endpoint.end(id, Ended::Response(Bytes::new()));
        assert!(!answer("1"));
        let ended = endpoint.give(invocation("1"));
        assert!(!answer("1"), "it has not been taken");
        endpoint.next().await;
        assert!(matches!(started.await, Ok(Started::Ready)));
        assert!(!answer("2"));
        assert!(answer("1"));
        assert!(!answer("1"));
        assert!(matches!(ended.await, Ok(Ended::Response(_))));
        assert!(!endpoint.init_error(Bytes::new()), "it has come up");
    }

    #[tokio::test]
    async fn a_poll_that_is_given_up_takes_no_call() {
        let (endpoint, _started) = Endpoint::new();
        {
            let poll = endpoint.next();
            tokio::pin!(poll);
            tokio::select! {
                biased;
                _ = &mut poll => unreachable!("there is no call yet"),
                () = std::future::ready(()) => {}
            }
        }
        let _ended = endpoint.give(invocation("1"));
        assert_eq!(endpoint.next().await.request_id, "1");
    }
}
