//! The text of a task token.

use std::sync::Arc;

use crate::AttemptId;

/// Longest text that is read as a token, in bytes (API: SendTaskSuccess, `taskToken`, 2048 characters).
const TEXT_BYTES_MAX: usize = 2048;

/// The form of the bytes behind the text; its first byte.
const VERSION: u8 = 1;

/// Bytes before the execution's ARN: version, attempt, nonce.
const HEAD_BYTES: usize = 1 + 4 + 16;

/// What a task token names.
///
/// The nonce is drawn anew for each attempt and is in the journal, so that a token of another run of the same name,
/// or of another redrive, fits no attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The execution.
    pub execution_arn: Arc<str>,
    /// The attempt.
    pub attempt: AttemptId,
    /// The attempt's nonce.
    pub nonce: u128,
}

/// The token of an attempt: at most 1024 characters that need no escaping anywhere, for an ARN of at most 740 bytes.
pub fn encode(execution_arn: &str, attempt: AttemptId, nonce: u128) -> String {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + execution_arn.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&attempt.0.to_be_bytes());
    bytes.extend_from_slice(&nonce.to_be_bytes());
    bytes.extend_from_slice(execution_arn.as_bytes());
    to_base64(&bytes)
}

/// Reads a token; `None` where `text` is none that [`encode`] made.
pub fn decode(text: &str) -> Option<Token> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let bytes = from_base64(text)?;
    let (head, arn) = bytes.split_at_checked(HEAD_BYTES)?;
    let (attempt, nonce) = (head.get(1..5)?, head.get(5..)?);
    let token = Token {
        execution_arn: std::str::from_utf8(arn).ok()?.into(),
        attempt: AttemptId(u32::from_be_bytes(attempt.try_into().ok()?)),
        nonce: u128::from_be_bytes(nonce.try_into().ok()?),
    };
    // Spare bits of the last character are not read: only the text that `encode` makes counts.
    (head.first() == Some(&VERSION) && encode(&token.execution_arn, token.attempt, token.nonce) == text)
        .then_some(token)
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
