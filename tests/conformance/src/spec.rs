//! Reads specification files, runs their cases, and writes their histories.

use std::fmt::Write;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use stepwell_asl::Definition;
use stepwell_expr::Payload;
use stepwell_test_support::Choices;

use crate::run::Run;
use crate::shake::shake;
use crate::{definition, script, show};

/// How a run of all specification files went.
#[derive(Debug, Default)]
pub struct Report {
    /// Cases that were run.
    pub cases: usize,
    /// What differs or does not hold, a text for each case.
    pub failures: Vec<String>,
    /// Histories that were written.
    pub updated: usize,
}

/// Runs every case of every `.md` file in `folder`; with `update` writes the histories that differ.
///
/// # Errors
///
/// The folder or a file of it cannot be read or written, or a case is not written as one.
pub fn check_all(folder: &Path, update: bool) -> Result<Report> {
    let mut report = Report::default();
    for file in files(folder)? {
        check_file(&file, update, &mut report).with_context(|| format!("in {}", file.display()))?;
    }
    Ok(report)
}

/// Runs the definition of every case of every `.md` file in `folder` once for each seed, each time through another
/// course of happenings, and checks what [`Run`] checks. Histories are not compared.
///
/// # Errors
///
/// The folder or a file of it cannot be read, or a case is not written as one.
pub fn shake_all(folder: &Path, seeds: Range<u64>) -> Result<Report> {
    let mut report = Report::default();
    for file in files(folder)? {
        let text = fs::read_to_string(&file)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        for case in cases(&text)? {
            report.cases += 1;
            let (definition, input) = started(&case).with_context(|| format!("in {name}: {}", case.name))?;
            let failed = seeds.clone().find_map(|seed| {
                let error = shake(&definition, &input, &mut Choices::seeded(seed)).err()?;
                Some(format!("{name}: {}, seed {seed}: {error:#}", case.name))
            });
            report.failures.extend(failed);
        }
    }
    Ok(report)
}

/// The definitions of every case of every `.md` file in `folder`, whole and as JSON.
///
/// # Errors
///
/// The folder or a file of it cannot be read, or a case is not written as one.
pub fn definitions(folder: &Path) -> Result<Vec<String>> {
    let mut definitions = vec![];
    for file in files(folder)? {
        let text = fs::read_to_string(&file)?;
        for case in cases(&text)? {
            definitions.push(started(&case)?.0.text().to_string());
        }
    }
    Ok(definitions)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = fs::read_dir(folder)
        .with_context(|| format!("reading {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    files.sort();
    Ok(files)
}

fn check_file(file: &Path, update: bool, report: &mut Report) -> Result<()> {
    let mut text = fs::read_to_string(file)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut changes = vec![];
    for case in cases(&text)? {
        report.cases += 1;
        match run(&case) {
            Err(error) => report.failures.push(format!("{name}: {}: {error:#}", case.name)),
            Ok(history) if case.history() == Some(&history) => {}
            Ok(history) if update => changes.push((case.place, history)),
            Ok(history) => {
                let diff = diff(case.history().unwrap_or_default(), &history);
                report.failures.push(format!("{name}: {}: the history differs\n{diff}", case.name));
            }
        }
    }
    report.updated += changes.len();
    for (place, history) in changes.iter().rev() {
        match place {
            Place::Block(block) => text.replace_range(block.clone(), history),
            Place::After(at) => text.insert_str(*at, &format!("```history\n{history}```\n")),
        }
    }
    if !changes.is_empty() {
        fs::write(file, text)?;
    }
    Ok(())
}

/// Runs a case, and gives its history.
fn run(case: &Case<'_>) -> Result<String> {
    let (definition, input) = started(case)?;
    let mut run = Run::start(&definition, input)?;
    for (number, step) in (1..).zip(script::read(&case.block("script").unwrap_or_default())?) {
        run.step(&step).with_context(|| format!("step {number}, after\n{}", show::show(&run)))?;
    }
    run.finish()?;
    Ok(show::show(&run))
}

/// What a case starts with.
fn started(case: &Case<'_>) -> Result<(Definition, Payload)> {
    let definition = definition::read(&case.block("asl").context("there is no block of asl")?)?;
    let input = case.block("input").unwrap_or_else(|| "{}".to_owned());
    Ok((definition, Payload::parse(input.trim_end())?))
}

/// Writes `«3 ab»` as `ababab`.
fn repeated(text: &str) -> String {
    let mut rest = text;
    let mut whole = String::new();
    while let Some((before, after)) = rest.split_once('«') {
        let Some((inside, behind)) = after.split_once('»') else { break };
        whole.push_str(before);
        let (count, piece) = inside.split_once(' ').unwrap_or(("1", inside));
        whole.push_str(&piece.repeat(count.parse().unwrap_or(1)));
        rest = behind;
    }
    whole.push_str(rest);
    whole
}

struct Case<'a> {
    name: &'a str,
    blocks: Vec<(&'a str, &'a str)>,
    place: Place,
}

/// Where a case's history stands, or is to stand.
enum Place {
    Block(Range<usize>),
    After(usize),
}

impl Case<'_> {
    fn block(&self, language: &str) -> Option<String> {
        self.blocks.iter().find(|(found, _)| *found == language).map(|(_, text)| repeated(text))
    }

    fn history(&self) -> Option<&str> {
        self.blocks.iter().find(|(language, _)| *language == "history").map(|(_, text)| *text)
    }
}

fn cases(text: &str) -> Result<Vec<Case<'_>>> {
    let mut cases: Vec<Case<'_>> = vec![];
    let mut open: Option<(&str, usize)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let (start, end) = (at, at + line.len());
        at = end;
        let trimmed = line.trim_end();
        match (open, trimmed.strip_prefix("```")) {
            (None, Some(language)) => open = Some((language, end)),
            (Some((language, from)), Some("")) => {
                open = None;
                let Some(case) = cases.last_mut() else { continue };
                let known = ["asl", "input", "script", "history"].contains(&language);
                ensure!(known, "{}: a block of `{language}`", case.name);
                let twice = case.blocks.iter().any(|(found, _)| *found == language);
                ensure!(!twice, "{}: two blocks of {language}", case.name);
                case.blocks.push((language, &text[from..start]));
                case.place = match language {
                    "history" => Place::Block(from..start),
                    _ => Place::After(end),
                };
            }
            (None, None) => {
                if let Some(name) = trimmed.strip_prefix("## ") {
                    cases.push(Case { name, blocks: vec![], place: Place::After(end) });
                }
            }
            _ => {}
        }
    }
    ensure!(open.is_none(), "a block is not closed");
    Ok(cases)
}

/// What is expected and what came, line by line.
fn diff(expected: &str, found: &str) -> String {
    let (expected, found): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    let same = expected.iter().zip(&found).take_while(|(a, b)| a == b).count();
    let tail = |lines: &[&str]| lines.len() - same;
    let both = usize::min(tail(&expected), tail(&found));
    let same_end =
        expected.iter().rev().zip(found.iter().rev()).take(both).take_while(|(a, b)| a == b).count();
    let mut text = String::new();
    for (mark, lines) in [
        (' ', &expected[..same]),
        ('-', &expected[same..expected.len() - same_end]),
        ('+', &found[same..found.len() - same_end]),
        (' ', &found[found.len() - same_end..]),
    ] {
        lines.iter().for_each(|line| _ = writeln!(text, "  {mark} {line}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_found_with_their_blocks() {
        let text = "# Title\n\n## One\nProse.\n```asl\nA\n```\n```history\nH\n```\n## Two\n```asl\nB\n```\n";
        let found = cases(text).unwrap();
        assert_eq!(found[0].blocks, [("asl", "A\n"), ("history", "H\n")]);
        assert_eq!((found[0].name, found[0].history()), ("One", Some("H\n")));
        assert!(matches!(found[1].place, Place::After(at) if at == text.len()));
        assert!(cases("## One\n```asl\n").is_err());
        assert!(cases("## One\n```sql\n```\n").is_err());
    }

    #[test]
    fn pieces_are_repeated() {
        assert_eq!(repeated("a«3 bc»d«2 e»"), "abcbcbcdee");
    }

    #[test]
    fn a_diff_shows_what_differs() {
        assert_eq!(diff("a\nb\nc\n", "a\nx\nc\n"), "    a\n  - b\n  + x\n    c\n");
        assert_eq!(diff("a\n", "a\na\n"), "    a\n  + a\n");
    }
}
