//! What a run leaves when its META is gone, by the table's stream, and what must not be touched.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use stepwell_aws::lambda::{self, Event};
use stepwell_aws::{Assembly, Blobs, Config, Gone, S3Blobs, Store};
use stepwell_engine::map_run::{Change, MapRun, Outcome};
use stepwell_engine::meta::RunId;
use stepwell_engine::port::{Clock, Seq};
use stepwell_expr::Payload;
use stepwell_integrations::{Aws, Endpoints, Keys, Service};

use crate::bucket::{Bucket, KEYS};
use crate::journal::{arn, end, meta, page};
use crate::others::map_run;
use crate::support::{TABLE, World};

const LARGE: usize = 20_000;

fn large() -> String {
    format!("\"{}\"", "x".repeat(LARGE))
}

/// A run with everything that a run can have; its META's item.
async fn run(store: &Store, world: &World, run: u128, pages: u64, input: &str) -> Value {
    let now = world.clock.now().0;
    let (execution, run) = (arn("a"), RunId(run));
    store.journal.put_meta(meta("a", run.0, now, input)).await.expect("put");
    for seq in 1..=pages {
        let bytes = if seq % 20 == 0 { vec![seq as u8; LARGE] } else { vec![1; 50] };
        store.journal.append(&execution, run, Seq(seq), page(1, &bytes)).await.expect("appended");
    }
    for n in 0..2 {
        let arn = format!("arn:aws:states:us-east-1:123456789012:mapRun:orders/label:{run:?}-{n}").into();
        let execution_arn = execution.as_str().into();
        let map_run = MapRun { arn, execution_arn, run, ..(*map_run()).clone() };
        let map_run = store.map_runs.create(Arc::new(map_run)).await.expect("created");
        for index in 0..3 {
            let result =
                Payload::parse(if index + n == 2 { large() } else { "1".into() }).expect("it is JSON");
            let (items, begun, redrives, not_redrivable) = (1, 0, 0, false);
            let status = "SUCCEEDED";
            let outcome = Outcome { index, items, status, result, begun, redrives, not_redrivable };
            store.map_runs.change(&map_run.arn, Change::Outcome(outcome)).await.expect("added");
        }
    }
    image(world).await
}

/// META as the stream has it.
async fn image(world: &World) -> Value {
    world.item(&arn("a"), "META").await
}

fn event(images: &[&Value]) -> String {
    let record = |(n, image): (usize, &&Value)| {
        json!({ "eventSource": "aws:dynamodb", "eventName": "REMOVE",
                "dynamodb": { "SequenceNumber": format!("{}", 100 + n), "OldImage": image } })
    };
    json!({ "Records": images.iter().enumerate().map(record).collect::<Vec<_>>() }).to_string()
}

/// The keys of all items.
async fn keys(world: &World) -> BTreeSet<(String, String)> {
    let text = |item: &Value, name: &str| item[name]["S"].as_str().expect("a text").to_owned();
    world.items().await.iter().map(|item| (text(item, "pk"), text(item, "sk"))).collect()
}

/// The function `timer` on the emulator and a bucket.
fn timer(world: &World, bucket: &Bucket) -> Assembly {
    let variables = |name: &str| {
        let value = match name {
            "AWS_REGION" => "us-east-1",
            "AWS_ACCESS_KEY_ID" => world.account(),
            "AWS_SECRET_ACCESS_KEY" => KEYS.1,
            "AWS_ENDPOINT_URL_DYNAMODB" => world.endpoint(),
            "AWS_ENDPOINT_URL_S3" => &bucket.endpoint,
            "STEPWELL_ACCOUNT_ID" => "123456789012",
            "STEPWELL_TABLE" => TABLE,
            "STEPWELL_BUCKET" => "b",
            "STEPWELL_QUEUE_URL" => "http://nobody",
            "STEPWELL_SCHEDULE_GROUP" | "STEPWELL_SCHEDULE_ROLE_ARN" | "STEPWELL_TIMER_ARN" => "x",
            _ => return None,
        };
        Some(value.to_owned())
    };
    Assembly::new(Config::from_variables(variables).expect("it is whole"))
}

/// A store whose objects are in a bucket of S3.
fn store(world: &World, bucket: &Bucket) -> Store {
    let endpoints = Endpoints::aws().with(Service::S3, &*bucket.endpoint);
    let aws = Aws::new("us-east-1", endpoints, Keys::fixed(KEYS.0, KEYS.1, None));
    let blobs: Arc<dyn Blobs> = Arc::new(S3Blobs::new(&aws, "b", world.clock.clone()));
    Store::new(stepwell_aws::Options { blobs: Some(blobs), ..world.options() })
}

async fn told(timer: &Assembly, event: &str) -> String {
    let deadline = timer.clock.now().0 + 60_000;
    lambda::timer(timer, Event::new(event, "r", deadline)).await.expect("it is a batch of the stream")
}

const ALL_DONE: &str = r#"{"batchItemFailures":[]}"#;

#[tokio::test]
async fn a_run_whose_meta_is_gone_leaves_nothing() {
    let world = World::new().await;
    let bucket = Bucket::start().await;
    let (store, timer) = (store(&world, &bucket), timer(&world, &bucket));
    let first = run(&store, &world, 1, 70, &large()).await;
    let ended_at = world.clock.now().0;
    store.journal.finish(&arn("a"), RunId(1), 0, end(ended_at, "1")).await.expect("finished");
    let all_of_first = keys(&world).await;
    // META, 70 pages, 2 Map Runs with 3 outcomes each, and their names.
    assert_eq!(all_of_first.len(), 1 + 70 + 2 * (1 + 3 + 1));
    assert_eq!(bucket.keys().len(), 1 + 3 + 2, "{:?}", bucket.keys());
    // The stream tells of a run that is there still, as of one that was redriven.
    assert_eq!(told(&timer, &event(&[&first])).await, ALL_DONE);
    assert_eq!(keys(&world).await, all_of_first);

    world.clock.advance(std::time::Duration::from_secs(91 * 86_400));
    run(&store, &world, 2, 21, &large().replace('x', "y")).await;
    let before = keys(&world).await;
    let of_second: BTreeSet<_> = before.difference(&all_of_first).cloned().collect();
    assert_eq!(of_second.len(), 21 + 2 * (1 + 3 + 1));
    assert_eq!(told(&timer, &event(&[&first])).await, ALL_DONE);
    let mut left = of_second.clone();
    left.insert((arn("a"), "META".to_owned()));
    assert_eq!(keys(&world).await, left);
    let objects = bucket.keys();
    assert_eq!(objects.len(), 1 + 1 + 2, "{objects:?}");
    assert!(objects.iter().all(|key| !key.starts_with("runs/00000000000000000000000000000001/")));
    // Once more is no harm, and asks little.
    bucket.take();
    assert_eq!(told(&timer, &event(&[&first])).await, ALL_DONE);
    assert_eq!(keys(&world).await, left);
    let loaded = store.journal.load(&arn("a"), None).await.expect("the store answers").expect("it is there");
    assert_eq!((loaded.meta.run, loaded.pages.len()), (RunId(2), 21));
}

#[tokio::test]
async fn what_is_not_removed_comes_again() {
    let world = World::new().await;
    let bucket = Bucket::start().await;
    let (store, timer) = (store(&world, &bucket), timer(&world, &bucket));
    let image = run(&store, &world, 1, 21, "{}").await;
    forget_meta(&world).await;
    let broken = json!({ "pk": { "S": "e" }, "sk": { "S": "META" } });
    // The first that failed is named, and those behind it are not begun.
    assert_eq!(
        told(&timer, &event(&[&broken, &image])).await,
        r#"{"batchItemFailures":[{"itemIdentifier":"100"}]}"#
    );
    assert!(keys(&world).await.len() > 20);
    bucket.fail(u32::MAX);
    assert_eq!(told(&timer, &event(&[&image])).await, r#"{"batchItemFailures":[{"itemIdentifier":"100"}]}"#);
    assert!(!bucket.keys().is_empty());
    bucket.fail(0);
    assert_eq!(told(&timer, &event(&[&image])).await, ALL_DONE);
    assert!(keys(&world).await.is_empty() && !bucket.keys().iter().any(|key| key.starts_with("map-runs")));
}

#[tokio::test]
async fn a_removal_may_die_at_any_request() {
    let world = World::new().await;
    let gone = Gone { execution: arn("a"), run: RunId(1), objects: vec![] };
    for requests in 0..30 {
        let store = world.store();
        run(&store, &world, 1, 21, "{}").await;
        forget_meta(&world).await;
        world.wire.die_after(Some((requests, requests % 2 == 0)));
        let lived = tokio::select! {
            () = world.wire.death() => false,
            removed = store.remains.remove(&gone) => removed.map(|()| true).expect("removed"),
        };
        world.wire.die_after(None);
        world.store().remains.remove(&gone).await.expect("removed");
        assert!(keys(&world).await.is_empty(), "it died at request {requests}");
        assert!(world.blobs.objects().is_empty(), "it died at request {requests}");
        if lived {
            assert!(requests > 10);
            return;
        }
    }
    panic!("it takes more requests than this");
}

async fn forget_meta(world: &World) {
    let key = json!({ "Key": { "pk": { "S": arn("a") }, "sk": { "S": "META" } } });
    world.ask("DeleteItem", key).await;
}
