//! `States` blocks: the state machine itself, branches and processors.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use stepwell_expr::QueryLanguage;

use super::checker::{Checker, Edge, Fields, nearest};
use super::fields::{self, unsupported};
#[cfg(doc)]
use super::source::DEPTH_MAX;
use super::source::{Member, Node, Pointer};
use super::state;
use crate::{Block, BlockId, Code, Severity, StateName};

pub(crate) const NOT_AN_OBJECT: &str = "Definition must be a valid JSON object";

/// Longest name of a state, in characters (ASL: States).
const NAME_CHARACTERS_MAX: usize = 80;

/// `States` blocks that may stand inside one another, for the same reason as [`DEPTH_MAX`].
const BLOCK_DEPTH_MAX: usize = 50;

/// What the top level has besides its block.
pub(crate) struct Top {
    pub(crate) comment: Option<String>,
    pub(crate) timeout_seconds: Option<u64>,
}

/// Reads the whole definition.
pub(crate) fn machine(checker: &mut Checker<'_>, node: &Node) -> Option<Top> {
    let root = Pointer::Root;
    let Some(members) = node.as_object() else {
        checker.error(Code::SCHEMA_VALIDATION_FAILED, String::new(), &node.span, NOT_AN_OBJECT);
        return None;
    };
    let nameless: StateName = "".into();
    let fields = Fields {
        members,
        span: &node.span,
        pointer: &root,
        language: QueryLanguage::JsonPath,
        state: &nameless,
        is_catcher: false,
    };
    unsupported(
        checker,
        &fields,
        &["StartAt", "States", "Comment", "Version", "TimeoutSeconds", "QueryLanguage"],
    );
    checker.language = fields::query_language(&fields).unwrap_or_default();
    fields::one_of(checker, &fields, "QueryLanguage", &["JSONPath", "JSONata"]);
    let comment = fields.string(checker, "Comment").map(|text| text.to_string());
    fields::one_of(checker, &fields, "Version", &["1.0"]);
    let timeout_seconds = fields::integer(checker, &fields, "TimeoutSeconds", 1..=fields::SECONDS_MAX);
    block(checker, &fields);
    Some(Top { comment, timeout_seconds })
}

/// Reads a state that stands by itself; false where it is none.
pub(crate) fn lone(checker: &mut Checker<'_>, node: &Node, name: StateName) -> bool {
    let id = BlockId(0);
    checker.blocks.push(Block { start_at: name.clone(), states: vec![name.clone()] });
    checker.names.insert(name.clone());
    checker.depth = 1;
    let Some(state) = state::state(checker, &name, node, &Pointer::Root, id) else { return false };
    checker.states.insert(name, state);
    true
}

/// Reads the block that `fields` hold: `StartAt` and `States`.
pub(crate) fn block(checker: &mut Checker<'_>, fields: &Fields<'_>) -> BlockId {
    let id = BlockId(u32::try_from(checker.blocks.len()).unwrap_or(u32::MAX));
    checker.blocks.push(Block { start_at: "".into(), states: Vec::new() });
    if checker.depth >= BLOCK_DEPTH_MAX {
        let message = format!("States are nested more than {BLOCK_DEPTH_MAX} levels deep");
        checker.error(Code::TOO_DEEPLY_NESTED, fields.pointer.location(), fields.span, message);
        return id;
    }
    checker.depth += 1;
    let outer = std::mem::take(&mut checker.edges);
    contents(checker, fields, id);
    checker.edges = outer;
    checker.depth -= 1;
    id
}

fn contents(checker: &mut Checker<'_>, fields: &Fields<'_>, id: BlockId) {
    let missing: Vec<&str> = ["States", "StartAt"].into_iter().filter(|name| !fields.has(name)).collect();
    if !missing.is_empty() {
        checker.schema(
            fields.pointer,
            fields.span,
            format!("These fields are required: [{}]", missing.join(", ")),
        );
    }
    let start_at = fields.string(checker, "StartAt");
    let Some(states) = fields.get("States") else { return };
    let pointer = fields.pointer.key("States");
    let Some(members) = states.as_object() else {
        checker.schema(&pointer, &states.span, "Expected value of type [OBJECT]");
        return;
    };
    if members.is_empty() {
        checker.schema(&pointer, &states.span, "States must not be empty");
        return;
    }
    let mut complete = true;
    for member in members {
        complete &= named_state(checker, member, &pointer, id);
    }
    if let Some(start) = start_at {
        let span = &fields.get("StartAt").map_or(0..0, |node| node.span.clone());
        transitions(
            checker,
            members,
            &pointer,
            (start, fields.pointer.key("StartAt").location(), span),
            complete,
        );
        checker.blocks[id.0 as usize].start_at = start.clone();
    }
    checker.blocks[id.0 as usize].states = members.iter().map(|m| m.key.clone()).collect();
}

/// Reads one state; false where its transitions are not known.
fn named_state(checker: &mut Checker<'_>, member: &Member, states: &Pointer<'_>, block: BlockId) -> bool {
    let name = &member.key;
    let pointer = states.key(name);
    let length = name.chars().count();
    if length == 0 || length > NAME_CHARACTERS_MAX {
        let message =
            format!("State name must have 1 to {NAME_CHARACTERS_MAX} characters, but has {length}: {name}");
        checker.error(Code::INVALID_STATE_NAME, pointer.location(), &member.key_span, message);
    }
    if !checker.names.insert(name.clone()) {
        let message = format!("Duplicate State name: {name}");
        checker.error(Code::DUPLICATE_STATE_NAME, pointer.location(), &member.key_span, message);
    }
    let outer = std::mem::take(&mut checker.lacks_transition);
    let state = state::state(checker, name, &member.node, &pointer, block);
    let complete = !std::mem::replace(&mut checker.lacks_transition, outer);
    let Some(state) = state else { return false };
    checker.states.insert(name.clone(), state);
    complete
}

/// Checks that transitions lead somewhere, that the block can end, and that every state can be reached.
fn transitions(
    checker: &mut Checker<'_>,
    members: &[Member],
    states: &Pointer<'_>,
    start: (&Arc<str>, String, &Range<usize>),
    complete: bool,
) {
    let known: BTreeSet<&StateName> = members.iter().map(|m| &m.key).collect();
    let (start, location, span) = start;
    let edges = std::mem::take(&mut checker.edges);
    if !known.contains(start) {
        missing_target(checker, members, start, location, span);
    }
    for edge in edges.iter().filter(|edge| !known.contains(&edge.to)) {
        missing_target(checker, members, &edge.to, edge.location.clone(), &edge.span);
    }
    if !complete {
        return;
    }
    // The service asks it of the outermost block only.
    let ends = |name: &StateName| checker.states.get(name).is_some_and(state::is_terminal);
    if checker.depth == 1 && !members.iter().any(|m| ends(&m.key)) {
        checker.error(
            Code::MISSING_END_STATE,
            String::new(),
            &span.clone(),
            "Workflow has no terminal state",
        );
        return;
    }
    let reached = reachable(start, &edges);
    for member in members.iter().filter(|m| !reached.contains(&m.key)) {
        let message = format!("State \"{}\" is not reachable.", member.key);
        let location = states.key(&member.key).location();
        checker.error(Code::MISSING_TRANSITION_TARGET, location, &member.key_span, message);
    }
}

fn missing_target(
    checker: &mut Checker<'_>,
    members: &[Member],
    target: &str,
    location: String,
    span: &Range<usize>,
) {
    if checker.is_full() {
        return;
    }
    let help = nearest(target, members.iter().map(|m| &*m.key)).map(|name| format!("did you mean '{name}'?"));
    let message = format!("Missing 'Next' target: {target}");
    checker.report(Severity::Error, Code::MISSING_TRANSITION_TARGET, location, span, message, help);
}

fn reachable(start: &StateName, edges: &[Edge]) -> BTreeSet<StateName> {
    let mut onward: BTreeMap<&StateName, Vec<&StateName>> = BTreeMap::new();
    for edge in edges {
        onward.entry(&edge.from).or_default().push(&edge.to);
    }
    let mut reached = BTreeSet::new();
    let mut next = vec![start];
    while let Some(name) = next.pop() {
        if reached.insert(name.clone()) {
            next.extend(onward.get(name).into_iter().flatten());
        }
    }
    reached
}
