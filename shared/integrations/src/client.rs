//! A lean client of one service, for what needs no SDK: each request is signed, and sent once.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Request;

use crate::http::{Http, HttpAnswer, HttpError};
use crate::keys::Keys;
use crate::sign::Signer;
use crate::{Aws, Service};

/// Calls one service of AWS over HTTP. Connections are shared with all other clients of the same [`Aws`].
#[derive(Debug)]
pub struct ServiceClient {
    service: Service,
    endpoint: String,
    is_emulated: bool,
    http: Arc<dyn Http>,
    signer: Signer,
    keys: Arc<Keys>,
}

/// Why a service gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There are no keys to sign with: nothing was sent.
    #[error("no credentials: {0}")]
    NoKeys(String),
    /// The connection failed: [`HttpError`] says whether the request may have arrived.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It took too long: the request may have arrived.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
}

impl ServiceClient {
    /// Calls `service` where `aws` says.
    pub fn new(aws: &Aws, service: Service) -> Self {
        let custom = aws.endpoints.custom(service);
        ServiceClient {
            service,
            endpoint: custom.map_or_else(|| service.aws_endpoint(&aws.region), str::to_owned),
            is_emulated: aws.endpoints.is_emulated(service),
            http: Arc::clone(&aws.http),
            signer: Signer::new(aws.region.clone(), service.prefix()),
            keys: Arc::clone(&aws.keys),
        }
    }

    /// The same at another endpoint of AWS's, such as a bucket's own, without a slash at its end.
    #[must_use]
    pub fn at(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = endpoint.into();
        self
    }

    /// The same with these keys.
    #[must_use]
    pub fn with_keys(mut self, keys: Arc<Keys>) -> Self {
        self.keys = keys;
        self
    }

    /// Where requests go, without a slash at the end: what their addresses begin with.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Signs `request`, sends it once, and reads an answer of at most `bytes_max` bytes that comes within `patience`.
    /// The request's address begins with [`ServiceClient::endpoint`]; path and query are escaped ([`escaped`]), and the query's
    /// parameters stand in their order.
    ///
    /// # Errors
    /// [`CallError`]; an answer that says no is none.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        bytes_max: usize,
        patience: Duration,
    ) -> Result<HttpAnswer, CallError> {
        let answer = self.send_with(&self.keys, request, bytes_max);
        tokio::time::timeout(patience, answer).await.unwrap_or(Err(CallError::Late(patience)))
    }

    /// The same, signed with these keys, however long the answer takes.
    ///
    /// # Errors
    /// As [`ServiceClient::send`].
    pub async fn send_with(
        &self,
        keys: &Keys,
        mut request: Request<Bytes>,
        bytes_max: usize,
    ) -> Result<HttpAnswer, CallError> {
        let keys = if self.is_emulated {
            keys.for_emulator().await
        } else {
            keys.for_aws().await.map_err(|error| CallError::NoKeys(error.to_string()))?
        };
        self.signer.sign(&mut request, &keys, SystemTime::now());
        Ok(self.http.send(request, bytes_max).await?)
    }

    /// A request for one operation of a service that speaks AWS's JSON protocol, such as `Logs_20140328.PutLogEvents`.
    ///
    /// # Errors
    /// [`HttpError::NotSent`] where the endpoint is no address.
    pub fn json_request(&self, target: &str, body: Bytes) -> Result<Request<Bytes>, HttpError> {
        let (content_type, is_of_query) = match self.service {
            Service::Sqs => (JSON_1_0, true),
            Service::DynamoDb => (JSON_1_0, false),
            _ => (JSON_1_1, false),
        };
        let mut request = Request::post(format!("{}/", self.endpoint))
            .header("content-type", content_type)
            .header("x-amz-target", target);
        if is_of_query {
            // So that exceptions tell the codes that they had in the Query protocol.
            request = request.header("x-amzn-query-mode", "true");
        }
        request.body(body).map_err(|error| HttpError::NotSent(error.to_string()))
    }

    /// Sends such a request once.
    ///
    /// # Errors
    /// As [`ServiceClient::send`].
    pub async fn json(&self, target: &str, body: Bytes, patience: Duration) -> Result<HttpAnswer, CallError> {
        self.send(self.json_request(target, body)?, ANSWER_BYTES_MAX, patience).await
    }

    /// The service.
    pub fn service(&self) -> Service {
        self.service
    }
}

const JSON_1_0: &str = "application/x-amz-json-1.0";
const JSON_1_1: &str = "application/x-amz-json-1.1";

/// What any answer of the services that speak JSON stays under.
pub(crate) const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Escapes what is not unreserved, as paths and queries of signed requests must be, but for the bytes in `kept`.
pub fn escaped(text: &str, kept: &[u8]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || kept.contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_is_escaped() {
        assert_eq!(escaped("a/b c~é", b""), "a%2Fb%20c~%C3%A9");
        assert_eq!(escaped("a/b:c", b"/"), "a/b%3Ac");
    }
}
