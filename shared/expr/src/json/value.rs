//! The JSON value that states exchange.

use std::sync::Arc;

use super::{Map, Number};

/// A JSON value whose clone costs a reference count, whatever its size.
///
/// Objects keep the order of their keys and numbers their spelling, as AWS keeps them in histories.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    /// JSON `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number with the spelling it came in.
    Number(Number),
    /// A string of Unicode scalar values.
    String(Arc<str>),
    /// An array.
    Array(Arc<Vec<Value>>),
    /// An object in the order of its keys' first appearance.
    Object(Arc<Map>),
}

/// Bytes of a value that a message shows: more than the 32,768 characters that AWS keeps of a cause.
const SHOWN_BYTES_MAX: usize = 512 * 1024;

/// The six kinds of JSON value, named as error messages name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `boolean`
    Boolean,
    /// `number`
    Number,
    /// `string`
    String,
    /// `array`
    Array,
    /// `object`
    Object,
}

impl Kind {
    /// The word AWS's messages use, such as `Expected 'array', but was 'number'`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Boolean => "boolean",
            Kind::Number => "number",
            Kind::String => "string",
            Kind::Array => "array",
            Kind::Object => "object",
        }
    }
}

impl Value {
    /// A string value.
    pub fn string(text: impl Into<Arc<str>>) -> Self {
        Value::String(text.into())
    }

    /// An array value.
    pub fn array(items: Vec<Value>) -> Self {
        Value::Array(Arc::new(items))
    }

    /// An object value.
    pub fn object(map: Map) -> Self {
        Value::Object(Arc::new(map))
    }

    /// The object `{}`.
    pub fn empty_object() -> Self {
        Value::object(Map::new())
    }

    /// Which kind of value this is.
    pub fn kind(&self) -> Kind {
        match self {
            Value::Null => Kind::Null,
            Value::Bool(_) => Kind::Boolean,
            Value::Number(_) => Kind::Number,
            Value::String(_) => Kind::String,
            Value::Array(_) => Kind::Array,
            Value::Object(_) => Kind::Object,
        }
    }

    /// The text of a string value.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(text) = self { Some(text) } else { None }
    }

    /// The value of a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(value) = self { Some(*value) } else { None }
    }

    /// The number, whatever its spelling.
    pub fn as_number(&self) -> Option<&Number> {
        if let Value::Number(number) = self { Some(number) } else { None }
    }

    /// An integer written without fraction or exponent that fits 64 bits.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number().and_then(Number::as_i64)
    }

    /// The nearest double of a number.
    pub fn as_f64(&self) -> Option<f64> {
        self.as_number().map(Number::as_f64)
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Value::Array(items) = self { Some(items) } else { None }
    }

    /// The members of an object.
    pub fn as_object(&self) -> Option<&Map> {
        if let Value::Object(map) = self { Some(map) } else { None }
    }

    /// The member `name` of an object; `None` where there is none or this is no object.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_object().and_then(|map| map.get(name))
    }

    /// Compact JSON text.
    pub fn to_json(&self) -> String {
        let mut text = String::new();
        super::write_value(self, &mut text);
        text
    }

    /// Whether the value's text has at most about `bytes_max` bytes: escapes are not counted. Values share their parts, so that
    /// a small one may have a text that fits no memory.
    pub fn is_within(&self, bytes_max: usize) -> bool {
        let mut left = bytes_max;
        self.take_bytes(&mut left)
    }

    fn take_bytes(&self, left: &mut usize) -> bool {
        let own = match self {
            Value::String(text) => text.len() + 2,
            Value::Array(items) => 2 + items.len(),
            Value::Object(map) => 2 + 4 * map.len(),
            _ => 1,
        };
        let Some(rest) = left.checked_sub(own) else { return false };
        *left = rest;
        match self {
            Value::Array(items) => items.iter().all(|item| item.take_bytes(left)),
            Value::Object(map) => map.iter().all(|(key, member)| {
                let Some(rest) = left.checked_sub(key.len()) else { return false };
                *left = rest;
                member.take_bytes(left)
            }),
            _ => true,
        }
    }

    /// The compact JSON text for a message: no more of it than a cause may hold, whatever the value's size.
    pub fn shown(&self) -> String {
        let mut text = String::new();
        if !super::write_value_within(self, &mut text, SHOWN_BYTES_MAX) {
            text.push('…');
        }
        text
    }

    /// How many arrays and objects stand inside one another at the deepest place; 0 for a scalar.
    ///
    /// Stops counting at `limit`, so that a value of any depth is measured in bounded stack.
    pub fn depth(&self, limit: usize) -> usize {
        let inner = |values: &mut dyn Iterator<Item = &Value>| {
            if limit <= 1 { 1 } else { 1 + values.map(|v| v.depth(limit - 1)).max().unwrap_or(0) }
        };
        match self {
            Value::Array(items) => inner(&mut items.iter()),
            Value::Object(map) => inner(&mut map.values()),
            _ => 0,
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_json())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::String(text.into())
    }
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Self {
        Value::String(text)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Number(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Number(value.into())
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Value::array(items)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Value::object(map)
    }
}

impl<K: Into<Arc<str>>, const N: usize> From<[(K, Value); N]> for Value {
    fn from(members: [(K, Value); N]) -> Self {
        Value::object(members.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::json::parse;

    #[test]
    fn depth_counts_containers_and_stops_at_the_limit() {
        for (text, depth) in [("1", 0), ("[]", 1), ("[[1],{\"a\":[]}]", 3), ("{\"a\":1}", 1)] {
            assert_eq!(parse(text).unwrap().depth(10), depth, "{text}");
        }
        assert_eq!(parse("[[[[1]]]]").unwrap().depth(2), 2);
    }
}
