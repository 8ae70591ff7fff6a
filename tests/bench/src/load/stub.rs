//! A stand-in for Lambda that counts each attempt that it is called for.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;

use crate::client::Err;

/// Listens in a thread of its own, as long as the process lives.
pub struct Stub {
    /// Its port on loopback.
    pub port: u16,
    calls: Arc<Calls>,
}

/// What was called, by whom.
#[derive(Default)]
struct Calls {
    /// Attempts by a hash of what names them, and how often each was called.
    attempts: Mutex<HashMap<u64, u32>>,
    /// Calls by the execution's number.
    executions: Mutex<HashMap<u64, u32>>,
    /// Calls of something else.
    foreign: Mutex<u64>,
    hasher: RandomState,
}

/// What every call's payload says.
#[derive(Deserialize, Hash)]
struct Attempt {
    execution: String,
    state: String,
    attempt: u64,
    item: Option<u64>,
}

impl Stub {
    /// Listens on a free port. The function `slow` answers after `slow`.
    ///
    /// # Errors
    /// Where there is no port or no thread.
    pub fn start(slow: Duration) -> Result<Self, Err> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let (port, calls) = (listener.local_addr()?.port(), Arc::new(Calls::default()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = calls.clone();
        std::thread::Builder::new().name("stub".into()).spawn(move || {
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("it listens");
                loop {
                    let Ok((stream, _)) = listener.accept().await else { continue };
                    let _ = stream.set_nodelay(true);
                    let calls = shared.clone();
                    let service = service_fn(move |request| answer(request, calls.clone(), slow));
                    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
                }
            });
        })?;
        Ok(Stub { port, calls })
    }

    /// How often execution `number` called.
    pub fn calls_of(&self, number: u64) -> u32 {
        lock(&self.calls.executions).get(&number).copied().unwrap_or(0)
    }

    /// All calls, attempts that were called more than once, and calls that bore no name of this load.
    pub fn totals(&self) -> (u64, u64, u64) {
        let attempts = lock(&self.calls.attempts);
        let all = attempts.values().map(|n| u64::from(*n)).sum();
        let twice = attempts.values().filter(|n| **n > 1).count() as u64;
        (all, twice, *lock(&self.calls.foreign))
    }
}

impl Calls {
    fn note(&self, body: &[u8]) {
        let attempt: Result<Attempt, _> = serde_json::from_slice(body);
        let named = attempt.ok().and_then(|attempt| {
            let number = attempt.execution.strip_prefix("load-")?.parse::<u64>().ok()?;
            Some((number, attempt))
        });
        let Some((number, attempt)) = named else {
            *lock(&self.foreign) += 1;
            return;
        };
        *lock(&self.attempts).entry(self.hasher.hash_one(&attempt)).or_default() += 1;
        *lock(&self.executions).entry(number).or_default() += 1;
    }
}

async fn answer(
    request: Request<Incoming>,
    calls: Arc<Calls>,
    slow: Duration,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let is_slow = request.uri().path().contains("slow");
    let body = request.into_body().collect().await?.to_bytes();
    calls.note(&body);
    if is_slow {
        tokio::time::sleep(slow).await;
    }
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    headers.insert("x-amz-executed-version", hyper::header::HeaderValue::from_static("$LATEST"));
    Ok(response)
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
