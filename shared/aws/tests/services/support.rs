//! The emulator of DynamoDB that these tests run against, and the wire between it and the client, which loses replies.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use stepwell_aws::services::dynamodb::Client;
use stepwell_aws::{Blobs, Options, Store, table};
use stepwell_engine::meta::RETENTION;
use stepwell_engine::port::{BoxError, Clock};
use stepwell_integrations::{
    Aws, Endpoints, Http, HttpAnswer, HttpClient, HttpError, Keys, Service, ServiceClient,
};
use stepwell_interpreter::Timestamp;
use stepwell_test_support::{Random, SimClock};
use tokio::sync::Notify;

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

    /// A client over the wire, which never waits long before it tries again.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.aws().over(self.wire.clone()), Arc::new(Hasty(self.clock.clone())))
    }

    fn aws(&self) -> Aws {
        let endpoints = Endpoints::aws().with(Service::DynamoDb, self.endpoint());
        Aws::new("us-east-1", endpoints, Keys::fixed(self.account(), "test", None))
    }

    /// Asks the emulator itself, past the wire.
    pub(crate) async fn ask(&self, operation: &str, mut request: Value) -> Value {
        request["TableName"] = TABLE.into();
        let client = ServiceClient::new(&self.aws(), Service::DynamoDb);
        let target = format!("DynamoDB_20120810.{operation}");
        let answer = client.json(&target, request.to_string().into(), Duration::from_secs(10)).await;
        let answer = answer.expect("the emulator answers");
        let body = serde_json::from_slice(&answer.body).expect("it is JSON");
        assert_eq!(answer.status, 200, "{body}");
        body
    }

    /// An item, as DynamoDB and its streams write it.
    pub(crate) async fn item(&self, partition: &str, sort: &str) -> Value {
        let key = json!({ "Key": { "pk": { "S": partition }, "sk": { "S": sort } } });
        self.ask("GetItem", key).await["Item"].take()
    }

    /// All items.
    pub(crate) async fn items(&self) -> Vec<Value> {
        self.ask("Scan", json!({})).await["Items"].as_array().expect("they are a list").clone()
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
            client: Arc::new(self.client()),
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
    inner: Arc<HttpClient>,
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
    /// Which requests are in trouble whatever they ask for.
    trouble: Option<Trouble>,
}

/// Requests in trouble, by a seed: none more than twice, so that a client's third try is answered.
#[derive(Debug)]
struct Trouble {
    random: Random,
    /// Of a thousand requests.
    rate: u32,
    /// Whether replies are lost, too.
    loses: bool,
    /// How often each was.
    tries: HashMap<Bytes, u32>,
    met: BTreeMap<&'static str, u32>,
}

impl Trouble {
    fn meet(&mut self, body: &Bytes) -> Fate {
        let tries = self.tries.entry(body.clone()).or_default();
        if *tries == 2 || !self.random.chance(self.rate) {
            self.tries.remove(body);
            return Fate::Answered;
        }
        *tries += 1;
        let (name, fate) = match self.random.below(4) {
            0 | 1 if self.loses => ("lost replies", Fate::Lost),
            2 => ("throttled", Fate::Refused("ThrottlingException")),
            _ => ("failed", Fate::Refused("InternalServerError")),
        };
        *self.met.entry(name).or_default() += 1;
        fate
    }
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
        Wire { inner: Arc::default(), state: Arc::default(), died: Arc::default() }
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

    /// From now on so many of a thousand requests, of any kind, are refused for a moment, or done without a reply.
    pub(crate) fn trouble(&self, seed: u64, rate: u32, loses: bool) {
        let (random, tries, met) = (Random::new(seed), HashMap::new(), BTreeMap::new());
        self.state().trouble = Some(Trouble { random, rate, loses, tries, met });
    }

    /// Ends that, and says what was met.
    pub(crate) fn end_trouble(&self) -> BTreeMap<&'static str, u32> {
        self.state().trouble.take().map(|trouble| trouble.met).unwrap_or_default()
    }

    /// Returns when somebody died.
    pub(crate) async fn death(&self) {
        self.died.notified().await;
    }

    fn note(&self, operation: &str, body: &Bytes) -> Fate {
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
            _ => state.trouble.as_mut().map_or(Fate::Answered, |trouble| trouble.meet(body)),
        }
    }
}

#[async_trait]
impl Http for Wire {
    async fn send(&self, request: Request<Bytes>, bytes_max: usize) -> Result<HttpAnswer, HttpError> {
        let target = request.headers().get("x-amz-target").map_or("", |target| target.to_str().unwrap_or(""));
        let fate = self.note(target.rsplit('.').next().unwrap_or_default(), request.body());
        let done = match fate {
            Fate::Refused(exception) => {
                let body =
                    format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{exception}","message":"so"}}"#);
                return Ok(HttpAnswer { status: 400, headers: Default::default(), body: body.into() });
            }
            Fate::Dead { done: false } => None,
            _ => Some(self.inner.send(request, bytes_max).await?),
        };
        match (fate, done) {
            (Fate::Answered, Some(answer)) => Ok(answer),
            (Fate::Lost, _) => Err(HttpError::Unknown("the reply is lost".to_owned())),
            _ => {
                self.died.notify_one();
                std::future::pending().await
            }
        }
    }
}

/// A clock by which nobody waits before trying again.
pub(crate) struct Hasty(pub(crate) Arc<SimClock>);

#[async_trait]
impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn random(&self) -> u64 {
        self.0.random()
    }

    async fn sleep(&self, _: Duration) {
        tokio::task::yield_now().await;
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
