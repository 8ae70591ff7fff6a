//! `States.Hash`.

use std::fmt::Write;

use sha2::Digest;

use super::{Outcome, Refusal, short_text};
use crate::Value;

/// The hash of a text of at most [`super::CHARACTERS_MAX`] characters, in hexadecimal digits.
pub(super) fn hash(data: &Value, algorithm: &Value) -> Outcome {
    let data = short_text(data)?;
    let algorithm = algorithm.as_str().ok_or(Refusal::Arguments)?;
    digest(data.as_bytes(), algorithm).map(Value::from).ok_or(Refusal::Arguments)
}

/// The hash of `data` by one of AWS's five algorithms, named as AWS names them; also JSONata's `$hash`.
pub(crate) fn digest(data: &[u8], algorithm: &str) -> Option<String> {
    Some(match algorithm {
        "MD5" => hexadecimal(&md5::Md5::digest(data)),
        "SHA-1" => hexadecimal(&sha1::Sha1::digest(data)),
        "SHA-256" => hexadecimal(&sha2::Sha256::digest(data)),
        "SHA-384" => hexadecimal(&sha2::Sha384::digest(data)),
        "SHA-512" => hexadecimal(&sha2::Sha512::digest(data)),
        _ => return None,
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, refused};

    #[test]
    fn five_algorithms() {
        for (algorithm, start, length) in [
            ("MD5", "812f45842bc6d66ee14572ce20db8e86", 32),
            ("SHA-1", "aaff4a450a104cd177d28d18d74485e8cae074b7", 40),
            ("SHA-256", "b4a697a057313163aee33cd8d40c66e9f0f177e00cac2de32475ffff6169c3e3", 64),
            ("SHA-384", "d28a7d5cf25a74f11a50a18452b75e04", 96),
            ("SHA-512", "6ce4adb348546d4f449c4d25aad9a7c9", 128),
        ] {
            let hash = super::digest(b"input data", algorithm).unwrap();
            assert_eq!((&hash[..start.len()], hash.len()), (start, length));
        }
        check("States.Hash('', 'MD5')", "{}", "\"d41d8cd98f00b204e9800998ecf8427e\"");
    }

    #[test]
    fn other_algorithms_and_long_texts_are_refused() {
        refused("States.Hash('a', 'sha-256')", "{}");
        refused("States.Hash(1, 'MD5')", "{}");
        refused("States.Hash('a', 1)", "{}");
        refused("States.Hash($, 'MD5')", &format!("\"{}\"", "a".repeat(10_001)));
    }
}
