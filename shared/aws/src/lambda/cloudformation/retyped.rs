//! A definition that came as an object of a custom resource, whose numbers and booleans CloudFormation has made texts.
//!
//! Where the language has a number or a boolean, the text becomes one again. Payloads belong to whoever wrote them: a text in them
//! that reads like a number or a boolean may have been either, and so the definition is refused.

use stepwell_expr::json::parse;
use stepwell_expr::{Map, Value};

use super::Failure;
use super::properties::invalid;

/// Fields whose values are payloads. (ASL.)
const PAYLOADS: [&str; 10] = [
    "Arguments",
    "Assign",
    "BatchInput",
    "Credentials",
    "ItemSelector",
    "Items",
    "Output",
    "Parameters",
    "Result",
    "ResultSelector",
];

const NUMBERS: [&str; 16] = [
    "BackoffRate",
    "HeartbeatSeconds",
    "IntervalSeconds",
    "MaxAttempts",
    "MaxConcurrency",
    "MaxDelaySeconds",
    "MaxInputBytesPerBatch",
    "MaxItems",
    "MaxItemsPerBatch",
    "NumericEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "Seconds",
    "TimeoutSeconds",
];

/// Numbers that stand for parts of a whole.
const TOLERANCES: [&str; 2] = ["ToleratedFailureCount", "ToleratedFailurePercentage"];

const BOOLEANS: [&str; 8] =
    ["BooleanEquals", "End", "IsBoolean", "IsNull", "IsNumeric", "IsPresent", "IsString", "IsTimestamp"];

/// The definition as it was written.
///
/// # Errors
/// [`Failure`] where that cannot be known.
pub(super) fn retyped(definition: &Value) -> Result<Value, Failure> {
    match definition {
        Value::Array(items) => Ok(items.iter().map(retyped).collect::<Result<Vec<_>, _>>()?.into()),
        Value::Object(members) => {
            let mut all = Map::with_capacity(members.len());
            for (name, value) in members.iter() {
                all.insert(name.clone(), member(name, value)?);
            }
            Ok(all.into())
        }
        plain => Ok(plain.clone()),
    }
}

fn member(name: &str, value: &Value) -> Result<Value, Failure> {
    if name == "States"
        && let Value::Object(states) = value
    {
        // Their names are their author's, whatever they are.
        let states = states.iter().map(|(name, state)| Ok((name.clone(), retyped(state)?)));
        return Ok(Value::object(states.collect::<Result<Map, Failure>>()?));
    }
    if PAYLOADS.contains(&name) {
        return unharmed(name, value);
    }
    let Some(text) = value.as_str() else { return retyped(value) };
    let typed = parse(text).ok().filter(|typed| match typed {
        Value::Number(_) => NUMBERS.contains(&name) || TOLERANCES.contains(&name),
        Value::Bool(_) => BOOLEANS.contains(&name),
        _ => false,
    });
    Ok(typed.unwrap_or_else(|| value.clone()))
}

/// A payload in which nothing can have been a number or a boolean.
fn unharmed(name: &str, payload: &Value) -> Result<Value, Failure> {
    let mut rest = vec![payload];
    while let Some(value) = rest.pop() {
        match value {
            Value::Array(items) => rest.extend(items.iter()),
            Value::Object(members) => rest.extend(members.values()),
            Value::String(text) if matches!(parse(text), Ok(Value::Number(_) | Value::Bool(_))) => {
                return Err(invalid(format!(
                    "Definition: {name} holds the text {text:?}, and CloudFormation makes such texts of the numbers and \
                     booleans of a custom resource: use DefinitionString, or let the macro turn an \
                     AWS::StepFunctions::StateMachine into this"
                )));
            }
            _ => {}
        }
    }
    Ok(payload.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(definition: &str, expected: &str) {
        let found = retyped(&parse(definition).unwrap());
        let found = found.map_or_else(|failure| failure.message, |definition| definition.to_json());
        assert!(found.starts_with(expected), "{definition}: {found}");
    }

    #[test]
    fn the_languages_own_numbers_and_booleans_come_back() {
        check(
            r#"{"StartAt":"5","TimeoutSeconds":"60","States":{"5":{"Type":"Task","End":"true","Retry":[{"ErrorEquals":["7"],"BackoffRate":"1.50"}]}}}"#,
            r#"{"StartAt":"5","TimeoutSeconds":60,"States":{"5":{"Type":"Task","End":true,"Retry":[{"ErrorEquals":["7"],"BackoffRate":1.50}]}}}"#,
        );
        check(
            r#"{"Choices":[{"Variable":"$.a","NumericEquals":"-1e3","StringEquals":"5","IsPresent":"false","Not":{"BooleanEquals":"true"}}]}"#,
            r#"{"Choices":[{"Variable":"$.a","NumericEquals":-1e3,"StringEquals":"5","IsPresent":false,"Not":{"BooleanEquals":true}}]}"#,
        );
        check(r#"{"Seconds":"{% $n %}"}"#, r#"{"Seconds":"{% $n %}"}"#);
        check(r#"{"Seconds":5,"End":true}"#, r#"{"Seconds":5,"End":true}"#);
        check(r#"{"States":{"Parameters":{"Comment":"1"}}}"#, r#"{"States":{"Parameters":{"Comment":"1"}}}"#);
    }

    #[test]
    fn what_may_have_been_a_number_is_refused() {
        check(r#"{"Parameters":{"a.$":"$.a","b":["text"]}}"#, r#"{"Parameters":{"a.$":"$.a","b":["text"]}}"#);
        check(r#"{"Result":"5"}"#, r#"Definition: Result holds the text "5""#);
        check(r#"{"Assign":{"a":[{"b":"true"}]}}"#, r#"Definition: Assign holds the text "true""#);
        check(r#"{"Result":5}"#, r#"{"Result":5}"#);
    }
}
