//! Decides the condition of a filter as Jayway's `EvaluatorFactory` does.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::ast::{Filter, Operand, Operator};
use super::eval::{Budget, Failure, Rules, run};
use crate::{Number, Value, text_order};

/// What an operand is for one item; `None` where its path leads nowhere.
type Found<'a> = Option<Cow<'a, Value>>;

/// What a filter sees.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) item: &'a Value,
    pub(super) root: &'a Value,
    pub(super) budget: &'a Budget,
}

impl Filter {
    /// Whether `scope.item` passes.
    ///
    /// # Errors
    /// [`Failure::Exhausted`], and [`Failure::Nothing`] where an operator cannot take its right side: then the item
    /// does not pass, be there a `!` or not.
    pub(super) fn accepts(&self, scope: Scope<'_>) -> Result<bool, Failure> {
        scope.budget.take(1)?;
        match self {
            Filter::Or(parts) => {
                for part in parts {
                    if part.accepts(scope)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Filter::And(parts) => {
                for part in parts {
                    if !part.accepts(scope)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Filter::Not(inner) => Ok(!inner.accepts(scope)?),
            Filter::Exists { operand, expected } => {
                // Jayway looks for a bare `$.a` in the item too.
                let scope = Scope { root: scope.item, ..scope };
                Ok(operand.find(scope, Rules::EXISTENCE)?.is_some() == *expected)
            }
            Filter::Compare(left, operator, right) => compare(left, *operator, right, scope),
        }
    }
}

impl Operand {
    fn find<'a>(&'a self, scope: Scope<'a>, rules: Rules) -> Result<Found<'a>, Failure> {
        let Operand::Path { root, tokens } = self else {
            return Ok(if let Operand::Constant(value) = self { Some(Cow::Borrowed(value)) } else { None });
        };
        let start = if *root { scope.root } else { scope.item };
        match run(tokens, start, scope.root, rules, scope.budget) {
            Ok(value) => Ok(Some(value)),
            Err(Failure::Nothing(_)) => Ok(None),
            Err(exhausted) => Err(exhausted),
        }
    }
}

fn compare(left: &Operand, operator: Operator, right: &Operand, scope: Scope<'_>) -> Result<bool, Failure> {
    if operator == Operator::Matches {
        return match (left, right) {
            (Operand::Pattern(_), Operand::Pattern(_)) => Ok(false),
            (Operand::Pattern(pattern), input) | (input, Operand::Pattern(pattern)) => {
                let input = input.find(scope, Rules::VALUE)?;
                // Each byte is held against each part of the pattern.
                let bytes = input.as_deref().map_or(0, text_bytes);
                scope.budget.take(bytes / 4 * (1 + pattern.as_str().len() / 4))?;
                Ok(matches(pattern, input, matches!(left, Operand::Pattern(_))))
            }
            _ => Ok(false),
        };
    }
    let (left, right) = (left.find(scope, Rules::VALUE)?, right.find(scope, Rules::VALUE)?);
    pay(left.as_deref(), operator, right.as_deref(), scope.budget)?;
    decide(left.as_deref(), operator, right.as_deref()).ok_or_else(|| Failure::Nothing(String::new()))
}

/// Pays for what the operator reads of its operands: deep equality all of both, membership each item, and between two lists
/// each item of one for each of the other.
fn pay(
    left: Option<&Value>,
    operator: Operator,
    right: Option<&Value>,
    budget: &Budget,
) -> Result<(), Failure> {
    let (Some(left), Some(right)) = (left, right) else { return Ok(()) };
    let scalars = [left, right].iter().all(|value| !matches!(value, Value::Array(_) | Value::Object(_)));
    if scalars && text_bytes(left) + text_bytes(right) < 64 {
        return Ok(());
    }
    if matches!(operator, Operator::SubsetOf | Operator::AnyOf | Operator::NoneOf) {
        let length = |value: &Value| value.as_array().map_or(0, <[Value]>::len);
        budget.take(length(left).saturating_mul(length(right)))?;
    }
    pay_for(left, budget)?;
    pay_for(right, budget)
}

/// Pays for reading all of `value`.
fn pay_for(value: &Value, budget: &Budget) -> Result<(), Failure> {
    match value {
        Value::String(text) => budget.read(text.len()),
        Value::Array(items) => {
            budget.take(items.len())?;
            items.iter().try_for_each(|item| pay_for(item, budget))
        }
        Value::Object(map) => {
            budget.take(map.len())?;
            map.values().try_for_each(|member| pay_for(member, budget))
        }
        _ => Ok(()),
    }
}

/// Bytes of the texts of a text or a list of texts.
fn text_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| item.as_str().map_or(1, str::len)).sum(),
        _ => 0,
    }
}

/// `None` where the operator cannot take its operands at all.
fn decide(left: Option<&Value>, operator: Operator, right: Option<&Value>) -> Option<bool> {
    Some(match operator {
        Operator::Equal => equal(left, right),
        Operator::NotEqual => !equal(left, right),
        Operator::SameEqual => same_kind(left, right) && equal(left, right),
        Operator::SameNotEqual => !(same_kind(left, right) && equal(left, right)),
        Operator::Less => order(left, right) == Some(Ordering::Less),
        Operator::LessOrEqual => matches!(order(left, right), Some(Ordering::Less | Ordering::Equal)),
        Operator::Greater => order(left, right) == Some(Ordering::Greater),
        Operator::GreaterOrEqual => matches!(order(left, right), Some(Ordering::Greater | Ordering::Equal)),
        Operator::In => is_in(left, right)?,
        Operator::NotIn => !is_in(left, right)?,
        Operator::Contains => match (left, right) {
            (Some(Value::String(text)), Some(Value::String(part))) => text.contains(&**part),
            (Some(Value::Array(items)), Some(item)) => holds(items, item),
            _ => false,
        },
        Operator::Size => match left {
            Some(Value::Object(_)) => false,
            left => size(left).is_some_and(|size| {
                right.and_then(Value::as_number).and_then(Number::as_integral) == i64::try_from(size).ok()
            }),
        },
        Operator::Empty => match (size(left), right) {
            (Some(size), Some(Value::Bool(expected))) => (size == 0) == *expected,
            _ => false,
        },
        Operator::SubsetOf => {
            lists(left, right)?.is_some_and(|(left, right)| left.iter().all(|l| holds(right, l)))
        }
        Operator::AnyOf => {
            lists(left, right)?.is_some_and(|(left, right)| left.iter().any(|l| holds(right, l)))
        }
        Operator::NoneOf => {
            lists(left, right)?.is_some_and(|(left, right)| !left.iter().any(|l| holds(right, l)))
        }
        // Jayway takes no right side that a path can spell.
        Operator::All => return None,
        Operator::Matches | Operator::Never => false,
    })
}

/// Text and number are equal where the text is the number's, or reads as it.
fn equal(left: Option<&Value>, right: Option<&Value>) -> bool {
    match (left, right) {
        (Some(Value::Number(number)), Some(Value::String(text))) => {
            crate::json::parse(text).is_ok_and(|value| value == Value::Number(number.clone()))
        }
        (Some(Value::String(text)), Some(Value::Number(number))) => **text == *number.to_string(),
        (Some(left), Some(right)) => left == right,
        _ => false,
    }
}

fn same_kind(left: Option<&Value>, right: Option<&Value>) -> bool {
    // Jayway knows arrays and objects as one class.
    let class = |value: Option<&Value>| match value {
        None => 0,
        Some(Value::Null) => 1,
        Some(Value::Bool(_)) => 2,
        Some(Value::Number(_)) => 3,
        Some(Value::String(_)) => 4,
        Some(Value::Array(_) | Value::Object(_)) => 5,
    };
    class(left) == class(right)
}

fn order(left: Option<&Value>, right: Option<&Value>) -> Option<Ordering> {
    match (left?, right?) {
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => left.as_f64().partial_cmp(&right.as_f64()),
        },
        (Value::String(left), Value::String(right)) => Some(text_order(left, right)),
        _ => None,
    }
}

fn size(value: Option<&Value>) -> Option<usize> {
    match value? {
        Value::String(text) => Some(text.encode_utf16().count()),
        Value::Array(items) => Some(items.len()),
        Value::Object(map) => Some(map.len()),
        _ => None,
    }
}

fn holds(list: &[Value], item: &Value) -> bool {
    list.iter().any(|listed| equal(Some(listed), Some(item)))
}

fn is_in(item: Option<&Value>, items: Option<&Value>) -> Option<bool> {
    list(items).map(|list| list.zip(item).is_some_and(|(list, item)| holds(list, item)))
}

/// The items of an array; `Some(None)` for an object, which holds nothing, and `None` for what cannot be a list.
fn list(value: Option<&Value>) -> Option<Option<&[Value]>> {
    match value? {
        Value::Array(items) => Some(Some(items)),
        Value::Object(_) => Some(None),
        _ => None,
    }
}

type Lists<'a> = (&'a [Value], &'a [Value]);

fn lists<'a>(left: Option<&'a Value>, right: Option<&'a Value>) -> Option<Option<Lists<'a>>> {
    let (right, left) = (list(right)?, list(left)?);
    Some(left.zip(right))
}

/// The whole input must match; of a list on the pattern's right, one item.
fn matches(pattern: &regex_lite::Regex, input: Found<'_>, list_allowed: bool) -> bool {
    let one = |value: &Value| match value {
        Value::String(text) => pattern.is_match(text),
        Value::Number(number) => pattern.is_match(&number.to_string()),
        Value::Bool(value) => pattern.is_match(if *value { "true" } else { "false" }),
        _ => pattern.is_match(""),
    };
    match input.as_deref() {
        Some(Value::Array(items)) if list_allowed => items.iter().any(one),
        Some(value) => one(value),
        None => pattern.is_match(""),
    }
}
