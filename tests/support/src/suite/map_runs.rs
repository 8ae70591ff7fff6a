//! What every store of Map Runs does.

use std::sync::Arc;

use stepwell_engine::map_run::{
    Change, Count, Cursor, Ended, Ending, LimitsUpdate, MapRun, Outcome, Transformation,
};
use stepwell_engine::port::{MapRuns, MapRunsQuery};
use stepwell_expr::Payload;
use stepwell_interpreter::{AttemptId, MapRunLimits, Timestamp};

use super::arn;

/// What every store of Map Runs does.
pub async fn map_runs(map_runs: &dyn MapRuns) {
    creation(map_runs).await;
    outcomes(map_runs).await;
    conditions(map_runs).await;
    redrives(map_runs).await;
    listing(map_runs).await;
}

async fn creation(map_runs: &dyn MapRuns) {
    let one = map_run("one", "e", 1);
    assert!(found(map_runs, &one).await.is_none());
    let absent = map_runs.change(&one.arn, Change::End(Ending::Aborted)).await.expect("the store answers");
    assert!(absent.is_none());
    assert_eq!(map_runs.create(one.clone()).await.expect("created"), one);
    let other = Arc::new(MapRun { items: 99, ..MapRun::clone(&one) });
    assert_eq!(map_runs.create(other).await.expect("there is one"), one);
    assert_eq!(found(map_runs, &one).await, Some(one));
}

async fn outcomes(map_runs: &dyn MapRuns) {
    let run = map_run("outcomes", "e", 2);
    map_runs.create(run.clone()).await.expect("created");
    let large = "x".repeat(600_000);
    for (index, status, result) in [
        (3, "SUCCEEDED", format!("\"{large}\"")),
        (0, "FAILED", r#"{ "Error": "ö" }"#.to_owned()),
        (3, "ABORTED", "1".to_owned()),
        (1, "TIMED_OUT", format!("\"{large}\"")),
        (2, "ABORTED", format!("\"{large}\"")),
        (5, "SUCCEEDED", "\"not kept\"".to_owned()),
        (u64::from(u32::MAX), "SUCCEEDED", "\"not kept\"".to_owned()),
    ] {
        let result = Payload::parse(result).expect("it is JSON");
        let change = Change::Outcome(Outcome { result, ..outcome(index, 2, status, 0) });
        let again = change.clone();
        let changed = applied(map_runs, &run, change).await;
        assert_eq!(changed, status != "ABORTED" || index == 2, "{index} {status}");
        assert!(!applied(map_runs, &run, again).await, "{index} {status} counts once");
    }
    let now = found(map_runs, &run).await.expect("it is there");
    let Ended { succeeded, failed, timed_out, aborted } = now.ended;
    let counts = [succeeded, failed, timed_out, aborted].map(|count| (count.children, count.items));
    assert_eq!(counts, [(3, 6), (1, 2), (1, 2), (1, 2)]);
    for (from, limit, expected) in
        [(0, 10, vec![0, 1, 3]), (0, 2, vec![0, 1]), (2, 10, vec![3]), (4, 10, vec![])]
    {
        let results = map_runs.results(&run.arn, from, limit).await.expect("the store answers");
        assert_eq!(results.iter().map(|(index, _)| *index).collect::<Vec<_>>(), expected);
    }
    let first = map_runs.results(&run.arn, 0, 1).await.expect("the store answers");
    assert_eq!(&**first[0].1.text(), r#"{ "Error": "ö" }"#);
    assert!(map_runs.results("nobody's", 0, 10).await.expect("the store answers").is_empty());
}

async fn conditions(map_runs: &dyn MapRuns) {
    let run = map_run("conditions", "e", 3);
    map_runs.create(run.clone()).await.expect("created");
    let at = |items, children| Cursor { items, children };
    let advance = |from, to| Change::Advance { from, to };
    assert!(applied(map_runs, &run, advance(at(0, 0), at(4, 2))).await);
    assert!(!applied(map_runs, &run, advance(at(0, 0), at(6, 3))).await);
    let update = LimitsUpdate { tolerated_failure_percentage: Some(12.5), ..LimitsUpdate::default() };
    assert!(applied(map_runs, &run, Change::Limits { after: 0, update }).await);
    assert!(!applied(map_runs, &run, Change::Limits { after: 0, update }).await);
    let limits = found(map_runs, &run).await.expect("it is there").limits;
    let expected = MapRunLimits { tolerated_failure_percentage: Some(12.5), ..run.limits };
    assert_eq!(limits, expected);

    assert!(applied(map_runs, &run, Change::End(Ending::Aborted)).await);
    for late in [
        advance(at(4, 2), at(6, 3)),
        Change::Limits { after: 1, update },
        Change::End(Ending::Succeeded),
        Change::Close { ending: Ending::Succeeded, at: Timestamp(9) },
    ] {
        assert!(!applied(map_runs, &run, late.clone()).await, "{late:?}");
    }
    let aborted = |index| Change::Outcome(outcome(index, 1, "ABORTED", 0));
    assert!(applied(map_runs, &run, aborted(1)).await);
    let close = Change::Close { ending: Ending::Aborted, at: Timestamp(9) };
    assert!(applied(map_runs, &run, close.clone()).await);
    assert!(!applied(map_runs, &run, close).await);
    assert!(!applied(map_runs, &run, aborted(0)).await);
    let now = found(map_runs, &run).await.expect("it is there");
    assert_eq!((now.status(), now.closed_at, now.cursor), ("ABORTED", Some(Timestamp(9)), at(4, 2)));
}

/// What went wrong goes on: its outcomes of a redrive take the places of those before, each once.
async fn redrives(map_runs: &dyn MapRuns) {
    let run = map_run("redrives", "e", 4);
    map_runs.create(run.clone()).await.expect("created");
    let (from, to) = (Cursor::default(), Cursor { items: 10, children: 5 });
    assert!(applied(map_runs, &run, Change::Advance { from, to }).await);
    let statuses = ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "FAILED"];
    for (index, status) in (0..).zip(statuses) {
        assert!(applied(map_runs, &run, Change::Outcome(outcome(index, 2, status, 0))).await);
    }
    let two = Count { children: 2, items: 4 };
    let one = Count { children: 1, items: 2 };
    let before = Ended { succeeded: one, failed: two, timed_out: one, aborted: one };
    let then = Ended { succeeded: two, ..before };
    let then = Ended { failed: one, ..then };
    let redrive = |redrives| Change::Redrive {
        known: if redrives == 1 { before } else { then },
        redrives,
        at: Timestamp(20),
        begun: Box::new(MapRun { epoch: redrives, attempt: AttemptId(9), ..MapRun::clone(&run) }),
    };
    assert!(!applied(map_runs, &run, redrive(1)).await, "it is not over");
    let failed = Ending::Failed(Default::default());
    let close = Change::Close { ending: failed, at: Timestamp(9) };
    assert!(applied(map_runs, &run, close.clone()).await);
    assert!(applied(map_runs, &run, redrive(1)).await);
    assert!(!applied(map_runs, &run, redrive(1)).await);
    let counts = async || {
        let run = found(map_runs, &run).await.expect("it is there");
        let all = [run.unsuccessful.all(), run.running(), run.ended.all(), run.not_redrivable];
        (run.status(), all.map(|count| (count.children, count.items)))
    };
    assert_eq!(counts().await, ("RUNNING", [(4, 8), (0, 0), (1, 2), (0, 0)]));

    let known = async |from, limit| {
        let known = map_runs.outcomes(&run.arn, from, limit, true).await.expect("the store answers");
        known.into_iter().map(|one| (one.index, one.status, one.items, one.redrives)).collect::<Vec<_>>()
    };
    let before = [(1, "FAILED", 2, 0), (2, "TIMED_OUT", 2, 0), (3, "ABORTED", 2, 0), (4, "FAILED", 2, 0)];
    assert_eq!(known(0, 10).await, before);
    assert_eq!(known(2, 2).await, before[1..3]);
    let which = Some(Ended { failed: one, timed_out: one, ..Ended::default() });
    let claim = Change::Claim { from: 0, to: 3, which };
    assert!(applied(map_runs, &run, claim.clone()).await);
    assert!(!applied(map_runs, &run, claim).await);
    assert_eq!(counts().await, ("RUNNING", [(2, 4), (2, 4), (1, 2), (0, 0)]));
    let next = Change::Claim { from: 3, to: 5, which: Some(Ended::default()) };
    assert!(!applied(map_runs, &run, next).await, "what is claimed is redriven first");
    assert!(applied(map_runs, &run, Change::Claimed(3)).await);
    assert!(!applied(map_runs, &run, Change::Claimed(3)).await);

    let refused = Outcome { not_redrivable: true, ..outcome(2, 2, "TIMED_OUT", 1) };
    for (late, is_new) in [
        (outcome(1, 2, "FAILED", 0), false),
        (outcome(1, 2, "SUCCEEDED", 2), false),
        (outcome(1, 2, "SUCCEEDED", 1), true),
        (outcome(1, 2, "SUCCEEDED", 1), false),
        (refused.clone(), true),
        (refused, false),
    ] {
        assert_eq!(applied(map_runs, &run, Change::Outcome(late.clone())).await, is_new, "{late:?}");
    }
    assert_eq!(counts().await, ("RUNNING", [(2, 4), (0, 0), (3, 6), (1, 2)]));
    let now = [(2, "TIMED_OUT", 2, 1), (3, "ABORTED", 2, 0), (4, "FAILED", 2, 0)];
    assert_eq!(known(0, 10).await, now);

    // What waits still is counted as it was when the Map Run is over.
    assert!(applied(map_runs, &run, close).await);
    assert_eq!(counts().await, ("FAILED", [(0, 0), (0, 0), (5, 10), (1, 2)]));
    assert!(applied(map_runs, &run, redrive(2)).await);
    assert_eq!(counts().await, ("RUNNING", [(3, 6), (0, 0), (2, 4), (0, 0)]));
    assert!(!applied(map_runs, &run, Change::Outcome(outcome(3, 2, "SUCCEEDED", 1))).await);
    let all = map_runs.outcomes(&run.arn, 0, 2, false).await.expect("the store answers");
    assert_eq!(all.iter().map(|one| one.status).collect::<Vec<_>>(), ["SUCCEEDED", "SUCCEEDED"]);
    assert!(!applied(map_runs, &run, Change::In(1, Change::End(Ending::Aborted).into())).await);
    let rest = Change::Claim { from: 0, to: 0, which: None };
    assert!(applied(map_runs, &run, rest).await);
    assert_eq!(counts().await, ("RUNNING", [(0, 0), (0, 0), (5, 10), (3, 6)]));
}

fn outcome(index: u64, items: u64, status: &'static str, redrives: u32) -> Outcome {
    let result = Payload::default();
    Outcome { index, items, status, result, begun: 0, redrives, not_redrivable: false }
}

async fn listing(map_runs: &dyn MapRuns) {
    for n in 0..5 {
        map_runs.create(map_run(&format!("listed-{n}"), "listing", 100 + n)).await.expect("created");
    }
    let (mut names, mut after) = (vec![], None);
    loop {
        let query = MapRunsQuery { execution_arn: arn("listing").into(), limit: 2, after };
        let listed = map_runs.list(query).await.expect("the store answers");
        assert!(listed.map_runs.len() <= 2);
        names.extend(listed.map_runs.iter().map(|run| run.arn.rsplit(':').next().unwrap_or("").to_owned()));
        after = listed.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(names, ["listed-4", "listed-3", "listed-2", "listed-1", "listed-0"]);
}

async fn applied(map_runs: &dyn MapRuns, run: &MapRun, change: Change) -> bool {
    let changed = map_runs.change(&run.arn, change).await.expect("the store answers").expect("it is there");
    assert_eq!(found(map_runs, run).await.as_ref(), Some(&changed.map_run));
    changed.applied
}

async fn found(map_runs: &dyn MapRuns, run: &MapRun) -> Option<Arc<MapRun>> {
    map_runs.map_run(&run.arn).await.expect("the store answers")
}

fn map_run(name: &str, execution: &str, started_at: i64) -> Arc<MapRun> {
    Arc::new(MapRun {
        epoch: 1,
        attempt: AttemptId(3),
        express: true,
        started_at: Timestamp(started_at),
        items: 12,
        limits: MapRunLimits {
            max_concurrency: 5,
            tolerated_failure_count: Some(6),
            tolerated_failure_percentage: None,
            max_items_per_batch: Some(2),
            max_input_bytes_per_batch: Some(1000),
        },
        transformation: Transformation::Flatten,
        ..crate::map_run("Suite", execution, name)
    })
}
