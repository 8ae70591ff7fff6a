//! Checks woven into the tree, so that a value cannot outgrow AWS's bound before anything looks at it.
//!
//! The engine bounds time, depth and the length of sequences, but not the size of strings, of the arrays that `[…]`
//! builds, or of what a path adds up. So what joins text is done by functions of ours, which look first; and what an
//! expression keeps (assigns, passes on, accumulates) is weighed. That costs some speed: an expression in which nothing
//! that grows is repeated goes without, as one such operation alone cannot grow much.
//!
//! AWS bounds depth too, and closely. No check may add a level where a value is built or a function calls itself.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use jsonata_core::ast::{AstNode, BinaryOp, PathStep, Stage};
use jsonata_core::functions::string::{build_regex, extract_regex};
use jsonata_core::value::{JValue, with_stack};

use super::adapt::{assign, call, children, is_partial, variable};
use super::functions;
use super::limits::{KEPT_BYTES_MAX, PARTS_MAX, PICTURE_BYTES_MAX, REGEX_WORK_MAX, VALUE_BYTES_MAX};
use super::regex;
use crate::json::DEPTH_MAX;

/// Weighs the one value it is given and returns it. No expression can spell a blank.
pub(super) const WEIGH: &str = "weigh value";
/// Counts what a step of a path adds and returns it.
pub(super) const WEIGH_STEP: &str = "weigh step";
/// Looks at the arguments of the function that its first argument names, before that runs: one of [`CHECKED`].
pub(super) const WEIGH_CALL: &str = "weigh call";
/// Notes a text that is kept, and returns it.
pub(super) const WEIGH_TEXT: &str = "weigh text";
/// Does what `$distinct` does, in time that grows with the length alone.
pub(super) const DISTINCT: &str = "weighed distinct";
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
    Loom { feedback, reduces_by_name: survey.reduces_by_name, has_context: false, temporaries: 0 }.node(tree);
    true
}

/// Functions that may make much of little, and with how many arguments.
const CHECKED: [(&str, usize); 9] = [
    ("contains", 2),
    ("formatInteger", 2),
    ("formatNumber", 2),
    ("fromMillis", 2),
    ("match", 2),
    ("parseInteger", 2),
    ("replace", 3),
    ("split", 2),
    ("toMillis", 2),
];

/// Functions that make a text which may be long.
const MAKERS: [&str; 17] = [
    "base64decode",
    "base64encode",
    "decodeUrl",
    "decodeUrlComponent",
    "encodeUrl",
    "encodeUrlComponent",
    "join",
    "lowercase",
    "pad",
    "replace",
    "string",
    "substring",
    "substringAfter",
    "substringBefore",
    "trim",
    "uppercase",
    "error",
];

/// States of all the regular expressions of `tree`.
pub(super) fn regex_states(tree: &mut AstNode) -> usize {
    let mut states = match tree {
        AstNode::Regex { pattern, .. } => regex::states(pattern),
        _ => 0,
    };
    children(tree, &mut |child| states = states.saturating_add(regex_states(child)));
    states
}

/// Whether some sequence of `tree` keeps more of each element than its value.
pub(super) fn makes_tuples(tree: &mut AstNode) -> bool {
    let mut makes = match tree {
        AstNode::Path { steps } => steps.iter().any(|step| {
            step.focus.is_some() || step.index_var.is_some() || step.ancestor_label.is_some() || step.is_tuple
        }),
        AstNode::Parent(_) => true,
        _ => false,
    };
    children(tree, &mut |child| makes = makes || makes_tuples(child));
    makes
}

/// Whether a call of [`CHECKED`] needs no check: a picture that was read with the definition, and is short.
fn is_harmless(name: &str, args: &[AstNode]) -> bool {
    let is_short = matches!(args.get(1), Some(AstNode::String(text)) if text.len() <= 256);
    match name {
        // Alone, it is mostly the number.
        "fromMillis" | "toMillis" if args.len() == 1 => match &args[0] {
            AstNode::String(text) => text.len() <= 256,
            AstNode::Function { name, .. } => !MAKERS.contains(&name.as_str()),
            other => !matches!(other, AstNode::Variable(_) | AstNode::Binary { .. } | AstNode::Call { .. }),
        },
        "formatNumber" | "fromMillis" | "toMillis" | "parseInteger" => is_short,
        "formatInteger" => {
            let roman = |text: &String| text.starts_with(['I', 'i']);
            is_short && !matches!(args.get(1), Some(AstNode::String(text)) if roman(text))
        }
        _ => false,
    }
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
                self.multiplying |= name == "join" || name == "distinct";
                self.multiplying |= is_checked(name) && !is_harmless(name, args);
                self.grows(name == "string" || name == "pad");
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
    /// Whether there is a context item, which stands for a first argument that is left out.
    has_context: bool,
    temporaries: usize,
}

impl Loom {
    fn node(&mut self, node: &mut AstNode) {
        if let AstNode::Path { steps } = node {
            return steps.iter_mut().enumerate().for_each(|(at, step)| self.step(step, at == 0));
        }
        let had_context = self.has_context;
        self.has_context |= matches!(
            node,
            AstNode::Sort { .. } | AstNode::ObjectTransform { .. } | AstNode::Transform { .. }
        );
        children(node, &mut |child| self.node(child));
        self.has_context = had_context;
        match node {
            AstNode::Function { name, args, .. }
                if name == "join" && !args.is_empty() && !is_partial(args) =>
            {
                *name = JOIN.to_owned();
            }
            AstNode::Function { name, args, .. }
                if name == "distinct" && !args.is_empty() && !is_partial(args) =>
            {
                *name = DISTINCT.to_owned();
            }
            AstNode::Function { name, args, .. }
                if is_checked(name)
                    && args.len() + usize::from(self.has_context || may_be_short(name))
                        >= checked_arity(name)
                    && !is_partial(args)
                    && !is_harmless(name, args) =>
            {
                self.checked(node);
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
            AstNode::Lambda { .. } => weigh_made(node),
            AstNode::Object(pairs) => pairs.iter_mut().for_each(|(_, value)| weigh_text(value)),
            AstNode::ObjectTransform { pattern, .. } => {
                pattern.iter_mut().for_each(|(_, value)| weigh_text(value))
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
                weigh_text(item);
            }),
            _ => {}
        }
    }

    /// A step keeps its node where a predicate stands behind it, which takes the raw sequence.
    fn step(&mut self, step: &mut PathStep, first: bool) {
        let had_context = self.has_context;
        self.has_context |= !first;
        self.step_in_context(step, first);
        self.has_context = had_context;
    }

    fn step_in_context(&mut self, step: &mut PathStep, first: bool) {
        if step.stages.is_empty() {
            self.node(&mut step.node);
            if self.feedback && !first && may_be_array(&step.node) {
                multiplied(&mut step.node);
            }
            if self.feedback && !first {
                weigh_text(&mut step.node);
            }
        } else {
            children(&mut step.node, &mut |child| self.node(child));
        }
        for stage in &mut step.stages {
            if let Stage::Filter(predicate) = stage {
                self.has_context = true;
                self.node(predicate);
            }
        }
    }

    /// `$replace(a, b, c)` as `($1 := a; $2 := b; $3 := c; check('replace', $1, $2, $3); $replace($1, $2, $3))`. One inside
    /// another's first argument becomes part of the same block. A first argument that is left out is the context item.
    fn checked(&mut self, node: &mut AstNode) {
        let AstNode::Function { name, args, .. } = node else { return };
        let name = std::mem::take(name);
        if args.len() < checked_arity(&name) && !may_be_short(&name) {
            args.insert(0, AstNode::Variable(String::new()));
        }
        let mut block = Vec::with_capacity(args.len() + 2);
        let mut names = Vec::with_capacity(args.len());
        for mut arg in std::mem::take(args) {
            if let AstNode::Block(inner) = &mut arg
                && matches!(inner.iter().rev().nth(1), Some(AstNode::Function { name, .. }) if name == WEIGH_CALL)
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
        let read = || names.iter().map(|name| variable(name));
        let named = std::iter::once(AstNode::String(name.clone()));
        block.push(call(WEIGH_CALL, named.chain(read()).collect()));
        block.push(call(&name, read().collect()));
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

fn is_checked(name: &str) -> bool {
    CHECKED.iter().any(|(checked, _)| *checked == name)
}

/// Whether the second argument may be left out, so that a single one is the first.
fn may_be_short(name: &str) -> bool {
    ["fromMillis", "toMillis"].contains(&name)
}

fn checked_arity(name: &str) -> usize {
    CHECKED.iter().find(|(checked, _)| *checked == name).map_or(usize::MAX, |(_, arity)| *arity)
}

/// Notes the text that `node` makes, if it makes one.
fn weigh_text(node: &mut AstNode) {
    match node {
        AstNode::Function { name, args, .. }
            if !is_partial(args)
                && !args.iter().any(calls_function)
                && (MAKERS.contains(&name.as_str())
                    || [CONCATENATE, JOIN, STRING].contains(&name.as_str())) =>
        {
            wrap(WEIGH_TEXT, node)
        }
        AstNode::FunctionApplication(inner) => weigh_text(inner),
        AstNode::Block(items) => items.last_mut().into_iter().for_each(weigh_text),
        AstNode::Conditional { then_branch, else_branch, .. } => {
            weigh_text(then_branch);
            else_branch.iter_mut().for_each(|branch| weigh_text(branch));
        }
        _ => {}
    }
}

/// Whether a function of the expression's own is called: no check stands around what may call itself.
fn calls_function(node: &AstNode) -> bool {
    match node {
        AstNode::Variable(_) | AstNode::String(_) | AstNode::Number(_) => false,
        AstNode::Function { name, args, .. } => !is_known(name) || args.iter().any(calls_function),
        AstNode::Path { steps } => steps.iter().any(|step| calls_function(&step.node)),
        AstNode::Binary { lhs, rhs, .. } => calls_function(lhs) || calls_function(rhs),
        AstNode::Name(_) | AstNode::Boolean(_) | AstNode::Null | AstNode::Unary { .. } => false,
        _ => true,
    }
}

fn is_known(name: &str) -> bool {
    functions::is_function(name) || name.contains(' ')
}

/// Notes the texts that a function makes.
fn weigh_made(node: &mut AstNode) {
    if let AstNode::Lambda { body, .. } = node {
        weigh_text(body);
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
    kept: RefCell<Kept>,
}

/// Texts that were noted.
#[derive(Default)]
struct Kept {
    texts: Vec<Weak<str>>,
    /// Bytes noted since it was last seen which of them still live.
    new_bytes: usize,
}

/// Texts from this length on are noted.
const NOTED: usize = 64;

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

    /// Notes a text. Whether all texts noted that still live are within the bound.
    pub(super) fn bears_text(&self, value: &JValue) -> bool {
        let JValue::String(text) = value else { return true };
        if text.len() < NOTED {
            return true;
        }
        let mut kept = self.kept.borrow_mut();
        kept.texts.push(Rc::downgrade(text));
        kept.new_bytes += text.len();
        if kept.new_bytes < KEPT_BYTES_MAX / 4 {
            return true;
        }
        kept.new_bytes = 0;
        kept.texts.sort_unstable_by_key(|text| text.as_ptr().cast::<u8>());
        kept.texts.dedup_by(|left, right| Weak::ptr_eq(left, right));
        let mut living = 0;
        kept.texts.retain(|text| {
            let text = text.upgrade();
            living += text.as_ref().map_or(0, |text| text.len());
            text.is_some()
        });
        living <= KEPT_BYTES_MAX
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

/// Whether the function of [`CHECKED`] that the first of `args` names stays within its bounds with the others.
pub(super) fn call_fits(args: &[JValue]) -> bool {
    let [JValue::String(name), args @ ..] = args else { return true };
    let picture = |at: usize| args.get(at).and_then(JValue::as_str).unwrap_or_default();
    let is_short = |at: usize| picture(at).len() <= PICTURE_BYTES_MAX;
    match &**name {
        "replace" => regex_fits(args) && replace_fits(args),
        "contains" => regex_fits(args),
        "match" | "split" => regex_fits(args) && parts_fit(args),
        "formatInteger" => {
            // Roman numerals have an M for each thousand.
            let most = (VALUE_BYTES_MAX * 1000) as f64;
            let is_roman = picture(1).starts_with(['I', 'i']);
            is_short(1)
                && !(is_roman && args.first().and_then(JValue::as_f64).is_some_and(|n| n.abs() > most))
        }
        _ if args.len() == 1 => is_short(0),
        _ => is_short(1),
    }
}

/// Whether a regular expression that is matched against a text is not too much work.
fn regex_fits(args: &[JValue]) -> bool {
    let [JValue::String(text), pattern, ..] = args else { return true };
    let Some((pattern, _)) = extract_regex(pattern) else { return true };
    text.len() < 1_000 || text.len().saturating_mul(regex::states(&pattern)) <= REGEX_WORK_MAX
}

/// Whether a text falls into so many parts as there may be.
fn parts_fit(args: &[JValue]) -> bool {
    let [JValue::String(text), pattern, rest @ ..] = args else { return true };
    let asked = rest.first().and_then(JValue::as_f64).unwrap_or(f64::INFINITY);
    if text.len() <= PARTS_MAX || asked <= PARTS_MAX as f64 {
        return true;
    }
    let most = PARTS_MAX + 1;
    let parts = match (pattern, extract_regex(pattern)) {
        (JValue::String(pattern), _) if !pattern.is_empty() => text.matches(&**pattern).take(most).count(),
        (_, Some((pattern, flags))) => match build_regex(&pattern, &flags) {
            Ok(regex) => regex.find_iter(text).take(most).count(),
            Err(_) => 0,
        },
        (JValue::String(_), None) => text.chars().take(most).count(),
        _ => 0,
    };
    parts <= PARTS_MAX
}

/// Whether `$replace(text, pattern, replacement)` stays within the bound.
fn replace_fits(args: &[JValue]) -> bool {
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
