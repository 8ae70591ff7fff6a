//! A page: the records of one commit, each distinct payload once.

use std::collections::HashMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stepwell_expr::Payload;
use stepwell_interpreter::{Record, Timestamp};

use super::StoredError;
use super::payloads::{PayloadIndex, REFERRED_BYTES_MIN, sample};
use crate::meta::PayloadPlace;

const VERSION: u8 = 5;
/// The versions before calls that go on by themselves (4), before redrives of Map Runs (3), before redrives (2) and before Map
/// Runs (1), whose records are a part of today's.
const FIRST_VERSION: u8 = 1;

/// Second byte of a page whose body follows as it is.
const PLAIN: u8 = 0;
/// Second byte of a page whose body is compressed: its length in 4 bytes, little-endian, then an LZ4 block.
const LZ4: u8 = 1;

/// Second byte of a page whose body is deflated: its length in 4 bytes, little-endian, then a raw DEFLATE stream.
const DEFLATE: u8 = 2;

/// Bodies of fewer bytes fit a kilobyte with their keys, and of more are objects of a store anyway: neither is worth deflating.
const DEFLATED_BYTES: std::ops::Range<usize> = 640..128 * 1024;
/// DEFLATE's levels from 1 to 10: where more takes longer and gains next to nothing.
const DEFLATE_LEVEL: u8 = 6;
/// DEFLATE cannot shrink anything further than this.
const DEFLATE_RATIO_MAX: usize = 1040;

/// Bodies of fewer bytes are not worth compressing.
const COMPRESSED_BYTES_MIN: usize = 512;
/// Largest body that is read, in bytes.
const BODY_BYTES_MAX: usize = 64 << 20;
/// LZ4 cannot shrink anything further than this.
const LZ4_RATIO_MAX: usize = 256;

/// What a page's bytes say.
#[derive(Serialize, Deserialize)]
struct Body<R, E, I> {
    /// When it was written.
    at: Timestamp,
    records: R,
    /// The distinct payloads.
    table: E,
    /// For each payload of the records, in their order, its index in the table.
    payloads: I,
}

/// A payload in a page's table.
#[derive(Serialize, Deserialize)]
enum Entry<T> {
    Inline(T),
    Earlier(PayloadPlace),
}

/// How pages are made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Packing {
    /// As quickly as possible: for a store where bytes cost little.
    #[default]
    Quick,
    /// About half as large: for a store where each kilobyte is paid for.
    Small,
}

/// A page's bytes, and what the index learns from them once they are committed.
#[derive(Debug)]
pub struct EncodedPage {
    /// The bytes.
    pub bytes: Bytes,
    /// Payloads that later pages may refer to.
    pub stored: Vec<(Payload, PayloadPlace)>,
}

/// Encodes page `seq`, written at `at`. Payloads that `index` knows are referred to.
pub fn encode_page(seq: u64, at: Timestamp, records: &[Record], index: &PayloadIndex) -> EncodedPage {
    encode_packed(seq, at, records, index, Packing::Quick)
}

/// The same, packed as `packing` says.
pub fn encode_packed(
    seq: u64,
    at: Timestamp,
    records: &[Record],
    index: &PayloadIndex,
    packing: Packing,
) -> EncodedPage {
    let mut table = Table::new(seq, index);
    let mut payloads = Vec::with_capacity(records.len());
    for record in records {
        record.visit_payloads(&mut |payload| payloads.push(table.entry(payload)));
    }
    let body = Body { at, records, table: &table.entries, payloads };
    let room = 64 + records.len() * 48 + table.inline_bytes();
    let mut plain = Vec::with_capacity(room);
    plain.extend_from_slice(&[VERSION, PLAIN]);
    let plain = postcard::to_extend(&body, plain)
        .expect("postcard writes every record into memory: none holds a sequence of unknown length");
    let bytes = match packing {
        Packing::Small if DEFLATED_BYTES.contains(&plain.len()) => deflated(plain),
        _ => compressed(plain),
    };
    EncodedPage { bytes, stored: table.stored }
}

fn deflated(plain: Vec<u8>) -> Bytes {
    let body = &plain[2..];
    let small = miniz_oxide::deflate::compress_to_vec(body, DEFLATE_LEVEL);
    if small.len() + 6 >= plain.len() {
        return plain.into();
    }
    let mut bytes = Vec::with_capacity(6 + small.len());
    bytes.extend_from_slice(&[VERSION, DEFLATE]);
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&small);
    bytes.into()
}

fn compressed(plain: Vec<u8>) -> Bytes {
    let body = &plain[2..];
    if body.len() < COMPRESSED_BYTES_MIN || body.len() > BODY_BYTES_MAX {
        return plain.into();
    }
    let mut small = vec![0; 6 + lz4_flex::block::get_maximum_output_size(body.len())];
    match lz4_flex::block::compress_into(body, &mut small[6..]) {
        Ok(length) if length + 6 < plain.len() => {
            small[0] = VERSION;
            small[1] = LZ4;
            small[2..6].copy_from_slice(&(body.len() as u32).to_le_bytes());
            small.truncate(6 + length);
            small.shrink_to_fit();
            small.into()
        }
        _ => plain.into(),
    }
}

/// A page's payload table being made.
struct Table<'a> {
    seq: u64,
    index: &'a PayloadIndex,
    entries: Vec<Entry<&'a str>>,
    /// The text of each entry.
    texts: Vec<&'a str>,
    by_address: HashMap<usize, u32>,
    /// By [`sample`]; where another text has the same, one further on.
    by_sample: HashMap<u64, u32>,
    stored: Vec<(Payload, PayloadPlace)>,
}

impl<'a> Table<'a> {
    fn new(seq: u64, index: &'a PayloadIndex) -> Self {
        let (entries, texts, stored) = (vec![], vec![], vec![]);
        Table { seq, index, entries, texts, by_address: HashMap::new(), by_sample: HashMap::new(), stored }
    }

    fn entry(&mut self, payload: &'a Payload) -> u32 {
        if let Some(at) = self.by_address.get(&payload.address()) {
            return *at;
        }
        let at = self.entry_of_text(payload);
        self.by_address.insert(payload.address(), at);
        at
    }

    fn entry_of_text(&mut self, payload: &'a Payload) -> u32 {
        let text: &'a str = payload.text();
        let mut key = sample(text, self.by_sample.hasher());
        while let Some(at) = self.by_sample.get(&key) {
            if self.texts[*at as usize] == text {
                return *at;
            }
            key = key.wrapping_add(1);
        }
        let at = self.entries.len() as u32;
        let earlier = self.index.place(payload);
        if earlier.is_none() && text.len() >= REFERRED_BYTES_MIN {
            self.stored.push((payload.clone(), PayloadPlace::Page { seq: self.seq, index: at }));
        }
        self.entries.push(earlier.map_or(Entry::Inline(text), Entry::Earlier));
        self.texts.push(text);
        self.by_sample.insert(key, at);
        at
    }

    fn inline_bytes(&self) -> usize {
        let bytes = |entry: &Entry<&str>| if let Entry::Inline(text) = entry { text.len() + 5 } else { 8 };
        self.entries.iter().map(bytes).sum()
    }
}

/// What a page says.
#[derive(Debug)]
pub struct Decoded {
    /// When it was written.
    pub at: Timestamp,
    /// Its records, with their payloads.
    pub records: Vec<Record>,
    /// Its payload table.
    pub table: Vec<Payload>,
    /// Payloads that later pages may refer to.
    pub stored: Vec<(Payload, PayloadPlace)>,
}

/// Decodes page `seq`. `earlier` gives the payloads it refers to.
///
/// # Errors
/// [`StoredError`]; [`StoredError::Elsewhere`] where `earlier` gives none.
pub fn decode_page(
    seq: u64,
    bytes: &[u8],
    earlier: impl Fn(PayloadPlace) -> Option<Payload>,
) -> Result<Decoded, StoredError> {
    let plain;
    let body = match bytes {
        [FIRST_VERSION..=VERSION, PLAIN, body @ ..] => body,
        [FIRST_VERSION..=VERSION, LZ4, body @ ..] => {
            plain = decompressed(body)?;
            &plain
        }
        [VERSION, DEFLATE, body @ ..] => {
            plain = inflated(body)?;
            &plain
        }
        [VERSION, ..] | [] => return Err(damaged("its head")),
        [version, ..] => return Err(StoredError::Version { what: "page", version: *version }),
    };
    let (body, rest) = postcard::take_from_bytes::<Body<Vec<Record>, Vec<Entry<&str>>, Vec<u32>>>(body)
        .map_err(|error| damaged(&error.to_string()))?;
    if !rest.is_empty() {
        return Err(damaged("bytes behind its end"));
    }
    let Body { at, mut records, table: entries, payloads } = body;
    let (table, stored) = read_table(seq, &entries, earlier)?;
    fill(&mut records, &table, &payloads)?;
    Ok(Decoded { at, records, table, stored })
}

type Stored = Vec<(Payload, PayloadPlace)>;

fn read_table(
    seq: u64,
    entries: &[Entry<&str>],
    earlier: impl Fn(PayloadPlace) -> Option<Payload>,
) -> Result<(Vec<Payload>, Stored), StoredError> {
    let (mut table, mut stored) = (Vec::with_capacity(entries.len()), vec![]);
    for (index, entry) in (0..).zip(entries) {
        table.push(match entry {
            Entry::Inline(text) => {
                let payload = Payload::trusted(*text);
                if text.len() >= REFERRED_BYTES_MIN {
                    stored.push((payload.clone(), PayloadPlace::Page { seq, index }));
                }
                payload
            }
            Entry::Earlier(place) => earlier(*place).ok_or(match place {
                PayloadPlace::Input => StoredError::Elsewhere { seq: 0, index: 0 },
                PayloadPlace::Page { seq, index } => StoredError::Elsewhere { seq: *seq, index: *index },
            })?,
        });
    }
    Ok((table, stored))
}

/// Puts the payloads into their records.
fn fill(records: &mut [Record], table: &[Payload], payloads: &[u32]) -> Result<(), StoredError> {
    let (mut payloads, mut missing) = (payloads.iter(), false);
    for record in records {
        if !has_bounded_names(record, payloads.len()) {
            return Err(damaged("more variables than payloads"));
        }
        record.visit_payloads_mut(
            &mut |payload| match payloads.next().and_then(|at| table.get(*at as usize)) {
                Some(found) => *payload = found.clone(),
                None => missing = true,
            },
        );
    }
    if missing || payloads.next().is_some() {
        return Err(damaged("records and payloads do not match"));
    }
    Ok(())
}

fn has_bounded_names(record: &Record, payloads: usize) -> bool {
    use stepwell_interpreter::{Event, EventBody};
    match record {
        Record::Event(Event { body: EventBody::StateExited { assigned, .. }, .. }) => {
            assigned.len() < payloads
        }
        _ => true,
    }
}

fn inflated(body: &[u8]) -> Result<Vec<u8>, StoredError> {
    let (length, stream) = body.split_first_chunk::<4>().ok_or_else(|| damaged("its length is missing"))?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > BODY_BYTES_MAX || length / DEFLATE_RATIO_MAX > stream.len() {
        return Err(damaged("its length"));
    }
    let plain = miniz_oxide::inflate::decompress_to_vec_with_limit(stream, length);
    let plain = plain.map_err(|error| damaged(&error.to_string()))?;
    if plain.len() == length { Ok(plain) } else { Err(damaged("its length")) }
}

fn decompressed(body: &[u8]) -> Result<Vec<u8>, StoredError> {
    let (length, block) = body.split_first_chunk::<4>().ok_or_else(|| damaged("its length is missing"))?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > BODY_BYTES_MAX || length / LZ4_RATIO_MAX > block.len() {
        return Err(damaged("its length"));
    }
    let plain = lz4_flex::block::decompress(block, length).map_err(|error| damaged(&error.to_string()))?;
    if plain.len() == length { Ok(plain) } else { Err(damaged("its length")) }
}

fn damaged(why: &str) -> StoredError {
    StoredError::Damaged { what: "page", why: why.to_owned() }
}
