//! A server of our own, for as long as a chore needs one.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::shell::Running;

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// `stepwell local` on a free port, with its data in `scratch` and credentials that nobody checks.
pub(crate) fn local(program: &Path, scratch: &Path) -> Command {
    let mut server = Command::new(program);
    server.args(["local", "--port", "0", "--data-dir"]).arg(scratch.join("data"));
    server
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", "us-east-1");
    server
}

/// Starts a server, and gives the address that it announces; it ends when the handle is dropped.
pub(crate) fn serve(server: &mut Command) -> Result<(Running, String)> {
    let shown = server.get_program().to_string_lossy().into_owned();
    let child = server.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {shown}"))?;
    let mut running = Running(child);
    let stdout = running.0.stdout.take().context("the server has no standard output")?;
    let mut lines = BufReader::new(stdout).lines();
    let endpoint = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let at = line.find("http://")?;
        line[at..].split_whitespace().next().map(str::to_owned)
    });
    // What it prints later must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    endpoint.map(|endpoint| (running, endpoint)).context("the server ended before it listened")
}

/// `server` whose calls to Lambda go to `port`.
pub(crate) fn with_lambda(mut server: Command, port: u16) -> Command {
    server.env("AWS_ENDPOINT_URL_LAMBDA", format!("http://127.0.0.1:{port}"));
    server
}
