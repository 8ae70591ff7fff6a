//! Which payloads the pages of a run hold already.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use stepwell_expr::Payload;

use crate::meta::PayloadPlace;

/// Payloads of fewer bytes are written again rather than referred to: a reference costs about as much.
pub(super) const REFERRED_BYTES_MIN: usize = 256;

/// Payloads kept at hand, so that a later page's references are read without the earlier page.
const AT_HAND_MAX: usize = 16;

/// The large payloads of a run, and where it stores them.
///
/// Holds hashes rather than payloads, except for the last few. The hashes are 128 bits under random keys, so that
/// nobody can make two payloads that share one.
#[derive(Clone, Debug, Default)]
pub struct PayloadIndex {
    keys: [RandomState; 2],
    places: HashMap<(u64, u64), PayloadPlace>,
    at_hand: VecDeque<(Payload, PayloadPlace)>,
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
        if let Some((_, place)) = self.at_hand.iter().find(|(known, _)| known.same(payload)) {
            return Some(*place);
        }
        if self.places.is_empty() || payload.bytes() < REFERRED_BYTES_MIN {
            return None;
        }
        self.places.get(&self.hash(payload)).copied()
    }

    /// The payload at `place`, where it is at hand.
    pub fn payload(&self, place: PayloadPlace) -> Option<&Payload> {
        self.at_hand.iter().find(|(_, at)| *at == place).map(|(payload, _)| payload)
    }

    /// Notes that `payload` is stored at `place`; the first place of a payload stays.
    pub fn add(&mut self, payload: &Payload, place: PayloadPlace) {
        if payload.bytes() < REFERRED_BYTES_MIN {
            return;
        }
        self.places.entry(self.hash(payload)).or_insert(place);
        if self.at_hand.len() == AT_HAND_MAX {
            self.at_hand.pop_front();
        }
        self.at_hand.push_back((payload.clone(), place));
    }

    fn hash(&self, payload: &Payload) -> (u64, u64) {
        let text: &str = payload.text();
        (self.keys[0].hash_one(text), self.keys[1].hash_one(text))
    }
}
