//! Attribute values, between the JSON of Step Functions and the client's types.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_types::Blob;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use stepwell_expr::Value;

use crate::java::hash_map_order;

/// Reads `{"S": "…"}` and its sisters; `None` where it is none of them.
pub(super) fn read(value: &Value) -> Option<AttributeValue> {
    let mut members = value.as_object()?.iter();
    let (kind, value) = members.next()?;
    if members.next().is_some() {
        return None;
    }
    Some(match &**kind {
        "S" => AttributeValue::S(value.as_str()?.to_owned()),
        "N" => AttributeValue::N(number(value)?),
        "B" => AttributeValue::B(blob(value)?),
        "BOOL" => AttributeValue::Bool(value.as_bool()?),
        "NULL" => AttributeValue::Null(value.as_bool()?),
        "M" => AttributeValue::M(
            value
                .as_object()?
                .iter()
                .map(|(name, value)| Some((name.to_string(), read(value)?)))
                .collect::<Option<_>>()?,
        ),
        "L" => AttributeValue::L(all(value, read)?),
        "SS" => AttributeValue::Ss(all(value, |value| value.as_str().map(str::to_owned))?),
        "NS" => AttributeValue::Ns(all(value, number)?),
        "BS" => AttributeValue::Bs(all(value, blob)?),
        _ => return None,
    })
}

fn all<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    value.as_array()?.iter().map(read).collect()
}

/// Numbers travel as text; a JSON number is taken for its text.
fn number(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        Value::Number(_) => Some(value.to_json()),
        _ => None,
    }
}

fn blob(value: &Value) -> Option<Blob> {
    Some(Blob::new(BASE64_STANDARD.decode(value.as_str()?).ok()?))
}

/// Writes an attribute value.
pub(super) fn write(value: &AttributeValue) -> Value {
    let texts = |texts: &[String]| Value::array(texts.iter().map(|text| text.as_str().into()).collect());
    let encoded = |blob: &Blob| Value::from(BASE64_STANDARD.encode(blob));
    let (kind, value) = match value {
        AttributeValue::S(text) => ("S", text.as_str().into()),
        AttributeValue::N(text) => ("N", text.as_str().into()),
        AttributeValue::B(blob) => ("B", encoded(blob)),
        AttributeValue::Bool(value) => ("BOOL", (*value).into()),
        AttributeValue::Null(value) => ("NULL", (*value).into()),
        AttributeValue::M(map) => ("M", write_map(map)),
        AttributeValue::L(values) => ("L", Value::array(values.iter().map(write).collect())),
        AttributeValue::Ss(values) => ("SS", texts(values)),
        AttributeValue::Ns(values) => ("NS", texts(values)),
        AttributeValue::Bs(values) => ("BS", Value::array(values.iter().map(encoded).collect())),
        // A kind that the client does not know came in without its value.
        _ => return Value::empty_object(),
    };
    Value::from([(kind, value)])
}

/// Writes an item, in the order in which AWS's maps give it out.
pub(super) fn write_map(map: &HashMap<String, AttributeValue>) -> Value {
    members(map, write)
}

/// Writes a map's members in that order.
pub(super) fn members<T>(map: &HashMap<String, T>, write: impl Fn(&T) -> Value) -> Value {
    let mut entries: Vec<(Arc<str>, &T)> =
        map.iter().map(|(name, value)| (name.as_str().into(), value)).collect();
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    hash_map_order(&mut entries);
    Value::object(entries.into_iter().map(|(name, value)| (name, write(value))).collect())
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
            assert_eq!(write(&value).to_json(), text);
        }
        assert_eq!(read(&parse(r#"{"N":1.50}"#).unwrap()), Some(AttributeValue::N("1.50".to_owned())));
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
