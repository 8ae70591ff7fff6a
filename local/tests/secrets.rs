//! Whatever is logged, nothing of it is a secret: the program at its most talkative, with marked secrets everywhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use serde_json::{Value, json};
use stepwell::keys::AccessKeys;
use support::{Folder, Program, have};

/// What every secret and payload begins with here.
const MARK: &str = "MARK-";

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

const PYTHON: &str = "python3.11";

/// What stands in for AWS: functions that answer with a marked payload, log groups, and refusals.
struct Cloud {
    address: String,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// What functions were called with.
    payloads: Vec<Value>,
    /// What was logged.
    logs: Vec<String>,
    signatures: Vec<String>,
}

impl Cloud {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::<Mutex<Seen>>::default();
        let kept = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let seen = kept.clone();
                std::thread::spawn(move || serve(stream, &seen));
            }
        });
        Cloud { address, seen }
    }
}

/// Answers the requests of a connection.
fn serve(stream: TcpStream, seen: &Mutex<Seen>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let mut head = vec![];
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_owned());
        }
        let header = |name: &str| {
            head.iter().find_map(|line| {
                let (known, value) = line.split_once(": ")?;
                known.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        let mut body = vec![0; header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        let text = String::from_utf8_lossy(&body).into_owned();
        let signature =
            header("authorization").and_then(|text| Some(text.split_once("Signature=")?.1.to_owned()));
        let (status, answer) = {
            let mut seen = seen.lock().unwrap();
            seen.signatures.extend(signature);
            if head[0].contains("/invocations") {
                seen.payloads.push(serde_json::from_str(&text).unwrap_or_default());
                (200, json!({ "reply": format!("{MARK}reply") }))
            } else if header("x-amz-target").is_some_and(|target| target.starts_with("Logs_")) {
                seen.logs.push(text);
                (200, json!({}))
            } else {
                (403, json!({ "__type": "AccessDeniedException", "message": format!("{MARK}refusal") }))
            }
        };
        let answer = answer.to_string();
        let length = answer.len();
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(answer.as_bytes())).ok()?;
    }
}

/// The program, whose output goes into a file.
struct Talkative {
    program: Program,
    address: String,
    output: PathBuf,
    /// Where requests have to be signed: the id and secret to sign with.
    key: Option<(String, String)>,
    signatures: Vec<String>,
}

impl Talkative {
    fn start(folder: &Path, cloud: &Cloud, signed: bool) -> Self {
        let (data, output) = (folder.join("data"), folder.join("output.txt"));
        let key = signed.then(|| {
            let (key, secret) = AccessKeys::of(&data).create("123456789012", None).unwrap();
            (key.id, secret.reveal().to_owned())
        });
        let file = fs::File::create(&output).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_stepwell"));
        command.args(["local", "--port", "0", "--project"]).arg(folder).arg("--data-dir").arg(&data);
        if signed {
            command.arg("--require-signatures");
        }
        command
            .current_dir(folder)
            .env("STEPWELL_LOG", "trace")
            .env("RUST_BACKTRACE", "full")
            .env("AWS_ENDPOINT_URL", format!("http://{}", cloud.address))
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", format!("{MARK}secret-access-key"))
            .env("AWS_SESSION_TOKEN", format!("{MARK}session-token"))
            .env("SOMEBODYS_PASSWORD", format!("{MARK}inherited"))
            .stdout(Stdio::from(file.try_clone().unwrap()))
            .stderr(Stdio::from(file));
        let program = Program::start(&mut command);
        let mut program = Talkative { program, address: String::new(), output, key, signatures: vec![] };
        program.address = wait(|| {
            let said = program.said();
            let line = said.lines().find_map(|line| line.strip_prefix("listening on http://"))?;
            Some(line.to_owned())
        });
        program
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap()).into_owned()
    }

    /// Makes a call with marked headers, and gives status and answer.
    fn call(&mut self, operation: &str, body: &str) -> (u16, Value) {
        let uri = format!("http://{}/", self.address);
        let mut request = http::Request::post(&uri)
            .header("x-amz-target", format!("AWSStepFunctions.{operation}"))
            .header("content-type", "application/x-amz-json-1.0")
            .header("cookie", format!("{MARK}cookie"))
            .header("amz-sdk-invocation-id", uuid::Uuid::new_v4().to_string())
            .body(body.to_owned())
            .unwrap();
        let (id, secret) = match self.key.clone() {
            Some(key) => key,
            None => ("AKIDEXAMPLE".to_owned(), format!("{MARK}clients-key")),
        };
        let token = self.key.is_none().then(|| format!("{MARK}clients-token"));
        let identity = Credentials::new(id, secret, token, None, "test").into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("states")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .unwrap();
        let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        let signable =
            SignableRequest::new("POST", &uri, headers, SignableBody::Bytes(body.as_bytes())).unwrap();
        let (instructions, signature) = sign(signable, &params.into()).unwrap().into_parts();
        self.signatures.push(signature);
        instructions.apply_to_request_http1x(&mut request);
        let mut text =
            format!("POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n", self.address, body.len());
        for (name, value) in request.headers() {
            text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
        }
        text.push_str("Connection: close\r\n\r\n");
        text.push_str(body);
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    fn ask(&mut self, operation: &str, request: &Value) -> Value {
        let (status, answer) = self.call(operation, &request.to_string());
        assert_eq!(status, 200, "{operation}: {answer}");
        answer
    }

    /// Stops it as a user does, and gives all that it said.
    fn stop(mut self) -> String {
        let id = rustix::process::Pid::from_child(&self.program.0);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        self.program.0.wait().unwrap();
        self.said()
    }
}

#[track_caller]
fn wait<T>(mut ready: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "it does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A task that waits for its token, a function hosted here, and a call that is refused.
fn machine(is_hosted: bool) -> String {
    json!({
        "StartAt": "Remote",
        "States": {
            "Remote": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
                "Parameters": {
                    "FunctionName": "remote",
                    "Payload": {"token.$": "$$.Task.Token", "order.$": "$.order"}
                },
                "ResultPath": "$.told",
                "Next": if is_hosted { "Hosted" } else { "Refused" }
            },
            "Hosted": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": {"FunctionName": "Hosted", "Payload.$": "$"},
                "ResultPath": "$.hosted",
                "Next": "Refused"
            },
            "Refused": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sqs:sendMessage",
                "Parameters": {"QueueUrl": "http://127.0.0.1/queue", "MessageBody.$": "$"},
                "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.refused", "Next": "Done"}],
                "Next": "Done"
            },
            "Done": {"Type": "Succeed"}
        }
    })
    .to_string()
}

fn run(signed: bool) -> (String, Vec<String>) {
    let folder = Folder::new("secrets");
    let is_hosted = have(PYTHON);
    fs::write(folder.path().join("app.py"), "def handler(event, context):\n    return event\n").unwrap();
    let toml = format!(
        "[functions.Hosted]\nruntime = \"{PYTHON}\"\nhandler = \"app.handler\"\ncode = \".\"\n\
         [functions.Hosted.environment]\nPASSWORD = \"{MARK}environment\"\n"
    );
    fs::write(folder.path().join("stepwell.toml"), if is_hosted { toml.as_str() } else { "" }).unwrap();
    let cloud = Cloud::start();
    let mut program = Talkative::start(folder.path(), &cloud, signed);

    let machine_arn = program.ask(
        "CreateStateMachine",
        &json!({
            "name": "m",
            "definition": machine(is_hosted),
            "roleArn": "arn:aws:iam::123456789012:role/r",
            "loggingConfiguration": {
                "level": "ALL",
                "includeExecutionData": false,
                "destinations": [{"cloudWatchLogsLogGroup":
                    {"logGroupArn": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/vendedlogs/states/m:*"}}]
            }
        }),
    )["stateMachineArn"]
        .clone();
    let input = json!({ "order": format!("{MARK}payload") }).to_string();
    let started = program
        .ask("StartExecution", &json!({ "stateMachineArn": machine_arn, "name": "e", "input": input }));
    let token = wait(|| cloud.seen.lock().unwrap().payloads.first()?["token"].as_str().map(str::to_owned));
    let output = json!(format!("{MARK}output")).to_string();
    program.ask("SendTaskHeartbeat", &json!({ "taskToken": token }));
    program.ask("SendTaskSuccess", &json!({ "taskToken": token, "output": output }));
    let end = wait(|| {
        let end = program.ask("DescribeExecution", &json!({ "executionArn": started["executionArn"] }));
        (end["status"] != "RUNNING").then_some(end)
    });
    assert_eq!(end["status"], "SUCCEEDED", "{end}");
    let result = end["output"].as_str().unwrap();
    for part in ["payload", "output", "refusal"].map(|part| format!("{MARK}{part}")) {
        assert!(result.contains(&part), "{part} is not in {result}");
    }
    assert!(!is_hosted || result.contains("hosted"), "{result}");

    // What is refused is said to whoever asked, and nobody else.
    let definition = machine(is_hosted).replace("Remote", &format!("{MARK}state")).replace("Done", "");
    for (operation, body) in [
        ("StartExecution", format!("{{\"input\":\"{MARK}broken")),
        (
            "StartExecution",
            json!({ "stateMachineArn": machine_arn, "input": format!("{MARK}no-json") }).to_string(),
        ),
        ("StartExecution", json!({ "stateMachineArn": format!("{machine_arn}{MARK}") }).to_string()),
        ("CreateStateMachine", json!({ "name": "n", "definition": definition, "roleArn": "r" }).to_string()),
        ("SendTaskSuccess", json!({ "taskToken": token, "output": format!("{MARK}no-json") }).to_string()),
        (
            "SendTaskFailure",
            json!({ "taskToken": format!("{MARK}token"), "cause": format!("{MARK}cause") }).to_string(),
        ),
        ("Unheard", format!("{MARK}body")),
    ] {
        let (status, answer) = program.call(operation, &body);
        assert_eq!(status, 400, "{operation}: {answer}");
    }
    if let Some((_, secret)) = &mut program.key {
        let right = std::mem::replace(secret, format!("{MARK}wrong-key"));
        let (status, answer) = program.call("ListStateMachines", "{}");
        assert_eq!(status, 400, "{answer}");
        program.key.as_mut().unwrap().1 = right;
    }
    let logs = wait(|| {
        let logs = cloud.seen.lock().unwrap().logs.join("\n");
        logs.contains("ExecutionSucceeded").then_some(logs)
    });
    // (An error and its cause are no execution data, as in AWS.)
    for part in
        ["payload", "output", "reply", "environment", "secret", "session"].map(|part| format!("{MARK}{part}"))
    {
        assert!(!logs.contains(&part), "{part} is logged: {logs}");
    }
    assert!(!logs.contains(&token), "a token is logged: {logs}");
    let mut secrets = vec![MARK.to_owned(), token];
    secrets.extend(program.key.iter().map(|(_, secret)| secret.clone()));
    secrets.append(&mut program.signatures);
    secrets.extend(std::mem::take(&mut cloud.seen.lock().unwrap().signatures));
    (program.stop(), secrets)
}

#[track_caller]
fn check(signed: bool) {
    let (said, secrets) = run(signed);
    assert!(said.contains("TRACE") && said.contains("answered"), "it says little: {said}");
    assert!(secrets.len() > 20, "{} secrets", secrets.len());
    for secret in secrets {
        let lines: Vec<_> = said.lines().filter(|line| line.contains(&secret)).take(5).collect();
        assert!(lines.is_empty(), "{secret} is in the log:\n{}", lines.join("\n"));
    }
}

#[test]
fn nothing_secret_is_logged_on_loopback() {
    check(false);
}

#[test]
fn nothing_secret_is_logged_where_requests_are_signed() {
    check(true);
}
