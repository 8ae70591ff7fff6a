//! The stored form of everything: the one module that knows the bytes in journals and queues.
//!
//! Every form begins with its version and a checksum. Reading is total: bytes that were damaged, or written by a later version,
//! give a [`StoredError`], in memory bounded by their length. Golden files under `tests/golden` hold one example of each
//! version for ever.

mod page;
mod payloads;
mod seal;

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

pub use page::{Decoded, EncodedPage, Packing, PagePlace, decode_page, encode_packed, encode_page};
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

/// A form of which each version added something behind what was there. So what an earlier version wrote lacks as many bytes at its
/// end as things were added since, each of which is 0 where there is nothing of its kind.
struct Form {
    what: &'static str,
    /// The first version with a checksum.
    sealed: u8,
    /// What each version added, in bytes for nothing; the last one is today's.
    added: &'static [usize],
}

/// Added: the parent (2), the date of the last redrive and the number of events (3).
const META: Form = Form { what: "meta", sealed: 4, added: &[0, 0, 1, 2, 0] };
/// Added: the number of events (2).
const END: Form = Form { what: "end", sealed: 3, added: &[0, 0, 1, 0] };
/// Added to its META: the parent (2), the date of the last redrive (3).
const MESSAGE: Form = Form { what: "message", sealed: 6, added: &[0, 0, 1, 1, 0, 0, 0] };
/// Added: all about its redrives (2).
const MAP_RUN: Form = Form { what: "map run", sealed: 3, added: &[0, 0, 15, 0] };

/// A META with everything in it, its input and end included.
pub fn encode_meta(meta: &Meta) -> Bytes {
    META.encode(&(meta, meta.end.as_ref().map_or(0, |end| end.events)))
}

/// Reads what [`encode_meta`] wrote.
///
/// # Errors
/// [`StoredError`].
pub fn decode_meta(bytes: &[u8]) -> Result<Meta, StoredError> {
    let (mut meta, events): (Meta, u64) = META.decode(bytes)?;
    if let Some(end) = &mut meta.end {
        end.events = events;
    }
    Ok(meta)
}

/// An end alone. Where [`End::output_at`] says that a page holds the output, the output itself is left out.
pub fn encode_end(end: &End) -> Bytes {
    END.encode(&(end.as_stored(), end.events))
}

/// Reads what [`encode_end`] wrote.
///
/// # Errors
/// [`StoredError`].
pub fn decode_end(bytes: &[u8]) -> Result<End, StoredError> {
    let (end, events): (End, u64) = END.decode(bytes)?;
    Ok(End { events, ..end })
}

/// A Map Run with everything in it.
pub fn encode_map_run(map_run: &MapRun) -> Bytes {
    MAP_RUN.encode(map_run)
}

/// Reads what [`encode_map_run`] wrote.
///
/// # Errors
/// [`StoredError`].
pub fn decode_map_run(bytes: &[u8]) -> Result<MapRun, StoredError> {
    MAP_RUN.decode(bytes)
}

/// A message with everything in it.
pub fn encode_message(message: &Message) -> Bytes {
    MESSAGE.encode(message)
}

/// Reads what [`encode_message`] wrote.
///
/// # Errors
/// [`StoredError`].
pub fn decode_message(bytes: &[u8]) -> Result<Message, StoredError> {
    let (version, body) = MESSAGE.open(bytes)?;
    // Some messages end with a META; no other message of an earlier version has any.
    MESSAGE.read(body).or_else(|error| match MESSAGE.completed(version, body) {
        Cow::Owned(whole) => MESSAGE.read(&whole),
        Cow::Borrowed(_) => Err(error),
    })
}

impl Form {
    fn version(&self) -> u8 {
        (self.added.len() - 1) as u8
    }

    fn encode(&self, value: &impl Serialize) -> Bytes {
        let bytes = postcard::to_extend(value, seal::head(self.version()).to_vec());
        let mut bytes = bytes.expect(
            "postcard writes every type of ours into memory: none is a map or sequence of unknown length",
        );
        seal::seal(&mut bytes, &[]);
        bytes.into()
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, StoredError> {
        let (version, body) = self.open(bytes)?;
        self.read(&self.completed(version, body))
    }

    /// The version, and what it wrote.
    fn open<'b>(&self, bytes: &'b [u8]) -> Result<(u8, &'b [u8]), StoredError> {
        let (version, body) = seal::open(self.what, self.sealed, bytes, &[])?;
        if !(1..=self.version()).contains(&version) {
            return Err(StoredError::Version { what: self.what, version });
        }
        Ok((version, body))
    }

    /// What an earlier version wrote as today's would have.
    fn completed<'b>(&self, version: u8, body: &'b [u8]) -> Cow<'b, [u8]> {
        let nothing: usize = self.added[usize::from(version) + 1..].iter().sum();
        if nothing == 0 { Cow::Borrowed(body) } else { Cow::Owned([body, &[0; 16][..nothing]].concat()) }
    }

    fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, StoredError> {
        let damaged =
            |why: &dyn std::fmt::Display| StoredError::Damaged { what: self.what, why: why.to_string() };
        match postcard::take_from_bytes(body) {
            Ok((value, [])) => Ok(value),
            Ok((_, rest)) => Err(damaged(&format!("{} bytes too many", rest.len()))),
            Err(error) => Err(damaged(&error)),
        }
    }
}
