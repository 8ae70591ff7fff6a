//! The text of a task token.

use std::sync::Arc;

use crate::AttemptId;

/// Longest text that is read as a token, in bytes (API: SendTaskSuccess, `taskToken`, 2048 characters).
const TEXT_BYTES_MAX: usize = 2048;

/// The form of the bytes behind the text; its first byte.
const VERSION: u8 = 2;

/// The form without a check sum, which tokens may have that were given out in November 2026.
const VERSION_UNCHECKED: u8 = 1;

/// Bytes before the execution's ARN: version, attempt, nonce.
const HEAD_BYTES: usize = 1 + 4 + 16;

/// Bytes of the check sum, behind the ARN.
const SUM_BYTES: usize = 4;

/// What a task token names.
///
/// The nonce is drawn anew for each attempt and is in the journal, so that a token of another run of the same name,
/// or of another redrive, fits no attempt. It alone is what nobody can guess: the check sum is no secret, and only tells what
/// was damaged on its way from what was never there, before any store is asked.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The execution.
    pub execution_arn: Arc<str>,
    /// The attempt.
    pub attempt: AttemptId,
    /// The attempt's nonce.
    pub nonce: u128,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({}, {})", self.execution_arn, self.attempt.0)
    }
}

/// The token of an attempt: at most 1024 characters that need no escaping anywhere, for an ARN of at most 740 bytes.
pub fn encode(execution_arn: &str, attempt: AttemptId, nonce: u128) -> String {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + execution_arn.len() + SUM_BYTES);
    bytes.push(VERSION);
    bytes.extend_from_slice(&attempt.0.to_be_bytes());
    bytes.extend_from_slice(&nonce.to_be_bytes());
    bytes.extend_from_slice(execution_arn.as_bytes());
    bytes.extend_from_slice(&sum(&bytes));
    to_base64(&bytes)
}

/// FNV-1a: no two texts that differ in one byte have the same.
fn sum(bytes: &[u8]) -> [u8; SUM_BYTES] {
    bytes
        .iter()
        .fold(0x811c_9dc5_u32, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
        .to_be_bytes()
}

/// Reads a token; `None` where `text` is none that [`encode`] made.
pub fn decode(text: &str) -> Option<Token> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let bytes = from_base64(text)?;
    let checked = match *bytes.first()? {
        VERSION => {
            let (checked, summed) = bytes.split_last_chunk::<SUM_BYTES>()?;
            (sum(checked) == *summed).then_some(checked)?
        }
        VERSION_UNCHECKED => &bytes[..],
        _ => return None,
    };
    let (head, arn) = checked.split_at_checked(HEAD_BYTES)?;
    let (attempt, nonce) = (head.get(1..5)?, head.get(5..)?);
    let token = Token {
        execution_arn: std::str::from_utf8(arn).ok()?.into(),
        attempt: AttemptId(u32::from_be_bytes(attempt.try_into().ok()?)),
        nonce: u128::from_be_bytes(nonce.try_into().ok()?),
    };
    // Spare bits of the last character are not read: only the text that was made of these bytes counts.
    (to_base64(&bytes) == text).then_some(token)
}

/// RFC 4648, section 5, without padding.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * i)) as usize & 63]));
        }
    }
    text
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.as_bytes().chunks(4) {
        let mut bits = 0u32;
        for (i, character) in chunk.iter().enumerate() {
            let value = ALPHABET.iter().position(|c| c == character)?;
            bits |= (value as u32) << (18 - 6 * i);
        }
        let whole = bits.to_be_bytes();
        bytes.extend_from_slice(whole.get(1..chunk.len())?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:states:eu-west-1:123456789012:execution:Billing:ö-7";

    #[test]
    fn a_token_reads_back() {
        for nonce in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef] {
            for arn in [ARN, "", "x", "xy", "xyz"] {
                let text = encode(arn, AttemptId(7), nonce);
                let expected = Token { execution_arn: arn.into(), attempt: AttemptId(7), nonce };
                assert_eq!(decode(&text), Some(expected), "{text}");
            }
        }
    }

    #[test]
    fn a_token_without_a_check_sum_is_read() {
        let bytes: Vec<u8> = [VERSION_UNCHECKED, 0, 0, 0, 7]
            .into_iter()
            .chain([0; 15])
            .chain([9])
            .chain(ARN.bytes())
            .collect();
        let expected = Token { execution_arn: ARN.into(), attempt: AttemptId(7), nonce: 9 };
        assert_eq!(decode(&to_base64(&bytes)), Some(expected));
    }

    #[test]
    fn a_token_that_was_altered_anywhere_is_none() {
        let good = encode(ARN, AttemptId(7), 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        let bytes = from_base64(&good).unwrap();
        let unchecked = (0, VERSION_UNCHECKED);
        let mut tried = good.len();
        for (at, byte) in bytes.iter().enumerate() {
            for other in (0..=u8::MAX).filter(|other| other != byte && (at, *other) != unchecked) {
                tried += 1;
                let mut altered = bytes.clone();
                altered[at] = other;
                assert_eq!(decode(&to_base64(&altered)), None, "{at} {other}");
            }
        }
        for length in 0..good.len() {
            assert_eq!(decode(&good[..length]), None, "{length}");
        }
        // The first two characters hold the version.
        for (at, character) in good.char_indices().skip(2) {
            for other in ALPHABET.iter().map(|byte| char::from(*byte)).filter(|other| *other != character) {
                tried += 1;
                let altered = format!("{}{other}{}", &good[..at], &good[at + 1..]);
                assert_eq!(decode(&altered), None, "{at} {other}");
            }
        }
        println!("{tried} altered tokens are none");
    }

    #[test]
    fn what_encode_did_not_make_is_no_token() {
        let good = encode(ARN, AttemptId(7), 99);
        let cut = &good[..20];
        let long = encode(&"x".repeat(3000), AttemptId(7), 99);
        for text in ["", "A", "AQ", "====", "é", cut, &format!("{good}="), &long, &good.replacen('A', "B", 1)]
        {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn the_longest_names_fit_a_kilobyte() {
        let arn = format!(
            "arn:aws:states:ap-southeast-7:123456789012:execution:{}:{}",
            "ö".repeat(160),
            "x".repeat(80)
        );
        assert!(encode(&arn, AttemptId(u32::MAX), u128::MAX).len() <= 1024);
    }
}
