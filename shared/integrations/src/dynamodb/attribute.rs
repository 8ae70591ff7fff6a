//! Attribute values: Step Functions writes them as DynamoDB does, but is easier about numbers and keeps an order of its own.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use stepwell_expr::Value;

use crate::java::hash_map_order;

/// Reads `{"S": "…"}` and its sisters, as DynamoDB takes them; `None` where it is none of them.
pub(super) fn read(value: &Value) -> Option<Value> {
    let mut members = value.as_object()?.iter();
    let (kind, value) = members.next()?;
    if members.next().is_some() {
        return None;
    }
    let value = match &**kind {
        "S" => text(value)?,
        "N" => number(value)?,
        "B" => blob(value)?,
        "BOOL" | "NULL" => value.as_bool()?.into(),
        "M" => read_map(value)?,
        "L" => list(value, read)?,
        "SS" => list(value, text)?,
        "NS" => list(value, number)?,
        "BS" => list(value, blob)?,
        _ => return None,
    };
    Some(Value::object([(kind.clone(), value)].into_iter().collect()))
}

/// Reads an item or a key.
pub(super) fn read_map(value: &Value) -> Option<Value> {
    map(value, read)
}

/// An object, each of whose members is read.
pub(super) fn map(value: &Value, read: impl Fn(&Value) -> Option<Value>) -> Option<Value> {
    let members = value.as_object()?.iter().map(|(name, value)| Some((name.clone(), read(value)?)));
    Some(Value::object(members.collect::<Option<_>>()?))
}

/// An array, each of whose items is read.
pub(super) fn list(value: &Value, read: impl Fn(&Value) -> Option<Value>) -> Option<Value> {
    Some(Value::array(value.as_array()?.iter().map(read).collect::<Option<_>>()?))
}

fn text(value: &Value) -> Option<Value> {
    value.as_str().map(|_| value.clone())
}

/// Numbers travel as text; a JSON number is taken for its text.
fn number(value: &Value) -> Option<Value> {
    match value {
        Value::String(_) => Some(value.clone()),
        Value::Number(_) => Some(value.to_json().into()),
        _ => None,
    }
}

/// Bytes travel as Base64, which is checked here.
fn blob(value: &Value) -> Option<Value> {
    BASE64_STANDARD.decode(value.as_str()?).ok()?;
    Some(value.clone())
}

/// Shows an attribute value that DynamoDB gave.
fn show(value: &Value) -> Value {
    let kind = value.as_object().and_then(|members| members.iter().next());
    let Some((kind, value)) = kind else { return Value::empty_object() };
    let value = match &**kind {
        "M" => show_map(value),
        "L" => Value::array(value.as_array().unwrap_or_default().iter().map(show).collect()),
        "S" | "N" | "B" | "BOOL" | "NULL" | "SS" | "NS" | "BS" => value.clone(),
        // Of a kind that AWS's client does not know it shows no value.
        _ => return Value::empty_object(),
    };
    Value::object([(kind.clone(), value)].into_iter().collect())
}

/// Shows an item, in the order in which AWS's maps give it out.
pub(super) fn show_map(value: &Value) -> Value {
    hashed(value, show)
}

/// Shows a map's members in that order.
pub(super) fn hashed(value: &Value, show: impl Fn(&Value) -> Value) -> Value {
    let Some(map) = value.as_object() else { return Value::empty_object() };
    let mut entries: Vec<(Arc<str>, &Value)> =
        map.iter().map(|(name, value)| (name.clone(), value)).collect();
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    hash_map_order(&mut entries);
    Value::object(entries.into_iter().map(|(name, value)| (name, show(value))).collect())
}

#[cfg(test)]
mod tests {
    use stepwell_expr::json::parse;

    use super::*;

    #[test]
    fn every_kind_comes_back_as_it_went() {
        for text in [
            r#"{"S":"text"}"#,
            r#"{"N":"1.50"}"#,
            r#"{"B":"AAEC"}"#,
            r#"{"BOOL":true}"#,
            r#"{"NULL":true}"#,
            r#"{"M":{"data":{"S":"x"},"id":{"L":[{"N":"1"},{"NULL":true}]}}}"#,
            r#"{"SS":["a","b"]}"#,
            r#"{"NS":["1","2"]}"#,
            r#"{"BS":["AA=="]}"#,
        ] {
            let value = read(&parse(text).unwrap()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((value.to_json(), show(&value).to_json()), (text.to_owned(), text.to_owned()));
        }
        assert_eq!(read(&parse(r#"{"N":1.50}"#).unwrap()).unwrap().to_json(), r#"{"N":"1.50"}"#);
        let hashed = show(&parse(r#"{"M":{"id":{"S":"x"},"data":{"X":1}}}"#).unwrap());
        assert_eq!(hashed.to_json(), r#"{"M":{"data":{},"id":{"S":"x"}}}"#);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["1", "{}", r#"{"S":1}"#, r#"{"X":"a"}"#, r#"{"S":"a","N":"1"}"#, r#"{"B":"?"}"#, r#"{"L":[1]}"#]
        {
            assert_eq!(read(&parse(text).unwrap()), None, "{text}");
        }
    }
}
