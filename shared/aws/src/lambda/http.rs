//! Requests to the API that came through API Gateway or a Function URL, which have seen to who calls.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stepwell_expr::Value;
use stepwell_expr::json::write_string;
use stepwell_wire::{Api, Call, Error, REQUEST_BYTES_MAX, Reply};

use super::direct::Members;
use super::{Failure, Time, callers};
use crate::Assembly;

/// The operations of the function `start`.
pub(super) const STARTS: Option<&[&str]> = Some(&["StartExecution", "StartSyncExecution"]);

/// The operations of the function `callback`.
pub(super) const CALLBACKS: Option<&[&str]> =
    Some(&["SendTaskSuccess", "SendTaskFailure", "SendTaskHeartbeat"]);

/// Those of the function `api`.
pub(super) const ALL: Option<&[&str]> = None;

/// How long API Gateway waits for an answer, less what the way takes. A worker that polls longer would lose its task.
const GATEWAY: Duration = Duration::from_secs(24);

/// The largest answer of a function, in bytes, less the headers. (Lambda quotas: 6 MB, synchronous.)
const ANSWER_BYTES_MAX: usize = 6 * 1024 * 1024 - 4096;

/// A request, as one of the three sends it. Headers and body are not shown.
pub(super) struct Request<'a> {
    event: &'a Value,
    /// `POST` …
    pub(super) method: &'a str,
    /// The path, in API Gateway perhaps with a stage or a base path in front.
    pub(super) path: &'a str,
    /// Whether it comes straight to the function, and so has the function's time.
    pub(super) is_direct: bool,
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl<'a> Request<'a> {
    /// The request in an event; `None` where it holds none.
    pub(super) fn read(event: &'a Value) -> Option<Self> {
        let context = event.get("requestContext")?;
        if let Some(http) = context.get("http") {
            let path = event.get("rawPath").or_else(|| http.get("path"))?.as_str()?;
            let domain = context.get("domainName").and_then(Value::as_str).unwrap_or_default();
            let (method, is_direct) = (http.get("method")?.as_str()?, domain.contains(".lambda-url."));
            return Some(Request { event, method, path, is_direct });
        }
        let (method, path) = (event.get("httpMethod")?.as_str()?, event.get("path")?.as_str()?);
        Some(Request { event, method, path, is_direct: false })
    }

    /// A header, whatever the case of its name.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        let headers = self.event.get("headers")?.as_object()?;
        let found = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| value.as_str())
    }

    /// All headers.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let headers = self.event.get("headers").and_then(Value::as_object);
        headers
            .into_iter()
            .flat_map(|all| all.iter())
            .filter_map(|(name, value)| Some((&**name, value.as_str()?)))
    }

    /// Whether there is a query.
    pub(super) fn has_query(&self) -> bool {
        let is_filled = |name: &str| match self.event.get(name) {
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Object(members)) => !members.is_empty(),
            _ => false,
        };
        is_filled("rawQueryString") || is_filled("queryStringParameters")
    }

    /// Whether API Gateway or Lambda has found out who calls.
    pub(super) fn has_caller(&self) -> bool {
        let Some(context) = self.event.get("requestContext") else { return false };
        let authorizer = context.get("authorizer").and_then(Value::as_object);
        let identity = context.get("identity").and_then(|identity| identity.get("userArn")?.as_str());
        authorizer.is_some_and(|authorizer| !authorizer.is_empty()) || identity.is_some()
    }

    /// The operation: of `X-Amz-Target`, or the path's last part.
    fn operation(&self) -> &'a str {
        match self.header("x-amz-target") {
            Some(target) => target.strip_prefix(Api::TARGET_PREFIX).unwrap_or(target),
            None => self.path.rsplit('/').next().unwrap_or_default(),
        }
    }

    /// The operation that the route is for, whose permission the caller was asked for. Routes of the users' own are for none.
    fn routed(&self) -> Option<&'a str> {
        let parameters = self.event.get("pathParameters");
        let named = parameters.and_then(|parameters| parameters.get("operation")?.as_str());
        named.or_else(|| {
            let last = self.path.rsplit('/').next()?;
            [STARTS, CALLBACKS].into_iter().flatten().any(|own| own.contains(&last)).then_some(last)
        })
    }

    /// Whether neither `X-Amz-Target` nor the path names one of these operations, or any.
    fn is_route(&self, operations: Option<&[&str]>) -> bool {
        let is_named = operations.is_some_and(|all| all.contains(&self.operation()));
        !is_named && self.header("x-amz-target").is_none()
    }

    /// The body.
    ///
    /// # Errors
    /// [`Error`] where it is too large, or no Base64 though it is said to be.
    pub(super) fn body(&self) -> Result<Cow<'a, [u8]>, Error> {
        let text = self.event.get("body").and_then(Value::as_str).unwrap_or_default();
        let is_encoded = self.event.get("isBase64Encoded").and_then(Value::as_bool).unwrap_or(false);
        let body = if is_encoded {
            let decoded = STANDARD.decode(text);
            Cow::Owned(decoded.map_err(|_| Error::Serialization("the body is no Base64".to_owned()))?)
        } else {
            Cow::Borrowed(text.as_bytes())
        };
        if body.len() > REQUEST_BYTES_MAX { Err(Error::RequestTooLarge) } else { Ok(body) }
    }

    /// The caller's trace, where it is traced: API Gateway gives every request an id of its own.
    fn trace_header(&self) -> Option<&'a str> {
        self.header("x-amzn-trace-id").filter(|id| id.len() <= 256 && id.contains("Sampled=1"))
    }
}

/// Answers a request for one of the operations that are `offered`, or for any.
///
/// # Errors
/// None so far: a refusal is an answer.
pub(super) async fn answer(
    assembly: &Assembly,
    request: &Request<'_>,
    offered: Option<&[&str]>,
    time: Time,
) -> Result<String, Failure> {
    if request.method != "POST" {
        return Ok(plain(405, "POST calls the API.\n"));
    }
    let time = if request.is_direct { time } else { time.for_caller(GATEWAY, &*assembly.clock) };
    let api = assembly.api.until(time.deadline);
    let operation = match request.operation() {
        // Behind a route of the user's own, such as POST /orders, the path names no operation.
        named if offered == STARTS && request.is_route(STARTS) => STARTS.map_or(named, |starts| starts[0]),
        named => named,
    };
    let shown = || operation.chars().take(100).collect::<String>();
    if let Some(routed) = request.routed().filter(|routed| *routed != operation) {
        let routed: String = routed.chars().take(100).collect();
        let error =
            Error::UnknownOperation(format!("'{}' is not what this path is for: '{routed}'", shown()));
        return Ok(response(&api.refuse(&error)));
    }
    if offered.is_some_and(|offered| !offered.contains(&operation)) {
        let error = Error::UnknownOperation(format!("'{}' is no operation of this function", shown()));
        return Ok(response(&api.refuse(&error)));
    }
    let body = match request.body() {
        Ok(body) => body,
        Err(error) => return Ok(response(&api.refuse(&error))),
    };
    if let Err(error) = Box::pin(callers::admit(assembly, request, &body)).await {
        if let Error::Internal(cause) = &error {
            tracing::error!(%cause, "nobody can be let in");
        }
        return Ok(response(&api.refuse(&error)));
    }
    let target = format!("{}{operation}", Api::TARGET_PREFIX);
    let call = Call { target: &target, body: &body, trace_header: request.trace_header(), parent: None };
    let reply = api.answer(call).await;
    let answer = response(&reply);
    if answer.len() <= ANSWER_BYTES_MAX {
        return Ok(answer);
    }
    // Nothing else is that large, and nothing else may be asked for twice.
    if operation == "GetExecutionHistory"
        && let Some(answer) = shorter(&api, call, reply, answer.len()).await
    {
        return Ok(answer);
    }
    let error = Error::Internal("the answer is larger than a function's may be".into());
    Ok(response(&api.refuse(&error)))
}

/// As much of a history as fits into a function's answer, where what was asked for does not.
async fn shorter(api: &Api, call: Call<'_>, mut reply: Reply, mut bytes: usize) -> Option<String> {
    let text = String::from_utf8_lossy(call.body);
    let request = stepwell_expr::json::parse(&text).ok()?;
    loop {
        let events = occurrences(&reply.body, br#""previousEventId":"#);
        // A quarter less than would fit if all were alike.
        let items = events * (ANSWER_BYTES_MAX / 1024) / (bytes / 1024) * 3 / 4;
        let items = items.clamp(1, events.checked_sub(1).filter(|fewer| *fewer > 0)?);
        let body = Members::with_max_results(&request, i64::try_from(items).ok()?).ok()?;
        reply = api.answer(Call { body: body.as_bytes(), ..call }).await;
        let answer = response(&reply);
        if answer.len() <= ANSWER_BYTES_MAX {
            return Some(answer);
        }
        bytes = answer.len();
    }
}

/// How often `part` stands in `bytes`.
fn occurrences(bytes: &[u8], part: &[u8]) -> usize {
    bytes.windows(part.len()).filter(|window| *window == part).count()
}

/// A reply, as all three take it.
fn response(reply: &Reply) -> String {
    let mut out = String::with_capacity(reply.body.len() + reply.body.len() / 8 + 256);
    out.push_str(&format!(r#"{{"statusCode":{},"headers":{{"Content-Type":"#, reply.status));
    write_string(Reply::CONTENT_TYPE, &mut out);
    out.push_str(r#","x-amzn-RequestId":"#);
    write_string(&reply.request_id, &mut out);
    if let Some(error_type) = reply.error_type {
        out.push_str(r#","x-amzn-ErrorType":"#);
        write_string(error_type, &mut out);
    }
    out.push_str(r#"},"body":"#);
    write_string(&String::from_utf8_lossy(&reply.body), &mut out);
    out.push_str(r#","isBase64Encoded":false}"#);
    out
}

fn plain(status: u16, text: &str) -> String {
    let mut out = format!(
        r#"{{"statusCode":{status},"headers":{{"Content-Type":"text/plain; charset=utf-8","Allow":"POST"}},"body":"#
    );
    write_string(text, &mut out);
    out.push_str(r#","isBase64Encoded":false}"#);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_request(event: &str, check: impl FnOnce(Option<Request<'_>>)) {
        check(Request::read(&stepwell_expr::json::parse(event).unwrap()));
    }

    #[test]
    fn the_operation_is_the_targets_or_the_paths() {
        let check = |event: &str, expected: &str| {
            with_request(event, |request| assert_eq!(request.unwrap().operation(), expected, "{event}"));
        };
        let v2 = |headers: &str, path: &str| {
            format!(
                r#"{{"version":"2.0","rawPath":"{path}","headers":{headers},
                    "requestContext":{{"http":{{"method":"POST","path":"{path}"}}}}}}"#
            )
        };
        check(&v2(r#"{"x-amz-target":"AWSStepFunctions.ListStateMachines"}"#, "/"), "ListStateMachines");
        check(&v2("{}", "/prod/StartExecution"), "StartExecution");
        check(&v2("{}", "/"), "");
        let v1 = r#"{"httpMethod":"POST","path":"/StartExecution","headers":null,"requestContext":{}}"#;
        check(v1, "StartExecution");
        let v1 = r#"{"httpMethod":"POST","path":"/x","headers":{"X-Amz-Target":"AWSStepFunctions.A"},
            "requestContext":{}}"#;
        check(v1, "A");
        for event in ["{}", r#"{"requestContext":{}}"#, r#"{"requestContext":{"http":{}},"rawPath":1}"#] {
            with_request(event, |request| assert!(request.is_none(), "{event}"));
        }
    }

    #[test]
    fn a_request_is_read_whoever_sends_it() {
        let check = |event: &str, operation: &str, body: &str, is_direct: bool, is_traced: bool| {
            with_request(event, |request| {
                let request = request.unwrap();
                assert_eq!((request.method, request.operation()), ("POST", operation));
                assert!(request.body().unwrap().starts_with(body.as_bytes()), "{operation}");
                assert_eq!((request.is_direct, request.trace_header().is_some()), (is_direct, is_traced));
                assert!(request.header("Content-TYPE").is_some_and(|kind| kind.contains("json")));
            });
        };
        let rest = include_str!("../../tests/events/rest-api.json");
        check(rest, "StartExecution", r#"{"stateMachineArn":"#, false, false);
        let http = include_str!("../../tests/events/http-api.json");
        check(http, "ListStateMachines", "{}", false, false);
        let url = include_str!("../../tests/events/function-url.json");
        check(url, "StartSyncExecution", "{}", true, true);
    }

    #[test]
    fn a_route_is_for_the_operation_that_it_names() {
        let check = |path: &str, parameters: &str, expected: Option<&str>| {
            let event = format!(
                r#"{{"version":"2.0","rawPath":"{path}","pathParameters":{parameters},
                    "requestContext":{{"http":{{"method":"POST","path":"{path}"}}}}}}"#
            );
            with_request(&event, |request| assert_eq!(request.unwrap().routed(), expected, "{event}"));
        };
        check("/", "null", None);
        check("/ListExecutions", r#"{"operation":"ListExecutions"}"#, Some("ListExecutions"));
        check("/prod/StartExecution", "null", Some("StartExecution"));
        check("/SendTaskHeartbeat", "{}", Some("SendTaskHeartbeat"));
        check("/orders/start", r#"{"id":"7"}"#, None);
    }

    #[test]
    fn a_path_of_the_users_own_names_no_operation() {
        let check = |path: &str, headers: &str, expected: bool| {
            let event = format!(
                r#"{{"httpMethod":"POST","path":"{path}","headers":{headers},"requestContext":{{}}}}"#
            );
            with_request(&event, |request| {
                assert_eq!(request.unwrap().is_route(STARTS), expected, "{event}")
            });
        };
        check("/orders", "null", true);
        check("/", "null", true);
        check("/prod/StartSyncExecution", "null", false);
        check("/", r#"{"X-Amz-Target":"AWSStepFunctions.ListStateMachines"}"#, false);
    }

    #[test]
    fn bodies_are_decoded_and_bounded() {
        let check = |body: &str, is_encoded: bool, expected: Result<&str, &str>| {
            let event = format!(
                r#"{{"httpMethod":"POST","path":"/","requestContext":{{}},"body":{body},"isBase64Encoded":{is_encoded}}}"#
            );
            with_request(&event, |request| {
                let body = request.unwrap().body().map(|body| String::from_utf8(body.into_owned()).unwrap());
                let body = body.as_deref().map_err(Error::name);
                assert_eq!(body, expected);
            });
        };
        check(r#""{}""#, false, Ok("{}"));
        check(r#""e30=""#, true, Ok("{}"));
        check("null", false, Ok(""));
        check(r#""*""#, true, Err("SerializationException"));
        let large = format!("{:?}", "x".repeat(REQUEST_BYTES_MAX + 1));
        check(&large, false, Err("RequestEntityTooLargeException"));
    }

    #[test]
    fn only_a_sampled_trace_counts() {
        let check = |id: &str, expected: bool| {
            let event = format!(
                r#"{{"httpMethod":"POST","path":"/","requestContext":{{}},"headers":{{"X-Amzn-Trace-Id":"{id}"}}}}"#
            );
            with_request(&event, |request| {
                assert_eq!(request.unwrap().trace_header().is_some(), expected, "{id}");
            });
        };
        check("Root=1-5e1b4151-5ac6c58f3c3f5f9a9ce0e3f1", false);
        check("Root=1-5e1b4151-5ac6c58f3c3f5f9a9ce0e3f1;Parent=53995c3f42cd8ad8;Sampled=1", true);
    }

    #[test]
    fn a_reply_has_awss_headers() {
        let reply = Reply {
            status: 400,
            body: br#"{"__type":"x"}"#.as_slice().into(),
            error_type: Some("InvalidArn"),
            request_id: "id".to_owned(),
        };
        assert_eq!(
            response(&reply),
            r#"{"statusCode":400,"headers":{"Content-Type":"application/x-amz-json-1.0","x-amzn-RequestId":"id","x-amzn-ErrorType":"InvalidArn"},"body":"{\"__type\":\"x\"}","isBase64Encoded":false}"#
        );
    }
}
