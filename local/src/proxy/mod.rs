//! A deployed API at an address of this machine: requests come as SDKs make them, and go on signed with the user's own AWS
//! credentials.
//!
//! It knows which address answers an operation ([`Routes`]), how API Gateway and Lambda refuse, and what SDKs make of that. What
//! an operation means it does not know. One request is one request: who tries again is the SDK.

mod exception;
mod query;
mod upstream;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use stepwell_integrations::{Aws, Http, HttpAnswer, HttpClient, Signer};
use stepwell_wire::{Api, Reply};

pub use query::{QueryError, stack_outputs};
pub use upstream::{Door, LASTING, Routes, Upstream, UrlError};

use crate::server::{Request, Served};
use exception::{Exception, is_about_caller};

/// Bytes of an answer at most; Lambda's own are at most 6 MB.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// What the request means, which is signed.
const SIGNED: [HeaderName; 2] = [CONTENT_TYPE, HeaderName::from_static("x-amz-target")];

/// What is passed on unsigned: somebody on the way may change it.
const UNSIGNED: [&str; 4] = ["user-agent", "x-amzn-trace-id", "amz-sdk-invocation-id", "amz-sdk-request"];

/// Where the request's id stands: the function's own, then API Gateway's.
const REQUEST_IDS: [&str; 3] = ["x-amzn-requestid", "x-amzn-remapped-x-amzn-requestid", "apigw-requestid"];

/// How long it may take to find out who was refused.
const PATIENCE: Duration = Duration::from_secs(5);

/// A deployed API, as this machine's server serves it.
pub struct Proxy {
    routes: Routes,
    aws: Aws,
    http: HttpClient,
    signers: Vec<(Upstream, Signer)>,
    /// Who the keys of an id are, once that was asked.
    caller: Mutex<Option<(String, String)>>,
}

impl Proxy {
    /// Passes requests on to `routes`, signed with the keys of `aws`, for its region where a host does not say another.
    pub fn new(routes: Routes, aws: Aws) -> Self {
        let signer = |upstream: &Upstream| {
            let region = upstream.region.as_deref().unwrap_or(aws.region());
            (upstream.clone(), Signer::new(region, upstream.door.service()))
        };
        let signers = routes.all().into_iter().map(signer).collect();
        Proxy { routes, aws, http: HttpClient::new(), signers, caller: Mutex::default() }
    }

    /// Passes a request on, and gives what came back.
    async fn pass(&self, request: Request<'_>) -> Result<Response<Full<Bytes>>, Exception> {
        // A web page can send no such header without asking first.
        let operation = request.target.strip_prefix(Api::TARGET_PREFIX);
        let operation = operation.ok_or_else(|| Exception::unnamed(request.target))?;
        let upstream = self.routes.of(operation);
        let keys = if upstream.is_emulated {
            self.aws.keys().for_emulator().await
        } else {
            self.aws.keys().for_aws().await.map_err(|error| Exception::no_keys(&*error))?
        };
        let mut onward = hyper::Request::post(upstream.address(operation)).body(request.body);
        let Ok(onward) = &mut onward else {
            return Err(Exception::unaddressed(upstream));
        };
        copy(request.headers, onward.headers_mut(), SIGNED);
        if let Some((_, signer)) = self.signers.iter().find(|(known, _)| known == upstream) {
            signer.sign(onward, &keys, SystemTime::now());
        }
        copy(request.headers, onward.headers_mut(), UNSIGNED.map(HeaderName::from_static));
        let answer = self.http.send(std::mem::take(onward), ANSWER_BYTES_MAX).await;
        let answer = answer.map_err(|error| Exception::unanswered(upstream, &error))?;
        let caller =
            if is_about_caller(&answer) { self.caller(keys.access_key_id()).await } else { String::new() };
        match Exception::read(upstream, operation, &answer, &caller) {
            Some(exception) => Ok(exception.response(request_id(&answer.headers))),
            None => Ok(passed(answer)),
        }
    }

    /// Who the keys of `id` are, as far as can be found out.
    async fn caller(&self, id: &str) -> String {
        let known = self.caller.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, caller)) = known.filter(|(known, _)| known == id) {
            return caller;
        }
        match tokio::time::timeout(PATIENCE, query::caller(&self.aws)).await {
            Ok(Ok(arn)) if !arn.is_empty() => {
                let caller = format!("{arn} (access key {id})");
                *self.caller.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some((id.to_owned(), caller.clone()));
                caller
            }
            _ => format!("the owner of access key {id}"),
        }
    }
}

#[async_trait]
impl Served for Proxy {
    fn about(&self) -> String {
        let all: Vec<_> = self.routes.all().into_iter().map(ToString::to_string).collect();
        format!(
            "Stepwell {}: a proxy to {}.\nGive SDKs and the AWS CLI this address as AWS_ENDPOINT_URL_SFN.\n",
            env!("CARGO_PKG_VERSION"),
            all.join(" and ")
        )
    }

    async fn answer(&self, request: Request<'_>) -> Response<Full<Bytes>> {
        let target = request.target.to_owned();
        let answer = self.pass(request).await.unwrap_or_else(|exception| {
            tracing::warn!(exception = exception.name, "{}", exception.message);
            exception.response(None)
        });
        tracing::debug!(target, status = answer.status().as_u16(), "passed on");
        answer
    }
}

fn copy<const N: usize>(from: &HeaderMap, to: &mut HeaderMap, names: [HeaderName; N]) {
    for name in names {
        if let Some(value) = from.get(&name) {
            to.insert(name, value.clone());
        }
    }
}

/// What the API answered.
fn passed(answer: HttpAnswer) -> Response<Full<Bytes>> {
    let request_id = request_id(&answer.headers);
    let kind = answer.headers.get("x-amzn-errortype").cloned();
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let plain = HeaderValue::from_static(Reply::CONTENT_TYPE);
    headers.insert(CONTENT_TYPE, answer.headers.get(CONTENT_TYPE).cloned().unwrap_or(plain));
    if let Some(id) = request_id {
        headers.insert(HeaderName::from_static("x-amzn-requestid"), id);
    }
    if let Some(kind) = kind {
        headers.insert(HeaderName::from_static("x-amzn-errortype"), kind);
    }
    response
}

fn request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    REQUEST_IDS.iter().find_map(|name| headers.get(*name)).cloned()
}
