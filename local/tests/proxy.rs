//! `stepwell proxy` before an API of the test's own, which judges every signature by the official signing crate.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use http::request::Parts;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use stepwell::proxy::{Door, Proxy, Routes, Upstream};
use stepwell::server::{Options, Server};
use stepwell_integrations::{Aws, Endpoints, Keys, Service};
use stepwell_wire::REQUEST_BYTES_MAX;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "secret/of+the=user";
const TOKEN: &str = "session/token+==";
const REGION: &str = "eu-west-1";

/// What a wait that fails gives up after; none takes this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the stub answers.
#[derive(Debug, Clone)]
struct Answer(u16, Vec<(&'static str, &'static str)>, String);

impl Answer {
    fn json(status: u16, body: &str) -> Self {
        Answer(
            status,
            vec![("content-type", "application/x-amz-json-1.0"), ("x-amzn-requestid", "r-1")],
            body.to_owned(),
        )
    }

    fn gateway(status: u16, body: &str) -> Self {
        Answer(
            status,
            vec![("content-type", "application/json"), ("apigw-requestid", "g-1")],
            body.to_owned(),
        )
    }
}

/// A server that keeps what it was asked.
#[derive(Clone)]
struct Stub {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<(Parts, Bytes)>>>,
}

impl Stub {
    /// Answers always alike; `None` hangs up instead.
    async fn answering(answer: Option<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stub = Stub { address: listener.local_addr().unwrap(), asked: Arc::default() };
        let asked = stub.asked.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (asked, answer) = (asked.clone(), answer.clone());
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let (asked, answer) = (asked.clone(), answer.clone());
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        asked.lock().unwrap().push((parts, body));
                        let Some(Answer(status, headers, body)) = answer else {
                            return Err(std::io::Error::other("hang up"));
                        };
                        let mut response = http::Response::builder().status(status);
                        for (name, value) in headers {
                            response = response.header(name, value);
                        }
                        Ok(response.body(Full::new(Bytes::from(body))).unwrap())
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        stub
    }

    fn upstream(&self, path: &str, door: Door) -> Upstream {
        Upstream::parse(&format!("http://{}{path}", self.address), door).unwrap()
    }

    fn take(&self) -> Vec<(Parts, Bytes)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn aws(sts: Option<&Stub>) -> Aws {
    let endpoint = sts.map_or("http://127.0.0.1:1".to_owned(), |stub| format!("http://{}", stub.address));
    let endpoints = Endpoints::aws().with(Service::Sts, endpoint);
    Aws::new(REGION, endpoints, Keys::fixed(KEY, SECRET, Some(TOKEN.to_owned())))
}

async fn serve(routes: Routes, aws: Aws) -> SocketAddr {
    let server = Server::bind(Options { port: 0, ..Options::default() }).await.unwrap();
    let address = server.address();
    tokio::spawn(server.serve(Arc::new(Proxy::new(routes, aws)), std::future::pending::<()>()));
    address
}

/// A request as boto3 makes it, with whatever signature.
fn request(host: &str, operation: &str, body: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nX-Amz-Target: AWSStepFunctions.{operation}\r\n\
         Content-Type: application/x-amz-json-1.0\r\nUser-Agent: Boto3/1.40 md/Botocore#1.40\r\n\
         X-Amz-Date: 20200101T000000Z\r\namz-sdk-invocation-id: 0f-1\r\namz-sdk-request: attempt=1\r\n\
         X-Amzn-Trace-Id: Root=1-2-3\r\nX-Amz-Security-Token: dummy\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=any/20200101/us-east-1/states/aws4_request, SignedHeaders=host, Signature=0\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

/// The `Authorization` header that the official signer gives a request with these signed headers.
fn official(head: &Parts, body: &[u8], service: &str) -> String {
    let text = |name: &str| head.headers[name].to_str().unwrap();
    let signed = text("authorization").split_once("SignedHeaders=").unwrap().1.split(',').next().unwrap();
    let stamp: jiff::civil::DateTime =
        jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text("x-amz-date")).unwrap();
    let time: SystemTime = stamp.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().into();
    let identity = Credentials::new(KEY, SECRET, Some(TOKEN.to_owned()), None, "test").into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name(service)
        .time(time)
        .settings(SigningSettings::default())
        .build()
        .unwrap();
    let own = ["host", "x-amz-date", "x-amz-security-token"];
    let headers = signed.split(';').filter(|name| !own.contains(name)).map(|name| (name, text(name)));
    let uri = format!("http://{}{}", text("host"), head.uri.path());
    let signable = SignableRequest::new("POST", &uri, headers, SignableBody::Bytes(body)).unwrap();
    let (instructions, _) = sign(signable, &params.into()).unwrap().into_parts();
    let mut request = http::Request::post(&uri).body(()).unwrap();
    instructions.apply_to_request_http1x(&mut request);
    request.headers()["authorization"].to_str().unwrap().to_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap()
}

#[tokio::test]
async fn each_operation_goes_its_way_signed_anew() {
    let (gateway, function) = (
        Stub::answering(Some(Answer::json(200, r#"{"a":1}"#))).await,
        Stub::answering(Some(Answer::json(200, "{}"))).await,
    );
    let routes = Routes {
        lasting: Some(function.upstream("/", Door::FunctionUrl)),
        ..Routes::to(gateway.upstream("/prod%20x/", Door::ApiGateway))
    };
    let proxy = serve(routes, aws(None)).await;
    for (operation, stub, path, service) in [
        ("StartExecution", &gateway, "/prod%20x/StartExecution", "execute-api"),
        ("SendTaskSuccess", &gateway, "/prod%20x/SendTaskSuccess", "execute-api"),
        ("SendTaskFailure", &gateway, "/prod%20x/SendTaskFailure", "execute-api"),
        ("SendTaskHeartbeat", &gateway, "/prod%20x/SendTaskHeartbeat", "execute-api"),
        ("ListStateMachines", &gateway, "/prod%20x/ListStateMachines", "execute-api"),
        ("StartSyncExecution", &function, "/", "lambda"),
        ("TestState", &function, "/", "lambda"),
        ("GetActivityTask", &function, "/", "lambda"),
    ] {
        let host =
            if operation == "StartSyncExecution" { format!("sync-{proxy}") } else { proxy.to_string() };
        let body = format!(r#"{{"name":"ä","of":"{operation}"}}"#);
        let answer = ask(proxy, &request(&host, operation, &body)).await;
        assert_eq!(status(&answer), "200", "{answer}");
        assert!(answer.contains("x-amzn-requestid: r-1\r\n"), "{answer}");
        let asked = stub.take();
        let [(head, sent)] = &asked[..] else { panic!("{operation}: one request: {asked:?}") };
        assert_eq!((head.uri.path(), &**sent), (path, body.as_bytes()));
        let header = |name: &str| head.headers[name].to_str().unwrap();
        assert_eq!(header("x-amz-target"), format!("AWSStepFunctions.{operation}"));
        assert_eq!(header("user-agent"), "Boto3/1.40 md/Botocore#1.40");
        assert_eq!((header("x-amzn-trace-id"), header("amz-sdk-request")), ("Root=1-2-3", "attempt=1"));
        assert_eq!(header("x-amz-security-token"), TOKEN);
        assert_eq!(header("authorization"), official(head, sent, service), "{operation}");
        assert!(
            !header("authorization").contains("user-agent")
                && header("authorization").contains("x-amz-target")
        );
    }
    assert!(gateway.take().is_empty() && function.take().is_empty());
}

#[tokio::test]
async fn what_the_api_answers_is_what_comes_back() {
    let refused =
        r#"{"__type":"com.amazonaws.swf.service.v2.model#InvalidArn","message":"Invalid Arn: 'x'"}"#;
    let mut named = Answer::json(400, refused);
    named.1.push(("x-amzn-errortype", "InvalidArn"));
    for (said, expected) in [
        (Answer::json(400, refused), ("400", refused)),
        (named, ("400", refused)),
        (
            Answer::json(500, r#"{"__type":"x#InternalFailure"}"#),
            ("500", r#"{"__type":"x#InternalFailure"}"#),
        ),
        (Answer::json(200, r#"{"__type":1}"#), ("200", r#"{"__type":1}"#)),
    ] {
        let stub = Stub::answering(Some(said.clone())).await;
        let proxy = serve(Routes::to(stub.upstream("", Door::ApiGateway)), aws(None)).await;
        let answer = ask(proxy, &request(&proxy.to_string(), "DescribeExecution", "{}")).await;
        assert_eq!((status(&answer), answer.split_once("\r\n\r\n").unwrap().1), expected);
        assert!(answer.contains("content-type: application/x-amz-json-1.0\r\n"), "{answer}");
        let kind = answer.contains("x-amzn-errortype: InvalidArn\r\n");
        assert_eq!(kind, said.1.iter().any(|(name, _)| *name == "x-amzn-errortype"), "{answer}");
    }
}

#[tokio::test]
async fn what_gateways_answer_is_an_exception() {
    let identity = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::1:assumed-role/dev/me</Arn>\
                    </GetCallerIdentityResult></GetCallerIdentityResponse>";
    let sts = Stub::answering(Some(Answer(200, vec![("content-type", "text/xml")], identity.into()))).await;
    for (said, status_expected, words) in [
        (
            Answer::gateway(403, r#"{"message":"Forbidden"}"#),
            "400",
            &[
                "#AccessDeniedException",
                "arn:aws:sts::1:assumed-role/dev/me (access key AKIDEXAMPLE)",
                "execute-api:Invoke",
            ][..],
        ),
        (Answer::gateway(429, r#"{"message":"Too Many Requests"}"#), "400", &["#ThrottlingException"]),
        (Answer::gateway(502, r#"{"message":"Internal server error"}"#), "500", &["#InternalFailure"]),
        (Answer::gateway(503, r#"{"message":"Service Unavailable"}"#), "500", &["#InternalFailure"]),
        (Answer::gateway(504, ""), "500", &["#InternalFailure", "no reason given"]),
        (
            Answer::gateway(404, r#"{"message":"Not Found"}"#),
            "400",
            &["#UnknownOperationException", "Not Found"],
        ),
        (Answer(200, vec![], "<html>".into()), "400", &["#UnknownOperationException"]),
    ] {
        let stub = Stub::answering(Some(said.clone())).await;
        let proxy = serve(Routes::to(stub.upstream("", Door::ApiGateway)), aws(Some(&sts))).await;
        let answer = ask(proxy, &request(&proxy.to_string(), "ListActivities", "{}")).await;
        assert_eq!(status(&answer), status_expected, "{answer}");
        for word in words {
            assert!(answer.contains(word), "{word} in {answer}");
        }
        let id = said.1.iter().any(|(name, _)| *name == "apigw-requestid");
        assert!(
            answer.contains(if id { "x-amzn-requestid: g-1\r\n" } else { "x-amzn-requestid: " }),
            "{answer}"
        );
        assert_eq!(stub.take().len(), 1, "one request is one request");
        assert!(!answer.contains(SECRET) && !answer.contains(TOKEN));
    }
    assert_eq!(sts.take().len(), 1);
}

#[tokio::test]
async fn what_is_not_answered_is_said_and_not_repeated() {
    let stub = Stub::answering(None).await;
    let proxy = serve(Routes::to(stub.upstream("", Door::ApiGateway)), aws(None)).await;
    let answer = ask(proxy, &request(&proxy.to_string(), "StartExecution", "{}")).await;
    assert!(answer.contains("#ServiceUnavailableException") && answer.contains("may have done"), "{answer}");
    assert_eq!((status(&answer), stub.take().len()), ("503", 1));
    let closed = Upstream::parse("http://127.0.0.1:1", Door::ApiGateway).unwrap();
    let proxy = serve(Routes::to(closed), aws(None)).await;
    let answer = ask(proxy, &request(&proxy.to_string(), "StartExecution", "{}")).await;
    assert!(
        answer.contains("#ServiceUnavailableException") && answer.contains("nothing was done"),
        "{answer}"
    );
    // AWS itself gets no dummy signature.
    let gateway = Upstream::parse("https://a.execute-api.eu-west-1.amazonaws.com", Door::ApiGateway).unwrap();
    let without = Aws::new(REGION, Endpoints::aws(), Keys::none());
    let proxy = serve(Routes::to(gateway), without).await;
    let answer = ask(proxy, &request(&proxy.to_string(), "StartExecution", "{}")).await;
    assert!(
        answer.contains("#UnrecognizedClientException") && answer.contains("no AWS credentials"),
        "{answer}"
    );
}

#[tokio::test]
async fn bodies_pass_up_to_the_limit() {
    let stub =
        Stub::answering(Some(Answer::json(200, &format!(r#"{{"output":"{}"}}"#, "y".repeat(5 << 20))))).await;
    let proxy = serve(Routes::to(stub.upstream("", Door::ApiGateway)), aws(None)).await;
    let of = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
    let answer = ask(proxy, &request(&proxy.to_string(), "StartExecution", &of(REQUEST_BYTES_MAX))).await;
    assert_eq!(status(&answer), "200");
    assert!(answer.len() > 5 << 20);
    let asked = stub.take();
    assert_eq!(asked[0].1.len(), REQUEST_BYTES_MAX);
    assert_eq!(asked[0].0.headers["authorization"], official(&asked[0].0, &asked[0].1, "execute-api"));
    let answer = ask(proxy, &request(&proxy.to_string(), "StartExecution", &of(REQUEST_BYTES_MAX + 1))).await;
    assert_eq!(status(&answer), "413");
    assert!(stub.take().is_empty());
}

#[tokio::test]
async fn web_pages_are_not_passed_on() {
    let stub = Stub::answering(Some(Answer::json(200, "{}"))).await;
    let proxy = serve(Routes::to(stub.upstream("", Door::ApiGateway)), aws(None)).await;
    let answer = ask(proxy, &request("evil.example", "ListActivities", "{}")).await;
    assert_eq!(status(&answer), "403");
    let plain = request(&proxy.to_string(), "ListActivities", "{}")
        .replace("application/x-amz-json-1.0", "text/plain");
    assert!(ask(proxy, &plain).await.contains("#UnknownOperationException"));
    let untargeted =
        request(&proxy.to_string(), "X", "{}").replace("X-Amz-Target: AWSStepFunctions.X\r\n", "");
    assert!(ask(proxy, &untargeted).await.contains("#UnknownOperationException"));
    let about = ask(proxy, &format!("GET / HTTP/1.1\r\nHost: {proxy}\r\nConnection: close\r\n\r\n")).await;
    assert!(about.contains("a proxy to http://127.0.0.1"), "{about}");
    assert!(stub.take().is_empty());
}

/// The program, told of nothing but a stack.
#[tokio::test]
async fn a_stack_says_where_to_go() {
    let stub = Stub::answering(Some(Answer::json(200, r#"{"activities":[]}"#))).await;
    let outputs = format!(
        "<Outputs><member><OutputKey>Endpoint</OutputKey><OutputValue>http://{0}/gw</OutputValue></member>\
         <member><OutputKey>ApiUrl</OutputKey><OutputValue>http://{0}/url/</OutputValue></member></Outputs>",
        stub.address
    );
    let formation = Stub::answering(Some(Answer(200, vec![], outputs))).await;
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_stepwell"))
        .args(["proxy", "--stack", "my stack", "--port", "0", "--region", REGION])
        .env("AWS_ENDPOINT_URL_CLOUDFORMATION", format!("http://{}", formation.address))
        .envs([("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_SESSION_TOKEN", TOKEN)])
        .env("AWS_CONFIG_FILE", "/dev/null")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut address = None;
    while let Some(line) = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap() {
        if let Some(found) = line.strip_prefix("listening on http://") {
            address = Some(found.parse::<SocketAddr>().unwrap());
            break;
        }
    }
    let proxy = address.unwrap();
    let [(_, form)] = &formation.take()[..] else { panic!("one question") };
    assert_eq!(form, "Action=DescribeStacks&Version=2010-05-15&StackName=my%20stack");
    for (operation, path, service) in
        [("StartExecution", "/gw/StartExecution", "execute-api"), ("TestState", "/url/", "lambda")]
    {
        assert_eq!(status(&ask(proxy, &request(&proxy.to_string(), operation, "{}")).await), "200");
        let [(head, sent)] = &stub.take()[..] else { panic!("one request") };
        assert_eq!(head.uri.path(), path);
        assert_eq!(head.headers["authorization"], official(head, sent, service));
    }
    #[cfg(unix)]
    {
        let id = i32::try_from(child.id().unwrap()).unwrap();
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(id).unwrap(),
            rustix::process::Signal::INT,
        )
        .unwrap();
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
        assert!(ended.success(), "{ended}");
    }
}
