//! What holds for every execution, whatever happens to it: see `Run` in the crate.
//!
//! `STEPWELL_SEEDS=100` tries a hundred times as many courses. Of a drawn definition that fails, the choices that make the
//! smallest one are printed; `STEPWELL_CHOICES=1,2,3 cargo test -p stepwell-conformance --test properties` runs it alone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use stepwell_conformance::{Lived, shake_drawn};
use stepwell_test_support::Choices;
use stepwell_test_support::definitions::Wanted;

/// Courses of happenings for each definition; `STEPWELL_SEEDS` asks for more.
const SEEDS: u64 = 4;
/// Definitions that are drawn, each with a course of happenings.
const DRAWN: u32 = 500;
/// Choices of each, at the most.
const CHOICES: usize = 900;

#[test]
fn every_definition_holds_whatever_happens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec");
    let seeds = std::env::var("STEPWELL_SEEDS").map_or(SEEDS, |text| text.parse().unwrap());
    let report = stepwell_conformance::shake_all(&folder, 0..seeds).unwrap();
    assert!(report.failures.is_empty(), "{}", report.failures.join("\n"));
}

/// Runs drawn definitions until one fails, and makes that one small.
#[track_caller]
fn check(wanted: Wanted, types_min: usize) {
    if let Ok(text) = std::env::var("STEPWELL_CHOICES") {
        let list =
            text.split(',').filter(|number| !number.is_empty()).map(|number| number.trim().parse().unwrap());
        shake_drawn(wanted, &mut Choices::of(list.collect())).unwrap();
        return;
    }
    let times: u32 = std::env::var("STEPWELL_SEEDS").map_or(1, |text| text.parse().unwrap());
    let config = Config { cases: DRAWN * times, failure_persistence: None, ..Config::default() };
    let mut runner = match times {
        // The same ones each time.
        1 => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
        _ => TestRunner::new(config),
    };
    let (records, ended, types) = (Cell::new(0), Cell::new(0), RefCell::new(BTreeSet::new()));
    let found = runner.run(&vec(any::<u16>(), 0..CHOICES), |list| {
        let lived = shake_drawn(wanted, &mut Choices::of(list));
        let Lived { records: some, types: seen, ended: has_ended } =
            lived.map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
        types.borrow_mut().extend(seen);
        records.set(records.get() + some);
        ended.set(ended.get() + u32::from(has_ended));
        Ok(())
    });
    let types = types.into_inner();
    println!(
        "{} definitions, {} ended, {} records, {} types of events",
        DRAWN * times,
        ended.get(),
        records.get(),
        types.len()
    );
    if let Err(TestError::Fail(why, list)) = &found {
        let list: Vec<_> = list.iter().map(ToString::to_string).collect();
        panic!("{why}\nSTEPWELL_CHOICES={}", list.join(","));
    }
    found.unwrap();
    assert!(ended.get() > DRAWN / 2 && records.get() > 10 * DRAWN as usize, "they hardly lived");
    assert!(types.len() >= types_min, "only these events were seen: {types:?}");
}

#[test]
fn every_drawn_definition_holds_whatever_happens() {
    check(Wanted::ALL, 55);
}

#[test]
fn and_so_does_every_drawn_express_definition() {
    check(Wanted::EXPRESS, 44);
}
