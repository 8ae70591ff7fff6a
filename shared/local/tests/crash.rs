//! A process that is killed while it writes has lost nothing that it acknowledged.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use stepwell_engine::message::{Message, MessageBody};
use stepwell_engine::meta::{End, Meta};
use stepwell_engine::port::{Page, Ports, Seq, Writer};
use stepwell_expr::Payload;
use stepwell_interpreter::{ErrorOutput, ExecutionInfo, TimerId, Timestamp};
use stepwell_local::{LocalStore, Options};
use stepwell_test_support::{NoTasks, execution};

/// Where the child process writes; it is this test binary again, with this variable set.
const DIRECTORY: &str = "STEPWELL_CRASH_TEST_DIRECTORY";
const ROUND: &str = "STEPWELL_CRASH_TEST_ROUND";
const WRITERS: u32 = 8;
const PAGES: u64 = 5;

#[test]
fn what_a_killed_process_acknowledged_is_there() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut acknowledged = vec![];
    for round in 0..6 {
        let lines = acknowledged_before_kill(directory.path(), round, 40 + 150 * round);
        assert!(!lines.is_empty());
        acknowledged.extend(lines);
        check(directory.path(), &acknowledged);
    }
}

/// What a writing child has acknowledged when it is killed, after `count` facts at the earliest.
fn acknowledged_before_kill(directory: &Path, round: usize, count: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "writes_until_it_is_killed", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let mut reader = BufReader::new(child.stdout.take().expect("piped"));
    let (mut acknowledged, mut killed) = (vec![], false);
    let mut line = String::new();
    while reader.read_line(&mut line).expect("text") > 0 {
        // The last line may be torn, and the test harness prints some of its own.
        if let Some(fact) = line.strip_suffix(" ok\n") {
            acknowledged.extend(fact.find("ack ").map(|at| fact[at + 4..].to_owned()));
        }
        if acknowledged.len() >= count && !killed {
            child.kill().expect("it lives");
            killed = true;
        }
        line.clear();
    }
    child.wait().expect("it ended");
    acknowledged
}

/// The child: writes executions without end and says what was acknowledged.
#[test]
fn writes_until_it_is_killed() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let round = std::env::var(ROUND).expect("set too");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let store = LocalStore::open(Path::new(&directory), Options::default()).expect("opened");
    let ports = store.ports(Arc::new(NoTasks));
    runtime.block_on(async {
        let writers =
            (0..WRITERS).map(|writer| tokio::spawn(write(ports.clone(), format!("{round}-{writer}"))));
        for writer in writers.collect::<Vec<_>>() {
            writer.await.expect("it is killed before");
        }
    });
}

async fn write(ports: Ports, writer: String) {
    let journal = &ports.journal;
    for n in 0_u32.. {
        let name = format!("{writer}-{n}");
        let meta = meta(&name);
        let arn = meta.execution_arn.clone();
        journal.put_meta(meta.clone()).await.expect("put");
        say(&name, "meta");
        for seq in 1..=PAGES {
            let due = Timestamp(i64::MAX / 2);
            let body = MessageBody::TimerFired { timer: TimerId(seq as u32), due };
            let (execution, sent_at) = (arn.clone(), Timestamp(0));
            let message = Message { execution, run: meta.run, epoch: 0, sent_at, body };
            ports.queue.send(message, Some(due)).await.expect("sent");
            journal.append(&arn, meta.run, Seq(seq), page(&name, seq)).await.expect("appended");
            say(&name, &seq.to_string());
        }
        journal.finish(&arn, meta.run, 0, end()).await.expect("finished");
        say(&name, "end");
    }
}

fn say(name: &str, what: &str) {
    // One write, so that lines of two writers do not mix.
    let line = format!("ack {name} {what} ok\n");
    std::io::stdout().write_all(line.as_bytes()).expect("the parent listens");
}

fn check(directory: &Path, acknowledged: &[String]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let store = LocalStore::open(directory, Options::default()).expect("opened");
    let journal = store.ports(Arc::new(NoTasks)).journal;
    for fact in acknowledged {
        let (name, what) = fact.split_once(' ').expect("name and what");
        let arn = meta(name).execution_arn.clone();
        let loaded = runtime.block_on(journal.load(&arn, None)).expect("read");
        let loaded = loaded.unwrap_or_else(|| panic!("{fact}: no META"));
        match what {
            "meta" => assert_eq!(loaded.meta.input, meta(name).input),
            "end" => assert_eq!(loaded.meta.end, Some(end())),
            seq => {
                let seq: u64 = seq.parse().expect("a page");
                let found = loaded.pages.iter().find(|(at, _)| at.0 == seq);
                assert_eq!(found.map(|(_, page)| page), Some(&page(name, seq)), "{fact}");
            }
        }
    }
    store.close();
    let connection = rusqlite::Connection::open(directory.join("stepwell.db")).expect("opened");
    let sql = "SELECT count(*) FROM page LEFT JOIN timer ON timer.key = page.key WHERE timer.key IS NULL";
    let without: i64 = connection.query_row(sql, [], |row| row.get(0)).expect("counted");
    assert_eq!(without, 0, "pages whose timer, sent before them, was lost");
}

fn meta(name: &str) -> Arc<Meta> {
    let info = ExecutionInfo { started_at: Timestamp(1), ..execution("m", name) };
    Arc::new(stepwell_test_support::meta(info, 7, Payload::trusted(format!("{{\"name\":{name:?}}}"))))
}

fn page(name: &str, seq: u64) -> Page {
    Page { writer: Writer::Request(seq), bytes: format!("{name} {seq} {}", "x".repeat(2_000)).into() }
}

fn end() -> End {
    let output = Some(Payload::trusted("1"));
    End {
        status: "SUCCEEDED",
        output,
        output_at: None,
        error: ErrorOutput::default(),
        at: Timestamp(2),
        events: 3,
    }
}
