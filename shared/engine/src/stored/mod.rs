//! The stored form of everything: the one module that knows the bytes in journals and queues.
//!
//! Every form begins with its version. Reading is total: bytes that were damaged, or written by a later version,
//! give a [`StoredError`], in memory bounded by their length. Golden files under `tests/golden` hold one example of each
//! version for ever.

mod page;
mod payloads;

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

pub use page::{Decoded, EncodedPage, Packing, decode_page, encode_packed, encode_page};
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

const META_VERSION: u8 = 3;
const END_VERSION: u8 = 2;
const MESSAGE_VERSION: u8 = 5;
const MAP_RUN_VERSION: u8 = 2;

// Each version of these added something behind what was there: to a META and a message's META its parent (2) and the date of its
// last redrive (3), to a META (3) and an end (2) the number of events. So what an earlier version wrote lacks as many bytes at its end as
// things were added since, each of which is 0 where there is nothing of its kind.

/// What each version of a META added, in bytes for nothing.
const META_ADDED: [usize; 4] = [0, 0, 1, 2];
/// What each version of an end added.
const END_ADDED: [usize; 3] = [0, 0, 1];
/// What each version of a message added to its META.
const MESSAGE_ADDED: [usize; 6] = [0, 0, 1, 1, 0, 0];
/// What each version of a Map Run added: all about its redrives (2).
const MAP_RUN_ADDED: [usize; 3] = [0, 0, 15];

/// A META with everything in it, its input and end included.
pub fn encode_meta(meta: &Meta) -> Bytes {
    encode(META_VERSION, &(meta, meta.end.as_ref().map_or(0, |end| end.events)))
}

/// Reads what [`encode_meta`] wrote.
///
/// # Errors
/// [`StoredError`].
pub fn decode_meta(bytes: &[u8]) -> Result<Meta, StoredError> {
    let (mut meta, events): (Meta, u64) = decode("meta", META_VERSION, &completed(bytes, &META_ADDED))?;
    if let Some(end) = &mut meta.end {
        end.events = events;
    }
    Ok(meta)
}

/// An end alone. Where [`End::output_at`] says that a page holds the output, the output itself is left out.
pub fn encode_end(end: &End) -> Bytes {
    encode(END_VERSION, &(end.as_stored(), end.events))
}

/// Reads what [`encode_end`] wrote.
///
/// # Errors
/// [`StoredError`].
pub fn decode_end(bytes: &[u8]) -> Result<End, StoredError> {
    let (end, events): (End, u64) = decode("end", END_VERSION, &completed(bytes, &END_ADDED))?;
    Ok(End { events, ..end })
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
    decode("map run", MAP_RUN_VERSION, &completed(bytes, &MAP_RUN_ADDED))
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
    let whole = completed(bytes, &MESSAGE_ADDED);
    // Some messages end with a META; no other message of an earlier version has any.
    decode("message", MESSAGE_VERSION, &whole[..bytes.len()]).or_else(|error| {
        if whole.len() > bytes.len() { decode("message", MESSAGE_VERSION, &whole) } else { Err(error) }
    })
}

/// What an earlier version wrote as the last one would have, where `added` tells what each version added.
fn completed<'b>(bytes: &'b [u8], added: &[usize]) -> Cow<'b, [u8]> {
    match bytes {
        [version, rest @ ..] if (1..added.len() - 1).contains(&usize::from(*version)) => {
            let nothing: usize = added[usize::from(*version) + 1..].iter().sum();
            let last = (added.len() - 1) as u8;
            Cow::Owned([&[last], rest, &[0; 16][..nothing]].concat())
        }
        _ => Cow::Borrowed(bytes),
    }
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
