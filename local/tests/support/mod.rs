//! A `stepwell local` of the test's own, spoken to over HTTP.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// Whether a program can be started.
pub(crate) fn have(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// A folder that is removed with this.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("stepwell-{name}-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running program; killed with SIGKILL when it is dropped.
pub(crate) struct Program(pub(crate) Child);

impl Program {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Self {
        Program(command.spawn().unwrap())
    }

    /// Waits until it says that it listens, and gives where: what it writes comes here.
    pub(crate) fn address(&mut self) -> String {
        let mut lines = BufReader::new(self.0.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.split_once("http://")?.1.to_owned()));
        address.expect("it listens")
    }

    /// SIGKILL, and no word more.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A `stepwell local` that listens.
pub(crate) struct Local {
    program: Program,
    address: String,
}

impl Local {
    /// Starts it on a free port and waits until it says that it listens.
    pub(crate) fn start(project: &Path, data_dir: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stepwell"));
        command.args(["local", "--port", "0", "--project"]).arg(project).arg("--data-dir").arg(data_dir);
        Local::of(command.current_dir(project))
    }

    /// Starts what runs it in the end.
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut program = Program::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
        Local { address: program.address(), program }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.program.0.id()
    }

    /// The endpoint.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A call whose answer is needed.
    pub(crate) fn call(&self, operation: &str, request: Value) -> Value {
        self.ask(operation, &request).1
    }

    /// The status and the answer of a call.
    pub(crate) fn ask(&self, operation: &str, request: &Value) -> (u16, Value) {
        post(&self.address, operation, request).unwrap_or_else(|| panic!("no answer to {operation}"))
    }

    /// A call that may get no answer.
    pub(crate) fn try_call(&self, operation: &str, request: &Value) -> Option<Value> {
        post(&self.address, operation, request).map(|(_, answer)| answer)
    }

    /// SIGKILL, and no word more.
    pub(crate) fn kill(self) {
        self.program.kill();
    }
}

/// The status and the answer of whoever listens at `address`; `None` where none came.
pub(crate) fn post(address: &str, operation: &str, request: &Value) -> Option<(u16, Value)> {
    let body = request.to_string();
    let mut stream = TcpStream::connect(address).ok()?;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nX-Amz-Target: AWSStepFunctions.{operation}\r\n\
         Content-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).ok()?))
}
