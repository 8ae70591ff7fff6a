//! `context`: the Context object of a state under test.

use stepwell_asl::State;
use stepwell_expr::Value;
use stepwell_expr::json::parse;
use stepwell_interpreter::{Pattern, Resource};

use super::resource;
use crate::Error;

/// What a part of a Context object is.
enum Part {
    Object(&'static [(&'static str, Part)]),
    Text,
    Number,
    Any,
}

use Part::{Any, Number, Object, Text};

/// The Context object (Developer Guide, "Context object").
const CONTEXT: Part = Object(&[
    (
        "Execution",
        Object(&[
            ("Id", Text),
            ("Input", Any),
            ("Name", Text),
            ("RoleArn", Text),
            ("StartTime", Text),
            ("RedriveCount", Number),
            ("RedriveTime", Text),
        ]),
    ),
    ("State", Object(&[("EnteredTime", Text), ("Name", Text), ("RetryCount", Number)])),
    ("StateMachine", Object(&[("Id", Text), ("Name", Text)])),
    ("Task", Object(&[("Token", Text)])),
    (
        "Map",
        Object(&[("Item", Object(&[("Index", Number), ("Key", Text), ("Value", Any), ("Source", Text)]))]),
    ),
]);

/// The Context object that `text` holds.
///
/// # Errors
/// [`Error::Validation`] where it is none that `state` could have.
pub(super) fn read(text: &str, state: &State) -> Result<Value, Error> {
    let refused = |message: String| Error::validation(format!("Invalid Context object provided: {message}"));
    let context = parse(text).map_err(|_| refused("Context object must be valid JSON".into()))?;
    if context.as_object().is_none() {
        return Err(refused("Context object must be an object".into()));
    }
    check(&CONTEXT, "", &context).map_err(&refused)?;
    if context.get("Task").is_some() && !waits(state) {
        return Err(refused(
            "Context object contains 'Task' when state is not a Task state with a '.sync' or '.waitForTaskToken' \
             service integration pattern"
                .into(),
        ));
    }
    Ok(context)
}

/// Whether the state's task goes on after its call was answered.
fn waits(state: &State) -> bool {
    matches!(
        resource(state),
        Some(Resource::Service { pattern: Pattern::Sync | Pattern::Sync2 | Pattern::WaitForTaskToken, .. })
    )
}

fn check(part: &Part, field: &str, value: &Value) -> Result<(), String> {
    match (part, value) {
        (Any, _) | (Text, Value::String(_)) | (Number, Value::Number(_)) => Ok(()),
        (Object(parts), Value::Object(members)) => members.iter().try_for_each(|(name, value)| {
            match parts.iter().find(|(known, _)| *known == &**name) {
                Some((_, part)) => check(part, name, value),
                None => Err(format!("Field '{name}' is not allowed")),
            }
        }),
        (Text, _) => Err(format!("Field '{field}' must be a string")),
        (Number, _) => Err(format!("Field '{field}' must be a number")),
        (Object(_), _) => Err(format!("Field '{field}' must be an object")),
    }
}

#[cfg(test)]
mod tests {
    use stepwell_asl::{LONE_STATE, MachineType, parse_state};

    use super::*;

    #[track_caller]
    fn check(resource: &str, context: &str, said: &str) {
        let text = format!(
            r#"{{"Type":"Task","Resource":"arn:aws:states:::{resource}","Parameters":{{}},"End":true}}"#
        );
        let parsed = parse_state(&text, MachineType::Standard);
        let definition = parsed.definition.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics));
        let found = match read(context, definition.state(LONE_STATE).unwrap()) {
            Ok(context) => context.to_json(),
            Err(error) => error.to_string().replace("Invalid Context object provided: ", ""),
        };
        assert_eq!(found, said, "{context}");
    }

    #[test]
    fn a_context_object_has_what_context_objects_have() {
        for context in [
            "{}",
            r#"{"Execution":{},"State":{},"StateMachine":{},"Map":{}}"#,
            r#"{"Execution":{"Id":"i","Input":[1],"Name":"n"},"State":{"RetryCount":2}}"#,
            r#"{"Map":{"Item":{"Index":0,"Value":{"any":"thing"}}}}"#,
        ] {
            check("lambda:invoke", context, context);
        }
        for (context, said) in [
            ("nonsense", "Context object must be valid JSON"),
            ("[]", "Context object must be an object"),
            (r#"{"Pokedex":{}}"#, "Field 'Pokedex' is not allowed"),
            (r#"{"Execution":{"pokemon":"squirtle"}}"#, "Field 'pokemon' is not allowed"),
            (r#"{"Execution":1}"#, "Field 'Execution' must be an object"),
            (r#"{"Execution":{"Name":1}}"#, "Field 'Name' must be a string"),
            (r#"{"State":{"RetryCount":"1"}}"#, "Field 'RetryCount' must be a number"),
        ] {
            check("lambda:invoke", context, said);
        }
    }

    #[test]
    fn a_token_belongs_to_a_task_that_waits() {
        let context = r#"{"Task":{"Token":"t"}}"#;
        check("lambda:invoke.waitForTaskToken", context, context);
        check("states:startExecution.sync:2", context, context);
        let said = "Context object contains 'Task' when state is not a Task state with a '.sync' or '.waitForTaskToken' \
                    service integration pattern";
        check("lambda:invoke", context, said);
    }
}
