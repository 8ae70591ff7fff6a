//! Changes to the tree that give the engine AWS's functions.

use std::collections::BTreeSet;

use jsonata_core::ast::{AstNode, BinaryOp, PathStep, Stage};

use super::functions;

/// The name that `$eval` gets, so that it names nothing: no expression can spell a blank.
const NO_EVAL: &str = "eval ";

/// Takes `$eval` away, turns `a ~> $f(b)` into the call it is, which nests less deep, turns `$now(picture, zone)` into `$fromMillis($millis(), picture, zone)`, writes out the
/// context item that `$pad(width)` pads, and makes AWS's functions, where they are values, functions of as many
/// arguments as they take. Names that the expression gives to things of its own are left alone.
pub(super) fn adapt(tree: &mut AstNode) {
    let mut own = BTreeSet::new();
    own_names(tree, &mut own);
    adapt_node(tree, &own);
}

fn own_names(node: &mut AstNode, own: &mut BTreeSet<String>) {
    match node {
        AstNode::Binary { op: BinaryOp::ColonEqual, lhs, .. } => {
            if let AstNode::Variable(name) = &**lhs {
                own.insert(name.clone());
            }
        }
        AstNode::Lambda { params, .. } => own.extend(params.iter().cloned()),
        AstNode::Path { steps } => {
            own.extend(steps.iter().flat_map(|step| step.focus.iter().chain(&step.index_var)).cloned());
        }
        _ => {}
    }
    children(node, &mut |child| own_names(child, own));
}

fn adapt_node(node: &mut AstNode, own: &BTreeSet<String>) {
    unchain(node, own);
    match node {
        AstNode::Variable(name) | AstNode::Function { name, .. } if own.contains(name) => {}
        AstNode::Variable(name) if name == "eval" => *name = NO_EVAL.to_owned(),
        AstNode::Variable(name) => {
            if let Some(arity) = functions::arity(name).or((name == "distinct").then_some(1)) {
                *node = wrapped(name, arity);
                return;
            }
        }
        AstNode::Function { name, args, is_builtin: true } => function(name, args),
        _ => {}
    }
    children(node, &mut |child| adapt_node(child, own));
}

/// `a ~> $f(b)` as `$f(a, b)`, and `a ~> $f` as `$f(a)` where `a` is no function that `$f` would be composed with.
fn unchain(node: &mut AstNode, own: &BTreeSet<String>) {
    let AstNode::Binary { op: BinaryOp::ChainPipe, lhs, rhs } = node else { return };
    unchain(lhs, own);
    let (name, mut args) = match &mut **rhs {
        AstNode::Function { name, args, is_builtin: true } if !is_partial(args) => {
            (name, std::mem::take(args))
        }
        AstNode::Variable(name) if is_data(lhs) => (name, Vec::new()),
        _ => return,
    };
    if !functions::is_function(name) || own.contains(name) {
        if let AstNode::Function { args: taken, .. } = &mut **rhs {
            *taken = args;
        }
        return;
    }
    args.insert(0, std::mem::replace(&mut **lhs, AstNode::Null));
    *node = call(&std::mem::take(name), args);
}

/// Whether these arguments make a function rather than call one.
pub(super) fn is_partial(args: &[AstNode]) -> bool {
    args.iter().any(|arg| matches!(arg, AstNode::Placeholder))
}

/// Whether `node` never gives a function.
fn is_data(node: &AstNode) -> bool {
    match node {
        AstNode::String(_) | AstNode::Number(_) | AstNode::Boolean(_) | AstNode::Null => true,
        AstNode::Array(_) | AstNode::Object(_) => true,
        AstNode::Function { name, args, is_builtin: true } => {
            functions::is_function(name) && !is_partial(args)
        }
        AstNode::Path { steps } => {
            matches!(steps.first(), Some(PathStep { node: AstNode::Variable(name), .. }) if name == "states")
        }
        _ => false,
    }
}

fn function(name: &mut String, args: &mut Vec<AstNode>) {
    match (name.as_str(), args.len()) {
        ("eval", _) => *name = NO_EVAL.to_owned(),
        ("now", 1..) => {
            args.insert(0, call("millis", Vec::new()));
            *name = "fromMillis".to_owned();
        }
        ("pad", 1) | ("base64encode" | "encodeUrl" | "encodeUrlComponent", 0) => {
            args.insert(0, AstNode::Variable(String::new()))
        }
        _ => {}
    }
}

/// `$name`.
pub(super) fn variable(name: &str) -> AstNode {
    AstNode::Variable(name.to_owned())
}

/// `$name := value`.
pub(super) fn assign(name: &str, value: AstNode) -> AstNode {
    AstNode::Binary { op: BinaryOp::ColonEqual, lhs: Box::new(variable(name)), rhs: Box::new(value) }
}

/// `$name(args)`.
pub(super) fn call(name: &str, args: Vec<AstNode>) -> AstNode {
    AstNode::Function { name: name.to_owned(), args, is_builtin: true }
}

/// `function($1, …){ $name($1, …) }`, with parameters that no expression can spell.
fn wrapped(name: &str, arity: usize) -> AstNode {
    let params: Vec<_> = (1..=arity).map(|n| format!("argument {n}")).collect();
    let args = params.iter().map(|param| variable(param)).collect();
    AstNode::Lambda { params, body: Box::new(call(name, args)), signature: None, thunk: false }
}

/// Whether nodes stand more than `levels` deep in one another.
pub(super) fn is_deeper(node: &mut AstNode, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else { return true };
    let mut deeper = false;
    children(node, &mut |child| deeper = deeper || is_deeper(child, below));
    deeper
}

/// Calls `visit` for each node right beneath `node`.
pub(super) fn children(node: &mut AstNode, visit: &mut dyn FnMut(&mut AstNode)) {
    match node {
        AstNode::Path { steps } => steps.iter_mut().for_each(|step| step_children(step, visit)),
        AstNode::Binary { lhs, rhs, .. } => {
            visit(lhs);
            visit(rhs);
        }
        AstNode::Unary { operand: inner, .. }
        | AstNode::Lambda { body: inner, .. }
        | AstNode::FunctionApplication(inner) => visit(inner),
        AstNode::Function { args: items, .. }
        | AstNode::Array(items)
        | AstNode::ArrayGroup(items)
        | AstNode::Block(items) => items.iter_mut().for_each(visit),
        AstNode::Call { procedure, args } => {
            visit(procedure);
            args.iter_mut().for_each(visit);
        }
        AstNode::Object(pairs) => pairs.iter_mut().for_each(|(key, value)| {
            visit(key);
            visit(value);
        }),
        AstNode::ObjectTransform { input, pattern } => {
            visit(input);
            pattern.iter_mut().for_each(|(key, value)| {
                visit(key);
                visit(value);
            });
        }
        AstNode::Conditional { condition, then_branch, else_branch } => {
            visit(condition);
            visit(then_branch);
            else_branch.iter_mut().for_each(|branch| visit(branch));
        }
        AstNode::Sort { input, terms } => {
            visit(input);
            terms.iter_mut().for_each(|(term, _)| visit(term));
        }
        AstNode::Transform { location, update, delete } => {
            visit(location);
            visit(update);
            delete.iter_mut().for_each(|delete| visit(delete));
        }
        _ => {}
    }
}

fn step_children(step: &mut PathStep, visit: &mut dyn FnMut(&mut AstNode)) {
    visit(&mut step.node);
    for stage in &mut step.stages {
        if let Stage::Filter(predicate) = stage {
            visit(predicate);
        }
    }
}
