//! Load on the program itself, and an account of every execution afterwards: `cargo xtask bench load`, but short.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::time::Duration;

use stepwell_bench::load::{self, MIX, Plan, Report};

/// Executions of a whole round of the mix.
const EXECUTIONS: u64 = 100;

/// Far more than it takes.
const TIME_MAX: Duration = Duration::from_secs(300);

async fn run(executions: u64, mix: &str, server_args: &[&str]) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        program: PathBuf::from(env!("CARGO_BIN_EXE_stepwell")),
        folder: folder.path().to_owned(),
        server_args: server_args.iter().map(|arg| (*arg).to_owned()).collect(),
        clients: 8,
        duration: TIME_MAX,
        executions,
        mix: load::mix(mix).unwrap(),
        slow: Duration::from_millis(20),
        drain_max: TIME_MAX,
    };
    let report = load::run(&plan).await.unwrap();
    assert!(report.differences.is_empty(), "{}", report.table());
    assert_eq!(report.figures["acknowledged"], executions, "{}", report.table());
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_execution_ends_with_a_whole_history() {
    let report = run(EXECUTIONS, MIX, &[]).await;
    assert_eq!(report.figures["throttled"], 0);
    assert_eq!(report.figures["calls"], 30 * 10 + 2 * 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_there_is_room_for_is_throttled_and_begins_when_it_comes_again() {
    let report = run(60, "SLOW", &["--drivers", "2", "--backlog", "4"]).await;
    assert!(report.figures["throttled"].as_u64().unwrap() > 0, "{}", report.table());
    assert_eq!(report.figures["calls"], 60 * 2);
}
