//! `stepwell graph`: a definition as a drawing.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use stepwell_asl::{Definition, graph};

use super::source::{Source, Type};
use super::validate::write_text;

/// Draws a state machine definition: as an SVG that needs nothing else, and as Mermaid text.
///
/// Parallel and Map states are drawn around their branches, conditions and errors stand at their edges. Without
/// options two files are written into the current directory: for `order.asl.json`, `order.svg` and `order.mmd`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The definition (.asl.json, .json, .asl.yaml, .yaml); `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write one format only
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Drawing>,
    /// Where to write; `-` is standard output. The format is taken from its name where `--format` does not tell
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
}

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Drawing {
    /// A standalone SVG
    Svg,
    /// Mermaid's stateDiagram-v2
    Mermaid,
}

impl Drawing {
    fn draw(self, definition: &Definition) -> String {
        match self {
            Drawing::Svg => graph::svg(definition),
            Drawing::Mermaid => graph::mermaid(definition),
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Drawing::Svg => "svg",
            Drawing::Mermaid => "mmd",
        }
    }
}

impl Args {
    /// Writes the drawings, and says where. Exits with 1 where the definition has errors, which it shows as
    /// `stepwell validate` does.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let source = Source::read(&self.file)?;
        let parsed = source.parse(Type::Standard);
        let Some(definition) = parsed.definition else {
            write_text(&source, &parsed.diagnostics)?;
            return Ok(ExitCode::FAILURE);
        };
        for (drawing, path) in self.targets() {
            let text = drawing.draw(&definition);
            if path == Path::new("-") {
                std::io::stdout().write_all(text.as_bytes())?;
                continue;
            }
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            writeln!(std::io::stdout(), "{}", path.display())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn targets(&self) -> Vec<(Drawing, PathBuf)> {
        if let Some(output) = &self.output {
            return vec![(self.format.unwrap_or_else(|| by_name(output)), output.clone())];
        }
        let formats = self.format.map_or_else(|| vec![Drawing::Svg, Drawing::Mermaid], |format| vec![format]);
        let name = stem(&self.file);
        formats
            .into_iter()
            .map(|format| (format, PathBuf::from(format!("{name}.{}", format.extension()))))
            .collect()
    }
}

/// The format that a file's name asks for; SVG where it asks for none.
fn by_name(path: &Path) -> Drawing {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("mmd" | "mermaid" | "md" | "txt") => Drawing::Mermaid,
        _ => Drawing::Svg,
    }
}

/// A file's name without what says that it is a definition: `order` for `flows/order.asl.json`.
fn stem(path: &Path) -> String {
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.strip_suffix(".asl").unwrap_or(&name);
    if name.is_empty() || name == "-" { "graph".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, format: Option<Drawing>, output: Option<&str>, expected: &[&str]) {
        let args = Args { file: file.into(), format, output: output.map(PathBuf::from) };
        let found: Vec<String> = args
            .targets()
            .into_iter()
            .map(|(drawing, path)| format!("{drawing:?} {}", path.display()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn chooses_what_to_write_and_where() {
        check("flows/order.asl.json", None, None, &["Svg order.svg", "Mermaid order.mmd"]);
        check("order.yaml", Some(Drawing::Mermaid), None, &["Mermaid order.mmd"]);
        check("-", Some(Drawing::Svg), None, &["Svg graph.svg"]);
        check("order.json", None, Some("out/x.mmd"), &["Mermaid out/x.mmd"]);
        check("order.json", None, Some("-"), &["Svg -"]);
    }
}
