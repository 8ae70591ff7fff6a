//! Checks woven into the tree, so that a value cannot outgrow AWS's bound before anything looks at it.
//!
//! The engine bounds time, depth and the length of sequences, but not the size of strings, of the arrays that `[…]`
//! builds, or of what a path collects. A few operations can grow what they are given: each is followed by a function
//! of ours that weighs its result. That costs some speed, so an expression in which no such operation is repeated
//! goes without; one alone cannot grow much, save two: `$replace` and `$join` multiply, and are checked beforehand
//! wherever they stand.

use std::cell::Cell;

use jsonata_core::ast::{AstNode, BinaryOp, PathStep};
use jsonata_core::functions::string::{build_regex, extract_regex};
use jsonata_core::value::{JValue, with_stack};

use super::adapt::{assign, call, children, variable};
use super::functions;
use super::limits::VALUE_BYTES_MAX;
use crate::json::DEPTH_MAX;

/// Weighs the one value it is given and returns it. No expression can spell a blank.
pub(super) const WEIGH: &str = "weigh value";
/// Counts what a step of a path adds and returns it.
pub(super) const WEIGH_STEP: &str = "weigh step";
/// Looks at the arguments of `$replace` before it runs.
pub(super) const WEIGH_REPLACE: &str = "weigh replace";
/// Looks at the arguments of `$join` before it runs.
pub(super) const WEIGH_JOIN: &str = "weigh join";

/// Growing operations up to which an expression without feedback is left alone: together they grow 64-fold.
const GROWING_MAX: usize = 6;
/// Values from this weight on count towards [`TOTAL_MAX`].
const LARGE: usize = 1 << 10;
/// Bytes of memory that all weighed values of one evaluation may take together, kept or not.
const TOTAL_MAX: usize = 2 << 30;
/// Bytes of memory that hold one byte of an array's or object's weight.
const SPREAD: usize = 3;

/// Elements that the steps of [`WEIGH_STEP`] may add in one evaluation.
const STEPS_MAX: usize = 20_000_000;

/// Functions whose result can be larger than their arguments.
const GROWING: [&str; 13] = [
    "append",
    "base64encode",
    "each",
    "encodeUrl",
    "encodeUrlComponent",
    "join",
    "map",
    "merge",
    "reduce",
    "replace",
    "spread",
    "string",
    "zip",
];

/// Weaves the checks into `tree`. Returns whether there are any.
pub(super) fn weave(tree: &mut AstNode) -> bool {
    let mut survey = Survey::default();
    survey.node(tree);
    let feedback = survey.feedback || survey.growing > GROWING_MAX;
    if feedback || survey.multiplying {
        let mut loom = Loom { feedback, temporaries: 0 };
        loom.node(tree);
        return true;
    }
    false
}

#[derive(Default)]
struct Survey {
    /// Whether a growing operation may happen again and again, or on what it gave before.
    feedback: bool,
    multiplying: bool,
    growing: usize,
    /// How many functions, steps and the like around this node run it once for each of many values.
    loops: usize,
}

impl Survey {
    fn node(&mut self, node: &mut AstNode) {
        match node {
            AstNode::Call { .. } => self.feedback = true,
            AstNode::Function { name, .. } => {
                self.feedback |= name == "reduce" || !functions::is_function(name);
                self.multiplying |= multiplies(name);
                self.grows(GROWING.contains(&name.as_str()));
            }
            AstNode::Variable(name) => self.feedback |= GROWING.contains(&name.as_str()),
            AstNode::Binary { op: BinaryOp::ChainPipe, rhs, .. }
                if !matches!(**rhs, AstNode::Function { .. }) =>
            {
                self.feedback = true;
            }
            AstNode::Binary { op: BinaryOp::Concatenate, .. } => self.grows(true),
            AstNode::Array(items) | AstNode::ArrayGroup(items) => self.grows(items.iter().any(may_be_array)),
            AstNode::Object(pairs) => self.growing += usize::from(pairs.len() > 1),
            AstNode::Path { steps } => {
                self.feedback |= steps.iter().skip(1).any(|step| may_be_array(&step.node))
            }
            _ => {}
        }
        let repeats = !matches!(
            node,
            AstNode::Binary { .. }
                | AstNode::Block(_)
                | AstNode::Conditional { .. }
                | AstNode::Function { .. }
                | AstNode::Array(_)
                | AstNode::Object(_)
                | AstNode::Unary { .. }
        );
        self.loops += usize::from(repeats);
        children(node, &mut |child| self.node(child));
        self.loops -= usize::from(repeats);
    }

    fn grows(&mut self, grows: bool) {
        self.growing += usize::from(grows);
        self.feedback |= grows && self.loops > 0;
    }
}

/// Whether `node` may give an array that is not part of the value it is evaluated on.
fn may_be_array(node: &AstNode) -> bool {
    match node {
        AstNode::Variable(name) => !name.is_empty(),
        AstNode::Path { steps } => steps.first().is_some_and(|step| may_be_array(&step.node)),
        AstNode::Function { name, .. } => !SCALAR.contains(&name.as_str()),
        AstNode::Call { .. }
        | AstNode::ArrayGroup(_)
        | AstNode::Sort { .. }
        | AstNode::ObjectTransform { .. } => true,
        AstNode::Array(items) => items.iter().any(may_be_array),
        AstNode::Block(items) => items.last().is_some_and(may_be_array),
        AstNode::FunctionApplication(inner) => may_be_array(inner),
        AstNode::Conditional { then_branch, else_branch, .. } => {
            may_be_array(then_branch) || else_branch.as_deref().is_some_and(may_be_array)
        }
        AstNode::Binary { op, .. } => matches!(
            op,
            BinaryOp::Range
                | BinaryOp::ColonEqual
                | BinaryOp::Coalesce
                | BinaryOp::Default
                | BinaryOp::ChainPipe
        ),
        _ => false,
    }
}

/// Functions that never give an array.
const SCALAR: [&str; 42] = [
    "abs",
    "average",
    "base64decode",
    "base64encode",
    "boolean",
    "ceil",
    "contains",
    "count",
    "decodeUrl",
    "decodeUrlComponent",
    "encodeUrl",
    "encodeUrlComponent",
    "exists",
    "floor",
    "formatBase",
    "formatInteger",
    "formatNumber",
    "fromMillis",
    "hash",
    "join",
    "length",
    "lowercase",
    "max",
    "millis",
    "min",
    "not",
    "now",
    "number",
    "pad",
    "parseInteger",
    "power",
    "random",
    "replace",
    "round",
    "sqrt",
    "string",
    "substring",
    "substringAfter",
    "substringBefore",
    "sum",
    "toMillis",
    "uppercase",
];

fn multiplies(name: &str) -> bool {
    name == "replace" || name == "join"
}

struct Loom {
    feedback: bool,
    temporaries: usize,
}

impl Loom {
    fn node(&mut self, node: &mut AstNode) {
        if let AstNode::Path { steps } = node {
            return steps.iter_mut().enumerate().for_each(|(at, step)| self.step(step, at == 0));
        }
        self.chained(node);
        if let AstNode::Binary { op: BinaryOp::ChainPipe, lhs, rhs } = node {
            self.node(lhs);
            match **rhs {
                // It lacks its first argument, so it is no call yet.
                AstNode::Function { .. } => self.inside(rhs),
                _ => self.node(rhs),
            }
            return if self.feedback {
                wrap(node)
            };
        }
        let growing = match node {
            AstNode::Binary { op: BinaryOp::Concatenate, .. } => true,
            AstNode::Function { name, args, .. } => {
                GROWING.contains(&name.as_str())
                    && !args.iter().any(|arg| matches!(arg, AstNode::Placeholder))
            }
            _ => false,
        };
        self.inside(node);
        if growing {
            self.multiplying(node);
            if self.feedback {
                wrap(node);
            }
        }
    }

    /// A step keeps its node: what stands behind it takes the raw sequence.
    fn step(&mut self, step: &mut PathStep, first: bool) {
        if step.stages.is_empty() {
            self.node(&mut step.node);
            if self.feedback && !first && !is_weighed(&step.node) && may_be_array(&step.node) {
                self.multiplied(&mut step.node);
            }
        } else {
            self.inside(&mut step.node);
        }
        for stage in &mut step.stages {
            if let jsonata_core::ast::Stage::Filter(predicate) = stage {
                self.node(predicate);
            }
        }
    }

    /// A step that may add an array for each value before it.
    fn multiplied(&mut self, node: &mut AstNode) {
        match node {
            AstNode::Variable(_) | AstNode::Function { .. } => wrap_in(WEIGH_STEP, node),
            AstNode::FunctionApplication(inner) => self.multiplied(inner),
            AstNode::Block(items) => items.last_mut().into_iter().for_each(|last| wrap_in(WEIGH_STEP, last)),
            _ => {}
        }
    }

    fn inside(&mut self, node: &mut AstNode) {
        children(node, &mut |child| self.node(child));
        if !self.feedback {
            return;
        }
        match node {
            AstNode::Binary { op: BinaryOp::ColonEqual, rhs, .. } => result(rhs),
            AstNode::Lambda { body, .. } => result(body),
            AstNode::Call { args, .. } => args.iter_mut().for_each(result),
            AstNode::Function { name, args, .. } if !functions::is_function(name) => {
                args.iter_mut().for_each(result)
            }
            _ => {}
        }
    }

    /// `a ~> $replace(b, c)` as `$replace(a, b, c)`.
    fn chained(&mut self, node: &mut AstNode) {
        let AstNode::Binary { op: BinaryOp::ChainPipe, lhs, rhs } = node else { return };
        match &mut **rhs {
            AstNode::Function { name, args, .. }
                if multiplies(name) && !args.iter().any(|arg| matches!(arg, AstNode::Placeholder)) =>
            {
                let mut args = std::mem::take(args);
                args.insert(0, std::mem::replace(&mut **lhs, AstNode::Null));
                *node = call(&name.clone(), args);
            }
            _ => {}
        }
    }

    /// `$join(a, b)` as `($1 := a; $2 := b; check($1, $2); $join($1, $2))`.
    fn multiplying(&mut self, node: &mut AstNode) {
        let AstNode::Function { name, args, .. } = node else { return };
        let check = match name.as_str() {
            "replace" if args.len() >= 3 => WEIGH_REPLACE,
            "join" if args.len() >= 2 => WEIGH_JOIN,
            _ => return,
        };
        let name = std::mem::take(name);
        let mut block = Vec::with_capacity(args.len() + 2);
        let mut names = Vec::with_capacity(args.len());
        for arg in std::mem::take(args) {
            self.temporaries += 1;
            let temporary = format!("temporary {}", self.temporaries);
            block.push(assign(&temporary, arg));
            names.push(temporary);
        }
        let read = || names.iter().map(|name| variable(name)).collect();
        block.push(call(check, read()));
        block.push(call(&name, read()));
        *node = AstNode::Block(block);
    }
}

/// Weighs what `node` gives, where it builds something: as an argument, a function's result, an assigned value.
fn result(node: &mut AstNode) {
    match node {
        AstNode::Block(items) => items.last_mut().into_iter().for_each(result),
        AstNode::Conditional { then_branch, else_branch, .. } => {
            result(then_branch);
            else_branch.iter_mut().for_each(|branch| result(branch));
        }
        AstNode::Array(_) | AstNode::Object(_) | AstNode::ObjectTransform { .. } => wrap(node),
        AstNode::Path { .. } | AstNode::Sort { .. } => wrap(node),
        _ => {}
    }
}

fn is_weighed(node: &AstNode) -> bool {
    matches!(node, AstNode::Function { name, .. } if name == WEIGH)
}

fn wrap(node: &mut AstNode) {
    if is_weighed(node) {
        return;
    }
    wrap_in(WEIGH, node);
}

fn wrap_in(name: &str, node: &mut AstNode) {
    let inner = std::mem::replace(node, AstNode::Null);
    *node = call(name, vec![inner]);
}

/// The scales of one evaluation.
#[derive(Default)]
pub(super) struct Scales {
    total: Cell<usize>,
    steps: Cell<usize>,
}

impl Scales {
    /// Whether `value` is within the bound, and all large values together are.
    pub(super) fn bears(&self, value: &JValue) -> bool {
        let mut left = VALUE_BYTES_MAX;
        if !weigh(value, &mut left, 0) {
            return false;
        }
        let weight = VALUE_BYTES_MAX - left;
        if weight >= LARGE {
            let spread = if matches!(value, JValue::String(_)) { 1 } else { SPREAD };
            self.total.set(self.total.get() + weight * spread);
        }
        self.total.get() <= TOTAL_MAX
    }

    /// Whether the elements of `value` are within what all steps may add.
    pub(super) fn bears_step(&self, value: &JValue) -> bool {
        let elements = value.as_array().map_or(1, Vec::len);
        self.steps.set(self.steps.get() + elements);
        self.steps.get() <= STEPS_MAX
    }
}

/// Takes the weight of `value` off `left`; false when there is not enough. A value named twice counts twice.
///
/// Arrays, objects and the like weigh nothing on AWS; here a little, so that they cannot be without number.
fn weigh(value: &JValue, left: &mut usize, depth: usize) -> bool {
    match value {
        JValue::Number(_) => take(left, 8),
        JValue::String(text) => take(left, text.len()),
        // What nests deeper fails on its way out.
        _ if depth > DEPTH_MAX => true,
        JValue::Array(items) => {
            with_stack(|| items.iter().all(|item| take(left, trifle(item)) && weigh(item, left, depth + 1)))
        }
        JValue::Object(members) => with_stack(|| {
            members.iter().all(|(key, value)| take(left, key.len() + 1) && weigh(value, left, depth + 1))
        }),
        _ => true,
    }
}

fn trifle(value: &JValue) -> usize {
    usize::from(!matches!(value, JValue::Number(_)))
}

fn take(left: &mut usize, weight: usize) -> bool {
    let rest = left.checked_sub(weight);
    *left = rest.unwrap_or(0);
    rest.is_some()
}

/// Whether `$replace(text, pattern, replacement)` stays within the bound.
pub(super) fn replace_fits(args: &[JValue]) -> bool {
    let [JValue::String(text), pattern, JValue::String(replacement), ..] = args else { return true };
    let most = (text.len() + 1).saturating_mul(replacement.len() + 1);
    if most <= VALUE_BYTES_MAX {
        return true;
    }
    let matches = match (pattern, extract_regex(pattern)) {
        (JValue::String(pattern), _) if !pattern.is_empty() => text.matches(&**pattern).count(),
        // A `$1` can stand for as much as the whole text.
        (_, Some(_)) if replacement.contains('$') => return false,
        (_, Some((pattern, flags))) => match build_regex(&pattern, &flags) {
            Ok(regex) => regex.find_iter(text).count(),
            Err(_) => return true,
        },
        _ => return true,
    };
    text.len() + matches.saturating_mul(replacement.len()) <= VALUE_BYTES_MAX
}

/// Whether `$join(texts, separator)` stays within the bound.
pub(super) fn join_fits(args: &[JValue]) -> bool {
    let [JValue::Array(texts), JValue::String(separator), ..] = args else { return true };
    let texts_bytes: usize = texts.iter().filter_map(|text| text.as_str()).map(str::len).sum();
    texts_bytes + texts.len().saturating_mul(separator.len()) <= VALUE_BYTES_MAX
}
