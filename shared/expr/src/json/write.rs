//! Writes compact JSON, and values in whatever else looks like it.

use super::{Number, Value};

/// Appends the compact JSON text of `value`.
///
/// Recursion is as deep as the value; [`super::DEPTH_MAX`] bounds what is read, and states check what they build.
pub fn write_value(value: &Value, out: &mut String) {
    write_as::<Json, false>(value, out, 0);
}

/// Appends the compact JSON text of `value`, and stops soon after `out` has `bytes_max`. Returns whether all of it is there.
///
/// Values share their parts, so that a small one may have a text that fits no memory.
pub fn write_value_within(value: &Value, out: &mut String, bytes_max: usize) -> bool {
    write_as::<Json, true>(value, out, bytes_max)
}

/// How a text shows a value.
pub(crate) trait Notation {
    /// What stands between two items.
    const COMMA: &str;
    /// What stands between a key and its member.
    const COLON: &str;
    /// Appends a string, or a key.
    fn write_string(text: &str, out: &mut String);
    /// Appends a number.
    fn write_number(number: &Number, out: &mut String);
}

struct Json;

impl Notation for Json {
    const COMMA: &str = ",";
    const COLON: &str = ":";

    fn write_string(text: &str, out: &mut String) {
        write_string(text, out);
    }

    fn write_number(number: &Number, out: &mut String) {
        number.write(out);
    }
}

/// [`write_value_within`] in a notation; what is not `BOUNDED` is written whole.
pub(crate) fn write_as<N: Notation, const BOUNDED: bool>(
    value: &Value,
    out: &mut String,
    bytes_max: usize,
) -> bool {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => N::write_number(number, out),
        Value::String(text) if BOUNDED && text.len() > bytes_max.saturating_sub(out.len()) => return false,
        Value::String(text) => N::write_string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push_str(N::COMMA);
                }
                if !write_as::<N, BOUNDED>(item, out, bytes_max) {
                    return false;
                }
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (at, (key, member)) in map.iter().enumerate() {
                if at > 0 {
                    out.push_str(N::COMMA);
                }
                N::write_string(key, out);
                out.push_str(N::COLON);
                if !write_as::<N, BOUNDED>(member, out, bytes_max) {
                    return false;
                }
            }
            out.push('}');
        }
    }
    !BOUNDED || out.len() <= bytes_max
}

/// Appends `text` as a JSON string, escaping what the grammar demands and nothing else.
pub fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut clean = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0..=0x1f => "",
            _ => continue,
        };
        out.push_str(&text[clean..at]);
        if escape.is_empty() {
            out.push_str(&format!("\\u{byte:04X}"));
        } else {
            out.push_str(escape);
        }
        clean = at + 1;
    }
    out.push_str(&text[clean..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use crate::json::parse;

    #[test]
    fn writing_stops_at_its_bound() {
        let value = parse("{\"a\":[1,\"xyz\",{\"b\":null}]}").unwrap();
        let whole = value.to_json();
        for bytes_max in 0..whole.len() + 3 {
            let mut out = String::new();
            let is_whole = super::write_value_within(&value, &mut out, bytes_max);
            assert_eq!(is_whole, bytes_max >= whole.len(), "{bytes_max}");
            assert!(whole.starts_with(&out) && out.len() <= bytes_max + 24, "{out}");
        }
        let mut doubled = parse("[1]").unwrap();
        for _ in 0..200 {
            doubled = crate::Value::array(vec![doubled.clone(), doubled]);
        }
        assert!(!super::write_value_within(&doubled, &mut String::new(), 1000));
    }

    #[test]
    fn escapes_only_what_must_be() {
        let text = "{\"a\\\"\":\"\\\\ \\n\\u0001 é 😀 /\",\"b\":[null,true,1.0]}";
        assert_eq!(parse(text).unwrap().to_json(), text);
    }
}
