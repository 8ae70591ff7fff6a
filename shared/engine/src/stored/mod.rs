//! The stored form of everything: the one module that knows the bytes in journals and queues.
//!
//! Every form begins with its version. Reading is total: bytes that were damaged, or written by a later version,
//! give a [`StoredError`], in memory bounded by their length. Golden files under `tests/golden` hold one example of each
//! version for ever.

mod page;
mod payloads;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

pub use page::{Decoded, EncodedPage, decode_page, encode_page};
pub use payloads::PayloadIndex;

use crate::map_run::MapRun;
use crate::message::Message;
use crate::meta::{End, Meta};

/// Why stored bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// Written by a version that this one does not know.
    #[error("stored {what} of unknown version {version}")]
    Version {
        /// `page`, `meta`, `end`, `message` or `map run`.
        what: &'static str,
        /// Its first byte.
        version: u8,
    },
    /// Damaged.
    #[error("stored {what} is damaged: {why}")]
    Damaged {
        /// `page`, `meta`, `end`, `message` or `map run`.
        what: &'static str,
        /// How that showed.
        why: String,
    },
    /// It refers to a payload of an earlier page that is not at hand: read the run from its first page.
    #[error("payload {index} of page {seq} is not at hand")]
    Elsewhere {
        /// The page.
        seq: u64,
        /// Its index in the page's table.
        index: u32,
    },
}

const META_VERSION: u8 = 2;
const END_VERSION: u8 = 1;
const MESSAGE_VERSION: u8 = 2;
const MAP_RUN_VERSION: u8 = 1;

/// The version of METAs and messages whose METAs have no parent. It is their last member, so that what was written then
/// lacks one byte at its end, which says that there is none.
const WITHOUT_PARENT: u8 = 1;

/// A META with everything in it, its input and end included.
pub fn encode_meta(meta: &Meta) -> Bytes {
    encode(META_VERSION, meta)
}

/// Reads what [`encode_meta`] wrote.
///
/// # Errors
/// [`StoredError`].
pub fn decode_meta(bytes: &[u8]) -> Result<Meta, StoredError> {
    match bytes {
        [WITHOUT_PARENT, rest @ ..] => decode("meta", META_VERSION, &with_no_parent(META_VERSION, rest)),
        _ => decode("meta", META_VERSION, bytes),
    }
}

/// An end alone. Where [`End::output_at`] says that a page holds the output, the output itself is left out.
pub fn encode_end(end: &End) -> Bytes {
    encode(END_VERSION, &end.as_stored())
}

/// Reads what [`encode_end`] wrote.
///
/// # Errors
/// [`StoredError`].
pub fn decode_end(bytes: &[u8]) -> Result<End, StoredError> {
    decode("end", END_VERSION, bytes)
}

/// A Map Run with everything in it.
pub fn encode_map_run(map_run: &MapRun) -> Bytes {
    encode(MAP_RUN_VERSION, map_run)
}

/// Reads what [`encode_map_run`] wrote.
///
/// # Errors
/// [`StoredError`].
pub fn decode_map_run(bytes: &[u8]) -> Result<MapRun, StoredError> {
    decode("map run", MAP_RUN_VERSION, bytes)
}

/// A message with everything in it.
pub fn encode_message(message: &Message) -> Bytes {
    encode(MESSAGE_VERSION, message)
}

/// Reads what [`encode_message`] wrote.
///
/// # Errors
/// [`StoredError`].
pub fn decode_message(bytes: &[u8]) -> Result<Message, StoredError> {
    match bytes {
        [WITHOUT_PARENT, rest @ ..] => {
            let with = with_no_parent(MESSAGE_VERSION, rest);
            // A Start message ends with a META, where it has one; no other message of that version has any.
            decode("message", MESSAGE_VERSION, &with[..=rest.len()])
                .or_else(|_| decode("message", MESSAGE_VERSION, &with))
        }
        _ => decode("message", MESSAGE_VERSION, bytes),
    }
}

fn with_no_parent(version: u8, rest: &[u8]) -> Vec<u8> {
    [&[version], rest, &[0]].concat()
}

fn encode(version: u8, value: &impl Serialize) -> Bytes {
    let bytes = postcard::to_extend(value, vec![version]).expect(
        "postcard writes every type of ours into memory: none is a map or sequence of unknown length",
    );
    bytes.into()
}

fn decode<T: DeserializeOwned>(what: &'static str, version: u8, bytes: &[u8]) -> Result<T, StoredError> {
    let damaged = |why: &dyn std::fmt::Display| StoredError::Damaged { what, why: why.to_string() };
    let (first, rest) = bytes.split_first().ok_or_else(|| damaged(&"empty"))?;
    if *first != version {
        return Err(StoredError::Version { what, version: *first });
    }
    match postcard::take_from_bytes(rest) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(damaged(&format!("{} bytes too many", rest.len()))),
        Err(error) => Err(damaged(&error)),
    }
}
