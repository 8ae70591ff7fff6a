//! The rows of executions: METAs and pages.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row};
use stepwell_engine::meta::{End, Meta, Parked, RunId};
use stepwell_engine::port::{Page, Seq, Writer};
use stepwell_engine::stored;
use stepwell_expr::Payload;
use stepwell_interpreter::{Claimant, Timestamp};

use crate::batch::{Batch, hash};
use crate::error::StoreError;
use crate::hot::Hot;
use crate::schema::{PLACE_MAX, key};

/// The numbers of the statuses in `listing`; they are never given another meaning.
const STATUSES: [&str; 5] = ["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"];

/// The number of a status; `None` for one that no execution here has.
pub(crate) fn status_number(status: &str) -> Option<i64> {
    STATUSES.iter().position(|known| *known == status).map(|at| at as i64)
}

/// All numbers of statuses.
pub(crate) fn status_numbers() -> impl Iterator<Item = i64> {
    0..STATUSES.len() as i64
}

/// What came of putting a META.
pub(crate) enum Put {
    /// It is there.
    Done,
    /// The name is taken by this one.
    Exists(Arc<Meta>),
}

/// Puts a META whose stored form, without its input, is `bytes`.
pub(crate) fn put(
    batch: &mut Batch<'_>,
    meta: &Arc<Meta>,
    bytes: &[u8],
    input: &[u8],
) -> Result<Put, StoreError> {
    let arn: &str = &meta.execution_arn;
    if let Some(known) = batch.execution(arn)? {
        if known.run == meta.run {
            batch.release_start(meta.run);
            return Ok(Put::Done);
        }
        let there = match known.meta {
            Some(meta) => meta,
            None => Arc::new(read_meta(batch.connection, arn, &known)?),
        };
        if !there.makes_room(meta.info.started_at) {
            batch.drop_start(meta.run)?;
            return Ok(Put::Exists(there));
        }
        forget(batch, &there, known.id)?;
    }
    let id = batch
        .statement(
            "INSERT INTO execution (arn_hash, arn, run, epoch, meta, input) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .insert((hash(arn), arn, meta.run.0.to_be_bytes(), meta.epoch, bytes, input))?;
    if id > (i64::MAX >> crate::schema::PLACE_BITS) {
        return Err(StoreError::Damaged { table: "execution", key: id, why: "no number is left".into() });
    }
    let status = status_number(meta.status()).unwrap_or_default();
    list(batch, meta, status, id)?;
    batch.set_execution(
        arn,
        Hot {
            id,
            run: meta.run,
            epoch: meta.epoch,
            ended: meta.end.is_some(),
            tail: Some(0),
            meta: Some(meta.clone()),
        },
    );
    batch.release_start(meta.run);
    Ok(Put::Done)
}

/// Removes an execution that has ended, with all that is kept of it.
fn forget(batch: &Batch<'_>, meta: &Meta, id: i64) -> Result<(), StoreError> {
    unlist(batch, meta, id)?;
    for sql in
        ["DELETE FROM page WHERE key BETWEEN ?1 AND ?2", "DELETE FROM timer WHERE key BETWEEN ?1 AND ?2"]
    {
        batch.statement(sql)?.execute((key(id, 0), key(id, PLACE_MAX)))?;
    }
    for sql in ["DELETE FROM revised WHERE id = ?1", "DELETE FROM execution WHERE id = ?1"] {
        batch.statement(sql)?.execute([id])?;
    }
    Ok(())
}

/// Takes an execution out of the listing, where `meta` says that it stands.
fn unlist(batch: &Batch<'_>, meta: &Meta, id: i64) -> Result<(), StoreError> {
    let mut delete = batch.statement(
        "DELETE FROM listing WHERE machine = ?1 AND status = ?2 AND started_at = ?3 AND id = ?4",
    )?;
    let status = status_number(meta.status()).unwrap_or_default();
    // Until November 2026 executions that had ended were listed by the date of their start.
    let formerly =
        Some(meta.redriven_at.unwrap_or(meta.info.started_at)).filter(|at| *at != meta.listed_at());
    for arn in meta.listed_under() {
        for at in [Some(meta.listed_at()), formerly].into_iter().flatten() {
            delete.execute((hash(arn), status, at.0, id))?;
        }
    }
    Ok(())
}

fn list(batch: &Batch<'_>, meta: &Meta, status: i64, id: i64) -> Result<(), StoreError> {
    let mut insert = batch.statement(
        "INSERT OR IGNORE INTO listing (machine, status, started_at, id) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for arn in meta.listed_under() {
        insert.execute((hash(arn), status, meta.listed_at().0, id))?;
    }
    Ok(())
}

/// The stored form of a META without its input, which has a column of its own, and without an output that a page holds.
pub(crate) fn meta_bytes(meta: &Meta) -> Bytes {
    let mut meta = Meta { input: Payload::default(), ..meta.clone() };
    if let Some(end) = &mut meta.end
        && end.output_at.is_some()
    {
        end.output = None;
    }
    stored::encode_meta(&meta)
}

/// What came of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appended {
    /// The page is there.
    Done,
    /// Another page is there.
    Conflict,
    /// The run is gone.
    Gone,
}

/// Appends a page.
pub(crate) fn append(
    batch: &mut Batch<'_>,
    execution: &str,
    run: RunId,
    seq: Seq,
    page: &Page,
) -> Result<Appended, StoreError> {
    let Some(mut hot) = batch.execution(execution)?.filter(|hot| hot.run == run) else {
        return Ok(Appended::Gone);
    };
    let key = page_key(hot.id, seq)?;
    let (message, delivery) = match &page.writer {
        Writer::Driver(claimant) => (Some(&*claimant.message), claimant.delivery),
        Writer::Request(request) => (None, *request),
    };
    let inserted = batch
        .statement(
            "INSERT INTO page (key, message, delivery, bytes) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        )?
        .execute((key, message, delivery.cast_signed(), &*page.bytes))?;
    if inserted == 0 {
        let known = batch.statement(PAGE)?.query_row([key], read_page)?;
        return Ok(if known.1 == *page { Appended::Done } else { Appended::Conflict });
    }
    hot.tail = hot.tail.map(|tail| tail.max(seq.0));
    batch.set_execution(execution, hot);
    Ok(Appended::Done)
}

fn page_key(id: i64, seq: Seq) -> Result<i64, StoreError> {
    if seq.0 > PLACE_MAX {
        return Err(StoreError::Damaged {
            table: "page",
            key: id,
            why: "its execution has too many pages".into(),
        });
    }
    Ok(key(id, seq.0))
}

/// What came of writing an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finished {
    /// It is there.
    Done,
    /// The META is of another run or epoch.
    MovedOn,
}

/// Writes an execution's end.
pub(crate) fn finish(
    batch: &mut Batch<'_>,
    execution: &str,
    run: RunId,
    epoch: u32,
    end: &End,
) -> Result<Finished, StoreError> {
    let Some(hot) = batch.execution(execution)?.filter(|hot| hot.run == run && hot.epoch == epoch) else {
        return Ok(Finished::MovedOn);
    };
    if hot.ended {
        return Ok(Finished::Done);
    }
    revise_listed(batch, execution, hot, |meta| meta.end = Some(end.clone()))?;
    Ok(Finished::Done)
}

/// Puts an execution back to RUNNING in an epoch that is later than its META's.
pub(crate) fn redrive(
    batch: &mut Batch<'_>,
    execution: &str,
    run: RunId,
    epoch: u32,
    at: Timestamp,
) -> Result<(), StoreError> {
    if let Some(hot) = batch.execution(execution)?.filter(|hot| hot.run == run && hot.epoch < epoch) {
        revise_listed(batch, execution, hot, |meta| *meta = meta.redriven(epoch, at))?;
    }
    Ok(())
}

/// Changes a META in a way that its place in the listing depends on.
fn revise_listed(
    batch: &mut Batch<'_>,
    execution: &str,
    hot: Hot,
    change: impl FnOnce(&mut Meta),
) -> Result<(), StoreError> {
    let id = hot.id;
    let before = match &hot.meta {
        Some(meta) => meta.clone(),
        None => Arc::new(read_meta(batch.connection, execution, &hot)?),
    };
    unlist(batch, &before, id)?;
    let meta = revise(batch, execution, Hot { meta: Some(before), ..hot }, change)?;
    list(batch, &meta, status_number(meta.status()).unwrap_or_default(), id)
}

/// Writes why an execution is not driven on. One that is gone is none of anybody's business.
pub(crate) fn park(
    batch: &mut Batch<'_>,
    execution: &str,
    run: RunId,
    why: Option<&Parked>,
) -> Result<(), StoreError> {
    if let Some(hot) = batch.execution(execution)?.filter(|hot| hot.run == run) {
        revise(batch, execution, hot, |meta| meta.parked = why.cloned())?;
    }
    Ok(())
}

fn revise(
    batch: &mut Batch<'_>,
    execution: &str,
    mut hot: Hot,
    change: impl FnOnce(&mut Meta),
) -> Result<Arc<Meta>, StoreError> {
    let mut meta = match &hot.meta {
        Some(meta) => Meta::clone(meta),
        None => read_meta(batch.connection, execution, &hot)?,
    };
    change(&mut meta);
    // What is kept here holds texts alone, not values that somebody had parsed.
    meta.input = Payload::trusted(meta.input.text().clone());
    if let Some(output) = meta.end.as_mut().and_then(|end| end.output.as_mut()) {
        *output = Payload::trusted(output.text().clone());
    }
    batch
        .statement("INSERT OR REPLACE INTO revised (id, epoch, ended, meta) VALUES (?1, ?2, ?3, ?4)")?
        .execute((hot.id, meta.epoch, meta.end.is_some(), &*meta_bytes(&meta)))?;
    let meta = Arc::new(meta);
    (hot.epoch, hot.ended) = (meta.epoch, meta.end.is_some());
    hot.meta = Some(meta.clone());
    batch.set_execution(execution, hot);
    Ok(meta)
}

/// The META of the execution that was found under `arn`, from the disk.
pub(crate) fn read_meta(connection: &Connection, arn: &str, found: &Hot) -> Result<Meta, StoreError> {
    let id = found.id;
    let meta = read_row(connection, id)?;
    let is_it = *meta.execution_arn == *arn
        && (meta.run, meta.epoch, meta.end.is_some()) == (found.run, found.epoch, found.ended);
    if is_it { Ok(meta) } else { Err(damaged(id, "its META is another's")) }
}

fn read_row(connection: &Connection, id: i64) -> Result<Meta, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT e.meta, r.meta, e.input FROM execution e LEFT JOIN revised r ON r.id = e.id WHERE e.id = ?1",
    )?;
    statement
        .query_row([id], |row| {
            Ok(decode(id, row).and_then(|meta| {
                let input = row.get_ref(2)?.as_blob().map_err(|error| damaged(id, error))?;
                Ok(Meta { input: unpack(id, input)?, ..meta })
            }))
        })
        .optional()?
        .unwrap_or_else(|| Err(damaged(id, "it is gone")))
}

pub(crate) const SUMMARY: &str =
    "SELECT e.meta, r.meta FROM execution e LEFT JOIN revised r ON r.id = e.id WHERE e.id = ?1";

/// The META of execution `id` without its input; `None` where there is none.
pub(crate) fn read_summary(connection: &Connection, id: i64) -> Result<Option<Meta>, StoreError> {
    let mut statement = connection.prepare_cached(SUMMARY)?;
    statement.query_row([id], |row| Ok(decode(id, row))).optional()?.transpose()
}

fn decode(id: i64, row: &Row<'_>) -> Result<Meta, StoreError> {
    let revised = row.get_ref(1)?.as_blob_or_null().map_err(|error| damaged(id, error))?;
    let bytes = match revised {
        Some(bytes) => bytes,
        None => row.get_ref(0)?.as_blob().map_err(|error| damaged(id, error))?,
    };
    stored::decode_meta(bytes).map_err(|error| damaged(id, error))
}

fn damaged(id: i64, why: impl ToString) -> StoreError {
    StoreError::Damaged { table: "execution", key: id, why: why.to_string() }
}

const PAGE: &str = "SELECT key, message, delivery, bytes FROM page WHERE key = ?1";

/// The pages of execution `id` behind `after`.
pub(crate) fn read_pages(
    connection: &Connection,
    id: i64,
    after: u64,
) -> Result<Vec<(Seq, Page)>, StoreError> {
    if after >= PLACE_MAX {
        return Ok(vec![]);
    }
    let mut statement = connection.prepare_cached(
        "SELECT key, message, delivery, bytes FROM page WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
    )?;
    let rows = statement.query_map([key(id, after + 1), key(id, PLACE_MAX)], read_page)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The last page of execution `id`; 0 where there is none.
pub(crate) fn read_tail(connection: &Connection, id: i64) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached("SELECT max(key) FROM page WHERE key BETWEEN ?1 AND ?2")?;
    let last: Option<i64> = statement.query_row([key(id, 0), key(id, PLACE_MAX)], |row| row.get(0))?;
    Ok(last.map_or(0, place))
}

fn read_page(row: &Row<'_>) -> rusqlite::Result<(Seq, Page)> {
    let delivery = row.get::<_, i64>(2)?.cast_unsigned();
    let writer = match row.get::<_, Option<Arc<str>>>(1)? {
        Some(message) => Writer::Driver(Claimant { message, delivery }),
        None => Writer::Request(delivery),
    };
    let bytes = Bytes::from(row.get::<_, Vec<u8>>(3)?);
    Ok((Seq(place(row.get(0)?)), Page { writer, bytes }))
}

fn place(key: i64) -> u64 {
    key.cast_unsigned() & PLACE_MAX
}

/// First byte of a text that follows as it is.
const PLAIN: u8 = 0;
/// First byte of a text that follows as its length in 4 bytes, little-endian, and an LZ4 block.
const LZ4: u8 = 1;
/// What is added to the first byte where four bytes of CRC-32 follow it, little-endian, of it and all behind them. (What was written
/// before November 2026 has none.)
const SEALED: u8 = 0xC0;
/// Bytes of the first byte and the checksum.
const SEAL_BYTES: usize = 5;
/// Texts of fewer bytes are not worth compressing.
const COMPRESSED_BYTES_MIN: usize = 512;
/// Largest text that is read, in bytes.
const TEXT_BYTES_MAX: usize = 64 << 20;
/// LZ4 cannot shrink anything further than this.
const LZ4_RATIO_MAX: usize = 256;

/// The stored form of an input.
pub(crate) fn pack(payload: &Payload) -> Vec<u8> {
    let text: &str = payload.text();
    if text.len() >= COMPRESSED_BYTES_MIN && text.len() <= TEXT_BYTES_MAX {
        let small = lz4_flex::block::compress_prepend_size(text.as_bytes());
        if small.len() < text.len() {
            return sealed(LZ4, &small);
        }
    }
    sealed(PLAIN, text.as_bytes())
}

fn sealed(packing: u8, packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SEAL_BYTES + packed.len());
    bytes.extend_from_slice(&[SEALED | packing, 0, 0, 0, 0]);
    bytes.extend_from_slice(packed);
    let checksum = checksum(&bytes);
    bytes[1..SEAL_BYTES].copy_from_slice(&checksum);
    bytes
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&bytes[..1]);
    crc.update(&bytes[SEAL_BYTES..]);
    crc.finalize().to_le_bytes()
}

/// Reads what [`pack`] wrote.
pub(crate) fn unpack(id: i64, bytes: &[u8]) -> Result<Payload, StoreError> {
    let damaged = || damaged(id, "its input cannot be read");
    let (packing, packed) = match bytes {
        [first @ (PLAIN | LZ4), packed @ ..] => (*first, packed),
        [first, ..] if first & SEALED == SEALED && bytes.len() >= SEAL_BYTES => {
            if bytes[1..SEAL_BYTES] != checksum(bytes) {
                return Err(damaged());
            }
            (first & !SEALED, &bytes[SEAL_BYTES..])
        }
        _ => return Err(damaged()),
    };
    let text = match (packing, packed) {
        (PLAIN, text) => text.to_vec(),
        (LZ4, rest) => {
            let (length, block) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
            let length = u32::from_le_bytes(*length) as usize;
            if length > TEXT_BYTES_MAX || length / LZ4_RATIO_MAX > block.len() {
                return Err(damaged());
            }
            lz4_flex::block::decompress(block, length).map_err(|_| damaged())?
        }
        _ => return Err(damaged()),
    };
    let text = String::from_utf8(text).map_err(|_| damaged())?;
    Ok(Payload::trusted(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_input_comes_back_as_it_was() {
        let check = |text: &str, compressed: bool| {
            let packed = pack(&Payload::trusted(text));
            assert_eq!(packed[0] == SEALED | LZ4, compressed, "{} bytes", text.len());
            assert_eq!(&**unpack(1, &packed).expect("it was packed").text(), text);
        };
        check("{}", false);
        check("{ \"a\" : 1.0 }", false);
        check(&format!("{:?}", "x".repeat(600)), true);
    }

    #[test]
    fn a_damaged_input_is_an_error() {
        let check = |bytes: &[u8]| assert!(unpack(1, bytes).is_err(), "{bytes:?}");
        check(&[]);
        check(&[7, 1]);
        check(&[PLAIN, 0xff]);
        check(&[LZ4, 1, 2]);
        check(&[LZ4, 255, 255, 255, 255, 0]);
        check(&[LZ4, 9, 0, 0, 0, 0xf0, 1]);
    }
}
