//! Compiles the expressions that fields hold.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use stepwell_expr::jsonata::Expression;
use stepwell_expr::jsonpath::ReferencePath;
use stepwell_expr::{CompileError, PathExpression, QueryLanguage, Template};

use super::checker::{Checker, Fields};
use super::fields::{at_most_one, integer_of};
use super::io::warn_no_path;
use super::source::{Content, Node};
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
        Ok(template) => {
            if !fields.is_catcher {
                for place in template.reads_error_output() {
                    no_error_output(checker, &format!("{pointer}{place}"), &node.at(place).span);
                }
            }
            Some(template)
        }
        Err(errors) => {
            for error in errors {
                let location = format!("{pointer}{}", node.location(&error.pointer));
                compile_error(
                    checker,
                    fields.language,
                    location,
                    &node.at(&error.pointer).span,
                    error.message,
                );
            }
            None
        }
    }
}

/// Reports why something does not compile.
fn compile_error(
    checker: &mut Checker<'_>,
    language: QueryLanguage,
    location: String,
    span: &Range<usize>,
    message: String,
) {
    let (code, message) = match language {
        QueryLanguage::JsonPath => (Code::SCHEMA_VALIDATION_FAILED, message),
        QueryLanguage::Jsonata => jsonata_code(message),
    };
    checker.error(code, location, span, message);
}

/// Reports `$states.errorOutput` outside a Catcher.
fn no_error_output(checker: &mut Checker<'_>, location: &str, span: &Range<usize>) {
    let message = Expression::NO_ERROR_OUTPUT.to_owned();
    compile_error(checker, QueryLanguage::Jsonata, location.to_owned(), span, message);
}

/// Takes the code off a JSONata message that begins with one.
fn jsonata_code(message: String) -> (Code, String) {
    for code in [Code::UNSUPPORTED_JSONATA_EXPRESSION, Code::INVALID_JSONATA_EXPRESSION] {
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

/// The JSONata expression `source` of the field `name`, reported where it does not compile.
pub(crate) fn jsonata(
    checker: &mut Checker<'_>,
    fields: &Fields<'_>,
    name: &str,
    node: &Node,
    source: &str,
) -> Option<Expression> {
    let location = fields.pointer.key(name).location();
    match Expression::compile_all(source) {
        Ok(expression) => {
            if expression.reads_error_output() {
                no_error_output(checker, &location, &node.span);
            }
            Some(expression)
        }
        Err(errors) => {
            for error in errors {
                compile_error(checker, QueryLanguage::Jsonata, location.clone(), &node.span, error.message);
            }
            None
        }
    }
}

/// What a field that holds a path may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathKind {
    /// Any path.
    Any,
    /// A path to one place.
    Reference,
    /// A path to one place of the input or of a variable, but not of the Context object.
    ReferenceToData,
    /// A path to one place, or a call of an intrinsic function.
    ReferenceOrIntrinsic,
}

/// The path in the field `name`.
pub(crate) fn path(
    checker: &mut Checker<'_>,
    fields: &Fields<'_>,
    name: &str,
    kind: PathKind,
) -> Option<PathExpression> {
    let text = fields.string(checker, name)?;
    let node = fields.get(name)?;
    let is_call = text.starts_with("States.");
    let checked = match kind {
        PathKind::Any if is_call => Err(NOT_A_PATH.to_owned()),
        PathKind::ReferenceOrIntrinsic if is_call => Ok(()),
        PathKind::Any => Ok(()),
        PathKind::ReferenceToData if text.starts_with("$$") => {
            Err("Value is not a Reference Path: the Context object is not supported here".to_owned())
        }
        _ => reference(text),
    };
    let compiled = checked.and_then(|()| {
        let error =
            |error: CompileError| if kind == PathKind::Any { NOT_A_PATH.to_owned() } else { error.message };
        PathExpression::compile(text).map_err(error)
    });
    if let Err(message) = &compiled {
        checker.schema(&fields.pointer.key(name), &node.span, message);
    }
    compiled.ok()
}

const NOT_A_PATH: &str = "Value must be a valid JSONPath.";

/// Whether `text`, from whatever root, leads to one place.
fn reference(text: &str) -> Result<(), String> {
    let Some(rest) = text.strip_prefix('$') else {
        return Err("Value is not a Reference Path: Reference path didn't start with '$'".to_owned());
    };
    let steps = rest.trim_start_matches(|c: char| !matches!(c, '.' | '['));
    ReferencePath::compile(&format!("${steps}")).map(|_| ()).map_err(|error| error.message)
}

/// A number that is given as such, by an expression, or by a path in `{name}Path`.
pub(crate) fn dynamic_integer(
    checker: &mut Checker<'_>,
    fields: &Fields<'_>,
    name: &str,
    range: RangeInclusive<u64>,
    kind: PathKind,
) -> Option<Dynamic<u64>> {
    match given(checker, fields, name, kind)? {
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
    let node = match given(checker, fields, name, PathKind::ReferenceToData)? {
        Given::Path(path) => return Some(Dynamic::Path(path)),
        Given::Expression(expression) => return Some(Dynamic::Expression(expression)),
        Given::Value(node) => node,
    };
    let mistake = match &node.content {
        Content::Number(number) if number.as_f64() < 0.0 => "Minimum value is 0.0",
        Content::Number(number) if number.as_f64() > 100.0 => "Maximum value is 100.0",
        Content::Number(number) => return Some(Dynamic::Fixed(number.as_f64())),
        _ => "Expected value of type [NUMBER]",
    };
    checker.schema(&fields.pointer.key(name), &node.span, mistake);
    None
}

/// As [`dynamic_integer`], for text.
pub(crate) fn dynamic_string(
    checker: &mut Checker<'_>,
    fields: &Fields<'_>,
    name: &str,
    kind: PathKind,
) -> Option<Dynamic<Arc<str>>> {
    match given(checker, fields, name, kind)? {
        Given::Path(path) => Some(Dynamic::Path(path)),
        Given::Expression(expression) => Some(Dynamic::Expression(expression)),
        Given::Value(_) => {
            warn_no_path(checker, fields, name);
            fields.string(checker, name).cloned().map(Dynamic::Fixed)
        }
    }
}

enum Given<'a> {
    Path(PathExpression),
    Expression(Expression),
    Value(&'a Node),
}

fn given<'a>(
    checker: &mut Checker<'_>,
    fields: &Fields<'a>,
    name: &str,
    kind: PathKind,
) -> Option<Given<'a>> {
    let path_name = format!("{name}Path");
    if fields.has(&path_name) && !fields.is_jsonata() {
        at_most_one(checker, fields, &[name, &path_name]);
        return path(checker, fields, &path_name, kind).map(Given::Path);
    }
    let node = fields.get(name)?;
    let source = node.as_str().filter(|_| fields.is_jsonata()).and_then(|text| jsonata_source(text));
    match source {
        Some(source) => jsonata(checker, fields, name, node, source).map(Given::Expression),
        None => Some(Given::Value(node)),
    }
}
