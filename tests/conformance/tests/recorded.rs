//! The cases recorded on AWS, one test for each. They are looked for in `../shared/conformance` beside the repository.
//!
//! `STEPWELL_CASES` picks cases by a regular expression over their ids; `STEPWELL_SEEDS=20` runs each of them in 20
//! worlds, which must agree. Where cases are picked, also by a filter, the first difference of each is shown.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Failed, Trial};
use regex_lite::Regex;
use stepwell_conformance::recorded::{Case, ExpectedFailures, Verdict, case_file, case_files, cases, run};

/// What came of each case that was run.
type Verdicts = Arc<Mutex<BTreeMap<String, Verdict>>>;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.join("../../../shared/conformance/cases");
    if !folder.exists() {
        eprintln!("the cases recorded on AWS are not here (../shared/conformance): SKIPPED");
        return libtest_mimic::run(&arguments, vec![]).exit_code();
    }
    let expected = Arc::new(ExpectedFailures::read(&here.join("expected-failures.txt")).unwrap());
    let verdicts = Verdicts::default();
    let picked = std::env::var("STEPWELL_CASES").ok().map(|pattern| Regex::new(&pattern).unwrap());
    let trials = files(&folder, &arguments)
        .iter()
        .flat_map(|file| cases(file).unwrap())
        .filter(|case| picked.as_ref().is_none_or(|picked| picked.is_match(&case.id)))
        .map(|case| trial(case, expected.clone(), verdicts.clone()))
        .collect();
    let in_detail = picked.is_some() || arguments.filter.is_some();
    // Hundreds of lines that say `ok` hide the one that does not.
    arguments.quiet |= !in_detail && !arguments.list && arguments.format.is_none();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list && !arguments.exact {
        summary(&verdicts.lock().unwrap(), in_detail);
    }
    conclusion.exit_code()
}

/// The files of the cases that are asked for: all of them, or the one of the only case.
fn files(folder: &Path, arguments: &Arguments) -> Vec<PathBuf> {
    match &arguments.filter {
        Some(id) if arguments.exact && case_file(folder, id).exists() => vec![case_file(folder, id)],
        _ => case_files(folder).unwrap(),
    }
}

fn trial(case: Case, expected: Arc<ExpectedFailures>, verdicts: Verdicts) -> Trial {
    let is_skipped = case.needs_elsewhere().is_some();
    let trial = Trial::test(case.id.clone(), move || {
        let verdict = in_every_world(&case)?;
        verdicts.lock().unwrap().insert(case.id.clone(), verdict.clone());
        expected.judge(&case.id, &verdict).map_err(Failed::from)
    });
    trial.with_ignored_flag(is_skipped)
}

/// Runs a case once for each seed.
fn in_every_world(case: &Case) -> Result<Verdict, Failed> {
    let seeds = std::env::var("STEPWELL_SEEDS").map_or(1, |text| text.parse().unwrap());
    let first = run(case, 0);
    for seed in 1..seeds {
        let verdict = run(case, seed);
        if verdict.name() != first.name() {
            return Err(format!("seed 0: {first}\nseed {seed}: {verdict}").into());
        }
    }
    Ok(first)
}

fn summary(verdicts: &BTreeMap<String, Verdict>, in_detail: bool) {
    for (id, verdict) in verdicts.iter().filter(|(_, verdict)| in_detail && **verdict != Verdict::Exact) {
        println!("---- {id}\n{verdict}\n");
    }
    let count = |name: &str| verdicts.values().filter(|verdict| verdict.name() == name).count();
    let (exact, loose, failed) = (count("exact"), count("loose"), count("fail"));
    println!("{exact} of {} exact, {loose} loose, {failed} not as recorded", exact + loose + failed);
}
