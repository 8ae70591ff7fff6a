//! Checks woven into the tree, so that a value cannot outgrow AWS's bound before anything looks at it.
//!
//! The engine bounds time, depth and the length of sequences, but not the size of strings, of the arrays that `[…]`
//! builds, or of what a path adds up. So what joins text is done by functions of ours, which look first; and what an
//! expression keeps (assigns, passes on, accumulates) is weighed. That costs some speed: an expression in which nothing
//! that grows is repeated goes without, as one such operation alone cannot grow much.
//!
//! AWS bounds depth too, and closely. No check may add a level where a value is built or a function calls itself.

use std::cell::Cell;

use jsonata_core::ast::{AstNode, BinaryOp, PathStep, Stage};
use jsonata_core::functions::string::{build_regex, extract_regex};
use jsonata_core::value::{JValue, with_stack};

use super::adapt::{assign, call, children, is_partial, variable};
use super::functions;
use super::limits::VALUE_BYTES_MAX;
use crate::json::DEPTH_MAX;

/// Weighs the one value it is given and returns it. No expression can spell a blank.
pub(super) const WEIGH: &str = "weigh value";
/// Counts what a step of a path adds and returns it.
pub(super) const WEIGH_STEP: &str = "weigh step";
/// Looks at the arguments of `$replace` before it runs.
pub(super) const WEIGH_REPLACE: &str = "weigh replace";
/// Does what `&` does.
pub(super) const CONCATENATE: &str = "weighed concatenation";
/// Does what `$join` does.
pub(super) const JOIN: &str = "weighed join";
/// Does what `$string` does.
pub(super) const STRING: &str = "weighed string";

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

/// Weaves the checks into `tree`. Returns whether there are any.
pub(super) fn weave(tree: &mut AstNode) -> bool {
    let mut survey = Survey::default();
    survey.node(tree);
    let feedback = survey.feedback || survey.growing > GROWING_MAX;
    if !feedback && !survey.multiplying {
        return false;
    }
    Loom { feedback, reduces_by_name: survey.reduces_by_name, temporaries: 0 }.node(tree);
    true
}

#[derive(Default)]
struct Survey {
    /// Whether a growing operation may happen again and again, or on what it gave before.
    feedback: bool,
    multiplying: bool,
    /// Whether `$reduce` is given a function by its name.
    reduces_by_name: bool,
    growing: usize,
    /// How many functions, steps and the like around this node run it once for each of many values.
    loops: usize,
}

impl Survey {
    fn node(&mut self, node: &mut AstNode) {
        match node {
            AstNode::Call { .. } => self.feedback = true,
            AstNode::Function { name, args, .. } => {
                self.feedback |= name == "reduce" || !functions::is_function(name);
                self.reduces_by_name |=
                    name == "reduce" && !args.iter().any(|a| matches!(a, AstNode::Lambda { .. }));
                self.multiplying |= name == "replace" || name == "join";
                self.grows(name == "string");
            }
            AstNode::Variable(name) if name == "reduce" => {
                self.feedback = true;
                self.reduces_by_name = true;
            }
            AstNode::Binary { op: BinaryOp::ChainPipe, .. } => self.feedback = true,
            AstNode::Binary { op: BinaryOp::Concatenate, .. } => self.grows(true),
            AstNode::Array(items) | AstNode::ArrayGroup(items) => self.grows(items.iter().any(may_be_array)),
            AstNode::Path { steps } => {
                self.feedback |= steps.iter().skip(1).any(|step| may_be_array(&step.node))
            }
            _ => {}
        }
        let repeats = matches!(
            node,
            AstNode::Path { .. }
                | AstNode::Lambda { .. }
                | AstNode::Sort { .. }
                | AstNode::ObjectTransform { .. }
                | AstNode::Transform { .. }
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

struct Loom {
    feedback: bool,
    reduces_by_name: bool,
    temporaries: usize,
}

impl Loom {
    fn node(&mut self, node: &mut AstNode) {
        if let AstNode::Path { steps } = node {
            return steps.iter_mut().enumerate().for_each(|(at, step)| self.step(step, at == 0));
        }
        children(node, &mut |child| self.node(child));
        match node {
            AstNode::Function { name, args, .. }
                if name == "join" && !args.is_empty() && !is_partial(args) =>
            {
                *name = JOIN.to_owned();
            }
            AstNode::Function { name, args, .. }
                if name == "replace" && args.len() > 2 && !is_partial(args) =>
            {
                self.replace(node);
            }
            _ if self.feedback => self.fed_back(node),
            _ => {}
        }
    }

    fn fed_back(&mut self, node: &mut AstNode) {
        match node {
            AstNode::Binary { op: BinaryOp::Concatenate, lhs, rhs } => {
                let sides = [lhs, rhs].map(|side| std::mem::replace(&mut **side, AstNode::Null));
                *node = call(CONCATENATE, sides.into());
            }
            AstNode::Function { name, args, .. }
                if name == "string" && !args.is_empty() && !is_partial(args) =>
            {
                *name = STRING.to_owned();
            }
            AstNode::Function { name, args, .. } if name == "reduce" => {
                args.iter_mut().for_each(weigh_accumulator)
            }
            AstNode::Call { args, .. } => args.iter_mut().for_each(weigh_argument),
            AstNode::Function { name, args, .. } if !functions::is_function(name) && !name.contains(' ') => {
                args.iter_mut().for_each(weigh_argument);
            }
            AstNode::Binary { op: BinaryOp::ColonEqual, rhs, .. } if self.reduces_by_name => {
                weigh_accumulator(rhs)
            }
            AstNode::Block(items) => weigh_assigned(items),
            // What is copied into an array each time it is built.
            AstNode::Array(items) | AstNode::ArrayGroup(items) => items.iter_mut().for_each(|item| {
                if matches!(item, AstNode::Binary { op: BinaryOp::Range, .. } | AstNode::Variable(_)) {
                    wrap(WEIGH_STEP, item);
                }
            }),
            _ => {}
        }
    }

    /// A step keeps its node where a predicate stands behind it, which takes the raw sequence.
    fn step(&mut self, step: &mut PathStep, first: bool) {
        if step.stages.is_empty() {
            self.node(&mut step.node);
            if self.feedback && !first && may_be_array(&step.node) {
                multiplied(&mut step.node);
            }
        } else {
            children(&mut step.node, &mut |child| self.node(child));
        }
        for stage in &mut step.stages {
            if let Stage::Filter(predicate) = stage {
                self.node(predicate);
            }
        }
    }

    /// `$replace(a, b, c)` as `($1 := a; $2 := b; $3 := c; check($1, $2, $3); $replace($1, $2, $3))`. One inside
    /// another's first argument becomes part of the same block.
    fn replace(&mut self, node: &mut AstNode) {
        let AstNode::Function { args, .. } = node else { return };
        let mut block = Vec::with_capacity(args.len() + 2);
        let mut names = Vec::with_capacity(args.len());
        for mut arg in std::mem::take(args) {
            if let AstNode::Block(inner) = &mut arg
                && matches!(inner.iter().rev().nth(1), Some(AstNode::Function { name, .. }) if name == WEIGH_REPLACE)
                && let Some(last) = inner.pop()
            {
                block.append(inner);
                arg = last;
            }
            self.temporaries += 1;
            let temporary = format!("temporary {}", self.temporaries);
            block.push(assign(&temporary, arg));
            names.push(temporary);
        }
        let read = || names.iter().map(|name| variable(name)).collect();
        block.push(call(WEIGH_REPLACE, read()));
        block.push(call("replace", read()));
        *node = AstNode::Block(block);
    }
}

/// A step that may add an array for each value before it.
fn multiplied(node: &mut AstNode) {
    match node {
        AstNode::Variable(_) | AstNode::Function { .. } => wrap(WEIGH_STEP, node),
        AstNode::FunctionApplication(inner) => multiplied(inner),
        AstNode::Block(items) => items.last_mut().into_iter().for_each(|last| wrap(WEIGH_STEP, last)),
        _ => {}
    }
}

/// Has a function that is given to `$reduce` weigh what it has so far.
fn weigh_accumulator(node: &mut AstNode) {
    let AstNode::Lambda { params, body, .. } = node else { return };
    let Some(accumulator) = params.first() else { return };
    let check = call(WEIGH, vec![variable(accumulator)]);
    match &mut **body {
        AstNode::Block(items) => items.insert(0, check),
        other => {
            let rest = std::mem::replace(other, AstNode::Null);
            *other = AstNode::Block(vec![check, rest]);
        }
    }
}

fn weigh_argument(node: &mut AstNode) {
    if is_built(node) {
        wrap(WEIGH, node);
    }
}

/// Puts a check behind each assignment of a block.
fn weigh_assigned(items: &mut Vec<AstNode>) {
    let last = items.len().saturating_sub(1);
    let checked = std::mem::take(items).into_iter().enumerate().flat_map(|(at, item)| {
        let check = match &item {
            AstNode::Binary { op: BinaryOp::ColonEqual, lhs, rhs } if at < last && is_built(rhs) => {
                Some(call(WEIGH, vec![(**lhs).clone()]))
            }
            _ => None,
        };
        std::iter::once(item).chain(check)
    });
    items.extend(checked);
}

/// Whether `node` makes an array or object, or may give one that a function made.
fn is_built(node: &AstNode) -> bool {
    match node {
        AstNode::Array(_) | AstNode::Object(_) | AstNode::ObjectTransform { .. } | AstNode::Path { .. } => {
            true
        }
        AstNode::Sort { .. } | AstNode::Call { .. } | AstNode::Block(_) | AstNode::Conditional { .. } => true,
        AstNode::Function { name, .. } => !SCALAR.contains(&name.as_str()),
        AstNode::Binary { op, .. } => {
            matches!(op, BinaryOp::ChainPipe | BinaryOp::Coalesce | BinaryOp::Default | BinaryOp::ColonEqual)
        }
        _ => false,
    }
}

fn wrap(name: &str, node: &mut AstNode) {
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
pub(super) fn join_fits(texts: &[JValue], separator: &str) -> bool {
    let texts_bytes: usize = texts.iter().filter_map(|text| text.as_str()).map(str::len).sum();
    texts_bytes + texts.len().saturating_mul(separator.len()) <= VALUE_BYTES_MAX
}
