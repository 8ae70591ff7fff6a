//! Attributes of messages, which SQS and SNS have alike.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use stepwell_expr::{Map, Value};

/// Reads `{"DataType", "StringValue" or "BinaryValue"}`: texts, the last one Base64. (API: MessageAttributeValue.)
pub(crate) fn message_attribute(value: &Value) -> Option<Value> {
    let mut attribute = Map::with_capacity(2);
    for (name, value) in value.as_object()?.iter() {
        let value = match &**name {
            "DataType" => value.as_str()?.into(),
            "StringValue" => value.as_str().map_or_else(|| value.to_json().into(), Value::from),
            "BinaryValue" => {
                BASE64_STANDARD.decode(value.as_str()?).ok()?;
                value.clone()
            }
            _ => return None,
        };
        attribute.insert(name.clone(), value);
    }
    attribute.contains_key("DataType").then(|| Value::object(attribute))
}

#[cfg(test)]
mod tests {
    use stepwell_expr::json::parse;

    use super::*;

    #[test]
    fn attributes_are_read_strictly() {
        let check = |text: &str, expected: Option<&str>| {
            let read = message_attribute(&parse(text).unwrap()).map(|attribute| attribute.to_json());
            assert_eq!(read.as_deref(), expected, "{text}");
        };
        let number = r#"{"DataType":"Number","StringValue":"1.0"}"#;
        check(r#"{"DataType":"Number","StringValue":1.0}"#, Some(number));
        check(number, Some(number));
        let binary = r#"{"DataType":"Binary","BinaryValue":"AA=="}"#;
        check(binary, Some(binary));
        for text in ["1", "{}", r#"{"StringValue":"a"}"#, r#"{"DataType":"Binary","BinaryValue":"?"}"#] {
            check(text, None);
        }
        check(r#"{"DataType":"String","Nope":"a"}"#, None);
    }
}
