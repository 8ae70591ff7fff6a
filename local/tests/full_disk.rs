//! A disk without room: the server says so in a way that clients try again, loses nothing that it acknowledged, neither spins nor grows,
//! and goes on when there is room again.
//!
//! Here the server's files may not grow. `STEPWELL_SMALL_DISK=/mnt/small` names a folder on a disk of some megabytes, which is filled up.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use support::{Folder, Local};

/// A server whose files may not grow beyond what the test says.
struct Server(Local);

impl Server {
    fn start(data: &Path, lambda: &str) -> Self {
        // A write that there is no room for is to fail, not to be a signal.
        let mut command = shielded("", data);
        command.env("AWS_ENDPOINT_URL_LAMBDA", lambda).env("AWS_DEFAULT_REGION", "us-east-1");
        command.envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]);
        Server(Local::of(&mut command))
    }

    /// Lets no file be written beyond so many bytes, or no room be on the disk; `None` gives room again.
    fn room(&self, bytes: Option<u64>) {
        if let Some(disk) = std::env::var_os("STEPWELL_SMALL_DISK") {
            let filler = Path::new(&disk).join("filler");
            if bytes.is_none() {
                return std::fs::remove_file(filler).unwrap();
            }
            let mut filler = File::create(filler).unwrap();
            let mut piece = 1 << 20;
            while piece > 0 {
                piece = if filler.write_all(&vec![1; piece]).is_ok() { piece } else { piece / 2 };
            }
            return;
        }
        let pid = Pid::from_raw(self.0.pid() as i32).unwrap();
        prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    }

    fn ask(&self, operation: &str, request: Value) -> (u16, Value) {
        self.0.ask(operation, &request)
    }

    fn start_execution(&self, machine: &str, name: &str) -> (u16, Value) {
        self.ask("StartExecution", json!({"stateMachineArn": machine, "name": name, "input": "{}"}))
    }

    /// Processor time in ticks of 10 ms, and memory in KiB.
    fn weight(&self) -> (u64, u64) {
        let pid = self.0.pid();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks = [11, 12].map(|at| fields[at].parse::<u64>().unwrap()).iter().sum();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        (ticks, line.split_whitespace().nth(1).unwrap().parse().unwrap())
    }
}

/// The program, after what a shell does.
fn shielded(first: &str, data: &Path) -> Command {
    let script = format!(r#"trap "" XFSZ; {first} exec "$0" "$@""#);
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_stepwell"), "local", "--port", "0", "--data-dir"]);
    command.arg(data);
    command
}

/// A stand-in for Lambda, which answers each call when it is let to.
struct Function {
    url: String,
    called: Receiver<()>,
    answers: Sender<()>,
}

impl Function {
    fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let ((calls, called), (answers, let_to)) = (channel(), channel());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let head: Vec<String> = stream
                    .by_ref()
                    .lines()
                    .map(|line| line.unwrap())
                    .take_while(|line| !line.is_empty())
                    .collect();
                let length = head.iter().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
                });
                stream.read_exact(&mut vec![0; length.unwrap_or(0)]).unwrap();
                if calls.send(()).is_err() || let_to.recv().is_err() {
                    return;
                }
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n42";
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        });
        Function { url, called, answers }
    }
}

fn machine(server: &Server, name: &str, definition: &Value) -> String {
    let request = json!({
        "name": name, "definition": definition.to_string(), "roleArn": "arn:aws:iam::123456789012:role/r"
    });
    let (status, answer) = server.ask("CreateStateMachine", request);
    answer["stateMachineArn"].as_str().unwrap_or_else(|| panic!("{status} {answer}")).to_owned()
}

fn status(server: &Server, machine: &str, name: &str) -> Option<String> {
    let arn = format!("{}:{name}", machine.replacen(":stateMachine:", ":execution:", 1));
    let (code, answer) = server.ask("DescribeExecution", json!({"executionArn": arn}));
    (code == 200).then(|| answer["status"].as_str().unwrap().to_owned())
}

fn until_ended(server: &Server, machine: &str, name: &str) {
    let began = Instant::now();
    while status(server, machine, name).unwrap_or_else(|| panic!("{name} was acknowledged")) != "SUCCEEDED" {
        assert!(began.elapsed() < Duration::from_secs(90), "{name} does not end");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[test]
fn without_room_it_says_so_and_goes_on_with_room() {
    let folder = Folder::new("full");
    let data = std::env::var_os("STEPWELL_SMALL_DISK").map(|disk| Path::new(&disk).join("data"));
    let data = data.unwrap_or_else(|| folder.path().to_owned());
    let function = Function::serve();
    let server = Server::start(&data, &function.url);
    let resource = "arn:aws:lambda:us-east-1:123456789012:function:f";
    let call = json!({"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": resource, "End": true}}});
    let call = machine(&server, "call", &call);
    let wait = json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3, "Next": "P"}, "P": {"Type": "Pass", "End": true}}});
    let wait = machine(&server, "wait", &wait);
    let mut acknowledged: Vec<String> = vec![];
    let start = |server: &Server, name: &str| {
        let (code, answer) = server.start_execution(&wait, name);
        assert!(code == 200 || code >= 500, "{name}: {code} {answer}");
        (code, answer)
    };
    for n in 0..20 {
        assert_eq!(start(&server, &format!("before-{n}")).0, 200);
        acknowledged.push(format!("before-{n}"));
    }
    assert_eq!(server.start_execution(&call, "called").0, 200);
    function.called.recv().unwrap();
    // While their Wait and a call go on, what is left of the disk fills up.
    server.room(Some(4096));
    function.answers.send(()).unwrap();
    let before = server.weight();
    let began = Instant::now();
    std::thread::scope(|scope| {
        let (server, start) = (&server, &start);
        let answers: Vec<_> =
            (0..16).map(|n| scope.spawn(move || start(server, &format!("during-{n}")))).collect();
        // What needs no room goes on meanwhile.
        assert_eq!(status(server, &wait, "before-0").as_deref(), Some("RUNNING"));
        assert_eq!(server.ask("ListExecutions", json!({"stateMachineArn": wait})).0, 200);
        for answer in answers {
            let (code, error) = answer.join().unwrap();
            assert_eq!(code, 500, "{error}");
            assert!(error["__type"].as_str().unwrap().ends_with("InternalFailure"), "{error}");
            assert!(error.to_string().contains("it may be tried again"), "{error}");
        }
    });
    let (waited, after) = (began.elapsed(), server.weight());
    let (ticks, grown) = (after.0 - before.0, after.1.saturating_sub(before.1));
    println!("{waited:?} without room: {} ms of processor time, {grown} KiB more", ticks * 10);
    assert!(Duration::from_millis(ticks * 10) < waited / 3, "it spins");
    assert!(grown < 32 * 1024, "it grows");
    assert_eq!(
        status(&server, &wait, "before-0").as_deref(),
        Some("RUNNING"),
        "what it does next cannot be written"
    );
    // Nobody is patient for longer, but who waits to write what the function answered.
    while began.elapsed() < Duration::from_secs(33) {
        assert_eq!(status(&server, &call, "called").as_deref(), Some("RUNNING"));
        std::thread::park_timeout(Duration::from_millis(100));
    }

    server.room(None);
    let began = Instant::now();
    while start(&server, "after").0 != 200 {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not go on");
    }
    acknowledged.push("after".to_owned());
    until_ended(&server, &call, "called");
    assert!(function.called.try_recv().is_err(), "it is called once");
    for name in &acknowledged {
        until_ended(&server, &wait, name);
    }
    for n in 0..16 {
        // Nobody was told that it began; it may have, or not.
        let name = format!("during-{n}");
        if status(&server, &wait, &name).is_some() {
            until_ended(&server, &wait, &name);
        }
    }

    // Killed without room: with room everything is there.
    start(&server, "last");
    acknowledged.push("last".to_owned());
    server.room(Some(4096));
    server.0.kill();
    if std::env::var_os("STEPWELL_SMALL_DISK").is_some() {
        std::fs::remove_file(data.with_file_name("filler")).unwrap();
    }
    let server = Server::start(&data, &function.url);
    for name in &acknowledged {
        until_ended(&server, &wait, name);
    }
}

#[test]
fn a_store_that_cannot_be_opened_for_want_of_room_says_so() {
    let folder = Folder::new("full-open");
    let mut small = shielded("ulimit -f 8;", folder.path());
    let output = small.stdout(Stdio::null()).stderr(Stdio::piped()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("stepwell.db"), "{error}");
    Server::start(folder.path(), "http://127.0.0.1:9").0.kill();
}
