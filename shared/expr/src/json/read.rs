//! Reads JSON: strictly by RFC 8259, in bounded depth, with the texts of the service's parser (Jackson).

use std::borrow::Cow;
use std::ops::Range;

use super::{Map, Number, Value};

/// Arrays and objects that may stand inside one another; deeper documents are refused (Jackson's default).
pub const DEPTH_MAX: usize = 1000;

/// Why a text is no JSON document, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JsonError {
    /// What kind of mistake.
    pub kind: JsonErrorKind,
    /// Jackson's words, without its location suffix.
    pub message: String,
    /// Bytes before the mistake.
    pub offset: usize,
    /// Line of the mistake, from 1.
    pub line: usize,
    /// Column of the mistake in characters, from 1.
    pub column: usize,
}

/// The kinds of mistake a JSON text can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonErrorKind {
    /// The text breaks the grammar.
    Syntax,
    /// The text ends too early.
    End,
    /// More than [`DEPTH_MAX`] levels.
    Depth,
    /// A key comes twice in one object, where that is refused.
    DuplicateKey,
}

/// How to read.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Levels of nesting allowed.
    pub depth_max: usize,
    /// Whether a key that comes twice in one object is a mistake (else the last one wins, as in Jackson).
    pub unique_keys: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { depth_max: DEPTH_MAX, unique_keys: false }
    }
}

/// Parses `text` into a [`Value`].
///
/// # Errors
/// [`JsonError`] for anything but one JSON document.
pub fn parse(text: &str) -> Result<Value, JsonError> {
    parse_with(text, Options::default(), &mut Values)
}

/// Checks that `text` is one JSON document, without building it.
///
/// # Errors
/// [`JsonError`] for anything else.
pub fn check(text: &str) -> Result<(), JsonError> {
    parse_with(text, Options::default(), &mut Nothing)
}

/// Parses `text` into whatever `build` builds.
///
/// # Errors
/// [`JsonError`] for anything but one JSON document.
pub fn parse_with<B: Build>(text: &str, options: Options, build: &mut B) -> Result<B::Node, JsonError> {
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, options };
    let node = reader.value(build)?;
    reader.blanks();
    if reader.at < reader.bytes.len() {
        return Err(reader.unexpected("expected the end of the document"));
    }
    Ok(node)
}

/// Builds something from a document as it is read. `span` is the node's range of bytes in the text.
pub trait Build {
    /// A finished value.
    type Node;
    /// An array being read.
    type Array: Default;
    /// An object being read.
    type Object: Default;

    /// `null`, `true` or `false`.
    fn literal(&mut self, literal: Option<bool>, span: Range<usize>) -> Self::Node;
    /// A number, as it is spelled.
    fn number(&mut self, text: &str, span: Range<usize>) -> Self::Node;
    /// A string, unescaped.
    fn string(&mut self, text: Cow<'_, str>, span: Range<usize>) -> Self::Node;
    /// One more element.
    fn push(&mut self, array: &mut Self::Array, item: Self::Node);
    /// One more member. False where `key` was there already.
    fn insert(
        &mut self,
        object: &mut Self::Object,
        key: Cow<'_, str>,
        key_span: Range<usize>,
        member: Self::Node,
    ) -> bool;
    /// The array is complete.
    fn array(&mut self, array: Self::Array, span: Range<usize>) -> Self::Node;
    /// The object is complete.
    fn object(&mut self, object: Self::Object, span: Range<usize>) -> Self::Node;
}

/// Builds [`Value`]s.
#[derive(Debug, Clone, Copy, Default)]
pub struct Values;

impl Build for Values {
    type Node = Value;
    type Array = Vec<Value>;
    type Object = Map;

    fn literal(&mut self, literal: Option<bool>, _: Range<usize>) -> Value {
        literal.map_or(Value::Null, Value::Bool)
    }
    fn number(&mut self, text: &str, _: Range<usize>) -> Value {
        Value::Number(Number::from_json(text))
    }
    fn string(&mut self, text: Cow<'_, str>, _: Range<usize>) -> Value {
        Value::String(text.into())
    }
    fn push(&mut self, array: &mut Vec<Value>, item: Value) {
        array.push(item);
    }
    fn insert(&mut self, object: &mut Map, key: Cow<'_, str>, _: Range<usize>, member: Value) -> bool {
        object.insert(key, member).is_none()
    }
    fn array(&mut self, array: Vec<Value>, _: Range<usize>) -> Value {
        Value::array(array)
    }
    fn object(&mut self, object: Map, _: Range<usize>) -> Value {
        Value::object(object)
    }
}

struct Nothing;

impl Build for Nothing {
    type Node = ();
    type Array = ();
    type Object = ();

    fn literal(&mut self, _: Option<bool>, _: Range<usize>) {}
    fn number(&mut self, _: &str, _: Range<usize>) {}
    fn string(&mut self, _: Cow<'_, str>, _: Range<usize>) {}
    fn push(&mut self, (): &mut (), (): ()) {}
    fn insert(&mut self, (): &mut (), _: Cow<'_, str>, _: Range<usize>, (): ()) -> bool {
        true
    }
    fn array(&mut self, (): (), _: Range<usize>) {}
    fn object(&mut self, (): (), _: Range<usize>) {}
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    options: Options,
}

/// A container that is being read.
enum Open<'a, B: Build> {
    Array { array: B::Array, start: usize },
    Object { object: B::Object, start: usize, key: (Cow<'a, str>, Range<usize>) },
}

const EXPECTED: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
const EXPECTED_VALUE: &str =
    "expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Reads one value. What is open is kept in a list and not on the stack, which a deep document would exhaust.
    fn value<B: Build>(&mut self, build: &mut B) -> Result<B::Node, JsonError> {
        let mut open: Vec<Open<'a, B>> = Vec::new();
        loop {
            let Some(mut node) = self.begin(build, &mut open)? else { continue };
            loop {
                let Some(container) = open.last_mut() else { return Ok(node) };
                if self.add(build, container, node)? {
                    break;
                }
                node = match open.pop() {
                    Some(Open::Array { array, start }) => build.array(array, start..self.at),
                    Some(Open::Object { object, start, .. }) => build.object(object, start..self.at),
                    None => return Err(self.unexpected(EXPECTED_VALUE)),
                };
            }
        }
    }

    /// Reads a value that is no container or an empty one; or opens a container, up to its first value.
    fn begin<B: Build>(
        &mut self,
        build: &mut B,
        open: &mut Vec<Open<'a, B>>,
    ) -> Result<Option<B::Node>, JsonError> {
        self.blanks();
        let start = self.at;
        match self.peek() {
            Some(b'{') => {
                self.deeper(open.len() + 1)?;
                self.at += 1;
                if self.after_blanks() == Some(b'}') {
                    self.at += 1;
                    return Ok(Some(build.object(B::Object::default(), start..self.at)));
                }
                if self.peek().is_none() {
                    return Err(self.unclosed("Object", start));
                }
                let key = self.key()?;
                open.push(Open::Object { object: B::Object::default(), start, key });
                Ok(None)
            }
            Some(b'[') => {
                self.deeper(open.len() + 1)?;
                self.at += 1;
                if self.after_blanks() == Some(b']') {
                    self.at += 1;
                    return Ok(Some(build.array(B::Array::default(), start..self.at)));
                }
                if self.peek().is_none() {
                    return Err(self.unclosed("Array", start));
                }
                open.push(Open::Array { array: B::Array::default(), start });
                Ok(None)
            }
            Some(b'"') => {
                let text = self.string()?;
                Ok(Some(build.string(text, start..self.at)))
            }
            Some(b'-' | b'0'..=b'9') => {
                let text = self.number()?;
                Ok(Some(build.number(text, start..self.at)))
            }
            Some(b) if b.is_ascii_alphabetic() || b == b'_' || b == b'$' || b >= 0x80 => {
                let literal = self.literal()?;
                Ok(Some(build.literal(literal, start..self.at)))
            }
            Some(_) => Err(self.unexpected(EXPECTED_VALUE)),
            None => Err(self.ended("No content to map due to end-of-input")),
        }
    }

    /// Adds `node` to its container and reads on: true up to the next value, false past the container's end.
    fn add<B: Build>(
        &mut self,
        build: &mut B,
        container: &mut Open<'a, B>,
        node: B::Node,
    ) -> Result<bool, JsonError> {
        match container {
            Open::Array { array, start } => {
                build.push(array, node);
                match self.after_blanks() {
                    Some(b',') => self.at += 1,
                    Some(b']') => {
                        self.at += 1;
                        return Ok(false);
                    }
                    Some(_) => return Err(self.unexpected("was expecting comma to separate Array entries")),
                    None => return Err(self.unclosed("Array", *start)),
                }
                if self.after_blanks().is_none() {
                    return Err(self.between("Array"));
                }
            }
            Open::Object { object, key: (key, span), start } => {
                let name = self.options.unique_keys.then(|| key.to_string());
                if !build.insert(object, std::mem::take(key), span.clone(), node)
                    && let Some(name) = name
                {
                    self.at = span.start;
                    return Err(self.error(JsonErrorKind::DuplicateKey, format!("Duplicate field '{name}'")));
                }
                match self.after_blanks() {
                    Some(b',') => self.at += 1,
                    Some(b'}') => {
                        self.at += 1;
                        return Ok(false);
                    }
                    Some(_) => return Err(self.unexpected("was expecting comma to separate Object entries")),
                    None => return Err(self.unclosed("Object", *start)),
                }
                (*key, *span) = self.key()?;
            }
        }
        Ok(true)
    }

    /// Reads a key and the colon behind it.
    fn key(&mut self) -> Result<(Cow<'a, str>, Range<usize>), JsonError> {
        match self.after_blanks() {
            Some(b'"') => {}
            Some(_) => return Err(self.unexpected("was expecting double-quote to start field name")),
            None => return Err(self.between("Object")),
        }
        let start = self.at;
        let key = self.string().map_err(|error| match error.kind {
            JsonErrorKind::End => self.ended("Unexpected end-of-input in field name"),
            _ => error,
        })?;
        let span = start..self.at;
        match self.after_blanks() {
            Some(b':') => self.at += 1,
            Some(_) => return Err(self.unexpected("was expecting a colon to separate field name and value")),
            None => return Err(self.between("Object")),
        }
        match self.after_blanks() {
            Some(_) => Ok((key, span)),
            None => Err(self.between("Object")),
        }
    }

    fn after_blanks(&mut self) -> Option<u8> {
        self.blanks();
        self.peek()
    }

    fn deeper(&self, depth: usize) -> Result<(), JsonError> {
        if depth <= self.options.depth_max {
            return Ok(());
        }
        let max = self.options.depth_max;
        Err(self.error(
            JsonErrorKind::Depth,
            format!("Document nesting depth ({depth}) exceeds the maximum allowed ({max})"),
        ))
    }

    fn literal(&mut self) -> Result<Option<bool>, JsonError> {
        let start = self.at;
        let rest = &self.text[start..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
        let literal = match &rest[..end] {
            "null" => None,
            "true" => Some(true),
            "false" => Some(false),
            token => {
                let shown: String = token.chars().take(256).collect();
                let message = format!("Unrecognized token '{shown}': was expecting {EXPECTED}");
                self.at += end;
                return Err(self.error(JsonErrorKind::Syntax, message));
            }
        };
        self.at += end;
        Ok(literal)
    }

    fn number(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => {
                self.at += 1;
                if matches!(self.peek(), Some(b'0'..=b'9')) {
                    return Err(self.error(
                        JsonErrorKind::Syntax,
                        "Invalid numeric value: Leading zeroes not allowed".into(),
                    ));
                }
            }
            Some(b'1'..=b'9') => self.digits(),
            _ => {
                return Err(
                    self.number_error("expected digit (0-9) to follow minus sign, for valid numeric value")
                );
            }
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if !matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(self.number_error("Decimal point not followed by a digit"));
            }
            self.digits();
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if !matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(self.number_error("Exponent indicator not followed by a digit"));
            }
            self.digits();
        }
        if matches!(self.peek(), Some(b) if b.is_ascii_alphabetic() || b == b'_' || b == b'.') {
            return Err(self.unexpected("Expected space separating root-level values"));
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }

    fn number_error(&self, what: &str) -> JsonError {
        self.unexpected_in("in numeric value", what)
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let text = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Cow::Borrowed(text));
                }
                Some(b'\\') => return self.escaped(start),
                Some(0..=0x1f) => return Err(self.control()),
                Some(_) => self.at += 1,
                None => {
                    return Err(
                        self.ended("Unexpected end-of-input: was expecting closing quote for a string value")
                    );
                }
            }
        }
    }

    fn escaped(&mut self, start: usize) -> Result<Cow<'a, str>, JsonError> {
        let mut out = String::from(&self.text[start..self.at]);
        let mut clean = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    out.push_str(&self.text[clean..self.at]);
                    self.at += 1;
                    return Ok(Cow::Owned(out));
                }
                Some(b'\\') => {
                    out.push_str(&self.text[clean..self.at]);
                    self.at += 1;
                    out.push(self.escape()?);
                    clean = self.at;
                }
                Some(0..=0x1f) => return Err(self.control()),
                Some(_) => self.at += 1,
                None => {
                    return Err(
                        self.ended("Unexpected end-of-input: was expecting closing quote for a string value")
                    );
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let Some(byte) = self.peek() else {
            return Err(self.ended("Unexpected end-of-input in character escape sequence"));
        };
        let c = match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode();
            }
            _ => {
                let c = self.here();
                let message = format!("Unrecognized character escape {}", named(c));
                return Err(self.error(JsonErrorKind::Syntax, message));
            }
        };
        self.at += 1;
        Ok(c)
    }

    fn unicode(&mut self) -> Result<char, JsonError> {
        let first = self.hex()?;
        if !(0xD800..0xE000).contains(&first) {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        // A pair of surrogates is one character. A lone one cannot stand in UTF-8 and becomes U+FFFD, where the
        // service would print `?`.
        if first < 0xDC00 && self.bytes[self.at..].starts_with(b"\\u") {
            let before = self.at;
            self.at += 2;
            let second = self.hex()?;
            if (0xDC00..0xE000).contains(&second) {
                let c = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Ok(char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = before;
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self) -> Result<u32, JsonError> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(byte) = self.peek() else {
                return Err(self.ended("Unexpected end-of-input in character escape sequence"));
            };
            let Some(digit) = char::from(byte).to_digit(16) else {
                return Err(self.unexpected("expected a hex-digit for character escape sequence"));
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }

    fn here(&self) -> char {
        self.text.get(self.at..).and_then(|rest| rest.chars().next()).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    fn control(&self) -> JsonError {
        let code = u32::from(self.bytes[self.at]);
        self.error(
            JsonErrorKind::Syntax,
            format!(
                "Illegal unquoted character ((CTRL-CHAR, code {code})): has to be escaped using backslash to be included in string value"
            ),
        )
    }

    fn unexpected(&self, what: &str) -> JsonError {
        self.unexpected_in("", what)
    }

    fn unexpected_in(&self, place: &str, what: &str) -> JsonError {
        if self.at >= self.bytes.len() {
            return self.ended("Unexpected end-of-input");
        }
        let space = if place.is_empty() { "" } else { " " };
        let message = format!("Unexpected character ({}){space}{place}: {what}", named(self.here()));
        self.error(JsonErrorKind::Syntax, message)
    }

    /// The text ends behind an entry of the container that begins at `start`, or before its first.
    fn unclosed(&self, container: &str, start: usize) -> JsonError {
        let (line, column) = self.place(start);
        let source = source_location(self.text, line, column);
        self.ended(&format!(
            "Unexpected end-of-input: expected close marker for {container} (start marker at {source})"
        ))
    }

    /// The text ends where an entry is to come.
    fn between(&self, container: &str) -> JsonError {
        self.ended(&format!("Unexpected end-of-input within/between {container} entries"))
    }

    fn ended(&self, message: &str) -> JsonError {
        self.error(JsonErrorKind::End, message.to_owned())
    }

    fn error(&self, kind: JsonErrorKind, message: String) -> JsonError {
        let (line, column) = self.place(self.at);
        JsonError { kind, message, offset: self.at, line, column }
    }

    /// Line and column of an offset, from 1.
    fn place(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = before[before.rfind('\n').map_or(0, |n| n + 1)..].chars().count() + 1;
        (line, column)
    }
}

/// Characters of a source that Jackson quotes.
const SOURCE_QUOTED_MAX: usize = 500;

/// A place in `text` as Jackson gives it: `[Source: (String)"{}"; line: 1, column: 2]`.
pub fn source_location(text: &str, line: usize, column: usize) -> String {
    let quoted: String = text.chars().take(SOURCE_QUOTED_MAX).collect();
    let rest = text.chars().count().saturating_sub(SOURCE_QUOTED_MAX);
    let truncated = if rest > 0 { format!("[truncated {rest} chars]") } else { String::new() };
    format!("[Source: (String)\"{quoted}\"{truncated}; line: {line}, column: {column}]")
}

/// A character as Jackson shows it: `'x' (code 120)`.
fn named(c: char) -> String {
    let code = u32::from(c);
    if code < 32 { format!("(CTRL-CHAR, code {code})") } else { format!("'{c}' (code {code})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_round_trip() {
        for text in ["null", "[1,-2.5,1e5]", "{\"a\":{\"b\":[true,false,null,\"\"]}}", "\"é\"", "[]", "{}"] {
            assert_eq!(parse(text).unwrap().to_json(), text);
            assert_eq!(check(text), Ok(()));
        }
        assert_eq!(parse(" { \"a\" : [ 1 , 2 ] }\n").unwrap().to_json(), "{\"a\":[1,2]}");
        assert_eq!(parse(r#""\u0041\ud83d\ude00\n\/""#).unwrap(), Value::from("A😀\n/"));
        assert_eq!(parse("{\"a\":1,\"b\":2,\"a\":3}").unwrap().to_json(), "{\"a\":3,\"b\":2}");
    }

    #[test]
    fn mistakes_are_named_and_placed() {
        for (text, line, column, start) in [
            ("not json", 1, 4, "Unrecognized token 'not': was expecting (JSON String"),
            ("", 1, 1, "No content"),
            (
                "{\"a\":1",
                1,
                7,
                "Unexpected end-of-input: expected close marker for Object (start marker at [Source: (String)\"{\"a\":1\"; line: 1, column: 1])",
            ),
            (
                "{\n [",
                2,
                2,
                "Unexpected character ('[' (code 91)): was expecting double-quote to start field name",
            ),
            (
                "[1,\n [",
                2,
                3,
                "Unexpected end-of-input: expected close marker for Array (start marker at [Source: (String)\"[1,\n [\"; line: 2, column: 2])",
            ),
            ("{\"a", 1, 4, "Unexpected end-of-input in field name"),
            ("{\"a\"", 1, 5, "Unexpected end-of-input within/between Object entries"),
            ("{\"a\":", 1, 6, "Unexpected end-of-input within/between Object entries"),
            ("{\"a\":1,", 1, 8, "Unexpected end-of-input within/between Object entries"),
            ("[1,", 1, 4, "Unexpected end-of-input within/between Array entries"),
            ("[1,\n 2 3]", 2, 4, "Unexpected character ('3' (code 51)): was expecting comma"),
            ("{a:1}", 1, 2, "Unexpected character ('a' (code 97)): was expecting double-quote"),
            ("[01]", 1, 3, "Invalid numeric value: Leading zeroes not allowed"),
            (
                "[1.]",
                1,
                4,
                "Unexpected character (']' (code 93)) in numeric value: Decimal point not followed",
            ),
            ("\"a", 1, 3, "Unexpected end-of-input: was expecting closing quote"),
            ("\"\\x\"", 1, 3, "Unrecognized character escape 'x'"),
            ("\"\n\"", 1, 2, "Illegal unquoted character ((CTRL-CHAR, code 10))"),
            ("1 2", 1, 3, "Unexpected character ('2' (code 50))"),
            ("[,]", 1, 2, "Unexpected character (',' (code 44)): expected a valid value"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message.starts_with(start), "{text}: {}", error.message);
            assert_eq!((error.line, error.column), (line, column), "{text}: {}", error.message);
            assert_eq!(check(text), Err(error));
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "[".repeat(10_000);
        assert_eq!(parse(&deep).unwrap_err().kind, JsonErrorKind::Depth);
        let fits = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        assert!(parse(&fits).is_ok());
        let fits = format!("{}1{}", "[{\"a\":".repeat(DEPTH_MAX / 2), "}]".repeat(DEPTH_MAX / 2));
        let value = parse(&fits).unwrap();
        assert_eq!(value.to_json(), fits);
        assert_eq!(value, value.clone());
        assert!(parse(&format!("[{fits}]")).is_err());
    }

    #[test]
    fn duplicate_keys_are_refused_on_request() {
        let options = Options { unique_keys: true, ..Options::default() };
        let error = parse_with("{\"a\":1,\n\"a\":2}", options, &mut Values).unwrap_err();
        assert_eq!((error.kind, error.line, error.column), (JsonErrorKind::DuplicateKey, 2, 1));
    }
}
