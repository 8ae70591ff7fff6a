//! The served API, over a socket.

use std::net::SocketAddr;
use std::time::Duration;

use stepwell::server::{BindError, Options, Server};
use stepwell_engine::Engine;
use stepwell_test_support::{Random, World};
use stepwell_wire::{Api, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

/// What a wait that fails gives up after; none takes this long.
const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
    world: World,
    engine: Engine,
}

async fn serve(options: Options) -> Running {
    let server = Server::bind(Options { port: 0, ..options }).await.expect("a free port");
    let (address, (stop, stopped)) = (server.address(), oneshot::channel());
    let settings = Settings { account: "123456789012".into(), region: "us-east-1".into() };
    let world = World::new(1);
    let engine = Engine::new(world.ports(), stepwell_engine::Settings::default());
    // A test that has no use for `stop` drops it, and wants the server to go on.
    let stopped = async {
        if stopped.await.is_err() {
            std::future::pending().await
        }
    };
    let server = tokio::spawn(server.run(Api::new(engine.clone(), settings), stopped));
    Running { address, stop, server, world, engine }
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("the server listens")
}

/// Everything that is answered until the server hangs up.
async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A server that does not read all of a request resets the connection; what it said before counts.
    let _ = read.expect("the server hangs up");
    String::from_utf8(answer).expect("answers are text")
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = connect(address).await;
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    rest(stream).await
}

/// A request; `head` are header lines, each with its line end.
fn request(line: &str, head: &str, body: &str) -> String {
    format!("{line} HTTP/1.1\r\n{head}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

const LOCAL: &str = "Host: localhost\r\n";
const LIST: &str = "Host: localhost\r\nX-Amz-Target: AWSStepFunctions.ListStateMachines\r\n";

#[tokio::test]
async fn requests_and_their_answers() {
    let address = serve(Options { names: vec!["stepwell.test".into()], ..Options::default() }).await.address;
    let named = |host: &str| LIST.replace("localhost", host);
    let typed = |kind: &str| format!("{LIST}Content-Type: {kind}\r\n");
    let empty = r#"{"stateMachines":[]}"#;
    for (request, status, expected) in [
        (request("GET /", LOCAL, ""), "200 OK", "AWS_ENDPOINT_URL_SFN"),
        (request("HEAD /", LOCAL, ""), "200 OK", "text/plain"),
        (request("PUT /", LOCAL, ""), "405 Method Not Allowed", "allow: GET, HEAD, POST"),
        (request("GET /nothing", LOCAL, ""), "404 Not Found", ""),
        (request("POST /nothing", LIST, "{}"), "404 Not Found", ""),
        (request("POST /", LIST, "{}"), "200 OK", empty),
        (request("POST /", LIST, "{}"), "200 OK", "content-type: application/x-amz-json-1.0"),
        (request("POST /", LIST, "{}"), "200 OK", "x-amzn-requestid: "),
        (request("POST /", LIST, ""), "400 Bad Request", "SerializationException"),
        (request("POST /", LOCAL, "{}"), "400 Bad Request", "UnknownOperationException"),
        (request("POST /", &typed("application/x-amz-json-1.0; charset=utf-8"), "{}"), "200 OK", empty),
        (request("POST /", &typed("application/x-amz-json-1.1"), "{}"), "200 OK", empty),
        (request("POST /", &typed("text/plain"), "{}"), "400 Bad Request", "UnknownOperationException"),
        (request("POST /", &typed("application/json"), "{}"), "400 Bad Request", "UnknownOperationException"),
        (request("POST /", LIST, "\u{1}"), "400 Bad Request", "SerializationException"),
        (request("POST /", LIST, &"[".repeat(100_000)), "400 Bad Request", "SerializationException"),
        (request("GET /nothing", LOCAL, ""), "404 Not Found", "x-amzn-requestid: "),
        (request("POST /", &named("sync-localhost:8083"), "{}"), "200 OK", empty),
        (request("POST /", &named("Stepwell.test"), "{}"), "200 OK", empty),
        (request("POST /", &named("evil.example"), "{}"), "403 Forbidden", ""),
        (request("POST http://evil.example/", LIST, "{}"), "403 Forbidden", ""),
        (request("POST /", "", "{}"), "403 Forbidden", ""),
    ] {
        let answer = ask(address, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}\n{answer}");
        assert!(answer.contains(expected), "{request}\n{answer}");
        assert!(!answer.to_lowercase().contains("access-control-"), "no page may read this: {answer}");
    }
}

#[tokio::test]
async fn a_connection_serves_many_requests_also_sent_ahead() {
    let address = serve(Options::default()).await.address;
    let one = format!("POST / HTTP/1.1\r\n{LIST}Content-Length: 2\r\n\r\n{{}}");
    let answer = ask(address, &format!("{one}{one}{}", request("POST /", LIST, "{}"))).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
}

#[tokio::test]
async fn a_body_may_come_in_pieces_but_not_be_too_large() {
    let address = serve(Options::default()).await.address;
    let chunked = format!("POST / HTTP/1.1\r\n{LIST}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    let answer = ask(address, &format!("{chunked}1\r\n{{\r\n1\r\n}}\r\n0\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");

    let announced = format!("POST / HTTP/1.1\r\n{LIST}Content-Length: 1048577\r\n\r\n");
    let answer = ask(address, &announced).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("RequestEntityTooLarge"), "{answer}");

    let mut stream = connect(address).await;
    let piece = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let endless = format!("{chunked}{}", piece.repeat(17));
    // The server need not read to the end.
    let _ = stream.write_all(endless.as_bytes()).await;
    let answer = rest(stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn nobody_keeps_the_server_waiting() {
    let short = Duration::from_millis(30);
    let options =
        Options { head_timeout: short, body_timeout: short, connections_max: 1, ..Options::default() };
    let address = serve(options).await.address;
    let answer = ask(address, "POST / HTTP/1.1\r\nHost: loc").await;
    assert!(!answer.contains("200 OK"), "{answer}");
    let answer = ask(address, &format!("POST / HTTP/1.1\r\n{LIST}Content-Length: 10\r\n\r\n{{")).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");

    // There is one place: the second connection is served once the first is given up.
    let idle = connect(address).await;
    let answer = ask(address, &request("POST /", LIST, "{}")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(rest(idle).await, "");
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_the_server() {
    let Running { address, stop, server, .. } = serve(Options::default()).await;
    let mut idle = connect(address).await;
    let one = format!("POST / HTTP/1.1\r\n{LIST}Content-Length: 2\r\n\r\n{{}}");
    idle.write_all(one.as_bytes()).await.expect("the server reads");
    let mut first = [0; 15];
    idle.read_exact(&mut first).await.expect("an answer");
    stop.send(()).expect("the server runs");
    rest(idle).await;
    tokio::time::timeout(PATIENCE, server).await.expect("the server ends").expect("no panic");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn other_machines_are_served_on_request_only() {
    let options = |host: &str, allowed| Options {
        host: host.into(),
        port: 0,
        allow_unauthenticated_network: allowed,
        ..Options::default()
    };
    let refused = Server::bind(options("0.0.0.0", false)).await.err().expect("refused");
    assert!(matches!(refused, BindError::Network { .. }), "{refused}");
    assert!(refused.to_string().contains("--allow-unauthenticated-network"), "{refused}");
    let open = Server::bind(options("0.0.0.0", true)).await.expect("allowed");
    assert!(!open.address().ip().is_loopback());
    let local = Server::bind(options("localhost", false)).await.expect("loopback");
    let taken = Options { port: local.address().port(), ..options("localhost", false) };
    let taken = Server::bind(taken).await.err().expect("taken");
    assert!(matches!(taken, BindError::Unavailable { .. }), "{taken}");
}

#[tokio::test]
async fn on_loopback_a_key_that_is_an_account_number_names_the_account() {
    let address = serve(Options::default()).await.address;
    let of = |key: &str, operation: &str| {
        format!(
            "Host: localhost\r\nX-Amz-Target: AWSStepFunctions.{operation}\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential={key}/20261120/us-east-1/states/aws4_request, SignedHeaders=host, Signature=0\r\n"
        )
    };
    let create = |key: &str| request("POST /", &of(key, "CreateActivity"), r#"{"name":"dig"}"#);
    let list = |key: &str| request("POST /", &of(key, "ListActivities"), "{}");
    for (key, account) in
        [("000000000002", "000000000002"), ("AKIAIOSFODNN7EXAMPLE", "123456789012"), ("any", "123456789012")]
    {
        let answer = ask(address, &create(key)).await;
        assert!(
            answer.contains(&format!("arn:aws:states:us-east-1:{account}:activity:dig")),
            "{key} {answer}"
        );
    }
    let other = ask(address, &list("000000000003")).await;
    assert!(other.contains(r#"{"activities":[]}"#), "{other}");
    let own = ask(address, &list("000000000000")).await;
    assert!(own.contains("123456789012") && !own.contains("000000000002"), "{own}");
}

#[tokio::test]
async fn many_bodies_at_once_are_not_all_held() {
    let address = serve(Options::default()).await.address;
    // Each of these holds room for a body that does not come, until there is none left.
    let head = format!("POST / HTTP/1.1\r\n{LIST}Content-Length: 1048576\r\n\r\n");
    let mut waiting = JoinSet::new();
    for _ in 0..128 {
        let head = head.clone();
        waiting.spawn(async move { ask(address, &head).await });
    }
    let refused = waiting.join_next().await.expect("one is refused").expect("no panic");
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("ServiceUnavailable"), "{refused}");
    let served = ask(address, &request("POST /", LIST, "{}")).await;
    assert!(served.starts_with("HTTP/1.1 200 "), "{served}");
}

const DIG: &str = "arn:aws:states:us-east-1:123456789012:activity:dig";

/// A call of `operation`, whose connection stays open.
fn call(operation: &str, body: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AWSStepFunctions.{operation}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

impl Running {
    /// Calls `operation`, which succeeds.
    async fn call(&self, operation: &str, body: &str) {
        let call = call(operation, body).replacen("\r\n", "\r\nConnection: close\r\n", 1);
        let answer = ask(self.address, &call).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{operation}: {answer}");
    }

    /// A worker that waits for a task.
    async fn poll(&self) -> TcpStream {
        let mut stream = connect(self.address).await;
        let call = call("GetActivityTask", &format!(r#"{{"activityArn":"{DIG}"}}"#));
        stream.write_all(call.as_bytes()).await.expect("the server reads");
        stream
    }

    /// Lets an execution schedule a task of the activity.
    async fn schedule(&self) {
        let machine = "arn:aws:states:us-east-1:123456789012:stateMachine:m";
        let state = format!(r#"{{\"Type\":\"Task\",\"Resource\":\"{DIG}\",\"End\":true}}"#);
        let definition = format!(r#"{{\"StartAt\":\"D\",\"States\":{{\"D\":{state}}}}}"#);
        let body = format!(r#"{{"name":"m","definition":"{definition}","roleArn":"arn:aws:iam::1:role/r"}}"#);
        self.call("CreateStateMachine", &body).await;
        self.call("StartExecution", &format!(r#"{{"stateMachineArn":"{machine}","input":"[7]"}}"#)).await;
        let delivery = self.world.queue.receive(&mut Random::new(1)).expect("a message starts it");
        self.engine.drive(delivery.message, delivery.claimant, 1).await;
    }
}

/// What is answered next on a connection.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 4096];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut bytes)).await.expect("an answer comes");
    String::from_utf8_lossy(&bytes[..read.expect("the server is there")]).into_owned()
}

#[tokio::test]
async fn a_worker_may_wait_longer_than_anything_else() {
    let short = Duration::from_millis(30);
    let running = serve(Options { head_timeout: short, body_timeout: short, ..Options::default() }).await;
    running.call("CreateActivity", r#"{"name":"dig"}"#).await;
    let mut worker = running.poll().await;
    // Two that keep the server waiting go by.
    for _ in 0..2 {
        assert!(!ask(running.address, "POST / HTTP/1.1\r\nHost: loc").await.contains("200 OK"));
    }
    running.schedule().await;
    let answer = answer(&mut worker).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(r#""input":"[7]""#), "{answer}");
}

#[tokio::test]
async fn a_worker_that_has_hung_up_takes_no_task() {
    let running = serve(Options::default()).await;
    running.call("CreateActivity", r#"{"name":"dig"}"#).await;
    drop(running.poll().await);
    // Whoever comes behind it is first in line once it is gone.
    let mut worker = running.poll().await;
    running.call("ListActivities", "{}").await;
    running.schedule().await;
    assert!(answer(&mut worker).await.contains(r#""input":"[7]""#));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_workers() {
    let running = serve(Options { grace: PATIENCE * 10, ..Options::default() }).await;
    running.call("CreateActivity", r#"{"name":"dig"}"#).await;
    let mut worker = running.poll().await;
    running.call("ListActivities", "{}").await;
    running.stop.send(()).expect("the server runs");
    let answer = answer(&mut worker).await;
    assert!(answer.contains(r#"{"taskToken":null,"input":null}"#), "{answer}");
    tokio::time::timeout(PATIENCE, running.server).await.expect("the server ends").expect("no panic");
}

#[tokio::test]
async fn heads_are_bounded() {
    let address = serve(Options::default()).await.address;
    let many: String = (0..200).map(|n| format!("X-H{n}: v\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "v".repeat(200_000));
    let target = "X-Amz-Target: AWSStepFunctions.".to_owned() + &"L".repeat(50_000) + "\r\n";
    for (head, statuses) in [
        (many, ["431", "400"]),
        (long, ["431", "400"]),
        (target, ["400", "400"]),
        ("No colon here\r\n".into(), ["400", "400"]),
        ("Content-Length: 2\r\nContent-Length: 3\r\n".into(), ["400", "400"]),
        ("Transfer-Encoding: gzip\r\n".into(), ["400", "501"]),
    ] {
        let text = format!("POST / HTTP/1.1\r\n{LOCAL}{head}Connection: close\r\n\r\n");
        let answer = ask(address, &text).await;
        let shown: String = head.chars().take(60).collect();
        // A server that does not read all of a request may reset the connection before its answer is read.
        let is_refused = statuses.iter().any(|status| answer.starts_with(&format!("HTTP/1.1 {status} ")));
        assert!(answer.is_empty() || is_refused, "{shown}\n{answer}");
        assert!(answer.len() < 2_000, "{shown}: an answer is short");
    }
}

#[tokio::test]
async fn many_idle_connections_keep_nobody_out() {
    let address = serve(Options::default()).await.address;
    let mut idle = vec![];
    for n in 0..100 {
        let mut stream = connect(address).await;
        if n % 2 == 0 {
            stream.write_all(b"POST / HTTP/1.1\r\nHost: loc").await.expect("the server reads");
        }
        idle.push(stream);
    }
    let answer = ask(address, &request("POST /", LIST, "{}")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
