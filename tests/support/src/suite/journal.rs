//! What every Journal does.

use std::sync::Arc;

use stepwell_engine::meta::{End, Meta, Parked, PayloadPlace, RETENTION, RunId};
use stepwell_engine::port::{
    AppendError, FinishError, Invocation, Journal, ListQuery, Loaded, Page, PutMetaError, Seq, Writer,
};
use stepwell_interpreter::{Claimant, Timestamp};

use super::{MACHINE, arn, both, end, meta};

/// What every Journal does.
pub async fn journal(journal: &dyn Journal) {
    a_meta_is_put_once(journal).await;
    a_page_is_appended_once(journal).await;
    racing_writers_have_one_winner(journal).await;
    a_load_reaches_the_tail(journal).await;
    an_end_is_written_once(journal).await;
    a_redriven_execution_runs_and_ends_again(journal).await;
    a_listing_is_newest_first(journal).await;
    a_name_is_free_again_in_the_end(journal).await;
    leases_and_parking(journal).await;
}

/// What a Journal does that keeps the calls that go on by themselves.
pub async fn invocations(journal: &dyn Journal) {
    let (id, token) = ("e4b46cbf-b738-4a1c-8880-a18cdf61200e", "token");
    assert_eq!(journal.invocation(id).await.expect("the store answers"), None);
    for trace in [None, Some("Root=1-5759e988-bd862e3fe1be46a994272793".into())] {
        let resource = "arn:aws:states:::lambda:invoke".into();
        let invocation =
            Invocation { token: token.into(), resource, trace, until: Timestamp(4_102_444_800_123) };
        for _ in 0..2 {
            journal.put_invocation(id, &invocation).await.expect("put");
            assert_eq!(journal.invocation(id).await.expect("the store answers").as_ref(), Some(&invocation));
        }
    }
    assert_eq!(journal.invocation("another").await.expect("the store answers"), None);
}

fn page(delivery: u64, text: &str) -> Page {
    let claimant = Claimant { message: "suite-1".into(), delivery };
    Page { writer: Writer::Driver(claimant), bytes: text.to_owned().into() }
}

async fn loaded(journal: &dyn Journal, name: &str, after: Option<(u128, u64)>) -> Option<Loaded> {
    let after = after.map(|(run, seq)| (RunId(run), Seq(seq)));
    journal.load(&arn(name), after).await.expect("the store answers")
}

async fn a_meta_is_put_once(journal: &dyn Journal) {
    assert!(loaded(journal, "put", None).await.is_none());
    assert!(journal.meta(&arn("put")).await.expect("the store answers").is_none());
    let first = meta("put", 1, 100);
    journal.put_meta(first.clone()).await.expect("put");
    journal.put_meta(first.clone()).await.expect("the same META again is the adapter's own retry");
    let other = journal.put_meta(meta("put", 2, 200)).await;
    assert!(matches!(other, Err(PutMetaError::Exists(there)) if *there == *first));
    assert_eq!(*loaded(journal, "put", None).await.expect("put").meta, *first);
    assert_eq!(journal.meta(&arn("put")).await.expect("the store answers").as_deref(), Some(&*first));
}

async fn a_page_is_appended_once(journal: &dyn Journal) {
    journal.put_meta(meta("append", 3, 100)).await.expect("put");
    let arn = arn("append");
    let append = async |run, seq, page| journal.append(&arn, RunId(run), Seq(seq), page).await;
    append(3, 1, page(1, "one")).await.expect("appended");
    append(3, 1, page(1, "one")).await.expect("the same page by the same writer is its own retry");
    for other in [page(1, "other"), page(2, "one"), Page { writer: Writer::Request(1), bytes: "one".into() }]
    {
        let conflict = append(3, 1, other).await;
        assert!(matches!(conflict, Err(AppendError::Conflict { seq: Seq(1), .. })), "{conflict:?}");
    }
    let gone = append(4, 2, page(1, "of another run")).await;
    assert!(matches!(gone, Err(AppendError::Gone { .. })), "{gone:?}");
    let gone = journal.append("arn:of:nothing", RunId(3), Seq(1), page(1, "of nothing")).await;
    assert!(matches!(gone, Err(AppendError::Gone { .. })), "{gone:?}");
    append(3, 2, Page { writer: Writer::Request(7), bytes: "two".into() }).await.expect("appended");
    let pages = loaded(journal, "append", None).await.expect("put").pages;
    let expected =
        [(Seq(1), page(1, "one")), (Seq(2), Page { writer: Writer::Request(7), bytes: "two".into() })];
    assert_eq!(pages, expected);
}

async fn racing_writers_have_one_winner(journal: &dyn Journal) {
    journal.put_meta(meta("race", 5, 100)).await.expect("put");
    let arn = arn("race");
    let append = |delivery| journal.append(&arn, RunId(5), Seq(1), page(delivery, "mine"));
    let (a, b) = (append(1), append(2));
    let (a, b) = both(a, b).await;
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
    assert_eq!(loaded(journal, "race", None).await.expect("put").pages.len(), 1);
}

async fn a_load_reaches_the_tail(journal: &dyn Journal) {
    journal.put_meta(meta("load", 6, 100)).await.expect("put");
    // Large pages too, and bytes that are no text.
    let bytes = |seq: u64| vec![seq as u8 | 0x80; if seq == 3 { 300_000 } else { 10 }];
    for seq in 1..=5 {
        let page = Page { bytes: bytes(seq).into(), ..page(seq, "") };
        journal.append(&arn("load"), RunId(6), Seq(seq), page).await.expect("appended");
        let tail = loaded(journal, "load", Some((6, seq - 1))).await.expect("put").pages;
        assert_eq!(tail.len(), 1, "what was appended is read at once");
        assert!(loaded(journal, "load", Some((6, seq))).await.expect("put").pages.is_empty());
    }
    for (after, first) in [(None, 1), (Some((6, 0)), 1), (Some((6, 2)), 3), (Some((99, 4)), 1)] {
        let pages = loaded(journal, "load", after).await.expect("put").pages;
        let seqs: Vec<_> = pages.iter().map(|(seq, _)| seq.0).collect();
        assert_eq!(seqs, (first..=5).collect::<Vec<_>>(), "behind {after:?}");
        for (seq, page) in pages {
            assert!(page.bytes == bytes(seq.0), "page {}", seq.0);
        }
    }
}

async fn an_end_is_written_once(journal: &dyn Journal) {
    journal.put_meta(meta("end", 7, 100)).await.expect("put");
    let arn = arn("end");
    let finish = async |run, epoch, end| journal.finish(&arn, RunId(run), epoch, end).await;
    for (run, epoch) in [(8, 0), (7, 1)] {
        let moved_on = finish(run, epoch, end("FAILED", None)).await;
        assert!(matches!(moved_on, Err(FinishError::MovedOn(_))), "{moved_on:?}");
    }
    let missing = journal.finish("arn:of:nothing", RunId(7), 0, end("FAILED", None)).await;
    assert!(matches!(missing, Err(FinishError::MovedOn(_))), "{missing:?}");
    finish(7, 0, end("SUCCEEDED", Some(r#"{ "a": 1 }"#))).await.expect("finished");
    finish(7, 0, end("FAILED", None)).await.expect("it has ended already");
    let found = loaded(journal, "end", None).await.expect("put").meta;
    assert_eq!(found.end, Some(end("SUCCEEDED", Some(r#"{ "a": 1 }"#))));

    // With its last page, or behind it.
    journal.put_meta(meta("end-at-once", 10, 100)).await.expect("put");
    let last = async |page| {
        let name = super::arn("end-at-once");
        journal.append_last(&name, (RunId(10), 0), Seq(1), page, &end("FAILED", None)).await
    };
    let finished = last(page(1, "last")).await.expect("appended");
    let found = loaded(journal, "end-at-once", None).await.expect("put");
    assert_eq!((found.meta.end.is_some(), found.pages.len()), (finished, 1));
    assert_eq!(last(page(1, "last")).await.expect("its own retry"), finished);
    let conflict = last(page(2, "last")).await;
    assert!(matches!(conflict, Err(AppendError::Conflict { .. })), "{conflict:?}");

    // An output that a page holds is stored as its place.
    journal.put_meta(meta("end-elsewhere", 9, 100)).await.expect("put");
    let place = Some(PayloadPlace::Page { seq: 4, index: 2 });
    let elsewhere = End { output_at: place, ..end("SUCCEEDED", Some("1")) };
    journal.finish(&super::arn("end-elsewhere"), RunId(9), 0, elsewhere).await.expect("finished");
    let found = loaded(journal, "end-elsewhere", None).await.expect("put").meta;
    assert_eq!(found.end.as_ref().and_then(|end| end.output_at), place);
}

async fn a_redriven_execution_runs_and_ends_again(journal: &dyn Journal) {
    let name = arn("redriven");
    let other = meta("not-redriven", 21, 10_000);
    let machine: Arc<str> = format!("{MACHINE}Redriven").into();
    let of_machine = |meta: &Meta| {
        let info = stepwell_interpreter::ExecutionInfo {
            state_machine_arn: machine.clone(),
            ..(*meta.info).clone()
        };
        Arc::new(Meta { info: Arc::new(info), ..meta.clone() })
    };
    let first = of_machine(&meta("redriven", 20, 100));
    journal.put_meta(first.clone()).await.expect("put");
    journal.put_meta(of_machine(&other)).await.expect("put");
    let listed = async |status| {
        let query = ListQuery { state_machine_arn: machine.clone(), status, limit: 5, after: None };
        let listed = journal.list(query).await.expect("the store answers");
        listed.metas.iter().map(|meta| meta.info.name.to_string()).collect::<Vec<_>>().join(" ")
    };
    let redrive = async |run, epoch, at| {
        journal.redrive(&name, RunId(run), epoch, Timestamp(at)).await.expect("the store answers");
    };
    let finish = async |epoch, status| journal.finish(&name, RunId(20), epoch, end(status, None)).await;
    let found = async || journal.meta(&name).await.expect("the store answers").expect("put");
    finish(0, "FAILED").await.expect("finished");
    assert_eq!(listed(None).await, "not-redriven redriven");

    redrive(19, 1, 10_400).await;
    assert_eq!(found().await.status(), "FAILED", "of another run");
    journal.redrive("arn:of:nothing", RunId(20), 1, Timestamp(10_400)).await.expect("there is none");
    redrive(20, 1, 10_400).await;
    assert_eq!(*found().await, first.redriven(1, Timestamp(10_400)));
    assert_eq!(*loaded(journal, "redriven", None).await.expect("put").meta, *found().await);
    assert_eq!(listed(None).await, "redriven not-redriven");
    assert_eq!(
        (listed(Some("RUNNING")).await, listed(Some("FAILED")).await),
        ("redriven not-redriven".into(), "".into())
    );

    let late = finish(0, "ABORTED").await;
    assert!(matches!(late, Err(FinishError::MovedOn(_))), "{late:?}");
    finish(1, "TIMED_OUT").await.expect("finished");
    for (epoch, at) in [(0, 10_500), (1, 10_500)] {
        redrive(20, epoch, at).await;
        let found = found().await;
        assert_eq!(
            (found.status(), found.redriven_at),
            ("TIMED_OUT", Some(Timestamp(10_400))),
            "{epoch} is over"
        );
    }
    assert_eq!(listed(Some("TIMED_OUT")).await, "redriven");
    assert_eq!(listed(Some("RUNNING")).await, "not-redriven");
    redrive(20, 3, 10_600).await;
    finish(3, "SUCCEEDED").await.expect("finished");
    assert_eq!((found().await.status(), found().await.epoch), ("SUCCEEDED", 3));
}

async fn a_listing_is_newest_first(journal: &dyn Journal) {
    let machine: Arc<str> = format!("{MACHINE}Listed").into();
    for n in 0..7_u32 {
        let put = meta(&format!("list{n}"), 100 + u128::from(n), i64::from(n) * 1000);
        let mut info = (*put.info).clone();
        info.state_machine_arn = machine.clone();
        let put = Arc::new(Meta { info: Arc::new(info), ..Meta::clone(&put) });
        journal.put_meta(put.clone()).await.expect("put");
        if n % 3 == 0 {
            // Those that started first end last.
            let end = End { at: Timestamp(20_000 - i64::from(n) * 1000), ..end("SUCCEEDED", Some("1")) };
            journal.finish(&put.execution_arn, put.run, 0, end).await.expect("finished");
        }
    }
    for (status, expected) in [
        (None, vec![0, 3, 6, 5, 4, 2, 1]),
        (Some("SUCCEEDED"), vec![0, 3, 6]),
        (Some("RUNNING"), vec![5, 4, 2, 1]),
        (Some("ABORTED"), vec![]),
    ] {
        let (mut found, mut after) = (vec![], None);
        loop {
            let query = ListQuery { state_machine_arn: machine.clone(), status, limit: 2, after };
            let listed = journal.list(query).await.expect("the store answers");
            assert!(listed.metas.len() <= 2);
            found.extend(listed.metas.iter().map(|meta| meta.info.name.to_string()));
            after = listed.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected.iter().map(|n| format!("list{n}")).collect::<Vec<_>>(), "{status:?}");
    }
}

async fn a_name_is_free_again_in_the_end(journal: &dyn Journal) {
    let first = meta("again", 31, 100);
    journal.put_meta(first.clone()).await.expect("put");
    let arn = arn("again");
    journal.append(&arn, RunId(31), Seq(1), page(1, "of the first run")).await.expect("appended");
    let end = end("FAILED", None);
    journal.finish(&arn, RunId(31), 0, end.clone()).await.expect("finished");
    let later = end.at.plus_seconds(RETENTION.as_secs());
    let second = meta("again", 32, later.0);
    journal.put_meta(second.clone()).await.expect("there is room again");
    let loaded = loaded(journal, "again", None).await.expect("put");
    assert_eq!((&*loaded.meta, loaded.pages.len()), (&*second, 0));
    let gone = journal.append(&arn, RunId(31), Seq(2), page(1, "of the first run")).await;
    assert!(matches!(gone, Err(AppendError::Gone { .. })), "{gone:?}");
    journal.append(&arn, RunId(32), Seq(1), page(2, "of the second")).await.expect("appended");
}

async fn leases_and_parking(journal: &dyn Journal) {
    assert_eq!(journal.lease("suite-9").await.expect("the store answers"), None);
    for until in [Timestamp(5_000), Timestamp(6_000)] {
        journal.put_lease("suite-9", until).await.expect("written");
        assert_eq!(journal.lease("suite-9").await.expect("the store answers"), Some(until));
    }
    journal.put_meta(meta("park", 11, 100)).await.expect("put");
    let parked = Parked { message: "suite-9".into(), why: "it fails again and again".into() };
    for why in [Some(parked), None] {
        journal.park(&arn("park"), RunId(11), why.clone()).await.expect("parked");
        assert_eq!(loaded(journal, "park", None).await.expect("put").meta.parked, why);
    }
}
