//! The emulator of DynamoDB that these tests run against, and the wire between it and the client, which loses replies.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, RuntimeComponents, StalledStreamProtectionConfig,
};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use bytes::Bytes;
use stepwell_aws::{Blobs, Options, Store, table};
use stepwell_engine::meta::RETENTION;
use stepwell_engine::port::BoxError;
use stepwell_test_support::SimClock;
use tokio::sync::Notify;

/// How often a client tries a request.
pub(crate) const ATTEMPTS: u32 = 3;

pub(crate) const TABLE: &str = "stepwell";

/// Names another DynamoDB to run these tests against, such as that of ministack. Each test has an account of its own there.
const OTHER: &str = "STEPWELL_TEST_DYNAMODB";

/// Where another service is that tests may run against: what `variable` says, else `STEPWELL_TEST_AWS` for all of them.
pub(crate) fn other(variable: &str) -> Result<String, std::env::VarError> {
    std::env::var(variable).or_else(|_| std::env::var("STEPWELL_TEST_AWS"))
}

/// Something that answers as DynamoDB does. A process of this test ends when this is dropped, or when the test dies.
struct Emulator {
    process: Option<(Child, ChildStdin)>,
    endpoint: String,
    /// The key's id, which emulators take for the account.
    account: String,
}

impl Emulator {
    fn start() -> Self {
        if let Ok(endpoint) = other(OTHER) {
            static WORLDS: AtomicU32 = AtomicU32::new(0);
            let world = WORLDS.fetch_add(1, Ordering::Relaxed);
            let account = format!("{:07}{world:05}", std::process::id());
            return Emulator { process: None, endpoint, account };
        }
        // Beside cargo's folders for this workspace, so that it is built once and in nobody's way.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("emulator");
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/emulator/Cargo.toml");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(&manifest);
        build.arg("--target-dir").arg(&target).env_remove("CARGO_BUILD_TARGET");
        assert!(build.status().expect("cargo runs").success(), "the emulator in tests/emulator is not built");
        let mut process = Command::new(target.join("debug/stepwell-emulator"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it was just built");
        let lifeline = process.stdin.take().expect("it is piped");
        let mut endpoint = String::new();
        let mut output = BufReader::new(process.stdout.take().expect("it is piped"));
        output.read_line(&mut endpoint).expect("it says where it listens");
        let endpoint = endpoint.trim().to_owned();
        Emulator { process: Some((process, lifeline)), endpoint, account: "123456789012".to_owned() }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if let Some((process, _)) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// An emulator with a table, and what stands between it and its clients.
pub(crate) struct World {
    emulator: Emulator,
    pub(crate) wire: Wire,
    pub(crate) blobs: Arc<MemoryBlobs>,
    pub(crate) clock: Arc<SimClock>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let world = World {
            emulator: Emulator::start(),
            wire: Wire::new(),
            blobs: Arc::default(),
            clock: Arc::new(SimClock::new(1)),
        };
        table::create_table(&world.client(), TABLE).await.expect("the table is made");
        world.wire.take();
        world
    }

    pub(crate) fn client(&self) -> Client {
        let retries = RetryConfig::standard()
            .with_max_attempts(ATTEMPTS)
            .with_initial_backoff(Duration::from_millis(1))
            .with_max_backoff(Duration::from_millis(1));
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .endpoint_url(&self.emulator.endpoint)
            .credentials_provider(Credentials::new(&self.emulator.account, "test", None, None, "test"))
            .retry_config(retries)
            // What one test uses up of the clients' retries is none of another's.
            .retry_partition(RetryPartition::new(format!("{}/{}", self.endpoint(), self.account())))
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client(self.wire.clone());
        Client::from_conf(config.build())
    }

    /// Where the emulator listens.
    pub(crate) fn endpoint(&self) -> &str {
        &self.emulator.endpoint
    }

    /// The id of the key that it is asked with.
    pub(crate) fn account(&self) -> &str {
        &self.emulator.account
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            client: self.client(),
            table: TABLE.to_owned(),
            blobs: Some(self.blobs.clone()),
            clock: self.clock.clone(),
            retention: RETENTION,
        }
    }

    /// A process of its own: it remembers nothing.
    pub(crate) fn store(&self) -> Store {
        Store::new(self.options())
    }
}

/// Counts requests, loses replies, and kills who asks.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    inner: SharedHttpClient,
    state: Arc<Mutex<State>>,
    died: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<String>,
    to_lose: HashMap<String, u32>,
    /// Requests that are answered with an exception and not done.
    to_refuse: HashMap<String, (u32, &'static str)>,
    /// Requests that are still answered, where that is not all; and whether one more is done, unanswered.
    left: Option<(u32, bool)>,
}

/// What becomes of a request.
#[derive(PartialEq)]
enum Fate {
    Answered,
    /// It is done, and the reply is lost.
    Lost,
    /// It is not done, and answered with this exception.
    Refused(&'static str),
    /// Whoever asks dies when it is done, or before it is sent.
    Dead {
        done: bool,
    },
}

impl Wire {
    fn new() -> Self {
        Wire {
            inner: aws_smithy_http_client::Builder::new().build_http(),
            state: Arc::default(),
            died: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The operations asked for since this was last called.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.state().requests)
    }

    /// Loses the next replies to an operation, which is done.
    pub(crate) fn lose(&self, operation: &str, replies: u32) {
        self.state().to_lose.insert(operation.to_owned(), replies);
    }

    /// Answers the next requests for an operation with an exception, such as `ThrottlingException`.
    pub(crate) fn refuse(&self, operation: &str, requests: u32, exception: &'static str) {
        self.state().to_refuse.insert(operation.to_owned(), (requests, exception));
    }

    /// Whoever asks dies at the request behind this many, done or not; `None`: nobody does.
    pub(crate) fn die_after(&self, requests: Option<(u32, bool)>) {
        self.state().left = requests;
    }

    /// Returns when somebody died.
    pub(crate) async fn death(&self) {
        self.died.notified().await;
    }

    fn note(&self, operation: &str) -> Fate {
        let mut state = self.state();
        state.requests.push(operation.to_owned());
        match &mut state.left {
            Some((0, done)) => return Fate::Dead { done: *done },
            Some((left, _)) => *left -= 1,
            None => {}
        }
        if let Some((left, exception)) = state.to_refuse.get_mut(operation)
            && *left > 0
        {
            *left -= 1;
            return Fate::Refused(exception);
        }
        match state.to_lose.get_mut(operation) {
            Some(left) if *left > 0 => {
                *left -= 1;
                Fate::Lost
            }
            _ => Fate::Answered,
        }
    }
}

impl HttpClient for Wire {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Connector { wire: self.clone(), inner })
    }
}

#[derive(Debug)]
struct Connector {
    wire: Wire,
    inner: SharedHttpConnector,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let fate = self.wire.note(target.rsplit('.').next().unwrap_or_default());
        let died = self.wire.died.clone();
        if let Fate::Refused(exception) = fate {
            let body =
                format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{exception}","message":"so"}}"#);
            let status = StatusCode::try_from(400).expect("it is a status");
            return HttpConnectorFuture::ready(Ok(HttpResponse::new(status, body.into())));
        }
        let answer = (fate != Fate::Dead { done: false }).then(|| self.inner.call(request));
        HttpConnectorFuture::new(async move {
            let answer = match answer {
                Some(answer) => Some(answer.await?),
                None => None,
            };
            match (fate, answer) {
                (Fate::Answered, Some(answer)) => Ok(answer),
                (Fate::Lost, _) => Err(ConnectorError::timeout("the reply is lost".into())),
                _ => {
                    died.notify_one();
                    std::future::pending().await
                }
            }
        })
    }
}

/// Objects in memory.
#[derive(Default)]
pub(crate) struct MemoryBlobs(Mutex<BTreeMap<String, Bytes>>);

impl MemoryBlobs {
    pub(crate) fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Blobs for MemoryBlobs {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BoxError> {
        self.objects().insert(key.to_owned(), bytes);
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, BoxError> {
        Ok(self.objects().get(key).cloned())
    }

    async fn delete_one(&self, key: &str) -> Result<(), BoxError> {
        self.objects().remove(key);
        Ok(())
    }

    async fn delete(&self, prefix: &str) -> Result<(), BoxError> {
        self.objects().retain(|key, _| !key.starts_with(prefix));
        Ok(())
    }
}
