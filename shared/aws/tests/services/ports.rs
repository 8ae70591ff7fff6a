//! Every port on the table passes its suite, as one process and as many.

use stepwell_test_support::suite;

use crate::support::World;

#[tokio::test]
async fn the_journal_passes_its_suite() {
    let world = World::new().await;
    suite::journal(&*world.store().journal).await;
}

#[tokio::test]
async fn the_journal_passes_its_suite_without_a_bucket() {
    let world = World::new().await;
    let options = stepwell_aws::Options { blobs: None, ..world.options() };
    suite::journal(&*stepwell_aws::Store::new(options).journal).await;
}

#[tokio::test]
async fn calls_that_go_on_by_themselves_are_kept() {
    let world = World::new().await;
    suite::invocations(&*world.store().journal).await;
}

#[tokio::test]
async fn the_registry_passes_its_suite() {
    let world = World::new().await;
    suite::registry(&*world.store().registry).await;
}

#[tokio::test]
async fn map_runs_pass_their_suite() {
    let world = World::new().await;
    suite::map_runs(&*world.store().map_runs).await;
}

#[tokio::test]
async fn activities_pass_their_suite() {
    let world = World::new().await;
    let store = world.store();
    suite::activities(&*store.activities).await;
    suite::waiting_tasks(&*store.activities, async || {}).await;
}

/// Runs a suite on a table that is often throttled, fails and perhaps loses its reply.
async fn in_trouble(loses: bool, run: impl AsyncFn(&World)) {
    for seed in 0..3 {
        let world = World::new().await;
        world.wire.trouble(seed, 300, loses);
        run(&world).await;
        let met = world.wire.end_trouble();
        println!("seed {seed}: {met:?}");
        assert!(met.len() >= 2 && met.values().sum::<u32>() >= 10, "seed {seed}: {met:?}");
    }
}

#[tokio::test]
async fn the_journal_passes_its_suite_in_trouble() {
    in_trouble(true, async |world| suite::journal(&*world.store().journal).await).await;
}

#[tokio::test]
async fn the_registry_passes_its_suite_in_trouble() {
    in_trouble(true, async |world| suite::registry(&*world.store().registry).await).await;
}

#[tokio::test]
async fn map_runs_pass_their_suite_in_trouble() {
    // A change whose reply was lost is found to be made already, and said to be somebody else's.
    in_trouble(false, async |world| suite::map_runs(&*world.store().map_runs).await).await;
}

#[tokio::test]
async fn activities_pass_their_suite_in_trouble() {
    in_trouble(true, async |world| {
        let store = world.store();
        suite::activities(&*store.activities).await;
        suite::waiting_tasks(&*store.activities, async || {}).await;
    })
    .await;
}
