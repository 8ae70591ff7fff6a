//! AWS as the functions see it: an endpoint for each service, on loopback, which counts what it is asked for and answers after
//! the time that such an answer takes.
//!
//! DynamoDB is an emulator, which this stands before. Of the others there is as much as the functions use.

mod lambda;
mod queue;
mod s3;
mod scheduler;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use stepwell_aws::table::{PARTITION, SORT};

use crate::clock::JumpingClock;
use crate::dynamodb::{self, Change, Shadow};
use crate::usage::{Usage, chunks};

pub use lambda::Tasks;
pub use queue::Received;

/// What the functions call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say all")]
pub enum Service {
    DynamoDb,
    Sqs,
    Scheduler,
    S3,
    Lambda,
    Sts,
    Logs,
    Events,
}

impl Service {
    const ALL: [Service; 8] = [
        Service::DynamoDb,
        Service::Sqs,
        Service::Scheduler,
        Service::S3,
        Service::Lambda,
        Service::Sts,
        Service::Logs,
        Service::Events,
    ];

    /// What `AWS_ENDPOINT_URL_…` ends with.
    fn suffix(self) -> &'static str {
        match self {
            Service::DynamoDb => "DYNAMODB",
            Service::Sqs => "SQS",
            Service::Scheduler => "SCHEDULER",
            Service::S3 => "S3",
            Service::Lambda => "LAMBDA",
            Service::Sts => "STS",
            Service::Logs => "CLOUDWATCH_LOGS",
            Service::Events => "EVENTBRIDGE",
        }
    }
}

/// How long answers take, as functions in the services' region see it.
#[derive(Debug, Clone, Copy)]
pub struct Latencies {
    /// DynamoDB.
    pub dynamodb: Duration,
    /// SQS.
    pub sqs: Duration,
    /// EventBridge Scheduler.
    pub scheduler: Duration,
    /// S3.
    pub s3: Duration,
    /// Lambda's own part in an invocation.
    pub lambda: Duration,
    /// All others.
    pub other: Duration,
}

impl Default for Latencies {
    /// Typical ones.
    fn default() -> Self {
        let [dynamodb, sqs, scheduler, s3, lambda, other] = [5, 8, 25, 30, 10, 20].map(Duration::from_millis);
        Latencies { dynamodb, sqs, scheduler, s3, lambda, other }
    }
}

impl Latencies {
    /// Answers come at once: for tests, which count.
    pub fn none() -> Self {
        let none = Duration::ZERO;
        Latencies { dynamodb: none, sqs: none, scheduler: none, s3: none, lambda: none, other: none }
    }

    fn of(&self, service: Service) -> Duration {
        match service {
            Service::DynamoDb => self.dynamodb,
            Service::Sqs => self.sqs,
            Service::Scheduler => self.scheduler,
            Service::S3 => self.s3,
            Service::Lambda => self.lambda,
            Service::Sts | Service::Logs | Service::Events => self.other,
        }
    }
}

/// The services. A clone is the same ones.
#[derive(Clone)]
pub struct Services {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<JumpingClock>,
    latencies: Latencies,
    tasks: Tasks,
    emulator: String,
    client: Client<HttpConnector, Full<Bytes>>,
    endpoints: Mutex<BTreeMap<Service, SocketAddr>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    usage: Usage,
    table: Shadow,
    queue: queue::Messages,
    schedules: scheduler::Pending,
    objects: BTreeMap<String, Bytes>,
}

struct Asked {
    method: Method,
    path: String,
    query: String,
    operation: String,
    event: bool,
    body: Bytes,
}

/// An answer: status, type of the content, an error's name.
struct Answer {
    status: u16,
    content: &'static str,
    error: Option<String>,
    body: Bytes,
}

impl Answer {
    fn json(value: &Value) -> Self {
        let body = value.to_string().into();
        Answer { status: 200, content: "application/x-amz-json-1.0", error: None, body }
    }

    fn error(status: u16, name: &str) -> Self {
        let body = json!({ "__type": name, "message": "" }).to_string().into();
        Answer { status, content: "application/x-amz-json-1.0", error: Some(name.to_owned()), body }
    }
}

impl Services {
    /// Serves, in a thread of its own so that what it takes is not the functions', before the emulator of DynamoDB at this address.
    pub fn serve(emulator: &str, latencies: Latencies, tasks: Tasks, clock: Arc<JumpingClock>) -> Self {
        let services = Services {
            inner: Arc::new(Inner {
                clock,
                latencies,
                tasks,
                emulator: emulator.to_owned(),
                client: Client::builder(TokioExecutor::new()).build_http(),
                endpoints: Mutex::default(),
                state: Mutex::default(),
            }),
        };
        let (ready, is_ready) = std::sync::mpsc::channel();
        let serving = services.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                for service in Service::ALL {
                    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                    let address = listener.local_addr().expect("it is bound");
                    lock(&serving.inner.endpoints).insert(service, address);
                    tokio::spawn(serving.clone().accept(service, listener));
                }
                ready.send(()).expect("somebody waits");
                std::future::pending::<()>().await;
            });
        });
        is_ready.recv().expect("it serves");
        services
    }

    /// The variable and the value that lead the SDKs and our own clients here.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let endpoints = lock(&self.inner.endpoints);
        let variable = |(service, address): (&Service, &SocketAddr)| {
            (format!("AWS_ENDPOINT_URL_{}", service.suffix()), format!("http://{address}"))
        };
        endpoints.iter().map(variable).collect()
    }

    /// The endpoint of a service.
    pub fn endpoint(&self, service: Service) -> String {
        format!("http://{}", lock(&self.inner.endpoints)[&service])
    }

    /// What was used so far.
    pub fn usage(&self) -> Usage {
        self.state().usage.clone()
    }

    /// Counts what no request of the functions shows.
    pub fn count(&self, count: impl FnOnce(&mut Usage)) {
        count(&mut self.state().usage);
    }

    /// Bytes that DynamoDB keeps of partitions: [`Shadow::kept`].
    pub fn kept(&self, which: impl Fn(&str) -> bool) -> usize {
        self.state().table.kept(which)
    }

    /// Items that DynamoDB holds of partitions.
    pub fn items(&self, which: impl Fn(&str) -> bool) -> usize {
        self.state().table.count(which)
    }

    /// Lets what expires of partitions do so; what the table's stream says of it.
    pub async fn expire(&self, which: impl Fn(&str) -> bool) -> Vec<Value> {
        let expired = self.state().table.expire(which);
        let mut records = vec![];
        for item in expired {
            let part = |name: &str| (name.to_owned(), item[name].clone());
            let key: dynamodb::Item = [part(PARTITION), part(SORT)].into_iter().collect();
            let delete = json!({ "TableName": crate::functions::TABLE, "Key": key });
            let (status, _) = self.emulated("DeleteItem", delete.to_string().into()).await;
            assert_eq!(status, 200, "the emulator deletes it");
            records.push(json!({
                "eventID": "1", "eventName": "REMOVE", "eventSource": "aws:dynamodb", "awsRegion": "us-east-1",
                "dynamodb": { "Keys": key, "OldImage": item, "SequenceNumber": records.len().to_string() },
            }));
        }
        records
    }

    /// Bytes in objects.
    pub fn object_bytes(&self) -> usize {
        self.state().objects.values().map(Bytes::len).sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.inner.state)
    }

    async fn accept(self, service: Service, listener: tokio::net::TcpListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let _ = stream.set_nodelay(true);
            let serving = self.clone();
            tokio::spawn(async move {
                let answer = service_fn(|request| serving.clone().answer(service, request));
                let http = hyper::server::conn::http1::Builder::new();
                let _ = http.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    }

    async fn answer(
        self,
        service: Service,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let began = tokio::time::Instant::now();
        let header = |name: &str| {
            let value = request.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let target = header("x-amz-target");
        let event = header("x-amz-invocation-type") == "Event";
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let query = request.uri().query().unwrap_or_default().to_owned();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = request.into_body().collect().await?.to_bytes();
        let asked = Asked { method, path, query, operation, event, body };
        let answer = match service {
            Service::DynamoDb => self.dynamodb(&asked).await,
            Service::Sqs => self.sqs(&asked),
            Service::Scheduler => self.scheduler(&asked),
            Service::S3 => self.s3(&asked),
            Service::Lambda => self.lambda(&asked).await,
            Service::Sts => self.sts(&asked),
            Service::Logs => self.logs(&asked),
            Service::Events => self.events(&asked),
        };
        tokio::time::sleep_until(began + self.inner.latencies.of(service)).await;
        let mut response = Response::builder()
            .status(StatusCode::from_u16(answer.status).expect("it is a status"))
            .header("content-type", answer.content)
            .header("x-amzn-requestid", "00000000-0000-0000-0000-000000000000");
        if let Some(error) = answer.error {
            let of_function = service == Service::Lambda && answer.status == 200;
            let name = if of_function { "x-amz-function-error" } else { "x-amzn-errortype" };
            response = response.header(name, error);
        }
        Ok(response.body(Full::new(answer.body)).expect("it is a response"))
    }

    async fn dynamodb(&self, asked: &Asked) -> Answer {
        let (status, body) = self.emulated(&asked.operation, asked.body.clone()).await;
        let request: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let updated = match asked.operation.as_str() {
            "UpdateItem" if status == 200 => vec![self.item(&request).await],
            "TransactWriteItems" if status == 200 => {
                let mut updated = vec![];
                for part in list(&request["TransactItems"]).filter(|part| part["Update"].is_object()) {
                    updated.push(self.item(&part["Update"]).await);
                }
                updated
            }
            _ => vec![],
        };
        let mut state = self.state();
        let State { usage, table, .. } = &mut *state;
        usage.request("dynamodb", &asked.operation);
        count(table, usage, &asked.operation, &request, (status == 200).then_some(&answer), updated);
        let error = answer["__type"].as_str().filter(|_| status != 200).map(str::to_owned);
        Answer { status, content: "application/x-amz-json-1.0", error, body }
    }

    /// The item that a write was to, as it is now.
    async fn item(&self, write: &Value) -> dynamodb::Item {
        let get = json!({ "TableName": write["TableName"], "Key": write["Key"], "ConsistentRead": true });
        let (_, body) = self.emulated("GetItem", get.to_string().into()).await;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        answer["Item"].as_object().cloned().unwrap_or_default()
    }

    async fn emulated(&self, operation: &str, body: Bytes) -> (u16, Bytes) {
        let signed = "AWS4-HMAC-SHA256 Credential=123456789012/20260101/us-east-1/dynamodb/aws4_request, \
             SignedHeaders=host, Signature=00";
        let request = Request::post(&self.inner.emulator)
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-date", "20260101T000000Z")
            .header("authorization", signed)
            .body(Full::new(body))
            .expect("it is a request");
        let response = self.inner.client.request(request).await.expect("the emulator answers");
        let status = response.status().as_u16();
        (status, response.into_body().collect().await.expect("the emulator answers").to_bytes())
    }

    fn sts(&self, asked: &Asked) -> Answer {
        let mut state = self.state();
        state.usage.request("sts", "AssumeRole");
        state.usage.add("sts.requests", 1.0);
        let _ = asked;
        let body = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
             <Credentials><AccessKeyId>ASIATEST</AccessKeyId><SecretAccessKey>test</SecretAccessKey>\
             <SessionToken>test</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
             <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn><AssumedRoleId>R:s</AssumedRoleId>\
             </AssumedRoleUser></AssumeRoleResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>\
             </AssumeRoleResponse>";
        Answer { status: 200, content: "text/xml", error: None, body: body.into() }
    }

    fn logs(&self, asked: &Asked) -> Answer {
        let mut state = self.state();
        state.usage.request("logs", &asked.operation);
        state.usage.add("logs.gb", asked.body.len() as f64 / 1e9);
        Answer::json(&json!({}))
    }

    fn events(&self, asked: &Asked) -> Answer {
        let request: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let entries = list(&request["Entries"]).map(|entry| chunks(entry.to_string().len(), 64 * 1024));
        let mut state = self.state();
        state.usage.request("events", &asked.operation);
        state.usage.add("events.custom", entries.sum());
        Answer::json(&json!({ "FailedEntryCount": 0, "Entries": [] }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Counts one request to DynamoDB and what came of it.
fn count(
    table: &mut Shadow,
    usage: &mut Usage,
    operation: &str,
    request: &Value,
    answer: Option<&Value>,
    updated: Vec<dynamodb::Item>,
) {
    let consistent = request["ConsistentRead"] == true;
    let bytes = |item: &Value| item.as_object().map_or(0, dynamodb::size);
    let mut updated = updated.into_iter();
    let mut write = |kind: &str, write: &Value, times: f64| {
        let key = dynamodb::key(if kind == "Put" { &write["Item"] } else { &write["Key"] });
        let wanted = write["Item"].as_object().cloned();
        let change = match (kind, answer.is_some()) {
            (_, false) | ("ConditionCheck", _) => Change::Refused(wanted),
            ("Put", true) => Change::Put(wanted.unwrap_or_default()),
            ("Delete", true) => Change::Deleted,
            _ => Change::Put(updated.next().unwrap_or_default()),
        };
        table.write(key, change, times, usage);
    };
    match operation {
        "PutItem" => write("Put", request, 1.0),
        "UpdateItem" => write("Update", request, 1.0),
        "DeleteItem" => write("Delete", request, 1.0),
        "TransactWriteItems" => {
            for part in list(&request["TransactItems"]) {
                for (kind, part) in part.as_object().into_iter().flatten() {
                    write(kind, part, 2.0);
                }
            }
        }
        "BatchWriteItem" => {
            for part in
                request["RequestItems"].as_object().into_iter().flat_map(|all| all.values()).flat_map(list)
            {
                for (kind, part) in part.as_object().into_iter().flatten() {
                    write(kind.trim_end_matches("Request"), part, 1.0);
                }
            }
        }
        "GetItem" => {
            let item = answer.map_or(0, |answer| bytes(&answer["Item"]));
            dynamodb::read(item, consistent, 1.0, usage);
        }
        "Query" | "Scan" => {
            let items = answer.map_or(0, |answer| list(&answer["Items"]).map(bytes).sum());
            dynamodb::read(items, consistent, 1.0, usage);
        }
        "BatchGetItem" | "TransactGetItems" => panic!("{operation}: nobody counts it yet"),
        // The table itself.
        _ => {}
    }
}
