//! The functions, as they run in Lambda: their handlers, in sandboxes that are warm.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stepwell_aws::lambda::{self, Event};
use stepwell_aws::services::dynamodb;
use stepwell_aws::{Assembly, Config, SystemClock, table};
use stepwell_integrations::{Aws, Endpoints, Keys};
use stepwell_wire::Api;

use crate::clock::JumpingClock;
use crate::services::{Received, Service, Services};

/// The table's name.
pub(crate) const TABLE: &str = "stepwell";
const REGION: &str = "us-east-1";

/// Seconds that a function has, as the template configures them: `step`, and the others.
const STEP_SECONDS: i64 = 900;
const OTHER_SECONDS: i64 = 30;

/// How long a message that was received stays hidden.
pub const VISIBILITY: Duration = Duration::from_secs(900);

/// What the template's functions are told, for these services.
fn environment(services: &Services) -> BTreeMap<String, String> {
    let mut variables = services.variables();
    let queue = services.endpoint(Service::Sqs) + "/123456789012/transitions";
    for (name, value) in [
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("STEPWELL_ACCOUNT_ID", "123456789012"),
        ("STEPWELL_TABLE", TABLE),
        ("STEPWELL_QUEUE_URL", &queue),
        ("STEPWELL_BUCKET", "payloads"),
        ("STEPWELL_SCHEDULE_GROUP", "stepwell"),
        ("STEPWELL_SCHEDULE_ROLE_ARN", "arn:aws:iam::123456789012:role/schedules"),
        ("STEPWELL_TIMER_ARN", "arn:aws:lambda:us-east-1:123456789012:function:timer"),
    ] {
        variables.insert(name.to_owned(), value.to_owned());
    }
    variables
}

/// A process that has begun: any of the functions.
pub struct Sandbox {
    assembly: Assembly,
}

impl Sandbox {
    /// A process of its own: it remembers nothing.
    pub fn new(services: &Services, clock: Arc<JumpingClock>) -> Self {
        let variables = environment(services);
        let config = Config::from_variables(|name| variables.get(name).cloned()).expect("it is whole");
        let keys = Keys::of(config.credentials.clone());
        let aws = Aws::new(config.region.clone(), config.endpoints.clone(), keys);
        Sandbox { assembly: Assembly::with(config, aws, clock) }
    }

    fn deadline(&self, seconds: i64) -> i64 {
        self.assembly.clock.now().0 + seconds * 1000
    }

    /// An operation of the API, that of the function `api`.
    pub async fn call(&self, operation: &str, body: &Value) -> Value {
        let event = through_function_url(operation, body);
        let event = Event::new(&event, "request", self.deadline(OTHER_SECONDS));
        answered(operation, &lambda::api(&self.assembly, event).await.expect("it answers"))
    }

    /// The function `start`, called through its Function URL (or an HTTP API, whose events look the same).
    pub async fn start(&self, body: &Value) -> Value {
        let event = through_function_url("StartExecution", body);
        let event = Event::new(&event, "request", self.deadline(OTHER_SECONDS));
        answered("StartExecution", &lambda::start(&self.assembly, event).await.expect("it answers"))
    }

    /// The function `step` with a batch; those messages that are done.
    pub async fn step(&self, batch: Vec<Received>) -> Vec<Received> {
        let record = |message: &Received| {
            json!({
                "messageId": message.id, "receiptHandle": message.receipt, "body": message.body,
                "attributes": {
                    "ApproximateReceiveCount": message.receives.to_string(),
                    "SentTimestamp": message.sent_at.to_string(),
                },
                "messageAttributes": {}, "eventSource": "aws:sqs", "awsRegion": REGION,
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:transitions",
            })
        };
        let event = json!({ "Records": batch.iter().map(record).collect::<Vec<_>>() }).to_string();
        let event = Event::new(&event, "request", self.deadline(STEP_SECONDS));
        let answer = lambda::step(&self.assembly, event).await.expect("it answers");
        let answer: Value = serde_json::from_str(&answer).expect("it is JSON");
        let failures = answer["batchItemFailures"].as_array().into_iter().flatten();
        let failed: BTreeSet<_> = failures.filter_map(|failure| failure["itemIdentifier"].as_str()).collect();
        batch.into_iter().filter(|message| !failed.contains(&*message.id)).collect()
    }

    /// The function `timer` with a schedule's input.
    pub async fn timer(&self, input: &str) {
        let event = Event::new(input, "request", self.deadline(OTHER_SECONDS));
        lambda::timer(&self.assembly, event).await.expect("it answers");
    }
}

/// The event of a request to a Function URL.
fn through_function_url(operation: &str, body: &Value) -> String {
    let json = "application/x-amz-json-1.0";
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "",
        "headers": { "x-amz-target": format!("{}{operation}", Api::TARGET_PREFIX), "content-type": json },
        "requestContext": {
            "accountId": "123456789012", "apiId": "example", "domainName": "example.lambda-url.us-east-1.on.aws",
            "http": { "method": "POST", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1" },
            "requestId": "request", "stage": "$default",
            "authorizer": { "iam": {
                "accessKey": "AKIDEXAMPLE", "accountId": "123456789012", "callerId": "AIDAEXAMPLE",
                "userArn": "arn:aws:iam::123456789012:user/caller", "userId": "AIDAEXAMPLE",
            } },
        },
        "body": body.to_string(), "isBase64Encoded": false,
    })
    .to_string()
}

/// What a caller of the API gets of a function's answer.
fn answered(operation: &str, answer: &str) -> Value {
    let answer: Value = serde_json::from_str(answer).expect("it is JSON");
    assert_eq!(answer["statusCode"], 200, "{operation}: {answer}");
    serde_json::from_str(answer["body"].as_str().expect("a body is text")).expect("it is JSON")
}

/// Makes the table.
pub async fn deploy(services: &Services) {
    let endpoints =
        Endpoints::aws().with(stepwell_integrations::Service::DynamoDb, services.endpoint(Service::DynamoDb));
    let aws = Aws::new(REGION, endpoints, Keys::fixed("AKIDEXAMPLE", "secret", None));
    let client = dynamodb::Client::new(&aws, Arc::new(SystemClock::default()));
    table::create_table(&client, TABLE).await.expect("the table is made");
}

/// What this thread, on which everything happens that functions do, had of a processor.
#[derive(Debug, Clone, Copy, Default)]
pub struct Processor {
    /// How long it ran.
    pub ran: Duration,
    /// How long it could have, while others did: noise of this machine.
    pub waited: Duration,
}

impl Processor {
    /// So far.
    pub fn now() -> Self {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let mut fields = text.split_whitespace().map(|text| Duration::from_nanos(text.parse().unwrap_or(0)));
        let mut next = || fields.next().unwrap_or_default();
        Processor { ran: next(), waited: next() }
    }

    /// Since then.
    #[must_use]
    pub fn since(self, then: Self) -> Self {
        Processor { ran: self.ran.saturating_sub(then.ran), waited: self.waited.saturating_sub(then.waited) }
    }
}

/// Runs an invocation, and says how long it took.
pub async fn timed<T>(invocation: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let value = invocation.await;
    (value, began.elapsed())
}
