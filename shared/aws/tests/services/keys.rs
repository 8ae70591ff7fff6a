//! Access keys that a deployment issues: by invocation of its function, and in requests to its address that nobody else guards.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use stepwell_aws::lambda::{self, Event, Failure};
use stepwell_aws::{Assembly, Config};
use stepwell_integrations::{Aws, Keys};
use tokio::net::TcpListener;

use crate::support::{TABLE, World};

const HOST: &str = "abc.lambda-url.us-east-1.on.aws";
const SECRET_ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:keys";

/// Secrets Manager, which knows one secret, or none.
#[derive(Clone)]
struct Secrets {
    endpoint: String,
    asked: Arc<Mutex<usize>>,
}

impl Secrets {
    async fn start(answers: Vec<(u16, Value)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let secrets = Secrets { endpoint, asked: Arc::default() };
        let asked = secrets.asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (asked, answers) = (asked.clone(), answers.clone());
                let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    assert_eq!(request.headers()["x-amz-target"], "secretsmanager.GetSecretValue");
                    let mut count = asked.lock().expect("whole");
                    let (status, body) = answers[(*count).min(answers.len() - 1)].clone();
                    *count += 1;
                    let mut response = hyper::Response::new(Full::new(Bytes::from(body.to_string())));
                    *response.status_mut() = hyper::StatusCode::from_u16(status).expect("a status");
                    async move { Ok::<_, std::convert::Infallible>(response) }
                });
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });
        secrets
    }

    async fn with_root() -> Self {
        let root = format!(r#"{{"keys":[],"root":"{}"}}"#, "r".repeat(64));
        Secrets::start(vec![(200, json!({"ARN": SECRET_ARN, "SecretString": root}))]).await
    }
}

/// The function that answers holders of keys, or with `None` one that has none to do with.
fn function(world: &World, secrets: Option<&Secrets>) -> Assembly {
    let (dynamodb, account) = (world.endpoint(), world.account());
    let mut variables = vec![
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", account),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb),
        ("STEPWELL_ACCOUNT_ID", "123456789012"),
        ("STEPWELL_TABLE", TABLE),
        ("STEPWELL_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/123456789012/q"),
        ("STEPWELL_SCHEDULE_GROUP", "stepwell"),
        ("STEPWELL_SCHEDULE_ROLE_ARN", "arn:aws:iam::123456789012:role/schedules"),
        ("STEPWELL_TIMER_ARN", "arn:aws:lambda:us-east-1:123456789012:function:timer"),
    ];
    if let Some(secrets) = secrets {
        variables.push(("STEPWELL_KEYS_SECRET_ARN", SECRET_ARN));
        variables.push(("AWS_ENDPOINT_URL_SECRETS_MANAGER", &secrets.endpoint));
    }
    let read =
        |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let config = Config::from_variables(read).expect("all is said");
    let aws = Aws::new("us-east-1", config.endpoints.clone(), Keys::fixed(account, "test", None));
    Assembly::with(config, aws, world.clock.clone())
}

async fn invoke(function: &Assembly, event: &Value) -> Result<Value, Failure> {
    let text = event.to_string();
    let deadline = function.clock.now().0 + 60_000;
    let answer = lambda::api(function, Event::new(&text, "r-1", deadline)).await?;
    Ok(serde_json::from_str(&answer).expect("an answer is JSON"))
}

/// A request that an SDK signs, and the event that comes of it.
#[derive(Clone)]
struct Request {
    id: String,
    secret: String,
    token: Option<String>,
    at: SystemTime,
    path: &'static str,
    operation: &'static str,
    body: &'static str,
    headers: Vec<(&'static str, String)>,
    region: &'static str,
    service: &'static str,
}

impl Request {
    fn event(&self) -> Value {
        let identity = Credentials::new(&self.id, &self.secret, self.token.clone(), None, "test").into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(self.at)
            .settings(SigningSettings::default())
            .build()
            .expect("all is said");
        let uri = format!("https://{HOST}{}", self.path);
        let target = format!("AWSStepFunctions.{}", self.operation);
        let mut request = hyper::Request::post(&uri).header("x-amz-target", target);
        request = request.header("content-type", "application/x-amz-json-1.0");
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let mut request = request.body(()).expect("a request");
        let headers =
            request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text")));
        let body = SignableBody::Bytes(self.body.as_bytes());
        let signable = SignableRequest::new("POST", &uri, headers, body).expect("it can be signed");
        let (instructions, _) = sign(signable, &params.into()).expect("it is signed").into_parts();
        instructions.apply_to_request_http1x(&mut request);
        let mut headers = serde_json::Map::new();
        for (name, value) in request.headers() {
            headers.insert(name.as_str().to_owned(), json!(value.to_str().expect("text")));
        }
        headers.insert("host".to_owned(), json!(HOST));
        headers.insert("x-forwarded-for".to_owned(), json!("192.0.2.1"));
        headers.insert("x-amzn-trace-id".to_owned(), json!("Root=1-2-3"));
        json!({
            "version": "2.0", "routeKey": "$default", "rawPath": self.path, "rawQueryString": "", "headers": headers,
            "requestContext": {
                "accountId": "anonymous", "apiId": "abc", "domainName": HOST, "authorizer": null,
                "http": {"method": "POST", "path": self.path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
            },
            // As Lambda has what it does not know for text.
            "body": STANDARD.encode(self.body), "isBase64Encoded": true,
        })
    }
}

async fn create(function: &Assembly) -> Request {
    let created = invoke(function, &json!({"operation": "CreateAccessKey", "description": "ci"})).await;
    let key = &created.expect("a key")["AccessKey"];
    let text = |name: &str| key[name].as_str().expect("text").to_owned();
    assert_eq!((text("Account"), text("Description")), ("123456789012".into(), "ci".into()));
    assert_eq!(text("SecretAccessKey").len(), 40);
    Request {
        id: text("AccessKeyId"),
        secret: text("SecretAccessKey"),
        token: None,
        at: now(function),
        path: "/",
        operation: "ListActivities",
        body: r#"{"maxResults":7}"#,
        headers: vec![],
        region: "us-east-1",
        service: "states",
    }
}

fn now(function: &Assembly) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(function.clock.now().0).expect("after 1970"))
}

/// The status, the exception's name and the body.
async fn ask(function: &Assembly, event: &Value) -> (u64, String, String) {
    let answer = invoke(function, event).await.expect("an answer");
    let name = answer["headers"]["x-amzn-ErrorType"].as_str().unwrap_or_default().to_owned();
    (
        answer["statusCode"].as_u64().expect("a status"),
        name,
        answer["body"].as_str().expect("a body").to_owned(),
    )
}

#[tokio::test]
async fn what_the_owner_of_a_key_signed_is_answered() {
    let (world, secrets) = (World::new().await, Secrets::with_root().await);
    let function = function(&world, Some(&secrets));
    let plain = create(&function).await;
    let mut like_js = plain.clone();
    like_js.headers = vec![
        ("content-length", plain.body.len().to_string()),
        ("amz-sdk-invocation-id", "e83fd6f8".to_owned()),
        ("amz-sdk-request", "attempt=1; max=3".to_owned()),
        ("x-amz-user-agent", "aws-sdk-js/3.0   with  spaces".to_owned()),
    ];
    let elsewhere = Request { path: "/a%20b/", ..plain.clone() };
    let late = Request { at: now(&function) - Duration::from_secs(290), ..plain.clone() };
    for request in [&plain, &like_js, &elsewhere, &late] {
        let (status, _, body) = ask(&function, &request.event()).await;
        assert_eq!((status, &*body), (200, r#"{"activities":[]}"#));
    }
    // Not everybody hands on what it counts for itself.
    let mut event = like_js.event();
    event["headers"].as_object_mut().expect("headers").remove("content-length");
    assert_eq!(ask(&function, &event).await.0, 200);
    // The same once more: within its minutes a signature is good again, as it is with AWS.
    assert_eq!(ask(&function, &plain.event()).await.0, 200);
    assert_eq!(*secrets.asked.lock().expect("whole"), 1, "the root is read once");
    // Another process knows the key too.
    let another = super::keys::function(&world, Some(&secrets));
    assert_eq!(ask(&another, &plain.event()).await.0, 200);
}

#[tokio::test]
async fn what_nobody_known_signed_is_refused() {
    let (world, secrets) = (World::new().await, Secrets::with_root().await);
    let function = function(&world, Some(&secrets));
    let good = create(&function).await;
    let event = good.event();
    let check = async |event: &Value, name: &str, words: &str| {
        let (status, said, body) = ask(&function, event).await;
        assert_eq!((status, &*said), (400, name), "{body}");
        assert!(body.contains(words), "{words} in {body}");
        assert!(!body.contains(&good.secret), "{body}");
    };
    let altered = |pointer: &str, value: Value| {
        let mut event = event.clone();
        *event.pointer_mut(pointer).expect("it is there") = value;
        event
    };
    let mut unsigned = event.clone();
    unsigned["headers"].as_object_mut().expect("headers").remove("authorization");
    check(&unsigned, "MissingAuthenticationTokenException", "Missing Authentication Token").await;
    let mismatch = "The request signature we calculated does not match";
    let invalid = "InvalidSignatureException";
    for event in [
        altered("/body", json!(STANDARD.encode(r#"{"maxResults":8}"#))),
        altered("/body", json!("")),
        altered("/rawPath", json!("/other")),
        altered("/headers/host", json!("other.lambda-url.us-east-1.on.aws")),
        altered("/headers/x-amz-target", json!("AWSStepFunctions.ListStateMachines")),
        altered("/headers/content-type", json!("application/x-amz-json-1.1")),
        Request { secret: "x".repeat(40), ..good.clone() }.event(),
    ] {
        check(&event, invalid, mismatch).await;
    }
    let at = |seconds: i64| {
        let shift = Duration::from_secs(seconds.unsigned_abs());
        let at = if seconds < 0 { now(&function) - shift } else { now(&function) + shift };
        Request { at, ..good.clone() }.event()
    };
    check(&at(-302), invalid, "Signature expired: ").await;
    check(&at(302), invalid, "Signature not yet current: ").await;
    check(&Request { region: "eu-west-1", ..good.clone() }.event(), invalid, "valid region").await;
    check(&Request { service: "lambda", ..good.clone() }.event(), invalid, "'states'").await;
    check(&altered("/rawQueryString", json!("Action=x")), "IncompleteSignatureException", "query").await;
    let (unknown, said) =
        ("UnrecognizedClientException", "The security token included in the request is invalid.");
    for id in ["AKIAIOSFODNN7EXAMPLE", "SWAKAAAAAAAAAAAAAAAA", "123456789012", "SWAK"] {
        check(&Request { id: id.to_owned(), ..good.clone() }.event(), unknown, said).await;
    }
    check(&Request { token: Some("t".to_owned()), ..good.clone() }.event(), unknown, said).await;
    // All that while it was good, and one that was deleted is not.
    assert_eq!(ask(&function, &event).await.0, 200);
    let deleted = invoke(&function, &json!({"operation": "DeleteAccessKey", "accessKeyId": good.id})).await;
    assert_eq!(deleted.expect("it is there"), json!({}));
    check(&event, unknown, said).await;
}

#[tokio::test]
async fn keys_are_managed_by_invocation_alone() {
    let (world, secrets) = (World::new().await, Secrets::with_root().await);
    let function = function(&world, Some(&secrets));
    let (first, second) = (create(&function).await, create(&function).await);
    assert_ne!((&first.id, &first.secret), (&second.id, &second.secret));
    let listed = invoke(&function, &json!({"operation": "ListAccessKeys"})).await.expect("a list");
    let keys = listed["AccessKeys"].as_array().expect("keys");
    assert_eq!(keys.len(), 2);
    assert!(!listed.to_string().contains(&first.secret) && keys[0]["Description"] == "ci");
    // Nothing in the table signs.
    let stored = world.items().await;
    assert!(!format!("{stored:?}").contains(&first.secret));
    // A key opens no door to more keys.
    let request = Request { operation: "CreateAccessKey", body: "{}", ..first.clone() };
    assert_eq!(ask(&function, &request.event()).await.1, "UnknownOperationException");
    for (event, expected) in [
        (json!({"operation": "DeleteAccessKey", "accessKeyId": "SWAKAAAAAAAAAAAAAAAA"}), "NoSuchEntity"),
        (json!({"operation": "DeleteAccessKey"}), "NoSuchEntity"),
        (json!({"operation": "CreateAccessKey", "description": 1}), "ValidationError"),
        (json!({"operation": "CreateAccessKey", "description": "x".repeat(1001)}), "ValidationError"),
    ] {
        assert_eq!(invoke(&function, &event).await.expect_err("refused").error_type, expected, "{event}");
    }
}

#[tokio::test]
async fn without_a_root_nobody_is_let_in() {
    let world = World::new().await;
    let refused = json!({"__type": "AccessDeniedException"});
    let failing = Secrets::start(vec![(500, json!({})), (400, refused)]).await;
    let short = Secrets::start(vec![(200, json!({"SecretString": "short"}))]).await;
    let good = create(&function(&world, Some(&Secrets::with_root().await))).await;
    for (secrets, asked) in [(&failing, 2), (&short, 1)] {
        let function = function(&world, Some(secrets));
        let (status, name, _) = ask(&function, &good.event()).await;
        assert_eq!((status, &*name), (500, "InternalFailure"));
        assert_eq!(*secrets.asked.lock().expect("whole"), asked);
    }
    // A function that issues no keys serves no address that is open by mistake, and manages none.
    let without = function(&world, None);
    assert_eq!(ask(&without, &good.event()).await.1, "MissingAuthenticationTokenException");
    let error = invoke(&without, &json!({"operation": "ListAccessKeys"})).await.expect_err("refused");
    assert!(error.message.contains("IssueKeys"), "{error}");
    // Whom Lambda knows by IAM needs no key, here or there.
    let mut known = good.event();
    known["requestContext"]["authorizer"] = json!({"iam": {"userArn": "arn:aws:iam::123456789012:user/u"}});
    known["headers"]["authorization"] = json!("AWS4-HMAC-SHA256 of somebody else");
    assert_eq!(ask(&without, &known).await.0, 200);
    assert_eq!(ask(&function(&world, Some(&failing)), &known).await.0, 200);
}
