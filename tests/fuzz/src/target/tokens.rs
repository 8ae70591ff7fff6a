//! Texts that this API gives out and gets back: page tokens, task tokens, ARNs, resources, times. An input is such a text.

use stepwell_expr::timestamp;
use stepwell_interpreter::{Resource, token};

use super::Target;
use super::wire::checked;
use super::world::{ARN, Site, quoted};

pub(super) const TARGET: Target = Target {
    name: "tokens",
    run,
    words: &[
        "arn:aws:states:us-east-1:123456789012:",
        "arn:aws:states:::",
        "stateMachine:",
        "execution:",
        "express:",
        "activity:",
        "mapRun:",
        "lambda:invoke",
        ".sync:2",
        ".sync",
        ".waitForTaskToken",
        "aws-sdk:",
        "arn:aws:lambda:us-east-1:123456789012:function:",
        "2026-01-02T03:04:05Z",
        "+05:30",
        ".123456789",
        "31",
        "AQ",
        "==",
        "-",
        ":",
        "/",
        "#",
        "é",
    ],
    mutations: 300,
    bytes_max: 1_024,
    milliseconds_max: 4_000,
};

/// Operations with a page token, and what else they need.
const LISTINGS: [(&str, &str); 6] = [
    (
        "ListExecutions",
        r#""stateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:m","maxResults":1"#,
    ),
    (
        "GetExecutionHistory",
        r#""executionArn":"arn:aws:states:us-east-1:123456789012:execution:m:e","maxResults":2"#,
    ),
    ("ListStateMachines", r#""maxResults":1"#),
    ("ListActivities", r#""maxResults":1"#),
    (
        "ListStateMachineVersions",
        r#""stateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:m""#,
    ),
    ("ListMapRuns", r#""executionArn":"arn:aws:states:us-east-1:123456789012:execution:m:e""#),
];

/// Members that name something.
const NAMED: [(&str, &str); 7] = [
    ("DescribeExecution", "executionArn"),
    ("DescribeStateMachine", "stateMachineArn"),
    ("DescribeActivity", "activityArn"),
    ("DescribeMapRun", "mapRunArn"),
    ("DescribeStateMachineAlias", "stateMachineAliasArn"),
    ("ListTagsForResource", "resourceArn"),
    ("StartExecution", "stateMachineArn"),
];

fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(read) = token::decode(text) {
        let written = token::encode(&read.execution_arn, read.attempt, read.nonce);
        assert_eq!(token::decode(&written).as_ref(), Some(&read), "a token that was written is another");
        // Those of the version before have no checksum, and are read as long as somebody may hold one.
        let is_of_today = text.get(..2) == written.get(..2);
        assert!(!is_of_today || text == written, "one token has two texts: {text:?} and {written:?}");
    }
    if let Some(resource) = Resource::parse(text) {
        assert_eq!(
            Resource::parse(&resource.to_string()),
            Some(resource),
            "{text:?} is another resource, written again"
        );
    }
    if timestamp::parse(text).is_some() {
        assert!(text.len() < 100, "{text:?} is a time");
    }
    let mut site = Site::furnished();
    let shown = quoted(text);
    for (operation, members) in LISTINGS {
        let body = format!("{{{members},\"nextToken\":{shown}}}");
        let reply = site.call(operation, body.as_bytes());
        checked(operation, body.as_bytes(), &reply);
        assert!(reply.error_type.is_some(), "{operation} takes the page token {text:?}, which it never gave");
    }
    for (operation, member) in NAMED {
        let body = format!("{{\"{member}\":{shown}}}");
        let reply = site.call(operation, body.as_bytes());
        checked(operation, body.as_bytes(), &reply);
        assert!(reply.error_type.is_some() || text.starts_with(ARN), "{operation} finds {text:?}");
    }
    for (operation, more) in
        [("SendTaskSuccess", r#","output":"1""#), ("SendTaskFailure", ""), ("SendTaskHeartbeat", "")]
    {
        let body = format!("{{\"taskToken\":{shown}{more}}}");
        let reply = site.call(operation, body.as_bytes());
        checked(operation, body.as_bytes(), &reply);
        assert!(
            reply.error_type.is_some(),
            "{operation} takes the task token {text:?}, which nobody was given"
        );
    }
}
