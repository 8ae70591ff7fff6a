//! The definition as a tree that remembers where each part stands in the source.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use stepwell_expr::json::{self, Build, JsonError, Options};
use stepwell_expr::{Map, Number, Value};

/// Arrays and objects that may stand inside one another in a definition. It keeps all that walks over one within the
/// stack of a worker thread, and is far beyond what anybody writes.
pub(crate) const DEPTH_MAX: usize = 300;

/// A JSON value and the bytes of the source that it was read from.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) content: Content,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Null,
    Bool(bool),
    Number(Number),
    String(Arc<str>),
    Array(Vec<Node>),
    Object(Vec<Member>),
}

/// One member of an object. Keys are unique within their object: the last one with a key stays.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) key: Arc<str>,
    pub(crate) key_span: Range<usize>,
    pub(crate) node: Node,
}

impl Node {
    pub(crate) fn as_str(&self) -> Option<&Arc<str>> {
        if let Content::String(text) = &self.content { Some(text) } else { None }
    }

    pub(crate) fn as_object(&self) -> Option<&[Member]> {
        if let Content::Object(members) = &self.content { Some(members) } else { None }
    }

    /// The value without its places.
    pub(crate) fn value(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(value) => Value::Bool(*value),
            Content::Number(number) => Value::Number(number.clone()),
            Content::String(text) => Value::String(text.clone()),
            Content::Array(items) => Value::array(items.iter().map(Node::value).collect()),
            Content::Object(members) => {
                Value::object(members.iter().map(|m| (m.key.clone(), m.node.value())).collect::<Map>())
            }
        }
    }

    /// How many nodes the tree has; counting stops soon after `limit`.
    pub(crate) fn count(&self, limit: usize) -> usize {
        let mut total = 1;
        for child in self.children() {
            if total > limit {
                break;
            }
            total += child.count(limit - total.min(limit));
        }
        total
    }

    /// How many arrays and objects stand inside one another at the deepest place.
    pub(crate) fn depth(&self) -> usize {
        match self.content {
            Content::Array(_) | Content::Object(_) => 1 + self.children().map(Node::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    pub(crate) fn children(&self) -> impl Iterator<Item = &Node> {
        let (items, members): (&[Node], &[Member]) = match &self.content {
            Content::Array(items) => (items, &[]),
            Content::Object(members) => (&[], members),
            _ => (&[], &[]),
        };
        items.iter().chain(members.iter().map(|m| &m.node))
    }

    /// The node at `pointer`, which is written as AWS writes it (`/a/b[0]`) or as RFC 6901 does (`/a/b/0`);
    /// the deepest node on the way where the pointer leads further than the tree.
    pub(crate) fn at(&self, pointer: &str) -> &Node {
        let mut node = self;
        let mut rest = pointer;
        while !rest.is_empty() {
            let Some((next, after)) = node.step(rest) else { break };
            (node, rest) = (next, after);
        }
        node
    }

    /// `pointer`, however its indexes are written, as AWS writes it.
    pub(crate) fn location(&self, pointer: &str) -> String {
        let (mut node, mut rest, mut location) = (self, pointer, String::new());
        while let Some((next, after)) = node.step(rest) {
            let step = &rest[..rest.len() - after.len()];
            match node.content {
                Content::Array(_) => location += &format!("[{}]", step.trim_matches(['/', '[', ']'])),
                _ => location += step,
            }
            (node, rest) = (next, after);
        }
        location + rest
    }

    fn step<'a, 'p>(&'a self, pointer: &'p str) -> Option<(&'a Node, &'p str)> {
        match &self.content {
            Content::Object(members) => {
                let pointer = pointer.strip_prefix('/')?;
                let member = members
                    .iter()
                    .filter(|m| {
                        pointer
                            .strip_prefix(&*m.key)
                            .is_some_and(|r| r.is_empty() || r.starts_with(['/', '[']))
                    })
                    .max_by_key(|m| m.key.len())?;
                Some((&member.node, &pointer[member.key.len()..]))
            }
            Content::Array(items) => {
                let pointer = pointer.strip_prefix(['/', '['])?;
                let digits = pointer.bytes().take_while(u8::is_ascii_digit).count();
                let item = items.get(pointer[..digits].parse::<usize>().ok()?)?;
                let rest = &pointer[digits..];
                Some((item, rest.strip_prefix(']').unwrap_or(rest)))
            }
            _ => None,
        }
    }
}

/// A key that an object has twice.
#[derive(Debug)]
pub(crate) struct DuplicateKey {
    pub(crate) key: Arc<str>,
    pub(crate) span: Range<usize>,
}

/// Reads JSON text.
///
/// # Errors
/// [`JsonError`] for anything but one JSON document.
pub(crate) fn read_json(text: &str) -> Result<(Node, Vec<DuplicateKey>), JsonError> {
    let mut tree = Tree::default();
    let options = Options { depth_max: DEPTH_MAX, ..Options::default() };
    let node = json::parse_with(text, options, &mut tree)?;
    Ok((node, tree.duplicates))
}

/// Builds [`Node`]s, and notes keys that come twice.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) duplicates: Vec<DuplicateKey>,
}

/// An object being read: its members, and the place of each key among them.
#[derive(Default)]
pub(crate) struct ObjectBuilder {
    members: Vec<Member>,
    places: BTreeMap<Arc<str>, usize>,
}

impl ObjectBuilder {
    fn insert(&mut self, member: Member) -> bool {
        if let Some(place) = self.places.get(&member.key) {
            self.members[*place] = member;
            return false;
        }
        self.places.insert(member.key.clone(), self.members.len());
        self.members.push(member);
        true
    }

    /// Adds a member whose key is not there yet; drops any other.
    pub(crate) fn insert_new(&mut self, member: Member) {
        if !self.places.contains_key(&member.key) {
            self.insert(member);
        }
    }

    pub(crate) fn finish(self, span: Range<usize>) -> Node {
        Node { span, content: Content::Object(self.members) }
    }
}

impl Tree {
    /// Adds a member; false, and a note, where the key was there already.
    pub(crate) fn add(
        &mut self,
        object: &mut ObjectBuilder,
        key: Arc<str>,
        key_span: Range<usize>,
        node: Node,
    ) -> bool {
        let new = object.insert(Member { key: key.clone(), key_span: key_span.clone(), node });
        if !new && self.duplicates.len() < DUPLICATES_MAX {
            self.duplicates.push(DuplicateKey { key, span: key_span });
        }
        new
    }
}

/// Repeated keys that are reported; a file with more is damaged, and says so often enough.
const DUPLICATES_MAX: usize = 100;

impl Build for Tree {
    type Node = Node;
    type Array = Vec<Node>;
    type Object = ObjectBuilder;

    fn literal(&mut self, literal: Option<bool>, span: Range<usize>) -> Node {
        Node { span, content: literal.map_or(Content::Null, Content::Bool) }
    }
    fn number(&mut self, text: &str, span: Range<usize>) -> Node {
        Node { span, content: Content::Number(Number::from_json(text)) }
    }
    fn string(&mut self, text: Cow<'_, str>, span: Range<usize>) -> Node {
        Node { span, content: Content::String(text.into()) }
    }
    fn push(&mut self, array: &mut Vec<Node>, item: Node) {
        array.push(item);
    }
    fn insert(
        &mut self,
        object: &mut ObjectBuilder,
        key: Cow<'_, str>,
        key_span: Range<usize>,
        member: Node,
    ) -> bool {
        self.add(object, key.into(), key_span, member)
    }
    fn array(&mut self, array: Vec<Node>, span: Range<usize>) -> Node {
        Node { span, content: Content::Array(array) }
    }
    fn object(&mut self, object: ObjectBuilder, span: Range<usize>) -> Node {
        object.finish(span)
    }
}

/// Where the lines of a source begin.
pub(crate) struct Lines {
    starts: Vec<usize>,
    /// Whether every character is one byte.
    is_ascii: bool,
}

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        Lines { starts: std::iter::once(0).chain(newlines).collect(), is_ascii: text.is_ascii() }
    }

    /// Line and column in characters, both from 1, of the byte `offset` of `text`.
    pub(crate) fn position(&self, text: &str, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        if self.is_ascii {
            return (line, offset.min(text.len()) - start + 1);
        }
        let column = text.get(start..offset.min(text.len())).map_or(0, |before| before.chars().count());
        (line, column + 1)
    }
}

/// The way to a node, written as AWS writes locations: `/States/Charge/Retry[0]`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pointer<'a> {
    Root,
    Key(&'a Pointer<'a>, &'a str),
    Index(&'a Pointer<'a>, usize),
}

impl Pointer<'_> {
    pub(crate) fn key<'a>(&'a self, key: &'a str) -> Pointer<'a> {
        Pointer::Key(self, key)
    }

    pub(crate) fn index(&self, index: usize) -> Pointer<'_> {
        Pointer::Index(self, index)
    }

    /// As AWS shows it: the whole definition is `/`.
    pub(crate) fn location(&self) -> String {
        if let Pointer::Root = self { "/".to_owned() } else { self.to_string() }
    }
}

impl std::fmt::Display for Pointer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Pointer::Root => Ok(()),
            Pointer::Key(parent, key) => write!(f, "{parent}/{key}"),
            Pointer::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_know_their_bytes() {
        let text = "{\"a\": [1, {\"b/c\": \"x\"}]}";
        let (node, _) = read_json(text).unwrap();
        for (pointer, source) in [
            ("/a", "[1, {\"b/c\": \"x\"}]"),
            ("/a[0]", "1"),
            ("/a/1/b/c", "\"x\""),
            ("/a[1]/zz", "{\"b/c\": \"x\"}"),
        ] {
            assert_eq!(&text[node.at(pointer).span.clone()], source, "{pointer}");
        }
        assert_eq!(node.location("/a/1/b/c"), "/a[1]/b/c");
    }

    #[test]
    fn the_last_of_equal_keys_stays_and_each_repetition_is_noted() {
        let (node, duplicates) = read_json(r#"{"a":1,"b":2,"a":3}"#).unwrap();
        assert_eq!(node.value().to_json(), r#"{"a":3,"b":2}"#);
        assert_eq!(duplicates.len(), 1);
        assert_eq!(duplicates[0].span, 13..16);
    }

    #[test]
    fn positions_count_characters() {
        let text = "ab\nä€x\n";
        let lines = Lines::of(text);
        for (offset, at) in
            [(0, (1, 1)), (2, (1, 3)), (3, (2, 1)), (5, (2, 2)), (8, (2, 3)), (10, (3, 1)), (99, (3, 1))]
        {
            assert_eq!(lines.position(text, offset), at, "{offset}");
        }
    }
}
