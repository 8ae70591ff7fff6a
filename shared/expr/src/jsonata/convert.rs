//! Between our values and the engine's.
//!
//! The engine counts in doubles, AWS in 64-bit integers too. Integers that no double holds are noted on the way in
//! ([`Exact`]) and given back on the way out, so that an id of 19 digits passes through an expression unharmed.

use std::collections::HashMap;

use indexmap::IndexMap;
use jsonata_core::value::{JValue, with_stack};

use super::analysis::Need;
use super::engine::Failure;
use super::limits::{RESULT_VALUES_MAX, VALUE_BYTES_MAX};
use super::message;
use crate::json::DEPTH_MAX;
use crate::{Map, Number, Value};

/// The last magnitude up to which every integer is a double.
const SAFE: u64 = 1 << 53;

/// The integers that came in and that no double holds, by their nearest double. `None` where two share one.
#[derive(Debug, Default)]
pub(super) struct Exact(HashMap<u64, Option<i64>>);

impl Exact {
    /// The double nearest to `value`.
    pub(super) fn note(&mut self, value: i64) -> f64 {
        let double = value as f64;
        if value.unsigned_abs() > SAFE {
            let known = self.0.entry(double.to_bits()).or_insert(Some(value));
            if *known != Some(value) {
                *known = None;
            }
        }
        double
    }

    fn recall(&self, double: f64) -> Option<i64> {
        self.0.get(&double.to_bits()).copied().flatten()
    }
}

/// The engine's form of the needed part of `value`.
pub(super) fn to_engine(value: &Value, need: &Need, exact: &mut Exact) -> JValue {
    match value {
        Value::Null => JValue::Null,
        Value::Bool(value) => JValue::Bool(*value),
        Value::Number(Number::Int(value)) => JValue::Number(exact.note(*value)),
        Value::Number(number) => JValue::Number(number.as_f64()),
        Value::String(text) => JValue::string(&**text),
        Value::Array(items) => {
            with_stack(|| JValue::array(items.iter().map(|item| to_engine(item, need, exact)).collect()))
        }
        Value::Object(map) if need.whole => {
            let members = map.iter().map(|(key, value)| (key.to_string(), to_engine(value, need, exact)));
            with_stack(|| JValue::object(members.collect()))
        }
        Value::Object(map) => {
            let wanted = need.members.iter().filter_map(|(key, need)| Some((key, map.get(key)?, need)));
            let members = wanted.map(|(key, value, need)| (key.clone(), to_engine(value, need, exact)));
            with_stack(|| JValue::object(members.collect::<IndexMap<_, _>>()))
        }
    }
}

/// Our form of a result; `None` where it is undefined.
pub(super) fn from_engine(value: &JValue, exact: &Exact) -> Result<Option<Value>, Failure> {
    from_engine_weighed(value, exact).map(|out| out.map(|(value, _)| value))
}

/// [`from_engine`], and about how many bytes of memory the result takes.
pub(super) fn from_engine_weighed(value: &JValue, exact: &Exact) -> Result<Option<(Value, usize)>, Failure> {
    if value.is_undefined() {
        return Ok(None);
    }
    let mut out = Out { exact, bytes: 0, values: 0 };
    let value = out.value(value, 0)?;
    Ok(Some((value, out.bytes + 16 * out.values)))
}

struct Out<'a> {
    exact: &'a Exact,
    bytes: usize,
    values: usize,
}

impl Out<'_> {
    fn count(&mut self, bytes: usize) -> Result<(), Failure> {
        self.bytes += bytes;
        self.values += 1;
        if self.bytes > VALUE_BYTES_MAX || self.values > RESULT_VALUES_MAX {
            return Err(Failure::Bound(message::TOO_LARGE));
        }
        Ok(())
    }

    fn value(&mut self, value: &JValue, depth: usize) -> Result<Value, Failure> {
        if depth > DEPTH_MAX {
            return Err(Failure::Bound(message::TOO_DEEP));
        }
        match value {
            JValue::Null | JValue::Undefined => self.count(0).map(|()| Value::Null),
            JValue::Bool(value) => self.count(0).map(|()| Value::Bool(*value)),
            JValue::Number(value) => {
                self.count(8)?;
                Ok(self.exact.recall(*value).map_or_else(|| number(*value), Value::from))
            }
            JValue::String(text) => {
                self.count(text.len())?;
                Ok(Value::from(&**text))
            }
            JValue::Array(items) => {
                self.count(0)?;
                let items = items.iter().map(|item| self.value(item, depth + 1));
                with_stack(|| items.collect::<Result<Vec<_>, _>>().map(Value::array))
            }
            JValue::Object(members) => {
                self.count(0)?;
                let mut map = Map::with_capacity(members.len());
                for (key, value) in members.iter() {
                    self.count(key.len())?;
                    map.insert(key.as_str(), with_stack(|| self.value(value, depth + 1))?);
                }
                Ok(Value::object(map))
            }
            _ => Err(Failure::Unsupported),
        }
    }
}

/// A double as AWS writes it: an integer while 64 bits hold it, JavaScript's name for what is not finite.
pub(super) fn number(value: f64) -> Value {
    if value.is_nan() {
        return Value::from("NaN");
    }
    if value.is_infinite() {
        return Value::from(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    if value.fract() == 0.0 && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) {
        return Value::from(value as i64);
    }
    Value::from(value)
}

/// `value` with its numbers as an expression gives them (`1.0` is `1`, `1.50` is `1.5`); `None` where they are so already.
pub(super) fn normalized(value: &Value) -> Option<Value> {
    match value {
        Value::Number(Number::Int(_)) => None,
        Value::Number(Number::Float(value)) if value.fract() != 0.0 => None,
        Value::Number(other) => Some(number(other.as_f64())),
        Value::Array(items) => {
            let changed = items.iter().enumerate().find_map(|(at, item)| Some((at, normalized(item)?)));
            let (at, first) = changed?;
            let mut items = items.to_vec();
            items[at] = first;
            for item in &mut items[at + 1..] {
                if let Some(changed) = normalized(item) {
                    *item = changed;
                }
            }
            Some(Value::array(items))
        }
        Value::Object(map) => {
            let mut members = map.values().enumerate();
            let (at, first) = members.find_map(|(at, value)| Some((at, normalized(value)?)))?;
            let mut first = Some(first);
            let members = map.iter().enumerate().map(|(index, (key, value))| {
                let changed = match index.cmp(&at) {
                    std::cmp::Ordering::Less => None,
                    std::cmp::Ordering::Equal => first.take(),
                    std::cmp::Ordering::Greater => normalized(value),
                };
                (key.clone(), changed.unwrap_or_else(|| value.clone()))
            });
            Some(Value::object(members.collect()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    #[test]
    fn numbers_leave_as_the_service_writes_them() {
        for (value, text) in [
            (3.0, "3"),
            (-0.0, "0"),
            (1.5, "1.5"),
            (1e18, "1000000000000000000"),
            (9_223_372_036_854_775_808.0, "9.223372036854776E18"),
            (1.234_567_890_123_456_8e29, "1.2345678901234568E29"),
            (f64::INFINITY, "\"Infinity\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
            (f64::NAN, "\"NaN\""),
        ] {
            assert_eq!(number(value).to_json(), text);
        }
    }

    #[test]
    fn normalizing_touches_only_what_is_spelled_otherwise() {
        for (text, expected) in [
            ("{\"a\":1.0}", Some("{\"a\":1}")),
            ("[1,[2.50,{\"x\":-0}],3]", Some("[1,[2.5,{\"x\":0}],3]")),
            ("9223372036854775808", Some("9.223372036854776E18")),
            ("{\"a\":[1,2.5,\"1.0\",9007199254740993]}", None),
        ] {
            let value = parse(text).unwrap();
            assert_eq!(normalized(&value).map(|v| v.to_json()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn integers_beyond_doubles_come_back() {
        let mut exact = Exact::default();
        let value = parse("[9007199254740993,9223372036854775807,7]").unwrap();
        let there = to_engine(&value, &Need::WHOLE, &mut exact);
        assert_eq!(from_engine(&there, &exact).unwrap().unwrap().to_json(), value.to_json());
    }
}
