//! What the stored form of a page costs: encoding and decoding, and how much of that its checksum is.
//!   stored [--rounds 20000]
use std::hint::black_box;
use std::time::Instant;

use stepwell_engine::meta::RunId;
use stepwell_engine::port::{Seq, Writer};
use stepwell_engine::stored::{PagePlace, PayloadIndex, decode_page, encode_page};
use stepwell_expr::Payload;
use stepwell_interpreter::{BranchId, Claimant, Event, EventBody, EventId, Record, StateType, Timestamp};

/// The records of a commit that enters three states with this input.
fn records(input: &Payload) -> Vec<Record> {
    let entered = |n: u64| EventBody::StateEntered {
        state_type: StateType::Pass,
        name: format!("State{n}").into(),
        input: input.clone(),
    };
    let event = |n| Event { at: Timestamp(1), branch: BranchId(0), previous: EventId(n), body: entered(n) };
    (1..4).map(|n| Record::Event(event(n))).collect()
}

/// Nanoseconds for one of so many.
fn time(rounds: u64, mut each: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let began = Instant::now();
        (0..rounds).for_each(|_| each());
        best = best.min(began.elapsed().as_nanos() as f64 / rounds as f64);
    }
    best
}

fn main() {
    let rounds: u64 = stepwell_bench::Args::from_command_line().num("--rounds", 20_000);
    let writer = Writer::Driver(Claimant { message: "1099511627777".into(), delivery: 7 });
    let place = PagePlace { run: RunId(7), seq: Seq(2), writer: &writer };
    for bytes in [30, 400, 4_000, 40_000, 250_000] {
        // Half as compressible as English.
        let letter = |n: u64| char::from(b'a' + ((n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 59) as u8 % 26));
        let text: String = (0..bytes).map(letter).collect();
        let input = Payload::trusted(format!("\"{text}\""));
        let (records, index) = (records(&input), PayloadIndex::default());
        let page = encode_page(place, Timestamp(1), &records, &index).bytes;
        let rounds = (rounds * 400 / (400 + bytes)).max(20);
        let encode =
            time(rounds, || drop(black_box(encode_page(place, Timestamp(1), black_box(&records), &index))));
        let decode = time(rounds, || drop(black_box(decode_page(place, black_box(&page), |_| None))));
        let checksum = time(rounds, || _ = black_box(crc32fast::hash(black_box(&page))));
        println!(
            "payload {bytes}: page of {} bytes, encoded in {encode:.0} ns, decoded in {decode:.0} ns, of each the checksum \
             {checksum:.0} ns ({:.1} %, {:.1} %)",
            page.len(),
            100.0 * checksum / encode,
            100.0 * checksum / decode
        );
    }
}
