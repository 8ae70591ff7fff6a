//! The list of cases that are known to differ, and what a verdict is held against.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::run::Verdict;

/// Cases that are expected to differ, each with the reason.
#[derive(Debug, Default)]
pub struct ExpectedFailures(BTreeMap<String, String>);

impl ExpectedFailures {
    /// Reads lists: a reason on a line that begins with `#`, then the ids it holds for.
    ///
    /// # Errors
    ///
    /// One cannot be read.
    pub fn read(files: &[PathBuf]) -> Result<Self> {
        let mut listed = BTreeMap::new();
        for file in files {
            let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
            listed.extend(Self::parse(&text).0);
        }
        Ok(ExpectedFailures(listed))
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

    /// Ids on the list that are no case's.
    pub fn unknown<'a>(&'a self, ids: &BTreeSet<String>) -> Vec<&'a str> {
        self.0.keys().map(String::as_str).filter(|id| !ids.contains(*id)).collect()
    }

    /// Holds a verdict against the list.
    ///
    /// # Errors
    ///
    /// A case fails that is not listed, or one is exact that is.
    pub fn judge(&self, id: &str, verdict: &Verdict) -> Result<(), String> {
        match (self.0.get(id), verdict) {
            (Some(reason), Verdict::Exact) => Err(format!(
                "it passes now: take it off the list of expected failures (it stands under: {reason})"
            )),
            (None, Verdict::Failed(_)) => Err(verdict.to_string()),
            _ => Ok(()),
        }
    }
}

/// Takes the cases that `is_mended` says are exact off a list, and reasons that then hold for none. Gives how many.
///
/// # Errors
///
/// The list cannot be read or written.
pub fn take_off(file: &Path, is_mended: impl Fn(&str) -> bool) -> Result<usize> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let (left, taken) = without(&text, is_mended);
    if taken > 0 {
        fs::write(file, left).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(taken)
}

fn without(text: &str, is_mended: impl Fn(&str) -> bool) -> (String, usize) {
    let mut taken = 0;
    let mut paragraphs = vec![];
    for paragraph in text.split("\n\n") {
        let (gone, left): (Vec<_>, Vec<_>) = paragraph.trim().lines().partition(|line| is_mended(line));
        taken += gone.len();
        if left.iter().any(|line| !line.starts_with('#')) {
            paragraphs.push(left.join("\n"));
        }
    }
    (paragraphs.join("\n\n") + "\n", taken)
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
        assert_eq!(list.unknown(&BTreeSet::from(["a::b".to_owned()])), ["a::c"]);
    }

    #[test]
    fn what_is_mended_comes_off_the_list() {
        let list = "# one\na::b\na::c\n\n# two\na::d\n";
        let check = |mended: &[&str], expected: &str, taken: usize| {
            assert_eq!(without(list, |id| mended.contains(&id)), (expected.to_owned(), taken));
        };
        check(&[], list, 0);
        check(&["a::b"], "# one\na::c\n\n# two\na::d\n", 1);
        check(&["a::d", "a::x"], "# one\na::b\na::c\n", 1);
    }
}
