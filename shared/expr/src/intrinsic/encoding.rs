//! `States.Base64Encode` and `States.Base64Decode`.

use super::{Outcome, short_text};
use crate::Value;

/// Encodes the UTF-8 of a text of at most [`super::CHARACTERS_MAX`] characters, with padding.
pub(super) fn encode(text: &Value) -> Outcome {
    let mut encoded = String::new();
    for chunk in short_text(text)?.as_bytes().chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            match at <= chunk.len() {
                true => encoded.push(ALPHABET[bits >> (18 - 6 * at) & 63] as char),
                false => encoded.push('='),
            }
        }
    }
    Ok(encoded.into())
}

/// Decodes as leniently as AWS does: signs outside the alphabet are skipped, the first `=` ends the text, bits too few
/// for a byte are dropped, and bytes that are no UTF-8 become U+FFFD.
pub(super) fn decode(text: &Value) -> Outcome {
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for byte in short_text(text)?.bytes().take_while(|byte| *byte != b'=') {
        let sextet = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(sextet);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned().into())
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use super::super::tests::{check, refused};

    #[test]
    fn encodes_and_decodes() {
        for (text, encoded) in [
            ("", ""),
            ("a", "YQ=="),
            ("ab", "YWI="),
            ("abc", "YWJj"),
            ("Data to encode", "RGF0YSB0byBlbmNvZGU="),
            ("✓", "4pyT"),
        ] {
            check("States.Base64Encode($)", &format!("\"{text}\""), &format!("\"{encoded}\""));
            check("States.Base64Decode($)", &format!("\"{encoded}\""), &format!("\"{text}\""));
        }
        check("States.Base64Decode('YWJjAGRlZg==')", "{}", r#""abc\u0000def""#);
    }

    #[test]
    fn decodes_what_is_not_well_formed() {
        check("States.Base64Decode(' YWJj ZA== ')", "{}", "\"abcd\"");
        check("States.Base64Decode('YWJjZ')", "{}", "\"abc\"");
        check("States.Base64Decode('YWI==cd')", "{}", "\"ab\"");
        check("States.Base64Decode('!!!')", "{}", "\"\"");
    }

    #[test]
    fn takes_ten_thousand_characters() {
        let text = |length: usize| format!("\"{}\"", "A".repeat(length));
        for name in ["States.Base64Encode($)", "States.Base64Decode($)"] {
            assert!(
                super::super::Intrinsic::compile(name)
                    .unwrap()
                    .evaluate(&super::super::tests::Given::new(&text(10_000)))
                    .is_ok()
            );
            refused(name, &text(10_001));
            refused(name, "123");
        }
    }
}
