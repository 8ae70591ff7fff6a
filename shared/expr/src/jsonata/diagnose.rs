//! What an error was about: the operator or function that raised it and the values it was given.
//!
//! jsonata-js names them in its messages, the engine often does not. So an evaluation that fails with such a message
//! is done once more, with a mark before each operator and call that notes its name and values; the last mark before
//! the error is where it came from.

use std::cell::RefCell;
use std::rc::Rc;

use jsonata_core::ast::{AstNode, BinaryOp, Stage, UnaryOp};
use jsonata_core::value::JValue;

use super::adapt::{assign, call, children, is_partial, variable};
use super::convert::{Exact, from_engine};

/// Notes a name and values. No expression can spell a blank.
pub(super) const MARK: &str = "mark call";

/// The last operator or call that was about to be done.
#[derive(Debug, Default)]
pub(super) struct Marked {
    pub(super) name: String,
    pub(super) values: Vec<JValue>,
}

impl Marked {
    /// The operator or function, quoted: a callback's name rather than that of the function it was given to.
    pub(super) fn quoted_name(&self) -> String {
        let callback = self.values.iter().find_map(|value| match value {
            JValue::Builtin { name } => Some(&**name),
            _ => None,
        });
        match callback.unwrap_or(&self.name) {
            "" => "undefined".to_owned(),
            name => format!("\"{name}\""),
        }
    }

    /// The value at `at` as jsonata-js prints it.
    pub(super) fn json(&self, at: usize) -> String {
        match self.values.get(at) {
            None | Some(JValue::Undefined) => "undefined".to_owned(),
            Some(value) => match from_engine(value, &Exact::default()) {
                Ok(Some(value)) => value.to_json(),
                _ => "{}".to_owned(),
            },
        }
    }

    /// How many numbers the range from the first value to the second has.
    pub(super) fn range_size(&self) -> f64 {
        let bound = |at: usize| self.values.get(at).and_then(JValue::as_f64).unwrap_or(0.0);
        bound(1) - bound(0) + 1.0
    }
}

/// Where [`MARK`] leaves its notes.
pub(super) type Marks = Rc<RefCell<Marked>>;

/// Takes note of a call of [`MARK`].
pub(super) fn mark(marks: &Marks, args: &[JValue]) {
    if let [JValue::String(name), values @ ..] = args {
        *marks.borrow_mut() = Marked { name: name.to_string(), values: values.to_vec() };
    }
}

/// Puts marks into `tree`.
pub(super) fn put_marks(tree: &mut AstNode) {
    Marker { temporaries: 0 }.node(tree);
}

struct Marker {
    temporaries: usize,
}

impl Marker {
    fn node(&mut self, node: &mut AstNode) {
        if let AstNode::Path { steps } = node {
            for step in steps {
                match step.stages.is_empty() {
                    true => self.node(&mut step.node),
                    false => children(&mut step.node, &mut |child| self.node(child)),
                }
                for stage in &mut step.stages {
                    if let Stage::Filter(predicate) = stage
                        && !matches!(**predicate, AstNode::Number(_))
                    {
                        self.node(predicate);
                    }
                }
            }
            return;
        }
        let chained = matches!(node, AstNode::Binary { op: BinaryOp::ChainPipe, .. });
        children(node, &mut |child| match child {
            AstNode::Function { args, .. } if chained => args.iter_mut().for_each(|arg| self.node(arg)),
            _ => self.node(child),
        });
        match node {
            AstNode::Binary { op, lhs, rhs } => {
                if let Some(symbol) = symbol(*op) {
                    let mut before = Vec::new();
                    for side in [lhs, rhs] {
                        self.set_aside(side, &mut before);
                    }
                    *node = marked(symbol, before, node);
                }
            }
            AstNode::Unary { op: UnaryOp::Negate, operand } => {
                let mut before = Vec::new();
                self.set_aside(operand, &mut before);
                *node = marked("-", before, node);
            }
            AstNode::Function { name, args, is_builtin: true }
                if !name.contains(' ') && !is_partial(args) =>
            {
                let mut before = Vec::new();
                args.iter_mut().for_each(|arg| self.set_aside(arg, &mut before));
                let name = name.clone();
                *node = marked(&name, before, node);
            }
            // jsonata-js has no name for it either.
            AstNode::Call { args, .. } if !is_partial(args) => {
                let mut before = Vec::new();
                args.iter_mut().for_each(|arg| self.set_aside(arg, &mut before));
                *node = marked("", before, node);
            }
            _ => {}
        }
    }

    /// Evaluates `node` beforehand, into a variable that takes its place.
    fn set_aside(&mut self, node: &mut AstNode, before: &mut Vec<AstNode>) {
        self.temporaries += 1;
        let temporary = format!("marked {}", self.temporaries);
        before.push(assign(&temporary, std::mem::replace(node, variable(&temporary))));
    }
}

/// `before`, a mark with what it gave, and then `node`.
fn marked(name: &str, mut before: Vec<AstNode>, node: &mut AstNode) -> AstNode {
    let values = before.iter().filter_map(|assignment| match assignment {
        AstNode::Binary { lhs, .. } => Some((**lhs).clone()),
        _ => None,
    });
    let args = std::iter::once(AstNode::String(name.to_owned())).chain(values).collect();
    before.push(call(MARK, args));
    before.push(std::mem::replace(node, AstNode::Null));
    AstNode::Block(before)
}

fn symbol(op: BinaryOp) -> Option<&'static str> {
    Some(match op {
        BinaryOp::Add => "+",
        BinaryOp::Subtract => "-",
        BinaryOp::Multiply => "*",
        BinaryOp::Divide => "/",
        BinaryOp::Modulo => "%",
        BinaryOp::LessThan => "<",
        BinaryOp::LessThanOrEqual => "<=",
        BinaryOp::GreaterThan => ">",
        BinaryOp::GreaterThanOrEqual => ">=",
        BinaryOp::Range => "..",
        _ => return None,
    })
}
