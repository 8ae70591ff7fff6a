//! Who signed a request: `METHOD path ---- headers, a line each ---- body`. Of all inputs only the one that the key's owner signed
//! may be let in.

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use stepwell_access::{AccessKey, Claim, Head, ROOT_BYTES, Root};

use super::Target;
use crate::parts;

pub(super) const TARGET: Target = Target {
    name: "signature",
    run,
    words: &[
        "Authorization: ",
        "AWS4-HMAC-SHA256 ",
        "Credential=",
        "SignedHeaders=",
        "Signature=",
        "/20261120/us-east-1/states/aws4_request",
        "host;x-amz-date",
        "X-Amz-Date: 20261120T060000Z",
        "X-Amz-Content-SHA256: ",
        "X-Amz-Security-Token: t",
        "X-Amz-Target: AWSStepFunctions.ListStateMachines",
        "Host: localhost",
        ", ",
        ";",
        "=",
        "\n",
    ],
    mutations: 6_000,
    bytes_max: 4_096,
    milliseconds_max: 1_000,
};

/// The request of the corpus whose signature fits.
const BODY: &str = r#"{"maxResults":1}"#;
const SIGNED: [(&str, &str); 3] = [
    ("host", "localhost:8083"),
    ("x-amz-date", "20261120T060000Z"),
    ("x-amz-target", "AWSStepFunctions.ListStateMachines"),
];

/// When it comes: 2026-11-20T06:00:00Z.
const NOW: i64 = 1_795_154_400;

fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut parts = parts(&text);
    let mut line = parts.next().unwrap_or_default().splitn(2, ' ');
    let (method, path) = (line.next().unwrap_or_default(), line.next().unwrap_or_default());
    let (headers, body) = (headers(parts.next().unwrap_or_default()), parts.next().unwrap_or_default());
    let has_query = path.contains('?');
    let head = Head { method, path, has_query, headers: &headers };
    let now = Timestamp::from_second(NOW).expect("it is a time");
    let Ok(claim) = Claim::read(head, "us-east-1", now) else { return };
    let root = Root::new(&[7; ROOT_BYTES]).expect("that is long enough");
    if claim.verify(&root.secret(&key(claim.key_id)), body.as_bytes()).is_err() {
        return;
    }
    assert_eq!((method, path, body), ("POST", "/", BODY), "something else is let in");
    for (name, value) in SIGNED {
        let sent: Vec<_> = headers.get_all(name).iter().collect();
        let folded = |value: &HeaderValue| {
            String::from_utf8_lossy(value.as_bytes()).split_ascii_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert!(sent.len() == 1 && folded(sent[0]) == value, "the header {name} is let in as {sent:?}");
    }
}

/// The key of this id, as it was issued.
fn key(id: &str) -> AccessKey {
    AccessKey { id: id.to_owned(), account: "123456789012".to_owned(), created_at: 0, description: None }
}

fn headers(lines: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split('\n') {
        let Some((name, value)) = line.split_once(':') else { continue };
        let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.trim().as_bytes()))
        else {
            continue;
        };
        headers.append(name, value);
    }
    headers
}
