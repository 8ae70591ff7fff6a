//! A page: the records of one commit, each distinct payload once.

use std::collections::HashMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stepwell_expr::Payload;
use stepwell_interpreter::{Claimant, Record, Timestamp};

use super::StoredError;
use super::payloads::{PayloadIndex, REFERRED_BYTES_MIN, sample};
use super::seal::{self, HEAD_BYTES};
use crate::meta::{PayloadPlace, RunId};
use crate::port::{Seq, Writer};

const VERSION: u8 = 6;
/// The versions before checksums (5), before calls that go on by themselves (4), before redrives of Map Runs (3), before redrives (2)
/// and before Map Runs (1), whose records are a part of today's.
const FIRST_VERSION: u8 = 1;

/// Behind the head of a page whose body follows as it is.
const PLAIN: u8 = 0;
/// Behind the head of a page whose body is compressed: its length in 4 bytes, little-endian, then an LZ4 block.
const LZ4: u8 = 1;
/// Behind the head of a page whose body is deflated: its length in 4 bytes, little-endian, then a raw DEFLATE stream.
const DEFLATE: u8 = 2;

/// Bytes before a page's body as it is.
const PLAIN_BYTES: usize = HEAD_BYTES + 1;
/// Bytes before a page's body made smaller.
const PACKED_BYTES: usize = PLAIN_BYTES + 4;

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

/// Where a page belongs. Elsewhere it is damaged.
#[derive(Debug, Clone, Copy)]
pub struct PagePlace<'a> {
    /// Its run.
    pub run: RunId,
    /// Its number there.
    pub seq: Seq,
    /// Who writes it.
    pub writer: &'a Writer,
}

/// Encodes a page, written at `at`. Payloads that `index` knows are referred to.
pub fn encode_page(
    place: PagePlace<'_>,
    at: Timestamp,
    records: &[Record],
    index: &PayloadIndex,
) -> EncodedPage {
    encode_packed(place, at, records, index, Packing::Quick)
}

/// The same, packed as `packing` says.
pub fn encode_packed(
    place: PagePlace<'_>,
    at: Timestamp,
    records: &[Record],
    index: &PayloadIndex,
    packing: Packing,
) -> EncodedPage {
    let mut table = Table::new(place.seq.0, index);
    let mut payloads = Vec::with_capacity(records.len());
    for record in records {
        record.visit_payloads(&mut |payload| payloads.push(table.entry(payload)));
    }
    let body = Body { at, records, table: &table.entries, payloads };
    let room = 64 + records.len() * 48 + table.inline_bytes();
    let mut plain = Vec::with_capacity(room);
    plain.extend_from_slice(&seal::head(VERSION));
    plain.push(PLAIN);
    let plain = postcard::to_extend(&body, plain)
        .expect("postcard writes every record into memory: none holds a sequence of unknown length");
    let mut bytes = match packing {
        Packing::Small if DEFLATED_BYTES.contains(&plain.len()) => deflated(plain),
        _ => compressed(plain),
    };
    seal::seal(&mut bytes, &place.sealed());
    EncodedPage { bytes: bytes.into(), stored: table.stored }
}

impl PagePlace<'_> {
    /// What the checksum says of it.
    fn sealed(&self) -> Vec<u8> {
        let (kind, delivery, message) = match self.writer {
            Writer::Driver(Claimant { message, delivery }) => (1, delivery, &**message),
            Writer::Request(request) => (0, request, ""),
        };
        let mut bytes = Vec::with_capacity(33 + message.len());
        bytes.extend_from_slice(&self.run.0.to_be_bytes());
        bytes.extend_from_slice(&self.seq.0.to_be_bytes());
        bytes.push(kind);
        bytes.extend_from_slice(&delivery.to_be_bytes());
        bytes.extend_from_slice(message.as_bytes());
        bytes
    }
}

fn deflated(plain: Vec<u8>) -> Vec<u8> {
    let body = &plain[PLAIN_BYTES..];
    let small = miniz_oxide::deflate::compress_to_vec(body, DEFLATE_LEVEL);
    if small.len() + PACKED_BYTES >= plain.len() {
        return plain;
    }
    let mut bytes = Vec::with_capacity(PACKED_BYTES + small.len());
    bytes.extend_from_slice(&packed_head(DEFLATE, body.len()));
    bytes.extend_from_slice(&small);
    bytes
}

fn compressed(plain: Vec<u8>) -> Vec<u8> {
    let body = &plain[PLAIN_BYTES..];
    if body.len() < COMPRESSED_BYTES_MIN || body.len() > BODY_BYTES_MAX {
        return plain;
    }
    let mut small = vec![0; PACKED_BYTES + lz4_flex::block::get_maximum_output_size(body.len())];
    match lz4_flex::block::compress_into(body, &mut small[PACKED_BYTES..]) {
        Ok(length) if length + PACKED_BYTES < plain.len() => {
            small[..PACKED_BYTES].copy_from_slice(&packed_head(LZ4, body.len()));
            small.truncate(PACKED_BYTES + length);
            small.shrink_to_fit();
            small
        }
        _ => plain,
    }
}

fn packed_head(packing: u8, body_bytes: usize) -> [u8; PACKED_BYTES] {
    let mut head = [0; PACKED_BYTES];
    head[..HEAD_BYTES].copy_from_slice(&seal::head(VERSION));
    head[HEAD_BYTES] = packing;
    head[PLAIN_BYTES..].copy_from_slice(&(body_bytes as u32).to_le_bytes());
    head
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

/// Decodes a page. `earlier` gives the payloads it refers to.
///
/// # Errors
/// [`StoredError`]; [`StoredError::Elsewhere`] where `earlier` gives none.
pub fn decode_page(
    place: PagePlace<'_>,
    bytes: &[u8],
    earlier: impl Fn(PayloadPlace) -> Option<Payload>,
) -> Result<Decoded, StoredError> {
    read(place, bytes, earlier).map_err(|error| match error {
        StoredError::Damaged { what, why } => {
            StoredError::Damaged { what, why: format!("page {}: {why}", place.seq.0) }
        }
        other => other,
    })
}

fn read(
    place: PagePlace<'_>,
    bytes: &[u8],
    earlier: impl Fn(PayloadPlace) -> Option<Payload>,
) -> Result<Decoded, StoredError> {
    let (version, packed) = seal::open("page", VERSION, bytes, &place.sealed())?;
    if !(FIRST_VERSION..=VERSION).contains(&version) {
        return Err(StoredError::Version { what: "page", version });
    }
    let plain;
    let body = match packed {
        [PLAIN, body @ ..] => body,
        [LZ4, body @ ..] => {
            plain = decompressed(body)?;
            &plain
        }
        [DEFLATE, body @ ..] => {
            plain = inflated(body)?;
            &plain
        }
        _ => return Err(damaged("its head")),
    };
    let (body, rest) = postcard::take_from_bytes::<Body<Vec<Record>, Vec<Entry<&str>>, Vec<u32>>>(body)
        .map_err(|error| damaged(&error.to_string()))?;
    if !rest.is_empty() {
        return Err(damaged("bytes behind its end"));
    }
    let Body { at, mut records, table: entries, payloads } = body;
    let (table, stored) = read_table(place.seq.0, &entries, earlier)?;
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
