//! Reads a call of an intrinsic function (ASL: Intrinsic Functions).

use super::format::Template;
use super::{Argument, Call, Function, NESTING_MAX};
use crate::{PathExpression, Value};

/// Compiles `text`, which is one call and nothing else.
pub(super) fn parse(text: &str) -> Result<Call, String> {
    let mut parser = Parser { text, at: 0 };
    let call = parser.call(1)?;
    parser.blanks();
    if parser.at < text.len() { Err(parser.unexpected()) } else { Ok(call) }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn take(&mut self, sign: u8) -> bool {
        self.blanks();
        let found = self.peek() == Some(sign);
        self.at += usize::from(found);
        found
    }

    fn unexpected(&self) -> String {
        match self.text[self.at..].chars().next() {
            Some(char) => {
                format!("Unexpected character '{char}' at position {} of an intrinsic function", self.at)
            }
            None => "The intrinsic function ends too early".to_owned(),
        }
    }

    fn call(&mut self, depth: usize) -> Result<Call, String> {
        if depth > NESTING_MAX {
            return Err(format!("Intrinsic functions are nested more than {NESTING_MAX} levels deep"));
        }
        let start = self.at;
        let length =
            self.text[start..].bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'.').count();
        let name = &self.text[start..start + length];
        let function = Function::named(name).ok_or_else(|| format!("'{name}' is no intrinsic function"))?;
        self.at += length;
        if !self.take(b'(') {
            return Err(self.unexpected());
        }
        let mut arguments = Vec::new();
        if !self.take(b')') {
            loop {
                self.blanks();
                arguments.push(self.argument(depth)?);
                if self.take(b')') {
                    break;
                }
                if !self.take(b',') {
                    return Err(self.unexpected());
                }
            }
        }
        Ok(Call { function, text: self.text[start..self.at].into(), arguments: arguments.into() })
    }

    fn argument(&mut self, depth: usize) -> Result<Argument, String> {
        match self.peek() {
            Some(b'\'') => self.string(),
            Some(b'$') => self.path(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'S') => self.call(depth + 1).map(Argument::Call),
            _ => self.word(),
        }
    }

    fn string(&mut self) -> Result<Argument, String> {
        let start = self.at + 1;
        let mut end = start;
        loop {
            match self.text.as_bytes().get(end) {
                None => return Err("A string is not closed in an intrinsic function".to_owned()),
                Some(b'\\') => end += 2,
                Some(b'\'') => break,
                Some(_) => end += 1,
            }
        }
        let raw = &self.text[start..end];
        self.at = end + 1;
        let text = unescape(raw)?;
        Ok(Argument::Literal(text.into(), Some(Template::parse(raw))))
    }

    /// A path ends at a comma, blank or parenthesis outside brackets and its own parentheses.
    fn path(&mut self) -> Result<Argument, String> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let (mut at, mut depth, mut quoted) = (start, 0_usize, None);
        while let Some(byte) = bytes.get(at) {
            match (quoted, byte) {
                (Some(_), b'\\') => at += 1,
                (Some(quote), byte) if quote == *byte => quoted = None,
                (Some(_), _) => {}
                (None, b'\'' | b'"') if depth > 0 => quoted = Some(*byte),
                (None, b'[' | b'(') => depth += 1,
                (None, b',' | b')' | b' ' | b'\t' | b'\n' | b'\r') if depth == 0 => break,
                (None, b']' | b')') => depth = depth.saturating_sub(1),
                _ => {}
            }
            at += 1;
        }
        let text = self.text.get(start..at).ok_or("A path is not closed in an intrinsic function")?;
        self.at = at;
        PathExpression::compile_path(text).map(Argument::Path).map_err(|_| format!("'{text}' is no path"))
    }

    fn number(&mut self) -> Result<Argument, String> {
        let length = self.text[self.at..]
            .bytes()
            .take_while(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E'))
            .count();
        let value =
            crate::json::parse(&self.text[self.at..self.at + length]).map_err(|_| self.unexpected())?;
        self.at += length;
        Ok(Argument::Literal(value, None))
    }

    fn word(&mut self) -> Result<Argument, String> {
        for (word, value) in
            [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)]
        {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(Argument::Literal(value, None));
            }
        }
        Err(self.unexpected())
    }
}

/// Resolves `\'`, `\{`, `\}` and `\\`, the only escapes there are.
fn unescape(raw: &str) -> Result<String, String> {
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some(escaped @ ('\'' | '{' | '}' | '\\')) => text.push(escaped),
                _ => return Err("A backslash escapes nothing in an intrinsic function's string".to_owned()),
            },
            other => text.push(other),
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::Intrinsic;
    use super::super::tests::check;

    #[test]
    fn strings_know_four_escapes() {
        check(r"States.Array('\' \{ \} \\ {} é')", "{}", r#"["' { } \\ {} é"]"#);
        assert!(Intrinsic::compile(r"States.Array('\n')").is_err());
    }

    #[test]
    fn a_call_must_be_whole() {
        for text in [
            "",
            "States.",
            "States.Nope()",
            "States.Array",
            "States.Array(",
            "States.Array(1",
            "States.Array(1,",
            "States.Array(1,)",
            "States.Array(,1)",
            "States.Array(1) ,",
            "States.Array(1)[0]",
            "States.Array('a",
            "States.Array('a\\",
            "States.Array(\"a\")",
            "States.Array(a)",
            "States.Array($.)",
            "States.Array($.a['b)",
            "States.Array($.a[\\",
            "States.Array(1 2)",
            "States.Array(01)",
            "States.Array(é)",
            "states.array()",
        ] {
            assert!(Intrinsic::compile(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ten_calls_may_nest() {
        let nested = |depth: usize| format!("{}{}", "States.Array(".repeat(depth), ")".repeat(depth));
        assert!(Intrinsic::compile(&nested(10)).is_ok());
        assert!(Intrinsic::compile(&nested(11)).is_err());
        assert!(Intrinsic::compile(&nested(100_000)).is_err());
    }
}
