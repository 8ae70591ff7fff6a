//! Clients of the services that the ports stand on, with what of them is used here, in AWS's own names.
//!
//! They may send a request again ([`crate::retry`]): every port recognises what it has done.

mod attribute;
pub mod dynamodb;
mod json;
pub mod scheduler;
pub mod sqs;

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use stepwell_engine::port::{BoxError, Clock, Refused, Throttled};
use stepwell_expr::Value;
use stepwell_expr::json::parse;
use stepwell_integrations::{Aws, CallError, Exception, HttpAnswer, HttpError, Service, ServiceClient};

pub use attribute::{AttributeValue, Item};
pub(crate) use attribute::{read_item, write_item};
pub(crate) use json::{Object, array, body};

use crate::retry::{ANSWER, Budget, Retries, is_passing, is_throttled};

/// What any answer of these services stays under: a megabyte of items, with escapes.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why a service did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// It says no.
    #[error("{}: {}", .0.code, .0.message.as_deref().unwrap_or_default())]
    Refused(Box<Exception>),
    /// It did not answer, or its answer got lost: it may have done it.
    #[error(transparent)]
    NoAnswer(#[from] CallError),
    /// It answered what nobody can read.
    #[error("an answer of status {status} cannot be read: {why}")]
    Unreadable {
        /// The HTTP status.
        status: u16,
        /// Where it ends to make sense.
        why: String,
    },
}

impl ServiceError {
    /// Whether the same request may do better a moment later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            ServiceError::Refused(exception) => is_passing(exception.status, &exception.code),
            ServiceError::NoAnswer(CallError::NoKeys(_) | CallError::Http(HttpError::TooLarge(_))) => false,
            ServiceError::NoAnswer(_) | ServiceError::Unreadable { .. } => true,
        }
    }

    /// Whether the service has more to do than it may.
    pub(crate) fn is_throttled(&self) -> bool {
        matches!(self, ServiceError::Refused(exception) if is_throttled(exception.status, &exception.code))
    }

    /// For a port, whose asker is patient with what may pass.
    pub(crate) fn boxed(self) -> BoxError {
        match self {
            ServiceError::Refused(_) if !self.is_passing() => Box::new(Refused(Box::new(self))),
            _ if self.is_throttled() => Box::new(Throttled(Box::new(self))),
            _ => Box::new(self),
        }
    }

    /// The exception's name, where the service says no.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            ServiceError::Refused(exception) => Some(&exception.code),
            _ => None,
        }
    }
}

/// Asks one service, and again where that may help.
pub(crate) struct Caller {
    client: ServiceClient,
    clock: Arc<dyn Clock>,
    budget: Budget,
}

impl Caller {
    /// Asks `service` where `aws` says, and waits by `clock`.
    pub(crate) fn new(aws: &Aws, service: Service, clock: Arc<dyn Clock>) -> Self {
        Caller { client: ServiceClient::new(aws, service), clock, budget: Budget::default() }
    }

    /// One operation of a service that speaks JSON, such as `AmazonSQS.SendMessageBatch`.
    pub(crate) async fn json(&self, target: &str, body: String) -> Result<Value, ServiceError> {
        self.ask(self.client.json_request(target, body.into()).map_err(CallError::Http)?).await
    }

    /// One of a service that speaks REST and JSON.
    pub(crate) async fn post(&self, path: &str, body: String) -> Result<Value, ServiceError> {
        let request = Request::post(format!("{}{path}", self.client.endpoint()))
            .header("content-type", "application/json")
            .body(Bytes::from(body))
            .map_err(|error| CallError::Http(HttpError::NotSent(error.to_string())))?;
        self.ask(request).await
    }

    async fn ask(&self, request: Request<Bytes>) -> Result<Value, ServiceError> {
        let mut retries = Retries::new();
        loop {
            let error = match self.client.send(request.clone(), ANSWER_BYTES_MAX, ANSWER).await {
                Ok(answer) => match read(&answer) {
                    Ok(value) => {
                        self.budget.succeeded(&retries);
                        return Ok(value);
                    }
                    Err(error) => error,
                },
                Err(error) => error.into(),
            };
            if !error.is_passing() || !self.budget.takes() || !retries.again(&*self.clock).await {
                return Err(error);
            }
        }
    }

    /// Time and randomness.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.client.fmt(f)
    }
}

/// What an answer says.
fn read(answer: &HttpAnswer) -> Result<Value, ServiceError> {
    let status = answer.status;
    if !(200..300).contains(&status) {
        let exception = Exception::of_json(answer);
        if exception.code.is_empty() {
            return Err(ServiceError::Unreadable { status, why: "it has no code".to_owned() });
        }
        return Err(ServiceError::Refused(Box::new(exception)));
    }
    if answer.body.is_empty() {
        return Ok(Value::empty_object());
    }
    let unreadable = |why: String| ServiceError::Unreadable { status, why };
    let text = std::str::from_utf8(&answer.body).map_err(|error| unreadable(error.to_string()))?;
    parse(text).map_err(|error| unreadable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Again {
        Never,
        Later,
        WithLessToDo,
    }

    #[test]
    fn answers_say_whether_to_ask_again() {
        let check = |status, body: &'static str, expected: Option<Again>| {
            let answer = HttpAnswer { status, headers: Default::default(), body: body.into() };
            let again = read(&answer).err().map(|error| {
                let is_passing = error.is_passing();
                let boxed = error.boxed();
                assert_eq!(Refused::is_in(&*boxed), !is_passing, "{status} {body}");
                match (is_passing, Throttled::is_in(&*boxed)) {
                    (false, _) => Again::Never,
                    (true, false) => Again::Later,
                    (true, true) => Again::WithLessToDo,
                }
            });
            assert_eq!(again, expected, "{status} {body}");
        };
        check(200, "{}", None);
        check(200, "", None);
        check(200, "{", Some(Again::Later));
        check(400, r#"{"__type":"x#ValidationException"}"#, Some(Again::Never));
        check(400, r#"{"__type":"x#ThrottlingException"}"#, Some(Again::WithLessToDo));
        let exceeded = r#"{"__type":"x#ProvisionedThroughputExceededException"}"#;
        check(400, exceeded, Some(Again::WithLessToDo));
        check(429, r#"{"__type":"TooManyRequestsException"}"#, Some(Again::WithLessToDo));
        check(500, r#"{"__type":"x#InternalServerError"}"#, Some(Again::Later));
        check(503, "<html>", Some(Again::Later));
        check(400, "", Some(Again::Later));
    }
}
