//! What the integrations share that call AWS's services: one attempt is one request, and the exchange shows in the result.

use bytes::Bytes;
use http::Request;
use stepwell_engine::port::TaskCall;
use stepwell_expr::json::parse;
use stepwell_expr::{Map, Payload, Value};
use stepwell_interpreter::ErrorOutput;

use crate::client::{ANSWER_BYTES_MAX, CallError, ServiceClient};
use crate::error::Errors;
use crate::exception::Exception;
use crate::http::{HttpAnswer, HttpError};
use crate::metadata::{Spelling, sdk_members};
use crate::{Aws, Service};

/// Calls one service for tasks, each with the keys of its role.
#[derive(Debug)]
pub(crate) struct Caller {
    aws: Aws,
    client: ServiceClient,
    errors: &'static Errors,
}

impl Caller {
    pub(crate) fn new(aws: &Aws, service: Service, errors: &'static Errors) -> Self {
        Caller { aws: aws.clone(), client: ServiceClient::new(aws, service), errors }
    }

    /// One operation of a service that speaks JSON, such as `AmazonSQS.SendMessage`.
    ///
    /// # Errors
    /// The service's exceptions and those of its client.
    pub(crate) async fn json(
        &self,
        task: &TaskCall,
        target: &str,
        members: Map,
    ) -> Result<Exchange, ErrorOutput> {
        let body = Value::object(members).to_json();
        let request = self.client.json_request(target, body.into());
        let answer = self.send(task, request.map_err(CallError::Http)).await?;
        if !(200..300).contains(&answer.status) {
            return Err(self.errors.refused(&Exception::of_json(&answer).as_refusal()));
        }
        Ok(Exchange { answer, errors: self.errors })
    }

    /// One operation of a service that speaks the Query protocol.
    ///
    /// # Errors
    /// The service's exceptions and those of its client.
    pub(crate) async fn query(&self, task: &TaskCall, body: String) -> Result<Exchange, ErrorOutput> {
        let request = Request::post(format!("{}/", self.client.endpoint()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from(body))
            .map_err(|error| CallError::Http(HttpError::NotSent(error.to_string())));
        let answer = self.send(task, request).await?;
        if !(200..300).contains(&answer.status) {
            return Err(self.errors.refused(&Exception::of_xml(&answer).as_refusal()));
        }
        Ok(Exchange { answer, errors: self.errors })
    }

    /// However long it takes: when a call is given up is for its task's TimeoutSeconds to say.
    async fn send(
        &self,
        task: &TaskCall,
        request: Result<Request<Bytes>, CallError>,
    ) -> Result<HttpAnswer, ErrorOutput> {
        let keys = self.aws.keys_for(task, self.client.service()).await?;
        let answer = match request {
            Ok(request) => self.client.send_with(&keys, request, ANSWER_BYTES_MAX).await,
            Err(error) => Err(error),
        };
        answer.map_err(|error| self.errors.not_called(&error))
    }
}

/// A request that was answered with a result.
#[derive(Debug)]
pub(crate) struct Exchange {
    answer: HttpAnswer,
    errors: &'static Errors,
}

impl Exchange {
    /// The members of a JSON answer; none where it is empty.
    ///
    /// # Errors
    /// The client's exception where it is something else.
    pub(crate) fn members(&self) -> Result<Value, ErrorOutput> {
        if self.answer.body.is_empty() {
            return Ok(Value::empty_object());
        }
        let text = String::from_utf8_lossy(&self.answer.body);
        let body = parse(&text).map_err(|error| self.unreadable(error))?;
        if body.as_object().is_some() { Ok(body) } else { Err(self.unreadable("it is no object")) }
    }

    /// The body's text.
    pub(crate) fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.answer.body)
    }

    /// The error of an answer that cannot be read.
    pub(crate) fn unreadable(&self, why: impl std::fmt::Display) -> ErrorOutput {
        self.errors.client(format!("Unable to unmarshall response: {why}"))
    }

    /// The result of a call: its members and those of the exchange, in alphabetical order; `None` is left out.
    pub(crate) fn result(
        &self,
        members: impl IntoIterator<Item = (&'static str, Option<Value>)>,
        spelling: Spelling,
    ) -> Payload {
        let HttpAnswer { status, headers, .. } = &self.answer;
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
        let request_id = headers.iter().find(|(name, _)| *name == "x-amzn-requestid");
        let request_id = request_id.map_or("", |(_, value)| value);
        let shown = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let mut all: Vec<(&str, Value)> =
            members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        all.extend(sdk_members(*status, shown, request_id, spelling));
        all.sort_by_key(|(name, _)| *name);
        Payload::of(Value::object(all.into_iter().map(|(name, value)| (name.into(), value)).collect()))
    }
}
