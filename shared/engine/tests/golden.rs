//! The stored forms, one example of each version for ever.
//!
//! `UPDATE_GOLDEN=1` writes the examples of the versions of today; the files of older versions are never written again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use stepwell_engine::map_run::{Claims, Count, Cursor, Ended, Ending, LimitsUpdate, MapRun, Transformation};
use stepwell_engine::message::{Callback, MapRunMessage, Message, MessageBody};
use stepwell_engine::meta::{End, Meta, Parent, Parked, PayloadPlace, RunId};
use stepwell_engine::port::{Seq, Writer};
use stepwell_engine::stored::{
    Packing, PagePlace, PayloadIndex, StoredError, decode_end, decode_map_run, decode_message, decode_meta,
    decode_page, encode_end, encode_map_run, encode_message, encode_meta, encode_packed, encode_page,
};
use stepwell_expr::Payload;
use stepwell_interpreter::{
    AttemptId, BranchId, Claimant, ErrorOutput, Event, EventBody, EventId, ExecutionInfo, Family, MapItem,
    MapRunLimits, Record, StateType, TimerId, TimerPurpose, Timestamp,
};

const AT: Timestamp = Timestamp(1_767_225_600_123);
/// Where the golden pages belong.
const PLACE: PagePlace<'_> = PagePlace { run: RUN, seq: Seq(2), writer: &Writer::Request(7) };
const RUN: RunId = RunId(0x0123_4567_89AB_CDEF_0011_2233_4455_6677);

/// Compares `bytes` with the golden file `name`.
#[track_caller]
fn check(name: &str, bytes: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, bytes).unwrap();
    }
    let golden = std::fs::read(&path).unwrap();
    assert!(golden == bytes, "{name} would be written otherwise than it was: that takes a new version");
    golden
}

/// The golden file `name` of an older version.
fn old(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
}

fn large(text: &str) -> Payload {
    Payload::parse(format!("\"{}\"", text.repeat(100))).unwrap()
}

fn info() -> Arc<ExecutionInfo> {
    Arc::new(ExecutionInfo {
        execution_arn: "arn:aws:states:us-east-1:123456789012:execution:M:e".into(),
        name: "e".into(),
        state_machine_arn: "arn:aws:states:us-east-1:123456789012:stateMachine:M".into(),
        state_machine_name: "M".into(),
        role_arn: "arn:aws:iam::123456789012:role/r".into(),
        version_arn: None,
        alias_arn: Some("arn:aws:states:us-east-1:123456789012:stateMachine:M:live".into()),
        started_at: AT,
        express: false,
    })
}

fn claimant() -> Claimant {
    Claimant { message: "m-1".into(), delivery: 0x0123_4567_89AB_CDEF }
}

fn families() -> [Family; 3] {
    [
        Family::LambdaFunction { resource: "arn:aws:lambda:us-east-1:123456789012:function:f".into() },
        Family::Activity { resource: "arn:aws:states:us-east-1:123456789012:activity:a".into() },
        Family::Task {
            resource_type: "sqs".into(),
            resource: "sendMessage".into(),
            region: "us-east-1".into(),
        },
    ]
}

/// One record of every kind that the third version had.
fn third_records() -> Vec<Record> {
    let redriven = EventBody::ExecutionRedriven { count: 2, request: 7, token: Some("token".into()) };
    let event = Event { at: AT, branch: BranchId(0), previous: EventId(50), body: redriven };
    second_records().into_iter().chain([Record::Event(event)]).collect()
}

/// One record of every kind.
fn records() -> Vec<Record> {
    let accepted = Record::Accepted { attempt: AttemptId(3), until: Timestamp(AT.0 + 60_000) };
    fourth_records().into_iter().chain([accepted]).collect()
}

/// One record of every kind that the fourth version had.
fn fourth_records() -> Vec<Record> {
    let (attempt, map_run_arn) = (AttemptId(6), map_run().arn);
    let body = EventBody::MapRunRedriven { attempt, map_run_arn, count: 2 };
    let event = Event { at: AT, branch: BranchId(2), previous: EventId(60), body };
    third_records().into_iter().chain([Record::Event(event)]).collect()
}

/// One record of every kind that the second version had.
fn second_records() -> Vec<Record> {
    let attempt = AttemptId(5);
    let bodies = vec![
        EventBody::MapRunStarted {
            attempt,
            map_run_arn: map_run().arn,
            limits: map_run().limits,
            items: large("input "),
            batch_input: Payload::parse("[1]").unwrap(),
            has_batch_input: true,
        },
        EventBody::MapRunSucceeded { attempt, output: large("result "), exits_behind_start: true },
        EventBody::MapRunFailed(attempt, ErrorOutput::new("Error", "cause")),
        EventBody::MapRunAborted(attempt),
    ];
    let event = |body| Record::Event(Event { at: AT, branch: BranchId(2), previous: EventId(40), body });
    first_records().into_iter().chain(bodies.into_iter().map(event)).collect()
}

/// One record of every kind that the first version had.
fn first_records() -> Vec<Record> {
    let small = Payload::parse(r#"{"n": 1.50}"#).unwrap();
    let name: Arc<str> = "State".into();
    let error = ErrorOutput::new("Error", "cause");
    let [lambda, activity, task] = families();
    let (attempt, branch) = (AttemptId(3), BranchId(1));
    let item = MapItem { index: 2, key: Some("key".into()), value: small.clone() };
    let bodies = vec![
        EventBody::ExecutionStarted { info: info(), input: large("input "), start_at: name.clone() },
        EventBody::StateEntered { state_type: StateType::Task, name: name.clone(), input: large("input ") },
        EventBody::Scheduled {
            family: lambda.clone(),
            attempt,
            nonce: 0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF,
            parameters: large("earlier "),
            timeout_seconds: Some(60),
            heartbeat_seconds: None,
            credentials: Some("arn:aws:iam::123456789012:role/other".into()),
        },
        EventBody::ScheduleFailed(lambda.clone(), error.clone()),
        EventBody::Started { family: lambda.clone(), attempt, claimant: Some(claimant()), worker: None },
        EventBody::Started {
            family: activity.clone(),
            attempt,
            claimant: None,
            worker: Some("worker".into()),
        },
        EventBody::StartFailed(activity.clone(), error.clone()),
        EventBody::Submitted { family: task.clone(), attempt, output: small.clone() },
        EventBody::SubmitFailed(task.clone(), attempt, error.clone()),
        EventBody::Succeeded { family: task.clone(), attempt, output: large("result ") },
        EventBody::Failed(task.clone(), attempt, error.clone()),
        EventBody::TimedOut { family: task, attempt, error: error.clone(), heartbeat: true },
        EventBody::StateExited {
            state_type: StateType::Task,
            name: name.clone(),
            output: large("result "),
            assigned: vec!["a".into(), "b".into()],
            values: vec![small.clone(), Payload::default()],
            next: Some("Next".into()),
        },
        EventBody::StateAborted { state_type: StateType::Wait },
        EventBody::ParallelStateStarted { branches: vec!["A".into(), "B".into()], input: small.clone() },
        EventBody::ParallelStateSucceeded,
        EventBody::ParallelStateFailed,
        EventBody::MapStateStarted { length: 3, items: small.clone(), concurrency: 40 },
        EventBody::MapIterationStarted {
            name: name.clone(),
            item,
            input: small.clone(),
            start_at: "In".into(),
        },
        EventBody::MapIterationSucceeded { name: name.clone(), index: 0 },
        EventBody::MapIterationFailed { name: name.clone(), index: 1 },
        EventBody::MapIterationAborted { name: name.clone(), index: 2 },
        EventBody::MapStateSucceeded,
        EventBody::MapStateFailed,
        EventBody::EvaluationFailed { error: error.clone(), location: Some("Output".into()), state: name },
        EventBody::ExecutionSucceeded { output: large("result ") },
        EventBody::ExecutionFailed(error.clone()),
        EventBody::ExecutionAborted(ErrorOutput::default()),
        EventBody::ExecutionTimedOut(error),
    ];
    let event = |(previous, body)| Record::Event(Event { at: AT, branch, previous: EventId(previous), body });
    let mut records: Vec<_> = (0..).zip(bodies).map(event).collect();
    let timer = TimerId(4);
    for purpose in [
        TimerPurpose::Wait,
        TimerPurpose::Retry,
        TimerPurpose::Timeout(attempt),
        TimerPurpose::Heartbeat(attempt),
        TimerPurpose::Execution,
    ] {
        records.push(Record::TimerSet { timer, branch, due: AT, purpose });
    }
    records.extend([
        Record::TimerClosed { timer },
        Record::RetryScheduled { branch, retrier: 1, previous: EventId(9) },
        Record::HeartbeatReceived { attempt, at: AT },
        Record::ClaimReleased { attempt },
        Record::Claimed { attempt, claimant: claimant() },
        Record::DriverLost { claimant: claimant() },
    ]);
    records
}

fn meta() -> Meta {
    let end = End {
        status: "SUCCEEDED",
        output: Some(Payload::parse(r#"{"done": true}"#).unwrap()),
        output_at: None,
        error: ErrorOutput::default(),
        at: AT,
        events: 0,
    };
    Meta {
        execution_arn: info().execution_arn.clone(),
        run: RunId(0x0123_4567_89AB_CDEF_0123_4567_89AB_CDEF),
        epoch: 2,
        info: info(),
        input: Payload::parse(r#"{ "x" : [1, 2] }"#).unwrap(),
        revision: "r-1".into(),
        trace_header: Some("Root=1-2-3".into()),
        end: Some(end),
        parked: Some(Parked { message: "m-1".into(), why: "received 9 times".into() }),
        parent: None,
        redriven_at: None,
    }
}

fn child() -> Meta {
    let parent = Parent::Task {
        execution_arn: "arn:aws:states:us-east-1:123456789012:execution:Outer:o".into(),
        run: RunId(7),
        epoch: 1,
        attempt: AttemptId(3),
        resource: "arn:aws:states:::states:startExecution.sync:2".into(),
    };
    Meta { parent: Some(parent), ..meta() }
}

fn map_run_parent() -> Parent {
    Parent::MapRun { map_run_arn: map_run().arn, index: 300, items: 2 }
}

fn limits_update() -> LimitsUpdate {
    LimitsUpdate {
        max_concurrency: Some(7),
        tolerated_failure_count: None,
        tolerated_failure_percentage: Some(12.5),
    }
}

fn map_run() -> MapRun {
    MapRun {
        arn: "arn:aws:states:us-east-1:123456789012:mapRun:M/label:4efb201a-e194-4c82-9b32-21693b7ed1ef"
            .into(),
        execution_arn: info().execution_arn.clone(),
        run: RunId(7),
        epoch: 1,
        attempt: AttemptId(5),
        state_machine_arn: "arn:aws:states:us-east-1:123456789012:stateMachine:M/label".into(),
        express: true,
        started_at: AT,
        items: 1000,
        limits: MapRunLimits {
            max_concurrency: 5,
            tolerated_failure_count: Some(6),
            tolerated_failure_percentage: Some(1.5),
            max_items_per_batch: Some(2),
            max_input_bytes_per_batch: Some(1000),
        },
        updates: 2,
        transformation: Transformation::Flatten,
        cursor: Cursor { items: 600, children: 300 },
        ended: Ended {
            succeeded: Count { children: 200, items: 400 },
            failed: Count { children: 3, items: 6 },
            timed_out: Count { children: 2, items: 4 },
            aborted: Count { children: 1, items: 2 },
        },
        result_bytes: 123_456,
        ending: Some(Ending::Failed(ErrorOutput::new("Error", "cause"))),
        closed_at: Some(AT),
        redrives: 0,
        redriven_at: None,
        unsuccessful: Ended::default(),
        not_redrivable: Count::default(),
        claims: Claims::default(),
        failure_bytes: 0,
    }
}

fn redriven_map_run() -> MapRun {
    MapRun {
        redrives: 2,
        redriven_at: Some(AT),
        unsuccessful: Ended { failed: Count { children: 4, items: 8 }, ..Ended::default() },
        not_redrivable: Count { children: 1, items: 2 },
        claims: Claims { done: 20, claimed: 30 },
        failure_bytes: 12_345,
        ..map_run()
    }
}

/// With everything that a META may have.
fn redriven() -> Meta {
    let mut redriven = Meta { redriven_at: Some(Timestamp(AT.0 + 1)), ..child() };
    if let Some(end) = &mut redriven.end {
        end.events = 24_998;
    }
    redriven
}

fn messages() -> Vec<Message> {
    let body = [
        MessageBody::Start(Some(Arc::new(meta()))),
        MessageBody::Start(None),
        MessageBody::TaskResult { attempt: AttemptId(1), nonce: 7, result: Callback::Success(large("ok ")) },
        MessageBody::TaskResult {
            attempt: AttemptId(1),
            nonce: u128::MAX,
            result: Callback::Failure(ErrorOutput::new("Error", "cause")),
        },
        MessageBody::TimerFired { timer: TimerId(2), due: AT },
        MessageBody::Stop { request: 5, error: ErrorOutput::default() },
        MessageBody::Continue { after: 12, bury: None },
        MessageBody::Continue { after: 12, bury: Some("m-1".into()) },
        MessageBody::Start(Some(Arc::new(child()))),
        MessageBody::ChildFinished { attempt: AttemptId(3), outcome: Callback::Success(large("ok ")) },
        MessageBody::ActivityStarted { attempt: AttemptId(3), after: 12 },
        MessageBody::MapRun(MapRunMessage::Begin {
            execution: info().execution_arn.clone(),
            run: RunId(7),
            attempt: AttemptId(3),
        }),
        MessageBody::MapRun(MapRunMessage::ChildFinished {
            index: 300,
            items: 2,
            child: Arc::new(Meta { parent: Some(map_run_parent()), ..meta() }),
        }),
        MessageBody::MapRun(MapRunMessage::Update { after: 2, update: limits_update() }),
        MessageBody::MapRun(MapRunMessage::Stop),
        MessageBody::MapRun(MapRunMessage::Continue),
        MessageBody::Redrive { request: 0x0123_4567_89AB_CDEF, token: Some("token".into()) },
        MessageBody::MapRun(MapRunMessage::Redrive {
            execution: info().execution_arn.clone(),
            run: RunId(7),
            attempt: AttemptId(3),
            redrives: 2,
        }),
        MessageBody::MapRun(MapRunMessage::RedrivenChildFinished {
            index: 300,
            items: 2,
            redrives: 2,
            child: Arc::new(Meta { parent: Some(map_run_parent()), ..meta() }),
        }),
        MessageBody::Express(Arc::new(meta())),
    ];
    let message = |body| Message {
        execution: info().execution_arn.clone(),
        run: RunId(9),
        epoch: 1,
        sent_at: AT,
        body,
    };
    body.into_iter().map(message).collect()
}

/// The index of a run whose first page holds a payload that the page refers to, and what finds it there.
fn index() -> (PayloadIndex, impl Fn(PayloadPlace) -> Option<Payload>) {
    let place = PayloadPlace::Page { seq: 1, index: 5 };
    let mut index = PayloadIndex::new(&large("input "));
    index.add(&large("earlier "), place);
    let find = move |at| match at {
        PayloadPlace::Input => Some(large("input ")),
        at if at == place => Some(large("earlier ")),
        _ => None,
    };
    (index, find)
}

#[test]
fn pages() {
    let (index, find) = index();
    let golden = check("page-v6.bin", &encode_page(PLACE, AT, &records(), &index).bytes);
    let decoded = decode_page(PLACE, &golden, &find).unwrap();
    assert_eq!(decoded.records, records());
    assert_eq!(decoded.at, AT);
    let missing = decode_page(PLACE, &golden, |at| find(at).filter(|_| at == PayloadPlace::Input));
    assert_eq!(missing.unwrap_err(), StoredError::Elsewhere { seq: 1, index: 5 });
    for (name, expected) in [
        ("page-v1.bin", first_records()),
        ("page-v1-plain.bin", vec![records().remove(0)]),
        ("page-v2.bin", second_records()),
        ("page-v2-plain.bin", vec![records().remove(0)]),
        ("page-v3.bin", third_records()),
        ("page-v3-plain.bin", vec![records().remove(0)]),
        ("page-v4.bin", fourth_records()),
        ("page-v4-plain.bin", vec![records().remove(0)]),
        ("page-v5.bin", records()),
        ("page-v5-plain.bin", vec![records().remove(0)]),
        ("page-v5-deflated.bin", records()),
    ] {
        let find = |place| find(place).or_else(|| Some(large("input ")));
        assert_eq!(decode_page(PLACE, &old(name), find).unwrap().records, expected, "{name}");
    }
}

/// What deflates may write other bytes one day, and reads these for ever.
#[test]
fn a_page_that_is_packed_small() {
    let (index, find) = index();
    let name = "page-v6-deflated.bin";
    let small = encode_packed(PLACE, AT, &records(), &index, Packing::Small).bytes;
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name), &small)
            .unwrap();
    }
    assert!(small.len() < encode_page(PLACE, AT, &records(), &index).bytes.len());
    for bytes in [&small[..], &old(name)] {
        assert_eq!((bytes[0], bytes[5]), (0xC6, 2));
        assert_eq!(decode_page(PLACE, bytes, &find).unwrap().records, records());
    }
    // What is small as it is, or too large for an item, stays with the quicker way.
    let few = &records()[..1];
    let quick = encode_page(PLACE, AT, few, &index).bytes;
    assert_eq!(encode_packed(PLACE, AT, few, &index, Packing::Small).bytes, quick);
    let huge = [5, 2, 255, 255, 255, 3, 1, 2, 3];
    assert!(decode_page(PLACE, &huge, &find).is_err());
}

#[test]
fn a_page_of_no_more_than_it_needs() {
    let records = [records().remove(0)];
    let mut nothing_known = PayloadIndex::default();
    let alone = encode_page(PagePlace { seq: Seq(1), ..PLACE }, AT, &records, &nothing_known);
    for (payload, place) in alone.stored {
        nothing_known.add(&payload, place);
    }
    let again = encode_page(PLACE, AT, &records, &nothing_known);
    check("page-v6-plain.bin", &again.bytes);
    assert!(again.stored.is_empty());
    assert!(again.bytes.len() < 400, "{}", again.bytes.len());
}

#[test]
fn metas() {
    let golden = check("meta-v4.bin", &encode_meta(&redriven()));
    assert_eq!(decode_meta(&golden).unwrap(), redriven());
    assert_eq!(decode_meta(&old("meta-v3.bin")).unwrap(), redriven());
    assert_eq!(decode_meta(&old("meta-v2.bin")).unwrap(), child());
    assert_eq!(decode_meta(&old("meta-v1.bin")).unwrap(), meta());
}

#[test]
fn map_runs() {
    let golden = check("map-run-v3.bin", &encode_map_run(&redriven_map_run()));
    assert_eq!(decode_map_run(&golden).unwrap(), redriven_map_run());
    assert_eq!(decode_map_run(&old("map-run-v2.bin")).unwrap(), redriven_map_run());
    assert_eq!(decode_map_run(&old("map-run-v1.bin")).unwrap(), map_run());
}

#[test]
fn ends() {
    let at = Some(PayloadPlace::Page { seq: 3, index: 1 });
    let end = End { output_at: at, events: 24_998, ..meta().end.unwrap() };
    let golden = check("end-v3.bin", &encode_end(&end));
    assert_eq!(decode_end(&golden).unwrap(), End { output: None, ..end.clone() });
    assert_eq!(decode_end(&old("end-v2.bin")).unwrap(), End { output: None, ..end.clone() });
    assert_eq!(decode_end(&old("end-v1.bin")).unwrap(), End { output: None, events: 0, ..end });
}

#[test]
fn messages_of_every_kind() {
    let bytes: Vec<_> = messages().iter().map(encode_message).collect();
    check("message-v6.bin", &bytes.concat());
    for (message, bytes) in messages().iter().zip(&bytes) {
        assert_eq!(decode_message(bytes).unwrap(), *message);
    }
    // METAs, which some messages end with, had no date of a redrive before version 3, and no parent before version 2.
    for (version, kinds) in [(1, 8), (2, 16), (3, 17), (4, 19), (5, bytes.len())] {
        // Before version 6 there was no checksum.
        let unsealed = |bytes: &Bytes| [&[version], &bytes[5..]].concat();
        let mut earlier: Vec<_> = bytes[..kinds].iter().map(unsealed).collect();
        for (at, bytes) in earlier.iter_mut().enumerate() {
            let ends_with_meta = matches!(
                messages()[at].body,
                MessageBody::Start(Some(_)) | MessageBody::MapRun(MapRunMessage::ChildFinished { .. })
            );
            bytes.truncate(
                bytes.len() - if ends_with_meta { usize::from(3_u8.saturating_sub(version)) } else { 0 },
            );
        }
        assert_eq!(earlier.concat(), old(&format!("message-v{version}.bin")));
        for (message, bytes) in messages().iter().zip(&earlier) {
            assert_eq!(decode_message(bytes).unwrap(), *message);
        }
    }
}

#[test]
fn the_deletion_of_a_machine() {
    let arn = "arn:aws:states:us-east-1:123456789012:stateMachine:m".into();
    let body = MessageBody::DeleteMachine { revision: "0c4b8a1e-1f2a-4d3b-8c5d-6e7f80910111".into() };
    let message = Message {
        execution: arn,
        run: RunId::default(),
        epoch: 0,
        sent_at: Timestamp(1_700_000_000_123),
        body,
    };
    let golden = check("message-v6-delete.bin", &encode_message(&message));
    assert_eq!(decode_message(&golden).unwrap(), message);
    for version in 2..6 {
        assert_eq!(decode_message(&old(&format!("message-v{version}-delete.bin"))).unwrap(), message);
    }
}

/// A stored form: its name, an example, and whether bytes can be read as that.
type Form = (&'static str, Bytes, Box<dyn Fn(&[u8]) -> bool>);

/// One of each.
fn forms() -> Vec<Form> {
    let (index, find) = index();
    let find = Arc::new(find);
    let mut forms: Vec<Form> = vec![];
    let plain = encode_page(PLACE, AT, &records()[..3], &index).bytes;
    let (quick, small) = [Packing::Quick, Packing::Small]
        .map(|packing| encode_packed(PLACE, AT, &records(), &index, packing).bytes)
        .into();
    for (name, bytes) in [("plain page", plain), ("page", quick), ("deflated page", small)] {
        let find = find.clone();
        forms.push((name, bytes, Box::new(move |bytes| decode_page(PLACE, bytes, &*find).is_ok())));
    }
    for message in messages() {
        forms.push(("message", encode_message(&message), Box::new(|bytes| decode_message(bytes).is_ok())));
    }
    forms.push(("meta", encode_meta(&redriven()), Box::new(|bytes| decode_meta(bytes).is_ok())));
    let map_run = encode_map_run(&redriven_map_run());
    forms.push(("map run", map_run, Box::new(|bytes| decode_map_run(bytes).is_ok())));
    let end = encode_end(&meta().end.unwrap());
    forms.push(("end", end, Box::new(|bytes| decode_end(bytes).is_ok())));
    forms
}

/// Each bit of each form is turned, alone and with its neighbours, and each form is cut everywhere and added to.
#[test]
fn damage_is_found() {
    let mut tried = 0;
    for (name, good, read) in forms() {
        assert!(read(&good), "{name}");
        for at in 0..good.len() {
            assert!(!read(&good[..at]), "{name} cut at {at}");
            for change in (0..8).map(|bit| 1 << bit).chain([0xFF, 0xC0, 0x03, 0x18]) {
                let mut bad = good.to_vec();
                bad[at] ^= change;
                assert!(!read(&bad), "{name}: {change:#04x} at {at}");
                tried += 1;
            }
        }
        assert!(!read(&[&good[..], &[0]].concat()), "{name} with a byte more");
    }
    println!("{tried} changes, each of them found");
}

/// A page is of its run and of its place there, and of who wrote it.
#[test]
fn a_page_elsewhere_is_damaged() {
    let (index, find) = index();
    let [driver, other] = [1, 2].map(|delivery| Writer::Driver(Claimant { message: "m-1".into(), delivery }));
    let renamed = Writer::Driver(Claimant { message: "m-2".into(), delivery: 1 });
    let here = PagePlace { writer: &driver, ..PLACE };
    let page = encode_page(here, AT, &records(), &index).bytes;
    assert!(decode_page(here, &page, &find).is_ok());
    for place in [
        PagePlace { seq: Seq(3), ..here },
        PagePlace { run: RunId(RUN.0 ^ 1), ..here },
        PagePlace { writer: &other, ..here },
        PagePlace { writer: &renamed, ..here },
        PagePlace { writer: &Writer::Request(1), ..here },
    ] {
        let damaged = decode_page(place, &page, &find);
        assert!(matches!(damaged, Err(StoredError::Damaged { what: "page", .. })), "{place:?}");
    }
}

/// What was written before there were checksums may be misread, but never panics.
#[test]
fn older_forms_that_are_damaged_do_no_harm() {
    let (_, find) = index();
    let names = ["page-v5.bin", "page-v5-plain.bin", "page-v5-deflated.bin", "page-v1.bin", "meta-v3.bin"];
    for name in names.into_iter().chain(["message-v5-delete.bin", "end-v2.bin", "map-run-v2.bin"]) {
        let good = old(name);
        for at in 0..good.len() {
            for change in [0, 1, 0x80, 0xFF] {
                let mut bad = good.clone();
                bad[at] ^= change;
                for bytes in [&bad[..], &bad[..at]] {
                    let _ = decode_page(PLACE, bytes, &find);
                    let _ = decode_meta(bytes);
                    let _ = decode_end(bytes);
                    let _ = decode_message(bytes);
                    let _ = decode_map_run(bytes);
                }
            }
        }
    }
}

#[test]
fn later_versions_are_not_read() {
    let (_, find) = index();
    for version in [0, 6, 77] {
        let unknown = |what| StoredError::Version { what, version };
        assert_eq!(decode_page(PLACE, &[version, 0], &find).unwrap_err(), unknown("page"));
        assert_eq!(decode_meta(&[version]).unwrap_err(), unknown("meta"));
        assert_eq!(decode_message(&[version]).unwrap_err(), unknown("message"));
    }
    let mut later = encode_meta(&meta()).to_vec();
    later[0] = 0xC0 | 7;
    let mut crc = crc32fast::Hasher::new();
    crc.update(&later[..1]);
    crc.update(&later[5..]);
    later[1..5].copy_from_slice(&crc.finalize().to_le_bytes());
    assert_eq!(decode_meta(&later).unwrap_err(), StoredError::Version { what: "meta", version: 7 });
    // A short page that says it is long.
    assert!(decode_page(PLACE, &[1, 1, 0xFF, 0xFF, 0xFF, 0x03, 0x1F, 0x00], &find).is_err());
}
