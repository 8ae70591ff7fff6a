//! Compares what came with what AWS was recorded to answer.
//!
//! Recordings hold places for what changes with each run (`pattern.rs`), and keep every text that began with `{` parsed.
//! Where they hold an object or an array and a text has come, that text is read as JSON.

mod history;
mod pattern;
#[cfg(test)]
mod tests;
mod value;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use pattern::Patterns;

/// How alike two values are.
#[derive(Debug, Clone, PartialEq)]
pub enum Likeness {
    /// The same but for what changes with each run.
    Exact,
    /// The same values written differently: the first such difference.
    Loose(String),
    /// Not the same: the first difference.
    Different(Difference),
}

/// Where and how two values differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The names that lead there.
    pub path: String,
    /// In a few words.
    pub why: String,
    /// What AWS answered there.
    pub expected: Value,
    /// What came.
    pub actual: Value,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}: {}", self.path, self.why)?;
        writeln!(f, "  expected {}", short(&self.expected))?;
        write!(f, "  actual   {}", short(&self.actual))
    }
}

fn short(value: &Value) -> String {
    const SHOWN: usize = 1000;
    let text = value.to_string();
    let length = text.chars().count();
    if length <= SHOWN {
        return text;
    }
    let head: String = text.chars().take(SHOWN).collect();
    format!("{head}… ({length} characters)")
}

/// Texts of recordings that stand for any value.
const WILD_VALUES: [&str; 8] = [
    "timestamp",
    "datetime",
    "date",
    "RequestId",
    "X-Amzn-Trace-Id",
    "x-amz-crc32",
    "x-amzn-RequestId",
    "x-amzn-requestid",
];

/// Members that answers have since a day (year, month, day). What was recorded before does not have them.
const LATER: [(&str, (u32, u32, u32)); 7] = [
    ("encryptionConfiguration", (2024, 7, 25)),
    ("redriveCount", (2023, 11, 15)),
    ("redriveStatus", (2023, 11, 15)),
    ("redriveStatusReason", (2023, 11, 15)),
    ("RedriveCount", (2023, 11, 15)),
    ("redrive_count", (2023, 11, 15)),
    ("redriveDate", (2023, 11, 15)),
];

/// Compares the values of one case, one after another: a place stands for the same text in all of them.
pub struct Comparer {
    wild_values: BTreeSet<String>,
    later: BTreeSet<&'static str>,
    patterns: Patterns,
    bound: BTreeMap<String, String>,
    notes: Vec<String>,
}

impl Comparer {
    /// `wild_text` and `wild_values` as the case lists them; `recorded` is when AWS was asked: `18-11-2024, 14:53:25`.
    pub fn new(wild_text: &[String], wild_values: &[String], recorded: Option<&str>) -> Self {
        let day = recorded.and_then(day);
        let wild = WILD_VALUES.into_iter().map(str::to_owned).chain(wild_values.iter().cloned());
        Comparer {
            wild_values: wild.collect(),
            later: LATER
                .iter()
                .filter(|(_, since)| day.is_some_and(|day| day < *since))
                .map(|(n, _)| *n)
                .collect(),
            patterns: Patterns::new(wild_text),
            bound: BTreeMap::new(),
            notes: vec![],
        }
    }

    /// Compares one value; `name` is what paths begin with.
    pub fn compare(&mut self, name: &str, expected: &Value, actual: &Value) -> Likeness {
        let before = self.notes.len();
        match self.value(expected, actual, name, false) {
            Err(difference) => Likeness::Different(*difference),
            Ok(()) => match self.notes.get(before) {
                Some(note) => Likeness::Loose(note.clone()),
                None => Likeness::Exact,
            },
        }
    }

    /// A difference that leaves the values the same.
    fn note(&mut self, path: &str, what: impl std::fmt::Display) {
        self.notes.push(format!("{path}: {what}"));
    }

    /// Tries something; where it fails, nothing is left of what it noted and bound.
    fn attempt(&mut self, what: impl FnOnce(&mut Self) -> Compared) -> Compared {
        let (bound, notes) = (self.bound.clone(), self.notes.len());
        let result = what(self);
        if result.is_err() {
            self.bound = bound;
            self.notes.truncate(notes);
        }
        result
    }
}

/// The first difference, if any.
type Compared = Result<(), Box<Difference>>;

fn differ(path: &str, why: impl Into<String>, expected: &Value, actual: &Value) -> Compared {
    let (expected, actual) = (expected.clone(), actual.clone());
    Err(Box::new(Difference { path: path.to_owned(), why: why.into(), expected, actual }))
}

/// Year, month and day of `18-11-2024, 14:53:25`.
fn day(recorded: &str) -> Option<(u32, u32, u32)> {
    let mut parts = recorded.split(',').next()?.split('-').map(|part| part.parse().ok());
    let (day, month, year) = (parts.next()??, parts.next()??, parts.next()??);
    Some((year, month, day))
}
