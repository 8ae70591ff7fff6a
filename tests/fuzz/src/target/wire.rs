//! The API: requests one after the other to a world in memory, each `Operation`, a line end, and a body. `settle 5` lets five
//! seconds go by.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::Duration;

use stepwell_expr::Value;
use stepwell_expr::json::parse;
use stepwell_wire::Reply;

use super::Target;
use super::world::Site;
use crate::DIVIDER;

pub(super) const TARGET: Target = Target {
    name: "wire",
    run,
    words: &[
        "\"stateMachineArn\":",
        "\"arn:aws:states:us-east-1:123456789012:stateMachine:m\"",
        "\"arn:aws:states:us-east-1:123456789012:stateMachine:m:live\"",
        "\"arn:aws:states:us-east-1:123456789012:stateMachine:m:1\"",
        "\"arn:aws:states:us-east-1:123456789012:stateMachine:x\"",
        "\"arn:aws:states:us-east-1:123456789012:execution:m:e\"",
        "\"arn:aws:states:us-east-1:123456789012:activity:a\"",
        "\"arn:aws:states:us-east-1:123456789012:mapRun:m/l:u\"",
        "\"executionArn\":",
        "\"activityArn\":",
        "\"taskToken\":\"TOKEN\"",
        "\"nextToken\":\"NEXT\"",
        "\"maxResults\":1",
        "\"input\":\"{}\"",
        "\"output\":\"1\"",
        "\"error\":\"E\"",
        "\"cause\":\"C\"",
        "\"name\":\"n\"",
        "\"definition\":",
        "\"routingConfiguration\":",
        "\"tags\":[{\"key\":\"a\",\"value\":\"b\"}]",
        "\"resourceArn\":",
        "\"loggingConfiguration\":",
        "\"encryptionConfiguration\":",
        "\"statusFilter\":\"FAILED\"",
        "\"redriveFilter\":",
        "\"includeExecutionData\":false",
        "\"reverseOrder\":true",
        "\"versionDescription\":",
        "\"revisionId\":",
        "\n----\n",
        "\n----\nsettle 9",
        "\"roleArn\":\"arn:aws:iam::123456789012:role/r\"",
        "null",
        "{",
        "}",
        "1048577",
    ],
    mutations: 250,
    bytes_max: 8_192,
    milliseconds_max: 8_000,
};

/// Requests of one input at most.
const REQUESTS_MAX: usize = 12;

fn run(data: &[u8]) {
    let mut site = Site::furnished();
    let divider = DIVIDER.as_bytes();
    let mut rest = data;
    for _ in 0..REQUESTS_MAX {
        let end = rest.windows(divider.len()).position(|window| window == divider);
        request(&mut site, &rest[..end.unwrap_or(rest.len())]);
        let Some(end) = end else { break };
        rest = &rest[end + divider.len()..];
    }
    site.settle(Duration::from_secs(3_600));
    let arn = br#"{"executionArn":"arn:aws:states:us-east-1:123456789012:execution:m:e"}"#;
    for operation in ["DescribeExecution", "GetExecutionHistory"] {
        let reply = site.call(operation, arn);
        checked(operation, arn, &reply);
    }
}

fn request(site: &mut Site, part: &[u8]) {
    let end = part.iter().position(|byte| *byte == b'\n').unwrap_or(part.len());
    let Ok(operation) = std::str::from_utf8(&part[..end]) else { return };
    if let Some(seconds) = operation.strip_prefix("settle ") {
        return site.settle(Duration::from_secs(seconds.trim().parse::<u16>().unwrap_or(1).into()));
    }
    let body = part.get(end + 1..).unwrap_or_default();
    let reply = site.call(operation, body);
    checked(operation, body, &reply);
}

/// An answer is a success, or an exception that the API's model has for the operation.
pub(super) fn checked(operation: &str, body: &[u8], reply: &Reply) {
    let asked = String::from_utf8_lossy(&body[..body.len().min(2_000)]);
    let text = std::str::from_utf8(&reply.body).expect("an answer is UTF-8");
    let answer = parse(text)
        .unwrap_or_else(|error| panic!("{operation} {asked}: the answer {text} is no JSON: {error}"));
    assert!(answer.as_object().is_some(), "{operation} {asked}: {text}");
    let Some(error) = reply.error_type else {
        return assert_eq!(reply.status, 200, "{operation} {asked}: {text}");
    };
    assert!([400, 413].contains(&reply.status), "{operation} {asked}: {} {text}", reply.status);
    let kind = answer.get("__type").and_then(Value::as_str).unwrap_or_default();
    assert_eq!(kind.rsplit('#').next(), Some(error));
    let is_known = ALWAYS.contains(&error) || errors().get(operation).is_some_and(|own| own.contains(error));
    assert!(is_known, "{operation} {asked}: {error} is none of its exceptions");
}

/// What any request may be answered.
const ALWAYS: [&str; 5] = [
    "ValidationException",
    "SerializationException",
    "UnknownOperationException",
    "RequestEntityTooLargeException",
    "InvalidArn",
];

/// The exceptions of each operation, as the model has them.
fn errors() -> &'static BTreeMap<&'static str, BTreeSet<&'static str>> {
    static ERRORS: OnceLock<BTreeMap<&str, BTreeSet<&str>>> = OnceLock::new();
    ERRORS.get_or_init(|| {
        let mut errors: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut operation = "";
        for line in include_str!("../../../../shared/wire/tests/model.txt").lines() {
            match line.split_once(' ') {
                Some(("operation", name)) => operation = name,
                Some(("error", name)) => drop(errors.entry(operation).or_default().insert(name)),
                _ => {}
            }
        }
        errors
    })
}
