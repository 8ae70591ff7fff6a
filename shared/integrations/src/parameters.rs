//! The parameters of a service integration, read strictly.

use stepwell_asl::ErrorName;
use stepwell_expr::{Map, Payload, Value};
use stepwell_interpreter::ErrorOutput;

/// Parameters in which every name is known.
#[derive(Clone, Copy)]
pub(crate) struct Parameters<'a> {
    payload: &'a Payload,
    map: &'a Map,
}

impl<'a> Parameters<'a> {
    /// Takes parameters, whose names must all be among `known`.
    ///
    /// # Errors
    /// `States.Runtime` as AWS says it: parameters that are no object, or a field that is not supported.
    pub(crate) fn new(payload: &'a Payload, known: &[&str]) -> Result<Self, ErrorOutput> {
        let Some(map) = payload.value().as_object() else {
            return Err(refused(payload, "The Parameters must be a JSON object"));
        };
        let unknown: Vec<String> = map
            .keys()
            .filter(|name| !known.contains(&&***name))
            .map(|name| format!("The field \"{name}\" is not supported by Step Functions"))
            .collect();
        if unknown.is_empty() {
            Ok(Parameters { payload, map })
        } else {
            Err(refused(payload, &unknown.join(", ")))
        }
    }

    /// The value of `name`; `None` where it is missing or null.
    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| **value != Value::Null)
    }

    /// A string.
    ///
    /// # Errors
    /// `States.Runtime` where it is something else.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, ErrorOutput> {
        self.value(name).map(|value| value.as_str().ok_or_else(|| self.invalid(name))).transpose()
    }

    /// A string that must be there.
    ///
    /// # Errors
    /// `States.Runtime` where it is missing or something else.
    pub(crate) fn required_text(&self, name: &str) -> Result<&'a str, ErrorOutput> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    /// A whole number, also as text.
    ///
    /// # Errors
    /// `States.Runtime` where it is something else.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i32>, ErrorOutput> {
        let read = |value: &Value| match value {
            Value::String(text) => text.parse().ok(),
            value => value.as_i64().and_then(|number| i32::try_from(number).ok()),
        };
        self.value(name).map(|value| read(value).ok_or_else(|| self.invalid(name))).transpose()
    }

    /// A message: a string as it is, anything else as its JSON text.
    pub(crate) fn message(&self, name: &str) -> Option<String> {
        self.value(name).map(|value| match value {
            Value::String(text) => text.to_string(),
            value => value.to_json(),
        })
    }

    /// The members of an object, each read by `read`.
    ///
    /// # Errors
    /// `States.Runtime` where it is no object, or `read` finds nothing.
    pub(crate) fn members(
        &self,
        name: &str,
        read: impl Fn(&Value) -> Option<Value>,
    ) -> Result<Option<Map>, ErrorOutput> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let map = value.as_object().ok_or_else(|| self.invalid(name))?;
        let members = map.iter().map(|(key, value)| Some((key.clone(), read(value)?)));
        members.collect::<Option<_>>().map(Some).ok_or_else(|| self.invalid(name))
    }

    /// The error of a field that is required and missing.
    pub(crate) fn missing(&self, name: &str) -> ErrorOutput {
        refused(self.payload, &format!("The field '{name}' is required but was missing"))
    }

    /// The error of a field that holds the wrong kind of value.
    pub(crate) fn invalid(&self, name: &str) -> ErrorOutput {
        refused(self.payload, &format!("The value of the field '{name}' has an invalid format"))
    }
}

fn refused(payload: &Payload, why: &str) -> ErrorOutput {
    let cause = format!("The Parameters '{}' could not be used to start the Task: [{why}]", payload.text());
    ErrorOutput::new(ErrorName::RUNTIME, cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        let check = |text: &str, expected: &str| {
            let payload = Payload::parse(text).unwrap();
            let read =
                Parameters::new(&payload, &["Name", "Size"]).and_then(|p| p.required_text("Name").map(drop));
            let cause = read.unwrap_err().cause.unwrap();
            assert_eq!(
                *cause,
                *format!("The Parameters '{text}' could not be used to start the Task: [{expected}]")
            );
        };
        check(r#"{"name":"f"}"#, "The field \"name\" is not supported by Step Functions");
        check(r#"{"Name":1}"#, "The value of the field 'Name' has an invalid format");
        check(r#"{"Name":null}"#, "The field 'Name' is required but was missing");
        check("[]", "The Parameters must be a JSON object");
    }
}
