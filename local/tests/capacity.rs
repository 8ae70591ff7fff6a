//! Back-pressure: with the store's commits held back, starts beyond the limit are throttled, and all that were acknowledged end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::Future;
use std::path::Path;
use std::task::{Context, Waker};

use rusqlite::Connection;
use serde_json::{Value, json};
use stepwell::assembly::{Assembly, Parts};
use stepwell::config::Project;
use stepwell::host::LogSink;
use stepwell_local::Limits;
use stepwell_wire::{Api, Reply};
use tokio::sync::broadcast::Receiver;
use tokio::task::JoinHandle;

/// Executions that may wait to begin.
const BACKLOG: usize = 5;

const THROTTLED: &str =
    r#"{"__type":"com.amazon.coral.availability#ThrottlingException","message":"Rate exceeded"}"#;

struct Scene {
    folder: tempfile::TempDir,
    assembly: Assembly,
    api: Api,
    machines: Vec<String>,
}

impl Scene {
    /// A Standard machine that waits for a callback, and an Express one.
    async fn new(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = Project::default();
        let parts = Parts {
            project: &project,
            data_dir: folder.path(),
            mocks: None,
            api_url: "http://127.0.0.1:9".to_owned(),
            keys: None,
            log: LogSink::default(),
            limits,
        };
        let assembly = Assembly::start(parts).await.unwrap();
        let api = assembly.api();
        let mut scene = Scene { folder, assembly, api, machines: vec![] };
        let pass = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}});
        for (name, kind) in [("pass", "STANDARD"), ("express", "EXPRESS")] {
            let request = json!({
                "name": name, "type": kind, "definition": pass.to_string(),
                "roleArn": "arn:aws:iam::123456789012:role/r"
            });
            let created = answered(&scene.call("CreateStateMachine", &request).await);
            scene.machines.push(created["stateMachineArn"].as_str().unwrap().to_owned());
        }
        scene
    }

    async fn call(&self, operation: &str, request: &Value) -> Reply {
        call(self.api.clone(), operation.to_owned(), request.to_string()).await
    }

    fn start(&self, name: &str) -> Value {
        json!({"stateMachineArn": self.machines[0], "name": name})
    }
}

async fn call(api: Api, operation: String, body: String) -> Reply {
    api.call(&format!("AWSStepFunctions.{operation}"), body.as_bytes()).await
}

/// A call that has come as far as its commit, which is held back.
fn begun(call: impl Future<Output = Reply> + Send + 'static) -> JoinHandle<Reply> {
    let mut call = Box::pin(call);
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    tokio::spawn(call)
}

fn answered(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    serde_json::from_slice(&reply.body).unwrap()
}

/// Holds all commits back, as long as it lives.
struct Gate(Connection);

impl Gate {
    fn close(directory: &Path) -> Self {
        let connection = Connection::open(directory.join("stepwell.db")).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        Gate(connection)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.0.execute_batch("ROLLBACK").unwrap();
    }
}

/// Waits until so many executions have ended.
async fn ends(watch: &mut Receiver<stepwell_engine::Committed>, count: usize) {
    let mut ended = 0;
    while ended < count {
        let committed = watch.recv().await.unwrap();
        let is_end = |record: &stepwell_interpreter::Record| match record {
            stepwell_interpreter::Record::Event(event) => {
                matches!(event.body, stepwell_interpreter::EventBody::ExecutionSucceeded { .. })
            }
            _ => false,
        };
        ended += committed.records.iter().filter(|record| is_end(record)).count();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_backlog_starts_are_throttled_and_what_was_acknowledged_ends() {
    let limits = Limits { backlog: BACKLOG, ..Limits::default() };
    let scene = Scene::new(limits).await;
    let mut watch = scene.assembly.engine.watch();
    let gate = Gate::close(scene.folder.path());
    let starts: Vec<_> = (0..BACKLOG)
        .map(|n| {
            let body = scene.start(&n.to_string()).to_string();
            begun(call(scene.api.clone(), "StartExecution".to_owned(), body))
        })
        .collect();

    let refused = scene.call("StartExecution", &scene.start("refused")).await;
    assert_eq!((refused.status, refused.error_type), (400, Some("ThrottlingException")));
    assert_eq!(&*refused.body, THROTTLED.as_bytes());
    // What reads, and what ends or drives on what is there, finds room.
    let arn = scene.machines[0].replace(":stateMachine:", ":execution:");
    let arn = format!("{arn}:nothing");
    for (operation, request, error) in [
        ("DescribeExecution", json!({"executionArn": arn}), "ExecutionDoesNotExist"),
        ("StopExecution", json!({"executionArn": arn}), "ExecutionDoesNotExist"),
        ("SendTaskSuccess", json!({"taskToken": "none", "output": "1"}), "InvalidToken"),
    ] {
        let reply = scene.call(operation, &request).await;
        assert_eq!(reply.error_type, Some(error), "{operation}");
    }

    drop(gate);
    for start in starts {
        answered(&start.await.unwrap());
    }
    ends(&mut watch, BACKLOG).await;
    answered(&scene.call("StartExecution", &scene.start("refused")).await);
    ends(&mut watch, 1).await;
    let listed =
        answered(&scene.call("ListExecutions", &json!({"stateMachineArn": scene.machines[0]})).await);
    let statuses: Vec<_> =
        listed["executions"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses.len(), BACKLOG + 1);
    scene.assembly.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_written_are_bounded() {
    let limits = Limits { bytes: 100_000, ..Limits::default() };
    let scene = Scene::new(limits).await;
    let mut watch = scene.assembly.engine.watch();
    let gate = Gate::close(scene.folder.path());
    let large = |name: &str| {
        let mut request = scene.start(name);
        request["input"] = json!(json!("x".repeat(60_000)).to_string());
        request
    };
    let first = begun(call(scene.api.clone(), "StartExecution".to_owned(), large("1").to_string()));
    assert_eq!(scene.call("StartExecution", &large("2")).await.error_type, Some("ThrottlingException"));
    let express =
        json!({"stateMachineArn": scene.machines[1], "input": json!("x".repeat(60_000)).to_string()});
    let refused = scene.call("StartSyncExecution", &express).await;
    assert_eq!(refused.error_type, Some("ThrottlingException"));
    let small = json!({"stateMachineArn": scene.machines[1]});
    assert_eq!(answered(&scene.call("StartSyncExecution", &small).await)["status"], "SUCCEEDED");
    drop(gate);
    answered(&first.await.unwrap());
    ends(&mut watch, 1).await;
    answered(&scene.call("StartExecution", &large("2")).await);
    ends(&mut watch, 1).await;
    scene.assembly.stop().await;
}
