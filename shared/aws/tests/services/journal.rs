//! What the Journal's requests cost, what it does when replies are lost, and how executions go.

use std::sync::Arc;
use std::time::Duration;

use stepwell_aws::Store;
use stepwell_aws::retry::ATTEMPTS;
use stepwell_engine::meta::{End, Meta, RunId};
use stepwell_engine::port::{AppendError, Clock, Journal, ListQuery, Page, PutMetaError, Seq, Writer};
use stepwell_expr::Payload;
use stepwell_interpreter::{Claimant, ErrorOutput, ExecutionInfo, Timestamp};
use stepwell_test_support::execution;

use crate::support::World;

const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:orders";

pub(crate) fn arn(name: &str) -> String {
    format!("arn:aws:states:us-east-1:123456789012:execution:orders:{name}")
}

pub(crate) fn meta(name: &str, run: u128, started_at: i64, input: &str) -> Arc<Meta> {
    let info = ExecutionInfo {
        version_arn: Some(format!("{MACHINE}:1").into()),
        alias_arn: Some(format!("{MACHINE}:PROD").into()),
        started_at: Timestamp(started_at),
        ..execution("orders", name)
    };
    Arc::new(stepwell_test_support::meta(info, run, Payload::parse(input).expect("it is JSON")))
}

pub(crate) fn end(at: i64, output: &str) -> End {
    End {
        status: "SUCCEEDED",
        output: Some(Payload::parse(output).expect("it is JSON")),
        output_at: None,
        error: ErrorOutput::default(),
        at: Timestamp(at),
        events: 7,
    }
}

pub(crate) fn page(delivery: u64, bytes: &[u8]) -> Page {
    let claimant = Claimant { message: "m".into(), delivery };
    Page { writer: Writer::Driver(claimant), bytes: bytes.to_vec().into() }
}

#[tokio::test]
async fn a_commit_is_one_request_and_nothing_is_read_on_the_way() {
    let world = World::new().await;
    let journal = world.store().journal;
    journal.put_meta(meta("a", 1, 1_000, "{}")).await.expect("put");
    for seq in 1..=3 {
        journal.append(&arn("a"), RunId(1), Seq(seq), page(1, b"p")).await.expect("appended");
    }
    journal.finish(&arn("a"), RunId(1), 0, end(2_000, "1")).await.expect("finished");
    assert_eq!(world.wire.take(), ["PutItem", "PutItem", "PutItem", "PutItem", "UpdateItem"]);

    // Another process takes over with one read.
    journal.put_meta(meta("b", 2, 1_000, "{}")).await.expect("put");
    world.wire.take();
    let journal = world.store().journal;
    journal.load(&arn("b"), None).await.expect("the store answers").expect("it is there");
    journal.append(&arn("b"), RunId(2), Seq(1), page(1, b"p")).await.expect("appended");
    assert_eq!(world.wire.take(), ["Query", "PutItem"]);
}

#[tokio::test]
async fn a_write_whose_reply_is_lost_recognises_itself() {
    let world = World::new().await;
    let journal = world.store().journal;
    let execution = arn("a");
    let put_twice = ["PutItem", "PutItem"];

    world.wire.lose("PutItem", 1);
    journal.put_meta(meta("a", 1, 1_000, "{}")).await.expect("put");
    assert_eq!(world.wire.take(), put_twice);

    world.wire.lose("PutItem", 1);
    journal.append(&execution, RunId(1), Seq(1), page(1, b"one")).await.expect("appended");
    assert_eq!(world.wire.take(), put_twice);

    // Of a large page too, which its item names by its hash.
    world.wire.lose("PutItem", 1);
    journal.append(&execution, RunId(1), Seq(2), page(1, &[7; 20_000])).await.expect("appended");
    assert_eq!(world.wire.take(), put_twice);

    world.wire.lose("UpdateItem", 1);
    journal.finish(&execution, RunId(1), 0, end(2_000, "1")).await.expect("finished");
    assert_eq!(world.wire.take(), ["UpdateItem", "UpdateItem"]);
}

#[tokio::test]
async fn when_all_replies_are_lost_the_page_may_be_there() {
    let world = World::new().await;
    let journal = world.store().journal;
    let execution = arn("a");
    journal.put_meta(meta("a", 1, 1_000, "{}")).await.expect("put");
    let append = |writer| journal.append(&execution, RunId(1), Seq(1), page(writer, b"one"));

    world.wire.lose("PutItem", ATTEMPTS);
    let unknown = append(1).await;
    assert!(matches!(unknown, Err(AppendError::Unknown { seq: Seq(1), .. })), "{unknown:?}");
    let loaded = journal.load(&execution, Some((RunId(1), Seq(0)))).await.expect("the store answers");
    assert_eq!(loaded.expect("it is there").pages, [(Seq(1), page(1, b"one"))]);
    append(1).await.expect("it is its own");
    let conflict = append(2).await;
    assert!(matches!(conflict, Err(AppendError::Conflict { .. })), "{conflict:?}");
    world.wire.lose("Query", ATTEMPTS);
    journal.load(&execution, None).await.expect_err("nobody answers");
}

#[tokio::test]
async fn of_many_writers_of_a_page_one_wins() {
    let world = World::new().await;
    let journal = world.store().journal;
    journal.put_meta(meta("a", 1, 1_000, "{}")).await.expect("put");
    for seq in 1..=5 {
        let writers = (0..16).map(|writer| {
            // Some share a process, some do not.
            let journal = if writer % 4 == 0 { world.store().journal } else { journal.clone() };
            tokio::spawn(async move {
                journal.append(&arn("a"), RunId(1), Seq(seq), page(writer, b"mine")).await.map(|()| writer)
            })
        });
        let mut winners = vec![];
        for written in futures::future::join_all(writers).await {
            match written.expect("it does not panic") {
                Ok(writer) => winners.push(writer),
                Err(error) => assert!(matches!(error, AppendError::Conflict { .. }), "{error}"),
            }
        }
        let pages = journal.load(&arn("a"), Some((RunId(1), Seq(seq - 1)))).await.expect("the store answers");
        let expected: Vec<_> = winners.iter().map(|writer| (Seq(seq), page(*writer, b"mine"))).collect();
        assert_eq!(expected.len(), 1);
        assert_eq!(pages.expect("it is there").pages, expected);
    }
}

#[tokio::test]
async fn what_is_large_is_an_object_and_its_item_stays_small() {
    let world = World::new().await;
    let journal = world.store().journal;
    let execution = arn("a");
    let large = format!("\"{}\"", "x".repeat(200_000));
    journal.put_meta(meta("a", 1, 1_000, &large)).await.expect("put");
    journal.append(&execution, RunId(1), Seq(1), page(1, large.as_bytes())).await.expect("appended");
    journal.finish(&execution, RunId(1), 0, end(2_000, &large)).await.expect("finished");
    let keys: Vec<String> = world.blobs.objects().keys().cloned().collect();
    // The page and the input have the same bytes.
    assert_eq!(keys.len(), 2);
    assert!(keys.iter().all(|key| key.starts_with("runs/00000000000000000000000000000001/")), "{keys:?}");
    for (sort, most) in [("META", 1_800), ("PAGE#00000000000000000000000000000001#0000000001", 300)] {
        let bytes = item_bytes(&world, &execution, sort).await;
        assert!(bytes < most, "{sort} has {bytes} bytes");
    }
    let loaded = journal.load(&execution, None).await.expect("the store answers").expect("it is there");
    assert_eq!(&**loaded.meta.input.text(), large);
    assert_eq!(loaded.meta.end, Some(end(2_000, &large)));
    assert_eq!(&*loaded.pages[0].1.bytes, large.as_bytes());

    for bytes in world.blobs.objects().values_mut() {
        *bytes = b"another".as_slice().into();
    }
    let damaged = journal.load(&execution, None).await.expect_err("an object is not what was put");
    assert!(damaged.to_string().contains("damaged"), "{damaged}");
    world.blobs.objects().clear();
    journal.load(&execution, None).await.expect_err("an object is missing");
}

#[tokio::test]
async fn what_was_not_written_leaves_no_object() {
    let world = World::new().await;
    let journal = world.store().journal;
    let large = |letter: &str| format!("\"{}\"", letter.repeat(20_000));
    journal.put_meta(meta("a", 1, 1_000, &large("x"))).await.expect("put");
    let exists = journal.put_meta(meta("a", 2, 1_000, &large("x"))).await;
    assert!(matches!(exists, Err(PutMetaError::Exists(_))), "{exists:?}");
    assert_eq!(world.blobs.objects().len(), 1);
    let execution = arn("a");
    let append = |writer, byte| journal.append(&execution, RunId(1), Seq(1), page(writer, &[byte; 20_000]));
    append(1, 1).await.expect("appended");
    assert!(matches!(append(2, 2).await, Err(AppendError::Conflict { .. })));
    assert_eq!(world.blobs.objects().len(), 2);
    // Of the same bytes there is one object, which the winner's item names.
    assert!(matches!(append(3, 1).await, Err(AppendError::Conflict { .. })));
    append(1, 1).await.expect("it is its own");
    assert_eq!(world.blobs.objects().len(), 2);
    journal.load(&execution, None).await.expect("every object is there");
}

#[tokio::test]
async fn without_a_bucket_what_fits_no_item_is_refused() {
    let world = World::new().await;
    let journal = Store::new(stepwell_aws::Options { blobs: None, ..world.options() }).journal;
    let refused = journal.put_meta(meta("a", 1, 1_000, &format!("\"{}\"", "x".repeat(262_145)))).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("no bucket is configured")));
    // An item holds the largest input that there may be, with the longest error.
    let largest = format!("\"{}\"", "x".repeat(262_142));
    journal.put_meta(meta("b", 2, 1_000, &largest)).await.expect("put");
    let error = ErrorOutput::new("Error", "\u{FFFF}".repeat(32_768));
    let failed = End { status: "FAILED", output: None, error, ..end(2_000, "1") };
    journal.finish(&arn("b"), RunId(2), 0, failed.clone()).await.expect("finished");
    let there = journal.meta(&arn("b")).await.expect("the store answers").expect("it is there");
    assert_eq!((there.input.bytes(), there.end.as_ref()), (262_144, Some(&failed)));
    journal.put_meta(meta("a", 1, 1_000, "{}")).await.expect("put");
    let refused = journal.append(&arn("a"), RunId(1), Seq(1), page(1, &[1; 390 * 1024])).await;
    let Err(AppendError::TooLarge { bytes, why, .. }) = refused else { panic!("{refused:?}") };
    assert!(bytes == 390 * 1024 && why.contains("no bucket is configured"), "{why}");
    let loaded = journal.load(&arn("a"), None).await.expect("the store answers").expect("it is there");
    assert!(loaded.pages.is_empty(), "nothing was written");
}

#[tokio::test]
async fn a_name_is_free_when_its_time_is_over() {
    let world = World::new().await;
    let journal = world.store().journal;
    let now = world.clock.now().0;
    journal.put_meta(meta("a", 1, now, "{}")).await.expect("put");
    journal.append(&arn("a"), RunId(1), Seq(1), page(1, b"old")).await.expect("appended");
    let again = || journal.put_meta(meta("a", 2, now, "{}"));
    world.clock.advance(Duration::from_secs(91 * 24 * 60 * 60));
    let exists = again().await;
    assert!(matches!(exists, Err(PutMetaError::Exists(_))), "what runs keeps its name: {exists:?}");
    let ended_at = world.clock.now().0;
    journal.finish(&arn("a"), RunId(1), 0, end(ended_at, "1")).await.expect("finished");
    world.clock.advance(Duration::from_secs(89 * 24 * 60 * 60));
    let exists = again().await;
    assert!(matches!(exists, Err(PutMetaError::Exists(there)) if there.end.is_some()));
    world.clock.advance(Duration::from_secs(2 * 24 * 60 * 60));
    again().await.expect("its time to live has gone by");
    let loaded = journal.load(&arn("a"), None).await.expect("the store answers").expect("it is there");
    assert_eq!((loaded.meta.run, loaded.pages.len()), (RunId(2), 0));
    assert!(loaded.meta.end.is_none());
    let gone = journal.append(&arn("a"), RunId(1), Seq(2), page(1, b"late")).await;
    assert!(matches!(gone, Err(AppendError::Gone { .. })), "{gone:?}");
}

#[tokio::test]
async fn executions_are_listed_by_machine_version_and_alias() {
    let world = World::new().await;
    let journal = world.store().journal;
    for n in 0..23_i64 {
        let name = format!("e{n:02}");
        let run = RunId(n as u128);
        // Several start in one millisecond.
        journal.put_meta(meta(&name, run.0, n / 3 * 1_000, "{}")).await.expect("put");
        if n % 2 == 0 {
            journal.finish(&arn(&name), run, 0, end(99_000, "1")).await.expect("finished");
        }
    }
    for suffix in ["", ":1", ":PROD"] {
        let names = |first: i64| (0..=first).rev().step_by(2).map(|n| format!("e{n:02}")).collect::<Vec<_>>();
        let (ended, running) = (names(22), names(21));
        // Those that have ended did so later than any began.
        assert_eq!(listed(&*journal, suffix, None).await, [&ended[..], &running].concat(), "{suffix}");
        assert_eq!(listed(&*journal, suffix, Some("RUNNING")).await, running, "{suffix}");
        assert_eq!(listed(&*journal, suffix, Some("SUCCEEDED")).await, ended, "{suffix}");
    }
    assert!(listed(&*journal, ":2", None).await.is_empty());
}

async fn listed(journal: &dyn Journal, suffix: &str, status: Option<&'static str>) -> Vec<String> {
    let (mut names, mut after) = (vec![], None);
    loop {
        let state_machine_arn = format!("{MACHINE}{suffix}").into();
        let listed = journal.list(ListQuery { state_machine_arn, status, limit: 4, after }).await;
        let listed = listed.expect("the store answers");
        assert!(listed.metas.len() == 4 || listed.next.is_none());
        names.extend(listed.metas.iter().map(|meta| meta.info.name.to_string()));
        after = listed.next;
        if after.is_none() {
            return names;
        }
    }
}

/// Bytes of an item, roughly as DynamoDB counts them.
pub(crate) async fn item_bytes(world: &World, partition: &str, sort: &str) -> usize {
    let item = world.item(partition, sort).await;
    let bytes = |value: &serde_json::Value| match (&value["B"], value["S"].as_str().or(value["N"].as_str())) {
        (serde_json::Value::String(encoded), _) => encoded.trim_end_matches('=').len() * 3 / 4,
        (_, text) => text.map_or(1, str::len),
    };
    let attributes = item.as_object().expect("it is there").iter();
    attributes.map(|(name, value)| name.len() + bytes(value)).sum()
}
