//! The protocol holds on every shape, and without any one of its rules it does not.
//!
//! `cargo nextest run -p stepwell-model --no-capture` shows how many states each search visited, and how long the way to
//! each violation is.

use std::collections::BTreeSet;

use stepwell_model::{QUICK, Shape, VARIANTS, check, map_run, properties};

/// Searches everything of a shape that the tests have time for.
#[track_caller]
fn holds(shape: Shape) {
    let cases: Vec<_> = QUICK.iter().filter(|case| case.shape == shape).collect();
    assert!(!cases.is_empty(), "nothing is searched of {shape:?}");
    for case in cases {
        let verdict = check(*case, 1);
        println!("{case:58} {verdict}");
        assert!(verdict.violated.is_empty(), "{case}: {:#?}", verdict.violated);
        assert!(verdict.seen.contains(&properties::ENDS), "{case}: no run ends");
        assert!(verdict.states > 10_000, "{case}: only {} states", verdict.states);
    }
}

#[test]
fn it_holds_for_a_sequence() {
    holds(Shape::Sequence);
}

#[test]
fn it_holds_for_branches() {
    holds(Shape::Parallel);
}

#[test]
fn it_holds_for_retries() {
    holds(Shape::Retry);
    holds(Shape::RetryAtOnce);
}

#[test]
fn it_holds_for_callbacks_with_a_timeout() {
    holds(Shape::Callback);
}

#[test]
fn it_holds_for_callbacks_without() {
    holds(Shape::TokenThenCall);
}

#[test]
fn it_holds_for_redrives() {
    holds(Shape::Redrive);
}

#[test]
fn it_holds_for_calls_that_outlive_their_driver() {
    holds(Shape::Accepted);
}

#[test]
fn it_holds_for_map_runs() {
    for case in map_run::MEANT {
        let verdict = map_run::check(case, 1);
        println!("{case:58} {verdict}");
        assert!(verdict.violated.is_empty(), "{case}: {:#?}", verdict.violated);
        assert!(verdict.seen.contains(&properties::ENDS), "{case}: no run ends");
    }
}

#[test]
fn without_a_rule_it_does_not_hold() {
    for variant in VARIANTS {
        let verdict = check(variant.case(), 1);
        println!("{:58} {verdict}", variant.case());
        assert!(verdict.violates(variant.violates), "{variant:?} is not caught: {:#?}", verdict.violated);
    }
    for (case, rule, violates) in map_run::VARIANTS {
        let verdict = map_run::check(case, 1);
        println!("{case:58} {verdict}");
        assert!(verdict.violates(violates), "{rule}: {case} is not caught: {:#?}", verdict.violated);
    }
}

/// PROTOCOL.md has seven rules in bold: lines 19, 24, 36, 70 (two), 71 and 73.
#[test]
fn every_bold_rule_has_a_variant() {
    let bold: BTreeSet<_> =
        VARIANTS.iter().filter(|variant| variant.is_bold).map(|variant| variant.rule).collect();
    assert_eq!(bold.len(), 7, "{bold:#?}");
}
