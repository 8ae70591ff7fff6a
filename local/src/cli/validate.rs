//! `stepwell validate`: what is wrong with definitions, and where.

use std::io::{IsTerminal, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use stepwell_asl::{Diagnostic, Severity};

use super::source::{Source, Type};

/// Checks state machine definitions, in JSON or YAML, as AWS does when it creates the state machine.
///
/// Every mistake is shown at once, with AWS's code and message and the line that it is about. Exits with 1 where a
/// definition has errors; warnings are shown, and change nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Definitions (.asl.json, .json, .asl.yaml, .yaml); `-` reads standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The type of state machine that the definitions are for
    #[arg(long = "type", value_enum, default_value_t, value_name = "TYPE")]
    machine_type: Type,
    /// Print one JSON object a finding instead of text
    #[arg(long)]
    json: bool,
}

/// Findings that are shown of one file; the others are counted.
const SHOWN_MAX: usize = 50;

impl Args {
    /// Checks the files and prints what there is to say: findings on standard error (with `--json` on standard output),
    /// and one line for each file that is in order on standard output.
    ///
    /// # Errors
    /// A file that cannot be read, or output that cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut refused = false;
        for path in &self.files {
            let source = Source::read(path)?;
            let diagnostics = source.parse(self.machine_type).diagnostics;
            refused |= diagnostics.iter().any(|d| d.severity == Severity::Error);
            match self.json {
                true => write_json(&source, &diagnostics)?,
                false => write_text(&source, &diagnostics)?,
            }
        }
        Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Shows findings as people read them, on standard error.
pub(super) fn write_text(source: &Source, diagnostics: &[Diagnostic]) -> std::io::Result<()> {
    let mut out = std::io::stderr().lock();
    let coloured = out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let renderer = if coloured { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(if coloured { DecorStyle::Unicode } else { DecorStyle::Ascii });
    for diagnostic in diagnostics.iter().take(SHOWN_MAX) {
        writeln!(out, "{}\n", rendered(source, diagnostic, &renderer))?;
    }
    if diagnostics.len() > SHOWN_MAX {
        writeln!(out, "... and {} more\n", diagnostics.len() - SHOWN_MAX)?;
    }
    let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    let warnings = diagnostics.len() - errors;
    let counted = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let file = source.shown();
    match (errors, warnings) {
        (0, 0) => writeln!(std::io::stdout(), "{file}: valid"),
        (0, _) => writeln!(std::io::stdout(), "{file}: valid, {}", counted(warnings, "warning")),
        (_, 0) => writeln!(out, "{file}: {}", counted(errors, "error")),
        _ => writeln!(out, "{file}: {}, {}", counted(errors, "error"), counted(warnings, "warning")),
    }
}

/// Prints one JSON object a line.
fn write_json(source: &Source, diagnostics: &[Diagnostic]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for diagnostic in diagnostics {
        let mut object = serde_json::json!({
            "file": source.shown(),
            "severity": severity(diagnostic.severity),
            "code": diagnostic.code.0,
            "message": diagnostic.message,
            "location": diagnostic.location,
            "line": diagnostic.line,
            "column": diagnostic.column,
        });
        if let Some(help) = &diagnostic.help {
            object["help"] = help.as_str().into();
        }
        writeln!(out, "{object}")?;
    }
    Ok(())
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "ERROR",
        Severity::Warning => "WARNING",
    }
}

fn rendered(source: &Source, diagnostic: &Diagnostic, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let file = source.shown();
    // What follows the first line repeats the source and the place.
    let message = diagnostic.message.lines().next().unwrap_or_default().trim_end();
    let (excerpt, span) = excerpt(&source.text, &diagnostic.span);
    let is_cut = excerpt[..span.start].chars().count() + 1 < diagnostic.column;
    let snippet = Snippet::source(excerpt).line_start(diagnostic.line);
    let snippet = snippet.annotation(AnnotationKind::Primary.span(span));
    let title = level.primary_title(message).id(diagnostic.code.0);
    // The renderer counts columns in what it is given: where a long line is cut, the place is said apart.
    let mut group = if is_cut {
        let place = Origin::path(file.as_str()).line(diagnostic.line).char_column(diagnostic.column);
        title.element(place).element(snippet)
    } else {
        title.element(snippet.path(file.as_str()))
    };
    if diagnostic.location.starts_with('/') {
        group = group.element(Level::NOTE.message(format!("at {}", diagnostic.location)));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// Bytes of a line that are shown on either side of the finding.
const EXCERPT_BYTES: usize = 90;

/// The line on which `span` begins, or the part of it around the span, and the span in it.
fn excerpt<'t>(text: &'t str, span: &Range<usize>) -> (&'t str, Range<usize>) {
    let start = span.start.min(text.len());
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let line_end = if text[..line_end].ends_with('\r') { line_end - 1 } else { line_end }.max(start);
    let end = span.end.clamp(start, line_end);
    let from = boundary(text, line_start.max(start.saturating_sub(EXCERPT_BYTES)));
    let to = boundary(text, line_end.min(start + EXCERPT_BYTES)).max(start);
    (&text[from..to], start - from..end.min(to) - from)
}

/// The nearest place before `at` where a character begins.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepwell_asl::Format;

    fn check(text: &str, expected: &str) {
        let source = Source { path: "order.asl.json".into(), text: text.to_owned(), format: Format::Json };
        let diagnostics = source.parse(Type::Standard).diagnostics;
        assert_eq!(rendered(&source, &diagnostics[0], &Renderer::plain()), expected.trim_matches('\n'));
    }

    #[test]
    fn shows_findings_as_rustc_does() {
        check(
            "{\n  \"StartAt\": \"Chrage\",\n  \"States\": {\n    \"Charge\": { \"Type\": \"Succeed\" }\n  }\n}\n",
            r#"
error[MISSING_TRANSITION_TARGET]: Missing 'Next' target: Chrage
 --> order.asl.json:2:14
  |
2 |   "StartAt": "Chrage",
  |              ^^^^^^^^
  |
  = note: at /StartAt
  = help: did you mean 'Charge'?
"#,
        );
    }

    #[test]
    fn excerpts_are_within_one_line_and_not_too_long() {
        let long = format!("{}{{}}{}", "é".repeat(500), "ü".repeat(500));
        for (text, span, expected) in [
            ("ab\r\ncd", 0..6, ("ab", 0..2)),
            ("ab\ncd", 3..5, ("cd", 0..2)),
            ("ab", 9..12, ("ab", 2..2)),
            ("", 0..0, ("", 0..0)),
        ] {
            assert_eq!(excerpt(text, &span), expected, "{text}");
        }
        let (excerpt, span) = excerpt(&long, &(1000..1002));
        assert_eq!(&excerpt[span], "{}");
        assert!(excerpt.len() <= 2 * EXCERPT_BYTES);
    }
}
