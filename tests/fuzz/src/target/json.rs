//! The JSON reader, with serde_json as the referee.

use stepwell_expr::Payload;
use stepwell_expr::json::{JsonErrorKind, check, parse};

use super::Target;

pub(super) const TARGET: Target = Target {
    name: "json",
    run,
    words: &[
        "null",
        "true",
        "false",
        "-0",
        "0.0",
        "1e400",
        "1E-7",
        "-1.50",
        "12345678901234567890123",
        "\"\"",
        "\\u0000",
        "\\ud83d\\ude00",
        "\\ud800",
        "\\\"",
        "[]",
        "{}",
        "{\"a\":1,\"a\":2}",
        "\u{feff}",
        "NaN",
        "[[[[",
        "}}",
        ",",
        ":",
    ],
    mutations: 6_000,
    bytes_max: 8_192,
    milliseconds_max: 1_000,
};

fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let ours = parse(text);
    let theirs = serde_json::from_str::<serde_json::Value>(text);
    assert_eq!(check(text).is_ok(), ours.is_ok(), "checked and read differ");
    assert_eq!(Payload::parse(text).is_ok(), ours.is_ok(), "as a payload it differs");
    match (ours, theirs) {
        (Ok(ours), theirs) => {
            let written = ours.to_json();
            let again =
                parse(&written).unwrap_or_else(|error| panic!("{written:?} is not read again: {error}"));
            assert_eq!(again.to_json(), written, "what was written is read as something else");
            assert_eq!(again, ours, "a value is not equal to itself, written and read");
            match theirs {
                Ok(theirs) => {
                    let ours: serde_json::Value =
                        serde_json::from_str(&written).expect("serde_json reads what we write");
                    assert_eq!(ours, theirs, "serde_json reads something else in {text:?}");
                }
                Err(error) => assert!(is_stricter(&error), "serde_json refuses {text:?}: {error}"),
            }
        }
        (Err(ours), theirs) => {
            assert!(ours.offset <= text.len() && ours.line >= 1 && ours.column >= 1, "{ours:?} is no place");
            assert!(text.is_char_boundary(ours.offset), "{ours:?} is within a character");
            if let Ok(theirs) = theirs {
                assert_eq!(ours.kind, JsonErrorKind::Depth, "serde_json reads {theirs} where we have {ours}");
            }
        }
    }
}

/// What serde_json refuses by bounds of its own.
fn is_stricter(error: &serde_json::Error) -> bool {
    let text = error.to_string();
    ["recursion limit", "number out of range", "surrogate", "hex escape"]
        .iter()
        .any(|known| text.contains(known))
}
