//! Choice states.

use std::sync::Arc;

use stepwell_expr::{Number, PathExpression};

use super::checker::{Checker, Fields};
use super::expression::{PathKind, jsonata, jsonata_source, path, template};
use super::fields::In::{Both, Jsonata, Path};
use super::fields::{self, In};
use super::io;
use super::source::{Content, Node};
use super::timestamp::is_timestamp;
use crate::{Choice, ChoiceRule, Condition, Operand, Relation, Test, TypeTest};

pub(crate) fn choice(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Choice {
    Choice {
        io: io::io(checker, fields),
        rules: rules(checker, fields),
        default: fields::next(checker, fields, "Default"),
        assign: io::assign(checker, fields),
    }
}

fn rules(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Vec<ChoiceRule> {
    let Some(node) = fields.required(checker, "Choices") else { return Vec::new() };
    let pointer = fields.pointer.key("Choices");
    let Content::Array(items) = &node.content else {
        checker.schema(&pointer, &node.span, "Expected value of type [ARRAY]");
        return Vec::new();
    };
    if items.is_empty() {
        checker.schema(&pointer, &node.span, "Choices must not be empty");
    }
    let mut rules = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let pointer = pointer.index(index);
        if let Some(rule) = fields.inner(checker, item, &pointer) {
            rules.push(ChoiceRule {
                condition: condition(checker, &rule, true),
                next: fields::required_next(checker, &rule),
                assign: io::assign(checker, &rule),
                output: if rule.is_jsonata() { template(checker, &rule, "Output") } else { None },
            });
        }
    }
    rules
}

/// What takes the place of a condition that could not be read.
const NEVER: Condition = Condition::Literal(false);

/// The condition that a rule holds. Only the outermost has `Next` and its like.
fn condition(checker: &mut Checker<'_>, rule: &Fields<'_>, outermost: bool) -> Condition {
    let mut allowed: Vec<(&str, In)> = vec![("Comment", Both), ("Condition", Jsonata)];
    if outermost {
        allowed.extend([("Next", Both), ("Assign", Both), ("Output", Jsonata)]);
    }
    allowed.extend(["Variable", "And", "Or", "Not"].map(|name| (name, Path)));
    allowed.extend(OPERATORS.iter().map(|name| (*name, Path)));
    fields::check(checker, rule, &allowed);
    if rule.is_jsonata() {
        return jsonata_condition(checker, rule);
    }
    let operators: Vec<&str> =
        rule.members.iter().map(|m| &*m.key).filter(|name| is_operator(name)).collect();
    let [operator] = operators[..] else {
        let message = match operators.len() {
            0 => "A Choice Rule must have a comparison operator, or one of: [And, Or, Not]".to_owned(),
            _ => format!("There should only be one of the following fields: [{}]", operators.join(", ")),
        };
        checker.schema(rule.pointer, rule.span, message);
        return NEVER;
    };
    match operator {
        "And" => Condition::And(nested(checker, rule, "And")),
        "Or" => Condition::Or(nested(checker, rule, "Or")),
        "Not" => {
            let pointer = rule.pointer.key("Not");
            let Some(inner) = rule.get("Not").and_then(|node| rule.inner(checker, node, &pointer)) else {
                return NEVER;
            };
            Condition::Not(Box::new(condition(checker, &inner, false)))
        }
        operator => comparison(checker, rule, operator),
    }
}

fn jsonata_condition(checker: &mut Checker<'_>, rule: &Fields<'_>) -> Condition {
    let Some(node) = rule.required(checker, "Condition") else { return NEVER };
    if let Content::Bool(value) = node.content {
        return Condition::Literal(value);
    }
    match node.as_str().and_then(|text| jsonata_source(text)) {
        Some(source) => {
            jsonata(checker, rule, "Condition", node, source).map_or(NEVER, Condition::Expression)
        }
        None => {
            checker.schema(
                &rule.pointer.key("Condition"),
                &node.span,
                "Condition must be a JSONata expression or a Boolean",
            );
            NEVER
        }
    }
}

fn nested(checker: &mut Checker<'_>, rule: &Fields<'_>, name: &str) -> Vec<Condition> {
    let Some(node) = rule.get(name) else { return Vec::new() };
    let pointer = rule.pointer.key(name);
    let Content::Array(items) = &node.content else {
        checker.schema(&pointer, &node.span, "Expected value of type [ARRAY]");
        return Vec::new();
    };
    if items.is_empty() {
        checker.schema(&pointer, &node.span, format!("{name} must not be empty"));
    }
    let mut conditions = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let pointer = pointer.index(index);
        if let Some(inner) = rule.inner(checker, item, &pointer) {
            conditions.push(condition(checker, &inner, false));
        }
    }
    conditions
}

fn comparison(checker: &mut Checker<'_>, rule: &Fields<'_>, operator: &str) -> Condition {
    rule.required(checker, "Variable");
    let variable = path(checker, rule, "Variable", PathKind::Reference);
    let test = test(checker, rule, operator);
    match (variable, test) {
        (Some(variable), Some(test)) => Condition::Test { variable, test },
        _ => NEVER,
    }
}

fn test(checker: &mut Checker<'_>, rule: &Fields<'_>, operator: &str) -> Option<Test> {
    if let Some(test) = type_test(operator) {
        return Some(Test::Is(test, literal(checker, rule, operator, "Boolean", boolean)?));
    }
    if operator == "StringMatches" {
        return Some(Test::StringMatches(literal(checker, rule, operator, "String", string)?));
    }
    let (plain, is_path) = operator.strip_suffix("Path").map_or((operator, false), |plain| (plain, true));
    if plain == "BooleanEquals" {
        return Some(Test::Boolean(operand(checker, rule, operator, is_path, "Boolean", boolean)?));
    }
    for (prefix, name) in [("String", "String"), ("Numeric", "Number"), ("Timestamp", "Timestamp")] {
        let Some(relation) = plain.strip_prefix(prefix).and_then(relation) else { continue };
        return Some(match prefix {
            "String" => Test::String(relation, operand(checker, rule, operator, is_path, name, string)?),
            "Numeric" => Test::Numeric(relation, operand(checker, rule, operator, is_path, name, number)?),
            _ => Test::Timestamp(relation, operand(checker, rule, operator, is_path, name, timestamp)?),
        });
    }
    None
}

fn operand<T>(
    checker: &mut Checker<'_>,
    rule: &Fields<'_>,
    operator: &str,
    is_path: bool,
    type_name: &str,
    read: fn(&Node) -> Option<T>,
) -> Option<Operand<T>> {
    if is_path {
        return path(checker, rule, operator, PathKind::Reference)
            .map(|path: PathExpression| Operand::Path(path));
    }
    literal(checker, rule, operator, type_name, read).map(Operand::Literal)
}

fn literal<T>(
    checker: &mut Checker<'_>,
    rule: &Fields<'_>,
    operator: &str,
    type_name: &str,
    read: fn(&Node) -> Option<T>,
) -> Option<T> {
    let node = rule.get(operator)?;
    if operator != "StringMatches" {
        io::warn_no_path(checker, rule, operator);
    }
    let value = read(node);
    if value.is_none() {
        let message = match (type_name, node.as_str()) {
            ("Timestamp", Some(_)) => "String does not match RFC3339 timestamp".to_owned(),
            ("Timestamp", None) => "Expected value of type [STRING]".to_owned(),
            _ => format!("Expected value of type [{}]", type_name.to_uppercase()),
        };
        checker.schema(&rule.pointer.key(operator), &node.span, message);
    }
    value
}

fn boolean(node: &Node) -> Option<bool> {
    if let Content::Bool(value) = node.content { Some(value) } else { None }
}

fn string(node: &Node) -> Option<Arc<str>> {
    node.as_str().cloned()
}

fn number(node: &Node) -> Option<Number> {
    if let Content::Number(number) = &node.content { Some(number.clone()) } else { None }
}

fn timestamp(node: &Node) -> Option<Arc<str>> {
    node.as_str().filter(|text| is_timestamp(text)).cloned()
}

fn relation(name: &str) -> Option<Relation> {
    Some(match name {
        "Equals" => Relation::Equals,
        "LessThan" => Relation::LessThan,
        "GreaterThan" => Relation::GreaterThan,
        "LessThanEquals" => Relation::LessThanEquals,
        "GreaterThanEquals" => Relation::GreaterThanEquals,
        _ => return None,
    })
}

fn type_test(operator: &str) -> Option<TypeTest> {
    Some(match operator {
        "IsNull" => TypeTest::Null,
        "IsPresent" => TypeTest::Present,
        "IsNumeric" => TypeTest::Numeric,
        "IsString" => TypeTest::String,
        "IsBoolean" => TypeTest::Boolean,
        "IsTimestamp" => TypeTest::Timestamp,
        _ => return None,
    })
}

fn is_operator(name: &str) -> bool {
    matches!(name, "And" | "Or" | "Not") || OPERATORS.contains(&name)
}

/// The comparison operators (ASL: Choice Rule; Data-test expressions).
const OPERATORS: [&str; 39] = [
    "StringEquals",
    "StringEqualsPath",
    "StringLessThan",
    "StringLessThanPath",
    "StringGreaterThan",
    "StringGreaterThanPath",
    "StringLessThanEquals",
    "StringLessThanEqualsPath",
    "StringGreaterThanEquals",
    "StringGreaterThanEqualsPath",
    "StringMatches",
    "NumericEquals",
    "NumericEqualsPath",
    "NumericLessThan",
    "NumericLessThanPath",
    "NumericGreaterThan",
    "NumericGreaterThanPath",
    "NumericLessThanEquals",
    "NumericLessThanEqualsPath",
    "NumericGreaterThanEquals",
    "NumericGreaterThanEqualsPath",
    "BooleanEquals",
    "BooleanEqualsPath",
    "TimestampEquals",
    "TimestampEqualsPath",
    "TimestampLessThan",
    "TimestampLessThanPath",
    "TimestampGreaterThan",
    "TimestampGreaterThanPath",
    "TimestampLessThanEquals",
    "TimestampLessThanEqualsPath",
    "TimestampGreaterThanEquals",
    "TimestampGreaterThanEqualsPath",
    "IsNull",
    "IsPresent",
    "IsNumeric",
    "IsString",
    "IsBoolean",
    "IsTimestamp",
];
