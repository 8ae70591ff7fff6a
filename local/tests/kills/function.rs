//! The function that all tasks call: it outlives the program, and counts.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use stepwell_test_support::Random;

/// A call, as the function is told: execution, state, item, attempt.
pub(crate) type Call = (String, String, String, u64);

/// A stand-in for Lambda with one function.
pub(crate) struct Function {
    url: String,
    told: Arc<Mutex<Told>>,
    _runtime: tokio::runtime::Runtime,
}

struct Told {
    random: Random,
    calls: BTreeMap<Call, u32>,
    /// Tokens of tasks that nobody has ended yet, and whose task it is.
    tokens: VecDeque<(String, String)>,
}

impl Function {
    pub(crate) fn serve(seed: u64) -> Self {
        let random = Random::new(seed ^ 0xF0);
        let told = Arc::new(Mutex::new(Told { random, calls: BTreeMap::new(), tokens: VecDeque::new() }));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = told.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let told = shared.clone();
                let service = service_fn(move |request| answer(request, told.clone()));
                tokio::spawn(async move {
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Function { url, told, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A token that waits, and its execution.
    pub(crate) fn take_token(&self) -> Option<(String, String)> {
        self.told.lock().unwrap().tokens.pop_front()
    }

    /// Nobody knows whether this one was taken.
    pub(crate) fn give_back(&self, token: (String, String)) {
        self.told.lock().unwrap().tokens.push_back(token);
    }

    /// How often each attempt was called.
    pub(crate) fn calls(&self) -> BTreeMap<Call, u32> {
        self.told.lock().unwrap().calls.clone()
    }
}

async fn answer(
    request: Request<Incoming>,
    told: Arc<Mutex<Told>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let Ok(body) = request.into_body().collect().await else { return Ok(Response::default()) };
    let event: Value = serde_json::from_slice(&body.to_bytes()).expect("the payload is JSON");
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let attempt = event["attempt"].as_u64().unwrap_or_default();
    let pause = {
        let mut told = told.lock().unwrap();
        let call = (text("execution"), text("state"), event["item"].to_string(), attempt);
        *told.calls.entry(call).or_default() += 1;
        if event["token"].is_string() {
            told.tokens.push_back((text("token"), text("execution")));
        }
        // So that kills fall into calls.
        Duration::from_millis(told.random.below(12) as u64)
    };
    tokio::time::sleep(pause).await;
    let answer = Response::builder().header("content-type", "application/json");
    let answer = if text("state") == "Busy" && attempt == 0 {
        let error = Bytes::from_static(br#"{"errorType":"Busy","errorMessage":"not now"}"#);
        answer.header("x-amz-function-error", "Unhandled").body(Full::new(error))
    } else {
        answer.body(Full::new(Bytes::from(Value::from(text("state")).to_string())))
    };
    Ok(answer.unwrap())
}
