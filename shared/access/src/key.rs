//! Access keys, and the secrets that belong to them.

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

/// What the id of every key begins with. AWS's own begin with `AKIA` or `ASIA`.
pub const ID_PREFIX: &str = "SWAK";

/// Characters of a key's id.
const ID_LENGTH: usize = 20;

/// What the rest of an id is made of.
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Keys that there may be at once.
pub const KEYS_MAX: usize = 1000;

/// Bytes of a secret, which are 40 characters.
const SECRET_BYTES: usize = 30;

/// Bytes of a root at least.
pub const ROOT_BYTES: usize = 32;

/// What is told of a key. Its secret is shown once, when it is created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// Such as `SWAK2XQ5J7MBN4LDPC3T`.
    pub id: String,
    /// The account that its requests are made in.
    pub account: String,
    /// When it was created: milliseconds since 1970.
    pub created_at: i64,
    /// What its maker said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A key's secret: 40 characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// What the secrets of all keys of one place are drawn from.
#[derive(Clone)]
pub struct Root(hmac::Key);

/// The system gave no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRandomness;

impl AccessKey {
    /// A new key for `account`, made at `now`: milliseconds since 1970.
    ///
    /// # Errors
    /// [`NoRandomness`]
    pub fn draw(account: &str, now: i64, description: Option<String>) -> Result<Self, NoRandomness> {
        let mut bytes = [0; ID_LENGTH - ID_PREFIX.len()];
        fill(&mut bytes)?;
        let letters = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte & 31)]));
        let id = ID_PREFIX.chars().chain(letters).collect();
        Ok(AccessKey { id, account: account.to_owned(), created_at: now, description })
    }
}

impl Root {
    /// A root of these bytes; `None` where they are fewer than [`ROOT_BYTES`].
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= ROOT_BYTES).then(|| Root(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// The bytes of a new root.
    ///
    /// # Errors
    /// [`NoRandomness`]
    pub fn draw() -> Result<[u8; ROOT_BYTES], NoRandomness> {
        let mut bytes = [0; ROOT_BYTES];
        fill(&mut bytes)?;
        Ok(bytes)
    }

    /// The secret of a key: no two keys', accounts' or roots' are alike, and none tells of another.
    pub fn secret(&self, key: &AccessKey) -> Secret {
        let named = format!("stepwell access key 1\n{}\n{}\n{}", key.id, key.account, key.created_at);
        let tag = hmac::sign(&self.0, named.as_bytes());
        Secret(base64(&tag.as_ref()[..SECRET_BYTES]))
    }
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Root(..)")
    }
}

impl Secret {
    /// A secret of its own, drawn from no root.
    ///
    /// # Errors
    /// [`NoRandomness`]
    pub fn draw() -> Result<Self, NoRandomness> {
        let mut bytes = [0; SECRET_BYTES];
        fill(&mut bytes)?;
        Ok(Secret(base64(&bytes)))
    }

    /// The secret itself, for whoever signs with it or checks a signature.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl std::fmt::Display for NoRandomness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the system has no random numbers")
    }
}

impl std::error::Error for NoRandomness {}

/// Whether `text` is an account number: twelve digits.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether `text` may be the id of a key that was issued.
pub fn is_key_id(text: &str) -> bool {
    let rest = text.strip_prefix(ID_PREFIX).filter(|_| text.len() == ID_LENGTH);
    rest.is_some_and(|rest| rest.bytes().all(|byte| LETTERS.contains(&byte)))
}

fn fill(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    SystemRandom::new().fill(bytes).map_err(|_| NoRandomness)
}

/// RFC 4648, section 4, for a length that needs no padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (triples, _) = bytes.as_chunks::<3>();
    let letters = triples.iter().flat_map(|[a, b, c]| {
        let bits = u32::from(*a) << 16 | u32::from(*b) << 8 | u32::from(*c);
        [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(bits >> shift) as usize & 63]))
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> AccessKey {
        AccessKey {
            id: "SWAKABCDEFGHIJKLMNOP".into(),
            account: "123456789012".into(),
            created_at: 7,
            description: None,
        }
    }

    #[test]
    fn a_secret_is_the_keys_and_the_roots() {
        let root = Root::new(&[7; 32]).unwrap();
        let secret = root.secret(&key());
        // For ever: whoever has this secret has it nowhere else.
        assert_eq!(secret.reveal(), "Atr6zB7FpykuttBRX3k3MLxwgExHBEsGBAK6p2Ex");
        let described = AccessKey { description: Some("x".into()), ..key() };
        assert_eq!(root.secret(&described), secret);
        for other in [
            AccessKey { id: "SWAKABCDEFGHIJKLMNOQ".into(), ..key() },
            AccessKey { account: "123456789013".into(), ..key() },
            AccessKey { created_at: 8, ..key() },
        ] {
            assert_ne!(root.secret(&other), secret, "{other:?}");
        }
        assert_ne!(Root::new(&[8; 32]).unwrap().secret(&key()), secret);
        assert!(Root::new(&[7; 31]).is_none());
        assert_eq!(format!("{root:?} {secret:?}"), "Root(..) Secret(..)");
    }

    #[test]
    fn ids() {
        let drawn = AccessKey::draw("123456789012", 0, None).unwrap();
        assert!(is_key_id(&drawn.id) && is_key_id(&key().id), "{drawn:?}");
        assert_ne!(AccessKey::draw("123456789012", 0, None).unwrap().id, drawn.id);
        for id in [
            "",
            "SWAK",
            "AKIAABCDEFGHIJKLMNOP",
            "SWAKABCDEFGHIJKLMNO",
            "SWAKABCDEFGHIJKLMNOp",
            "SWAKABCDEFGHIJKLMN\u{e9}",
            "SWAKABCDEFGHIJKLMNO/",
        ] {
            assert!(!is_key_id(id), "{id}");
        }
    }
}
