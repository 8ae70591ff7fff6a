//! Reads the condition of a filter as Jayway's `FilterCompiler` does.

use super::ast::{Filter, Operand, Operator};
use super::parser::{NESTING_MAX, parse as parse_path, unescape};
use crate::Value;

/// Reads the condition in parentheses that opens at `open` of `path`. Gives it and the place behind its end.
pub(super) fn parse(path: &str, open: usize, nesting: usize) -> Result<(Filter, usize), String> {
    let mut parser = Parser { text: path, at: open, nesting };
    let filter = parser.group()?;
    Ok((filter, parser.at))
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    nesting: usize,
}

impl Parser<'_> {
    fn peek(&mut self) -> Option<u8> {
        while self.text.as_bytes().get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, sign: &str) -> bool {
        self.peek();
        let found = self.text[self.at..].starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    fn unexpected(&self) -> String {
        match self.text[self.at..].chars().next() {
            Some(char) => format!("Failed to parse filter, error on position: {}, char: {char}", self.at),
            None => "Failed to parse filter, it ends too early".to_owned(),
        }
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.nesting += 1;
        match self.nesting > NESTING_MAX {
            true => Err(format!("Path is nested more than {NESTING_MAX} levels deep")),
            false => Ok(()),
        }
    }

    fn group(&mut self) -> Result<Filter, String> {
        if !self.take("(") {
            return Err(self.unexpected());
        }
        self.deeper()?;
        let filter = self.any()?;
        if !self.take(")") {
            return Err("Expected character: )".to_owned());
        }
        self.nesting -= 1;
        Ok(filter)
    }

    fn any(&mut self) -> Result<Filter, String> {
        let mut parts = vec![self.all()?];
        while self.take("||") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Filter::Or(parts) })
    }

    fn all(&mut self) -> Result<Filter, String> {
        let mut parts = vec![self.operand()?];
        while self.take("&&") {
            parts.push(self.operand()?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Filter::And(parts) })
    }

    fn operand(&mut self) -> Result<Filter, String> {
        let start = self.at;
        if self.take("!") {
            if !matches!(self.peek(), Some(b'$' | b'@')) {
                self.deeper()?;
                let inner = self.operand()?;
                self.nesting -= 1;
                return Ok(Filter::Not(Box::new(inner)));
            }
            self.at = start;
        }
        match self.peek() {
            Some(b'(') => self.group(),
            _ => self.expression(),
        }
    }

    fn expression(&mut self) -> Result<Filter, String> {
        let negated = self.take("!");
        let left = self.value()?;
        let behind = self.at;
        if let Some(operator) = self.operator() {
            // `@.a || …`: what looks like an operator's right side may be the next condition.
            let right = self.value()?;
            return Ok(Filter::Compare(left, operator, right));
        }
        self.at = behind;
        match left {
            Operand::Path { .. } => Ok(Filter::Exists { operand: left, expected: !negated }),
            _ => Err("Expected path node".to_owned()),
        }
    }

    fn operator(&mut self) -> Option<Operator> {
        let start = self.peek().map(|_| self.at)?;
        let rest = &self.text[start..];
        let length = if is_sign(rest.as_bytes()[0]) {
            rest.bytes().take_while(|b| is_sign(*b)).count()
        } else {
            rest.bytes().take(OPERATOR_MAX + 1).take_while(|b| *b != b' ').count()
        };
        let operator = rest.get(..length).and_then(operator_named)?;
        self.at = start + length;
        Some(operator)
    }

    fn value(&mut self) -> Result<Operand, String> {
        match self.peek() {
            Some(b'$' | b'@') => self.path(),
            Some(quote @ (b'\'' | b'"')) => self.string(quote).map(|text| Operand::Constant(text.into())),
            Some(b'/') => self.pattern(),
            Some(b'{') => self.json(b'{', b'}'),
            Some(b'[') => self.json(b'[', b']'),
            Some(b't' | b'f' | b'n') => self.word(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.unexpected()),
        }
    }

    /// A path ends at a blank, at a comparison's sign, and at a parenthesis that is no function's.
    fn path(&mut self) -> Result<Operand, String> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut end = start + 1;
        while let Some(byte) = bytes.get(end) {
            match byte {
                b'[' => {
                    end =
                        closing(bytes, end, b'[', b']').ok_or("Square brackets does not match in filter")? + 1
                }
                b')' if self.text[start..end].ends_with('(') && self.text[start..end].contains('.') => {
                    end += 1
                }
                b')' | b' ' => break,
                byte if is_sign(*byte) => break,
                _ => end += 1,
            }
        }
        self.at = end;
        let tokens = parse_path(&self.text[start..end], self.nesting + 1)?;
        Ok(Operand::Path { root: bytes[start] == b'$', tokens })
    }

    fn string(&mut self, quote: u8) -> Result<String, String> {
        let start = self.at + 1;
        let mut end = start;
        loop {
            match self.text.as_bytes().get(end) {
                None => {
                    return Err(format!("String literal does not have matching quotes: {}", quote as char));
                }
                Some(b'\\') => end += 2,
                Some(byte) if *byte == quote => break,
                Some(_) => end += 1,
            }
        }
        self.at = end + 1;
        Ok(unescape(&self.text[start..end]))
    }

    fn pattern(&mut self) -> Result<Operand, String> {
        let start = self.at + 1;
        let mut end = start;
        loop {
            match self.text.as_bytes().get(end) {
                None => return Err("Pattern not closed".to_owned()),
                Some(b'\\') => end += 2,
                Some(b'/') => break,
                Some(_) => end += 1,
            }
        }
        let flags = self.text[end + 1..].bytes().take_while(u8::is_ascii_alphabetic).count();
        self.at = end + 1 + flags;
        let flags: String = self.text[end + 1..self.at]
            .chars()
            .filter(|flag| matches!(flag, 'i' | 'm' | 's' | 'x'))
            .collect();
        let flags = if flags.is_empty() { flags } else { format!("(?{flags})") };
        regex_lite::Regex::new(&format!("{flags}\\A(?:{})\\z", &self.text[start..end]))
            .map(|regex| Operand::Pattern(Box::new(regex)))
            .map_err(|error| format!("Failed to parse filter, the pattern is not supported: {error}"))
    }

    fn json(&mut self, open: u8, close: u8) -> Result<Operand, String> {
        let end = closing(self.text.as_bytes(), self.at, open, close)
            .ok_or_else(|| format!("String not closed. Expected {} in filter", close as char))?;
        let text = &self.text[self.at..=end];
        self.at = end + 1;
        // Jayway's lenient reader takes single quotes too.
        crate::json::parse(text)
            .or_else(|error| crate::json::parse(&double_quoted(text)).map_err(|_| error))
            .map(Operand::Constant)
            .map_err(|error| error.message)
    }

    fn word(&mut self) -> Result<Operand, String> {
        let words = [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)];
        for (word, value) in words {
            if self.take(word) {
                return Ok(Operand::Constant(value));
            }
        }
        Err(self.unexpected())
    }

    fn number(&mut self) -> Result<Operand, String> {
        let length = self.text[self.at..]
            .bytes()
            .take_while(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E'))
            .count();
        let text = &self.text[self.at..self.at + length];
        let value = crate::json::parse(text).map_err(|_| self.unexpected())?;
        self.at += length;
        Ok(Operand::Constant(value))
    }
}

/// Letters of the longest operator, `contains`.
const OPERATOR_MAX: usize = 8;

fn is_sign(byte: u8) -> bool {
    matches!(byte, b'<' | b'>' | b'=' | b'~' | b'!')
}

fn operator_named(text: &str) -> Option<Operator> {
    Some(match text.to_ascii_uppercase().as_str() {
        "==" => Operator::Equal,
        "===" => Operator::SameEqual,
        "!=" => Operator::NotEqual,
        "!==" => Operator::SameNotEqual,
        "<" => Operator::Less,
        "<=" => Operator::LessOrEqual,
        ">" => Operator::Greater,
        ">=" => Operator::GreaterOrEqual,
        "=~" => Operator::Matches,
        "IN" => Operator::In,
        "NIN" => Operator::NotIn,
        "CONTAINS" => Operator::Contains,
        "ALL" => Operator::All,
        "SIZE" => Operator::Size,
        "EMPTY" => Operator::Empty,
        "SUBSETOF" => Operator::SubsetOf,
        "ANYOF" => Operator::AnyOf,
        "NONEOF" => Operator::NoneOf,
        "TYPE" | "MATCHES" | "EXISTS" => Operator::Never,
        _ => return None,
    })
}

/// The bracket that closes the one at `open`; those in quotes do not count.
fn closing(bytes: &[u8], open: usize, sign: u8, close: u8) -> Option<usize> {
    let (mut at, mut depth, mut quoted) = (open, 0_usize, None);
    loop {
        let byte = *bytes.get(at)?;
        match quoted {
            Some(_) if byte == b'\\' => at += 1,
            Some(quote) if byte == quote => quoted = None,
            Some(_) => {}
            None if matches!(byte, b'\'' | b'"') => quoted = Some(byte),
            None if byte == sign => depth += 1,
            None if byte == close && depth == 1 => return Some(at),
            None if byte == close => depth -= 1,
            None => {}
        }
        at += 1;
    }
}

fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quoted = None;
    for char in text.chars() {
        match (quoted, char) {
            (None, '\'' | '"') => quoted = Some(char),
            (Some(quote), _) if quote == char => quoted = None,
            (Some('\''), '"') => out.push('\\'),
            _ => {}
        }
        out.push(if char == '\'' && quoted != Some('"') { '"' } else { char });
    }
    out
}
