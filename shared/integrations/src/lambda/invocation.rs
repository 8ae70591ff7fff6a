//! What a state machine asks of a function.

use std::sync::Arc;

use bytes::Bytes;
use stepwell_expr::{Payload, Value};
use stepwell_interpreter::ErrorOutput;

use crate::parameters::Parameters;

/// A call of a function. (API: Lambda Invoke.)
#[derive(Debug)]
pub(crate) struct Invocation {
    /// Name, partial ARN or ARN.
    pub(crate) function: Arc<str>,
    pub(crate) qualifier: Option<String>,
    pub(crate) payload: Bytes,
    pub(crate) kind: InvocationType,
    /// `LogType: Tail`
    pub(crate) tail: bool,
    /// JSON text in Base64.
    pub(crate) client_context: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvocationType {
    /// The call waits for the function's end.
    RequestResponse,
    /// The call ends when Lambda has taken the event.
    Event,
    /// Lambda checks the call and runs nothing.
    DryRun,
}

impl InvocationType {
    pub(crate) fn name(self) -> &'static str {
        match self {
            InvocationType::RequestResponse => "RequestResponse",
            InvocationType::Event => "Event",
            InvocationType::DryRun => "DryRun",
        }
    }
}

const PARAMETERS: [&str; 6] =
    ["ClientContext", "FunctionName", "InvocationType", "LogType", "Payload", "Qualifier"];

impl Invocation {
    /// The call of a Resource that is a function: its input is the whole task input.
    pub(crate) fn of_function(arn: &Arc<str>, input: &Payload) -> Self {
        Invocation {
            function: arn.clone(),
            qualifier: None,
            payload: Bytes::from_owner(Text(input.text().clone())),
            kind: InvocationType::RequestResponse,
            tail: false,
            client_context: None,
        }
    }

    /// The call that parameters of `lambda:invoke` describe.
    ///
    /// # Errors
    /// `States.Runtime` where they do not fit.
    pub(crate) fn of_parameters(parameters: &Payload) -> Result<Self, ErrorOutput> {
        let parameters = Parameters::new(parameters, &PARAMETERS)?;
        let kind = match parameters.text("InvocationType")? {
            None | Some("RequestResponse") => InvocationType::RequestResponse,
            Some("Event") => InvocationType::Event,
            Some("DryRun") => InvocationType::DryRun,
            Some(_) => return Err(parameters.invalid("InvocationType")),
        };
        let tail = match parameters.text("LogType")? {
            None | Some("None") => false,
            Some("Tail") => true,
            Some(_) => return Err(parameters.invalid("LogType")),
        };
        Ok(Invocation {
            function: parameters.required_text("FunctionName")?.into(),
            qualifier: parameters.text("Qualifier")?.map(str::to_owned),
            payload: event(parameters.value("Payload")),
            kind,
            tail,
            client_context: client_context(&parameters)?,
        })
    }
}

/// The event: a string that is JSON text stands for what it says, and nothing for `{}`, as recorded.
fn event(payload: Option<&Value>) -> Bytes {
    match payload {
        None => Bytes::from_static(b"{}"),
        Some(Value::String(text)) if stepwell_expr::json::check(text).is_ok() => {
            Bytes::from_owner(Text(text.clone()))
        }
        Some(value) => value.to_json().into(),
    }
}

/// `ClientContext` is Base64 text for the API; an object is written as that.
fn client_context(parameters: &Parameters<'_>) -> Result<Option<String>, ErrorOutput> {
    match parameters.value("ClientContext") {
        None => Ok(None),
        Some(Value::String(text)) if text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(Some(text.to_string()))
        }
        Some(_) => Err(parameters.invalid("ClientContext")),
    }
}

/// Shared text as the bytes of a request.
struct Text(Arc<str>);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_become_events() {
        let check = |parameters: &str, event: &str| {
            let parameters = Payload::parse(parameters).unwrap();
            let invocation = Invocation::of_parameters(&parameters).unwrap();
            assert_eq!(invocation.payload, event, "{parameters:?}");
        };
        check(r#"{"FunctionName":"f"}"#, "{}");
        check(r#"{"FunctionName":"f","Payload":null}"#, "{}");
        check(r#"{"FunctionName":"f","Payload":{ "a" : 1.0 }}"#, r#"{"a":1.0}"#);
        check(r#"{"FunctionName":"f","Payload":"\"text\""}"#, "\"text\"");
        check(r#"{"FunctionName":"f","Payload":"{ \"a\" : 1 }"}"#, "{ \"a\" : 1 }");
        check(r#"{"FunctionName":"f","Payload":"text"}"#, "\"text\"");
        check(r#"{"FunctionName":"f","Payload":0}"#, "0");
    }

    #[test]
    fn parameters_are_read_strictly() {
        let check = |parameters: &str, why: &str| {
            let error = Invocation::of_parameters(&Payload::parse(parameters).unwrap()).unwrap_err();
            assert_eq!(error.error.as_deref(), Some("States.Runtime"));
            let cause = error.cause.unwrap();
            assert!(cause.ends_with(&format!("[{why}]")), "{cause}");
        };
        check(r#"{}"#, "The field 'FunctionName' is required but was missing");
        check(r#"{"FunctionName":"f","Nope":1}"#, "The field \"Nope\" is not supported by Step Functions");
        check(
            r#"{"FunctionName":"f","InvocationType":"Later"}"#,
            "The value of the field 'InvocationType' has an invalid format",
        );
    }
}
