//! Reads YAML into the same tree as JSON.
//!
//! The tree is built from the parser's events with a stack of our own, so depth is bounded here; and what aliases
//! expand to is counted, so a few lines cannot become gigabytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use stepwell_expr::Number;

use super::source::{Content, DEPTH_MAX, DuplicateKey, Member, Node, ObjectBuilder, Tree};

/// Nodes that anchors and aliases may copy.
const COPIED_NODES_MAX: usize = 200_000;

/// Why a text is no definition in YAML.
#[derive(Debug)]
pub(crate) struct YamlError {
    pub(crate) message: String,
    pub(crate) span: Range<usize>,
}

/// Reads one YAML document; an empty one is `None`.
///
/// # Errors
/// [`YamlError`] for what is no YAML, or has no JSON counterpart.
pub(crate) fn read_yaml(text: &str) -> Result<(Option<Node>, Vec<DuplicateKey>), YamlError> {
    let mut reader = Reader { offsets: Offsets::of(text), ..Reader::default() };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| reader.scan_error(&error))?;
        reader.event(event, span)?;
    }
    Ok((reader.document, reader.tree.duplicates))
}

#[derive(Default)]
struct Reader {
    offsets: Offsets,
    tree: Tree,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    copied: usize,
    document: Option<Node>,
}

/// A collection that is not complete yet.
struct Open {
    start: usize,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    Sequence(Vec<Node>),
    Mapping { object: ObjectBuilder, key: Option<(Arc<str>, Range<usize>)>, merged: Vec<Node> },
}

impl Reader {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let span = self.offsets.range(span);
        match event {
            Event::DocumentStart(_) if self.document.is_some() => {
                Err(mistake("more than one document", span))
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !is_string_tag(tag.as_deref(), &span)?;
                let content = self.scalar(text, plain, &span)?;
                self.value(Node { span, content }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                no_local_tag(tag.as_deref(), &span)?;
                self.start(span, anchor, OpenKind::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                no_local_tag(tag.as_deref(), &span)?;
                let kind =
                    OpenKind::Mapping { object: ObjectBuilder::default(), key: None, merged: Vec::new() };
                self.start(span, anchor, kind)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(id) => self.alias(id, span),
            _ => Ok(()),
        }
    }

    fn start(&mut self, span: Range<usize>, anchor: usize, kind: OpenKind) -> Result<(), YamlError> {
        if self.open.len() >= DEPTH_MAX {
            return Err(mistake("nested too deeply", span));
        }
        self.open.push(Open { start: span.start, anchor, kind });
        Ok(())
    }

    fn end(&mut self, span: Range<usize>) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let mut node = match open.kind {
            OpenKind::Sequence(items) => Node { span: open.start..span.end, content: Content::Array(items) },
            OpenKind::Mapping { object, merged, .. } => merge(object, merged).finish(open.start..span.end),
        };
        // A block collection ends where the next token begins; what it holds ends earlier.
        if span.is_empty() {
            node.span.end = node.children().last().map_or(span.end, |last| last.span.end).max(open.start);
        }
        self.value(node, open.anchor)
    }

    fn alias(&mut self, id: usize, span: Range<usize>) -> Result<(), YamlError> {
        let Some(node) = self.anchors.get(&id) else {
            return Err(mistake("an alias of a value that is not complete", span));
        };
        if self.open.len() + node.depth() > DEPTH_MAX {
            return Err(mistake("nested too deeply", span));
        }
        let node = node.clone();
        self.afford(&node)?;
        self.value(node, 0)
    }

    /// Counts the nodes of one more copy of `node`.
    fn afford(&mut self, node: &Node) -> Result<(), YamlError> {
        self.copied += node.count(COPIED_NODES_MAX);
        if self.copied > COPIED_NODES_MAX {
            let message = format!("anchors and aliases stand for more than {COPIED_NODES_MAX} values");
            return Err(mistake(message, node.span.clone()));
        }
        Ok(())
    }

    /// Puts a complete value where it belongs.
    fn value(&mut self, node: Node, anchor: usize) -> Result<(), YamlError> {
        if anchor != 0 {
            self.afford(&node)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.document = Some(node),
            Some(OpenKind::Sequence(items)) => items.push(node),
            Some(OpenKind::Mapping { object, key, merged }) => match key.take() {
                None => *key = Some(key_of(&node)?),
                Some((name, _)) if &*name == "<<" && is_mergeable(&node) => merged.push(node),
                Some((name, span)) => {
                    self.tree.add(object, name, span, node);
                }
            },
        }
        Ok(())
    }

    fn scalar(&self, text: Cow<'_, str>, plain: bool, span: &Range<usize>) -> Result<Content, YamlError> {
        let is_key = matches!(self.open.last(), Some(Open { kind: OpenKind::Mapping { key: None, .. }, .. }));
        if !plain || is_key {
            return Ok(Content::String(text.into()));
        }
        Ok(match &*text {
            "" | "~" | "null" | "Null" | "NULL" => Content::Null,
            "true" | "True" | "TRUE" => Content::Bool(true),
            "false" | "False" | "FALSE" => Content::Bool(false),
            text if is_not_finite(text) => {
                return Err(mistake(format!("JSON has no number '{text}'"), span.clone()));
            }
            text => number(text).map_or_else(|| Content::String(text.into()), Content::Number),
        })
    }

    fn scan_error(&self, error: &ScanError) -> YamlError {
        let at = self.offsets.byte(error.marker().index());
        YamlError { message: error.info().to_owned(), span: at..at }
    }
}

fn mistake(message: impl Into<String>, span: Range<usize>) -> YamlError {
    YamlError { message: message.into(), span }
}

fn key_of(node: &Node) -> Result<(Arc<str>, Range<usize>), YamlError> {
    match node.as_str() {
        Some(text) => Ok((text.clone(), node.span.clone())),
        None => Err(mistake("a key must be a string", node.span.clone())),
    }
}

fn is_mergeable(node: &Node) -> bool {
    match &node.content {
        Content::Object(_) => true,
        Content::Array(items) => items.iter().all(|item| item.as_object().is_some()),
        _ => false,
    }
}

/// Adds what `<<` brings: members that the mapping does not have itself, of the first that has them.
fn merge(mut object: ObjectBuilder, merged: Vec<Node>) -> ObjectBuilder {
    let mut add = |members: Vec<Member>| {
        for member in members {
            object.insert_new(member);
        }
    };
    for node in merged {
        match node.content {
            Content::Object(members) => add(members),
            Content::Array(items) => {
                for item in items {
                    if let Content::Object(members) = item.content {
                        add(members);
                    }
                }
            }
            _ => {}
        }
    }
    object
}

fn is_string_tag(tag: Option<&Tag>, span: &Range<usize>) -> Result<bool, YamlError> {
    no_local_tag(tag, span)?;
    Ok(tag.is_some_and(|tag| tag.suffix == "str"))
}

fn no_local_tag(tag: Option<&Tag>, span: &Range<usize>) -> Result<(), YamlError> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema() => {
            Err(mistake(format!("the tag '{tag}' has no meaning in a definition"), span.clone()))
        }
        _ => Ok(()),
    }
}

fn is_not_finite(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

/// The number that a plain scalar spells in YAML's core schema.
fn number(text: &str) -> Option<Number> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix).filter(|digits| !digits.starts_with(['+', '-'])) {
            return i64::from_str_radix(digits, radix).ok().map(Number::from);
        }
    }
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let signed = |part: &str| {
        let part = part.strip_prefix(['+', '-']).unwrap_or(part);
        !part.is_empty() && digits(part)
    };
    let some = !whole.is_empty() || fraction.is_some_and(|f| !f.is_empty());
    if !some || !digits(whole) || !fraction.is_none_or(digits) || !exponent.is_none_or(signed) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = fraction.filter(|f| !f.is_empty()).map(|f| format!(".{f}")).unwrap_or_default();
    let exponent = exponent.map(|e| format!("e{e}")).unwrap_or_default();
    Some(Number::from_json(&format!("{sign}{whole}{fraction}{exponent}")))
}

/// Turns the parser's positions, which count characters, into bytes.
#[derive(Default)]
struct Offsets {
    length: usize,
    /// The byte at which each character begins; empty where every character is one byte.
    bytes: Vec<usize>,
}

impl Offsets {
    fn of(text: &str) -> Self {
        let bytes =
            if text.is_ascii() { Vec::new() } else { text.char_indices().map(|(at, _)| at).collect() };
        Offsets { length: text.len(), bytes }
    }

    fn byte(&self, character: usize) -> usize {
        if self.bytes.is_empty() {
            return character.min(self.length);
        }
        self.bytes.get(character).copied().unwrap_or(self.length)
    }

    fn range(&self, span: Span) -> Range<usize> {
        let start = self.byte(span.start.index());
        start..self.byte(span.end.index()).max(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str, expected: &str) {
        let found = match read_yaml(yaml) {
            Ok((node, _)) => node.map_or_else(|| "nothing".to_owned(), |node| node.value().to_json()),
            Err(error) => format!("{} at {}", error.message, error.span.start),
        };
        assert_eq!(found, expected, "{yaml}");
    }

    #[test]
    fn reads_what_json_can_say() {
        check("a: 1\nb: [x, 'y', \"z\"]\n", r#"{"a":1,"b":["x","y","z"]}"#);
        check("{\"a\": {\"b\": null}}", r#"{"a":{"b":null}}"#);
        check("a: ~\nb:\nc: yes\nd: true\n", r#"{"a":null,"b":null,"c":"yes","d":true}"#);
        check(
            "- 1\n- 0x1F\n- 0o17\n- 1.50\n- .5\n- 007\n- +3\n- 1e3\n- 1.2.3\n- -\n",
            "[1,31,15,1.50,0.5,7,3,1e3,\"1.2.3\",[null]]",
        );
        check("a: !!str 12\nb: \"12\"\n1: x\ntrue: y\n", r#"{"a":"12","b":"12","1":"x","true":"y"}"#);
        check("a: |\n  one\n  two\n", r#"{"a":"one\ntwo\n"}"#);
        check("", "nothing");
        check("# only a comment\n", "nothing");
    }

    #[test]
    fn expands_aliases_and_merges() {
        check("a: &r [1]\nb: *r\n", r#"{"a":[1],"b":[1]}"#);
        check("d: &d {x: 1, y: 2}\ne:\n  <<: *d\n  y: 3\n", r#"{"d":{"x":1,"y":2},"e":{"y":3,"x":1}}"#);
    }

    #[test]
    fn refuses_what_json_cannot_say() {
        check("a: .nan\n", "JSON has no number '.nan' at 3");
        check("a: !Sub x\n", "the tag '!Sub' has no meaning in a definition at 3");
        check("? [1]\n: x\n", "a key must be a string at 2");
        check("a: 1\n---\nb: 2\n", "more than one document at 5");
    }

    #[test]
    fn bounds_what_aliases_become() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
            bomb += &format!("a{level}: &a{level} [{aliases}]\n");
        }
        let error = read_yaml(&bomb).unwrap_err();
        assert_eq!(error.message, "anchors and aliases stand for more than 200000 values");
    }

    #[test]
    fn places_are_bytes() {
        let text = "ä: 1\nb: [é, x]\n";
        let (node, _) = read_yaml(text).unwrap();
        let node = node.unwrap();
        for (pointer, source) in [("/ä", "1"), ("/b/1", "x"), ("/b/0", "é"), ("/b", "[é, x]")] {
            assert_eq!(&text[node.at(pointer).span.clone()], source, "{pointer}");
        }
    }
}
