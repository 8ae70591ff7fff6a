//! One request, and its answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use stepwell_wire::{Error, REQUEST_BYTES_MAX, Reply};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::access::Access;
use super::hosts::Hosts;
use super::served::{self, Served, header, is_lasting, refused};

/// What is served.
pub(super) struct Site {
    served: Arc<dyn Served>,
    hosts: Hosts,
    access: Access,
    body_timeout: Duration,
    /// Room for bodies, in KiB.
    room: Arc<Semaphore>,
}

/// Bodies that are held at once, in KiB. A request for which there is no room is refused.
const ROOM_KIB: usize = 128 * 1024;

/// Bytes of a body that is read to its end though the request is refused, so that the connection can be used again.
const REFUSED_BYTES_MAX: u64 = 64 * 1024;

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Bytes of a body that is too large which are read and dropped at most.
const PASSED_OVER_BYTES_MAX: usize = 16 << 20;

/// How long more of such a body is waited for.
const QUIET: Duration = Duration::from_millis(200);

/// Why a body was not read.
enum Unread {
    TooLarge,
    TooSlow,
    Broken,
}

impl Site {
    pub(super) fn new(served: Arc<dyn Served>, hosts: Hosts, access: Access, body_timeout: Duration) -> Self {
        Site { served, hosts, access, body_timeout, room: Arc::new(Semaphore::new(ROOM_KIB)) }
    }

    /// Answers those that wait for tasks of activities, so that nobody waits for them.
    pub(super) fn dismiss_workers(&self) {
        self.served.dismiss();
    }

    /// Answers a request, whatever it is, of the connection of this number.
    pub(super) async fn respond(&self, request: Request<Incoming>, connection: u64) -> Response<Full<Bytes>> {
        // Where requests are signed, a page that calls by a name of its own has no key to sign with.
        if self.access.is_open() && !self.is_addressed(&request) {
            return text(StatusCode::FORBIDDEN, "This server does not answer under that name.\n");
        }
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/") => self.call(request, connection).await,
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
        if !self.access.is_open() {
            return "Stepwell: the API of AWS Step Functions.\n".to_owned();
        }
        self.served.about()
    }

    async fn call(&self, request: Request<Incoming>, connection: u64) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let caller = match self.access.caller(&head) {
            Ok(caller) => caller,
            Err(error) => return self.refuse(body, &error).await,
        };
        if !is_json(&head.headers) {
            let error =
                Error::UnknownOperation(format!("The content type has to be {}", Reply::CONTENT_TYPE));
            return self.refuse(body, &error).await;
        }
        let Some(room) = self.room_for(&body) else {
            return closing(refused(&Error::ServiceUnavailable));
        };
        let body = match self.body(body).await {
            Ok(body) => body,
            Err(refusal) => return closing(refusal),
        };
        if let Err(error) = caller.prove(&head, &body, connection) {
            return refused(&error);
        }
        let target = header(&head.headers, TARGET).unwrap_or_default();
        // What lasts would keep others out.
        let room = Some(room).filter(|_| !is_lasting(target));
        let account = caller.account.as_deref();
        let request = served::Request { target, headers: &head.headers, body, account };
        let answer = self.served.answer(request).await;
        drop(room);
        answer
    }

    async fn body(&self, mut body: Incoming) -> Result<Bytes, Response<Full<Bytes>>> {
        let read = tokio::time::timeout(self.body_timeout, async {
            let read = read(&mut body, REQUEST_BYTES_MAX).await;
            if let Err(Unread::TooLarge) = read {
                pass_over(&mut body).await;
            }
            read
        });
        let read = read.await;
        read.unwrap_or(Err(Unread::TooSlow)).map_err(|unread| match unread {
            Unread::TooLarge => refused(&Error::RequestTooLarge),
            Unread::Broken => text(StatusCode::BAD_REQUEST, "No body.\n"),
            Unread::TooSlow => text(StatusCode::REQUEST_TIMEOUT, "The body did not come.\n"),
        })
    }

    /// Answers without looking at the body, which is read where it is small: the connection may then be used again.
    async fn refuse(&self, mut body: Incoming, error: &Error) -> Response<Full<Bytes>> {
        if let Error::Internal(cause) = error {
            tracing::error!(cause, "nobody can be let in");
        }
        let response = refused(error);
        let is_small = body.size_hint().upper().is_some_and(|bytes| bytes <= REFUSED_BYTES_MAX);
        let max = usize::try_from(REFUSED_BYTES_MAX).unwrap_or(0);
        match tokio::time::timeout(self.body_timeout, read(&mut body, if is_small { max } else { 0 })).await {
            Ok(Ok(_)) => response,
            Ok(Err(_)) | Err(_) => closing(response),
        }
    }

    /// Room for a body while it is read and answered.
    fn room_for(&self, body: &Incoming) -> Option<OwnedSemaphorePermit> {
        let bytes =
            body.size_hint().upper().unwrap_or(REQUEST_BYTES_MAX as u64).min(REQUEST_BYTES_MAX as u64);
        let kib = u32::try_from(bytes / 1024 + 1).ok()?;
        self.room.clone().try_acquire_many_owned(kib).ok()
    }
}

/// Whether the body says that it is what SDKs send, or says nothing.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return true };
    let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    [Reply::CONTENT_TYPE, "application/x-amz-json-1.1"].iter().any(|known| known.eq_ignore_ascii_case(kind))
}

/// Reads a body of at most `max` bytes. One that comes in one piece is not copied.
async fn read(body: &mut Incoming, max: usize) -> Result<Bytes, Unread> {
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

/// Reads the rest of a body that is too large, as long as it comes: a client that still writes when its connection is closed
/// may never see the answer.
async fn pass_over(body: &mut Incoming) {
    let mut length = 0;
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(QUIET, body.frame()).await {
        length += frame.data_ref().map_or(0, Bytes::len);
        if length > PASSED_OVER_BYTES_MAX {
            return;
        }
    }
}

fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    if let Ok(id) = HeaderValue::try_from(Uuid::new_v4().to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The rest of the request is not read.
fn closing(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
