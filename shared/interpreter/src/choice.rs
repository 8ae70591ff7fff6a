//! Whether a Choice Rule matches (ASL: Choice State).

use std::cmp::Ordering;

use stepwell_asl::{ChoiceRule, Condition, Operand, Relation, Test, TypeTest};
use stepwell_expr::{Number, Value, text_order, timestamp};

use crate::context::Scope;
use crate::failure::Fault;

/// Whether rule number `at` matches.
pub(crate) fn matches(rule: &ChoiceRule, at: usize, scope: &Scope<'_>) -> Result<bool, Fault> {
    holds(&rule.condition, at, scope)
}

fn holds(condition: &Condition, at: usize, scope: &Scope<'_>) -> Result<bool, Fault> {
    match condition {
        Condition::And(all) => {
            for condition in all {
                if !holds(condition, at, scope)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Condition::Or(any) => {
            for condition in any {
                if holds(condition, at, scope)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Condition::Not(condition) => Ok(!holds(condition, at, scope)?),
        Condition::Literal(value) => Ok(*value),
        Condition::Expression(expression) => {
            let field = format!("Choices[{at}]/Condition");
            let value = expression.evaluate(scope, &field)?;
            value.as_bool().ok_or_else(|| unexpected_type(expression.text(), &field, "boolean", &value))
        }
        Condition::Test { variable, test } => {
            let found = variable.seek(scope);
            if let Test::Is(TypeTest::Present, expected) = test {
                return Ok(found.is_some() == *expected);
            }
            let value = found.ok_or_else(|| {
                let path = variable.text();
                Fault::runtime(format!(
                    "Invalid path '{path}': The choice state's condition path references an invalid value."
                ))
            })?;
            passes(test, &value, scope)
        }
    }
}

/// AWS's text for a JSONata result of the wrong type.
pub(crate) fn unexpected_type(expression: &str, field: &str, expected: &str, value: &Value) -> Fault {
    let kind = value.kind().name();
    Fault::query(
        format!(
            "The JSONata expression '{expression}' specified for the field '{field}' returned an unexpected result type. \
             Expected '{expected}', but was '{kind}' for value: {}",
            value.shown()
        ),
        field,
    )
}

fn passes(test: &Test, value: &Value, scope: &Scope<'_>) -> Result<bool, Fault> {
    Ok(match test {
        Test::String(relation, operand) => {
            let right = literal(operand, scope, |text: &std::sync::Arc<str>| Value::String(text.clone()))?;
            match (value.as_str(), right.as_str()) {
                // As Java compares strings: by UTF-16 code units.
                (Some(a), Some(b)) => relation.accepts(text_order(a, b)),
                _ => false,
            }
        }
        Test::Numeric(relation, operand) => {
            let right = literal(operand, scope, |number: &Number| Value::Number(number.clone()))?;
            match (value.as_number(), right.as_number()) {
                (Some(a), Some(b)) => compare_numbers(a, b).is_some_and(|order| relation.accepts(order)),
                _ => false,
            }
        }
        Test::Timestamp(relation, operand) => {
            let right = literal(operand, scope, |text: &std::sync::Arc<str>| Value::String(text.clone()))?;
            let instant = |value: &Value| value.as_str().and_then(timestamp::parse);
            match (instant(value), instant(&right)) {
                (Some(a), Some(b)) => relation.accepts(a.cmp(&b)),
                _ => false,
            }
        }
        Test::Boolean(operand) => {
            let right = literal(operand, scope, |value: &bool| Value::Bool(*value))?;
            matches!((value.as_bool(), right.as_bool()), (Some(a), Some(b)) if a == b)
        }
        Test::StringMatches(pattern) => value.as_str().is_some_and(|text| wildcard(pattern, text)),
        Test::Is(kind, expected) => is_of(*kind, value) == *expected,
    })
}

fn literal<T>(operand: &Operand<T>, scope: &Scope<'_>, wrap: impl Fn(&T) -> Value) -> Result<Value, Fault> {
    match operand {
        Operand::Literal(value) => Ok(wrap(value)),
        Operand::Path(path) => path.seek(scope).ok_or_else(|| {
            let path = path.text();
            Fault::runtime(format!(
                "Invalid path '{path}': The choice state's condition path references an invalid value."
            ))
        }),
    }
}

fn is_of(kind: TypeTest, value: &Value) -> bool {
    match kind {
        TypeTest::Null => *value == Value::Null,
        TypeTest::Present => true,
        TypeTest::Numeric => value.as_number().is_some(),
        TypeTest::String => value.as_str().is_some(),
        TypeTest::Boolean => value.as_bool().is_some(),
        TypeTest::Timestamp => value.as_str().is_some_and(|text| timestamp::parse(text).is_some()),
    }
}

fn compare_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64().partial_cmp(&b.as_f64()),
    }
}

trait Accepts {
    fn accepts(self, order: Ordering) -> bool;
}

impl Accepts for Relation {
    fn accepts(self, order: Ordering) -> bool {
        match self {
            Relation::Equals => order.is_eq(),
            Relation::LessThan => order.is_lt(),
            Relation::GreaterThan => order.is_gt(),
            Relation::LessThanEquals => order.is_le(),
            Relation::GreaterThanEquals => order.is_ge(),
        }
    }
}

/// `StringMatches`: `*` stands for any run of characters, `\*` for a star and `\\` for a backslash.
///
/// Takes time linear in the text for each star of the pattern.
fn wildcard(pattern: &str, text: &str) -> bool {
    let mut parts = vec![String::new()];
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => parts.push(String::new()),
            '\\' => {
                let escaped = chars.next().unwrap_or('\\');
                parts.last_mut().expect("there is always a part: it begins with one").push(escaped);
            }
            c => parts.last_mut().expect("there is always a part: it begins with one").push(c),
        }
    }
    let [first, middle @ .., last] = &parts[..] else { return parts[0] == text };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        match rest.find(part.as_str()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_run() {
        for (pattern, text, expected) in [
            ("log-*.txt", "log-2024.txt", true),
            ("log-*.txt", "log-.txt", true),
            ("log-*.txt", "log-2024.txt.gz", false),
            ("*", "", true),
            ("**a*", "xxa", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("a\\\\*", "a\\x", true),
            ("ab", "ab", true),
            ("ab", "abc", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(wildcard(pattern, text), expected, "{pattern} on {text}");
        }
    }
}
