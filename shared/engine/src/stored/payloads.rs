//! Which payloads the pages of a run hold already.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use stepwell_expr::Payload;

use crate::meta::PayloadPlace;

/// Payloads of fewer bytes are written again rather than referred to: a reference costs about as much.
pub(super) const REFERRED_BYTES_MIN: usize = 256;

/// Payloads kept at hand, in number and bytes, so that they are compared as they are, and a later page's references
/// are read without the earlier page.
const AT_HAND_MAX: (usize, usize) = (16, 512 * 1024);

/// The large payloads of a run, and where it stores them.
///
/// Holds the last few as they are and hashes of the others: 128 bits under random keys, so that nobody can make two
/// payloads that share one.
#[derive(Clone, Debug, Default)]
pub struct PayloadIndex {
    at_hand: VecDeque<(Payload, PayloadPlace)>,
    at_hand_bytes: usize,
    /// By [`sample`]: most payloads that are not here are told apart without being read whole.
    hashed: HashMap<u64, Vec<(u128, PayloadPlace)>>,
    keys: [RandomState; 2],
}

impl PayloadIndex {
    /// The index of a run without pages.
    pub fn new(input: &Payload) -> Self {
        let mut index = PayloadIndex::default();
        index.add(input, PayloadPlace::Input);
        index
    }

    /// Where the run stores `payload`.
    pub fn place(&self, payload: &Payload) -> Option<PayloadPlace> {
        if payload.bytes() < REFERRED_BYTES_MIN {
            return None;
        }
        let at_hand = || self.at_hand.iter();
        let found = at_hand().find(|(known, _)| known.same(payload));
        let found = found.or_else(|| at_hand().find(|(known, _)| known == payload));
        if let Some((_, place)) = found {
            return Some(*place);
        }
        if self.hashed.is_empty() {
            return None;
        }
        let candidates = self.hashed.get(&sample(payload.text(), &self.keys[0]))?;
        let hash = self.hash(payload);
        candidates.iter().find(|(known, _)| *known == hash).map(|(_, place)| *place)
    }

    /// The payload at `place`, where it is at hand.
    pub fn payload(&self, place: PayloadPlace) -> Option<&Payload> {
        self.at_hand.iter().find(|(_, at)| *at == place).map(|(payload, _)| payload)
    }

    /// Notes that `payload`, which has no place yet, is stored at `place`.
    pub fn add(&mut self, payload: &Payload, place: PayloadPlace) {
        if payload.bytes() < REFERRED_BYTES_MIN {
            return;
        }
        self.at_hand_bytes += payload.bytes();
        self.at_hand.push_back((payload.clone(), place));
        while self.at_hand.len() > AT_HAND_MAX.0
            || (self.at_hand_bytes > AT_HAND_MAX.1 && self.at_hand.len() > 1)
        {
            let Some((oldest, place)) = self.at_hand.pop_front() else { break };
            self.at_hand_bytes -= oldest.bytes();
            let entry = (self.hash(&oldest), place);
            self.hashed.entry(sample(oldest.text(), &self.keys[0])).or_default().push(entry);
        }
    }

    fn hash(&self, payload: &Payload) -> u128 {
        let text: &str = payload.text();
        let [high, low] = [0, 1].map(|key| u128::from(self.keys[key].hash_one(text)));
        high << 64 | low
    }
}

/// Tells most texts apart by their length and a few of their bytes.
pub(super) fn sample(text: &str, key: &RandomState) -> u64 {
    const BYTES: usize = 48;
    let (bytes, middle) = (text.as_bytes(), text.len() / 2);
    let piece = |from: usize| &bytes[from..(from + BYTES).min(bytes.len())];
    key.hash_one((bytes.len(), piece(0), piece(middle), piece(bytes.len().saturating_sub(BYTES))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(n: usize) -> Payload {
        // Alike in length, and in every place that is sampled.
        Payload::parse(format!("\"{}{n:05}{}\"", "x".repeat(500), "y".repeat(4000))).unwrap()
    }

    #[test]
    fn every_payload_is_found_and_no_other() {
        let mut index = PayloadIndex::default();
        let place = |n| PayloadPlace::Page { seq: n as u64, index: 7 };
        for n in 0..100 {
            assert_eq!(index.place(&payload(n)), None);
            index.add(&payload(n), place(n));
        }
        for n in 0..100 {
            assert_eq!(index.place(&payload(n)), Some(place(n)));
        }
        assert_eq!(index.at_hand.len(), AT_HAND_MAX.0);
        assert_eq!(index.payload(place(99)), Some(&payload(99)));
        assert_eq!(index.payload(place(0)), None);
        assert_eq!(index.place(&Payload::default()), None);
    }

    #[test]
    fn what_is_at_hand_is_bounded() {
        let mut index = PayloadIndex::default();
        for n in 0..10 {
            let text = format!("\"{n}{}\"", "z".repeat(200_000));
            index.add(&Payload::parse(text).unwrap(), PayloadPlace::Page { seq: n, index: 0 });
            assert!(index.at_hand_bytes <= AT_HAND_MAX.1);
        }
    }
}
