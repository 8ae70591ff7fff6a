//! The recorded executions, through boto3 against a server of our own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell::{root, target};
use crate::{python, server};

/// How to run the recorded executions.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Only the cases whose id matches this regular expression; nothing is then held against the list
    #[arg(long)]
    only: Option<String>,
    /// Rewrite the list of expected failures' ids, keeping the reasons that stand there
    #[arg(long)]
    update: bool,
    /// Show each case that is not exact
    #[arg(short, long)]
    verbose: bool,
}

const LIST: &str = "tests/conformance/expected-failures.txt";

pub(crate) fn run(args: &Args, program: &Path) -> Result<()> {
    let recorded = root().join("../shared/conformance");
    if !recorded.join("run.py").exists() {
        println!("conformance: SKIPPED, as the recordings are not here (../shared/conformance)");
        return Ok(());
    }
    let python = python::python()?;
    let scratch = target().join("conformance");
    let _ = std::fs::remove_dir_all(&scratch);
    std::fs::create_dir_all(&scratch)?;
    let (lambda_port, out) = (server::free_port()?, scratch.join("results.json"));
    let (_server, endpoint) =
        server::serve(&mut server::with_lambda(server::local(program, &scratch), lambda_port))?;
    let mut runner = Command::new(python);
    runner.current_dir(&recorded).env("PYTHONDONTWRITEBYTECODE", "1").arg("run.py").args([
        "--endpoint",
        &endpoint,
        "--cases",
        "cases",
    ]);
    runner.args(["--lambda-port", &lambda_port.to_string(), "--json"]).arg(&out);
    if let Some(only) = &args.only {
        runner.args(["--only", only]);
    }
    if args.verbose {
        runner.arg("-v");
    }
    // Its exit status says whether all were exact; which may fail is ours to say.
    let _ = runner.status().context("cannot start the runner")?;
    let results: Value =
        serde_json::from_str(&std::fs::read_to_string(&out).context("the runner wrote no results")?)?;
    if args.only.is_some() {
        return Ok(());
    }
    judge(&levels(&results), args.update)
}

/// Those of `results` that ran against a deployment: what fails must be in our list, or in `list` beside it.
pub(crate) fn judge_deployed(results: &Path, list: &str) -> Result<()> {
    let text = std::fs::read_to_string(results).context("the runner wrote no results")?;
    let levels = levels(&serde_json::from_str(&text)?);
    let mut listed = expected(&std::fs::read_to_string(root().join(LIST)).unwrap_or_default());
    listed.extend(expected(&std::fs::read_to_string(root().join(list)).unwrap_or_default()));
    summarise(&levels);
    let surprises: Vec<_> = failing(&levels).into_iter().filter(|id| !listed.contains_key(id)).collect();
    if !surprises.is_empty() {
        bail!("these fail and are neither in {LIST} nor in {list}:\n  {}", surprises.join("\n  "));
    }
    Ok(())
}

/// The level of each case that was run.
fn levels(results: &Value) -> BTreeMap<String, String> {
    let rows = results["results"].as_array();
    rows.into_iter()
        .flatten()
        .filter_map(|row| Some((row["id"].as_str()?.to_owned(), row["result"].as_str()?.to_owned())))
        .collect()
}

fn judge(levels: &BTreeMap<String, String>, update: bool) -> Result<()> {
    let path = root().join(LIST);
    let listed = expected(&std::fs::read_to_string(&path).unwrap_or_default());
    summarise(levels);
    let failing = failing(levels);
    if update {
        return write_list(&path, &failing, &listed);
    }
    let surprises: Vec<_> = failing.iter().filter(|id| !listed.contains_key(*id)).collect();
    let mended: Vec<_> = listed.keys().filter(|id| levels.get(*id).is_some_and(|l| l == "exact")).collect();
    if !mended.is_empty() {
        bail!(
            "these pass now: take them off {LIST}\n  {}",
            mended.iter().map(|s| s.as_str()).collect::<Vec<_>>().join("\n  ")
        );
    }
    if !surprises.is_empty() {
        bail!(
            "these fail and are not in {LIST}:\n  {}",
            surprises.iter().map(|s| s.as_str()).collect::<Vec<_>>().join("\n  ")
        );
    }
    Ok(())
}

fn summarise(levels: &BTreeMap<String, String>) {
    let count = |level: &str| levels.values().filter(|l| *l == level).count();
    let run = levels.len() - count("skipped");
    println!(
        "conformance: {} of {run} exact, {} loose, {} skipped",
        count("exact"),
        count("loose"),
        count("skipped")
    );
}

fn failing(levels: &BTreeMap<String, String>) -> BTreeSet<String> {
    let failing = levels.iter().filter(|(_, l)| !matches!(l.as_str(), "exact" | "loose" | "skipped"));
    failing.map(|(id, _)| id.clone()).collect()
}

/// The list: a reason on a line that begins with `#`, then the ids it holds for.
fn expected(text: &str) -> BTreeMap<String, String> {
    let (mut reason, mut listed) = (String::new(), BTreeMap::new());
    for line in text.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix('#') {
            reason = text.trim().to_owned();
        } else if !line.is_empty() {
            listed.insert(line.to_owned(), reason.clone());
        }
    }
    listed
}

fn write_list(path: &Path, failing: &BTreeSet<String>, listed: &BTreeMap<String, String>) -> Result<()> {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for id in failing {
        by_reason.entry(listed.get(id).map_or("NO REASON YET", String::as_str)).or_default().push(id);
    }
    let text: Vec<_> =
        by_reason.iter().map(|(reason, ids)| format!("# {reason}\n{}\n", ids.join("\n"))).collect();
    std::fs::write(path, text.join("\n"))?;
    println!("wrote {LIST}: {} cases", failing.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_gives_each_case_its_reason() {
        let listed = super::expected("# not yet\na::b\nc\n\n# never\nd\n");
        assert_eq!(listed.get("c").map(String::as_str), Some("not yet"));
        assert_eq!(listed.get("d").map(String::as_str), Some("never"));
    }
}
