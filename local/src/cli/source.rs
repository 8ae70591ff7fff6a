//! Definitions in files.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use stepwell_asl::{Format, MachineType, Parsed, parse};

use crate::machines::format;

/// A definition's text, and where it is from.
pub(super) struct Source {
    /// The path as it was given; `-` for standard input.
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) format: Format,
}

impl Source {
    /// Reads the file at `path`, or standard input where that is `-`.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        if path == Path::new("-") {
            std::io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
        } else {
            bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        }
        let mut text =
            String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", path.display()))?;
        if text.starts_with(BYTE_ORDER_MARK) {
            text.drain(..BYTE_ORDER_MARK.len_utf8());
        }
        let format = format(path, &text);
        Ok(Source { path: path.to_owned(), text, format })
    }

    pub(super) fn parse(&self, machine_type: Type) -> Parsed {
        parse(&self.text, self.format, machine_type.into())
    }

    /// The file's name as messages show it.
    pub(super) fn shown(&self) -> String {
        if self.path == Path::new("-") { "<stdin>".to_owned() } else { self.path.display().to_string() }
    }
}

/// What some editors put before a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The type of state machine that a definition is for.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum Type {
    /// A Standard workflow.
    #[default]
    Standard,
    /// An Express workflow: no `.sync`, no callbacks, no activities, no Distributed Map.
    Express,
}

impl From<Type> for MachineType {
    fn from(machine_type: Type) -> Self {
        match machine_type {
            Type::Standard => MachineType::Standard,
            Type::Express => MachineType::Express,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_format_of_a_definition() {
        for (path, text, expected) in [
            ("a.asl.json", "StartAt: A", Format::Json),
            ("a.asl.yaml", "{}", Format::Yaml),
            ("a.YML", "", Format::Yaml),
            ("a.asl", " {}", Format::Json),
            ("-", "StartAt: A", Format::Yaml),
            ("-", "", Format::Json),
        ] {
            assert_eq!(format(Path::new(path), text), expected, "{path} {text}");
        }
    }
}
