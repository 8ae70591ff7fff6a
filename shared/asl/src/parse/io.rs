//! How data flows into and out of a state.

use stepwell_expr::Template;
use stepwell_expr::jsonpath::ReferencePath;

use super::checker::{Checker, Fields};
use super::expression::{PathKind, path, template};
use super::source::{Content, Node, Pointer};
use crate::{Code, Io, JsonataIo, PathIo, ResultPath, Selection, Severity};

/// The data flow fields of a state.
pub(crate) fn io(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Io {
    if fields.is_jsonata() {
        let arguments = template(checker, fields, "Arguments");
        return Io::Jsonata(JsonataIo { arguments, output: template(checker, fields, "Output") });
    }
    let parameters = payload_template(checker, fields, "Parameters");
    Io::JsonPath(path_io(checker, fields, parameters))
}

/// The data flow fields of a Map state, whose `Parameters` are its `ItemSelector`.
pub(crate) fn map_io(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Io {
    if fields.is_jsonata() {
        return Io::Jsonata(JsonataIo { arguments: None, output: template(checker, fields, "Output") });
    }
    Io::JsonPath(path_io(checker, fields, None))
}

fn path_io(checker: &mut Checker<'_>, fields: &Fields<'_>, parameters: Option<Template>) -> PathIo {
    PathIo {
        input_path: selection(checker, fields, "InputPath"),
        parameters,
        result_selector: payload_template(checker, fields, "ResultSelector"),
        result_path: result_path(checker, fields),
        output_path: selection(checker, fields, "OutputPath"),
    }
}

fn selection(checker: &mut Checker<'_>, fields: &Fields<'_>, name: &str) -> Selection {
    match fields.get(name).map(|node| &node.content) {
        None => Selection::All,
        Some(Content::Null) => Selection::Nothing,
        Some(Content::String(text)) if &**text == "$" => Selection::All,
        Some(_) => path(checker, fields, name, PathKind::Any).map_or(Selection::All, Selection::Path),
    }
}

/// `ResultPath` of a state or a Catcher.
pub(crate) fn result_path(checker: &mut Checker<'_>, fields: &Fields<'_>) -> ResultPath {
    let Some(node) = fields.get("ResultPath") else { return ResultPath::Replace };
    if let Content::Null = node.content {
        return ResultPath::Discard;
    }
    let Some(text) = fields.string(checker, "ResultPath") else { return ResultPath::Replace };
    match ReferencePath::compile(text) {
        Ok(path) if path.is_root() => ResultPath::Replace,
        Ok(path) => ResultPath::Insert(path),
        Err(error) => {
            checker.schema(&fields.pointer.key("ResultPath"), &node.span, error.message);
            ResultPath::Replace
        }
    }
}

/// `Assign`, whose keys name variables.
pub(crate) fn assign(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Option<Template> {
    let node = fields.get("Assign")?;
    let pointer = fields.pointer.key("Assign");
    let Some(members) = node.as_object() else {
        checker.schema(&pointer, &node.span, "Expected value of type [OBJECT]");
        return None;
    };
    for member in members {
        let name = member.key.strip_suffix(".$").filter(|_| !fields.is_jsonata()).unwrap_or(&member.key);
        if let Some(reason) = variable_name_mistake(name) {
            checker.error(Code::SCHEMA_VALIDATION_FAILED, pointer.location(), &member.key_span, reason);
        }
    }
    template(checker, fields, "Assign")
}

/// Longest name of a variable, in characters.
const VARIABLE_CHARACTERS_MAX: usize = 80;

fn variable_name_mistake(name: &str) -> Option<String> {
    let mut letters = name.chars();
    let begins = letters.next().is_some_and(|c| c == '_' || c.is_alphabetic());
    let goes_on = letters.all(|c| c == '_' || c.is_alphanumeric() || unicode_joins(c));
    if !begins || !goes_on {
        return Some(format!("Invalid variable name: '{name}'"));
    }
    if name == "states" {
        return Some("The variable name 'states' is reserved".to_owned());
    }
    let long = name.chars().count() > VARIABLE_CHARACTERS_MAX;
    long.then(|| format!("Variable names have at most {VARIABLE_CHARACTERS_MAX} characters: '{name}'"))
}

/// Marks and joiners go on a Unicode identifier though they begin none.
fn unicode_joins(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{200C}' | '\u{200D}' | '\u{203F}' | '\u{2040}')
}

/// A JSONPath payload template, with warnings for values that look like forgotten paths.
pub(crate) fn payload_template(
    checker: &mut Checker<'_>,
    fields: &Fields<'_>,
    name: &str,
) -> Option<Template> {
    let node = fields.get(name)?;
    if !fields.is_jsonata() {
        warn_no_dollar(checker, node, &fields.pointer.key(name));
    }
    template(checker, fields, name)
}

fn warn_no_dollar(checker: &mut Checker<'_>, node: &Node, pointer: &Pointer<'_>) {
    match &node.content {
        Content::Object(members) => {
            for member in members {
                let at = pointer.key(&member.key);
                match member.node.as_str() {
                    Some(text) if !member.key.ends_with(".$") && looks_like_path(text) => {
                        let message = format!(
                            "Field '{}' looks like a path or an intrinsic function, but lacks '.$'",
                            member.key
                        );
                        let help = Some(format!("to have it evaluated, write \"{}.$\"", member.key));
                        let span = &member.key_span;
                        checker.report(
                            Severity::Warning,
                            Code::NO_DOLLAR,
                            at.location(),
                            span,
                            message,
                            help,
                        );
                    }
                    Some(_) => {}
                    None => warn_no_dollar(checker, &member.node, &at),
                }
            }
        }
        Content::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                warn_no_dollar(checker, item, &pointer.index(index));
            }
        }
        _ => {}
    }
}

/// Warns of what looks like a path in a Pass state's `Result`.
pub(crate) fn warn_static(checker: &mut Checker<'_>, node: &Node, pointer: &Pointer<'_>) {
    let warn = |checker: &mut Checker<'_>, node: &Node, at: &Pointer<'_>| {
        let message = "The Result of a Pass state is static: a path in it is not evaluated".to_owned();
        let help = Some("use 'Parameters' to have it evaluated".to_owned());
        let code = Code::PASS_RESULT_IS_STATIC;
        checker.report(Severity::Warning, code, at.location(), &node.span, message, help);
    };
    match &node.content {
        Content::Object(members) => {
            for member in members {
                let at = pointer.key(&member.key);
                match member.node.as_str() {
                    Some(text) if member.key.ends_with(".$") && looks_like_path(text) => {
                        warn(checker, &member.node, &at);
                    }
                    Some(_) => {}
                    None => warn_static(checker, &member.node, &at),
                }
            }
        }
        Content::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                warn_static(checker, item, &pointer.index(index));
            }
        }
        _ => {}
    }
}

/// Warns of a path in the field `name`, which takes one under the name `{name}Path` only.
pub(crate) fn warn_no_path(checker: &mut Checker<'_>, fields: &Fields<'_>, name: &str) {
    let Some(node) = fields.get(name) else { return };
    if !fields.is_jsonata() && node.as_str().is_some_and(|text| looks_like_path(text)) {
        let message =
            format!("The value of '{name}' looks like a path, but the field's name does not end in 'Path'");
        let help = Some(format!("to have it evaluated, write \"{name}Path\""));
        let location = fields.pointer.key(name).location();
        checker.report(Severity::Warning, Code::NO_PATH, location, &node.span, message, help);
    }
}

fn looks_like_path(text: &str) -> bool {
    text.starts_with("$.") || text.starts_with("$$.") || text.starts_with("$[") || text.starts_with("States.")
}
