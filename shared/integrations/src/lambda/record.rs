//! What Lambda tells of the end of an asynchronous invocation. (Lambda Developer Guide, "Capturing records of Lambda asynchronous
//! invocations".)

use bytes::Bytes;
use stepwell_asl::ErrorName;
use stepwell_engine::message::Callback;
use stepwell_engine::port;
use stepwell_expr::{Payload, Value};
use stepwell_interpreter::{ErrorOutput, PAYLOAD_BYTES_MAX, Pattern, Resource};

use super::{Invoked, bare_result, function_error, service_result};
use crate::error::{self, LAMBDA, Refusal};

/// A record that Lambda sends to a function's destination.
#[derive(Debug, Clone, Copy)]
pub struct InvocationRecord<'a> {
    record: &'a Value,
    /// The id that Lambda gave the invocation.
    pub request_id: &'a str,
    /// When the record was made.
    pub at: Option<jiff::Timestamp>,
}

impl<'a> InvocationRecord<'a> {
    /// Reads a record; `None` where it is none.
    pub fn read(record: &'a Value) -> Option<Self> {
        let request_id = record.get("requestContext")?.get("requestId")?.as_str()?;
        let at = record.get("timestamp").and_then(Value::as_str).and_then(|at| at.parse().ok());
        Some(InvocationRecord { record, request_id, at })
    }

    /// How the attempt ends that `invocation` was for; `None` where it does not end by this: a task that waits for its token ends by
    /// that, unless the function failed.
    pub fn outcome(&self, invocation: &port::Invocation) -> Option<Callback> {
        let awaits_token = matches!(
            Resource::parse(&invocation.resource),
            Some(Resource::Service { pattern: Pattern::WaitForTaskToken, .. })
        );
        match self.result(invocation) {
            Ok(_) if awaits_token => None,
            Ok(result) => Some(Callback::Success(result)),
            Err(error) => Some(Callback::Failure(error)),
        }
    }

    fn result(&self, invocation: &port::Invocation) -> Result<Payload, ErrorOutput> {
        let is_bare = matches!(Resource::parse(&invocation.resource), Some(Resource::LambdaFunction { .. }));
        let context = |name: &str| self.record.get("responseContext").and_then(|context| context.get(name));
        let has_failed = context("functionError").and_then(Value::as_str).is_some();
        let is_success = self.condition() == "Success";
        let payload = match self.record.get("responsePayload") {
            Some(payload) if is_success || has_failed => payload.to_json(),
            None if is_success => "null".to_owned(),
            _ => return Err(self.not_run()),
        };
        if has_failed || !is_success {
            return Err(function_error(payload.as_bytes(), !is_bare));
        }
        let named = if is_bare { &*invocation.resource } else { "lambda" };
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(error::result_too_large(named));
        }
        if is_bare {
            return bare_result(named, payload.into());
        }
        let status = context("statusCode").and_then(Value::as_number).and_then(|status| status.as_integral());
        let version = context("executedVersion").and_then(Value::as_str).unwrap_or("$LATEST");
        let headers = self.headers(version, invocation.trace.as_deref(), payload.len());
        let status = status.and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
        service_result(&Invoked { status, headers, body: Bytes::from(payload) })
    }

    /// The headers that a synchronous invocation would have had, as far as they are known, in small letters.
    fn headers(&self, version: &str, trace: Option<&str>, bytes: usize) -> Vec<(String, String)> {
        let date = self.at.map(|at| at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
        let headers = [
            ("date", date),
            ("content-type", Some("application/json".to_owned())),
            ("content-length", Some(bytes.to_string())),
            ("connection", Some("keep-alive".to_owned())),
            ("x-amzn-requestid", Some(self.request_id.to_owned())),
            ("x-amzn-remapped-content-length", Some("0".to_owned())),
            ("x-amz-executed-version", Some(version.to_owned())),
            ("x-amzn-trace-id", trace.map(str::to_owned)),
        ];
        headers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    fn condition(&self) -> &str {
        let context = self.record.get("requestContext");
        context.and_then(|context| context.get("condition")?.as_str()).unwrap_or_default()
    }

    /// The function did not answer, or never began: Lambda had no room for it while it kept the event.
    fn not_run(&self) -> ErrorOutput {
        if self.condition() == "EventAgeExceeded" {
            let message = Some("Rate Exceeded. The event waited for a free function until its age was over.");
            let (status, code, request_id) = (429, "TooManyRequestsException", Some(self.request_id));
            return LAMBDA.refused(&Refusal { status, code, message, request_id });
        }
        let cause =
            format!("The function gave no answer, and its invocation ended with {}.", self.condition());
        ErrorOutput::new(ErrorName::LAMBDA_UNKNOWN, cause)
    }
}

#[cfg(test)]
mod tests {
    use stepwell_expr::json::parse;
    use stepwell_interpreter::Timestamp;

    use super::*;

    const FUNCTION: &str = "arn:aws:lambda:us-east-2:123456789012:function:my-function";
    const INVOKE: &str = "arn:aws:states:::lambda:invoke";

    fn record(condition: &str, response: &str) -> Value {
        parse(&format!(
            r#"{{"version":"1.0","timestamp":"2019-11-14T18:16:05.568Z","requestContext":{{
                "requestId":"e4b4","functionArn":"{FUNCTION}:$LATEST","condition":"{condition}","approximateInvokeCount":1}},
                "requestPayload":{{"ORDER_IDS":[1]}}{response}}}"#
        ))
        .unwrap()
    }

    #[track_caller]
    fn outcome(resource: &str, record: &Value) -> Option<Callback> {
        let (token, trace) = ("token".into(), Some("Root=1".into()));
        let invocation = port::Invocation { token, resource: resource.into(), trace, until: Timestamp(0) };
        let record = InvocationRecord::read(record).unwrap();
        assert_eq!(record.request_id, "e4b4");
        record.outcome(&invocation)
    }

    fn success(payload: &str) -> Value {
        let context = r#""responseContext":{"statusCode":200,"executedVersion":"7"}"#;
        record("Success", &format!(r#",{context},"responsePayload":{payload}"#))
    }

    #[test]
    fn a_function_that_succeeded_ends_as_if_it_had_been_waited_for() {
        let check = |resource: &str, payload: &str, expected: &str| match outcome(resource, &success(payload))
        {
            Some(Callback::Success(output)) => assert_eq!(&**output.text(), expected),
            other => panic!("{resource}: {other:?}"),
        };
        check(FUNCTION, r#"{"a":1.50}"#, r#"{"a":1.50}"#);
        check(FUNCTION, "null", "null");
        check(
            INVOKE,
            r#"{"a":1.50}"#,
            concat!(
                r#"{"ExecutedVersion":"7","Payload":{"a":1.50},"SdkHttpMetadata":{"AllHttpHeaders":{"#,
                r#""X-Amz-Executed-Version":["7"],"x-amzn-Remapped-Content-Length":["0"],"Connection":["keep-alive"],"#,
                r#""x-amzn-RequestId":["e4b4"],"Content-Length":["10"],"Date":["Thu, 14 Nov 2019 18:16:05 GMT"],"#,
                r#""X-Amzn-Trace-Id":["Root=1"],"Content-Type":["application/json"]},"HttpHeaders":{"#,
                r#""Connection":"keep-alive","Content-Length":"10","Content-Type":"application/json","#,
                r#""Date":"Thu, 14 Nov 2019 18:16:05 GMT","X-Amz-Executed-Version":"7","#,
                r#""x-amzn-Remapped-Content-Length":"0","x-amzn-RequestId":"e4b4","X-Amzn-Trace-Id":"Root=1"},"#,
                r#""HttpStatusCode":200},"SdkResponseMetadata":{"RequestId":"e4b4"},"StatusCode":200}"#
            ),
        );
        let token = "arn:aws:states:::lambda:invoke.waitForTaskToken";
        assert_eq!(outcome(token, &success("1")), None);
    }

    #[test]
    fn a_function_that_failed_fails_as_if_it_had_been_waited_for() {
        let check = |resource: &str, record: &Value, name: &str, cause: &str| match outcome(resource, record)
        {
            Some(Callback::Failure(error)) => {
                assert_eq!(error.error.as_deref(), Some(name));
                let told = error.cause.unwrap_or_default();
                assert!(told.starts_with(cause), "{told}");
            }
            other => panic!("{resource}: {other:?}"),
        };
        let context = r#","responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"}"#;
        let raised = r#"{"errorMessage":"no","errorType":"Busy"}"#;
        let failed = record("RetriesExhausted", &format!(r#"{context},"responsePayload":{raised}"#));
        let token = "arn:aws:states:::lambda:invoke.waitForTaskToken";
        for resource in [FUNCTION, INVOKE, token] {
            check(resource, &failed, "Busy", raised);
        }
        let untyped = r#","responsePayload":{"errorMessage":"Task timed out after 900.00 seconds"}"#;
        let failed = record("RetriesExhausted", &format!("{context}{untyped}"));
        check(INVOKE, &failed, "Lambda.Unknown", "The cause could not be determined because Lambda did not");
        let aged = record("EventAgeExceeded", r#","responsePayload":null"#);
        check(INVOKE, &aged, "Lambda.TooManyRequestsException", "Rate Exceeded.");
        check(INVOKE, &record("EventAgeExceeded", ""), "Lambda.TooManyRequestsException", "Rate Exceeded.");
        check(INVOKE, &record("RetriesExhausted", ""), "Lambda.Unknown", "The function gave no answer");
        let large = success(&format!("\"{}\"", "x".repeat(PAYLOAD_BYTES_MAX)));
        check(INVOKE, &large, "States.DataLimitExceeded", "The state/task 'lambda' returned");
        check(FUNCTION, &large, "States.DataLimitExceeded", &format!("The state/task '{FUNCTION}' returned"));
    }

    #[test]
    fn what_is_no_record_is_none() {
        for text in ["null", "{}", r#"{"requestContext":{}}"#, r#"{"requestContext":{"requestId":1}}"#] {
            assert!(InvocationRecord::read(&parse(text).unwrap()).is_none(), "{text}");
        }
    }
}
