//! `States.StringToJson` and `States.JsonMerge`.

use std::sync::Arc;

use super::{Outcome, Refusal};
use crate::{Number, Value, java};

/// Parses a JSON text; an empty or blank one is `null`, as Jackson's reader has it.
pub(super) fn string_to_json(text: &Value) -> Outcome {
    let text = text.as_str().ok_or(Refusal::Arguments)?;
    if text.chars().all(char::is_whitespace) {
        return Ok(Value::Null);
    }
    match crate::json::parse(text).map_err(|_| Refusal::Arguments)? {
        Value::Number(Number::Text(zero)) if *zero == *"-0" => Ok(0.into()),
        value => Ok(value),
    }
}

/// The members of both objects, the second's where both have one, in the order of a `HashMap`.
///
/// AWS knows no deep merge: `true` is refused, and everything else is taken for `false`.
pub(super) fn merge(first: &Value, second: &Value, deep: &Value) -> Outcome {
    let (Some(first), Some(second)) = (first.as_object(), second.as_object()) else {
        return Err(Refusal::Arguments);
    };
    if *deep == Value::Bool(true) {
        return Err(Refusal::Arguments);
    }
    let added = second.iter().filter(|(key, _)| !first.contains_key(key));
    let members: Vec<(&Arc<str>, &Value)> =
        first.iter().map(|(key, value)| (key, second.get(key).unwrap_or(value))).chain(added).collect();
    let hashes: Vec<i32> = members.iter().map(|(key, _)| java::hash_string(key)).collect();
    let merged =
        java::hash_order(&hashes).into_iter().map(|at| (members[at].0.clone(), members[at].1.clone()));
    Ok(Value::object(merged.collect()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, refused};

    #[test]
    fn texts_become_values() {
        for (text, value) in [
            ("", "null"),
            (" ", "null"),
            ("null", "null"),
            ("-0", "0"),
            ("1.1", "1.1"),
            (r#"\"HelloWorld\""#, r#""HelloWorld""#),
            (r#"[1, 2, \"HelloWorld\"]"#, r#"[1,2,"HelloWorld"]"#),
            (r#" {\"Arg1\": 1, \"Arg2\": []} "#, r#"{"Arg1":1,"Arg2":[]}"#),
        ] {
            check("States.StringToJson($.t)", &format!(r#"{{"t":"{text}"}}"#), value);
        }
        for input in [
            r#"{"t":"{bad json}"}"#,
            r#"{"t":"{\"a\":1"}"#,
            r#"{"t":"undefined"}"#,
            r#"{"t":1}"#,
            r#"{"t":{}}"#,
        ] {
            refused("States.StringToJson($.t)", input);
        }
    }

    #[test]
    fn values_become_texts() {
        check(
            "States.JsonToString($)",
            r#"{"a": [1.50, null, "x\u0007"]}"#,
            r#""{\"a\":[1.50,null,\"x\\u0007\"]}""#,
        );
    }

    #[test]
    fn merging_is_shallow() {
        check(
            "States.JsonMerge($.a, $.b, false)",
            r#"{"a":{"x":{"p":1},"y":2},"b":{"x":{"q":3},"z":null}}"#,
            r#"{"x":{"q":3},"y":2,"z":null}"#,
        );
        check(
            "States.JsonMerge(States.StringToJson('{\"constant_in_literal\": \"false\"}'), $, 'no')",
            r#"{"constant_input_field":"constant_value"}"#,
            r#"{"constant_input_field":"constant_value","constant_in_literal":"false"}"#,
        );
        refused("States.JsonMerge($, $, true)", "{}");
        refused("States.JsonMerge($, 1, false)", "{}");
        refused("States.JsonMerge(null, $, false)", "{}");
    }
}
