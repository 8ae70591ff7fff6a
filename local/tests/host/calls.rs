//! What a call is given, and what comes back.

use super::*;

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
