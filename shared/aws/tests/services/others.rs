//! Lost replies and races of state machines, Map Runs and activities.

use std::sync::Arc;

use stepwell_engine::map_run::{Change, MapRun, Outcome};
use stepwell_engine::meta::RunId;
use stepwell_engine::port::{Publication, RegistryError, WaitingTask};
use stepwell_expr::Payload;
use stepwell_interpreter::{AttemptId, Timestamp};
use stepwell_test_support::{activity, machine};

use crate::support::World;

const TRANSACTION: &str = "TransactWriteItems";

#[tokio::test]
async fn a_transaction_whose_reply_is_lost_is_done_once() {
    let world = World::new().await;
    let store = world.store();
    let one = Arc::new(machine("one", "{}"));
    let publication = Publication { revision: one.revision.clone(), description: None, at: Timestamp(1) };
    world.wire.lose(TRANSACTION, 1);
    store.registry.create(one.clone(), None).await.expect("created");
    assert_eq!(world.wire.take(), [TRANSACTION, TRANSACTION]);
    world.wire.lose(TRANSACTION, 1);
    assert_eq!(store.registry.publish(&one.arn, publication.clone()).await.expect("published").number, 1);
    assert_eq!(store.registry.publish(&one.arn, publication).await.expect("it is there").number, 1);

    let run = map_run();
    world.wire.lose(TRANSACTION, 1);
    store.map_runs.create(run.clone()).await.expect("created");
    world.wire.lose(TRANSACTION, 1);
    let changed = store.map_runs.change(&run.arn, outcome(7)).await.expect("the store answers");
    let changed = changed.expect("it is there");
    assert!(changed.applied, "by the very transaction whose reply was lost");
    assert_eq!(changed.map_run.ended.succeeded.children, 1);

    world.wire.lose(TRANSACTION, 1);
    store.activities.offer(task(1)).await.expect("offered");
    let waiting = store.activities.waiting(&activity("a").arn, 9).await.expect("the store answers");
    assert_eq!(waiting, [task(1)]);
}

#[tokio::test]
async fn outcomes_from_many_processes_are_all_counted_and_each_once() {
    let world = World::new().await;
    let run = map_run();
    world.store().map_runs.create(run.clone()).await.expect("created");
    let writers = (0..40_u64).map(|n| {
        let (map_runs, arn) = (world.store().map_runs, run.arn.clone());
        tokio::spawn(async move {
            let changed = map_runs.change(&arn, outcome(n % 20)).await.expect("the store answers");
            usize::from(changed.expect("it is there").applied)
        })
    });
    let mut applied = 0;
    for writer in futures::future::join_all(writers).await {
        applied += writer.expect("it does not panic");
    }
    assert_eq!(applied, 20);
    let now =
        world.store().map_runs.map_run(&run.arn).await.expect("the store answers").expect("it is there");
    assert_eq!((now.ended.succeeded.children, now.ended.succeeded.items), (20, 40));
    let results = world.store().map_runs.results(&run.arn, 0, 99).await.expect("the store answers");
    assert_eq!(results.iter().map(|(index, _)| *index).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn versions_from_many_processes_have_numbers_of_their_own() {
    let world = World::new().await;
    let one = Arc::new(machine("one", "{}"));
    world.store().registry.create(one.clone(), None).await.expect("created");
    let publishers = (0..12).map(|n| {
        let (registry, one) = (world.store().registry, one.clone());
        tokio::spawn(async move {
            let revision = one.revision.clone();
            let publication = Publication { revision, description: None, at: Timestamp(n) };
            registry.publish(&one.arn, publication).await.expect("published").number
        })
    });
    for number in futures::future::join_all(publishers).await {
        assert_eq!(number.expect("it does not panic"), 1, "one revision has one version");
    }
}

#[tokio::test]
async fn a_start_asks_for_a_machine_at_half_the_price_and_never_misses_one() {
    let world = World::new().await;
    let registry = world.store().registry;
    let one = Arc::new(machine("one", "{}"));
    registry.create(one.clone(), None).await.expect("created");
    world.wire.take();
    assert_eq!(registry.machine_lately(&one.arn).await.expect("the store answers"), Some(one));
    assert_eq!(world.wire.take(), ["GetItem"]);
    // A copy that lags behind may lack what was just created.
    assert_eq!(registry.machine_lately("another").await.expect("the store answers"), None);
    assert_eq!(world.wire.take(), ["GetItem", "GetItem"]);
}

#[tokio::test]
async fn a_definition_of_a_megabyte_is_kept() {
    let world = World::new().await;
    let registry = world.store().registry;
    let large = Arc::new(machine("large", &format!("{{ \"Comment\": \"{}\" }}", "x".repeat(1_000_000))));
    registry.create(large.clone(), None).await.expect("created");
    assert_eq!(registry.machine(&large.arn).await.expect("the store answers"), Some(large.clone()));
    let revision = registry.revision(&large.arn, &large.revision).await.expect("the store answers");
    assert_eq!(revision, Some(large.clone()));

    let options = stepwell_aws::Options { blobs: None, ..world.options() };
    let other = stepwell_engine::port::StateMachine { arn: "other".into(), ..(*large).clone() };
    match stepwell_aws::Store::new(options).registry.create(Arc::new(other), None).await {
        Err(RegistryError::TooLarge { bytes, why, .. }) => {
            assert!(bytes > 1_000_000 && why.contains("no bucket is configured"), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

fn task(attempt: u32) -> WaitingTask {
    WaitingTask {
        activity: activity("a").arn,
        execution: "arn:aws:states:us-east-1:123456789012:execution:a:b".into(),
        run: RunId(7),
        attempt: AttemptId(attempt),
    }
}

fn outcome(index: u64) -> Change {
    let result = Payload::parse("1").expect("it is JSON");
    Change::Outcome(Outcome {
        index,
        items: 2,
        status: "SUCCEEDED",
        result,
        begun: 0,
        redrives: 0,
        not_redrivable: false,
    })
}

pub(crate) fn map_run() -> Arc<MapRun> {
    let map_run = stepwell_test_support::map_run("a", "b", "1");
    Arc::new(MapRun { started_at: Timestamp(1), items: 99, ..map_run })
}
