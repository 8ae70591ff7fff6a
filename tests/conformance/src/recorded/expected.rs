//! The list of cases that are known to differ, and what a verdict is held against.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::run::Verdict;

/// Cases that are expected to differ, each with the reason.
#[derive(Debug, Default)]
pub struct ExpectedFailures(BTreeMap<String, String>);

impl ExpectedFailures {
    /// Reads a list: a reason on a line that begins with `#`, then the ids it holds for.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let (mut reason, mut listed) = ("", BTreeMap::new());
        for line in text.lines().map(str::trim) {
            match line.strip_prefix('#') {
                Some(text) => reason = text.trim(),
                None if line.is_empty() => {}
                None => drop(listed.insert(line.to_owned(), reason.to_owned())),
            }
        }
        ExpectedFailures(listed)
    }

    /// Holds a verdict against the list.
    ///
    /// # Errors
    ///
    /// A case fails that is not listed, or one is exact that is.
    pub fn judge(&self, id: &str, verdict: &Verdict) -> Result<(), String> {
        match (self.0.get(id), verdict) {
            (Some(reason), Verdict::Exact) => {
                Err(format!("it passes now: take it off expected-failures.txt (it stands under: {reason})"))
            }
            (None, Verdict::Failed(_)) => Err(verdict.to_string()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::run::Failure;
    use super::*;

    #[test]
    fn verdicts_are_held_against_the_list() {
        let list = ExpectedFailures::parse("# not yet\n\na::b\n# never\na::c\n");
        let failed = Verdict::Failed(Failure::TimedOut);
        let check = |id: &str, verdict: &Verdict, expected: Result<(), &str>| match list.judge(id, verdict) {
            Ok(()) => assert_eq!(expected, Ok(()), "{id} {verdict}"),
            Err(why) => assert!(expected.is_err_and(|part| why.contains(part)), "{id}: {why}"),
        };
        check("a::b", &failed, Ok(()));
        check("a::b", &Verdict::Exact, Err("not yet"));
        check("a::c", &Verdict::Exact, Err("never"));
        check("a::b", &Verdict::Loose("order".to_owned()), Ok(()));
        check("a::d", &Verdict::Exact, Ok(()));
        check("a::d", &Verdict::Loose("order".to_owned()), Ok(()));
        check("a::d", &failed, Err("did not end"));
    }
}
