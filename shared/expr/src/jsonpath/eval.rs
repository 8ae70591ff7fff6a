//! Applies a path's tokens as Jayway does with its `JacksonJsonNodeJsonProvider`, which AWS uses.

use std::borrow::Cow;
use std::cell::Cell;

use super::ast::{Name, Token, is_definite, write_tokens};
use super::filter::Scope;
use super::function;
use crate::json::Map;
use crate::{Effort, Value};

/// Values one evaluation may visit, texts that are read counted by their length. Far beyond what a payload of 256 KiB
/// holds, and some tens of milliseconds.
const VISITS_MAX: usize = 2_000_000;
/// Bytes of text that cost as much to read as a value costs to visit.
const BYTES_A_VISIT: usize = 32;
/// Filters that may be at work inside one another; each has its own frames on the stack.
const DEPTH_MAX: usize = 64;

/// Why a path gives no value.
#[derive(Debug)]
pub(super) enum Failure {
    /// It leads nowhere; Jayway's text.
    Nothing(String),
    /// It visits too many values.
    Exhausted,
}

/// How many more values may be visited.
pub(super) struct Budget {
    visits: Cell<usize>,
    depth: Cell<usize>,
    quiet: bool,
}

impl Budget {
    /// The budget of one evaluation, of which `effort` may have less left.
    pub(super) fn new(effort: Option<&Effort>) -> Self {
        let most = effort.map_or(VISITS_MAX, |effort| effort.left().min(VISITS_MAX));
        Budget { visits: Cell::new(most), depth: Cell::new(0), quiet: false }
    }

    /// The same, where nobody will read why a path leads nowhere.
    pub(super) fn quiet(effort: Option<&Effort>) -> Self {
        Budget { quiet: true, ..Budget::new(effort) }
    }

    /// How many values may still be visited.
    pub(super) fn left(&self) -> usize {
        self.visits.get()
    }

    /// Whether anybody will read why a path leads nowhere: not so in a filter, whose every item may fail.
    pub(super) fn explains(&self) -> bool {
        !self.quiet && self.depth.get() == 0
    }

    /// Pays for reading `bytes` of text.
    pub(super) fn read(&self, bytes: usize) -> Result<(), Failure> {
        self.take(bytes / BYTES_A_VISIT)
    }

    pub(super) fn take(&self, visits: usize) -> Result<(), Failure> {
        let rest = self.visits.get().checked_sub(visits).ok_or(Failure::Exhausted)?;
        self.visits.set(rest);
        Ok(())
    }
}

/// What counts as a match.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Rules {
    /// An index beyond the array's end leads to `null` (as in a template on AWS) or nowhere.
    pub(super) null_past_end: bool,
    /// A property that is missing at an indefinite path's end makes the whole path fail.
    pub(super) require_properties: bool,
}

impl Rules {
    /// A path as a field or template has it.
    pub(super) const VALUE: Rules = Rules { null_past_end: true, require_properties: false };
    /// An intrinsic function's argument.
    pub(super) const ARGUMENT: Rules = Rules { null_past_end: false, require_properties: false };
    /// A filter's `[?(@.a)]`.
    pub(super) const EXISTENCE: Rules = Rules { null_past_end: true, require_properties: true };
}

/// What stands beyond the end of an array: `null` as a result, and less than that to the next token.
static ABSENT: Value = Value::Null;

type Nodes<'a> = Vec<Cow<'a, Value>>;

/// The one value that single names and indexes lead to: the quick way, which most paths go.
///
/// `None` where there is none, and where a token is of another kind.
pub(super) fn follow<'a>(tokens: &[Token], start: &'a Value) -> Option<&'a Value> {
    tokens.iter().try_fold(start, |value, token| match (token, value) {
        (Token::Property(names), Value::Object(map)) if names.len() == 1 => member(map, &names[0]),
        (Token::Index(indexes), Value::Array(items)) if indexes.len() == 1 => {
            let index = i64::from(indexes[0]);
            let index = if index < 0 { items.len() as i64 + index } else { index };
            items.get(usize::try_from(index).ok()?)
        }
        _ => None,
    })
}

/// Applies `tokens` to `start`, which is `root` or an item of it.
pub(super) fn run<'a>(
    tokens: &'a [Token],
    start: &'a Value,
    root: &'a Value,
    rules: Rules,
    budget: &Budget,
) -> Result<Cow<'a, Value>, Failure> {
    if let Some(value) = follow(tokens, start) {
        return Ok(Cow::Borrowed(value));
    }
    if let Some((Token::Function(last), scanned @ [Token::Scan(_), ..])) = tokens.split_last() {
        let found = nodes(scanned, start, root, rules, budget)?.into_iter().map(Cow::into_owned).collect();
        return function::apply_scanned(last, root, found, budget).map(Cow::Owned);
    }
    let mut found = nodes(tokens, start, root, rules, budget)?;
    if !is_definite(tokens) {
        return Ok(Cow::Owned(Value::array(found.into_iter().map(Cow::into_owned).collect())));
    }
    found.pop().ok_or_else(|| {
        if !budget.explains() {
            return Failure::Nothing(String::new());
        }
        let mut message = "No results for path: $".to_owned();
        write_tokens(tokens, &mut message);
        Failure::Nothing(message)
    })
}

fn nodes<'a>(
    tokens: &'a [Token],
    start: &'a Value,
    root: &'a Value,
    rules: Rules,
    budget: &Budget,
) -> Result<Nodes<'a>, Failure> {
    let mut nodes = vec![Cow::Borrowed(start)];
    for at in 0..tokens.len() {
        let step = Step { tokens, at, definite: is_definite_so_far(tokens, at), root, rules, budget };
        let mut next = Vec::new();
        for node in nodes {
            match node {
                Cow::Borrowed(value) => step.apply(&tokens[at], value, &mut next)?,
                // Only a function makes values of its own, and nothing follows it.
                Cow::Owned(value) => next.push(Cow::Owned(value)),
            }
        }
        nodes = next;
    }
    Ok(nodes)
}

fn is_definite_so_far(tokens: &[Token], at: usize) -> bool {
    tokens[..at].iter().all(|token| token.is_definite(false))
}

struct Step<'a, 'b> {
    tokens: &'a [Token],
    at: usize,
    /// Whether all tokens before lead to one place: then a value of the wrong kind is an error.
    definite: bool,
    root: &'a Value,
    rules: Rules,
    budget: &'b Budget,
}

impl<'a> Step<'a, '_> {
    fn is_leaf(&self) -> bool {
        self.at + 1 == self.tokens.len()
    }

    /// The way here in normal form, and `more`.
    fn path(&self, more: &[Token]) -> String {
        let mut path = "$".to_owned();
        write_tokens(&self.tokens[..self.at], &mut path);
        write_tokens(more, &mut path);
        path
    }

    fn apply(&self, token: &'a Token, value: &'a Value, out: &mut Nodes<'a>) -> Result<(), Failure> {
        self.budget.take(1)?;
        match token {
            Token::Property(names) => {
                self.budget.take(names.len())?;
                self.property(names, value, out)
            }
            Token::Index(indexes) => {
                let Some(items) = self.array(token, value)? else { return Ok(()) };
                self.budget.take(indexes.len())?;
                indexes.iter().for_each(|index| self.item(items, i64::from(*index), out));
                Ok(())
            }
            Token::Slice { from, to } => {
                let Some(items) = self.array(token, value)? else { return Ok(()) };
                let indexes = slice(items.len(), *from, *to);
                self.budget.take(usize::try_from(indexes.end - indexes.start).unwrap_or(0))?;
                indexes.for_each(|index| self.item(items, index, out));
                Ok(())
            }
            Token::Wildcard => {
                self.budget.take(children(value).count())?;
                out.extend(children(value).map(Cow::Borrowed));
                Ok(())
            }
            Token::Scan(next) => self.scan(next, value, out),
            Token::Filter(filter) => self.filter(filter, value, out),
            Token::Function(function) => {
                out.push(Cow::Owned(function::apply(function, value, self.root, self.budget)?));
                Ok(())
            }
        }
    }

    fn property(&self, names: &'a [Name], value: &'a Value, out: &mut Nodes<'a>) -> Result<(), Failure> {
        let Value::Object(map) = value else {
            return match self.definite {
                true if self.budget.explains() => Err(self.no_object(names, value)),
                true => Err(Failure::Nothing(String::new())),
                false => Ok(()),
            };
        };
        if names.len() > 1 && self.is_leaf() {
            let merged: Map = names
                .iter()
                .filter_map(|name| member(map, name).map(|value| (name.text.clone(), value.clone())))
                .collect();
            out.push(Cow::Owned(Value::object(merged)));
            return Ok(());
        }
        for name in names {
            match member(map, name) {
                Some(value) => out.push(Cow::Borrowed(value)),
                None if self.rules.require_properties
                    || (!self.is_leaf() && self.definite && names.len() == 1) =>
                {
                    let token = Token::Property(Box::new([name.clone()]));
                    let path = self.path(std::slice::from_ref(&token));
                    return Err(Failure::Nothing(format!("Missing property in path {path}")));
                }
                None => {}
            }
        }
        Ok(())
    }

    fn no_object(&self, names: &[Name], value: &Value) -> Failure {
        let mut wanted = String::new();
        write_tokens(&[Token::Property(names.into())], &mut wanted);
        let class = match value {
            absent if std::ptr::eq(absent, &ABSENT) => "null",
            Value::Null => "com.fasterxml.jackson.databind.node.NullNode",
            Value::Bool(_) => "com.fasterxml.jackson.databind.node.BooleanNode",
            Value::Number(number) => match number.as_i64() {
                Some(value) if i32::try_from(value).is_ok() => "com.fasterxml.jackson.databind.node.IntNode",
                Some(_) => "com.fasterxml.jackson.databind.node.LongNode",
                None => "com.fasterxml.jackson.databind.node.DoubleNode",
            },
            Value::String(_) => "com.fasterxml.jackson.databind.node.TextNode",
            Value::Array(_) => "com.fasterxml.jackson.databind.node.ArrayNode",
            Value::Object(_) => "com.fasterxml.jackson.databind.node.ObjectNode",
        };
        Failure::Nothing(format!(
            "Expected to find an object with property {wanted} in path {} but found '{class}'. This is not a json \
             object according to the JsonProvider: 'com.jayway.jsonpath.spi.json.JacksonJsonNodeJsonProvider'.",
            self.path(&[])
        ))
    }

    fn array(&self, token: &Token, value: &'a Value) -> Result<Option<&'a [Value]>, Failure> {
        match value.as_array() {
            Some(items) => Ok(Some(items)),
            None if self.definite && !self.budget.explains() => Err(Failure::Nothing(String::new())),
            None if self.definite && std::ptr::eq(value, &ABSENT) => {
                Err(Failure::Nothing(format!("The path {} is null", self.path(&[]))))
            }
            None if self.definite => {
                let mut filter = String::new();
                write_tokens(std::slice::from_ref(token), &mut filter);
                write_tokens(&self.tokens[self.at + 1..], &mut filter);
                Err(Failure::Nothing(format!(
                    "Filter: {filter} can only be applied to arrays. Current context is: {}",
                    value.shown()
                )))
            }
            None => Ok(None),
        }
    }

    fn item(&self, items: &'a [Value], index: i64, out: &mut Nodes<'a>) {
        let index = if index < 0 { items.len() as i64 + index } else { index };
        match usize::try_from(index).ok().and_then(|index| items.get(index)) {
            Some(item) => out.push(Cow::Borrowed(item)),
            None if self.rules.null_past_end => out.push(Cow::Borrowed(&ABSENT)),
            None => {}
        }
    }

    fn filter(
        &self,
        filter: &'a super::ast::Filter,
        value: &'a Value,
        out: &mut Nodes<'a>,
    ) -> Result<(), Failure> {
        match value {
            Value::Object(_) => {
                if self.accepts(filter, value)? {
                    out.push(Cow::Borrowed(value));
                }
                Ok(())
            }
            Value::Array(items) => {
                for item in items.iter() {
                    if self.accepts(filter, item)? {
                        out.push(Cow::Borrowed(item));
                    }
                }
                Ok(())
            }
            _ if self.definite && !self.budget.explains() => Err(Failure::Nothing(String::new())),
            _ if self.definite => {
                let mut rest = String::new();
                write_tokens(&self.tokens[self.at..], &mut rest);
                Err(Failure::Nothing(format!(
                    "Filter: {rest} can not be applied to primitives. Current context is: {}",
                    value.shown()
                )))
            }
            _ => Ok(()),
        }
    }

    fn accepts(&self, filter: &'a super::ast::Filter, item: &'a Value) -> Result<bool, Failure> {
        let depth = self.budget.depth.get();
        if depth >= DEPTH_MAX {
            return Err(Failure::Exhausted);
        }
        self.budget.depth.set(depth + 1);
        let accepted = filter.accepts(Scope { item, root: self.root, budget: self.budget });
        self.budget.depth.set(depth);
        match accepted {
            // What does not compute does not pass, whatever stands around it.
            Err(Failure::Nothing(_)) => Ok(false),
            accepted => accepted,
        }
    }

    /// Applies `next` to every array and object in `value`, `value` included, where it can apply; outer ones first.
    fn scan(&self, next: &'a Token, value: &'a Value, out: &mut Nodes<'a>) -> Result<(), Failure> {
        let inner = Step { definite: false, ..*self };
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            self.budget.take(1)?;
            let applies = match (next, value) {
                (Token::Property(names), Value::Object(map)) => {
                    self.budget.take(names.len())?;
                    (names.len() > 1 && !self.is_leaf())
                        || names.iter().all(|name| member(map, name).is_some())
                }
                (Token::Wildcard, Value::Object(_) | Value::Array(_)) => true,
                (Token::Index(_) | Token::Slice { .. }, Value::Array(_)) => true,
                (Token::Filter(filter), Value::Object(_) | Value::Array(_)) => self.accepts(filter, value)?,
                _ => false,
            };
            if applies {
                inner.apply(next, value, out)?;
            }
            let from = open.len();
            open.extend(children(value).filter(|child| matches!(child, Value::Array(_) | Value::Object(_))));
            open[from..].reverse();
        }
        Ok(())
    }
}

fn member<'a>(map: &'a Map, name: &Name) -> Option<&'a Value> {
    name.raw.as_deref().and_then(|raw| map.get(raw)).or_else(|| map.get(&name.text))
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(map) => Box::new(map.values()),
        _ => Box::new(std::iter::empty()),
    }
}

/// The indexes of `[from:to]`. In `[from:]` and `[:to]` a negative side counts from the end; with both sides, the
/// indexes run from one to the other, and each negative one is an item counted from the end.
fn slice(length: usize, from: Option<i32>, to: Option<i32>) -> std::ops::Range<i64> {
    let length = length as i64;
    let from_end = |index: i32| if index < 0 { length + i64::from(index) } else { i64::from(index) };
    match (from, to) {
        (Some(from), None) => from_end(from).max(0)..length,
        (None, Some(to)) => 0..from_end(to).min(length),
        (Some(from), Some(to)) if length > 0 => i64::from(from)..i64::from(to).min(length),
        _ => 0..0,
    }
}
