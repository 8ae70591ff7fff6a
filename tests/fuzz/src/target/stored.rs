//! Stored bytes: pages, METAs, ends, messages, Map Runs.

use stepwell_engine::meta::{PayloadPlace, RunId};
use stepwell_engine::port::{Seq, Writer};
use stepwell_engine::stored::{
    Packing, PagePlace, PayloadIndex, StoredError, decode_end, decode_map_run, decode_message, decode_meta,
    decode_page, encode_end, encode_map_run, encode_message, encode_meta, encode_packed,
};
use stepwell_expr::Payload;
use stepwell_interpreter::{EventId, Execution, evolve, history};

use super::Target;

pub(super) const TARGET: Target = Target {
    name: "stored",
    run,
    words: &[
        "\x05\x00",
        "\x05\x01",
        "\x05\x02",
        "\x01\x00",
        "\u{7f}",
        "\x00\x00\x00\x00",
        "null",
        "{}",
        "arn:aws:states:us-east-1:123456789012:execution:M:e",
    ],
    mutations: 8_000,
    bytes_max: 8_192,
    milliseconds_max: 1_000,
};

/// The page's number.
const SEQ: u64 = 3;

/// The bits of a first byte that say that a checksum follows, in four bytes.
const SEALED: u8 = 0xC0;

fn run(data: &[u8]) {
    read(data);
    // Few inputs have the checksum that fits. The last version without one says the same.
    if let [head, _, _, _, _, body @ ..] = data
        && head & SEALED == SEALED
    {
        read(&[&[(head & !SEALED).saturating_sub(1)], body].concat());
    }
}

fn read(data: &[u8]) {
    page(data);
    again("META", data, decode_meta, |meta| encode_meta(meta).to_vec());
    again("end", data, decode_end, |end| encode_end(end).to_vec());
    again("map run", data, decode_map_run, |map_run| encode_map_run(map_run).to_vec());
    again("message", data, decode_message, |message| encode_message(message).to_vec());
}

/// What was read is written as bytes that are read as the same, and stay what they are; a bit that changes is found.
fn again<T>(what: &str, data: &[u8], read: fn(&[u8]) -> Result<T, StoredError>, write: fn(&T) -> Vec<u8>) {
    let Ok(value) = read(data) else { return };
    let mut written = write(&value);
    let again =
        read(&written).unwrap_or_else(|error| panic!("the {what} that was written is not read: {error}"));
    assert_eq!(write(&again), written, "a {what} is written in two ways");
    flip(data, &mut written);
    assert!(read(&written).is_err(), "a {what} with a wrong bit is read");
}

/// Changes the bit of `bytes` that `data` chooses.
fn flip(data: &[u8], bytes: &mut [u8]) {
    let chosen = data.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let at = chosen / 8 % bytes.len();
    bytes[at] ^= 1 << (chosen % 8);
}

fn page(data: &[u8]) {
    let writer = Writer::Request(7);
    let place = PagePlace { run: RunId(1), seq: Seq(SEQ), writer: &writer };
    let earlier = |place| match place {
        PayloadPlace::Input => Some(Payload::trusted("\"the input\"")),
        PayloadPlace::Page { seq, index } => {
            (seq < SEQ && index < 100).then(|| Payload::trusted(format!("[{seq},{index}]")))
        }
    };
    let Ok(decoded) = decode_page(place, data, earlier) else { return };
    assert!(decoded.stored.len() <= decoded.table.len());
    for packing in [Packing::Quick, Packing::Small] {
        let written = encode_packed(place, decoded.at, &decoded.records, &PayloadIndex::default(), packing);
        let read = decode_page(place, &written.bytes, |_| None).expect("a page that was written is read");
        assert_eq!(read.records, decoded.records, "a page is read as other records");
        assert_eq!(read.at, decoded.at);
        let mut wrong = written.bytes.to_vec();
        flip(data, &mut wrong);
        assert!(decode_page(place, &wrong, earlier).is_err(), "a page with a wrong bit is read");
        let elsewhere = PagePlace { seq: Seq(SEQ + 1), ..place };
        assert!(
            decode_page(elsewhere, &written.bytes, earlier).is_err(),
            "a page is read in another's place"
        );
    }
    // Records that no driver would write together change an execution in some way, and break nothing.
    let mut execution = Execution::default();
    decoded.records.iter().for_each(|record| evolve(&mut execution, record));
    let _ = execution.clone();
    assert!(history(&decoded.records, EventId(1)).len() <= decoded.records.len());
}
