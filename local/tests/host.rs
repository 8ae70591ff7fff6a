//! The host with real processes: Python, Node.js, and a `bootstrap` that speaks the Runtime API itself.

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not reach their helpers")]

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

#[tokio::test]
async fn a_process_is_used_again() {
    if !have(PYTHON) {
        return;
    }
    let functions = host(python("reuse", ECHO));
    let first = succeed(&functions, json!({"a": "ä"})).await;
    let second = succeed(&functions, json!([1, 2.5, null])).await;
    assert_eq!(first["event"], json!({"a": "ä"}));
    assert_eq!(second["event"], json!([1, 2.5, null]));
    assert_eq!(first["pid"], second["pid"]);
}

#[tokio::test]
async fn a_function_sees_what_it_sees_on_aws() {
    if !have(PYTHON) {
        return;
    }
    let mut function = python(
        "environment",
        "import os, sys\n\
         def handler(event, context):\n    \
             left = context.get_remaining_time_in_millis()\n    \
             return {'env': dict(os.environ), 'left': 0 < left <= 3000, 'id': context.aws_request_id,\n        \
                     'arn': context.invoked_function_arn, 'custom': context.client_context.custom,\n        \
                     'memory': context.memory_limit_in_mb, 'stdin': sys.stdin.read(), 'cwd': os.getcwd()}\n",
    );
    function.environment.insert("OWN".to_owned(), "mine".to_owned());
    function.memory_mb = 512;
    let options = HostOptions {
        region: "eu-west-1".to_owned(),
        environment: [("ALL".to_owned(), "ours".to_owned()), ("OWN".to_owned(), "lost".to_owned())].into(),
        ..HostOptions::default()
    };
    let functions = Functions::new(vec![function.clone()], options);
    let sent = InvokeOptions {
        request_id: Some("5a1e0c52-0000-4000-8000-000000000000".to_owned()),
        client_context: Some(r#"{"custom":{"a":"ä"}}"#.to_owned()),
        ..InvokeOptions::default()
    };
    let outcome = functions.invoke("Test:$LATEST", Bytes::from("{}"), sent).await.unwrap();
    let seen = told(&outcome);
    let code = folder_of(&function).canonicalize().unwrap();
    for (name, want) in [
        ("_HANDLER", "app.handler"),
        ("AWS_LAMBDA_FUNCTION_NAME", "Test"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/Test"),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_python3.11"),
        ("AWS_REGION", "eu-west-1"),
        ("LAMBDA_TASK_ROOT", code.to_str().unwrap()),
        ("TZ", ":UTC"),
        ("OWN", "mine"),
        ("ALL", "ours"),
    ] {
        assert_eq!(seen["env"][name], want, "{name}");
    }
    assert_eq!(seen["left"], true);
    assert_eq!(seen["id"], "5a1e0c52-0000-4000-8000-000000000000");
    assert_eq!(seen["arn"], "arn:aws:lambda:eu-west-1:123456789012:function:Test:$LATEST");
    assert_eq!(seen["custom"], json!({"a": "ä"}));
    assert_eq!((&seen["memory"], &seen["stdin"]), (&json!("512"), &json!("")));
    assert_eq!(seen["cwd"], code.to_str().unwrap());
}

#[tokio::test]
async fn a_python_exception_is_told_as_aws_tells_it() {
    if !have(PYTHON) {
        return;
    }
    let code = "class CustomException(Exception):\n    pass\n\ndef handler(event, context):\n    raise CustomException('no')\n";
    let function = python("exception", code);
    let file = folder_of(&function).canonicalize().unwrap().join("app.py");
    let outcome = invoke(&host(function), json!({})).await;
    assert!(matches!(outcome, Outcome::FunctionError(_)), "{outcome:?}");
    let text = std::str::from_utf8(outcome.payload()).unwrap();
    assert!(
        text.starts_with(r#"{"errorMessage": "no", "errorType": "CustomException", "requestId": ""#),
        "{text}"
    );
    let trace =
        format!("  File \"{}\", line 5, in handler\n    raise CustomException('no')\n", file.display());
    assert_eq!(told(&outcome)["stackTrace"], json!([trace]));
}

#[tokio::test]
async fn a_process_that_ends_fails_its_call_and_the_next_call_gets_another() {
    if !have(PYTHON) {
        return;
    }
    let code = "import os, signal\n\
        def handler(event, context):\n    \
            if event == 'exit': os._exit(3)\n    \
            if event == 'kill': os.kill(os.getpid(), signal.SIGKILL)\n    \
            if event == 'quit': raise SystemExit(0)\n    \
            return os.getpid()\n";
    let functions = host(python("crash", code));
    let mut pids = BTreeSet::new();
    for (event, want) in [
        ("exit", "Runtime exited with error: exit status 3"),
        ("kill", "Runtime exited with error: signal: killed"),
        ("quit", "Runtime exited without providing a reason"),
    ] {
        pids.insert(succeed(&functions, json!("")).await.as_u64());
        let outcome = invoke(&functions, json!(event)).await;
        let Outcome::Crashed { reason, .. } = &outcome else { panic!("{event}: {outcome:?}") };
        assert_eq!(reason, want);
        let told = told(&outcome);
        assert_eq!(told["errorType"], "Runtime.ExitError");
        assert!(told["errorMessage"].as_str().unwrap().ends_with(&format!(" Error: {want}")), "{told}");
    }
    assert_eq!(pids.len(), 3);
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_killed() {
    for runtime in [PYTHON, NODE] {
        if !have(runtime) {
            continue;
        }
        let mut function = if runtime == PYTHON {
            python(
                "timeout",
                "import os\ndef handler(event, context):\n    while event: pass\n    return os.getpid()\n",
            )
        } else {
            let code = "exports.handler = async (event) => { while (event) {} return process.pid; };";
            node("timeout-node", "app.js", code)
        };
        function.timeout = Duration::from_secs(1);
        let functions = host(function);
        let before = succeed(&functions, json!(false)).await;
        let outcome = invoke(&functions, json!(true)).await;
        assert!(matches!(outcome, Outcome::Timeout(_)), "{outcome:?}");
        let told = told(&outcome);
        assert_eq!(told["errorType"], "Sandbox.Timedout");
        let message = told["errorMessage"].as_str().unwrap();
        assert!(message.ends_with(" Error: Task timed out after 1.00 seconds"), "{message}");
        assert_ne!(succeed(&functions, json!(false)).await, before);
    }
}

/// Waits until all eight calls have arrived, which they only do if they run at the same time.
const MEETING: &str = "import os, socket\n\
    def handler(event, context):\n    \
        with socket.create_connection(('127.0.0.1', event)) as peer:\n        \
            peer.recv(1)\n    \
        return os.getpid()\n";

#[tokio::test]
async fn eight_calls_run_at_once() {
    if !have(PYTHON) {
        return;
    }
    let mut function = python("parallel", MEETING);
    function.timeout = Duration::from_secs(30);
    let functions = host(function);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let functions = functions.clone();
            tokio::spawn(async move { succeed(&functions, json!(port)).await.as_u64() })
        })
        .collect();
    let mut peers = Vec::new();
    while peers.len() < 8 {
        peers.push(listener.accept().await.unwrap());
    }
    drop(peers);
    let mut pids = BTreeSet::new();
    for call in calls {
        pids.insert(call.await.unwrap());
    }
    assert_eq!(pids.len(), 8);
}

#[tokio::test]
async fn calls_beyond_the_limit_wait_their_turn() {
    if !have(PYTHON) {
        return;
    }
    let mut function = python("limit", ECHO);
    function.concurrency = Some(1);
    let functions = host(function);
    let calls: Vec<_> = (0..20)
        .map(|n| {
            let functions = functions.clone();
            tokio::spawn(async move { succeed(&functions, json!(n)).await })
        })
        .collect();
    let mut pids = BTreeSet::new();
    for (n, call) in calls.into_iter().enumerate() {
        let result = call.await.unwrap();
        assert_eq!(result["event"], n);
        pids.insert(result["pid"].as_u64());
    }
    assert_eq!(pids.len(), 1);
}

#[tokio::test]
async fn a_call_goes_on_when_its_caller_hangs_up() {
    if !have(PYTHON) {
        return;
    }
    let mut function = python("hang-up", MEETING);
    function.concurrency = Some(1);
    let functions = host(function);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let abandoned = {
        let functions = functions.clone();
        tokio::spawn(async move { succeed(&functions, json!(port)).await })
    };
    let (peer, _) = listener.accept().await.unwrap();
    abandoned.abort();
    assert!(abandoned.await.unwrap_err().is_cancelled());
    drop(peer);
    let next = tokio::spawn(async move { succeed(&functions, json!(port)).await });
    drop(listener.accept().await.unwrap());
    next.await.unwrap();
}

#[tokio::test]
async fn a_function_that_cannot_be_loaded_says_why() {
    let cases = [
        (
            PYTHON,
            "app.py",
            "import no_such_module",
            "app.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'app': No module named 'no_such_module'",
        ),
        (
            PYTHON,
            "app.py",
            "",
            "other.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'other': No module named 'other'",
        ),
        (
            PYTHON,
            "app.py",
            "x = 1",
            "app.handler",
            "Runtime.HandlerNotFound",
            "Handler 'handler' missing on module 'app'",
        ),
        (
            PYTHON,
            "app.py",
            "x = 1",
            "app",
            "Runtime.MalformedHandlerName",
            "Bad handler 'app': not enough values to unpack (expected 2, got 1)",
        ),
        (
            PYTHON,
            "app.py",
            "x = = 1",
            "app.handler",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'app': invalid syntax (app.py, line 1)",
        ),
        (PYTHON, "app.py", "1 / 0", "app.handler", "ZeroDivisionError", "division by zero"),
        (
            PYTHON,
            "app.py",
            "import os; os._exit(1)",
            "app.handler",
            "Runtime.ExitError",
            "Error: Runtime exited with error: exit status 1",
        ),
        (
            NODE,
            "app.js",
            "require('no_such_module')",
            "app.handler",
            "Runtime.ImportModuleError",
            "Cannot find module 'no_such_module'",
        ),
        (
            NODE,
            "app.js",
            "",
            "other.handler",
            "Runtime.ImportModuleError",
            "Error: Cannot find module 'other'",
        ),
        (
            NODE,
            "app.js",
            "",
            "app.handler",
            "Runtime.HandlerNotFound",
            "app.handler is undefined or not exported",
        ),
        (NODE, "app.js", "", "app", "Runtime.MalformedHandlerName", "Bad handler app"),
        (NODE, "app.js", "const const", "app.handler", "Runtime.UserCodeSyntaxError", "SyntaxError: "),
        (NODE, "app.mjs", "throw new RangeError('far')", "app.handler", "RangeError", "far"),
    ];
    let (python, node) = (have(PYTHON), have(NODE));
    let cases: Vec<_> = cases.into_iter().filter(|case| if case.0 == NODE { node } else { python }).collect();
    let functions = cases.iter().enumerate().map(|(n, (runtime, file, code, handler, ..))| {
        let code = folder(&format!("init-{n}"), file, code);
        FunctionConfig::new(&format!("Test{n}"), Runtime::new(runtime), handler, code)
    });
    let functions = host_of(functions.collect());
    let calls: Vec<_> = cases
        .into_iter()
        .enumerate()
        .map(|(n, (.., error_type, message))| {
            let functions = functions.clone();
            tokio::spawn(async move {
                let outcome = invoke_named(&functions, &format!("Test{n}"), json!({})).await;
                assert!(matches!(outcome, Outcome::InitError(_)), "{n}: {outcome:?}");
                let told = told(&outcome);
                assert_eq!(told["errorType"], error_type, "{n}: {told}");
                assert!(told["errorMessage"].as_str().unwrap().contains(message), "{n}: {told}");
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let somewhere = folder("nothing", "file", "");
    for (runtime, code, want) in [
        ("java21", somewhere.clone(), "does not host `java21`"),
        ("provided.al2023", somewhere.clone(), "no executable `bootstrap` in `"),
        (PYTHON, somewhere.join("none"), "No such file or directory"),
        (PYTHON, somewhere.join("file"), "is not a folder"),
    ] {
        let outcome =
            invoke(&host(FunctionConfig::new("Test", Runtime::new(runtime), "a.b", code)), json!({})).await;
        let told = told(&outcome);
        assert!(matches!(outcome, Outcome::InitError(_)));
        assert_eq!(told["errorType"], "Runtime.InvalidEntrypoint");
        assert!(told["errorMessage"].as_str().unwrap().contains(want), "{told}");
    }
    let functions = host(FunctionConfig::new("Test", Runtime::new(PYTHON), "a.b", somewhere));
    let unknown = functions.invoke("Other", Bytes::new(), InvokeOptions::default()).await;
    assert!(matches!(unknown, Err(InvokeError::FunctionNotFound { name }) if name == "Other"));
    let options = InvokeOptions { client_context: Some("{\n}".to_owned()), ..InvokeOptions::default() };
    let unsayable = functions.invoke("Test", Bytes::new(), options).await;
    assert!(matches!(unsayable, Err(InvokeError::Header { .. })));
}

#[tokio::test]
async fn a_result_may_have_six_megabytes_and_no_more() {
    for runtime in [PYTHON, NODE] {
        if !have(runtime) {
            continue;
        }
        let function = if runtime == PYTHON {
            python("large", "def handler(event, context):\n    return 'a' * (event - 2)\n")
        } else {
            node("large-node", "app.js", "exports.handler = async (event) => 'a'.repeat(event - 2);")
        };
        let functions = host(function);
        let outcome = invoke(&functions, json!(RESPONSE_BYTES_MAX)).await;
        assert!(matches!(&outcome, Outcome::Success(payload) if payload.len() == RESPONSE_BYTES_MAX));
        let outcome = invoke(&functions, json!(RESPONSE_BYTES_MAX + 1)).await;
        assert!(matches!(outcome, Outcome::FunctionError(_)));
        let told = told(&outcome);
        assert_eq!(told["errorType"], "Function.ResponseSizeTooLarge");
        let message =
            "Response payload size (6291557 bytes) exceeded maximum allowed payload size (6291556 bytes).";
        assert_eq!(told["errorMessage"], message);
        assert_eq!(succeed(&functions, json!(5)).await, "aaa");
    }
}

#[tokio::test]
async fn what_json_cannot_say_is_an_error() {
    if !have(PYTHON) {
        return;
    }
    let functions = host(python("marshal", "def handler(event, context):\n    return {1, 2}\n"));
    let outcome = invoke(&functions, json!({})).await;
    assert_eq!(told(&outcome)["errorType"], "Runtime.MarshalError");
    let outcome = functions.invoke("Test", Bytes::from("{"), InvokeOptions::default()).await.unwrap();
    assert_eq!(told(&outcome)["errorType"], "Runtime.UnmarshalError");
}

#[tokio::test]
async fn every_style_of_node_handler() {
    if !have(NODE) {
        return;
    }
    let cases = [
        ("app.js", "exports.handler = async (event) => ({ got: event });", json!({"got": 1})),
        ("app.js", "exports.handler = (event, context, callback) => callback(null, event + 1);", json!(2)),
        (
            "app.js",
            "exports.handler = (event, context, callback) => { setImmediate(() => callback(null, 'late')); };",
            json!("late"),
        ),
        (
            "app.js",
            "exports.handler = (event, context) => { context.succeed(context.functionName); };",
            json!("Test3"),
        ),
        (
            "app.js",
            "exports.handler = (event, context, callback) => { callback('bad'); };",
            json!({"errorType": "string", "errorMessage": "bad", "trace": []}),
        ),
        ("app.js", "exports.handler = () => {};", json!(null)),
        ("app.js", "exports.handler = async () => {};", json!(null)),
        (
            "app.js",
            "exports.handler = async () => { throw 'a string'; };",
            json!({"errorType": "string", "errorMessage": "a string", "trace": []}),
        ),
        ("app.cjs", "exports.handler = async () => require('path').sep;", json!("/")),
        (
            "app.mjs",
            "import { sep } from 'node:path';\nconst late = await Promise.resolve(sep);\nexport const handler = async () => late;",
            json!("/"),
        ),
        (
            "app.mjs",
            "export default { handler: async (e, context) => context.getRemainingTimeInMillis() > 0 };",
            json!(true),
        ),
    ];
    let functions = cases.iter().enumerate().map(|(n, (file, code, _))| {
        let code = folder(&format!("style-{n}"), file, code);
        FunctionConfig::new(&format!("Test{n}"), Runtime::new(NODE), "app.handler", code)
    });
    let functions = host_of(functions.collect());
    let calls: Vec<_> = cases
        .into_iter()
        .enumerate()
        .map(|(n, (_, code, want))| {
            let functions = functions.clone();
            tokio::spawn(async move {
                for _ in 0..2 {
                    let outcome = invoke_named(&functions, &format!("Test{n}"), json!(1)).await;
                    assert_eq!(told(&outcome), want, "{n}: {code}");
                    assert_eq!(outcome.is_error(), want.get("errorType").is_some(), "{n}: {code}");
                }
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn node_errors_that_nobody_catches() {
    if !have(NODE) {
        return;
    }
    let code = "class Busy extends Error { constructor(m) { super(m); this.name = 'Busy'; } }\n\
        exports.handler = (event, context, callback) => {\n\
          if (event === 'throw') throw new Busy('thrown');\n\
          if (event === 'later') setImmediate(() => { throw new Busy('thrown later'); });\n\
          if (event === 'reject') Promise.reject(new Busy('rejected'));\n\
          if (event === 'never') return new Promise(() => {});\n\
          if (event === 'exit') process.exit(7);\n\
          if (event === 'pid') callback(null, process.pid);\n\
        };";
    let functions = host(node("uncaught", "app.js", code));
    for (event, error_type, message) in [
        ("throw", "Busy", "thrown"),
        ("later", "Busy", "thrown later"),
        ("reject", "Runtime.UnhandledPromiseRejection", "Busy: rejected"),
        ("never", "Runtime.NodeJsExit", "neither resolved nor rejected"),
        ("exit", "Runtime.ExitError", "exit status 7"),
    ] {
        succeed(&functions, json!("pid")).await;
        let told = told(&invoke(&functions, json!(event)).await);
        assert_eq!(told["errorType"], error_type, "{event}: {told}");
        assert!(told["errorMessage"].as_str().unwrap().contains(message), "{event}: {told}");
    }
}

/// A runtime of its own, as cargo-lambda builds one: it speaks HTTP to the Runtime API.
const BOOTSTRAP: &str = r#"#!/usr/bin/env python3
import http.client, json, os
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def ask(method, path, body=None):
    api.request(method, "/2018-06-01/runtime/" + path, body)
    answer = api.getresponse()
    return answer, answer.read()
while True:
    answer, body = ask("GET", "invocation/next")
    id = answer.headers["Lambda-Runtime-Aws-Request-Id"]
    event = json.loads(body)
    if event == "wrong":
        result = [ask("POST", "invocation/other/response", b"1")[0].status, ask("POST", "nothing")[0].status,
                  ask("GET", f"invocation/{id}/response")[0].status]
        ask("POST", f"invocation/{id}/response", json.dumps(result))
    elif event == "fail":
        ask("POST", f"invocation/{id}/error", b'{"errorType":"Own","errorMessage":"fails"}')
    elif event == "chunks":
        ask("POST", f"invocation/{id}/response", iter([b'["in ', b'chunks"]']))
    else:
        head = {name.lower(): value for name, value in answer.headers.items()}
        ask("POST", f"invocation/{id}/response", json.dumps({"head": head, "cwd": os.getcwd()}))
"#;

#[tokio::test]
async fn an_executable_bootstrap() {
    if !have(PYTHON) {
        return;
    }
    let code = folder("bootstrap", "Cargo.toml", "");
    let built = folder("bootstrap/target/lambda/Test", "bootstrap", BOOTSTRAP);
    fs::set_permissions(built.join("bootstrap"), fs::Permissions::from_mode(0o755)).unwrap();
    let function = FunctionConfig::new("Test", Runtime::new("provided.al2023"), "", code);
    let functions = host(function);
    let seen = succeed(&functions, json!({})).await;
    assert_eq!(seen["cwd"], built.canonicalize().unwrap().to_str().unwrap());
    assert_eq!(
        seen["head"]["lambda-runtime-invoked-function-arn"],
        "arn:aws:lambda:us-east-1:123456789012:function:Test"
    );
    assert!(seen["head"]["lambda-runtime-trace-id"].as_str().unwrap().starts_with("Root=1-"));
    assert!(
        seen["head"]["lambda-runtime-deadline-ms"].as_str().unwrap().parse::<u64>().unwrap()
            > 1_600_000_000_000
    );
    assert_eq!(succeed(&functions, json!("wrong")).await, json!([400, 404, 405]));
    assert_eq!(succeed(&functions, json!("chunks")).await, json!(["in chunks"]));
    let failed = invoke(&functions, json!("fail")).await;
    assert_eq!(failed, Outcome::FunctionError(Bytes::from(r#"{"errorType":"Own","errorMessage":"fails"}"#)));
}

#[tokio::test]
async fn what_a_function_prints_is_passed_on() {
    if !have(PYTHON) {
        return;
    }
    let code = "import logging, sys\n\
        logging.getLogger().setLevel(logging.INFO)\n\
        def handler(event, context):\n    \
            print('out')\n    \
            print('err', file=sys.stderr)\n    \
            logging.info('logged')\n    \
            sys.exit(1)\n";
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel();
    let log = {
        let seen = Arc::clone(&seen);
        LogSink::new(move |line| {
            seen.lock().unwrap().insert(format!("{} {:?} {}", line.function, line.stream, line.text));
            let _ = sender.send(());
        })
    };
    let functions =
        Functions::new(vec![python("prints", code)], HostOptions { log, ..HostOptions::default() });
    invoke(&functions, json!({})).await;
    for _ in 0..3 {
        lines.recv().await.unwrap();
    }
    let want = ["Test Stderr err", "Test Stdout [INFO]\tlogged", "Test Stdout out"];
    assert_eq!(*seen.lock().unwrap(), want.map(str::to_owned).into());
}

/// Tells its process id over a connection that closes when it ends, and then never comes back.
const SPIN_PYTHON: &str = "import os, socket\n\
    def handler(event, context):\n    \
        peer = socket.create_connection(('127.0.0.1', event))\n    \
        peer.sendall(b'here\\n')\n    \
        while True: pass\n";
const SPIN_NODE: &str = "const net = require('net');\n\
    exports.handler = (event) => new Promise(() => {\n\
      const peer = net.connect(event, '127.0.0.1', () => peer.write('here\\n', () => { for (;;) {} }));\n\
    });";

fn spinning(runtime: &str, test: &str) -> FunctionConfig {
    let mut function = match runtime {
        PYTHON => python(test, SPIN_PYTHON),
        _ => node(test, "app.js", SPIN_NODE),
    };
    function.timeout = Duration::from_secs(60);
    function
}

#[tokio::test]
async fn no_process_outlives_the_host() {
    for runtime in [PYTHON, NODE] {
        if !have(runtime) {
            continue;
        }
        let functions = host(spinning(runtime, &format!("drop-{runtime}")));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let call = {
            let functions = functions.clone();
            tokio::spawn(async move {
                functions.invoke("Test", Bytes::from(port.to_string()), InvokeOptions::default()).await
            })
        };
        let (mut peer, _) = listener.accept().await.unwrap();
        // The call holds a clone; a caller that is gone does not keep the host.
        call.abort();
        let _ = call.await;
        drop(functions);
        let mut told = String::new();
        let read = tokio::io::AsyncReadExt::read_to_string(&mut peer, &mut told);
        // A process that is killed resets its connection or closes it.
        let _ = tokio::time::timeout(Duration::from_secs(5), read).await.expect("the process was killed");
    }
}

#[test]
fn no_process_outlives_a_program_that_is_killed() {
    for runtime in [PYTHON, NODE] {
        if !have(runtime) {
            continue;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut program = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_program_that_is_killed", "--nocapture"])
            .env("STEPWELL_TEST_SPIN", format!("{runtime} {port}"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let (peer, _) = listener.accept().unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut peer = BufReader::new(peer);
        let mut told = String::new();
        peer.read_line(&mut told).unwrap();
        assert_eq!(told, "here\n");
        program.kill().unwrap();
        program.wait().unwrap();
        match peer.read_to_string(&mut told) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("{runtime} goes on"),
            _ => {}
        }
    }
}

/// Not a test: what the test before this one starts and kills.
#[tokio::test]
async fn the_program_that_is_killed() {
    let Ok(told) = std::env::var("STEPWELL_TEST_SPIN") else { return };
    let (runtime, port) = told.split_once(' ').unwrap();
    let functions = host(spinning(runtime, &format!("killed-{runtime}")));
    invoke(&functions, port.parse().unwrap()).await;
}

#[tokio::test]
async fn changed_code_is_taken_up() {
    if !have(PYTHON) {
        return;
    }
    let code = |version: &str| {
        format!("import os\ndef handler(event, context):\n    return ['{version}', os.getpid()]\n")
    };
    let function = python("changed", &code("first"));
    let options = HostOptions { code_interval: Duration::ZERO, ..HostOptions::default() };
    let functions = Functions::new(vec![function], options);
    let first = succeed(&functions, json!({})).await;
    assert_eq!(first[0], "first");
    assert_eq!(succeed(&functions, json!({})).await, first);
    python("changed", &code("the second"));
    assert_eq!(succeed(&functions, json!({})).await[0], "the second");
}

#[tokio::test]
async fn an_idle_process_is_ended() {
    if !have(PYTHON) {
        return;
    }
    let code = "import socket\npeer = None\n\
        def handler(event, context):\n    \
            global peer\n    \
            peer = socket.create_connection(('127.0.0.1', event))\n";
    let options = HostOptions { idle_timeout: Duration::from_millis(20), ..HostOptions::default() };
    let functions = Functions::new(vec![python("idle", code)], options);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (_, accepted) = tokio::join!(succeed(&functions, json!(port)), listener.accept());
    let mut peer = accepted.unwrap().0;
    let mut told = [0; 1];
    let read = tokio::io::AsyncReadExt::read(&mut peer, &mut told);
    let _ = tokio::time::timeout(Duration::from_secs(5), read).await.expect("the process was ended");
}
