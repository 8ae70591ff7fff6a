//! One immutable JSON document, as text and as value.

use std::sync::{Arc, OnceLock};

use super::{JsonError, Value, check, parse, write_value_within};

/// A JSON document that keeps its text and its parsed form, each made when first needed and at most once.
///
/// A 200 KB input that passes through ten states is one `Payload`: parsed once, measured once, copied never.
#[derive(Clone)]
pub struct Payload(Arc<Inner>);

#[derive(Default)]
struct Inner {
    text: OnceLock<Arc<str>>,
    value: OnceLock<Value>,
}

impl Payload {
    /// The payload of `value`; its text will be compact.
    pub fn of(value: Value) -> Self {
        Payload(Arc::new(Inner { text: OnceLock::new(), value: OnceLock::from(value) }))
    }

    /// A payload that keeps `text` verbatim, white space included.
    ///
    /// # Errors
    /// [`JsonError`] where the text is no JSON document.
    pub fn parse(text: impl Into<Arc<str>>) -> Result<Self, JsonError> {
        let text = text.into();
        check(&text)?;
        Ok(Payload::trusted(text))
    }

    /// A payload of text that was JSON when it was written, such as a journal's.
    pub fn trusted(text: impl Into<Arc<str>>) -> Self {
        Payload(Arc::new(Inner { text: OnceLock::from(text.into()), value: OnceLock::new() }))
    }

    /// The JSON text.
    pub fn text(&self) -> &Arc<str> {
        self.0.text.get_or_init(|| self.value().to_json().into())
    }

    /// The parsed value. Text that is no JSON after all, which only damaged storage can bring, reads as a string.
    pub fn value(&self) -> &Value {
        self.0.value.get_or_init(|| {
            let text = self.0.text.get().map_or("null", |text| text);
            parse(text).unwrap_or_else(|_| Value::string(text))
        })
    }

    /// Length of the text in bytes of UTF-8: what the 256 KiB limit measures.
    pub fn bytes(&self) -> usize {
        self.text().len()
    }

    /// Whether the text has at most `bytes_max` bytes. Unlike [`Payload::bytes`], this never writes a text that is much longer.
    pub fn fits(&self, bytes_max: usize) -> bool {
        if let Some(text) = self.0.text.get() {
            return text.len() <= bytes_max;
        }
        let mut text = String::new();
        let fits = write_value_within(self.value(), &mut text, bytes_max);
        if fits {
            self.0.text.get_or_init(|| text.into());
        }
        fits
    }

    /// Whether both are one shared document. False says nothing about equality.
    pub fn same(&self, other: &Payload) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// An address that is the same for all clones of this document while one of them lives.
    pub fn address(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }
}

/// The document `null`.
impl Default for Payload {
    fn default() -> Self {
        Payload::of(Value::Null)
    }
}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        Payload::of(value)
    }
}

/// Payloads are equal when their texts are: the history shows the text.
impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.same(other) || self.text() == other.text()
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl serde::Serialize for Payload {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl<'de> serde::Deserialize<'de> for Payload {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Payload::trusted(String::deserialize(deserializer)?))
    }
}
