//! What somebody on the way says instead of the API, as an exception that SDKs understand.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::Value;
use stepwell_integrations::{HttpAnswer, HttpError};
use stepwell_wire::Reply;
use uuid::Uuid;

use super::upstream::{Door, LASTING, Upstream};

/// An exception of AWS's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exception {
    pub(super) status: u16,
    pub(super) name: &'static str,
    pub(super) message: String,
}

/// Exceptions about who calls, as API Gateway and Lambda name them in a header.
const ABOUT_CALLERS: [&str; 6] = [
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
];

/// Characters of somebody else's words that are passed on at most.
const SAID_MAX: usize = 400;

impl Exception {
    fn new(status: u16, name: &'static str, message: String) -> Self {
        Exception { status, name, message }
    }

    /// Nothing signs for the user.
    pub(super) fn no_keys(error: &dyn std::error::Error) -> Self {
        let mut why = error.to_string();
        if let Some(source) = error.source() {
            why = format!("{why}: {source}");
        }
        Exception::new(
            400,
            "UnrecognizedClientException",
            format!("stepwell proxy has no AWS credentials to sign with: {why}"),
        )
    }

    /// The target names no operation.
    pub(super) fn unnamed(target: &str) -> Self {
        let shown: String = target.chars().take(100).collect();
        let message = format!("'{shown}' is no operation of the API of AWS Step Functions");
        Exception::new(400, "UnknownOperationException", message)
    }

    /// The address cannot be asked for this.
    pub(super) fn unaddressed(upstream: &Upstream) -> Self {
        Exception::new(400, "UnknownOperationException", format!("{upstream} cannot be asked for that"))
    }

    /// There was no answer.
    pub(super) fn unanswered(upstream: &Upstream, error: &HttpError) -> Self {
        let message = match error {
            HttpError::NotSent(why) => format!("{upstream} was not reached, and nothing was done: {why}"),
            HttpError::Unknown(why) => {
                format!("{upstream} gave no answer, and may have done what was asked: {why}")
            }
            HttpError::TooLarge(_) => format!("{upstream}: {error}"),
        };
        Exception::new(503, "ServiceUnavailableException", message)
    }

    /// What `answer` means, where it is not the API's own; `caller` is who was refused, once that is asked.
    pub(super) fn read(
        upstream: &Upstream,
        operation: &str,
        answer: &HttpAnswer,
        caller: &str,
    ) -> Option<Self> {
        let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let body = body.filter(Value::is_object);
        let is_success = (200..300).contains(&answer.status);
        if body.as_ref().is_some_and(|body| is_success || body["__type"].is_string()) {
            return None;
        }
        let said = said(body.as_ref(), &answer.body);
        let door = upstream.door;
        let status = answer.status;
        Some(match status {
            401 | 403 => {
                let name = about_caller(&answer.headers, &said);
                let message = match name {
                    "AccessDeniedException" => format!(
                        "{caller} is not allowed to call {upstream}: it needs {}. ({door}: {said})",
                        upstream.permission()
                    ),
                    _ => format!("{said} ({door} at {upstream}, asked by {caller})"),
                };
                Exception::new(400, name, message)
            }
            413 => Exception::new(413, "RequestEntityTooLargeException", said),
            429 => Exception::new(400, "ThrottlingException", format!("Rate exceeded ({door}: {said})")),
            503 | 504 if door == Door::ApiGateway && LASTING.contains(&operation) => Exception::new(
                500,
                "InternalFailure",
                format!(
                    "{said} (API Gateway waits 30 seconds, and {operation} may take longer: give stepwell proxy the \
                     deployment's Function URL with --url)"
                ),
            ),
            500.. => Exception::new(
                500,
                "InternalFailure",
                format!("{door} at {upstream} answered {status}: {said}"),
            ),
            _ => Exception::new(
                400,
                "UnknownOperationException",
                format!("{upstream} answered {status}: {said}. Is it the endpoint of a Stepwell deployment?"),
            ),
        })
    }

    pub(super) fn response(&self, request_id: Option<HeaderValue>) -> Response<Full<Bytes>> {
        let kind = format!("com.amazon.coral.service#{}", self.name);
        // The framework spells the member in both ways; SDKs read both.
        let body = serde_json::json!({"__type": kind, "message": self.message, "Message": self.message});
        let mut response = Response::new(Full::new(body.to_string().into()));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(Reply::CONTENT_TYPE));
        let id = request_id.or_else(|| HeaderValue::try_from(Uuid::new_v4().to_string()).ok());
        if let Some(id) = id {
            headers.insert("x-amzn-requestid", id);
        }
        response
    }
}

/// Whether what was answered is about who calls.
pub(super) fn is_about_caller(answer: &HttpAnswer) -> bool {
    matches!(answer.status, 401 | 403)
}

/// What was said, for people.
fn said(body: Option<&Value>, text: &[u8]) -> String {
    let member = |name: &str| body.and_then(|body| body[name].as_str());
    let said = member("message").or_else(|| member("Message")).or_else(|| member("errorMessage"));
    let said = said.map_or_else(|| String::from_utf8_lossy(text).into_owned(), str::to_owned);
    let plain: String = said.chars().filter(|c| !c.is_control()).take(SAID_MAX).collect();
    if plain.trim().is_empty() { "no reason given".to_owned() } else { plain }
}

fn about_caller(headers: &HeaderMap, said: &str) -> &'static str {
    let named = headers.get("x-amzn-errortype").and_then(|name| name.to_str().ok()).unwrap_or_default();
    let named = named.split(':').next().unwrap_or_default();
    if let Some(known) = ABOUT_CALLERS.iter().find(|known| **known == named) {
        return known;
    }
    let said = said.to_ascii_lowercase();
    // HTTP APIs have words only.
    for (words, name) in [
        ("is expired", "ExpiredTokenException"),
        ("signature we calculated", "InvalidSignatureException"),
        ("signature expired", "InvalidSignatureException"),
        ("not yet current", "InvalidSignatureException"),
        ("token included in the request is invalid", "UnrecognizedClientException"),
    ] {
        if said.contains(words) {
            return name;
        }
    }
    "AccessDeniedException"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, kind: Option<&str>, body: &str) -> HttpAnswer {
        let mut headers = HeaderMap::new();
        if let Some(kind) = kind {
            headers.insert("x-amzn-errortype", kind.parse().unwrap());
        }
        HttpAnswer { status, headers, body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    #[test]
    fn what_gateways_say_is_an_exception() {
        let gateway =
            Upstream::parse("https://abc.execute-api.eu-west-1.amazonaws.com", Door::ApiGateway).unwrap();
        let url = Upstream::parse("https://xyz.lambda-url.eu-west-1.on.aws", Door::ApiGateway).unwrap();
        let check =
            |upstream: &Upstream, operation: &str, answer: HttpAnswer, expected: (u16, &str, &[&str])| {
                let exception = Exception::read(upstream, operation, &answer, "role/dev (AKID)").unwrap();
                let (status, name, words) = expected;
                assert_eq!((exception.status, exception.name), (status, name), "{answer:?}");
                for word in words {
                    assert!(exception.message.contains(word), "{word} in {exception:?}");
                }
            };
        let list = "ListExecutions";
        check(
            &gateway,
            list,
            answer(403, None, r#"{"message":"Forbidden"}"#),
            (
                400,
                "AccessDeniedException",
                &[
                    "role/dev (AKID)",
                    "execute-api:Invoke on arn:aws:execute-api:eu-west-1:ACCOUNT:abc/*/POST/*",
                    "Forbidden",
                ],
            ),
        );
        check(
            &url,
            list,
            answer(403, Some("AccessDeniedException"), r#"{"Message":"Forbidden"}"#),
            (400, "AccessDeniedException", &["lambda:InvokeFunctionUrl"]),
        );
        check(
            &gateway,
            list,
            answer(
                403,
                Some("UnrecognizedClientException:x"),
                r#"{"message":"The security token included in the request is invalid."}"#,
            ),
            (400, "UnrecognizedClientException", &["The security token", "AKID"]),
        );
        check(
            &gateway,
            list,
            answer(403, None, r#"{"message":"The security token included in the request is expired"}"#),
            (400, "ExpiredTokenException", &["expired"]),
        );
        check(
            &url,
            list,
            answer(403, None, r#"{"message":"The request signature we calculated does not match"}"#),
            (400, "InvalidSignatureException", &["signature we calculated"]),
        );
        check(
            &gateway,
            list,
            answer(429, None, r#"{"message":"Too Many Requests"}"#),
            (400, "ThrottlingException", &["Too Many"]),
        );
        check(
            &url,
            list,
            answer(413, None, r#"{"Message":null}"#),
            (413, "RequestEntityTooLargeException", &[]),
        );
        for status in [500, 502, 503, 504] {
            let said = answer(status, None, r#"{"message":"Internal Server Error"}"#);
            check(&gateway, list, said, (500, "InternalFailure", &["Internal Server Error"]));
        }
        check(
            &gateway,
            "TestState",
            answer(503, None, r#"{"message":"Service Unavailable"}"#),
            (500, "InternalFailure", &["--url"]),
        );
        check(
            &gateway,
            list,
            answer(404, None, r#"{"message":"Not Found"}"#),
            (400, "UnknownOperationException", &["Not Found"]),
        );
        check(&gateway, list, answer(200, None, "<html>"), (400, "UnknownOperationException", &["<html>"]));
        check(
            &gateway,
            list,
            answer(302, None, ""),
            (400, "UnknownOperationException", &["no reason given"]),
        );
    }

    #[test]
    fn the_apis_own_answers_are_left_alone() {
        let upstream = Upstream::parse("https://a.b", Door::ApiGateway).unwrap();
        for (status, body) in [
            (200, "{}"),
            (200, r#"{"message":"an output"}"#),
            (400, r#"{"__type":"x#InvalidArn","message":"m"}"#),
            (500, r#"{"__type":"x#InternalFailure"}"#),
            (403, r#"{"__type":"x#AccessDeniedException"}"#),
        ] {
            assert_eq!(
                Exception::read(&upstream, "", &answer(status, None, body), ""),
                None,
                "{status} {body}"
            );
        }
    }
}
