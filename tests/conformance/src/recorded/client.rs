//! Calls of the API as boto3 makes them: what it checks first, and what it makes of the answer.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use stepwell_engine::port::Clock;
use stepwell_interpreter::Timestamp;
use stepwell_test_support::Random;
use stepwell_wire::Api;

use super::case::Call;
use super::logs::LogGroups;
use super::parameters;
use super::queues::Queues;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CallError {
    /// It was not sent: the text of boto3's ParamValidationError.
    Parameters(String),
    /// The API refused it: the operation, and the answer as boto3 shows it.
    Refused(String, Value),
}

/// The exceptions that the API's model declares. Any other is a plain ClientError.
const DECLARED: [&str; 33] = [
    "ActivityAlreadyExists",
    "ActivityDoesNotExist",
    "ActivityLimitExceeded",
    "ActivityWorkerLimitExceeded",
    "ConflictException",
    "ExecutionAlreadyExists",
    "ExecutionDoesNotExist",
    "ExecutionLimitExceeded",
    "ExecutionNotRedrivable",
    "InvalidArn",
    "InvalidDefinition",
    "InvalidEncryptionConfiguration",
    "InvalidExecutionInput",
    "InvalidLoggingConfiguration",
    "InvalidName",
    "InvalidOutput",
    "InvalidToken",
    "InvalidTracingConfiguration",
    "KmsAccessDeniedException",
    "KmsInvalidStateException",
    "KmsThrottlingException",
    "MissingRequiredParameter",
    "ResourceNotFound",
    "ServiceQuotaExceededException",
    "StateMachineAlreadyExists",
    "StateMachineDeleting",
    "StateMachineDoesNotExist",
    "StateMachineLimitExceeded",
    "StateMachineTypeNotSupported",
    "TaskDoesNotExist",
    "TaskTimedOut",
    "TooManyTags",
    "ValidationException",
];

/// The members of declared exceptions.
const EXCEPTION_MEMBERS: [&str; 4] = ["message", "reason", "resourceName", "kmsKeyState"];

/// Members of answers that are times.
const TIMES: [&str; 6] = ["timestamp", "creationDate", "redriveDate", "startDate", "updateDate", "stopDate"];

impl CallError {
    /// `str(error)`.
    pub(crate) fn text(&self) -> String {
        match self {
            CallError::Parameters(text) => text.clone(),
            CallError::Refused(operation, response) => {
                let part = |name: &str| response["Error"][name].as_str().unwrap_or("Unknown").to_owned();
                let (code, message) = (part("Code"), part("Message"));
                format!("An error occurred ({code}) when calling the {operation} operation: {message}")
            }
        }
    }

    /// `type(error).__name__`.
    pub(crate) fn type_name(&self) -> &str {
        match self {
            CallError::Parameters(_) => "ParamValidationError",
            CallError::Refused(_, response) => {
                let code = response["Error"]["Code"].as_str().unwrap_or_default();
                if DECLARED.contains(&code) { code } else { "ClientError" }
            }
        }
    }
}

/// A client, which takes a moment for each call: as long as a seed says.
pub(crate) struct Client {
    api: Api,
    queues: Arc<Queues>,
    logs: LogGroups,
    random: RefCell<Random>,
}

impl Client {
    pub(crate) fn new(api: Api, queues: Arc<Queues>, logs: LogGroups, random: Random) -> Self {
        Client { api, queues, logs, random: RefCell::new(random) }
    }

    /// The log groups.
    pub(crate) fn logs(&self) -> &LogGroups {
        &self.logs
    }

    /// Makes a call of a case; `None` where its service is not here.
    pub(crate) async fn call_service(&self, call: &Call, params: &Value) -> Option<Result<Value, CallError>> {
        let settings = self.api.settings();
        let account = call.access_key.as_deref().unwrap_or(&settings.account);
        match call.service.as_str() {
            "stepfunctions" => Some(self.call_in(account, &call.op, params).await),
            "sqs" => {
                self.take_a_moment().await;
                let refused = |why: String| {
                    let answer = json!({"__type": "AWS.SimpleQueueService.NonExistentQueue", "message": why});
                    CallError::Refused(call.op.clone(), refusal(&answer, json!({"HTTPStatusCode": 400})))
                };
                Some(self.queues.call(&call.op, params).map_err(refused))
            }
            "logs" => {
                self.take_a_moment().await;
                let refused = |why: String| {
                    let answer = json!({"__type": "UnknownOperationException", "message": why});
                    CallError::Refused(call.op.clone(), refusal(&answer, json!({"HTTPStatusCode": 400})))
                };
                Some(self.logs.call(&call.op, params).map_err(refused))
            }
            _ => None,
        }
    }

    /// Calls an operation in the usual account.
    ///
    /// # Errors
    ///
    /// As boto3 raises.
    pub(crate) async fn call(&self, operation: &str, params: &Value) -> Result<Value, CallError> {
        self.call_in(&self.api.settings().account, operation, params).await
    }

    /// Calls an operation in an account.
    ///
    /// # Errors
    ///
    /// As boto3 raises.
    pub(crate) async fn call_in(
        &self,
        account: &str,
        operation: &str,
        params: &Value,
    ) -> Result<Value, CallError> {
        if let Some(faults) = parameters::faults(operation, params) {
            return Err(CallError::Parameters(faults));
        }
        self.take_a_moment().await;
        let body = serde_json::to_vec(params).expect("a value can be written");
        let api = self.api.in_account(account);
        let reply = api.call(&format!("AWSStepFunctions.{operation}"), &body).await;
        self.take_a_moment().await;
        let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let metadata = json!({"HTTPStatusCode": reply.status});
        if reply.status < 300 {
            let mut answer = with_times(answer);
            if let Value::Object(members) = &mut answer {
                members.insert("ResponseMetadata".to_owned(), metadata);
            }
            return Ok(answer);
        }
        Err(CallError::Refused(operation.to_owned(), refusal(&answer, metadata)))
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.api.engine().ports().clock
    }

    async fn take_a_moment(&self) {
        let microseconds = 200 + self.random.borrow_mut().below(2_000) as u64;
        self.clock().sleep(Duration::from_micros(microseconds)).await;
    }
}

/// An exception's answer.
fn refusal(answer: &Value, metadata: Value) -> Value {
    let type_name = answer["__type"].as_str().unwrap_or_default();
    let code = type_name.rsplit('#').next().unwrap_or_default();
    let message = answer.get("message").or_else(|| answer.get("Message")).and_then(Value::as_str);
    let mut refusal = Map::new();
    refusal.insert("Error".to_owned(), json!({"Message": message.unwrap_or_default(), "Code": code}));
    refusal.insert("ResponseMetadata".to_owned(), metadata);
    if DECLARED.contains(&code) {
        for name in EXCEPTION_MEMBERS {
            if let Some(value) = answer.get(name) {
                refusal.insert(name.to_owned(), value.clone());
            }
        }
    }
    Value::Object(refusal)
}

/// Seconds since 1970 as the times they are.
fn with_times(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let read = |(name, value): (String, Value)| match value.as_f64() {
                Some(seconds) if TIMES.contains(&name.as_str()) => (name, iso(seconds).into()),
                _ => (name, with_times(value)),
            };
            Value::Object(members.into_iter().map(read).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(with_times).collect()),
        value => value,
    }
}

/// `datetime.isoformat()` in UTC.
fn iso(seconds: f64) -> String {
    let time = jiff::Timestamp::from_millisecond((seconds * 1000.0).round() as i64).unwrap_or_default();
    match time.subsec_millisecond() {
        0 => time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string(),
        milliseconds => time.strftime(&format!("%Y-%m-%dT%H:%M:%S.{milliseconds:03}000+00:00")).to_string(),
    }
}

/// The day and second of a time, as `{{now+30d}}` has them.
pub(crate) fn iso_second(time: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(time.0).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_read_as_boto3_shows_them() {
        let check = |answer: Value, name: &str, text: &str, has_message: bool| {
            let refused = CallError::Refused(
                "CreateThing".to_owned(),
                refusal(&answer, json!({"HTTPStatusCode": 400})),
            );
            assert_eq!((refused.type_name(), refused.text().as_str()), (name, text));
            let CallError::Refused(_, response) = refused else { return };
            assert_eq!(response.get("message").is_some(), has_message);
        };
        let text =
            "An error occurred (InvalidName) when calling the CreateThing operation: Invalid Name: 'x'";
        check(
            json!({"__type": "a.b#InvalidName", "message": "Invalid Name: 'x'"}),
            "InvalidName",
            text,
            true,
        );
        let text = "An error occurred (NewException) when calling the CreateThing operation: new";
        check(json!({"__type": "a.b#NewException", "message": "new"}), "ClientError", text, false);
    }

    #[test]
    fn seconds_become_times() {
        let value = with_times(json!({"events": [{"timestamp": 1.5, "id": 1}], "startDate": 1_700_000_000}));
        let expected = json!({
            "events": [{"timestamp": "1970-01-01T00:00:01.500000+00:00", "id": 1}],
            "startDate": "2023-11-14T22:13:20+00:00",
        });
        assert_eq!(value, expected);
        assert_eq!(iso_second(Timestamp(1_700_000_000_999)), "2023-11-14T22:13:20.000Z");
    }
}
