//! What a parse gathers: diagnostics, states and blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use stepwell_expr::QueryLanguage;

use super::MachineType;
use super::source::{Lines, Member, Node, Pointer};
use crate::{Block, Code, Diagnostic, Severity, State, StateName};

/// Diagnostics kept; the rest of a hopeless definition says nothing new.
const DIAGNOSTICS_MAX: usize = 1000;

/// Everything that reading a definition gathers on its way.
pub(crate) struct Checker<'a> {
    text: &'a str,
    lines: Lines,
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) machine_type: MachineType,
    /// The machine's `QueryLanguage`.
    pub(crate) language: QueryLanguage,
    pub(crate) blocks: Vec<Block>,
    pub(crate) states: BTreeMap<StateName, State>,
    /// All names of states met, also of those that could not be read.
    pub(crate) names: BTreeSet<StateName>,
    /// All `Label`s met.
    pub(crate) labels: BTreeSet<String>,
    /// The transitions of the block being read.
    pub(crate) edges: Vec<Edge>,
    /// Whether the state being read lacks a transition, so that more must not be concluded from its others.
    pub(crate) lacks_transition: bool,
    /// `States` blocks around the one being read.
    pub(crate) depth: usize,
}

/// A transition that is to be checked once all states of its block are known.
pub(crate) struct Edge {
    pub(crate) from: StateName,
    pub(crate) to: StateName,
    pub(crate) location: String,
    pub(crate) span: Range<usize>,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(text: &'a str, machine_type: MachineType) -> Self {
        Checker {
            text,
            lines: Lines::of(text),
            diagnostics: Vec::new(),
            machine_type,
            language: QueryLanguage::JsonPath,
            blocks: Vec::new(),
            states: BTreeMap::new(),
            names: BTreeSet::new(),
            labels: BTreeSet::new(),
            edges: Vec::new(),
            lacks_transition: false,
            depth: 0,
        }
    }

    /// Reports `SCHEMA_VALIDATION_FAILED` at `pointer`, about the source of `span`.
    pub(crate) fn schema(&mut self, pointer: &Pointer<'_>, span: &Range<usize>, message: impl Into<String>) {
        self.report(
            Severity::Error,
            Code::SCHEMA_VALIDATION_FAILED,
            pointer.location(),
            span,
            message.into(),
            None,
        );
    }

    /// Reports an error with a location that is already text.
    pub(crate) fn error(
        &mut self,
        code: Code,
        location: String,
        span: &Range<usize>,
        message: impl Into<String>,
    ) {
        self.report(Severity::Error, code, location, span, message.into(), None);
    }

    /// Reports anything.
    pub(crate) fn report(
        &mut self,
        severity: Severity,
        code: Code,
        location: String,
        span: &Range<usize>,
        message: String,
        help: Option<String>,
    ) {
        if !self.is_full() {
            let (line, column) = self.lines.position(self.text, span.start);
            self.diagnostics.push(Diagnostic {
                severity,
                code,
                message,
                location,
                span: span.clone(),
                line,
                column,
                help,
            });
        }
    }

    /// Whether nothing more is kept.
    pub(crate) fn is_full(&self) -> bool {
        self.diagnostics.len() >= DIAGNOSTICS_MAX
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }
}

/// An object of the definition while its fields are read.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) members: &'a [Member],
    pub(crate) span: &'a Range<usize>,
    pub(crate) pointer: &'a Pointer<'a>,
    pub(crate) language: QueryLanguage,
    /// The state that the object belongs to.
    pub(crate) state: &'a StateName,
    /// Whether the object is a Catcher, in which `$states.errorOutput` exists.
    pub(crate) is_catcher: bool,
}

impl<'a> Fields<'a> {
    /// The member `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Node> {
        self.members.iter().find(|m| *m.key == *name).map(|m| &m.node)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The same state's object `node` at `pointer`; anything but an object is reported.
    pub(crate) fn inner<'b>(
        &self,
        checker: &mut Checker<'_>,
        node: &'b Node,
        pointer: &'b Pointer<'b>,
    ) -> Option<Fields<'b>>
    where
        'a: 'b,
    {
        let Some(members) = node.as_object() else {
            checker.schema(pointer, &node.span, "Expected value of type [OBJECT]");
            return None;
        };
        Some(Fields {
            members,
            span: &node.span,
            pointer,
            language: self.language,
            state: self.state,
            is_catcher: self.is_catcher,
        })
    }

    pub(crate) fn is_jsonata(&self) -> bool {
        self.language == QueryLanguage::Jsonata
    }

    /// A string field; anything else is reported.
    pub(crate) fn string(&self, checker: &mut Checker<'_>, name: &str) -> Option<&'a Arc<str>> {
        let node = self.get(name)?;
        let text = node.as_str();
        if text.is_none() {
            checker.schema(&self.pointer.key(name), &node.span, "Expected value of type [STRING]");
        }
        text
    }

    /// A string field that must be there.
    pub(crate) fn required_string(&self, checker: &mut Checker<'_>, name: &str) -> Option<&'a Arc<str>> {
        self.required(checker, name)?;
        self.string(checker, name)
    }

    /// A field that must be there.
    pub(crate) fn required(&self, checker: &mut Checker<'_>, name: &str) -> Option<&'a Node> {
        let node = self.get(name);
        if node.is_none() {
            checker.schema(self.pointer, self.span, format!("These fields are required: [{name}]"));
        }
        node
    }
}

/// The nearest of `candidates` to `name`, if it is near enough to have been meant.
pub(crate) fn nearest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let limit = (name.chars().count() / 3).clamp(1, 4);
    candidates
        .take(CANDIDATES_MAX)
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= limit * 4)
        .filter_map(|candidate| Some((distance(name, candidate, limit)?, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Names that are compared for one suggestion.
const CANDIDATES_MAX: usize = 100;

/// Edits (of letters, case aside, a swap counting once) from `a` to `b`, where there are at most `limit`.
fn distance(a: &str, b: &str, limit: usize) -> Option<usize> {
    let letters = |s: &str| s.chars().take(100).flat_map(char::to_lowercase).collect::<Vec<_>>();
    let (a, b) = (letters(a), letters(b));
    let mut rows = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        rows[i][0] = i;
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    let distance = rows[a.len()][b.len()];
    (distance <= limit).then_some(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_what_was_probably_meant() {
        let names = ["Charge", "Ship", "Resource", "TimeoutSeconds"];
        for (name, meant) in [
            ("Chrage", Some("Charge")),
            ("charge", Some("Charge")),
            ("Ressource", Some("Resource")),
            ("TimeOutSecond", Some("TimeoutSeconds")),
            ("Refund", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, names.into_iter()), meant, "{name}");
        }
    }
}
