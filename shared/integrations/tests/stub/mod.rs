//! A stand-in for AWS's services on loopback: answers by a function, and keeps what it was asked.

#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a stub that cannot answer fails its test")]

mod task;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use stepwell_engine::port::TaskAnswer;
use stepwell_interpreter::{ErrorOutput, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

pub(crate) use task::task;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) struct Stub {
    pub(crate) endpoint: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<AtomicUsize>,
}

impl Stub {
    /// Answers every request with a status, headers and a body.
    pub(crate) async fn answering(
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: impl Into<Bytes>,
    ) -> Self {
        let (headers, body) = (headers.to_vec(), body.into());
        Stub::answering_by(move |_| (status, headers.clone(), body.clone())).await
    }

    /// Answers every request as `answer` says.
    pub(crate) async fn answering_by(
        answer: impl Fn(&Asked) -> (u16, Vec<(&'static str, &'static str)>, Bytes) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (answer, asked) = (Arc::new(answer), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&asked);
        let connections = Arc::new(AtomicUsize::new(0));
        let accepted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::Relaxed);
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                    async move {
                        let asked = asked_by(request).await;
                        let (status, headers, body) = answer(&asked);
                        seen.lock().unwrap().push(asked);
                        let mut response = Response::builder().status(status);
                        for (name, value) in headers {
                            response = response.header(name, value);
                        }
                        response.body(Full::new(body)).map_err(std::io::Error::other)
                    }
                });
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });
        Stub { endpoint, asked, connections }
    }

    /// Reads the beginning of each request, writes `bytes`, and closes the connection.
    pub(crate) async fn breaking_off_after(bytes: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 65_536];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(bytes).await;
            }
        });
        Stub { endpoint, asked: Arc::default(), connections: Arc::default() }
    }

    /// An address where nobody listens.
    pub(crate) async fn nobody() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        Stub { endpoint, asked: Arc::default(), connections: Arc::default() }
    }

    /// What was asked since the last time.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Stub {
    /// How many connections were opened.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn asked_by(request: Request<Incoming>) -> Asked {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Asked {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: parts.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

/// The text of a success.
pub(crate) fn output(answer: TaskAnswer) -> String {
    match answer {
        TaskAnswer::Ended(Outcome::Succeeded(output)) => output.text().to_string(),
        other => panic!("not a success: {other:?}"),
    }
}

/// The error of a failure.
pub(crate) fn error(answer: TaskAnswer) -> (String, String) {
    match answer {
        TaskAnswer::Ended(Outcome::Failed(ErrorOutput { error, cause })) => {
            (error.unwrap_or_default().to_string(), cause.unwrap_or_default().to_string())
        }
        other => panic!("not a failure: {other:?}"),
    }
}
