//! The direct way: paths, comparisons, arithmetic and constructors evaluated over our own values, without the engine.
//!
//! It does only what it is sure of. A path that meets an array, an operand of the wrong type, anything that might be an
//! error: [`Unsure`], and the engine decides. So both ways give the same, and errors have one source. What passes
//! through unchanged keeps its reference count, and an integer its digits.

use jsonata_core::ast::{AstNode, BinaryOp, Stage, UnaryOp};

use super::analysis::is_plain;
use super::convert::{normalized, number};
use super::limits::Limits;
use super::{engine, functions};
use crate::{Environment, Map, Value};

/// Below, every integer is a double.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// The direct way does not know; the engine does.
#[derive(Debug)]
pub(super) struct Unsure;

/// An expression, or a part of one, that can be evaluated directly.
#[derive(Debug)]
pub(super) enum Plan {
    Constant(Value),
    Path { root: Root, steps: Vec<Step> },
    Binary(Operator, Box<[Plan; 2]>),
    Negate(Box<Plan>),
    Not(Box<Plan>),
    Exists(Box<Plan>),
    Count(Box<Plan>),
    Conditional(Box<[Plan; 3]>),
    Array(Vec<Plan>),
    Object(Vec<(String, Plan)>),
}

#[derive(Debug)]
pub(super) enum Root {
    States,
    Input,
    Context,
    Result,
    ErrorOutput,
    Variable(String),
}

#[derive(Debug)]
pub(super) enum Step {
    Member(String),
    Index(i64),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
    Concatenate,
}

/// A value on the way: borrowed from the environment where possible.
enum Operand<'e> {
    Undefined,
    Borrowed(&'e Value),
    Number(f64),
    Bool(bool),
    Owned(Value),
}

impl Plan {
    /// A plan for `tree`, where every part of it has one and it nests no deeper than an evaluation may.
    pub(super) fn compile(tree: &AstNode) -> Option<Plan> {
        Self::within(tree, Limits::default().depth)
    }

    fn within(tree: &AstNode, levels: usize) -> Option<Plan> {
        let below = |tree: &AstNode| Self::within(tree, levels.checked_sub(1)?);
        Some(match tree {
            AstNode::String(text) => Plan::Constant(Value::from(text.as_str())),
            AstNode::Number(value) => Plan::Constant(number(*value)),
            AstNode::Boolean(value) => Plan::Constant(Value::Bool(*value)),
            AstNode::Null => Plan::Constant(Value::Null),
            AstNode::Variable(_) => Self::path(std::iter::once((tree, &[][..])))?,
            AstNode::Path { steps } => {
                let undecorated = |step: &jsonata_core::ast::PathStep| {
                    let bare = jsonata_core::ast::PathStep { stages: Vec::new(), ..step.clone() };
                    is_plain(&bare)
                };
                if !steps.iter().all(undecorated) {
                    return None;
                }
                Self::path(steps.iter().map(|step| (&step.node, step.stages.as_slice())))?
            }
            AstNode::Binary { op, lhs, rhs } => {
                Plan::Binary(operator(*op)?, Box::new([below(lhs)?, below(rhs)?]))
            }
            AstNode::Unary { op: UnaryOp::Negate, operand } => Plan::Negate(Box::new(below(operand)?)),
            AstNode::Function { name, args, is_builtin: true } if args.len() == 1 => {
                let argument = Box::new(below(&args[0])?);
                match name.as_str() {
                    "not" => Plan::Not(argument),
                    "exists" => Plan::Exists(argument),
                    "count" => Plan::Count(argument),
                    _ => return None,
                }
            }
            AstNode::Conditional { condition, then_branch, else_branch: Some(otherwise) } => {
                Plan::Conditional(Box::new([below(condition)?, below(then_branch)?, below(otherwise)?]))
            }
            AstNode::Array(items) => Plan::Array(items.iter().map(below).collect::<Option<_>>()?),
            AstNode::Object(pairs) => Self::object(pairs, levels.checked_sub(1)?)?,
            _ => return None,
        })
    }

    fn path<'n>(mut nodes: impl Iterator<Item = (&'n AstNode, &'n [Stage])>) -> Option<Plan> {
        let (AstNode::Variable(name), stages) = nodes.next()? else { return None };
        let mut steps = Vec::new();
        let mut push = |member: Option<&str>, stages: &[Stage]| {
            steps.extend(member.map(|name| Step::Member(name.to_owned())));
            match stages {
                [] => Some(()),
                [Stage::Filter(predicate)] => {
                    steps.push(Step::Index(index(predicate)?));
                    Some(())
                }
                _ => None,
            }
        };
        let mut nodes = nodes.map(|(node, stages)| match node {
            AstNode::Name(name) => Some((name.as_str(), stages)),
            _ => None,
        });
        let root = match name.as_str() {
            "" => return None,
            "states" if !stages.is_empty() => return None,
            "states" => match nodes.next() {
                None => Root::States,
                Some(member) => {
                    let (member, stages) = member?;
                    push(None, stages)?;
                    match member {
                        "input" => Root::Input,
                        "context" => Root::Context,
                        "result" => Root::Result,
                        "errorOutput" => Root::ErrorOutput,
                        _ => return None,
                    }
                }
            },
            _ => {
                push(None, stages)?;
                Root::Variable(name.clone())
            }
        };
        for node in nodes {
            let (member, stages) = node?;
            push(Some(member), stages)?;
        }
        Some(Plan::Path { root, steps })
    }

    fn object(pairs: &[(AstNode, AstNode)], levels: usize) -> Option<Plan> {
        let mut members: Vec<(String, Plan)> = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let AstNode::String(key) = key else { return None };
            if pairs.len() > 64 || members.iter().any(|(known, _)| known == key) {
                return None;
            }
            members.push((key.clone(), Self::within(value, levels)?));
        }
        Some(Plan::Object(members))
    }

    /// Evaluates; `None` is JSONata's undefined.
    pub(super) fn evaluate(&self, environment: &dyn Environment) -> Result<Option<Value>, Unsure> {
        self.operand(environment).map(Operand::into_value)
    }

    fn operand<'e>(&'e self, environment: &'e dyn Environment) -> Result<Operand<'e>, Unsure> {
        match self {
            Plan::Constant(value) => Ok(Operand::Borrowed(value)),
            Plan::Path { root, steps } => root.lookup(environment, steps),
            Plan::Binary(Operator::And, sides) => {
                let both =
                    sides[0].operand(environment)?.truth()? && sides[1].operand(environment)?.truth()?;
                Ok(Operand::Bool(both))
            }
            Plan::Binary(Operator::Or, sides) => {
                let either =
                    sides[0].operand(environment)?.truth()? || sides[1].operand(environment)?.truth()?;
                Ok(Operand::Bool(either))
            }
            Plan::Binary(operator, sides) => {
                operator.apply(sides[0].operand(environment)?, sides[1].operand(environment)?)
            }
            Plan::Negate(inner) => match inner.operand(environment)? {
                Operand::Undefined => Ok(Operand::Undefined),
                operand => Ok(Operand::Number(-operand.number().ok_or(Unsure)?)),
            },
            Plan::Not(inner) => match inner.operand(environment)? {
                Operand::Undefined => Ok(Operand::Undefined),
                operand => Ok(Operand::Bool(!operand.truth()?)),
            },
            Plan::Exists(inner) => {
                Ok(Operand::Bool(!matches!(inner.operand(environment)?, Operand::Undefined)))
            }
            Plan::Count(inner) => Ok(Operand::Number(match inner.operand(environment)? {
                Operand::Undefined => 0.0,
                operand => operand.value().and_then(Value::as_array).map_or(1.0, |items| items.len() as f64),
            })),
            Plan::Conditional(parts) => {
                let branch = if parts[0].operand(environment)?.truth()? { &parts[1] } else { &parts[2] };
                branch.operand(environment)
            }
            Plan::Array(items) => array(items, environment),
            Plan::Object(members) => {
                let mut map = Map::with_capacity(members.len());
                for (key, plan) in members {
                    if let Some(value) = plan.evaluate(environment)? {
                        map.insert(key.as_str(), value);
                    }
                }
                Ok(Operand::Owned(Value::object(map)))
            }
        }
    }
}

/// `[a, b]` takes in the elements of what is an array, unless it is written as one.
fn array<'e>(items: &'e [Plan], environment: &'e dyn Environment) -> Result<Operand<'e>, Unsure> {
    let mut elements = Vec::with_capacity(items.len());
    for item in items {
        match item.evaluate(environment)? {
            None => {}
            Some(Value::Array(inner)) if !matches!(item, Plan::Array(_)) => {
                elements.extend(inner.iter().cloned())
            }
            Some(value) => elements.push(value),
        }
    }
    Ok(Operand::Owned(Value::array(elements)))
}

impl Root {
    fn lookup<'e>(&self, environment: &'e dyn Environment, steps: &[Step]) -> Result<Operand<'e>, Unsure> {
        let found = match self {
            Root::States => return Ok(Operand::Owned(engine::states_value(environment))),
            Root::Input => Some(environment.input()),
            Root::Context => Some(environment.context()),
            Root::Result => environment.result(),
            Root::ErrorOutput => environment.error_output(),
            Root::Variable(name) => match environment.variable(name) {
                None if functions::is_function(name) => return Err(Unsure),
                found => found,
            },
        };
        let Some(mut value) = found else { return Ok(Operand::Undefined) };
        for step in steps {
            let next = match (step, value) {
                (Step::Member(_), Value::Array(_)) => return Err(Unsure),
                (Step::Member(name), value) => value.get(name),
                (Step::Index(index), Value::Array(items)) => {
                    let length = i64::try_from(items.len()).map_err(|_| Unsure)?;
                    let at = if *index < 0 { length.checked_add(*index).ok_or(Unsure)? } else { *index };
                    usize::try_from(at).ok().and_then(|at| items.get(at))
                }
                (Step::Index(0 | -1), value) => Some(value),
                (Step::Index(_), _) => None,
            };
            match next {
                Some(next) => value = next,
                None => return Ok(Operand::Undefined),
            }
        }
        Ok(Operand::Borrowed(value))
    }
}

impl Operator {
    fn apply<'e>(self, left: Operand<'e>, right: Operand<'e>) -> Result<Operand<'e>, Unsure> {
        match self {
            Operator::Equal => Ok(Operand::Bool(left.equals(&right)?)),
            Operator::NotEqual => match (&left, &right) {
                (Operand::Undefined, _) | (_, Operand::Undefined) => Err(Unsure),
                _ => Ok(Operand::Bool(!left.equals(&right)?)),
            },
            Operator::Concatenate => {
                let mut text = String::new();
                left.append_to(&mut text)?;
                right.append_to(&mut text)?;
                Ok(Operand::Owned(Value::from(text)))
            }
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                self.compare(&left, &right)
            }
            _ => self.calculate(&left, &right),
        }
    }

    fn compare<'e>(self, left: &Operand<'e>, right: &Operand<'e>) -> Result<Operand<'e>, Unsure> {
        let ordering = match (left.number(), right.number()) {
            (Some(left), Some(right)) => left.partial_cmp(&right).ok_or(Unsure)?,
            _ => match (left.text(), right.text()) {
                (Some(left), Some(right)) => left.encode_utf16().cmp(right.encode_utf16()),
                _ => return Err(Unsure),
            },
        };
        Ok(Operand::Bool(match self {
            Operator::Less => ordering.is_lt(),
            Operator::LessOrEqual => ordering.is_le(),
            Operator::Greater => ordering.is_gt(),
            _ => ordering.is_ge(),
        }))
    }

    fn calculate<'e>(self, left: &Operand<'e>, right: &Operand<'e>) -> Result<Operand<'e>, Unsure> {
        let (Some(left), Some(right)) = (left.number(), right.number()) else { return Err(Unsure) };
        let result = match self {
            Operator::Add => left + right,
            Operator::Subtract => left - right,
            Operator::Multiply => left * right,
            Operator::Divide => left / right,
            _ => left % right,
        };
        // Beyond, an integer may be one that came in with more digits than a double has.
        if result.abs() < EXACT_MAX { Ok(Operand::Number(result)) } else { Err(Unsure) }
    }
}

impl<'e> Operand<'e> {
    fn into_value(self) -> Option<Value> {
        match self {
            Operand::Undefined => None,
            Operand::Borrowed(value) => Some(normalized(value).unwrap_or_else(|| value.clone())),
            Operand::Number(value) => Some(number(value)),
            Operand::Bool(value) => Some(Value::Bool(value)),
            Operand::Owned(value) => Some(normalized(&value).unwrap_or(value)),
        }
    }

    fn value(&self) -> Option<&Value> {
        match self {
            Operand::Borrowed(value) => Some(value),
            Operand::Owned(value) => Some(value),
            _ => None,
        }
    }

    /// A finite number.
    fn number(&self) -> Option<f64> {
        let number = match self {
            Operand::Number(value) => *value,
            other => other.value()?.as_f64()?,
        };
        number.is_finite().then_some(number)
    }

    fn text(&self) -> Option<&str> {
        self.value().and_then(Value::as_str)
    }

    /// JSONata's `$boolean`, of an undefined value too.
    fn truth(&self) -> Result<bool, Unsure> {
        Ok(match self {
            Operand::Undefined => false,
            Operand::Bool(value) => *value,
            Operand::Number(value) => *value != 0.0,
            Operand::Borrowed(_) | Operand::Owned(_) => match self.value() {
                Some(Value::Bool(value)) => *value,
                Some(Value::Number(_)) => self.number().ok_or(Unsure)? != 0.0,
                Some(Value::String(text)) => !text.is_empty(),
                Some(Value::Object(map)) => !map.is_empty(),
                Some(Value::Array(_)) => return Err(Unsure),
                Some(Value::Null) | None => false,
            },
        })
    }

    fn equals(&self, other: &Operand<'_>) -> Result<bool, Unsure> {
        match (self, other) {
            (Operand::Undefined, _) | (_, Operand::Undefined) => Ok(false),
            _ => match (self.scalar()?, other.scalar()?) {
                (Value::Number(a), Value::Number(b)) => Ok(a.as_f64() == b.as_f64()),
                (a, b) => Ok(a == b),
            },
        }
    }

    /// A value without inner values; cheap to clone.
    fn scalar(&self) -> Result<Value, Unsure> {
        match self {
            Operand::Number(value) => Ok(Value::from(*value)),
            Operand::Bool(value) => Ok(Value::Bool(*value)),
            other => match other.value() {
                Some(Value::Array(_) | Value::Object(_)) | None => Err(Unsure),
                Some(value) => Ok(value.clone()),
            },
        }
    }

    /// What `&` makes of it.
    fn append_to(&self, text: &mut String) -> Result<(), Unsure> {
        match self {
            Operand::Undefined => {}
            Operand::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
            Operand::Number(value) => append_number(*value, text)?,
            Operand::Borrowed(_) | Operand::Owned(_) => match self.value() {
                Some(Value::String(inner)) => text.push_str(inner),
                Some(Value::Number(value)) => append_number(value.as_f64(), text)?,
                Some(Value::Bool(value)) => text.push_str(if *value { "true" } else { "false" }),
                Some(Value::Null) => text.push_str("null"),
                _ => return Err(Unsure),
            },
        }
        Ok(())
    }
}

/// Integers have one spelling; fractions and large magnitudes are the engine's.
fn append_number(value: f64, text: &mut String) -> Result<(), Unsure> {
    use std::fmt::Write;
    if value.fract() != 0.0 || value.abs() >= EXACT_MAX {
        return Err(Unsure);
    }
    write!(text, "{}", value as i64).map_err(|_| Unsure)
}

/// A predicate that is a whole number.
fn index(predicate: &AstNode) -> Option<i64> {
    match predicate {
        AstNode::Number(index) if index.fract() == 0.0 && index.abs() < 1e15 => Some(*index as i64),
        AstNode::Unary { op: UnaryOp::Negate, operand } if matches!(**operand, AstNode::Number(_)) => {
            index(operand).map(|index| -index)
        }
        _ => None,
    }
}

fn operator(op: BinaryOp) -> Option<Operator> {
    Some(match op {
        BinaryOp::Add => Operator::Add,
        BinaryOp::Subtract => Operator::Subtract,
        BinaryOp::Multiply => Operator::Multiply,
        BinaryOp::Divide => Operator::Divide,
        BinaryOp::Modulo => Operator::Modulo,
        BinaryOp::Equal => Operator::Equal,
        BinaryOp::NotEqual => Operator::NotEqual,
        BinaryOp::LessThan => Operator::Less,
        BinaryOp::LessThanOrEqual => Operator::LessOrEqual,
        BinaryOp::GreaterThan => Operator::Greater,
        BinaryOp::GreaterThanOrEqual => Operator::GreaterOrEqual,
        BinaryOp::And => Operator::And,
        BinaryOp::Or => Operator::Or,
        BinaryOp::Concatenate => Operator::Concatenate,
        _ => return None,
    })
}
