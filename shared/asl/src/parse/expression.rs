//! Compiles the expressions that fields hold.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use stepwell_expr::jsonata::Expression;
use stepwell_expr::{CompileError, PathExpression, QueryLanguage, Template};

use super::checker::{Checker, Fields};
use super::fields::integer_of;
use super::source::{Content, Node, Pointer};
use crate::{Code, Dynamic};

/// The template in the field `name`.
pub(crate) fn template(checker: &mut Checker<'_>, fields: &Fields<'_>, name: &str) -> Option<Template> {
    let node = fields.get(name)?;
    template_of(checker, fields, name, node)
}

/// The template that `node`, the field `name`, holds.
pub(crate) fn template_of(
    checker: &mut Checker<'_>,
    fields: &Fields<'_>,
    name: &str,
    node: &Node,
) -> Option<Template> {
    let pointer = fields.pointer.key(name);
    match Template::compile(&node.value(), fields.language) {
        Ok(template) => Some(template),
        Err(errors) => {
            for error in errors {
                let span = node.at(&error.pointer).span.clone();
                compile_error(checker, fields.language, &pointer, &span, error);
            }
            None
        }
    }
}

/// Reports why something does not compile; the error's own pointer leads on from `pointer`.
fn compile_error(
    checker: &mut Checker<'_>,
    language: QueryLanguage,
    pointer: &Pointer<'_>,
    span: &Range<usize>,
    error: CompileError,
) {
    let location = format!("{pointer}{}", error.pointer);
    let (code, message) = match language {
        QueryLanguage::JsonPath => (Code::SCHEMA_VALIDATION_FAILED, error.message),
        QueryLanguage::Jsonata => jsonata_code(error.message),
    };
    checker.error(code, location, span, message);
}

/// Takes the code off a JSONata message that begins with one.
fn jsonata_code(message: String) -> (Code, String) {
    for code in [
        Code::UNSUPPORTED_JSONATA_EXPRESSION,
        Code::INVALID_JSONATA_EXPRESSION,
        Code::SCHEMA_VALIDATION_FAILED,
    ] {
        if let Some(rest) = message.strip_prefix(code.0).and_then(|rest| rest.strip_prefix(": ")) {
            return (code, rest.to_owned());
        }
    }
    (Code::INVALID_JSONATA_EXPRESSION, message)
}

/// What stands between `{%` and `%}` where `text` is a JSONata expression.
pub(crate) fn jsonata_source(text: &str) -> Option<&str> {
    text.strip_prefix("{%")?.strip_suffix("%}")
}

/// The JSONata expression `text` of the field `name`, reported where it does not compile.
pub(crate) fn jsonata(
    checker: &mut Checker<'_>,
    fields: &Fields<'_>,
    name: &str,
    node: &Node,
    source: &str,
) -> Option<Expression> {
    match Expression::compile(source) {
        Ok(expression) => Some(expression),
        Err(error) => {
            compile_error(checker, QueryLanguage::Jsonata, &fields.pointer.key(name), &node.span, error);
            None
        }
    }
}

/// The path (or intrinsic function) in the field `name`.
pub(crate) fn path(checker: &mut Checker<'_>, fields: &Fields<'_>, name: &str) -> Option<PathExpression> {
    let text = fields.string(checker, name)?;
    let node = fields.get(name)?;
    match PathExpression::compile(text) {
        Ok(path) => Some(path),
        Err(error) => {
            checker.schema(&fields.pointer.key(name), &node.span, error.message);
            None
        }
    }
}

/// A number that is given as such, by an expression, or by a path in `{name}Path`.
pub(crate) fn dynamic_integer(
    checker: &mut Checker<'_>,
    fields: &Fields<'_>,
    name: &str,
    range: RangeInclusive<u64>,
) -> Option<Dynamic<u64>> {
    match given(checker, fields, name)? {
        Given::Path(path) => Some(Dynamic::Path(path)),
        Given::Expression(expression) => Some(Dynamic::Expression(expression)),
        Given::Value(node) => integer_of(checker, fields, name, node, range).map(Dynamic::Fixed),
    }
}

/// As [`dynamic_integer`], for a percentage.
pub(crate) fn dynamic_percentage(
    checker: &mut Checker<'_>,
    fields: &Fields<'_>,
    name: &str,
) -> Option<Dynamic<f64>> {
    let node = match given(checker, fields, name)? {
        Given::Path(path) => return Some(Dynamic::Path(path)),
        Given::Expression(expression) => return Some(Dynamic::Expression(expression)),
        Given::Value(node) => node,
    };
    let value = match &node.content {
        Content::Number(number) => Some(number.as_f64()).filter(|value| (0.0..=100.0).contains(value)),
        _ => None,
    };
    if value.is_none() {
        checker.schema(&fields.pointer.key(name), &node.span, "Expected value to be a number from 0 to 100");
    }
    value.map(Dynamic::Fixed)
}

/// As [`dynamic_integer`], for text.
pub(crate) fn dynamic_string(
    checker: &mut Checker<'_>,
    fields: &Fields<'_>,
    name: &str,
) -> Option<Dynamic<Arc<str>>> {
    match given(checker, fields, name)? {
        Given::Path(path) => Some(Dynamic::Path(path)),
        Given::Expression(expression) => Some(Dynamic::Expression(expression)),
        Given::Value(_) => fields.string(checker, name).cloned().map(Dynamic::Fixed),
    }
}

enum Given<'a> {
    Path(PathExpression),
    Expression(Expression),
    Value(&'a Node),
}

fn given<'a>(checker: &mut Checker<'_>, fields: &Fields<'a>, name: &str) -> Option<Given<'a>> {
    let path_name = format!("{name}Path");
    if fields.has(&path_name) && !fields.is_jsonata() {
        if fields.has(name) {
            let message = format!("Only one of these fields is allowed: [{name}, {path_name}]");
            checker.schema(fields.pointer, fields.span, message);
        }
        return path(checker, fields, &path_name).map(Given::Path);
    }
    let node = fields.get(name)?;
    let source = node.as_str().filter(|_| fields.is_jsonata()).and_then(|text| jsonata_source(text));
    match source {
        Some(source) => jsonata(checker, fields, name, node, source).map(Given::Expression),
        None => Some(Given::Value(node)),
    }
}
