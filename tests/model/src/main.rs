//! The searches, as a table.
//!
//! ```text
//! cargo run -p stepwell-model --release                 what the tests search, and the broken variants
//! cargo run -p stepwell-model --release -- more         minutes; `large`: about ten gigabytes
//! … -- variants paths                                   the broken variants, and what happens in each, action by action
//! … -- only=Accepted                                    one shape
//! … -- strict                                           an old receipt never deletes: which rules guard against that alone?
//! … -- plain                                            no merging of names
//! … --features three                                    three drivers instead of two
//! ```

use std::process::ExitCode;

use stepwell_model::{Case, LARGE, MORE, QUICK, VARIANTS, Verdict, check, map_run, properties};

/// Threads of a whole search.
const THREADS: usize = 2;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|said| said == word);
    let only = words.iter().find_map(|word| word.strip_prefix("only="));
    let fits = |case: &Case| only.is_none_or(|shape| shape == format!("{:?}", case.shape));
    let as_asked = |case: Case| Case { stale_deletes: !has("strict"), merges_names: !has("plain"), ..case };
    let whole = match (has("more"), has("large")) {
        _ if has("variants") => &[],
        (_, true) => LARGE,
        (true, _) => MORE,
        _ => QUICK,
    };
    let (mut as_expected, mut states, mut caught) = (true, 0, 0);
    for case in whole.iter().copied().filter(fits) {
        let verdict = check(as_asked(case), THREADS);
        as_expected &= report(&case.to_string(), &verdict, has("paths"));
        as_expected &= verdict.seen.contains(&properties::ENDS);
        states += verdict.states;
    }
    for case in map_run::MEANT.into_iter().filter(|_| only.is_none() && whole == QUICK) {
        let verdict = map_run::check(case, THREADS);
        as_expected &= report(&case.to_string(), &verdict, has("paths"));
        states += verdict.states;
    }
    println!("the protocol as it is meant: {states} states");
    if has("more") || has("large") {
        return ended(as_expected);
    }
    for variant in VARIANTS.iter().filter(|variant| fits(&variant.case())) {
        let found = check(as_asked(variant.case()), 1);
        report(&variant.case().to_string(), &found, has("paths"));
        as_expected &= found.violates(variant.violates);
        caught += usize::from(found.violates(variant.violates));
    }
    for (case, _, violates) in map_run::VARIANTS.into_iter().filter(|_| only.is_none()) {
        let found = map_run::check(case, 1);
        report(&case.to_string(), &found, has("paths"));
        as_expected &= found.violates(violates);
        caught += usize::from(found.violates(violates));
    }
    println!("variants without a rule: {caught} caught");
    ended(as_expected)
}

/// Prints a line; `false` where something does not hold.
fn report(name: &str, verdict: &Verdict, with_paths: bool) -> bool {
    println!("{name:58} {verdict}");
    for (property, actions) in verdict.violated.iter().filter(|_| with_paths) {
        println!("    {property}\n      {}", actions.join(" "));
    }
    verdict.violated.is_empty()
}

fn ended(as_expected: bool) -> ExitCode {
    println!("{}", if as_expected { "all as expected" } else { "NOT as expected" });
    if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
