//! DynamoDB's attribute values. (API: DynamoDB, AttributeValue.)

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use stepwell_expr::Value;

use super::json::{Object, array};

/// An item, or a part of one.
pub type Item = BTreeMap<Arc<str>, AttributeValue>;

/// A value of those kinds that are written here.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue {
    /// A text.
    S(Arc<str>),
    /// A number, as it is spelled.
    N(Arc<str>),
    /// Bytes.
    B(Bytes),
    /// `true` or `false`.
    Bool(bool),
    /// A list.
    L(Vec<AttributeValue>),
    /// A map.
    M(Item),
}

impl AttributeValue {
    /// Writes it as JSON. Bytes go as Base64, straight from where they are.
    pub(crate) fn write(&self, out: &mut String) {
        let mut object = Object::begin(out);
        match self {
            AttributeValue::S(text) => object.text("S", text),
            AttributeValue::N(number) => object.text("N", number),
            AttributeValue::B(bytes) => {
                let out = object.name("B");
                out.reserve(bytes.len() / 3 * 4 + 8);
                out.push('"');
                STANDARD.encode_string(bytes, out);
                out.push('"');
            }
            AttributeValue::Bool(value) => object.plain("BOOL", if *value { "true" } else { "false" }),
            AttributeValue::L(values) => array(object.name("L"), values, |out, value| value.write(out)),
            AttributeValue::M(map) => write_item(map, object.name("M")),
        }
        object.end();
    }

    /// Reads what DynamoDB answers; `None` where it is of another kind, which is nothing of ours.
    pub(crate) fn read(value: &Value) -> Option<Self> {
        let (kind, value) = value.as_object()?.iter().next()?;
        Some(match (&**kind, value) {
            ("S", Value::String(text)) => AttributeValue::S(text.clone()),
            ("N", Value::String(number)) => AttributeValue::N(number.clone()),
            ("B", Value::String(bytes)) => AttributeValue::B(STANDARD.decode(&**bytes).ok()?.into()),
            ("BOOL", Value::Bool(value)) => AttributeValue::Bool(*value),
            ("L", Value::Array(values)) => {
                AttributeValue::L(values.iter().map(AttributeValue::read).collect::<Option<_>>()?)
            }
            ("M", Value::Object(_)) => AttributeValue::M(read_item(value)),
            _ => return None,
        })
    }
}

/// Writes an item as JSON.
pub(crate) fn write_item(item: &Item, out: &mut String) {
    let mut object = Object::begin(out);
    for (name, value) in item {
        value.write(object.name(name));
    }
    object.end();
}

/// Reads an item, but for attributes of kinds that are not ours.
pub(crate) fn read_item(value: &Value) -> Item {
    let members = value.as_object().into_iter().flat_map(|members| members.iter());
    members.filter_map(|(name, value)| Some((name.clone(), AttributeValue::read(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use stepwell_expr::json::parse;

    use super::*;

    #[test]
    fn every_kind_is_read_as_it_was_written() {
        let check = |value: AttributeValue, expected: &str| {
            let mut json = String::new();
            value.write(&mut json);
            assert_eq!(json, expected);
            assert_eq!(AttributeValue::read(&parse(&json).unwrap()), Some(value), "{json}");
        };
        check(AttributeValue::S("é\"".into()), r#"{"S":"é\""}"#);
        check(AttributeValue::N("-1.50".into()), r#"{"N":"-1.50"}"#);
        check(AttributeValue::B(Bytes::from_static(&[0, 1, 255])), r#"{"B":"AAH/"}"#);
        check(AttributeValue::B(Bytes::new()), r#"{"B":""}"#);
        check(AttributeValue::Bool(true), r#"{"BOOL":true}"#);
        let list = AttributeValue::L(vec![AttributeValue::Bool(false), AttributeValue::L(vec![])]);
        check(list.clone(), r#"{"L":[{"BOOL":false},{"L":[]}]}"#);
        check(
            AttributeValue::M(Item::from([("l".into(), list)])),
            r#"{"M":{"l":{"L":[{"BOOL":false},{"L":[]}]}}}"#,
        );
    }

    #[test]
    fn what_is_none_of_ours_is_left_out() {
        let item =
            read_item(&parse(r#"{"a":{"SS":["x"]},"b":{"S":"y"},"c":{"B":"?"},"d":{"NULL":true}}"#).unwrap());
        assert_eq!(item.keys().map(|name| &**name).collect::<Vec<_>>(), ["b"]);
        assert!(read_item(&Value::Null).is_empty());
    }
}
