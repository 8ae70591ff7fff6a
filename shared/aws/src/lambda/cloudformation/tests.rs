//! Stacks, told as CloudFormation tells them, against an API in memory and somebody who waits for the answers.

use std::sync::{Arc, Mutex};

use stepwell_engine::Engine;
use stepwell_expr::json::parse;
use stepwell_test_support::World as Ports;
use stepwell_wire::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:";
const ROLE: &str = "arn:aws:iam::123456789012:role/r";
const PASS: &str = r#"{\"StartAt\":\"P\",\"States\":{\"P\":{\"Type\":\"Pass\",\"End\":true}}}"#;
const WAIT: &str = r#"{\"StartAt\":\"W\",\"States\":{\"W\":{\"Type\":\"Wait\",\"Seconds\":1,\"End\":true}}}"#;

/// Where CloudFormation waits: the address, and the bodies that were put there.
struct Waiting {
    url: String,
    bodies: Arc<Mutex<Vec<String>>>,
}

/// Answers each request with the next of `statuses`, then with 200.
async fn waiting(mut statuses: Vec<u16>) -> Waiting {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/stack%3A1?X-Amz-Signature=a%2Fb", listener.local_addr().unwrap());
    let bodies = Arc::new(Mutex::new(vec![]));
    let kept = bodies.clone();
    statuses.reverse();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut read, mut buffer) = (vec![], [0; 4096]);
            let body = loop {
                let text = String::from_utf8_lossy(&read).into_owned();
                let whole = text.split_once("\r\n\r\n").filter(|(head, body)| {
                    let length = head.to_lowercase();
                    let length = length.split("content-length: ").nth(1).unwrap_or("0");
                    body.len() >= length.lines().next().unwrap_or("0").trim().parse().unwrap_or(0)
                });
                if let Some((head, body)) = whole {
                    let line = head.lines().next().unwrap_or_default();
                    assert_eq!(line, "PUT /stack%3A1?X-Amz-Signature=a%2Fb HTTP/1.1");
                    assert!(!head.to_lowercase().contains("content-type"), "{head}");
                    break body.to_owned();
                }
                let count = stream.read(&mut buffer).await.unwrap_or(0);
                read.extend_from_slice(&buffer[..count]);
            };
            kept.lock().unwrap().push(body);
            let status = statuses.pop().unwrap_or(200);
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    Waiting { url, bodies }
}

struct NoObjects;

#[async_trait]
impl Objects for NoObjects {
    async fn object(&self, _: &str, _: &str, _: Option<&str>) -> Result<Bytes, String> {
        Err("AccessDenied".to_owned())
    }
}

struct Site {
    api: Api,
    answers: Answers,
    waiting: Waiting,
}

impl Site {
    async fn new() -> Self {
        let engine = Engine::new(Ports::new(1).ports(), stepwell_engine::Settings::default());
        let settings = Settings { account: "123456789012".into(), region: "us-east-1".into() };
        Site { api: Api::new(engine, settings), answers: Answers::new(true), waiting: waiting(vec![]).await }
    }

    async fn deliver(&self, event: &str) -> Result<String, Failure> {
        let world = World { api: &self.api, objects: &NoObjects, answers: &self.answers };
        world.handle(&parse(event).unwrap()).await
    }

    /// Delivers a request for a resource, and gives status, physical id and attributes, or the reason.
    async fn ask(&self, kind: &str, id: &str, physical_id: &str, properties: &str, old: &str) -> String {
        let (logical, what) = id.split_once(' ').unwrap_or((id, "StateMachine"));
        let (logical, request) = logical.split_once('#').unwrap_or((logical, "1"));
        let physical = match physical_id {
            "" => String::new(),
            id => format!(r#""PhysicalResourceId":"{id}","#),
        };
        let event = format!(
            r#"{{"RequestType":"{kind}","ResponseURL":"{}","StackId":"stack","RequestId":"{request}",
                "LogicalResourceId":"{logical}",{physical}"ResourceType":"Custom::Stepwell{what}",
                "ResourceProperties":{properties},"OldResourceProperties":{old}}}"#,
            self.waiting.url
        );
        self.deliver(&event).await.unwrap();
        let body = self.waiting.bodies.lock().unwrap().pop().unwrap();
        assert!(body.len() <= 4096);
        let answer = parse(&body).unwrap();
        let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap().to_owned();
        assert_eq!(
            [text("StackId"), text("RequestId"), text("LogicalResourceId")],
            ["stack", request, logical]
        );
        match &*text("Status") {
            "SUCCESS" => format!("{} {}", text("PhysicalResourceId"), answer.get("Data").unwrap().to_json()),
            status => format!("{status} {}: {}", text("PhysicalResourceId"), text("Reason")),
        }
    }

    async fn call(&self, operation: &str, body: &str) -> Value {
        let reply = call(&self.api, operation, body.as_bytes()).await;
        parse(&succeeded(reply).unwrap_or_else(|failure| format!("{:?}", failure.to_string()))).unwrap()
    }
}

fn machine(name: &str, definition: &str, more: &str) -> String {
    format!(
        r#"{{"ServiceToken":"t","StateMachineName":"{name}","DefinitionString":"{definition}","RoleArn":"{ROLE}"{more}}}"#
    )
}

#[tokio::test]
async fn a_machine_is_created_updated_and_deleted() {
    let site = Site::new().await;
    let arn = format!("{MACHINE}m");
    let first = machine("m", PASS, r#","Tags":[{"Key":"a","Value":"1"},{"Key":"b","Value":"2"}]"#);
    let made = format!(r#"{arn} {{"Arn":"{arn}","Name":"m","StateMachineRevisionId":"INITIAL"}}"#);
    assert_eq!(site.ask("Create", "M", "", &first, "null").await, made);
    // Lambda delivers it again: nothing is made twice, and the answer is the same.
    assert_eq!(site.ask("Create", "M", "", &first, "null").await, made);

    let second =
        machine("m", WAIT, r#","TracingConfiguration":{"Enabled":"true"},"Tags":[{"Key":"b","Value":"3"}]"#);
    let updated = site.ask("Update", "M", &arn, &second, &first).await;
    assert!(updated.starts_with(&format!(r#"{arn} {{"Arn":"{arn}""#)), "{updated}");
    assert!(!updated.contains("INITIAL"));
    let there = site.call("DescribeStateMachine", &format!(r#"{{"stateMachineArn":"{arn}"}}"#)).await;
    assert!(there.get("definition").unwrap().as_str().unwrap().contains("Wait"));
    assert_eq!(there.get("tracingConfiguration").unwrap().to_json(), r#"{"enabled":true}"#);
    let tags = site.call("ListTagsForResource", &format!(r#"{{"resourceArn":"{arn}"}}"#)).await;
    assert!(tags.to_json().contains(r#"{"key":"b","value":"3"}"#), "{tags}");
    assert!(!tags.to_json().contains(r#""key":"a""#), "{tags}");

    // What is not said any more is as in a new machine.
    site.ask("Update", "M", &arn, &first, &second).await;
    let there = site.call("DescribeStateMachine", &format!(r#"{{"stateMachineArn":"{arn}"}}"#)).await;
    assert_eq!(there.get("tracingConfiguration").unwrap().to_json(), r#"{"enabled":false}"#);

    assert_eq!(site.ask("Delete", "M", &arn, &first, "null").await, format!("{arn} {{}}"));
    assert_eq!(site.ask("Delete", "M", &arn, &first, "null").await, format!("{arn} {{}}"));
}

#[tokio::test]
async fn what_is_somebody_elses_is_not_taken() {
    let site = Site::new().await;
    site.ask("Create", "M", "", &machine("m", PASS, ""), "null").await;
    let refused =
        format!("FAILED none-1: StateMachineAlreadyExists: State Machine Already Exists: '{MACHINE}m'");
    assert_eq!(site.ask("Create", "Other", "", &machine("m", PASS, ""), "null").await, refused);
    // CloudFormation then deletes what was not made.
    assert_eq!(site.ask("Delete", "Other", "none-1", &machine("m", PASS, ""), "null").await, "none-1 {}");
    let there = site.call("DescribeStateMachine", &format!(r#"{{"stateMachineArn":"{MACHINE}m"}}"#)).await;
    assert_eq!(there.get("status").unwrap().as_str(), Some("ACTIVE"));
}

#[tokio::test]
async fn names_and_types_replace_the_machine() {
    let site = Site::new().await;
    let (one, two) = (machine("one", PASS, ""), machine("two", PASS, ""));
    site.ask("Create", "M", "", &one, "null").await;
    let made = site.ask("Update", "M#2", &format!("{MACHINE}one"), &two, &one).await;
    assert!(made.starts_with(&format!("{MACHINE}two {{")), "{made}");
    let express = machine("two", PASS, r#","StateMachineType":"EXPRESS""#);
    let refused = site.ask("Update", "M#3", &format!("{MACHINE}two"), &express, &two).await;
    assert!(refused.starts_with(&format!("FAILED {MACHINE}two: InvalidRequest: a change of")), "{refused}");

    let nameless = |more: &str| format!(r#"{{"DefinitionString":"{PASS}","RoleArn":"{ROLE}"{more}}}"#);
    let made = site.ask("Create", "Long#4", "", &nameless(""), "null").await;
    let arn = made.split(' ').next().unwrap();
    assert!(arn.starts_with(&format!("{MACHINE}Long-")), "{arn}");
    assert_eq!(site.ask("Create", "Long#4", "", &nameless(""), "null").await, made, "delivered again");
    let express = nameless(r#","StateMachineType":"EXPRESS""#);
    let replaced = site.ask("Update", "Long#5", arn, &express, &nameless("")).await;
    assert!(replaced.starts_with(&format!("{MACHINE}Long-")) && !replaced.starts_with(arn), "{replaced}");
}

#[tokio::test]
async fn refusals_have_awss_words() {
    let site = Site::new().await;
    let check = async |properties: &str, expected: &str| {
        let found = site.ask("Create", "M", "", properties, "null").await;
        assert!(found.starts_with(&format!("FAILED none-1: {expected}")), "{properties}: {found}");
    };
    check(&machine("m", "{}", ""), "InvalidDefinition: Invalid State Machine Definition: ").await;
    check(&machine("m", PASS, r#","Nmae":"x""#), "InvalidRequest: there is no property Nmae").await;
    check(r#"{"DefinitionString":"{}"}"#, "InvalidRequest: RoleArn is missing").await;
    check(&machine("a b", PASS, ""), "InvalidName: Invalid Name: 'a b'").await;
    let s3 = format!(r#"{{"DefinitionS3Location":{{"Bucket":"b","Key":"k"}},"RoleArn":"{ROLE}"}}"#);
    check(&s3, "InvalidRequest: DefinitionS3Location: s3://b/k: AccessDenied").await;
    let logging = r#","LoggingConfiguration":{"Level":"ALL"}"#;
    check(&machine("m", PASS, logging), "InvalidLoggingConfiguration: ").await;
    let unknown = site.ask("Create", "M Table", "", "{}", "null").await;
    assert_eq!(unknown, "FAILED none-1: InvalidRequest: there is no resource type Custom::StepwellTable");
}

#[tokio::test]
async fn versions_and_aliases() {
    let site = Site::new().await;
    let (m, properties) = (format!("{MACHINE}m"), machine("m", PASS, ""));
    site.ask("Create", "M", "", &properties, "null").await;
    let version =
        |revision: &str| format!(r#"{{"StateMachineArn":"{m}","StateMachineRevisionId":"{revision}"}}"#);
    let made = |arn: &str| format!(r#"{arn} {{"Arn":"{arn}"}}"#);
    let (v, a) = ("V StateMachineVersion", "A StateMachineAlias");
    assert_eq!(site.ask("Create", v, "", &version("INITIAL"), "null").await, made(&format!("{m}:1")));
    let stale = site.ask("Create", v, "", &version("x"), "null").await;
    assert!(stale.starts_with("FAILED none-1: ConflictException: "), "{stale}");

    let all = |version: u8| {
        format!(
            r#"{{"Name":"live","DeploymentPreference":{{"Type":"ALL_AT_ONCE","StateMachineVersionArn":"{m}:{version}"}}}}"#
        )
    };
    let live = format!("{m}:live");
    assert_eq!(site.ask("Create", a, "", &all(1), "null").await, made(&live));
    assert_eq!(site.ask("Create", a, "", &all(1), "null").await, made(&live), "delivered again");

    let updated = site.ask("Update", "M", &m, &machine("m", WAIT, ""), &properties).await;
    let updated = parse(updated.split_once(' ').unwrap().1).unwrap();
    let revision = updated.get("StateMachineRevisionId").unwrap().as_str().unwrap().to_owned();
    let second = site.ask("Update", v, &format!("{m}:1"), &version(&revision), &version("INITIAL")).await;
    assert_eq!(second, made(&format!("{m}:2")));
    let same = site.ask("Update", v, &format!("{m}:2"), &version(&revision), &version(&revision)).await;
    assert_eq!(same, made(&format!("{m}:2")));

    let split = format!(
        r#"{{"Name":"live","Description":"d","RoutingConfiguration":[{{"StateMachineVersionArn":"{m}:1","Weight":"30"}},
            {{"StateMachineVersionArn":"{m}:2","Weight":"70"}}]}}"#
    );
    assert_eq!(site.ask("Update", a, &live, &split, &all(1)).await, made(&live));
    let there =
        site.call("DescribeStateMachineAlias", &format!(r#"{{"stateMachineAliasArn":"{live}"}}"#)).await;
    assert!(there.to_json().contains(r#""weight":70"#), "{there}");
    let refused = site.ask("Delete", v, &format!("{m}:1"), &version("INITIAL"), "null").await;
    assert!(refused.starts_with(&format!("FAILED {m}:1: ConflictException: ")), "{refused}");
    let canary = all(2).replace("ALL_AT_ONCE", "CANARY");
    let refused = site.ask("Update", a, &live, &canary, &split).await;
    assert!(refused.contains("DeploymentPreference: CANARY shifts executions"), "{refused}");

    assert_eq!(site.ask("Update", a, &live, &all(2), &split).await, made(&live));
    assert_eq!(
        site.ask("Delete", v, &format!("{m}:1"), &version("INITIAL"), "null").await,
        format!("{m}:1 {{}}")
    );
    for _ in 0..2 {
        assert_eq!(site.ask("Delete", a, &live, &all(2), "null").await, format!("{live} {{}}"));
    }
}

#[tokio::test]
async fn activities() {
    let site = Site::new().await;
    let arn = "arn:aws:states:us-east-1:123456789012:activity:a";
    let (kind, properties) = ("A Activity", r#"{"Name":"a","Tags":[{"Key":"k","Value":"v"}]}"#);
    let made = format!(r#"{arn} {{"Arn":"{arn}","Name":"a"}}"#);
    assert_eq!(site.ask("Create", kind, "", properties, "null").await, made);
    assert_eq!(site.ask("Create", kind, "", properties, "null").await, made);
    let taken = site.ask("Create", "B Activity", "", properties, "null").await;
    assert!(taken.starts_with("FAILED none-1: ActivityAlreadyExists: "), "{taken}");
    assert_eq!(site.ask("Update", kind, arn, r#"{"Name":"a"}"#, properties).await, made);
    let tags = site.call("ListTagsForResource", &format!(r#"{{"resourceArn":"{arn}"}}"#)).await;
    assert!(!tags.to_json().contains(r#""key":"k""#), "{tags}");
    for _ in 0..2 {
        assert_eq!(site.ask("Delete", kind, arn, properties, "null").await, format!("{arn} {{}}"));
    }
}

#[tokio::test]
async fn an_answer_that_is_not_taken_is_given_again() {
    let mut site = Site::new().await;
    site.waiting = waiting(vec![503, 500]).await;
    site.ask("Create", "M", "", &machine("m", PASS, ""), "null").await;
    assert_eq!(site.waiting.bodies.lock().unwrap().len(), 2, "and the third was taken");

    site.waiting = waiting(vec![403, 403, 403]).await;
    let event = format!(
        r#"{{"RequestType":"Delete","ResponseURL":"{}","StackId":"s","RequestId":"r","LogicalResourceId":"M",
            "PhysicalResourceId":"none","ResourceType":"Custom::StepwellStateMachine"}}"#,
        site.waiting.url
    );
    let failure = site.deliver(&event).await.unwrap_err();
    assert_eq!(failure.message, "CloudFormation could not be told: status 403");
    let failure = site.deliver(r#"{"RequestType":"Create"}"#).await.unwrap_err();
    assert_eq!(failure.message, "the event has no ResponseURL");
}
