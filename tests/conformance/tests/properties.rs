//! What holds for every execution, whatever happens to it: see `Run` in the crate.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

/// Courses of happenings for each definition; `STEPWELL_SEEDS` asks for more.
const SEEDS: u64 = 4;

#[test]
fn every_definition_holds_whatever_happens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec");
    let seeds = std::env::var("STEPWELL_SEEDS").map_or(SEEDS, |text| text.parse().unwrap());
    let report = stepwell_conformance::shake_all(&folder, 0..seeds).unwrap();
    assert!(report.failures.is_empty(), "{}", report.failures.join("\n"));
}
