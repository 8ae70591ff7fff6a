//! The server as a process of its own, and what it weighs.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Plan;
use crate::client::Err;

/// A running `stepwell local`; killed when it is dropped.
pub struct Server {
    child: Child,
    /// Where it is called.
    pub endpoint: String,
    data: PathBuf,
}

impl Server {
    /// Starts the plan's program on a free port, with its data in the plan's folder and its calls to Lambda going to `stub`.
    ///
    /// # Errors
    /// A program that cannot be started, or ends before it listens.
    pub fn start(plan: &Plan, stub: u16) -> Result<Self, Err> {
        let data = plan.folder.join("data");
        let mut child = Command::new(&plan.program)
            .args(["local", "--port", "0", "--data-dir"])
            .arg(&data)
            .args(&plan.server_args)
            .current_dir(&plan.folder)
            .env("AWS_ENDPOINT_URL_LAMBDA", format!("http://127.0.0.1:{stub}"))
            .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")])
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the server has no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let announced = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let at = line.find("http://")?;
            line[at..].split_whitespace().next().map(str::to_owned)
        });
        // What it prints later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let mut server = Server { child, endpoint: String::new(), data };
        server.endpoint = announced.ok_or("the server ended before it listened")?;
        Ok(server)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it end by itself, and gives the file of its store.
    ///
    /// # Errors
    /// An end that is no good one.
    pub fn stop(mut self) -> Result<PathBuf, Err> {
        Command::new("kill").args(["-TERM", &self.pid().to_string()]).status()?;
        let status = self.child.wait()?;
        if !status.success() {
            return Err(format!("the server ended badly: {status}").into());
        }
        Ok(self.data.join("stepwell.db"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks at a process's memory once a second.
pub struct Memory {
    end: Sender<()>,
    thread: JoinHandle<Vec<f64>>,
}

impl Memory {
    /// Watches the process of this id.
    pub fn watch(pid: u32) -> Self {
        let (end, ended) = channel();
        let thread = std::thread::spawn(move || {
            let mut seen = vec![resident_mib(pid)];
            while ended.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                seen.push(resident_mib(pid));
            }
            seen.push(resident_mib(pid));
            seen
        });
        Memory { end, thread }
    }

    /// MiB that were resident, second by second.
    pub fn end(self) -> Vec<f64> {
        drop(self.end);
        self.thread.join().unwrap_or_default()
    }
}

/// MiB of a process in memory; 0 where that is not told.
fn resident_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    let kib = line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0);
    (kib / 102.4).round() / 10.0
}
