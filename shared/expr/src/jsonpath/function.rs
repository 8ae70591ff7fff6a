//! The functions a path may end with: `length()`, `sum()` and their like, as Jayway computes them.

use super::ast::{Function, Parameter};
use super::eval::{Budget, Failure, Rules, run};
use crate::{Number, Value};

/// Applies `function` to `value`.
///
/// # Errors
/// [`Failure::Nothing`] where there is no such function, or nothing to compute from.
pub(super) fn apply(
    function: &Function,
    value: &Value,
    root: &Value,
    budget: &Budget,
) -> Result<Value, Failure> {
    let parameters: Vec<Value> = function
        .parameters
        .iter()
        .map(|parameter| match parameter {
            Parameter::Constant(value) => Ok(value.clone()),
            Parameter::Path(tokens) => {
                run(tokens, root, root, Rules::VALUE, budget).map(|value| value.into_owned())
            }
        })
        .collect::<Result<_, _>>()?;
    compute(&function.name, value, parameters, budget)
}

/// Applies `function` where it follows a scan, which Jayway turns round: `$..a.f()` means `$.f($..a)`.
///
/// # Errors
/// As [`apply`].
pub(super) fn apply_scanned(
    function: &Function,
    root: &Value,
    found: Vec<Value>,
    budget: &Budget,
) -> Result<Value, Failure> {
    if matches!(&*function.name, "length" | "size") {
        let children = found.iter().filter_map(|value| length(value).as_i64()).sum::<i64>();
        return Ok(children.into());
    }
    compute(&function.name, root, vec![Value::array(found)], budget)
}

fn compute(name: &str, value: &Value, parameters: Vec<Value>, budget: &Budget) -> Result<Value, Failure> {
    budget.take(value.as_array().map_or(0, <[Value]>::len))?;
    match name {
        "length" | "size" => Ok(length(parameters.first().unwrap_or(value))),
        "keys" if value.as_object().is_some_and(|map| budget.take(map.len()).is_err()) => {
            Err(Failure::Exhausted)
        }
        "keys" => Ok(value.as_object().map_or(Value::Null, |map| {
            Value::array(map.keys().map(|key| Value::String(key.clone())).collect())
        })),
        "concat" => {
            let texts = value.as_array().unwrap_or_default().iter().chain(&parameters);
            budget.read(texts.filter_map(Value::as_str).map(str::len).sum())?;
            Ok(concat(value, &parameters))
        }
        "append" => Ok(match value {
            Value::Array(items) => Value::array(items.iter().cloned().chain(parameters).collect()),
            other => other.clone(),
        }),
        "first" => item(value, 0),
        "last" => item(value, -1),
        "index" => match parameters.first().and_then(Value::as_i64) {
            Some(index) => item(value, index),
            None => Err(Failure::Nothing("Arguments to function: 'index' must be an integer".to_owned())),
        },
        name @ ("min" | "max" | "avg" | "sum" | "stddev") => aggregate(name, value, &parameters),
        name => Err(Failure::Nothing(format!("Function with name: {name} does not exist."))),
    }
}

fn length(value: &Value) -> Value {
    match value {
        Value::Array(items) => (items.len() as i64).into(),
        Value::Object(map) => (map.len() as i64).into(),
        _ => Value::Null,
    }
}

fn concat(value: &Value, parameters: &[Value]) -> Value {
    let items = value.as_array().unwrap_or_default().iter();
    items.chain(parameters).filter_map(Value::as_str).collect::<String>().into()
}

fn item(value: &Value, index: i64) -> Result<Value, Failure> {
    let Some(items) = value.as_array() else { return Err(no_array()) };
    // Counted from the end, the first item is never found: `last()` of a single item fails.
    let from_start =
        if index < 0 { Some(items.len() as i64 + index).filter(|at| *at > 0) } else { Some(index) };
    from_start.and_then(|at| usize::try_from(at).ok()).and_then(|at| items.get(at)).cloned().ok_or_else(
        || Failure::Nothing(format!("Target index:{index} larger than object count:{}", items.len())),
    )
}

fn no_array() -> Failure {
    Failure::Nothing("Aggregation function attempted to calculate value using empty array".to_owned())
}

fn aggregate(name: &str, value: &Value, parameters: &[Value]) -> Result<Value, Failure> {
    let mut numbers: Vec<f64> = Vec::new();
    numbers.extend(value.as_array().unwrap_or_default().iter().filter_map(Value::as_f64));
    for parameter in parameters {
        match parameter {
            Value::Array(items) => numbers.extend(items.iter().filter_map(Value::as_f64)),
            other => numbers.extend(other.as_f64()),
        }
    }
    if numbers.is_empty() {
        return Err(no_array());
    }
    let count = numbers.len() as f64;
    let sum: f64 = numbers.iter().sum();
    let result = match name {
        "min" => numbers.iter().copied().fold(f64::INFINITY, f64::min),
        // Jayway starts from Java's `Double.MIN_VALUE`, which is the least number above zero.
        "max" => numbers.iter().copied().fold(f64::from_bits(1), f64::max),
        "avg" => sum / count,
        "stddev" => {
            let squares: f64 = numbers.iter().map(|number| number * number).sum();
            (squares / count - sum * sum / count / count).sqrt()
        }
        _ => sum,
    };
    if result.is_finite() {
        Ok(Value::Number(Number::from(result)))
    } else {
        Err(Failure::Nothing(format!("{name} of these numbers is not finite")))
    }
}
