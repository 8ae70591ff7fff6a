//! Reads a path as Jayway's `PathCompiler` does, with its texts for what it refuses.

use std::sync::Arc;

use super::ast::{Function, Name, Parameter, Token};
use super::filter_parser;

/// Tokens a path with more than names and indexes may have.
const TOKENS_MAX: usize = 1000;
/// Filters and function parameters that may stand inside one another, parentheses included.
pub(super) const NESTING_MAX: usize = 32;

/// Compiles `path`, which begins with `$` or, in a filter, with `@`.
pub(super) fn parse(path: &str, nesting: usize) -> Result<Box<[Token]>, String> {
    if nesting > NESTING_MAX {
        return Err(format!("Path is nested more than {NESTING_MAX} levels deep"));
    }
    if path.starts_with(' ') {
        return Err("Could not parse token starting at position 2".to_owned());
    }
    let path = path.trim_end_matches(' ');
    if !path.starts_with(['$', '@']) {
        return Err("Path must start with '$'".to_owned());
    }
    if path.ends_with('.') {
        return Err("Path must not end with a '.' or '..'".to_owned());
    }
    if !matches!(path.as_bytes().get(1), None | Some(b'.' | b'[')) {
        return Err("Illegal character at position 1 expected '.' or '['".to_owned());
    }
    let mut parser = Parser { path, at: 1, nesting, plain: true, tokens: Vec::new() };
    while parser.at < path.len() {
        parser.step()?;
        if !parser.plain && parser.tokens.len() > TOKENS_MAX {
            return Err(format!("Path has more than {TOKENS_MAX} steps"));
        }
    }
    Ok(parser.tokens.into())
}

struct Parser<'a> {
    path: &'a str,
    at: usize,
    nesting: usize,
    /// Whether all tokens so far are single names and indexes.
    plain: bool,
    tokens: Vec<Token>,
}

impl<'a> Parser<'a> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.path.as_bytes().get(at).copied()
    }

    /// The first place from `at` on that is no blank, and what stands there.
    fn significant(&self, at: usize) -> (usize, Option<u8>) {
        let skipped =
            self.path.as_bytes()[at.min(self.path.len())..].iter().take_while(|b| **b == b' ').count();
        (at + skipped, self.byte(at + skipped))
    }

    fn unreadable(&self) -> String {
        format!("Could not parse token starting at position {}. Expected ?, ', 0-9, * ", self.at)
    }

    fn push(&mut self, token: Token) {
        self.plain &= match &token {
            Token::Property(names) => names.len() == 1,
            Token::Index(indexes) => indexes.len() == 1,
            _ => false,
        };
        match self.tokens.last_mut() {
            Some(Token::Scan(next)) if is_open(next) => **next = token,
            _ => self.tokens.push(token),
        }
    }

    fn step(&mut self) -> Result<(), String> {
        match self.byte(self.at) {
            Some(b'[') => self.bracket(),
            Some(b'.') => self.dot(),
            Some(b'*') => {
                self.at += 1;
                self.push(Token::Wildcard);
                Ok(())
            }
            _ => self.property_or_function(),
        }
    }

    fn dot(&mut self) -> Result<(), String> {
        if self.byte(self.at + 1) == Some(b'.') {
            self.at += 2;
            self.push(Token::Scan(Box::new(OPEN)));
            self.plain = false;
        } else {
            self.at += 1;
        }
        match self.byte(self.at) {
            Some(b'.') => Err(format!("Character '.' on position {} is not valid.", self.at)),
            Some(b' ') => Err(format!("Could not parse token starting at position {}", self.at)),
            _ => self.step(),
        }
    }

    fn property_or_function(&mut self) -> Result<(), String> {
        let rest = &self.path[self.at..];
        let end = rest.find([' ', '.', '[', '(']).unwrap_or(rest.len());
        match rest.as_bytes().get(end) {
            Some(b' ') => Err(format!(
                "Use bracket notion ['my prop'] if your property contains blank characters. position: {}",
                self.at
            )),
            Some(b'(') => self.function(&rest[..end]),
            _ => {
                self.push(Token::Property(Box::new([Name { text: rest[..end].into(), raw: None }])));
                self.at += end;
                Ok(())
            }
        }
    }

    fn bracket(&mut self) -> Result<(), String> {
        let (first, byte) = self.significant(self.at + 1);
        match byte {
            Some(quote @ (b'\'' | b'"')) => self.names(quote),
            Some(b'0'..=b'9' | b'-' | b':') => self.indexes(),
            Some(b'*') => match self.significant(first + 1) {
                (end, Some(b']')) => {
                    self.push(Token::Wildcard);
                    self.at = end + 1;
                    Ok(())
                }
                _ => Err(format!("Expected wildcard token to end with ']' on position {}", first + 1)),
            },
            Some(b'?') => self.filter(first),
            _ => Err(self.unreadable()),
        }
    }

    fn names(&mut self, quote: u8) -> Result<(), String> {
        let mut names = Vec::new();
        let mut at = self.at + 1;
        loop {
            let (start, byte) = self.significant(at);
            if byte != Some(quote) {
                return Err(match byte {
                    Some(b',') => format!("Found empty property at index {start}"),
                    _ => self.unreadable(),
                });
            }
            let end = closing_quote(self.path.as_bytes(), start + 1, quote)
                .ok_or_else(|| format!("Property has not been closed - missing closing {}", quote as char))?;
            names.push(name(&self.path[start + 1..end]));
            match self.significant(end + 1) {
                (at, Some(b']')) => {
                    self.at = at + 1;
                    self.push(Token::Property(names.into()));
                    return Ok(());
                }
                (comma, Some(b',')) => at = comma + 1,
                _ => {
                    return Err(format!(
                        "Property must be separated by comma or Property must be terminated close square bracket \
                         at index {end}"
                    ));
                }
            }
        }
    }

    fn indexes(&mut self) -> Result<(), String> {
        let rest = &self.path[self.at + 1..];
        let Some(end) = rest.find(']') else { return Err(self.unreadable()) };
        let text = rest[..end].trim_matches(' ');
        if !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b',' | b'-' | b':' | b' ')) {
            return Err(self.unreadable());
        }
        let token = if text.contains(':') { slice(text) } else { index_list(text) }?;
        self.push(token);
        self.at += end + 2;
        Ok(())
    }

    fn filter(&mut self, question: usize) -> Result<(), String> {
        let (open, byte) = self.significant(question + 1);
        if byte != Some(b'(') {
            return Err(match byte {
                Some(b']' | b',') => {
                    format!("Not enough predicates supplied for filter [?] at position {}", self.at)
                }
                _ => self.unreadable(),
            });
        }
        let (filter, end) = filter_parser::parse(self.path, open, self.nesting + 1)?;
        let (close, byte) = self.significant(end);
        if byte != Some(b']') {
            return Err(self.unreadable());
        }
        self.push(Token::Filter(Arc::new(filter)));
        self.at = close + 1;
        Ok(())
    }

    fn function(&mut self, name: &str) -> Result<(), String> {
        let open = self.at + name.len();
        let end = closing_parenthesis(self.path.as_bytes(), open)
            .ok_or_else(|| format!("Arguments to function: '{name}' are not closed properly."))?;
        let parameters = split_parameters(&self.path[open + 1..end])
            .map(|text| parameter(text, self.nesting + 1))
            .collect::<Result<_, _>>()?;
        if end + 1 < self.path.len() {
            return Err(format!("Function '{name}' must be the last step of the path"));
        }
        self.push(Token::Function(Arc::new(Function { name: name.into(), parameters })));
        self.at = end + 1;
        Ok(())
    }
}

/// Stands behind `..` until the token there has been read.
const OPEN: Token = Token::Slice { from: None, to: None };

fn is_open(token: &Token) -> bool {
    matches!(token, Token::Slice { from: None, to: None })
}

fn closing_quote(bytes: &[u8], from: usize, quote: u8) -> Option<usize> {
    let mut at = from;
    loop {
        match bytes.get(at)? {
            b'\\' => at += 2,
            byte if *byte == quote => return Some(at),
            _ => at += 1,
        }
    }
}

fn name(raw: &str) -> Name {
    if !raw.contains('\\') {
        return Name { text: raw.into(), raw: None };
    }
    Name { text: unescape(raw).into(), raw: Some(raw.into()) }
}

/// Resolves backslash escapes as Jayway does: those of JSON, and any other character stands for itself.
pub(super) fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            text.push(char);
            continue;
        }
        match chars.next() {
            Some('r') => text.push('\r'),
            Some('f') => text.push('\u{c}'),
            Some('t') => text.push('\t'),
            Some('n') => text.push('\n'),
            Some('b') => text.push('\u{8}'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let unit = u32::from_str_radix(&digits, 16).unwrap_or(0xFFFD);
                text.push(char::from_u32(unit).unwrap_or('\u{FFFD}'));
            }
            Some(other) => text.push(other),
            None => text.push('\\'),
        }
    }
    text
}

fn index_list(text: &str) -> Result<Token, String> {
    let indexes: Option<Box<[i32]>> =
        text.split(',').map(|index| index.trim_matches(' ').parse().ok()).collect();
    indexes.map(Token::Index).ok_or_else(|| format!("Failed to parse token in ArrayIndexOperation: {text}"))
}

fn slice(text: &str) -> Result<Token, String> {
    let mut sides = text.split(':').map(|side| match side {
        "" => Ok(None),
        side => side.parse().map(Some).map_err(|_| ()),
    });
    match (sides.next(), sides.next()) {
        (Some(Ok(from)), Some(Ok(to))) if from.is_some() || to.is_some() => Ok(Token::Slice { from, to }),
        _ => Err(format!("Failed to parse SliceOperation: {text}")),
    }
}

/// The parenthesis that closes the one at `open`; those in quotes do not count.
fn closing_parenthesis(bytes: &[u8], open: usize) -> Option<usize> {
    let (mut at, mut depth) = (open, 0_usize);
    loop {
        match bytes.get(at)? {
            quote @ (b'\'' | b'"') => at = closing_quote(bytes, at + 1, *quote)?,
            b'(' => depth += 1,
            b')' if depth == 1 => return Some(at),
            b')' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
}

/// The parts of a function's parameter list, divided at commas outside quotes and brackets.
fn split_parameters(text: &str) -> impl Iterator<Item = &str> {
    let bytes = text.as_bytes();
    let (mut parts, mut start, mut at, mut depth) = (Vec::new(), 0, 0, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'\'' | b'"') => at = closing_quote(bytes, at + 1, quote).unwrap_or(bytes.len()),
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    if !text.trim().is_empty() {
        parts.push(&text[start..]);
    }
    parts.into_iter()
}

fn parameter(text: &str, nesting: usize) -> Result<Parameter, String> {
    let text = text.trim();
    if text.starts_with(['$', '@']) {
        return Ok(Parameter::Path(parse(text, nesting)?));
    }
    if let Some(text) = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
        return Ok(Parameter::Constant(unescape(text).into()));
    }
    crate::json::parse(text).map(Parameter::Constant).map_err(|error| error.message)
}
