//! `$parse`: JSON text to the engine's values.

use std::borrow::Cow;
use std::ops::Range;

use indexmap::IndexMap;
use jsonata_core::value::JValue;

use super::convert::Exact;
use crate::json::{Build, Options, parse_with};

/// The value of `text`. `None` where it is no JSON, has a key twice, or a number that no double holds.
pub(super) fn parse_json(text: &str, exact: &mut Exact) -> Option<JValue> {
    let mut build = Values { exact, overflow: false };
    let options = Options { unique_keys: true, ..Options::default() };
    let value = parse_with(text, options, &mut build).ok()?;
    (!build.overflow).then_some(value)
}

struct Values<'a> {
    exact: &'a mut Exact,
    overflow: bool,
}

impl Build for Values<'_> {
    type Node = JValue;
    type Array = Vec<JValue>;
    type Object = IndexMap<String, JValue>;

    fn literal(&mut self, literal: Option<bool>, _: Range<usize>) -> JValue {
        literal.map_or(JValue::Null, JValue::Bool)
    }

    fn number(&mut self, text: &str, _: Range<usize>) -> JValue {
        if let Ok(integer) = text.parse::<i64>() {
            return JValue::Number(self.exact.note(integer));
        }
        let value = text.parse::<f64>().unwrap_or(f64::INFINITY);
        self.overflow |= !value.is_finite();
        JValue::Number(value)
    }

    fn string(&mut self, text: Cow<'_, str>, _: Range<usize>) -> JValue {
        JValue::string(&*text)
    }

    fn push(&mut self, array: &mut Vec<JValue>, item: JValue) {
        array.push(item);
    }

    fn insert(
        &mut self,
        object: &mut Self::Object,
        key: Cow<'_, str>,
        _: Range<usize>,
        member: JValue,
    ) -> bool {
        object.insert(key.into_owned(), member).is_none()
    }

    fn array(&mut self, array: Vec<JValue>, _: Range<usize>) -> JValue {
        JValue::array(array)
    }

    fn object(&mut self, object: Self::Object, _: Range<usize>) -> JValue {
        JValue::object(object)
    }
}
