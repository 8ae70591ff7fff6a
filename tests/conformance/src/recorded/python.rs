//! JSON as Python's `json.dumps` writes it, which is how the recorded definitions and inputs were sent.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// `json.dumps(value)`.
pub(crate) fn dumps(value: &Value) -> String {
    let mut out = vec![];
    let written = value.serialize(&mut Serializer::with_formatter(&mut out, Dumps));
    written.expect("a value can be written to memory");
    String::from_utf8(out).expect("only ASCII is written")
}

/// `", "` and `": "` between, and nothing but ASCII.
struct Dumps;

impl Formatter for Dumps {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for c in fragment.chars() {
            if matches!(c, ' '..='~') {
                writer.write_all(&[c as u8])?;
                continue;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }

    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(float(value).as_bytes())
    }
}

/// `repr(value)` of a float: the fewest digits, with an exponent from 1e16 on and below 1e-4.
pub(crate) fn float(value: f64) -> String {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if value == 0.0 || (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// `repr(value)` of what `json.loads` gave.
pub(crate) fn repr(value: &Value) -> String {
    let joined = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => match number.as_f64() {
            Some(value) if number.is_f64() => float(value),
            _ => number.to_string(),
        },
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", joined(items.iter().map(repr).collect())),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| format!("{}: {}", quoted(name), repr(value));
            format!("{{{}}}", joined(members.iter().map(member).collect()))
        }
    }
}

/// `repr(text)`, for texts without characters that cannot be printed.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t");
    if text.contains('\'') && !text.contains('"') {
        format!("\"{escaped}\"")
    } else {
        format!("'{}'", escaped.replace('\'', "\\'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_written_as_python_does() {
        let check = |json: &str, expected: &str| {
            assert_eq!(dumps(&serde_json::from_str(json).unwrap()), expected);
        };
        check(r#"{"a":[1,2.50,-0.0],"b":{}}"#, r#"{"a": [1, 2.5, -0.0], "b": {}}"#);
        check(r#"["é😀\u0001\n\"\\/"]"#, r#"["\u00e9\ud83d\ude00\u0001\n\"\\/"]"#);
        check("[]", "[]");
        check("[1e5,1e16,1.5e300,0.0001,0.00001]", "[100000.0, 1e+16, 1.5e+300, 0.0001, 1e-05]");
    }

    #[test]
    fn values_are_shown_as_python_does() {
        let check = |json: &str, expected: &str| {
            assert_eq!(repr(&serde_json::from_str(json).unwrap()), expected);
        };
        check(r#"{"a":[1,1.0,true,null],"b":"it's"}"#, r#"{'a': [1, 1.0, True, None], 'b': "it's"}"#);
        check(r#""both ' and \"""#, r#"'both \' and "'"#);
    }
}
