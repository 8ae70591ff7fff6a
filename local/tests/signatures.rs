//! A server that answers signed requests only. The official signing crate signs, as an SDK does.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use stepwell::keys::{AccessKey, AccessKeys, Secret};
use stepwell::server::{Options, Server};
use stepwell_engine::Engine;
use stepwell_test_support::World;
use stepwell_wire::{Api, Rate, Settings, Throttle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const ACCOUNT: &str = "123456789012";
const OTHER: &str = "000000000002";
const TIME: &str = "X-Amz-Date";

/// What a wait that fails gives up after; none takes this long.
const PATIENCE: Duration = Duration::from_secs(20);

struct Site {
    address: SocketAddr,
    keys: AccessKeys,
    key: AccessKey,
    secret: Secret,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn new() -> Self {
        Site::with(|api| api).await
    }

    async fn with(change: impl FnOnce(Api) -> Api) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = serve(folder.path(), change).await;
        let keys = AccessKeys::of(folder.path());
        let (key, secret) = keys.create(ACCOUNT, None).expect("a key");
        Site { address, keys, key, secret, _folder: folder }
    }

    /// A request that an SDK would make.
    fn signing(&self, operation: &str, body: &str) -> Signing {
        Signing {
            id: self.key.id.clone(),
            secret: self.secret.reveal().to_owned(),
            token: None,
            region: "us-east-1",
            service: "states",
            at: SystemTime::now(),
            host: self.address.to_string(),
            target: format!("AWSStepFunctions.{operation}"),
            body: body.to_owned(),
            headers: vec![("content-type", "application/x-amz-json-1.0".to_owned())],
            checksum: false,
        }
    }

    async fn ask(&self, request: &Signed) -> String {
        ask(self.address, &request.text()).await
    }

    /// Makes a request, which is refused as `expected` says, with AWS's type and the beginning of the message.
    #[track_caller]
    fn refused(&self, answer: &str, expected: (&str, &str)) {
        let (kind, message) = expected;
        let kind = format!("#{kind}\",\"message\":\"{message}");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains(&kind), "{kind}\n{answer}");
        assert!(answer.contains("x-amzn-requestid: "), "{answer}");
        assert!(!answer.contains(self.secret.reveal()), "{answer}");
    }
}

async fn serve(data: &Path, change: impl FnOnce(Api) -> Api) -> SocketAddr {
    let keys = Some(Arc::new(AccessKeys::of(data)));
    let options = Options { port: 0, keys, require_signatures: true, ..Options::default() };
    let server = Server::bind(options).await.expect("a free port");
    let address = server.address();
    let settings = Settings { account: ACCOUNT.into(), region: "us-east-1".into() };
    let engine = Engine::new(World::new(1).ports(), stepwell_engine::Settings::default());
    tokio::spawn(server.run(change(Api::new(engine, settings)), std::future::pending()));
    address
}

/// Everything that is answered until the server hangs up.
async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    let _ = read.expect("the server hangs up");
    String::from_utf8(answer).expect("answers are text")
}

/// What is to be signed, and how.
#[derive(Clone)]
struct Signing {
    id: String,
    secret: String,
    token: Option<String>,
    region: &'static str,
    service: &'static str,
    at: SystemTime,
    host: String,
    target: String,
    body: String,
    headers: Vec<(&'static str, String)>,
    checksum: bool,
}

/// A signed request, which may be altered.
#[derive(Clone)]
struct Signed {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Signing {
    fn sign(&self) -> Signed {
        let identity = Credentials::new(&self.id, &self.secret, self.token.clone(), None, "test").into();
        let mut settings = SigningSettings::default();
        if self.checksum {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let params = SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(self.at)
            .settings(settings)
            .build()
            .expect("all is said");
        let uri = format!("http://{}/", self.host);
        let mut request = http::Request::post(&uri).header("x-amz-target", &self.target);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let mut request = request.body(self.body.clone()).expect("a request");
        let headers =
            request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text")));
        let signable = SignableRequest::new("POST", &uri, headers, SignableBody::Bytes(self.body.as_bytes()));
        let (instructions, _) =
            sign(signable.expect("it can be signed"), &params.into()).expect("it is signed").into_parts();
        instructions.apply_to_request_http1x(&mut request);
        let mut headers = vec![("Host".to_owned(), self.host.clone())];
        headers.extend(
            request
                .headers()
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), value.to_str().expect("text").to_owned())),
        );
        Signed { line: "POST / HTTP/1.1".to_owned(), headers, body: self.body.clone() }
    }
}

impl Signed {
    fn text(&self) -> String {
        self.text_with("Connection: close\r\n")
    }

    fn text_with(&self, more: &str) -> String {
        let headers: String =
            self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let has_length = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length =
            if has_length { String::new() } else { format!("Content-Length: {}\r\n", self.body.len()) };
        format!("{}\r\n{headers}{length}{more}\r\n{}", self.line, self.body)
    }

    /// The same with a header changed.
    fn with(&self, name: &str, change: impl Fn(&str) -> String) -> Signed {
        let mut changed = self.clone();
        let mut found = false;
        for (_, value) in changed.headers.iter_mut().filter(|(known, _)| known.eq_ignore_ascii_case(name)) {
            *value = change(value);
            found = true;
        }
        assert!(found, "there is no {name}");
        changed
    }

    fn without(&self, name: &str) -> Signed {
        let mut changed = self.clone();
        changed.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        changed
    }

    fn and(&self, name: &str, value: &str) -> Signed {
        let mut changed = self.clone();
        changed.headers.push((name.to_owned(), value.to_owned()));
        changed
    }

    fn of_body(&self, body: &str) -> Signed {
        Signed { body: body.to_owned(), ..self.clone() }
    }
}

const MISMATCH: (&str, &str) = (
    "InvalidSignatureException",
    "The request signature we calculated does not match the signature you provided.",
);

#[tokio::test]
async fn what_sdks_sign_is_answered() {
    let site = Site::new().await;
    let plain = site.signing("ListStateMachines", "{}");
    // Different requests: the same one would be refused the second time.
    let with_checksum = Signing { checksum: true, body: r#"{"maxResults":1}"#.into(), ..plain.clone() };
    let mut like_js = Signing { body: r#"{"maxResults":2}"#.into(), ..plain.clone() };
    like_js.headers.extend([
        ("amz-sdk-invocation-id", "e83fd6f8-81ff-4caa-9874-38e234cce257".to_owned()),
        ("amz-sdk-request", "attempt=1; max=3".to_owned()),
        ("content-length", like_js.body.len().to_string()),
        ("x-amz-user-agent", "aws-sdk-js/3.0   with  spaces".to_owned()),
    ]);
    let sync = Signing { host: format!("sync-{}", site.address), ..plain.clone() };
    let named = Signing { host: "stepwell.example".into(), ..plain.clone() };
    let late = Signing { at: SystemTime::now() + Duration::from_secs(200), ..plain.clone() };
    for signing in [plain, with_checksum, like_js, sync, named, late] {
        let signed = signing.sign();
        let answer = site.ask(&signed).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"stateMachines\":[]"), "{answer}");
    }
    // What is not signed may be there, as proxies and boto3 have it.
    let signed = site.signing("ListStateMachines", r#"{"maxResults":3}"#).sign();
    let answer =
        site.ask(&signed.and("amz-sdk-invocation-id", "x").and("X-Amzn-Trace-Id", "Root=1-2-3")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[tokio::test]
async fn what_nobody_known_signed_is_refused() {
    let site = Site::new().await;
    let signing = site.signing("ListStateMachines", "{}");
    let signed = signing.sign();
    site.refused(
        &site.ask(&signed.without("authorization")).await,
        ("MissingAuthenticationTokenException", "Missing Authentication Token"),
    );
    let unknown = ("UnrecognizedClientException", "The security token included in the request is invalid.");
    let stranger = Signing { id: "AKIAIOSFODNN7EXAMPLE".into(), ..signing.clone() };
    site.refused(&site.ask(&stranger.sign()).await, unknown);
    let numbered = Signing { id: ACCOUNT.into(), ..signing.clone() };
    site.refused(&site.ask(&numbered.sign()).await, unknown);
    let session = Signing { token: Some("token".into()), ..signing.clone() };
    site.refused(&site.ask(&session.sign()).await, unknown);
    let wrong = Signing { secret: "x".repeat(40), ..signing.clone() };
    site.refused(&site.ask(&wrong.sign()).await, MISMATCH);
    site.keys.delete(&site.key.id).expect("it is there");
    site.refused(&site.ask(&signed).await, unknown);
    // A key made while the server runs is good at once.
    let (key, secret) = site.keys.create(ACCOUNT, None).expect("a key");
    let new = Signing { id: key.id, secret: secret.reveal().to_owned(), ..signing };
    let answer = site.ask(&new.sign()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[tokio::test]
async fn what_was_altered_is_refused() {
    let site = Site::new().await;
    let signed =
        Signing { checksum: true, ..site.signing("ListStateMachines", r#"{"maxResults":1}"#) }.sign();
    let target = |name: &str| format!("AWSStepFunctions.{name}");
    for altered in [
        signed.with("x-amz-target", |_| target("ListActivities")),
        signed.with("host", |_| "127.0.0.1:1".to_owned()),
        signed.with("content-type", |_| "application/x-amz-json-1.1".to_owned()),
        signed.with("authorization", |text| format!("{text}0")),
        signed.with("authorization", |text| {
            let (head, last) = text.split_at(text.len() - 1);
            format!("{head}{}", if last == "0" { "1" } else { "0" })
        }),
        signed.with("authorization", |text| {
            let (head, signature) = text.split_once("Signature=").expect("a signature");
            // As many letters as it may have: one at least has to be there for this to be another text.
            format!("{head}Signature={}", signature.replace(|c: char| c.is_ascii_digit(), "A"))
        }),
    ] {
        site.refused(&site.ask(&altered).await, MISMATCH);
    }
    let body =
        ("InvalidSignatureException", "The header X-Amz-Content-SHA256 has to be the SHA-256 of the body");
    site.refused(&site.ask(&signed.of_body(r#"{"maxResults":2}"#)).await, body);
    site.refused(&site.ask(&signed.of_body("")).await, body);
    let plain = site.signing("ListStateMachines", r#"{"maxResults":1}"#).sign();
    site.refused(&site.ask(&plain.of_body(r#"{"maxResults":2}"#)).await, MISMATCH);
    site.refused(&site.ask(&plain.of_body("{")).await, MISMATCH);
    for (name, value) in [("x-amz-target", target("ListActivities")), (TIME, "20261120T060000Z".to_owned())] {
        let twice = site.ask(&plain.and(name, &value)).await;
        assert!(!twice.starts_with("HTTP/1.1 200"), "{twice}");
    }
    // Another verb or path is no call at all.
    let other = Signed { line: "POST /other HTTP/1.1".into(), ..plain.clone() };
    assert!(site.ask(&other).await.starts_with("HTTP/1.1 404"));
    let query = Signed { line: "POST /?Action=x HTTP/1.1".into(), ..plain.clone() };
    site.refused(&site.ask(&query).await, ("IncompleteSignatureException", "A signature is taken from"));
    // Nothing of that used the signature up.
    assert!(site.ask(&plain).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn what_was_cut_off_is_refused() {
    let site = Site::new().await;
    let signed = site.signing("ListStateMachines", r#"{"maxResults":1}"#).sign();
    let text = signed.text();
    let mut stream = TcpStream::connect(site.address).await.expect("the server listens");
    stream.write_all(&text.as_bytes()[..text.len() - 1]).await.expect("the server reads");
    stream.shutdown().await.expect("it is said that no more comes");
    let mut answer = String::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer))
        .await
        .expect("the server hangs up");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    // With a length that fits what is left, the body is another.
    let shorter = signed.of_body(r#"{"maxResults":1"#);
    site.refused(&site.ask(&shorter).await, MISMATCH);
    assert!(site.ask(&signed).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn what_is_out_of_time_or_place_is_refused() {
    let site = Site::new().await;
    let signing = site.signing("ListStateMachines", "{}");
    let now = SystemTime::now();
    let at = |seconds: i64| {
        let shift = Duration::from_secs(seconds.unsigned_abs());
        Signing { at: if seconds < 0 { now - shift } else { now + shift }, ..signing.clone() }
    };
    for (signing, message) in [
        (at(-302), "Signature expired: "),
        (at(-86_400), "Signature expired: "),
        (at(302), "Signature not yet current: "),
        (
            Signing { region: "eu-west-1", ..signing.clone() },
            "Credential should be scoped to a valid region. ",
        ),
        (
            Signing { service: "dynamodb", ..signing.clone() },
            "Credential should be scoped to correct service: 'states'. ",
        ),
    ] {
        let answer = site.ask(&signing.sign()).await;
        site.refused(&answer, ("InvalidSignatureException", message));
    }
    let signed = signing.sign();
    let term = signed.with("authorization", |text| text.replace("aws4_request", "aws5_request"));
    site.refused(
        &site.ask(&term).await,
        (
            "InvalidSignatureException",
            "Credential should be scoped with a valid terminator: 'aws4_request'. ",
        ),
    );
    let day = signed.with(TIME, |_| "20200101T000000Z".to_owned());
    site.refused(
        &site.ask(&day).await,
        ("InvalidSignatureException", "Date in Credential scope does not match"),
    );
    // What was signed before the server began to remember may have been made before.
    let before = at(-200).sign();
    site.refused(
        &site.ask(&before).await,
        ("ThrottlingException", "The request was signed before this server started"),
    );
}

#[tokio::test]
async fn what_is_not_wholly_signed_is_refused() {
    let site = Site::new().await;
    let signed = Signing { checksum: true, ..site.signing("ListStateMachines", "{}") }.sign();
    let authorization = |change: &dyn Fn(&str) -> String| signed.with("authorization", change);
    let incomplete = "IncompleteSignatureException";
    let invalid = "InvalidSignatureException";
    for (request, expected) in [
        (authorization(&|_| "Bearer abc".into()), (incomplete, "Unsupported algorithm")),
        (
            authorization(&|_| "AWS4-HMAC-SHA256".into()),
            (
                incomplete,
                "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter.",
            ),
        ),
        (
            authorization(&|_| "AWS4-HMAC-SHA256 Credential".into()),
            (incomplete, "A parameter of the Authorization header is not"),
        ),
        (
            authorization(&|text| text.replace("/us-east-1/", "/")),
            (incomplete, "Credential must have exactly 5"),
        ),
        (
            authorization(&|text| format!("{text}, Signature=0")),
            (incomplete, "The Authorization header has 'Signature' twice"),
        ),
        (signed.without(TIME), (incomplete, "Authorization header requires existence of either")),
        (signed.with(TIME, |_| "now".into()), (incomplete, "Date must be in ISO-8601")),
        (signed.with(TIME, |text| format!("{text}Z")), (incomplete, "Date must be in ISO-8601")),
        (signed.and("Authorization", "Bearer abc"), (incomplete, "The header authorization is there twice")),
        (authorization(&|text| text.replace("host;", "")), (invalid, "'Host' or ':authority' must be")),
        (
            authorization(&|text| text.replace(";x-amz-target", "")),
            (invalid, "There were headers present in the request which were not signed: x-amz-target"),
        ),
        (
            authorization(&|text| text.replace("x-amz-content-sha256;", "")),
            (
                invalid,
                "There were headers present in the request which were not signed: x-amz-content-sha256",
            ),
        ),
        (
            authorization(&|text| text.replace("content-type;host", "host;content-type")),
            (invalid, "SignedHeaders has to name"),
        ),
        (authorization(&|text| text.replace("host", "Host")), (invalid, "SignedHeaders has to name")),
        (
            signed.and("x-amz-more", "1"),
            (invalid, "There were headers present in the request which were not signed: x-amz-more"),
        ),
    ] {
        site.refused(&site.ask(&request).await, expected);
    }
    // Payloads that are not signed, or in pieces, by a client that signs that they are not.
    for unsigned in
        ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"]
    {
        let mut signing = site.signing("ListStateMachines", "{}");
        signing.headers.push(("x-amz-content-sha256", unsigned.to_owned()));
        let answer = site.ask(&signing.sign()).await;
        assert!(answer.contains("InvalidSignatureException"), "{unsigned} {answer}");
    }
    // A presigned address.
    let presigned = Signed {
        line: format!(
            "POST /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Signature=0 HTTP/1.1",
            site.key.id
        ),
        ..signed.without("authorization")
    };
    site.refused(
        &site.ask(&presigned).await,
        (incomplete, "A signature is taken from the Authorization header"),
    );
    assert!(site.ask(&signed).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn what_came_before_is_refused() {
    let site = Site::new().await;
    let definition = r#"{\"StartAt\":\"P\",\"States\":{\"P\":{\"Type\":\"Pass\",\"End\":true}}}"#;
    let create =
        format!(r#"{{"name":"m","roleArn":"arn:aws:iam::{ACCOUNT}:role/r","definition":"{definition}"}}"#);
    assert!(site.ask(&site.signing("CreateStateMachine", &create).sign()).await.starts_with("HTTP/1.1 200"));
    let machine = format!("arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:m");
    let start = site.signing("StartExecution", &format!(r#"{{"stateMachineArn":"{machine}"}}"#)).sign();
    assert!(site.ask(&start).await.starts_with("HTTP/1.1 200"));
    let used = ("ThrottlingException", "The signature of this request was used before. Sign it again.");
    site.refused(&site.ask(&start).await, used);
    site.refused(&site.ask(&start.and("amz-sdk-invocation-id", "x")).await, used);
    let list = site.signing("ListExecutions", &format!(r#"{{"stateMachineArn":"{machine}"}}"#)).sign();
    let listed = site.ask(&list).await;
    assert_eq!(listed.matches("executionArn").count(), 1, "{listed}");
    site.refused(&site.ask(&list).await, used);

    // An SDK that asks again by its connection, within the second, means it.
    let again = site.signing("ListStateMachines", "{}").sign();
    let call = |id: &str, more: &str| again.and("amz-sdk-invocation-id", id).text_with(more);
    let both = format!("{}{}{}", call("a", ""), call("b", ""), call("b", "Connection: close\r\n"));
    let answers = ask(site.address, &both).await;
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 400").count(), 1, "{answers}");
}

#[tokio::test]
async fn a_key_opens_its_own_account() {
    let site = Site::new().await;
    let create = r#"{"name":"dig"}"#;
    assert!(site.ask(&site.signing("CreateActivity", create).sign()).await.contains(ACCOUNT));
    let (key, secret) = site.keys.create(OTHER, Some("another's".into())).expect("a key");
    let other = |operation: &str, body: &str| Signing {
        id: key.id.clone(),
        secret: secret.reveal().to_owned(),
        ..site.signing(operation, body)
    };
    let answer = site.ask(&other("ListActivities", "{}").sign()).await;
    assert!(answer.contains(r#"{"activities":[]}"#), "{answer}");
    let describe = format!(r#"{{"activityArn":"arn:aws:states:us-east-1:{ACCOUNT}:activity:dig"}}"#);
    let answer = site.ask(&other("DescribeActivity", &describe).sign()).await;
    assert!(answer.contains("ActivityDoesNotExist"), "{answer}");
    let answer = site.ask(&other("CreateActivity", create).sign()).await;
    assert!(answer.contains(OTHER), "{answer}");
}

#[tokio::test]
async fn strangers_learn_little_and_are_answered_shortly() {
    let site = Site::new().await;
    let about = ask(site.address, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(!about.contains(ACCOUNT) && !about.contains("us-east-1"), "{about}");
    // A large body is not waited for.
    let announced = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
    let answer = ask(site.address, announced).await;
    assert!(answer.contains("MissingAuthenticationTokenException"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn who_asks_too_often_is_throttled() {
    let rate = Rate { bucket: 2, refill_per_second: 0.0 };
    let site = Site::with(|api| api.throttled(Throttle::default().with("ListActivities", rate))).await;
    let ask = async |n: u32| {
        let body = format!(r#"{{"maxResults":{n}}}"#);
        site.ask(&site.signing("ListActivities", &body).sign()).await
    };
    assert!(ask(1).await.starts_with("HTTP/1.1 200"));
    assert!(ask(2).await.starts_with("HTTP/1.1 200"));
    site.refused(&ask(3).await, ("ThrottlingException", "Rate exceeded"));
    let other = site.signing("ListStateMachines", "{}").sign();
    assert!(site.ask(&other).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn wider_than_loopback_signatures_are_required() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = |allowed: bool| Options {
        host: "0.0.0.0".into(),
        port: 0,
        keys: Some(Arc::new(AccessKeys::of(folder.path()))),
        allow_unauthenticated_network: allowed,
        ..Options::default()
    };
    assert!(Server::bind(options(false)).await.expect("it listens").keys().is_some());
    assert!(Server::bind(options(true)).await.expect("it listens").keys().is_none());
    let local = Options { host: "127.0.0.1".into(), ..options(false) };
    assert!(Server::bind(local).await.expect("it listens").keys().is_none());
}
