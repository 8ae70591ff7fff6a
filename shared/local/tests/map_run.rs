//! A Map Run goes on where it was when its process was killed, and each of its executions counts once.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use stepwell_engine::map_run::{Count, MapRun};
use stepwell_engine::meta::Meta;
use stepwell_engine::port::{ListQuery, MapRunsQuery, RegistryError};
use stepwell_engine::{Engine, Settings, StartError, StartRequest};
use stepwell_expr::Payload;
use stepwell_local::{LocalStore, Options};
use stepwell_test_support::{NoTasks, machine};

/// Where the child process works; it is this test binary again, with this variable set.
const DIRECTORY: &str = "STEPWELL_MAP_RUN_TEST_DIRECTORY";
const ITEMS: u64 = 400;
const EXECUTION: &str = "arn:aws:states:us-east-1:123456789012:execution:M:e";
const DEFINITION: &str = r#"{"StartAt":"M","States":{"M":{"Type":"Map","MaxConcurrency":40,"End":true,
    "ItemSelector":{"n.$":"$$.Map.Item.Value"},
    "ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},
        "StartAt":"P","States":{"P":{"Type":"Pass","OutputPath":"$.n","Next":"W"},"W":{"Type":"Wait","Seconds":0,"End":true}}}}}}"#;

#[test]
fn a_killed_process_leaves_a_map_run_that_goes_on() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for kill_at in [0, ITEMS / 4, ITEMS / 2, ITEMS] {
        let reached = work(directory.path(), kill_at);
        assert!(kill_at < ITEMS || reached == ITEMS, "{reached} of {ITEMS} are done, and no more");
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(check(directory.path()));
}

/// Lets a child process work until so many executions have ended, kills it, and gives how many had.
fn work(directory: &Path, kill_at: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "works_until_it_is_killed", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let reader = BufReader::new(child.stdout.take().expect("piped"));
    let mut reached = 0;
    for line in reader.lines() {
        let line = line.expect("text");
        let Some(count) = line.find("ended ").and_then(|at| line[at + 6..].parse::<u64>().ok()) else {
            continue;
        };
        reached = reached.max(count);
        if reached >= kill_at && kill_at < ITEMS {
            child.kill().expect("it lives");
        }
    }
    child.wait().expect("it ended");
    reached
}

/// Not a test of its own: the child process.
#[test]
fn works_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = LocalStore::open(Path::new(&directory), Options::default()).expect("opened");
        let engine = Engine::new(store.ports(Arc::new(NoTasks)), Settings::default());
        let _dispatching = store.run(engine.clone()).expect("the first dispatcher");
        start(&engine).await;
        while engine.describe(EXECUTION).await.expect("read").is_none_or(|meta| meta.end.is_none()) {
            let ended = map_run(&engine).await.map_or(0, |map_run| map_run.ended.all().children);
            println!("ended {ended}");
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        println!("ended {ITEMS}");
    });
}

async fn start(engine: &Engine) {
    let machine = Arc::new(machine("M", DEFINITION));
    match engine.ports().registry.create(machine.clone(), None).await {
        Ok(()) | Err(RegistryError::Exists(_)) => {}
        Err(error) => panic!("{error}"),
    }
    let items: Vec<_> = (0..ITEMS).map(|n| n.to_string()).collect();
    let request = StartRequest {
        machine,
        execution_arn: EXECUTION.into(),
        name: "e".into(),
        input: Payload::parse(format!("[{}]", items.join(","))).expect("it is JSON"),
        trace_header: None,
        version_arn: None,
        alias_arn: None,
        parent: None,
    };
    match engine.start(request).await {
        Ok(_) | Err(StartError::AlreadyExists { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

async fn map_run(engine: &Engine) -> Option<Arc<MapRun>> {
    let query = MapRunsQuery { execution_arn: EXECUTION.into(), limit: 10, after: None };
    let listed = engine.list_map_runs(query).await.expect("read");
    assert!(listed.map_runs.len() <= 1);
    listed.map_runs.first().cloned()
}

async fn check(directory: &Path) {
    let store = LocalStore::open(directory, Options::default()).expect("opened");
    let engine = Engine::new(store.ports(Arc::new(NoTasks)), Settings::default());
    let meta: Arc<Meta> = engine.describe(EXECUTION).await.expect("read").expect("it is there");
    let expected: Vec<_> = (0..ITEMS).map(|n| n.to_string()).collect();
    let output = meta.end.as_ref().and_then(|end| end.output.as_ref()).expect("it succeeded");
    assert_eq!(&**output.text(), format!("[{}]", expected.join(",")));

    let map_run = map_run(&engine).await.expect("one");
    assert_eq!(map_run.status(), "SUCCEEDED");
    assert_eq!(map_run.ended.succeeded, Count { children: ITEMS, items: ITEMS });
    assert_eq!(map_run.ended.all(), map_run.ended.succeeded);
    let query = ListQuery { state_machine_arn: map_run.arn.clone(), status: None, limit: 1000, after: None };
    let children = engine.list(query).await.expect("read").metas;
    assert_eq!(children.len() as u64, ITEMS);
    assert!(children.iter().all(|child| child.status() == "SUCCEEDED"));
}
