//! The cases recorded on AWS, one test for each. They are looked for in `../shared/conformance` beside the repository.
//!
//! | variable | what |
//! |---|---|
//! | `STEPWELL_CASES` | picks cases by a regular expression over their ids; the first difference of each is shown |
//! | `STEPWELL_SEEDS` | in how many worlds each case is run, which must agree; 1 |
//! | `UPDATE_EXPECTED=1` | takes cases that pass off the lists of expected failures |

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Failed, Trial};
use regex_lite::Regex;
use stepwell_conformance::recorded::{
    Case, ExpectedFailures, Verdict, case_file, case_files, cases, run, take_off,
};

/// What came of each case.
type Verdicts = Arc<Mutex<BTreeMap<String, Verdict>>>;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.join("../../../shared/conformance/cases");
    if !folder.exists() {
        eprintln!("the cases recorded on AWS are not here (../shared/conformance): SKIPPED");
        return libtest_mimic::run(&arguments, vec![]).exit_code();
    }
    // What boto3 finds as well, and what is run here alone.
    let lists = ["expected-failures.txt", "expected-failures-in-memory.txt"].map(|name| here.join(name));
    let updates = std::env::var_os("UPDATE_EXPECTED").is_some_and(|value| value == "1");
    let picked = std::env::var("STEPWELL_CASES").ok().map(|pattern| Regex::new(&pattern).unwrap());
    let in_detail = picked.is_some() || arguments.filter.is_some();
    // Hundreds of lines that say `ok` hide the one that does not.
    arguments.quiet |= !in_detail && !arguments.list && arguments.format.is_none();
    let verdicts = Verdicts::default();
    let expected = (!updates).then(|| ExpectedFailures::read(&lists).unwrap());
    let cases = files(&folder, &arguments).iter().flat_map(|file| cases(file).unwrap()).collect();
    let conclusion = libtest_mimic::run(&arguments, trials(cases, picked.as_ref(), expected, &verdicts));
    if arguments.list || arguments.exact {
        return conclusion.exit_code();
    }
    let verdicts = verdicts.lock().unwrap();
    summary(&verdicts, in_detail);
    if updates {
        for list in &lists {
            let taken = take_off(list, |id| verdicts.get(id) == Some(&Verdict::Exact)).unwrap();
            println!("{taken} cases taken off {}", list.display());
        }
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

/// A test for each case that is picked, and one for the list of expected failures, if there is one.
fn trials(
    cases: Vec<Case>,
    picked: Option<&Regex>,
    expected: Option<ExpectedFailures>,
    verdicts: &Verdicts,
) -> Vec<Trial> {
    let expected = expected.map(Arc::new);
    let ids = cases.iter().map(|case| case.id.clone()).collect();
    let list = expected.clone().map(|expected| {
        Trial::test("the expected failures are cases", move || match &expected.unknown(&ids)[..] {
            [] => Ok(()),
            unknown => Err(format!("there are no such cases: {}", unknown.join(", ")).into()),
        })
    });
    let cases = cases.into_iter().filter(|case| picked.is_none_or(|picked| picked.is_match(&case.id)));
    cases.map(|case| trial(case, expected.clone(), verdicts.clone())).chain(list).collect()
}

/// The test of a case, whose verdict is held against the list if there is one.
fn trial(case: Case, expected: Option<Arc<ExpectedFailures>>, verdicts: Verdicts) -> Trial {
    let is_skipped = case.needs_elsewhere().is_some();
    if is_skipped {
        verdicts.lock().unwrap().insert(case.id.clone(), run(&case, 0));
    }
    let trial = Trial::test(case.id.clone(), move || {
        let verdict = in_every_world(&case)?;
        verdicts.lock().unwrap().insert(case.id.clone(), verdict.clone());
        expected.map_or(Ok(()), |expected| expected.judge(&case.id, &verdict)).map_err(Failed::from)
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
    let mut needs = BTreeMap::<_, usize>::new();
    for verdict in verdicts.values() {
        if let Verdict::Skipped(need) = verdict {
            *needs.entry(need).or_default() += 1;
        }
    }
    println!("{exact} of {} exact, {loose} loose, {failed} not as recorded", exact + loose + failed);
    let needs: Vec<_> = needs.iter().map(|(need, count)| format!("{need} ({count})")).collect();
    println!("skipped, as this world does not have what they need: {}", needs.join(", "));
}
