//! Reads definitions.
//!
//! [`source`] gives the text as a tree with places; [`block`] and [`state`] walk over it, one file per state type,
//! and [`checker`] gathers what they find. A reader that finds a mistake reports it and goes on with a placeholder:
//! a definition with errors is never handed out.

mod block;
mod checker;
mod choice;
mod expression;
mod fields;
mod io;
mod map;
mod parallel;
mod resource;
mod retry;
mod source;
mod state;
mod task;
mod timestamp;
mod wait;
mod yaml;

use std::ops::Range;
use std::sync::Arc;

use stepwell_expr::json::{JsonError, JsonErrorKind, source_location};

use crate::{BlockId, Code, Definition, Diagnostic, Severity};
use checker::Checker;
use source::{Lines, Node};

/// How a definition is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON, as the API takes it.
    Json,
    /// YAML, as tools keep it (`.asl.yaml`).
    Yaml,
}

/// The type of the state machine, which decides what its states may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MachineType {
    /// `STANDARD`
    #[default]
    Standard,
    /// `EXPRESS`
    Express,
}

/// What reading a definition gave.
#[derive(Debug)]
pub struct Parsed {
    /// The definition; `None` where a diagnostic is an error.
    pub definition: Option<Definition>,
    /// Everything found: first what is wrong with fields, in the order of the source, block by block what is wrong
    /// with transitions.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads and checks a definition, reporting everything that is wrong with it at once (ASL; API:
/// ValidateStateMachineDefinition).
///
/// At most 1000 diagnostics are kept. No text makes it panic or overflow its stack.
pub fn parse(text: &str, format: Format, machine_type: MachineType) -> Parsed {
    let (node, json, diagnostics) = match read(text, format) {
        Ok(source) => source,
        Err(diagnostic) => return Parsed { definition: None, diagnostics: vec![*diagnostic] },
    };
    let mut checker = Checker::new(text, machine_type);
    checker.diagnostics = diagnostics;
    let top = block::machine(&mut checker, &node);
    let definition = match top {
        Some(top) if !checker.has_errors() => Some(Definition {
            text: json,
            comment: top.comment,
            query_language: checker.language,
            timeout_seconds: top.timeout_seconds,
            root: BlockId(0),
            blocks: std::mem::take(&mut checker.blocks).into(),
            states: std::mem::take(&mut checker.states).into(),
        }),
        _ => None,
    };
    Parsed { definition, diagnostics: checker.diagnostics }
}

/// The tree, the definition as JSON text, and what is wrong with single keys.
type Read = (Node, Arc<str>, Vec<Diagnostic>);

/// Reads and checks the JSON of one state that stands by itself (API: TestState). It is the only state of the definition,
/// under the name [`LONE_STATE`]; where its transitions lead is not asked.
pub fn parse_state(text: &str, machine_type: MachineType) -> Parsed {
    let (node, json, diagnostics) = match read(text, Format::Json) {
        Ok(source) => source,
        Err(diagnostic) => return Parsed { definition: None, diagnostics: vec![*diagnostic] },
    };
    let mut checker = Checker::new(text, machine_type);
    checker.diagnostics = diagnostics;
    let is_read = block::lone(&mut checker, &node, LONE_STATE.into());
    let definition = (is_read && !checker.has_errors()).then(|| Definition {
        text: json,
        comment: None,
        query_language: checker.language,
        timeout_seconds: None,
        root: BlockId(0),
        blocks: std::mem::take(&mut checker.blocks).into(),
        states: std::mem::take(&mut checker.states).into(),
    });
    Parsed { definition, diagnostics: checker.diagnostics }
}

/// The name of a state that stands by itself, as AWS calls it (recorded).
pub const LONE_STATE: &str = "StateName";

/// The JSON of a text in YAML. Whether it is a definition is not asked.
///
/// # Errors
/// Why it is no YAML, or nothing at all.
pub fn json_of_yaml(text: &str) -> Result<String, String> {
    let (node, _) = yaml::read_yaml(text).map_err(|error| error.message)?;
    let node = node.ok_or_else(|| block::NOT_AN_OBJECT.to_owned())?;
    Ok(node.value().to_json())
}

fn read(text: &str, format: Format) -> Result<Read, Box<Diagnostic>> {
    let lines = Lines::of(text);
    let (node, json, duplicates) = match format {
        Format::Json => {
            let (node, duplicates) =
                source::read_json(text).map_err(|error| unreadable_json(text, &lines, error))?;
            (node, text.into(), duplicates)
        }
        Format::Yaml => {
            let read = yaml::read_yaml(text);
            let (node, duplicates) = read.map_err(|error| unreadable_yaml(text, &lines, error))?;
            let node = node.ok_or_else(|| nothing(text, &lines))?;
            let json = node.value().to_json().into();
            (node, json, duplicates)
        }
    };
    let code = Code::INVALID_JSON_DESCRIPTION;
    let twice = duplicates.into_iter().map(|duplicate| {
        let message = format!("Duplicate field '{}'", duplicate.key);
        whole(text, &lines, code, message, duplicate.span)
    });
    Ok((node, json, twice.collect()))
}

/// The diagnostic of a text that is no JSON.
fn unreadable_json(text: &str, lines: &Lines, error: JsonError) -> Box<Diagnostic> {
    if text.trim().is_empty() {
        return nothing(text, lines);
    }
    let span = character_at(text, error.offset);
    if error.kind == JsonErrorKind::Depth {
        return Box::new(whole(text, lines, Code::TOO_DEEPLY_NESTED, error.message, span));
    }
    let location = source_location(text, error.line, error.column);
    let message = format!("{}\n at {location}", error.message);
    let diagnostic = whole(text, lines, Code::INVALID_JSON_DESCRIPTION, message, span);
    Box::new(Diagnostic { location, ..diagnostic })
}

fn unreadable_yaml(text: &str, lines: &Lines, error: yaml::YamlError) -> Box<Diagnostic> {
    let span = if error.span.is_empty() { character_at(text, error.span.start) } else { error.span };
    Box::new(whole(text, lines, Code::INVALID_JSON_DESCRIPTION, error.message, span))
}

fn nothing(text: &str, lines: &Lines) -> Box<Diagnostic> {
    let message = block::NOT_AN_OBJECT.to_owned();
    Box::new(whole(text, lines, Code::SCHEMA_VALIDATION_FAILED, message, 0..0))
}

/// The bytes of the character at `offset`, or of what comes before where that is inside of one.
fn character_at(text: &str, offset: usize) -> Range<usize> {
    let start = (0..=offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    start..text[start..].chars().next().map_or(start, |c| start + c.len_utf8())
}

/// An error about the text as such, for which AWS names no location.
fn whole(text: &str, lines: &Lines, code: Code, message: String, span: Range<usize>) -> Diagnostic {
    let (line, column) = lines.position(text, span.start);
    Diagnostic {
        severity: Severity::Error,
        code,
        message,
        location: String::new(),
        span,
        line,
        column,
        help: None,
    }
}
