//! A definition as a drawing: Mermaid text or a standalone SVG.

mod label;
mod layout;
mod mermaid;
mod svg;

pub use mermaid::mermaid;
pub use svg::svg;

use std::collections::BTreeMap;

use crate::{BlockId, Catcher, Definition, State, StateKind, Transition};

/// One `States` block as nodes and edges.
struct Graph<'d> {
    start: usize,
    nodes: Vec<Node<'d>>,
    edges: Vec<Edge>,
}

/// A state, and the blocks inside of it.
struct Node<'d> {
    state: &'d State,
    inner: Vec<Graph<'d>>,
    /// Whether the block can end here.
    ends: bool,
}

struct Edge {
    from: usize,
    to: usize,
    kind: EdgeKind,
    label: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum EdgeKind {
    Next,
    Choice,
    Catch,
}

impl<'d> Graph<'d> {
    fn of(definition: &'d Definition, block: BlockId) -> Self {
        let block = definition.block(block);
        let states: Vec<&State> = block.states.iter().filter_map(|name| definition.state(name)).collect();
        let places: BTreeMap<&str, usize> =
            states.iter().enumerate().map(|(at, state)| (&*state.name, at)).collect();
        let mut edges = Vec::new();
        for (from, state) in states.iter().enumerate() {
            let mut add = |to: &str, kind: EdgeKind, label: String| {
                if let Some(to) = places.get(to) {
                    edges.push(Edge { from, to: *to, kind, label });
                }
            };
            transitions(state, &mut add);
        }
        let start = places.get(&*block.start_at).copied().unwrap_or(0);
        let nodes = states.into_iter().map(|state| Node::of(definition, state)).collect();
        Graph { start, nodes, edges }
    }
}

impl<'d> Node<'d> {
    fn of(definition: &'d Definition, state: &'d State) -> Self {
        let inner = match &state.kind {
            StateKind::Parallel(parallel) => parallel.branches.clone(),
            StateKind::Map(map) => vec![map.processor],
            _ => Vec::new(),
        };
        let inner = inner.into_iter().map(|block| Graph::of(definition, block)).collect();
        let ends = matches!(state.kind, StateKind::Succeed(_)) || next(state) == Some(&Transition::End);
        Node { state, inner, ends }
    }
}

fn next(state: &State) -> Option<&Transition> {
    match &state.kind {
        StateKind::Pass(state) => Some(&state.transition),
        StateKind::Task(state) => Some(&state.transition),
        StateKind::Wait(state) => Some(&state.transition),
        StateKind::Parallel(state) => Some(&state.transition),
        StateKind::Map(state) => Some(&state.transition),
        StateKind::Choice(_) | StateKind::Succeed(_) | StateKind::Fail(_) => None,
    }
}

fn transitions(state: &State, add: &mut impl FnMut(&str, EdgeKind, String)) {
    if let Some(Transition::Next(name)) = next(state) {
        add(name, EdgeKind::Next, String::new());
    }
    if let StateKind::Choice(choice) = &state.kind {
        for rule in &choice.rules {
            add(&rule.next, EdgeKind::Choice, label::condition(&rule.condition));
        }
        if let Some(name) = &choice.default {
            add(name, EdgeKind::Choice, "Default".to_owned());
        }
    }
    let catchers: &[Catcher] = match &state.kind {
        StateKind::Task(task) => &task.catch,
        StateKind::Parallel(parallel) => &parallel.catch,
        StateKind::Map(map) => &map.catch,
        _ => &[],
    };
    for catcher in catchers {
        add(&catcher.next, EdgeKind::Catch, label::errors(&catcher.error_equals));
    }
}

/// The state's type, as definitions write it.
fn type_name(state: &State) -> &'static str {
    match state.kind {
        StateKind::Pass(_) => "Pass",
        StateKind::Task(_) => "Task",
        StateKind::Choice(_) => "Choice",
        StateKind::Wait(_) => "Wait",
        StateKind::Succeed(_) => "Succeed",
        StateKind::Fail(_) => "Fail",
        StateKind::Parallel(_) => "Parallel",
        StateKind::Map(_) => "Map",
    }
}
