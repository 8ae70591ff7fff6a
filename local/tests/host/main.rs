//! The host with real processes: Python, Node.js, and a `bootstrap` that speaks the Runtime API itself.

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not reach their helpers")]

mod calls;
mod failures;
mod lifetime;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use stepwell::config::{Code, FunctionConfig, Runtime};
use stepwell::host::{
    Functions, HostOptions, InvokeError, InvokeOptions, LogSink, Outcome, RESPONSE_BYTES_MAX,
};

const PYTHON: &str = "python3.11";
const NODE: &str = "nodejs20.x";

/// Whether the tests of this runtime can run; says so if not.
fn have(runtime: &str) -> bool {
    let program = if runtime == NODE { "node" } else { "python3" };
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("SKIPPED: there is no `{program}` on this machine");
    }
    found
}

/// A folder of its own for one test, with this file in it.
fn folder(test: &str, file: &str, text: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("host").join(test);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(file), text).unwrap();
    folder
}

fn python(test: &str, text: &str) -> FunctionConfig {
    let code = folder(test, "app.py", text);
    FunctionConfig::new("Test", Runtime::new(PYTHON), "app.handler", code)
}

fn node(test: &str, file: &str, text: &str) -> FunctionConfig {
    let code = folder(test, file, text);
    FunctionConfig::new("Test", Runtime::new(NODE), "app.handler", code)
}

fn folder_of(function: &FunctionConfig) -> &Path {
    let Code::Folder(folder) = &function.code else { panic!("{:?}", function.code) };
    folder
}

fn host(function: FunctionConfig) -> Functions {
    host_of(vec![function])
}

fn host_of(functions: Vec<FunctionConfig>) -> Functions {
    Functions::new(functions, HostOptions { log: LogSink::new(|_| {}), ..HostOptions::default() })
}

async fn invoke(functions: &Functions, payload: Value) -> Outcome {
    invoke_named(functions, "Test", payload).await
}

async fn invoke_named(functions: &Functions, name: &str, payload: Value) -> Outcome {
    let payload = Bytes::from(payload.to_string());
    functions.invoke(name, payload, InvokeOptions::default()).await.unwrap()
}

async fn succeed(functions: &Functions, payload: Value) -> Value {
    match invoke(functions, payload).await {
        Outcome::Success(payload) => serde_json::from_slice(&payload).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn told(outcome: &Outcome) -> Value {
    serde_json::from_slice(outcome.payload()).unwrap()
}

const ECHO: &str =
    "import os\ndef handler(event, context):\n    return {'event': event, 'pid': os.getpid()}\n";
