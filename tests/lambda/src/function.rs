//! One sandbox: a function's binary, and its Runtime API.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::http::{Answers, Server, json};

/// How long a binary may take to its first poll, and past an event's deadline.
const PATIENCE: Duration = Duration::from_secs(30);

/// A function's error, as Lambda shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionError(pub Value);

/// A binary that runs as a function. It is killed when this is dropped.
pub struct Function {
    process: Child,
    api: Arc<RuntimeApi>,
    _server: Server,
    invocations: mpsc::UnboundedSender<Invocation>,
    /// From its start to its first poll.
    pub init: Duration,
}

struct Invocation {
    id: String,
    deadline: u128,
    payload: String,
    answer: oneshot::Sender<Result<Value, FunctionError>>,
}

struct RuntimeApi {
    waiting: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    state: Mutex<State>,
    polled: Notify,
}

#[derive(Default)]
struct State {
    first_poll: Option<Instant>,
    running: Option<(String, oneshot::Sender<Result<Value, FunctionError>>)>,
    invoked: u64,
}

impl Function {
    /// Starts `binary`, and waits until it asks for its first event.
    ///
    /// # Errors
    /// A binary that ends, or asks for nothing.
    pub async fn start(binary: &Path, environment: &[(&'static str, String)]) -> Result<Self> {
        Function::start_saying(binary, environment, || Ok((Stdio::inherit(), Stdio::inherit()))).await
    }

    /// The same, with all that the function says in a file.
    ///
    /// # Errors
    /// As above; a file that cannot be written.
    pub async fn start_logging(
        binary: &Path,
        environment: &[(&'static str, String)],
        log: &Path,
    ) -> Result<Self> {
        let file = || std::fs::File::options().create(true).append(true).open(log);
        Function::start_saying(binary, environment, || Ok((file()?.into(), file()?.into()))).await
    }

    async fn start_saying(
        binary: &Path,
        environment: &[(&'static str, String)],
        output: impl FnOnce() -> Result<(Stdio, Stdio)>,
    ) -> Result<Self> {
        let (invocations, waiting) = mpsc::unbounded_channel();
        let waiting = tokio::sync::Mutex::new(waiting);
        let api = Arc::new(RuntimeApi { waiting, state: Mutex::default(), polled: Notify::new() });
        let server = Server::start(api.clone()).await?;
        let name = binary.file_stem().unwrap_or_default();
        let mut command = Command::new(binary);
        command
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", &server.address)
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let (stdout, stderr) = output()?;
        command.stdout(stdout).stderr(stderr);
        let started = Instant::now();
        let mut process = command.spawn().with_context(|| binary.display().to_string())?;
        let polled = api.polled.notified();
        tokio::select! {
            () = polled => {}
            ended = process.wait() => bail!("{}: {}", binary.display(), ended?),
            () = tokio::time::sleep(PATIENCE) => bail!("{} asks for no event", binary.display()),
        }
        let first_poll = api.state().first_poll.context("it has polled")?;
        let init = first_poll.duration_since(started);
        Ok(Function { process, api, _server: server, invocations, init })
    }

    /// Hands the function an event that it has `time` for.
    ///
    /// # Errors
    /// A function that ends, or does not answer in time.
    pub async fn invoke(&mut self, event: &Value, time: Duration) -> Result<Result<Value, FunctionError>> {
        let invoked = {
            let mut state = self.api.state();
            state.invoked += 1;
            state.invoked
        };
        let (answer, answered) = oneshot::channel();
        let deadline = (SystemTime::now() + time).duration_since(UNIX_EPOCH)?.as_millis();
        let id = format!("8476a536-e9f4-11e8-9739-{invoked:012}");
        self.invocations.send(Invocation { id, deadline, payload: event.to_string(), answer })?;
        tokio::select! {
            answer = answered => Ok(answer?),
            ended = self.process.wait() => bail!("the function ended: {}", ended?),
            () = tokio::time::sleep(time + PATIENCE) => bail!("the function did not answer in {time:?}"),
        }
    }

    /// The most memory it has had so far, in KiB.
    ///
    /// # Errors
    /// A process that has ended.
    pub fn peak_kib(&self) -> Result<u64> {
        let id = self.process.id().context("it has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).context("the kernel says how much")
    }
}

impl RuntimeApi {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn next(&self) -> Response<Full<Bytes>> {
        self.state().first_poll.get_or_insert_with(Instant::now);
        self.polled.notify_one();
        let Some(invocation) = self.waiting.lock().await.recv().await else { return json(410, "{}") };
        let Invocation { id, deadline, payload, answer } = invocation;
        let mut response = json(200, payload);
        let header =
            |text: &str| HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""));
        let headers = response.headers_mut();
        headers.insert("lambda-runtime-aws-request-id", header(&id));
        headers.insert("lambda-runtime-deadline-ms", header(&deadline.to_string()));
        headers.insert("lambda-runtime-trace-id", header("Root=1-5759e988-bd862e3fe1be46a994272793"));
        let arn = "arn:aws:lambda:us-east-1:123456789012:function:f";
        headers.insert("lambda-runtime-invoked-function-arn", header(arn));
        self.state().running = Some((id, answer));
        response
    }

    /// Ends what runs; `false` where that is another.
    fn end(&self, id: &str, answer: Result<Value, FunctionError>) -> bool {
        let mut state = self.state();
        let Some((_, ended)) = state.running.take_if(|(running, _)| running == id) else { return false };
        // Whoever asked may have gone.
        let _ = ended.send(answer);
        true
    }
}

impl Answers for RuntimeApi {
    async fn answer(self: Arc<Self>, head: Parts, body: Bytes) -> Response<Full<Bytes>> {
        let path = head.uri.path().strip_prefix("/2018-06-01/runtime/").unwrap_or_default();
        let value = || serde_json::from_slice(&body).unwrap_or(Value::Null);
        let ended = match path.split('/').collect::<Vec<_>>()[..] {
            ["invocation", "next"] => return self.next().await,
            ["invocation", id, "response"] => self.end(id, Ok(value())),
            ["invocation", id, "error"] => self.end(id, Err(FunctionError(value()))),
            _ => false,
        };
        if ended { json(202, r#"{"status":"OK"}"#) } else { json(400, r#"{"errorType":"InvalidRequestID"}"#) }
    }
}
