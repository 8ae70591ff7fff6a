//! A mocked result, held against the API model of the service that the Resource names.

use stepwell_expr::Value;
use stepwell_interpreter::{Pattern, Resource};
use stepwell_models::{
    Bounds, Casing, Kind, Service, Type, polling_operation, service, service_of_integration,
};

use crate::Error;

/// `fieldValidationMode`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldValidationMode {
    /// What is there fits, and nothing is missing.
    Strict,
    /// What is there fits.
    Present,
    /// Nothing is checked.
    None,
}

/// Members that the model does not have may stand in a mock: services grow.
///
/// # Errors
/// [`Error::Validation`] for the first field that does not fit.
pub(super) fn check(resource: &Resource, result: &Value, mode: FieldValidationMode) -> Result<(), Error> {
    if mode == FieldValidationMode::None {
        return Ok(());
    }
    let Some((output, casing)) = answer_of(resource) else { return Ok(()) };
    let check = Check { casing, is_strict: mode == FieldValidationMode::Strict };
    check.value("", output, result).map_err(|fault| {
        let message = match fault {
            Fault::Missing(field) => format!("Required field '{field}' is missing"),
            // No field names the result itself.
            Fault::Wrong(field, what) if field.is_empty() => format!("Mock result {what}"),
            Fault::Wrong(field, what) => format!("Field '{field}' {what}"),
        };
        Error::validation(format!("Mock result schema validation error: {message}"))
    })
}

/// What the task's result is an answer of: for a job, of the operation that tells its end.
fn answer_of(resource: &Resource) -> Option<(Type<'static>, Casing)> {
    let Resource::Service { service: name, action, pattern } = resource else { return None };
    let output = |of: &'static Service, operation: &str| of.operation(operation)?.output();
    if let Some(name) = name.strip_prefix("aws-sdk:") {
        return Some((output(service(name)?, action)?, Casing::Sdk));
    }
    let name = service_of_integration(name, action)?;
    let operation = match pattern {
        Pattern::RequestResponse => action,
        Pattern::Sync | Pattern::Sync2 => polling_operation(name, action)?,
        // The result is what the callback brings.
        Pattern::WaitForTaskToken => return None,
    };
    Some((output(service(name)?, operation)?, Casing::Model))
}

struct Check {
    casing: Casing,
    is_strict: bool,
}

enum Fault {
    Missing(String),
    Wrong(String, &'static str),
}

impl Check {
    fn value(&self, field: &str, of: Type<'_>, value: &Value) -> Result<(), Fault> {
        let wrong = |what| Err(Fault::Wrong(field.to_owned(), what));
        match (of.kind(), value) {
            (Kind::Any, _) | (Kind::Boolean, Value::Bool(_)) => Ok(()),
            (Kind::Timestamp | Kind::Blob, Value::String(_)) => Ok(()),
            (Kind::String { length, values }, Value::String(text)) => match () {
                () if !values.allow(text) => wrong("is not an expected value"),
                () => self.length(field, length, text.chars().count()),
            },
            (Kind::Number(bounds), Value::Number(number)) => match outside(bounds, number.as_f64()) {
                Some(Side::Below) => wrong("is less than the minimum value"),
                Some(Side::Above) => wrong("exceeds the maximum value"),
                None => Ok(()),
            },
            (Kind::List(list), Value::Array(items)) => {
                self.length(field, list.length, items.len())?;
                items.iter().try_for_each(|item| self.value(field, list.of, item))
            }
            (Kind::Map(map), Value::Object(members)) => {
                self.length(field, map.length, members.len())?;
                members.iter().try_for_each(|(name, value)| self.value(name, map.of, value))
            }
            (Kind::Structure(structure), Value::Object(members)) => {
                for member in structure.members() {
                    let name = member.spelled(self.casing);
                    match members.get(&name) {
                        Some(value) => self.value(&name, member.of, value)?,
                        None if self.is_strict && member.is_required => {
                            return Err(Fault::Missing(name.into_owned()));
                        }
                        None => {}
                    }
                }
                Ok(())
            }
            (kind, _) => wrong(expected(kind)),
        }
    }

    fn length(&self, field: &str, bounds: Bounds, length: usize) -> Result<(), Fault> {
        match outside(bounds, length as f64) {
            Some(Side::Below) => Err(Fault::Wrong(field.to_owned(), "is less than the minimum length")),
            Some(Side::Above) => Err(Fault::Wrong(field.to_owned(), "exceeds the maximum length")),
            None => Ok(()),
        }
    }
}

enum Side {
    Below,
    Above,
}

fn outside(bounds: Bounds, value: f64) -> Option<Side> {
    match bounds {
        Bounds { min: Some(min), .. } if value < min => Some(Side::Below),
        Bounds { max: Some(max), .. } if value > max => Some(Side::Above),
        _ => None,
    }
}

fn expected(kind: Kind<'_>) -> &'static str {
    match kind {
        Kind::Structure(_) | Kind::Map(_) => "must be an object",
        Kind::List(_) => "must be an array",
        Kind::Number(_) => "must be a number",
        Kind::Boolean => "must be a boolean",
        Kind::String { .. } | Kind::Timestamp | Kind::Blob | Kind::Any => "must be a string",
    }
}

#[cfg(test)]
mod tests {
    use FieldValidationMode::{None as Unchecked, Present, Strict};
    use stepwell_expr::json::parse;

    use super::*;

    #[track_caller]
    fn checked(resource: &str, mode: FieldValidationMode, result: &str) -> String {
        let resource = Resource::parse(&format!("arn:aws:states:::{resource}")).unwrap();
        match check(&resource, &parse(result).unwrap(), mode) {
            Ok(()) => "ok".into(),
            Err(error) => error.to_string().replace("Mock result schema validation error: ", ""),
        }
    }

    /// Each line: the resource, the mock, and what is said of it in PRESENT mode.
    #[test]
    fn what_is_there_must_fit() {
        for (resource, result, said) in [
            ("events:putEvents", r#"{"Entries":[{"EventId":"e"}],"FailedEntryCount":0}"#, "ok"),
            ("events:putEvents", r#"{"Entries":"e"}"#, "Field 'Entries' must be an array"),
            ("events:putEvents", r#"{"Entries":[1]}"#, "Field 'Entries' must be an object"),
            ("events:putEvents", r#"{"Entries":[{"EventId":[1]}]}"#, "Field 'EventId' must be a string"),
            ("events:putEvents", r#"{"random":1,"entries":"as it likes"}"#, "ok"),
            ("events:putEvents", "[]", "Mock result must be an object"),
            ("lambda:invoke", r#"{"StatusCode":200,"Payload":"{}"}"#, "ok"),
            ("lambda:invoke", r#"{"StatusCode":"200"}"#, "Field 'StatusCode' must be a number"),
            ("lambda:invoke", r#"{"Payload":{}}"#, "Field 'Payload' must be a string"),
            ("lambda:invoke.waitForTaskToken", r#"{"StatusCode":"anything"}"#, "ok"),
            ("dynamodb:getItem", r#"{"Item":{"a":{"S":"x"},"b":{"L":[{"N":"1"}]},"c":{"BOOL":true}}}"#, "ok"),
            ("dynamodb:getItem", r#"{"Item":{"a":{"S":1}}}"#, "Field 'S' must be a string"),
            ("dynamodb:getItem", r#"{"Item":{"a":"x"}}"#, "Field 'a' must be an object"),
            ("dynamodb:getItem", r#"{"Item":{"c":{"BOOL":"true"}}}"#, "Field 'BOOL' must be a boolean"),
            (
                "aws-sdk:s3:getObject",
                r#"{"StorageClass":"Papyrus"}"#,
                "Field 'StorageClass' is not an expected value",
            ),
            ("aws-sdk:s3:getObject", r#"{"LastModified":1}"#, "Field 'LastModified' must be a string"),
            ("aws-sdk:s3:getObject", r#"{"Body":{}}"#, "Field 'Body' must be a string"),
            ("aws-sdk:lambda:getFunction", r#"{"Configuration":{"MemorySize":128}}"#, "ok"),
            (
                "aws-sdk:lambda:getFunction",
                r#"{"Configuration":{"MemorySize":127}}"#,
                "Field 'MemorySize' is less than the minimum value",
            ),
            (
                "aws-sdk:lambda:getFunction",
                r#"{"Configuration":{"MemorySize":10241}}"#,
                "Field 'MemorySize' exceeds the maximum value",
            ),
            (
                "aws-sdk:rds:describeDBInstances",
                r#"{"DbInstances":1}"#,
                "Field 'DbInstances' must be an array",
            ),
            (
                "aws-sdk:sqs:sendMessage",
                r#"{"Md5OfMessageBody":1}"#,
                "Field 'Md5OfMessageBody' must be a string",
            ),
            ("sqs:sendMessage", r#"{"MD5OfMessageBody":1}"#, "Field 'MD5OfMessageBody' must be a string"),
            ("states:startExecution.sync:2", r#"{"StopDate":1}"#, "Field 'StopDate' must be a string"),
            ("states:startExecution.sync", r#"{"Status":"DONE"}"#, "Field 'Status' is not an expected value"),
            ("glue:startJobRun.sync", r#"{"JobRun":1}"#, "Field 'JobRun' must be an object"),
            ("http:invoke", r#"{"anything":1}"#, "ok"),
            ("apigateway:invoke", r#"{"approval":true}"#, "ok"),
            ("aws-sdk:nothing:doIt", "1", "ok"),
        ] {
            assert_eq!(checked(resource, Present, result), said, "{resource} {result}");
            assert_eq!(checked(resource, Unchecked, result), "ok");
        }
    }

    #[test]
    fn what_is_required_is_asked_for_in_strict_mode_alone() {
        for (resource, result, said) in [
            ("states:startExecution", "{}", "Required field 'ExecutionArn' is missing"),
            ("states:startExecution", r#"{"ExecutionArn":"a"}"#, "Required field 'StartDate' is missing"),
            (
                "states:startExecution",
                r#"{"executionArn":"a","startDate":"s"}"#,
                "Required field 'ExecutionArn' is missing",
            ),
            ("states:startExecution", r#"{"ExecutionArn":"a","StartDate":"s"}"#, "ok"),
            ("events:putEvents", "{}", "ok"),
        ] {
            assert_eq!(checked(resource, Strict, result), said, "{resource} {result}");
            assert_eq!(checked(resource, Present, result), "ok");
        }
    }
}
