//! Reads requests: JSON members into types, with the texts of AWS's framework where one does not fit.
//!
//! A member of the wrong type ends the reading ([`Error::Serialization`]). A value that breaks a constraint of the
//! API's model does not: all such are gathered, and [`Violations::check`] reports them together. Members that the API
//! does not have are ignored, and `null` is the same as nothing.

use std::sync::Arc;

use stepwell_expr::Value;
use stepwell_expr::json::{self, Map, Options, Values};

use crate::Error;

/// What a string member may be.
pub(crate) struct Text {
    min: usize,
    max: Max,
    is_sensitive: bool,
    pattern: Pattern,
}

/// What characters a string member may have.
#[derive(Clone, Copy)]
enum Pattern {
    Any,
    Ascii,
    /// Letters, digits, `_`, `-` and `.`, and not digits alone.
    Restricted,
    /// What is seen of ASCII.
    Visible,
}

impl Pattern {
    fn holds(self, text: &str) -> bool {
        let restricted = |c: u8| c.is_ascii_alphanumeric() || b"_-.".contains(&c);
        match self {
            Pattern::Any => true,
            Pattern::Ascii => text.is_ascii(),
            Pattern::Visible => text.bytes().all(|c| c.is_ascii_graphic()),
            Pattern::Restricted => text.bytes().all(restricted) && !text.bytes().all(|c| c.is_ascii_digit()),
        }
    }

    fn text(self) -> &'static str {
        match self {
            Pattern::Any => "",
            Pattern::Ascii => r"\p{ASCII}*",
            Pattern::Visible => "[!-~]+",
            Pattern::Restricted => r"^(?=.*[a-zA-Z_\-\.])[a-zA-Z0-9_\-\.]+$",
        }
    }
}

enum Max {
    None,
    Length(usize),
    Utf8Bytes(usize),
}

impl Text {
    const ANY: Text = Text { min: 0, max: Max::None, is_sensitive: false, pattern: Pattern::Any };
    /// `RevisionId`
    pub(crate) const REVISION_ID: Text = Text::ANY;
    /// `Arn`
    pub(crate) const ARN: Text = Text { min: 1, max: Max::Length(256), ..Text::ANY };
    /// `LongArn`
    pub(crate) const LONG_ARN: Text = Text { min: 1, max: Max::Length(2000), ..Text::ANY };
    /// `Name`
    pub(crate) const NAME: Text = Text { min: 1, max: Max::Length(80), ..Text::ANY };
    /// `Definition`
    pub(crate) const DEFINITION: Text =
        Text { min: 1, max: Max::Length(1_048_576), is_sensitive: true, ..Text::ANY };
    /// `SensitiveData`: inputs and outputs.
    pub(crate) const DATA: Text = Text {
        max: Max::Utf8Bytes(stepwell_interpreter::PAYLOAD_BYTES_MAX),
        is_sensitive: true,
        ..Text::ANY
    };
    /// `TraceHeader`
    pub(crate) const TRACE_HEADER: Text =
        Text { max: Max::Length(256), pattern: Pattern::Ascii, ..Text::ANY };
    /// `ClientToken`
    pub(crate) const CLIENT_TOKEN: Text =
        Text { min: 1, max: Max::Length(64), pattern: Pattern::Visible, ..Text::ANY };
    /// `SensitiveError`
    pub(crate) const ERROR: Text = Text { max: Max::Length(256), is_sensitive: true, ..Text::ANY };
    /// `SensitiveCause`
    pub(crate) const CAUSE: Text = Text { max: Max::Length(32_768), is_sensitive: true, ..Text::ANY };
    /// `TaskToken`
    pub(crate) const TASK_TOKEN: Text = Text { min: 1, max: Max::Length(2048), ..Text::ANY };
    /// `PageToken`
    pub(crate) const PAGE_TOKEN: Text = Text { min: 1, max: Max::Length(1024), ..Text::ANY };
    /// `ListExecutionsPageToken`
    pub(crate) const EXECUTIONS_PAGE_TOKEN: Text = Text { min: 1, max: Max::Length(3096), ..Text::ANY };
    /// `TestStateStateName`
    #[cfg(feature = "test-state")]
    pub(crate) const STATE_NAME: Text =
        Text { min: 1, max: Max::Length(80), is_sensitive: true, ..Text::ANY };
    /// `TagKey`
    pub(crate) const TAG_KEY: Text = Text { min: 1, max: Max::Length(128), ..Text::ANY };
    /// `TagValue`
    pub(crate) const TAG_VALUE: Text = Text { max: Max::Length(256), ..Text::ANY };
    /// `KmsKeyId`
    pub(crate) const KMS_KEY_ID: Text = Text { min: 1, max: Max::Length(2048), ..Text::ANY };
    /// `CharacterRestrictedName`
    pub(crate) const ALIAS_NAME: Text =
        Text { min: 1, max: Max::Length(80), pattern: Pattern::Restricted, ..Text::ANY };
    /// `AliasDescription`
    pub(crate) const ALIAS_DESCRIPTION: Text =
        Text { max: Max::Length(256), is_sensitive: true, ..Text::ANY };
    /// `VersionDescription`
    pub(crate) const VERSION_DESCRIPTION: Text =
        Text { max: Max::Length(256), is_sensitive: true, ..Text::ANY };

    /// The first constraint that `text` breaks.
    fn broken(&self, text: &str) -> Option<String> {
        // No string has more UTF-16 units, which lengths are counted in, than bytes.
        let length = || text.chars().map(char::len_utf16).sum::<usize>();
        match self.max {
            Max::Length(max) if text.len() > max && length() > max => {
                return Some(format!("Member must have length less than or equal to {max}"));
            }
            Max::Utf8Bytes(max) if text.len() > max => {
                return Some(format!(
                    "Member must have size less than or equal to {max} bytes in UTF-8 encoding"
                ));
            }
            _ => {}
        }
        if text.len() < self.min {
            return Some(format!("Member must have length greater than or equal to {}", self.min));
        }
        let broken = !self.pattern.holds(text);
        broken.then(|| format!("Member must satisfy regular expression pattern: {}", self.pattern.text()))
    }
}

/// Constraints that members broke.
#[derive(Default)]
pub(crate) struct Violations(Vec<String>);

impl Violations {
    /// Ends the reading of a request.
    ///
    /// # Errors
    /// [`Error::Constraints`] where any was broken.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Constraints(std::mem::take(&mut self.0))) }
    }

    fn add(&mut self, shown: Option<&str>, at: &str, constraint: &str) {
        let value = shown.map_or_else(String::new, |shown| format!("'{shown}' "));
        self.push(&value, at, constraint);
    }

    fn missing(&mut self, at: &str, is_sensitive: bool) {
        self.push(if is_sensitive { "" } else { "null " }, at, "Member must not be null");
    }

    fn push(&mut self, value: &str, at: &str, constraint: &str) {
        if self.0.len() < VIOLATIONS_MAX {
            self.0.push(format!("Value {value}at '{at}' failed to satisfy constraint: {constraint}"));
        }
    }

    fn text(&mut self, text: &str, at: &str, what: &Text) {
        if let Some(constraint) = what.broken(text) {
            self.add((!what.is_sensitive).then_some(text), at, &constraint);
        }
    }
}

/// The members of a structure of a request.
pub(crate) struct Members<'a> {
    map: &'a Map,
    violations: &'a mut Violations,
    /// Such as `loggingConfiguration.`
    prefix: String,
}

/// Parses a body.
///
/// # Errors
/// [`Error::Serialization`] for anything but one JSON object in UTF-8, [`Error::RequestTooLarge`].
pub(crate) fn parse(body: &[u8]) -> Result<Value, Error> {
    if body.len() > crate::REQUEST_BYTES_MAX {
        return Err(Error::RequestTooLarge);
    }
    let text = std::str::from_utf8(body).map_err(|_| Error::Serialization("Invalid UTF-8".into()))?;
    let options = Options { depth_max: DEPTH_MAX, ..Options::default() };
    let value =
        json::parse_with(text, options, &mut Values).map_err(|error| Error::Serialization(error.message))?;
    match value {
        Value::Object(_) => Ok(value),
        Value::Array(_) => Err(Error::Serialization(LIST.into())),
        _ => Err(Error::Serialization("Expected a structure".into())),
    }
}

impl<'a> Members<'a> {
    /// The members of a body that [`parse`] gave.
    pub(crate) fn of(body: &'a Value, violations: &'a mut Violations) -> Self {
        static EMPTY: std::sync::OnceLock<Map> = std::sync::OnceLock::new();
        let map = body.as_object().unwrap_or_else(|| EMPTY.get_or_init(Map::new));
        Members { map, violations, prefix: String::new() }
    }

    fn value(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| **value != Value::Null)
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A string member.
    pub(crate) fn text(&mut self, name: &str, what: &Text) -> Result<Option<Arc<str>>, Error> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let text = string(value)?;
        if what.broken(text).is_some() {
            let path = self.path(name);
            self.violations.text(text, &path, what);
        }
        Ok(Some(text.clone()))
    }

    /// A string member that must be there. Where it is not, that is gathered and the result is empty.
    pub(crate) fn required(&mut self, name: &str, what: &Text) -> Result<Arc<str>, Error> {
        if let Some(text) = self.text(name, what)? {
            return Ok(text);
        }
        let path = self.path(name);
        self.violations.missing(&path, what.is_sensitive);
        Ok("".into())
    }

    /// A string member that is one of `values`.
    pub(crate) fn one_of(
        &mut self,
        name: &str,
        values: &[&'static str],
    ) -> Result<Option<&'static str>, Error> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let text = string(value)?;
        let found = values.iter().copied().find(|known| *known == &**text);
        if found.is_none() {
            let constraint = format!("Member must satisfy enum value set: [{}]", values.join(", "));
            let path = self.path(name);
            self.violations.add(Some(text), &path, &constraint);
        }
        Ok(found)
    }

    /// A whole number. A fraction is cut off, as AWS does.
    pub(crate) fn integer(&mut self, name: &str, min: i64, max: i64) -> Result<Option<i64>, Error> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let number = value.as_number().ok_or_else(|| mismatch(value, "an Integer"))?;
        let value = number.as_i64().unwrap_or_else(|| number.as_f64().trunc() as i64);
        if i32::try_from(value).is_err() {
            return Err(Error::Serialization(format!("{number} is out of the range of an Integer")));
        }
        let constraint = match value {
            _ if value > max => format!("Member must have value less than or equal to {max}"),
            _ if value < min => format!("Member must have value greater than or equal to {min}"),
            _ => return Ok(Some(value)),
        };
        let path = self.path(name);
        self.violations.add(Some(&value.to_string()), &path, &constraint);
        Ok(Some(value.clamp(min, max)))
    }

    /// A whole number of 64 bits.
    pub(crate) fn long(&mut self, name: &str, min: i64) -> Result<Option<i64>, Error> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let number = value.as_number().ok_or_else(|| mismatch(value, "a Long"))?;
        let value = number.as_i64().unwrap_or_else(|| number.as_f64().trunc() as i64);
        if value < min {
            let constraint = format!("Member must have value greater than or equal to {min}");
            let path = self.path(name);
            self.violations.add(Some(&value.to_string()), &path, &constraint);
        }
        Ok(Some(value.max(min)))
    }

    /// A number.
    pub(crate) fn float(&mut self, name: &str, min: f64, max: f64) -> Result<Option<f64>, Error> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let number = value.as_number().ok_or_else(|| mismatch(value, "a Float"))?;
        let constraint = match number.as_f64() {
            number if number > max => format!("Member must have value less than or equal to {max}"),
            number if number < min => format!("Member must have value greater than or equal to {min}"),
            number => return Ok(Some(number)),
        };
        let path = self.path(name);
        self.violations.add(Some(&number.to_string()), &path, &constraint);
        Ok(Some(number.as_f64().clamp(min, max)))
    }

    /// A boolean member.
    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, Error> {
        let Some(value) = self.value(name) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| mismatch(value, "a Boolean"))
    }

    /// A structure, read by `read`.
    pub(crate) fn structure<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Members<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let prefix = self.path(name) + ".";
        read(&mut Members { map: structure(value)?, violations: self.violations, prefix }).map(Some)
    }

    /// A list of structures, each read by `read`.
    pub(crate) fn structures<T>(
        &mut self,
        name: &str,
        mut read: impl FnMut(&mut Members<'_>) -> Result<T, Error>,
    ) -> Result<Option<Vec<T>>, Error> {
        let Some(items) = self.items(name)? else { return Ok(None) };
        let mut all = Vec::with_capacity(items.len());
        for (at, item) in (1..).zip(items).filter(|(_, item)| **item != Value::Null) {
            let prefix = format!("{}.{at}.member.", self.path(name));
            all.push(read(&mut Members { map: structure(item)?, violations: self.violations, prefix })?);
        }
        Ok(Some(all))
    }

    /// A list of strings.
    pub(crate) fn texts(&mut self, name: &str, what: &Text) -> Result<Option<Vec<Arc<str>>>, Error> {
        let Some(items) = self.items(name)? else { return Ok(None) };
        let mut all = Vec::with_capacity(items.len());
        for (at, item) in (1..).zip(items).filter(|(_, item)| **item != Value::Null) {
            let text = string(item)?;
            let path = format!("{}.{at}.member", self.path(name));
            self.violations.text(text, &path, what);
            all.push(text.clone());
        }
        Ok(Some(all))
    }

    /// Checks how many items a list member has, each of which AWS's framework shows as `show` does.
    pub(crate) fn length<T>(
        &mut self,
        name: &str,
        items: &[T],
        (min, max): (usize, usize),
        show: impl Fn(&T) -> String,
    ) {
        let constraint = match items.len() {
            count if count > max => format!("Member must have length less than or equal to {max}"),
            count if count < min => format!("Member must have length greater than or equal to {min}"),
            _ => return,
        };
        let shown: Vec<_> = items.iter().map(show).collect();
        let path = self.path(name);
        self.violations.add(Some(&format!("[{}]", shown.join(", "))), &path, &constraint);
    }

    /// Notes that `name` must be there, where it is not.
    pub(crate) fn require(&mut self, name: &str) {
        if self.value(name).is_none() {
            let path = self.path(name);
            self.violations.missing(&path, false);
        }
    }

    fn items(&self, name: &str) -> Result<Option<&'a [Value]>, Error> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(Value::Object(_)) => Err(Error::Serialization(STRUCTURE.into())),
            Some(_) => Err(Error::Serialization("Expected list or null".into())),
        }
    }
}

/// Violations that are reported at most: a long list of nothings is not answered by a far longer one.
const VIOLATIONS_MAX: usize = 100;

/// Structures and lists that may stand inside one another in a request; the API's own have five.
const DEPTH_MAX: usize = 64;

const LIST: &str = "Start of list found where not expected";
const STRUCTURE: &str = "Start of structure or map found where not expected.";

fn string(value: &Value) -> Result<&Arc<str>, Error> {
    if let Value::String(text) = value { Ok(text) } else { Err(mismatch(value, "a String")) }
}

fn structure(value: &Value) -> Result<&Map, Error> {
    match value {
        Value::Object(map) => Ok(map),
        Value::Array(_) => Err(Error::Serialization(LIST.into())),
        _ => Err(Error::Serialization("Expected null".into())),
    }
}

fn mismatch(value: &Value, wanted: &str) -> Error {
    let found = match value {
        Value::Array(_) => return Error::Serialization(LIST.into()),
        Value::Object(_) => return Error::Serialization(STRUCTURE.into()),
        Value::Null => "NULL_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
    };
    Error::Serialization(format!("{found} can not be converted to {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<(), Error> {
        let body = parse(body.as_bytes())?;
        let mut violations = Violations::default();
        let mut members = Members::of(&body, &mut violations);
        members.required("name", &Text::NAME)?;
        members.text("input", &Text::DATA)?;
        members.text("traceHeader", &Text::TRACE_HEADER)?;
        members.integer("maxResults", 0, 1000)?;
        members.one_of("status", &["A", "B"])?;
        members.flag("publish")?;
        members.structure("tracing", |tracing| tracing.flag("enabled"))?;
        members.structures("tags", |tag| tag.required("key", &Text::TAG_KEY))?;
        members.texts("tagKeys", &Text::TAG_KEY)?;
        violations.check()
    }

    #[track_caller]
    fn check(body: &str, expected: &str) {
        let found = read(body).map_or_else(|error| format!("{}: {error}", error.name()), |()| "ok".into());
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn what_fits_is_read_and_the_rest_ignored() {
        check(r#"{"name":"n","foo":[1],"input":null,"maxResults":1.5,"tags":[null],"tagKeys":["a"]}"#, "ok");
    }

    #[test]
    fn wrong_types_end_the_reading() {
        for (body, message) in [
            ("", "No content to map due to end-of-input"),
            ("[]", LIST),
            ("1", "Expected a structure"),
            (r#"{"name":1}"#, "NUMBER_VALUE can not be converted to a String"),
            (r#"{"name":true}"#, "TRUE_VALUE can not be converted to a String"),
            (r#"{"name":["x"]}"#, LIST),
            (r#"{"name":{"x":1}}"#, STRUCTURE),
            (r#"{"name":"n","maxResults":"1"}"#, "STRING_VALUE can not be converted to an Integer"),
            (r#"{"name":"n","maxResults":1e99}"#, "1e99 is out of the range of an Integer"),
            (r#"{"name":"n","publish":"yes"}"#, "STRING_VALUE can not be converted to a Boolean"),
            (r#"{"name":"n","tracing":1}"#, "Expected null"),
            (r#"{"name":"n","tracing":{"enabled":[]}}"#, LIST),
            (r#"{"name":"n","tags":"x"}"#, "Expected list or null"),
            (r#"{"name":"n","tagKeys":[7]}"#, "NUMBER_VALUE can not be converted to a String"),
        ] {
            let error = read(body).expect_err(body);
            assert_eq!(error.name(), "SerializationException", "{body}");
            if !body.is_empty() {
                assert_eq!(error.to_string(), message, "{body}");
            }
        }
    }

    #[test]
    fn broken_constraints_are_reported_together() {
        check(
            r#"{"maxResults":1001,"status":"a"}"#,
            "ValidationException: 3 validation errors detected: \
             Value null at 'name' failed to satisfy constraint: Member must not be null; \
             Value '1001' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 1000; \
             Value 'a' at 'status' failed to satisfy constraint: Member must satisfy enum value set: [A, B]",
        );
        check(
            r#"{"name":"","traceHeader":"é","tags":[{"key":"a"},{}]}"#,
            "ValidationException: 3 validation errors detected: \
             Value '' at 'name' failed to satisfy constraint: Member must have length greater than or equal to 1; \
             Value 'é' at 'traceHeader' failed to satisfy constraint: Member must satisfy regular expression pattern: \\p{ASCII}*; \
             Value null at 'tags.2.member.key' failed to satisfy constraint: Member must not be null",
        );
    }

    #[test]
    fn lengths_count_utf_16_and_sizes_bytes() {
        let named = |name: &str| format!(r#"{{"name":"{name}"}}"#);
        check(&named(&"é".repeat(80)), "ok");
        assert!(read(&named(&"😀".repeat(41))).is_err());
        check(
            &format!(r#"{{"name":"n","input":"{}"}}"#, "é".repeat(131_073)),
            "ValidationException: 1 validation error detected: Value at 'input' failed to satisfy constraint: \
             Member must have size less than or equal to 262144 bytes in UTF-8 encoding",
        );
    }

    #[test]
    fn hostile_bodies_are_refused() {
        let many = format!(r#"{{"name":"n","tags":[{}]}}"#, vec!["{}"; 10_000].join(","));
        let error = read(&many).expect_err("no keys").to_string();
        assert!(error.starts_with("100 validation errors detected: "), "{}", &error[..99]);
        assert_eq!(parse(&[0xff, 0xfe]).expect_err("no UTF-8").name(), "SerializationException");
        let deep = "[".repeat(10_000);
        assert_eq!(parse(deep.as_bytes()).expect_err("too deep").name(), "SerializationException");
        let large = vec![b' '; crate::REQUEST_BYTES_MAX + 1];
        assert_eq!(parse(&large).expect_err("too large").name(), "RequestEntityTooLargeException");
    }
}
