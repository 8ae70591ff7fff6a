//! Runs the specification in `spec/*.md`. How a case is written is told in the crate's documentation.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

#[test]
fn every_case_of_the_specification_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec");
    let update = std::env::var_os("UPDATE_SPECS").is_some_and(|value| value == "1");
    let report = stepwell_conformance::check_all(&folder, update).unwrap();
    println!("{} cases, {} histories written", report.cases, report.updated);
    assert!(
        report.failures.is_empty(),
        "{} of {} cases fail (UPDATE_SPECS=1 writes histories anew):\n\n{}",
        report.failures.len(),
        report.cases,
        report.failures.join("\n")
    );
}
