//! Whole stores, as earlier versions of this program left them, are opened and driven to their end.
//!
//! `UPDATE_GOLDEN=1` writes the store of today's version anew; those of older versions are never written again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec;
use stepwell_engine::meta::Meta;
use stepwell_local::{LocalStore, OpenError, Options};
use stepwell_test_support::{Answer, World};
use support::{ACTIVITY, DISTRIBUTED, Life, WAIT, arn};

/// What was stored by each version whose stored forms differ from those before, oldest first; the last one is of today.
const STORES: [&str; 3] =
    ["2026-11-20-schema-5.db.z", "2026-11-20-checksums.db.z", "2026-11-20-schema-6.db.z"];

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// A store with everything that a program may be stopped amid.
async fn make(directory: &Path) {
    let world = World::new(1);
    world.tasks.script(|call| match &*call.info.name {
        "busy" => Answer::fail("Busy", Duration::ZERO),
        "open" => Answer::echo(call, Duration::from_secs(1 << 20)),
        "fails" => Answer::fail("Broken", Duration::ZERO),
        _ if call.token.is_some() => Answer::submit(Duration::ZERO),
        _ => Answer::echo(call, Duration::ZERO),
    });
    let life = Life::open(directory, &world);
    life.create_activity().await;
    let large = format!(r#"{{"text":"{}"}}"#, "large ".repeat(2_000));
    let (chain, callback, retry) = (support::chain(), support::callback(), support::retry());
    let (activity, caught) = (support::activity(), support::caught());
    let [chain, callback, retry, activity, caught] =
        [&chain, &callback, &retry, &activity, &caught].map(|(name, definition)| (*name, &**definition));
    let ended = [life.start(chain, "small", r#"{"n":1}"#).await, life.start(chain, "large", &large).await];
    life.until_ended(&ended).await;
    life.until_ended(&[life.start(chain, "fails", r#"{"n":2}"#).await]).await;
    life.start(WAIT, "waits", "{}").await;
    life.start(callback, "called", "{}").await;
    life.start(activity, "worker", r#"{"work":1}"#).await;
    life.start(retry, "busy", "{}").await;
    life.start(DISTRIBUTED, "items", "[1,2,3,4,5]").await;
    life.start(caught, "open", "{}").await;
    for (arn, events) in [
        (arn("Wait", "waits"), 2),
        (arn("Callback", "called"), 5),
        (arn("Activity", "worker"), 3),
        (arn("Retry", "busy"), 8),
        (arn("Distributed", "items"), 4),
        (arn("Caught", "open"), 4),
    ] {
        life.until_events(&arn, events).await;
    }
    for _ in 0..30 {
        life.settle().await;
    }
    life.close().await;
}

/// Whether what [`make`] made goes on to its end.
async fn check(name: &str, directory: &Path) {
    let world = World::new(2);
    world.tasks.script(|call| Answer::echo(call, Duration::from_millis(10)));
    let life = Life::open(directory, &world);
    let large = life.meta(&arn("Chain", "large")).await;
    assert_eq!(output(&large), &**large.input.text(), "{name}");
    assert_eq!(large.input.text().len(), 12_011, "{name}");
    assert_eq!(output(&life.meta(&arn("Chain", "small")).await), r#"{"n":1}"#, "{name}");
    assert_eq!(life.events(&arn("Chain", "small")).await.len(), 12, "{name}");

    let failed = arn("Chain", "fails");
    assert_eq!(life.meta(&failed).await.status(), "FAILED", "{name}");
    life.engine.redrive(&failed, None).await.unwrap();
    let called = arn("Callback", "called");
    life.succeed(&life.tokens(&called).await[0], r#"{"called":true}"#).await;
    let task = life.engine.activity_task(ACTIVITY, None).await.unwrap().expect("it waits");
    life.succeed(&task.token, "7").await;
    let ends = [
        (failed, r#"{"n":2}"#),
        (called, r#"{"called":true}"#),
        (arn("Activity", "worker"), "7"),
        (arn("Wait", "waits"), r#""waited""#),
        (arn("Retry", "busy"), "[{},{}]"),
        (arn("Distributed", "items"), "[1,2,3,4,5]"),
        (arn("Caught", "open"), r#""caught""#),
    ];
    let arns: Vec<Arc<str>> = ends.iter().map(|(arn, _)| arn.clone()).collect();
    life.until_ended(&arns).await;
    for (arn, expected) in ends {
        assert_eq!(output(&life.meta(&arn).await), expected, "{name}: {arn}");
        let events = life.events(&arn).await;
        assert_eq!(events.last(), Some(&"ExecutionSucceeded"), "{name}: {arn}");
    }
    assert!(world.tasks.most_calls() <= 1, "{name}");
    life.close().await;
}

fn output(meta: &Arc<Meta>) -> &str {
    let end = meta.end.as_ref().unwrap_or_else(|| panic!("{} has not ended", meta.execution_arn));
    end.output.as_ref().unwrap_or_else(|| panic!("{}: {:?}", meta.execution_arn, end)).text()
}

#[tokio::test]
async fn stores_of_earlier_versions_go_on() {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let directory = tempfile::tempdir().unwrap();
        make(directory.path()).await;
        let file = directory.path().join("stepwell.db");
        rusqlite::Connection::open(&file).unwrap().execute_batch("VACUUM").unwrap();
        let bytes = compress_to_vec(&std::fs::read(file).unwrap(), 10);
        std::fs::write(golden(STORES[STORES.len() - 1]), bytes).unwrap();
    }
    for name in STORES {
        let directory = tempfile::tempdir().unwrap();
        let bytes = decompress_to_vec(&std::fs::read(golden(name)).unwrap()).unwrap();
        std::fs::write(directory.path().join("stepwell.db"), bytes).unwrap();
        check(name, directory.path()).await;
    }
}

/// Today's version makes what it reads.
#[tokio::test]
async fn a_store_of_today_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path()).await;
    check("today", directory.path()).await;
}

#[test]
fn a_store_of_a_later_version_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let name = STORES[STORES.len() - 1];
    let bytes = decompress_to_vec(&std::fs::read(golden(name)).unwrap()).unwrap();
    let file = directory.path().join("stepwell.db");
    std::fs::write(&file, bytes).unwrap();
    rusqlite::Connection::open(&file).unwrap().pragma_update(None, "user_version", 77).unwrap();
    let before = std::fs::read(&file).unwrap();
    let Err(error) = LocalStore::open(directory.path(), Options::default()) else { panic!("it was opened") };
    assert!(matches!(error, OpenError::Newer { found: 77, .. }), "{error}");
    assert!(error.to_string().ends_with(": use a newer stepwell"), "{error}");
    assert!(std::fs::read(&file).unwrap() == before, "it was changed");
}
