//! TestState: `definition ---- input ---- mock ---- context ---- variables ---- stateConfiguration`; only the first has to be there.

use super::Target;
use super::wire::checked;
use super::world::{Site, quoted};
use crate::parts;

pub(super) const TARGET: Target = Target {
    name: "test_state",
    run,
    words: &[
        "\"Type\":\"Task\"",
        "\"Type\":\"Map\"",
        "\"Type\":\"Choice\"",
        "\"Resource\":\"arn:aws:states:::dynamodb:getItem\"",
        "\"Resource\":\"arn:aws:states:::lambda:invoke\"",
        "{\"result\":\"{}\"}",
        "{\"errorOutput\":{\"error\":\"E\",\"cause\":\"C\"}}",
        "\"fieldValidationMode\":\"PRESENT\"",
        "\"retrierRetryCount\":1",
        "\"mapIterationFailureCount\":1",
        "\"errorCausedByState\":\"S\"",
        "\"mapItemReaderData\":\"[1]\"",
        "\"ResultPath\":\"$.x\"",
        "\"Assign\":",
        "\"Output\":",
        "\"Retry\":[{\"ErrorEquals\":[\"States.ALL\"]}]",
        "\"Catch\":[{\"ErrorEquals\":[\"States.ALL\"],\"Next\":\"N\"}]",
        "\n----\n",
        "\"{% $states.input %}\"",
        "\"$.a\"",
    ],
    mutations: 1_000,
    bytes_max: 4_096,
    milliseconds_max: 8_000,
};

fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = parts(text);
    let mut body = format!("{{\"definition\":{}", quoted(parts.next().unwrap_or_default()));
    for (name, is_text) in [
        ("input", true),
        ("mock", false),
        ("context", true),
        ("variables", true),
        ("stateConfiguration", false),
    ] {
        let Some(part) = parts.next().filter(|part| !part.is_empty()) else { continue };
        let value = if is_text { quoted(part) } else { part.to_owned() };
        body += &format!(",\"{name}\":{value}");
    }
    body += ",\"inspectionLevel\":\"TRACE\"}";
    let reply = Site::empty().call("TestState", body.as_bytes());
    checked("TestState", body.as_bytes(), &reply);
    let again = Site::empty().call("TestState", body.as_bytes());
    assert_eq!(reply.body, again.body, "twice gives two");
}
