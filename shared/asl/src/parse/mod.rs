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

use std::sync::Arc;

use stepwell_expr::json::{JsonError, JsonErrorKind};

use crate::{Code, Definition, Diagnostic, Severity};
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
            blocks: std::mem::take(&mut checker.blocks),
            states: std::mem::take(&mut checker.states),
        }),
        _ => None,
    };
    Parsed { definition, diagnostics: checker.diagnostics }
}

/// The tree, the definition as JSON text, and the keys that come twice.
fn read(text: &str, format: Format) -> Result<(Node, Arc<str>, Vec<Diagnostic>), Box<Diagnostic>> {
    let lines = Lines::of(text);
    let (node, duplicates) = match format {
        Format::Json => source::read_json(text).map_err(|error| Box::new(unreadable(text, error)))?,
        Format::Yaml => source::read_json(text).map_err(|error| Box::new(unreadable(text, error)))?,
    };
    let twice = duplicates.into_iter().map(|duplicate| {
        let (line, column) = lines.position(text, duplicate.span.start);
        Diagnostic {
            severity: Severity::Error,
            code: Code::INVALID_JSON_DESCRIPTION,
            message: format!("Duplicate field '{}'", duplicate.key),
            location: String::new(),
            span: duplicate.span,
            line,
            column,
            help: None,
        }
    });
    Ok((node, text.into(), twice.collect()))
}

/// The diagnostic of a text that is no JSON.
fn unreadable(text: &str, error: JsonError) -> Diagnostic {
    let empty = text.trim().is_empty();
    let (code, message) = match error.kind {
        _ if empty => (Code::SCHEMA_VALIDATION_FAILED, block::NOT_AN_OBJECT.to_owned()),
        JsonErrorKind::Depth => (Code::TOO_DEEPLY_NESTED, error.message),
        _ => (Code::INVALID_JSON_DESCRIPTION, error.message),
    };
    let start = (0..=error.offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let end = text[start..].chars().next().map_or(start, |c| start + c.len_utf8());
    Diagnostic {
        severity: Severity::Error,
        code,
        message,
        location: String::new(),
        span: start..end,
        line: error.line,
        column: error.column,
        help: None,
    }
}
