//! A lean HTTP client: one request is one request.

use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// A service's answer, whatever its status. It may hold keys, and is not shown.
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

impl std::fmt::Debug for HttpAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HttpAnswer({}, {} bytes)", self.status, self.body.len())
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The request was not sent: nothing has happened.
    #[error("Unable to execute HTTP request: {0}")]
    NotSent(String),
    /// The request was sent, at least in part: it may have done its work.
    #[error("{0}")]
    Unknown(String),
    /// The answer's body is larger than asked for.
    #[error("the answer is over {0} bytes")]
    TooLarge(usize),
}

/// Whatever takes requests to where they go: [`HttpClient`], or what a test puts in its place.
#[async_trait]
pub trait Http: Debug + Send + Sync {
    /// Sends `request`, once, and reads an answer of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`HttpError`] tells whether the request may have arrived.
    async fn send(&self, request: Request<Bytes>, bytes_max: usize) -> Result<HttpAnswer, HttpError>;
}

/// Connections that are kept and used again. The TLS side is made when the first `https` address comes.
///
/// A function's process may stand still between two events, and no clock of its own may notice. What was not used lately by the clock
/// of the world is not used again: its other end may be gone, and a call that is sent to nobody has an unknown outcome.
pub struct HttpClient {
    pools: Mutex<Pools>,
}

/// How connections are made and kept.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    /// How long one may take to come about.
    pub connect: Duration,
    /// How long one is kept that nobody uses.
    pub idle: Duration,
}

impl Default for Connections {
    /// For calls of tasks. Unused connections are closed by us before servers do, which spares calls from ending in the race between a
    /// request and the server's goodbye.
    fn default() -> Self {
        Connections { connect: Duration::from_secs(10), idle: Duration::from_secs(15) }
    }
}

struct Pools {
    kept: Connections,
    plain: PlainClient,
    tls: Option<(HttpsConnector<HttpConnector>, TlsClient)>,
    used: SystemTime,
}

type PlainClient = Client<HttpConnector, Full<Bytes>>;
type TlsClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

const KEEPALIVE: Duration = Duration::from_secs(60);

impl Default for HttpClient {
    fn default() -> Self {
        HttpClient::new()
    }
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HttpClient")
    }
}

impl HttpClient {
    /// A client without connections.
    pub fn new() -> Self {
        HttpClient::keeping(Connections::default())
    }

    /// The same, which makes and keeps them as `kept` says.
    pub fn keeping(kept: Connections) -> Self {
        let (plain, used) = (builder(kept).build(connector(kept)), SystemTime::now());
        HttpClient { pools: Mutex::new(Pools { kept, plain, tls: None, used }) }
    }
}

#[async_trait]
impl Http for HttpClient {
    async fn send(&self, request: Request<Bytes>, bytes_max: usize) -> Result<HttpAnswer, HttpError> {
        let request = request.map(Full::new);
        let response = if request.uri().scheme_str() == Some("https") {
            let client = self.pools(|pools| pools.tls()).map_err(HttpError::NotSent)?;
            client.request(request).await
        } else {
            let client = self.pools(|pools| pools.plain.clone());
            client.request(request).await
        };
        let (parts, body) = response.map_err(|error| failed(&error))?.into_parts();
        let body = read(body, bytes_max).await?;
        Ok(HttpAnswer { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

impl HttpClient {
    fn pools<T>(&self, choose: impl FnOnce(&mut Pools) -> T) -> T {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.forget_unused(SystemTime::now());
        choose(&mut pools)
    }
}

impl Pools {
    /// Lets go of connections that have not been used for long.
    fn forget_unused(&mut self, now: SystemTime) {
        if now.duration_since(self.used).is_ok_and(|unused| unused > self.kept.idle) {
            self.plain = builder(self.kept).build(connector(self.kept));
            if let Some((connector, client)) = &mut self.tls {
                *client = builder(self.kept).build(connector.clone());
            }
        }
        self.used = now;
    }

    fn tls(&mut self) -> Result<TlsClient, String> {
        if let Some((_, client)) = &self.tls {
            return Ok(client.clone());
        }
        let connector = tls_connector(self.kept)?;
        let client: TlsClient = builder(self.kept).build(connector.clone());
        self.tls = Some((connector, client.clone()));
        Ok(client)
    }
}

fn builder(kept: Connections) -> hyper_util::client::legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    // What hyper retries is a request of which no byte was written, on a connection that had just been closed.
    builder.pool_timer(TokioTimer::new()).pool_idle_timeout(kept.idle).retry_canceled_requests(true);
    builder
}

fn connector(kept: Connections) -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(kept.connect));
    // A function may take 15 minutes, in which nothing is sent that would keep a router's memory of the connection.
    connector.set_keepalive(Some(KEEPALIVE));
    connector
}

fn tls_connector(kept: Connections) -> Result<HttpsConnector<HttpConnector>, String> {
    let provider = rustls::crypto::ring::default_provider();
    let builder = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(provider)
        .map_err(|error| format!("the system's certificates cannot be used: {error}"))?;
    Ok(builder.https_only().enable_http1().wrap_connector(connector(kept)))
}

fn failed(error: &hyper_util::client::legacy::Error) -> HttpError {
    let why = chain(error);
    let canceled = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<hyper::Error>())
        .is_some_and(hyper::Error::is_canceled);
    if error.is_connect() || canceled { HttpError::NotSent(why) } else { HttpError::Unknown(why) }
}

/// The error's message with those of its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = error.source();
    }
    text
}

/// Reads a body to its end, without copying one that came in one piece.
async fn read(mut body: Incoming, bytes_max: usize) -> Result<Bytes, HttpError> {
    let expected = body.size_hint().exact();
    if expected.is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(HttpError::TooLarge(bytes_max));
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| HttpError::Unknown(chain(&error)))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.reserve(expected.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(first.len() * 2));
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&data);
        if all.len() > bytes_max {
            return Err(HttpError::TooLarge(bytes_max));
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}
