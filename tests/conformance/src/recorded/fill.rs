//! Places in a case that are filled in when it is run: `{{account}}`, `{{u1}}`, `{{ref:3:stateMachineArn}}` ….

use std::sync::LazyLock;

use regex_lite::Regex;
use serde_json::{Map, Value};

/// What the places stand for.
pub(crate) trait Places {
    /// What a place stands for: all between the braces.
    ///
    /// # Errors
    ///
    /// Nothing does.
    fn place(&mut self, name: &str) -> Result<Value, String>;
}

static PLACE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"\{\{(ref:\d+:[^}]*|u\d+|account2?|region|now\+\d+d)\}\}";
    Regex::new(pattern).expect("the pattern is right")
});

/// Fills in every place of a value. A text that is one place as a whole becomes what that stands for.
///
/// # Errors
///
/// A place stands for nothing.
pub(crate) fn fill(value: &Value, places: &mut impl Places) -> Result<Value, String> {
    match value {
        Value::String(text) => match PLACE.captures(text) {
            Some(found) if found[0].len() == text.len() => places.place(&found[1]),
            Some(_) => fill_text(text, places).map(Value::String),
            None => Ok(value.clone()),
        },
        Value::Array(items) => items.iter().map(|item| fill(item, places)).collect(),
        Value::Object(members) => {
            let mut filled = Map::new();
            for (name, value) in members {
                filled.insert(fill_text(name, places)?, fill(value, places)?);
            }
            Ok(Value::Object(filled))
        }
        _ => Ok(value.clone()),
    }
}

/// Fills in every place of a text.
///
/// # Errors
///
/// A place stands for nothing.
pub(crate) fn fill_text(text: &str, places: &mut impl Places) -> Result<String, String> {
    let (mut filled, mut end) = (String::with_capacity(text.len()), 0);
    for found in PLACE.captures_iter(text) {
        let whole = found.get(0).expect("what was found is there");
        filled.push_str(&text[end..whole.start()]);
        match places.place(&found[1])? {
            Value::String(text) => filled.push_str(&text),
            value => filled.push_str(&value.to_string()),
        }
        end = whole.end();
    }
    filled.push_str(&text[end..]);
    Ok(filled)
}

/// Follows a path into a value: names, numbers (counted from the end where negative), and `@json`, which reads a text.
///
/// # Errors
///
/// It leads nowhere.
pub(crate) fn dig<'a>(value: &Value, path: impl IntoIterator<Item = &'a str>) -> Result<Value, String> {
    let mut at = value.clone();
    for step in path {
        at = step_into(&at, step).ok_or_else(|| format!("there is no {step}"))?;
    }
    Ok(at)
}

fn step_into(value: &Value, step: &str) -> Option<Value> {
    match value {
        Value::String(text) if step == "@json" => serde_json::from_str(text).ok(),
        Value::Object(members) => members.get(step).cloned(),
        Value::Array(items) => {
            let at: isize = step.parse().ok()?;
            let at = if at < 0 { items.len().checked_sub(at.unsigned_abs())? } else { at.unsigned_abs() };
            items.get(at).cloned()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Known;

    impl Places for Known {
        fn place(&mut self, name: &str) -> Result<Value, String> {
            match name {
                "account" => Ok("123456789012".into()),
                "ref:1:n" => Ok(7.into()),
                "ref:2:a/b" => Ok(json!({"c": 1})),
                _ => Err(format!("no {name}")),
            }
        }
    }

    #[test]
    fn places_are_filled_in() {
        let check = |value: Value, expected: Result<Value, &str>| {
            assert_eq!(fill(&value, &mut Known), expected.map_err(str::to_owned), "{value}");
        };
        check(json!("arn:{{account}}:{{ref:1:n}}"), Ok(json!("arn:123456789012:7")));
        check(json!({"{{account}}": ["{{ref:2:a/b}}"]}), Ok(json!({"123456789012": [{"c": 1}]})));
        check(json!("{{other}} {% $x %} {{u}}"), Ok(json!("{{other}} {% $x %} {{u}}")));
        check(json!(["{{u3}}"]), Err("no u3"));
    }

    #[test]
    fn paths_lead_into_values() {
        let value = json!({"a": [{"b": "{\"c\": 2}"}]});
        let check = |path: &str, expected: Option<Value>| {
            assert_eq!(dig(&value, path.split('/')).ok(), expected, "{path}");
        };
        check("a/0/b/@json/c", Some(json!(2)));
        check("a/-1/b", Some(json!("{\"c\": 2}")));
        check("a/1", None);
        check("a/-2", None);
        check("b", None);
    }
}
