//! `aws-sdk:sfn:…`: every operation of the Step Functions API

use std::sync::Arc;

use async_trait::async_trait;
use stepwell_asl::ErrorName;
use stepwell_engine::port::TaskCall;
use stepwell_engine::{Caller, StepFunctions, StepFunctionsCall};
use stepwell_expr::{Map, Payload, Value, json};
use stepwell_interpreter::{ErrorOutput, Pattern, Resource};

use crate::error::{Refusal, sdk_refused};
use crate::{Integration, java};

/// Calls the Step Functions API as the AWS SDK for Java 2 does (Developer Guide, "AWS SDK service integrations").
pub struct Sfn {
    api: Arc<dyn StepFunctions>,
}

impl Sfn {
    /// Calls `api`.
    pub fn new(api: Arc<dyn StepFunctions>) -> Self {
        Sfn { api }
    }
}

#[async_trait]
impl Integration for Sfn {
    async fn call(&self, task: &TaskCall) -> Result<Payload, ErrorOutput> {
        let operation = match &*task.call.resource {
            Resource::Service { action, .. } => capitalised(action),
            Resource::LambdaFunction { .. } | Resource::Activity { .. } => String::new(),
        };
        let request = respelled(task.call.parameters.value(), &uncapitalised);
        let answer = Answered::to(&*self.api, &operation, &request, task.into()).await;
        match answer.error(|refusal| sdk_refused("Sfn", refusal)) {
            None => Ok(Payload::of(respelled(&answer.body, &capitalised))),
            Some(error) => Err(error),
        }
    }

    fn offers(&self, _: &str, pattern: Pattern) -> bool {
        matches!(pattern, Pattern::RequestResponse | Pattern::WaitForTaskToken)
    }
}

/// What the engine's own API says to one thing alone: that the task may not assume the role of its `Credentials`. AWS finds that
/// out before it calls a service, whose exception it therefore is not.
const NOT_ASSUMED: &str = "AccessDeniedException";

/// An answer of the API, read.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) request_id: String,
    error_type: Option<&'static str>,
}

impl Answered {
    /// The answer to `request`.
    pub(crate) async fn to(
        api: &dyn StepFunctions,
        operation: &str,
        request: &Value,
        caller: Caller<'_>,
    ) -> Self {
        let body = request.to_json();
        let answer = api.call(StepFunctionsCall { operation, body: body.as_bytes(), caller }).await;
        let body = std::str::from_utf8(&answer.body).ok().and_then(|text| json::parse(text).ok());
        Answered {
            status: answer.status,
            body: body.unwrap_or_default(),
            request_id: answer.request_id,
            error_type: answer.error_type,
        }
    }

    /// What the task fails with, if the answer is an exception; `told` is how the service's are.
    pub(crate) fn error(&self, told: impl Fn(&Refusal<'_>) -> ErrorOutput) -> Option<ErrorOutput> {
        let refusal = self.refusal()?;
        if refusal.code != NOT_ASSUMED {
            return Some(told(&refusal));
        }
        Some(ErrorOutput::new(ErrorName::TASK_FAILED, refusal.message.unwrap_or_default()))
    }

    /// The exception, if it is one.
    pub(crate) fn refusal(&self) -> Option<Refusal<'_>> {
        let message = self.body.get("message").or_else(|| self.body.get("Message")).and_then(Value::as_str);
        let code = self.error_type?;
        Some(Refusal { status: self.status, code, message, request_id: Some(&self.request_id) })
    }
}

/// Members whose own members are named by users.
const MAPS: [&str; 2] = ["variableReferences", "VariableReferences"];

/// `value` with its members spelled by `spell`; times, which Step Functions shows as text, are so in results.
fn respelled(value: &Value, spell: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::Object(members) => {
            let mut map = Map::default();
            for (name, value) in members.iter().filter(|(_, value)| **value != Value::Null) {
                let value = match &**name {
                    name if MAPS.contains(&name) => value.clone(),
                    name if is_time(name) => java::iso_time(value).map_or_else(|| value.clone(), Value::from),
                    _ => respelled(value, spell),
                };
                map.insert(spell(name), value);
            }
            Value::object(map)
        }
        Value::Array(items) => Value::array(items.iter().map(|item| respelled(item, spell)).collect()),
        value => value.clone(),
    }
}

/// Members of the API's results that are times.
fn is_time(name: &str) -> bool {
    name == "timestamp" || name.ends_with("Date")
}

fn capitalised(name: &str) -> String {
    first_letter(name, char::to_ascii_uppercase)
}

fn uncapitalised(name: &str) -> String {
    first_letter(name, char::to_ascii_lowercase)
}

fn first_letter(name: &str, change: impl Fn(&char) -> char) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| std::iter::once(change(&first)).chain(letters).collect())
}
