//! One environment: a process of the user's, the endpoint it talks to, and the task that watches both.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use uuid::Uuid;

use super::Host;
use super::launch::{Launch, launch};
use super::logs::{Stream, pass_on};
use super::runtime_api::{Ended, Endpoint, Invocation, Server, Started};
use super::undertaker::Undertaker;
use crate::config::FunctionConfig;

/// How long what a process sent just before its end may take to be read.
const DRAIN_MAX: Duration = Duration::from_millis(100);

/// A process that came up, and is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Environment {
    endpoint: Arc<Endpoint>,
    /// Of the code it was started with.
    generation: u64,
    /// Its end of a channel on which nothing is said: dropping it has the process killed.
    _alive: oneshot::Sender<()>,
}

/// Why a process did not come up.
#[derive(Debug)]
pub(super) enum StartFailure {
    /// There is nothing to start; a sentence for the user.
    Launch(String),
    /// It told why.
    InitError(Bytes),
    /// It ended first, for this reason.
    Exited(String),
    /// It took longer than this.
    TimedOut(Duration),
}

impl Environment {
    /// Starts a process for `function` and waits until it asks for its first call.
    pub(super) async fn start(
        function: &FunctionConfig,
        generation: u64,
        host: &Host,
    ) -> Result<Self, StartFailure> {
        let launch = launch(function, &host.interpreters).await.map_err(StartFailure::Launch)?;
        let (endpoint, started) = Endpoint::new();
        let failed = |error: std::io::Error| {
            StartFailure::Launch(format!("cannot start `{}`: {error}", launch.program.display()))
        };
        let server = Server::bind(Arc::clone(&endpoint)).await.map_err(failed)?;
        let address = server.address().map_err(failed)?.to_string();
        let mut process = Process::spawn(function, host, &launch, &address).map_err(failed)?;
        process.pass_on_output(function, host);
        process.feed(launch.stdin);
        let (alive, dropped) = oneshot::channel();
        tokio::spawn(supervise(process, server, Arc::clone(&endpoint), dropped, host.closing.clone()));
        let environment = Self { endpoint, generation, _alive: alive };
        let limit = host.options.init_timeout.max(function.timeout);
        match timeout(limit, started).await {
            Ok(Ok(Started::Ready)) => Ok(environment),
            Ok(Ok(Started::InitError(payload))) => Err(StartFailure::InitError(payload)),
            Ok(Ok(Started::Exited(reason))) => Err(StartFailure::Exited(reason)),
            Ok(Err(_)) => Err(StartFailure::Exited("Runtime exited without providing a reason".to_owned())),
            Err(_) => Err(StartFailure::TimedOut(limit)),
        }
    }

    /// Whether it can take a call, and runs this generation of the code.
    pub(super) fn is_usable(&self, generation: u64) -> bool {
        self.generation == generation && !self.endpoint.has_exited()
    }

    /// Makes a call, which must be its only one. `None`: there was no answer within `limit`.
    pub(super) async fn call(&self, invocation: Invocation, limit: Duration) -> Option<Ended> {
        match timeout(limit, self.endpoint.give(invocation)).await {
            Ok(Ok(ended)) => Some(ended),
            Ok(Err(_)) => Some(Ended::Exited("the host is closing".to_owned())),
            Err(_) => None,
        }
    }
}

/// Watches a process until it ends, and ends it when its environment or the host is dropped.
async fn supervise(
    mut process: Process,
    mut server: Server,
    endpoint: Arc<Endpoint>,
    dropped: oneshot::Receiver<()>,
    mut closing: watch::Receiver<()>,
) {
    let reason = tokio::select! {
        status = process.child.wait() => {
            // Too late for a slow reader: then the call counts as crashed, which is true too.
            let _ = timeout(DRAIN_MAX, server.drain()).await;
            status.map_or_else(|error| error.to_string(), exit_reason)
        }
        never = server.serve() => match never {},
        _ = dropped => process.kill().await,
        _ = closing.changed() => process.kill().await,
    };
    tracing::debug!(process = ?process.group, reason, "an environment has ended");
    drop(process);
    endpoint.exited(&reason);
}

/// A process and its process group, both killed when this is dropped.
struct Process {
    child: Child,
    group: Option<Pid>,
    undertaker: Arc<Undertaker>,
}

impl Process {
    fn spawn(
        function: &FunctionConfig,
        host: &Host,
        launch: &Launch,
        address: &str,
    ) -> std::io::Result<Self> {
        let child = Command::new(&launch.program)
            .args(&launch.arguments)
            .current_dir(&launch.task_root)
            .envs(&*host.options.environment)
            .envs(aws_environment(function, host, launch, address))
            .envs(&*function.environment)
            .stdin(if launch.stdin.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let process = Self { child, group, undertaker: Arc::clone(&host.undertaker) };
        if let Some(group) = process.group {
            process.undertaker.born(group.as_raw_nonzero().get().cast_unsigned());
            tracing::debug!(function = function.name, process = %group, "an environment starts");
        }
        Ok(process)
    }

    /// Writes what the process is to read on standard input, in a task of its own.
    fn feed(&mut self, text: &'static str) {
        if let Some(mut stdin) = self.child.stdin.take() {
            // A process that ends before it has read all of it is reported by its end.
            tokio::spawn(async move { stdin.write_all(text.as_bytes()).await });
        }
    }

    fn pass_on_output(&mut self, function: &FunctionConfig, host: &Host) {
        let name: Arc<str> = function.name.as_str().into();
        if let Some(stdout) = self.child.stdout.take() {
            tokio::spawn(pass_on(stdout, Arc::clone(&name), Stream::Stdout, host.options.log.clone()));
        }
        if let Some(stderr) = self.child.stderr.take() {
            tokio::spawn(pass_on(stderr, name, Stream::Stderr, host.options.log.clone()));
        }
    }

    async fn kill(&mut self) -> String {
        self.kill_group();
        self.child.wait().await.map_or_else(|error| error.to_string(), exit_reason)
    }

    /// Kills the process and all it started.
    fn kill_group(&self) {
        if let Some(group) = self.group {
            // There may be none left to kill.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_group();
        if let Some(group) = self.group {
            self.undertaker.dead(group.as_raw_nonzero().get().cast_unsigned());
        }
    }
}

/// The variables that AWS sets. (Lambda guide: "Defined runtime environment variables".)
fn aws_environment(
    function: &FunctionConfig,
    host: &Host,
    launch: &Launch,
    address: &str,
) -> [(&'static str, String); 16] {
    let options = &host.options;
    let today = jiff::Timestamp::now().strftime("%Y/%m/%d").to_string();
    [
        ("AWS_LAMBDA_RUNTIME_API", address.to_owned()),
        ("_HANDLER", function.handler.clone()),
        ("LAMBDA_TASK_ROOT", launch.task_root.to_string_lossy().into_owned()),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".to_owned()),
        ("AWS_EXECUTION_ENV", format!("AWS_Lambda_{}", function.runtime)),
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory_mb.to_string()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", function.name)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", format!("{today}/[$LATEST]{}", Uuid::new_v4().simple())),
        ("AWS_REGION", options.region.clone()),
        ("AWS_DEFAULT_REGION", options.region.clone()),
        ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR".to_owned()),
        ("LANG", "en_US.UTF-8".to_owned()),
        ("TZ", ":UTC".to_owned()),
    ]
}

/// How a process ended, in the words of AWS's sandbox.
fn exit_reason(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "Runtime exited without providing a reason".to_owned(),
        (Some(code), _) => format!("Runtime exited with error: exit status {code}"),
        (None, Some(signal)) => format!("Runtime exited with error: signal: {}", signal_name(signal)),
        (None, None) => "Runtime exited".to_owned(),
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        11 => "segmentation fault",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_in_the_sandboxs_words() {
        for (raw, want) in [
            (0, "Runtime exited without providing a reason"),
            (1 << 8, "Runtime exited with error: exit status 1"),
            (255 << 8, "Runtime exited with error: exit status 255"),
            (9, "Runtime exited with error: signal: killed"),
            (11, "Runtime exited with error: signal: segmentation fault"),
            (40, "Runtime exited with error: signal: signal 40"),
        ] {
            assert_eq!(exit_reason(ExitStatus::from_raw(raw)), want);
        }
    }
}
