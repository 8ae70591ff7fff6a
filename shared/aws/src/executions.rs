//! An execution's items: META, pages and leases, as attributes.
//!
//! META's `head` is the stored form of a META without input, end and parking. Those are attributes of their own: the head and
//! the end's `brief` are projected into the indexes, and a listing has no use for the rest.

use std::sync::Arc;

use bytes::Bytes;
use stepwell_engine::meta::{End, Meta, Parked, RunId};
use stepwell_engine::port::{Page, Seq, Writer};
use stepwell_engine::stored::{decode_end, encode_end};
use stepwell_expr::Payload;
use stepwell_interpreter::{Claimant, ErrorOutput, Timestamp};

use crate::blobs::{Bodies, Kind};
use crate::error::StoreError;
use crate::head::{head, read_head};
use crate::item::{AttributeValue, Fields, Item, binary, key, number, text};
use crate::listing;
use crate::store::LAST;
use crate::table::LISTED;

/// The sort key of a META.
pub(crate) const META: &str = "META";

/// What pages' sort keys begin with.
pub(crate) const PAGE: &str = "PAGE#";

/// Where bodies of a run are kept that are too large for their items.
pub(crate) fn owner(run: RunId) -> String {
    format!("runs/{:032x}", run.0)
}

/// A run as META's conditions compare it.
pub(crate) fn run_text(run: RunId) -> AttributeValue {
    text(format!("{:032x}", run.0))
}

/// The sort key of a page.
pub(crate) fn page_sort(run: RunId, seq: Seq) -> String {
    format!("{PAGE}{:032x}#{:010}", run.0, seq.0)
}

/// Behind the sort keys of all pages of a run.
pub(crate) fn pages_end(run: RunId) -> String {
    format!("{PAGE}{:032x}#{LAST}", run.0)
}

/// The item of a META. An end that it has is written as [`end_attributes`] says.
pub(crate) async fn meta_item(bodies: &Bodies, meta: &Meta) -> Result<Item, StoreError> {
    let mut item = key(&meta.execution_arn, META);
    let input = Bytes::copy_from_slice(meta.input.text().as_bytes());
    item.insert("run_id".into(), run_text(meta.run));
    item.insert("epoch".into(), number(meta.epoch));
    item.insert("head".into(), head(meta));
    item.insert("input_body".into(), bodies.store(Kind::Input, &owner(meta.run), input).await?);
    item.insert(LISTED.into(), text(listing::place(meta.status(), meta)));
    for (name, value) in listing::partitions(meta) {
        item.insert(name.into(), value);
    }
    if let Some(parked) = &meta.parked {
        item.insert("parked".into(), parked_attribute(parked));
    }
    if let Some(end) = &meta.end {
        for (name, value) in end_attributes(bodies, meta.run, end).await? {
            item.insert(name.into(), value);
        }
    }
    Ok(item)
}

/// The attributes of an end.
pub(crate) async fn end_attributes(
    bodies: &Bodies,
    run: RunId,
    end: &End,
) -> Result<[(&'static str, AttributeValue); 2], StoreError> {
    let brief = End { output: None, output_at: None, error: ErrorOutput::default(), ..end.clone() };
    let body = bodies.store(Kind::End, &owner(run), encode_end(end)).await?;
    Ok([("end_body", body), ("brief", binary(encode_end(&brief)))])
}

/// Reads a whole META.
pub(crate) async fn read_meta(bodies: &Bodies, item: &Item) -> Result<Meta, StoreError> {
    let mut meta = read_head(item)?;
    let owner = owner(meta.run);
    let input = bodies.fetch(&owner, item.attribute("input_body")?).await?;
    let input = std::str::from_utf8(&input).map_err(|error| StoreError::damaged("input_body", error))?;
    meta.input = Payload::trusted(input);
    if let Some(body) = item.get("end_body") {
        meta.end = Some(decode_end(&bodies.fetch(&owner, body).await?)?);
    }
    meta.parked = item.get("parked").map(read_parked).transpose()?;
    Ok(meta)
}

/// Reads what an index has of a META: neither input nor output nor error.
pub(crate) fn read_listed(item: &Item) -> Result<Arc<Meta>, StoreError> {
    let mut meta = read_head(item)?;
    if item.contains_key("brief") {
        meta.end = Some(decode_end(item.bytes("brief")?)?);
    }
    Ok(Arc::new(meta))
}

pub(crate) fn parked_attribute(parked: &Parked) -> AttributeValue {
    let fields = [("message", &parked.message), ("why", &parked.why)];
    AttributeValue::M(fields.map(|(name, value)| (name.into(), text(value.as_str()))).into())
}

fn read_parked(attribute: &AttributeValue) -> Result<Parked, StoreError> {
    let AttributeValue::M(fields) = attribute else {
        return Err(StoreError::damaged("parked", "not a map"));
    };
    Ok(Parked { message: fields.text("message")?.to_owned(), why: fields.text("why")?.to_owned() })
}

/// The item of a page.
pub(crate) async fn page_item(
    bodies: &Bodies,
    (execution, run): (&str, RunId),
    seq: Seq,
    page: &Page,
) -> Result<Item, StoreError> {
    let mut item = key(execution, &page_sort(run, seq));
    item.insert("writer".into(), text(writer_text(&page.writer)));
    item.insert("body".into(), bodies.store(Kind::Page, &owner(run), page.bytes.clone()).await?);
    Ok(item)
}

/// Whether an item that is there has the same writer and bytes as one that was to be put.
pub(crate) fn same_page(there: &Item, page: &Item) -> bool {
    ["writer", "body"].iter().all(|name| there.get(*name) == page.get(*name))
}

/// Reads a page, and which it is.
pub(crate) async fn read_page(bodies: &Bodies, run: RunId, item: &Item) -> Result<(Seq, Page), StoreError> {
    let sort = item.text(crate::table::SORT)?;
    let damaged = |why| StoreError::damaged(sort, why);
    let seq = sort.rsplit('#').next().and_then(|seq| seq.parse().ok()).ok_or_else(|| damaged("no seq"))?;
    let writer = read_writer(item.text("writer")?).ok_or_else(|| damaged("no writer"))?;
    let bytes = bodies.fetch(&owner(run), item.attribute("body")?).await?;
    Ok((Seq(seq), Page { writer, bytes }))
}

/// A driver is its delivery and message, a handler its request.
fn writer_text(writer: &Writer) -> String {
    match writer {
        Writer::Driver(Claimant { message, delivery }) => format!("D{delivery:x}#{message}"),
        Writer::Request(request) => format!("R{request:x}"),
    }
}

fn read_writer(text: &str) -> Option<Writer> {
    let hexadecimal = |text| u64::from_str_radix(text, 16).ok();
    match text.split_at_checked(1)? {
        ("R", request) => Some(Writer::Request(hexadecimal(request)?)),
        ("D", rest) => {
            let (delivery, message) = rest.split_once('#')?;
            Some(Writer::Driver(Claimant { message: message.into(), delivery: hexadecimal(delivery)? }))
        }
        _ => None,
    }
}

/// Seconds since 1970 at which DynamoDB may remove something.
pub(crate) fn expiry(from: Timestamp, after: std::time::Duration) -> AttributeValue {
    number(from.0.div_euclid(1000).saturating_add_unsigned(after.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_are_read_as_they_were_written() {
        let check = |writer: Writer, expected: &str| {
            assert_eq!(writer_text(&writer), expected);
            assert_eq!(read_writer(expected), Some(writer));
        };
        let driver = |message: &str, delivery| Writer::Driver(Claimant { message: message.into(), delivery });
        check(Writer::Request(u64::MAX), "Rffffffffffffffff");
        check(driver("a#b", 16), "D10#a#b");
        check(driver("", 0), "D0#");
        for damaged in ["", "X1", "Rz", "D1", "é"] {
            assert_eq!(read_writer(damaged), None, "{damaged}");
        }
    }

    #[test]
    fn pages_stand_in_their_order() {
        let sort = |seq| page_sort(RunId(7), Seq(seq));
        assert!(sort(9) < sort(10) && sort(10) < sort(25_000));
        assert!(sort(u64::MAX) < pages_end(RunId(7)) && pages_end(RunId(7)) < page_sort(RunId(8), Seq(0)));
        assert!(META < PAGE, "one query reads META, then the pages");
    }
}
