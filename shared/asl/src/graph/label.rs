//! What stands at edges and in nodes, in few words.

use stepwell_expr::PathExpression;

use crate::{
    Condition, Dynamic, ErrorName, Operand, ProcessorMode, Relation, State, StateKind, Test, TypeTest,
    WaitUntil,
};

/// Longest label; what is cut off is of no use in a drawing.
const CHARACTERS_MAX: usize = 400;

/// A condition as one would say it: `$.total > 100 and $.paid`.
pub(super) fn condition(condition: &Condition) -> String {
    let mut out = String::new();
    write(condition, &mut out, 0);
    cut(&out, CHARACTERS_MAX)
}

/// Names of errors, as a Catcher lists them.
pub(super) fn errors(names: &[ErrorName]) -> String {
    let mut out = String::new();
    for name in names {
        if out.len() > CHARACTERS_MAX {
            break;
        }
        if !out.is_empty() {
            out += ", ";
        }
        out += name.as_str();
    }
    cut(&out, CHARACTERS_MAX)
}

/// What a state does beyond its type, such as a Task's action; often nothing.
pub(super) fn detail(state: &State) -> String {
    match &state.kind {
        StateKind::Task(task) => resource(&task.resource).to_owned(),
        StateKind::Wait(wait) => match &wait.until {
            WaitUntil::Seconds(Dynamic::Fixed(seconds)) => format!("{seconds} s"),
            WaitUntil::Timestamp(Dynamic::Fixed(timestamp)) => format!("until {timestamp}"),
            WaitUntil::Seconds(Dynamic::Path(path)) | WaitUntil::Timestamp(Dynamic::Path(path)) => {
                path.text().to_owned()
            }
            WaitUntil::Seconds(Dynamic::Expression(expression))
            | WaitUntil::Timestamp(Dynamic::Expression(expression)) => expression.text().to_owned(),
        },
        StateKind::Fail(fail) => match &fail.error {
            Some(Dynamic::Fixed(error)) => error.to_string(),
            _ => String::new(),
        },
        StateKind::Map(map) if map.mode != ProcessorMode::Inline => "distributed".to_owned(),
        _ => String::new(),
    }
}

/// The part of an ARN that tells what is called: `lambda:invoke`, or a function's name.
fn resource(arn: &str) -> &str {
    let rest = arn.splitn(6, ':').nth(5).unwrap_or(arn);
    rest.strip_prefix("function:").or(rest.strip_prefix("activity:")).unwrap_or(rest)
}

/// At most `characters` of `text`, with an ellipsis where something is missing.
pub(super) fn cut(text: &str, characters: usize) -> String {
    if text.chars().nth(characters).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(characters.saturating_sub(1)).collect();
    kept + "…"
}

fn write(condition: &Condition, out: &mut String, depth: usize) {
    if out.len() > CHARACTERS_MAX || depth > 20 {
        out.push('…');
        return;
    }
    match condition {
        Condition::And(conditions) => joined(conditions, " and ", out, depth),
        Condition::Or(conditions) => joined(conditions, " or ", out, depth),
        Condition::Not(condition) => {
            out.push_str("not (");
            write(condition, out, depth + 1);
            out.push(')');
        }
        Condition::Test { variable, test } => comparison(variable, test, out),
        Condition::Expression(expression) => out.push_str(expression.text()),
        Condition::Literal(value) => out.push_str(if *value { "true" } else { "false" }),
    }
}

fn joined(conditions: &[Condition], word: &str, out: &mut String, depth: usize) {
    for (at, condition) in conditions.iter().enumerate() {
        if at > 0 {
            out.push_str(word);
        }
        let nested = matches!(condition, Condition::And(_) | Condition::Or(_));
        if nested {
            out.push('(');
        }
        write(condition, out, depth + 1);
        if nested {
            out.push(')');
        }
        if out.len() > CHARACTERS_MAX {
            return;
        }
    }
}

fn comparison(variable: &PathExpression, test: &Test, out: &mut String) {
    let variable = variable.text();
    *out += &match test {
        Test::String(relation, operand) | Test::Timestamp(relation, operand) => {
            format!("{variable} {} {}", sign(*relation), shown(operand, |text| format!("'{text}'")))
        }
        Test::Numeric(relation, operand) => {
            let number = |number: &stepwell_expr::Number| {
                let mut text = String::new();
                number.write(&mut text);
                text
            };
            format!("{variable} {} {}", sign(*relation), shown(operand, number))
        }
        Test::Boolean(operand) => format!("{variable} = {}", shown(operand, bool::to_string)),
        Test::StringMatches(pattern) => format!("{variable} matches '{pattern}'"),
        Test::Is(test, expected) => {
            format!("{variable} is {}{}", if *expected { "" } else { "not " }, kind(*test))
        }
    };
}

fn shown<T>(operand: &Operand<T>, literal: impl Fn(&T) -> String) -> String {
    match operand {
        Operand::Literal(value) => literal(value),
        Operand::Path(path) => path.text().to_owned(),
    }
}

fn sign(relation: Relation) -> &'static str {
    match relation {
        Relation::Equals => "=",
        Relation::LessThan => "<",
        Relation::GreaterThan => ">",
        Relation::LessThanEquals => "≤",
        Relation::GreaterThanEquals => "≥",
    }
}

fn kind(test: TypeTest) -> &'static str {
    match test {
        TypeTest::Null => "null",
        TypeTest::Present => "present",
        TypeTest::Numeric => "numeric",
        TypeTest::String => "a string",
        TypeTest::Boolean => "a boolean",
        TypeTest::Timestamp => "a timestamp",
    }
}
