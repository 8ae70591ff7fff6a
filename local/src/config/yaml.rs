//! YAML as CloudFormation uses it, read into JSON.
//!
//! A short intrinsic becomes its long form: `!Sub x` is `{"Fn::Sub": "x"}`, `!GetAtt A.Arn` is
//! `{"Fn::GetAtt": ["A", "Arn"]}`.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use serde_json::{Map, Number, Value};

/// The deepest nesting; what serde_json allows a JSON template.
const DEPTH_MAX: usize = 128;
/// The most values, aliases counted as what they stand for, so that a few lines cannot fill the memory.
const VALUES_MAX: usize = 200_000;

/// Reads one document.
///
/// # Errors
/// What is wrong, with line and column.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let mut builder = Builder::default();
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| error.to_string())?;
        builder.take(event).map_err(|message| placed(message, &span.start))?;
    }
    Ok(builder.root.unwrap_or_default())
}

fn placed(message: impl std::fmt::Display, at: &Marker) -> String {
    format!("{message} at line {}, column {}", at.line(), at.col() + 1)
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Value>,
    values: usize,
    root: Option<Value>,
}

/// A sequence or mapping that has not ended.
struct Open {
    kind: Kind,
    anchor: usize,
    tag: Option<Tag>,
}

enum Kind {
    Sequence(Vec<Value>),
    Mapping { members: Map<String, Value>, key: Option<String> },
}

impl Builder {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(text, style, tag.as_deref());
                self.ended(value, anchor, tag.map(Cow::into_owned))
            }
            Event::SequenceStart(anchor, tag) => self.open(Kind::Sequence(Vec::new()), anchor, tag),
            Event::MappingStart(anchor, tag) => {
                self.open(Kind::Mapping { members: Map::new(), key: None }, anchor, tag)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let value = match open.kind {
                    Kind::Sequence(items) => Value::Array(items),
                    Kind::Mapping { members, .. } => Value::Object(members),
                };
                self.ended(value, open.anchor, open.tag)
            }
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned().ok_or("an alias of what has not ended yet")?;
                self.values += count(&value);
                self.add(value)
            }
            Event::DocumentStart(_) if self.root.is_some() => Err("a second document".to_owned()),
            _ => Ok(()),
        }
    }

    fn open(&mut self, kind: Kind, anchor: usize, tag: Option<Cow<'_, Tag>>) -> Result<(), String> {
        if self.open.len() >= DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX}"));
        }
        self.open.push(Open { kind, anchor, tag: tag.map(Cow::into_owned) });
        Ok(())
    }

    fn ended(&mut self, value: Value, anchor: usize, tag: Option<Tag>) -> Result<(), String> {
        let value = intrinsic(value, tag.as_ref());
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        self.values += 1;
        self.add(value)
    }

    fn add(&mut self, value: Value) -> Result<(), String> {
        if self.values > VALUES_MAX {
            return Err(format!("more than {VALUES_MAX} values"));
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(value),
            Some(Kind::Sequence(items)) => items.push(value),
            Some(Kind::Mapping { members, key }) => match key.take() {
                None => *key = Some(key_text(value)?),
                Some(name) if members.contains_key(&name) => return Err(format!("`{name}` is given twice")),
                Some(name) => {
                    members.insert(name, value);
                }
            },
        }
        Ok(())
    }
}

fn key_text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Array(_) | Value::Object(_) => Err("a key that is no text".to_owned()),
        other => Ok(other.to_string()),
    }
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

/// A scalar by the core schema; only a plain one without a tag can be anything but text.
fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_text = tag.is_some_and(|tag| !tag.is_yaml_core_schema() || tag.suffix == "str");
    if style != ScalarStyle::Plain || is_text {
        return Value::String(text.into_owned());
    }
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(&text).map_or_else(|| Value::String(text.into_owned()), Value::Number),
    }
}

/// A number, unless it begins with a zero as an account id may.
fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let led_by_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if led_by_zero || !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    match text.parse::<i64>() {
        Ok(whole) => Some(whole.into()),
        Err(_) => text.parse::<f64>().ok().and_then(Number::from_f64),
    }
}

fn intrinsic(value: Value, tag: Option<&Tag>) -> Value {
    let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) else { return value };
    let name = tag.suffix.as_str();
    let (name, value) = match (name, value) {
        ("Ref" | "Condition", value) => (name.to_owned(), value),
        ("GetAtt", Value::String(path)) => {
            let (resource, attribute) = path.split_once('.').unwrap_or((&path, ""));
            ("Fn::GetAtt".to_owned(), Value::from(vec![resource, attribute]))
        }
        (_, value) => (format!("Fn::{name}"), value),
    };
    Value::Object(Map::from_iter([(name, value)]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_templates_hold() {
        for (text, want) in [
            ("", json!(null)),
            (
                "a: 1\nb: [x, 'y', \"1\", 1.5, true, ~, -3]",
                json!({"a": 1, "b": ["x", "y", "1", 1.5, true, null, -3]}),
            ),
            (
                "a: 012345678901\nb: 2010-09-09\nc: 1e3\nd: 0.5",
                json!({"a": "012345678901", "b": "2010-09-09", "c": 1000.0, "d": 0.5}),
            ),
            ("a: !Ref B", json!({"a": {"Ref": "B"}})),
            ("a: !GetAtt B.C.D", json!({"a": {"Fn::GetAtt": ["B", "C.D"]}})),
            ("a: !GetAtt [B, C]", json!({"a": {"Fn::GetAtt": ["B", "C"]}})),
            ("a: !Sub '${B}'", json!({"a": {"Fn::Sub": "${B}"}})),
            ("a: !Sub\n  - x${B}\n  - B: !Ref C", json!({"a": {"Fn::Sub": ["x${B}", {"B": {"Ref": "C"}}]}})),
            ("a: !If [c, 1, !Ref AWS::NoValue]", json!({"a": {"Fn::If": ["c", 1, {"Ref": "AWS::NoValue"}]}})),
            ("a: &x {b: 1}\nc: *x", json!({"a": {"b": 1}, "c": {"b": 1}})),
            ("a: !!str 1", json!({"a": "1"})),
            ("a: |\n  one\n  two\n", json!({"a": "one\ntwo\n"})),
            ("1: a\ntrue: b", json!({"1": "a", "true": "b"})),
        ] {
            assert_eq!(read(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused_with_its_place() {
        let (deep, deep_flow) = ("- ".repeat(10_000), "[".repeat(10_000));
        let bomb = (1..12).fold("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, n| {
            text + &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", "))
        });
        for (text, want) in [
            ("a: 1\na: 2", "`a` is given twice at line 2, column 4"),
            ("a: [1", "line 2"),
            ("? [a]\n: 1", "a key that is no text at line 1"),
            ("a: &x [*x]", "an alias of what has not ended yet at line 1"),
            ("a\n---\nb", "a second document at line 2"),
            (&deep, "nested deeper than 128 at line 1, column 257"),
            (&deep_flow, "recursion limit"),
            (&bomb, "more than 200000 values"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(want), "{error}\nhas no {want}");
        }
    }
}
