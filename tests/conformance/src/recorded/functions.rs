//! The functions that cases call, in the place of AWS Lambda.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use stepwell_engine::port::Clock;
use stepwell_integrations::{FunctionHost, HostAnswer, HostCall};

use super::python::{dumps, repr};

/// Functions by name, and the handler that each of them is.
pub(crate) struct Functions {
    clock: Arc<dyn Clock>,
    handlers: Mutex<BTreeMap<String, String>>,
    account: Arc<str>,
    region: Arc<str>,
}

/// Below how much it is that functions take, apart from a millisecond: calls made at once end in any order.
const DURATION_MICROS: u64 = 30_000;

/// One character more than a state's output may have.
const LARGE: usize = 257 * 1024;

impl Functions {
    pub(crate) fn new(clock: Arc<dyn Clock>, account: Arc<str>, region: Arc<str>) -> Self {
        Functions { clock, handlers: Mutex::default(), account, region }
    }

    pub(crate) fn register(&self, name: String, handler: String) {
        self.handlers.lock().unwrap_or_else(PoisonError::into_inner).insert(name, handler);
    }

    fn handler(&self, name: &str) -> Option<String> {
        self.handlers.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// What a call of a function that is not there is told.
    fn not_found(&self, reference: &Reference<'_>, qualifier: Option<&str>) -> HostAnswer {
        let (region, account) = reference.place.unwrap_or((&self.region, &self.account));
        let qualifier = qualifier.or(reference.qualifier).unwrap_or("$LATEST");
        let arn = format!("arn:aws:lambda:{region}:{account}:function:{}:{qualifier}", reference.name);
        HostAnswer::Refused {
            status: 404,
            code: "ResourceNotFoundException",
            message: format!("Function not found: {arn}"),
        }
    }
}

#[async_trait]
impl FunctionHost for Functions {
    /// Every one: there is no other Lambda.
    fn hosts(&self, _: &str) -> bool {
        true
    }

    async fn invoke(&self, call: HostCall) -> HostAnswer {
        self.clock.sleep(Duration::from_micros(1_000 + self.clock.random() % DURATION_MICROS)).await;
        let reference = Reference::of(&call.function);
        let Some(handler) = self.handler(reference.name) else {
            return self.not_found(&reference, call.qualifier.as_deref());
        };
        let Ok(event) = serde_json::from_slice(&call.payload) else {
            let message = "Could not parse request body into json: invalid JSON".to_owned();
            return HostAnswer::Refused { status: 400, code: "InvalidRequestContentException", message };
        };
        if handler == "sleep60" {
            self.clock.sleep(Duration::from_secs(60)).await;
        }
        answer(&handler, &event, &call.request_id)
    }
}

/// What a handler returns or raises, as Python's runtime writes it.
fn answer(handler: &str, event: &Value, request_id: &str) -> HostAnswer {
    let success = |text: String| HostAnswer::Success(text.into());
    let raised = |error_type: &str, message: &str, trace: &str| {
        let error = json!({
            "errorMessage": message, "errorType": error_type, "requestId": request_id, "stackTrace": [trace],
        });
        HostAnswer::FunctionError(dumps(&error).into())
    };
    match handler {
        "id" | "sleep60" => success(dumps(event)),
        "return_hello" => success(dumps(&json!({"Return": "HelloWorld"}))),
        "bytes_hello" => success("\"HelloWorld!\"".to_owned()),
        "decorated" => success(dumps(&format!("input-event-{}", shown(event)).into())),
        "large_output" => success("a".repeat(LARGE)),
        "env_hello" => success(dumps(&json!({"Hello": "_value_missing_"}))),
        "raise_exception" => raised(
            "Exception",
            "Some exception was raised.",
            "  File \"/var/task/handler.py\", line 2, in handler\n    raise Exception(\"Some exception was raised.\")\n",
        ),
        "raise_custom_exception" => raised(
            "CustomException",
            "",
            "  File \"/var/task/handler.py\", line 9, in handler\n    raise CustomException()\n",
        ),
        unknown => HostAnswer::Refused {
            status: 500,
            code: "ServiceException",
            message: format!("there is no handler {unknown}"),
        },
    }
}

/// A value within a text: a text is shown without quotes.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| repr(value), str::to_owned)
}

/// A function as a call names it: by name, partial ARN or ARN, perhaps with a qualifier.
struct Reference<'a> {
    name: &'a str,
    qualifier: Option<&'a str>,
    /// Region and account, where the ARN says them.
    place: Option<(&'a str, &'a str)>,
}

impl<'a> Reference<'a> {
    fn of(function: &'a str) -> Self {
        let parts: Vec<_> = function.split(':').collect();
        let place = match parts[..] {
            ["arn", _, "lambda", region, account, "function", ..] => Some((region, account)),
            _ => None,
        };
        let named = parts.iter().position(|part| *part == "function").map_or(0, |at| at + 1);
        let name = parts.get(named).copied().unwrap_or_default();
        Reference { name, qualifier: parts.get(named + 1).copied(), place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_in_three_ways() {
        let check = |function: &str, name: &str, qualifier: Option<&str>, place: Option<(&str, &str)>| {
            let found = Reference::of(function);
            assert_eq!((found.name, found.qualifier, found.place), (name, qualifier, place), "{function}");
        };
        check("f", "f", None, None);
        check("f:live", "f", Some("live"), None);
        check("123456789012:function:f", "f", None, None);
        check("arn:aws:lambda:r:1:function:f", "f", None, Some(("r", "1")));
        check("arn:aws:lambda:r:1:function:f:2", "f", Some("2"), Some(("r", "1")));
    }

    #[test]
    fn handlers_answer_as_python_would() {
        let check = |handler: &str, event: Value, expected: &str| {
            let text = match answer(handler, &event, "r") {
                HostAnswer::Success(text) | HostAnswer::FunctionError(text) => text,
                HostAnswer::Refused { message, .. } => message.into(),
            };
            assert_eq!(text, expected, "{handler}");
        };
        check("id", json!({"a": [1, 2.0]}), r#"{"a": [1, 2.0]}"#);
        check("decorated", json!({"a": true}), r#""input-event-{'a': True}""#);
        check("decorated", json!("text"), r#""input-event-text""#);
        check("bytes_hello", json!({}), "\"HelloWorld!\"");
        check(
            "raise_custom_exception",
            json!({}),
            concat!(
                r#"{"errorMessage": "", "errorType": "CustomException", "requestId": "r", "stackTrace": "#,
                r#"["  File \"/var/task/handler.py\", line 9, in handler\n    raise CustomException()\n"]}"#
            ),
        );
        check("nope", json!({}), "there is no handler nope");
    }
}
