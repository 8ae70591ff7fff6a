//! What an expression may see.

use std::cell::Cell;

use sha2::{Digest, Sha256};

use crate::{Effort, Value};

/// What an expression sees while it is evaluated. The interpreter implements it for each stage of a state.
pub trait Environment {
    /// `$` of a JSONPath at this stage (state input, task result …), and `$states.input` in JSONata.
    fn input(&self) -> &Value;

    /// The Context object: `$$` in JSONPath, `$states.context` in JSONata.
    fn context(&self) -> &Value;

    /// The workflow variable `name` (without its `$`) that is visible here.
    fn variable(&self, name: &str) -> Option<&Value>;

    /// `$states.result`: present where a Task, Parallel or Map has its result.
    fn result(&self) -> Option<&Value> {
        None
    }

    /// `$states.errorOutput`: present in a Catcher.
    fn error_output(&self) -> Option<&Value> {
        None
    }

    /// What this evaluation's work counts towards, where it is one of several that have a bound together.
    fn effort(&self) -> Option<&Effort> {
        None
    }

    /// The source of this evaluation's randomness and time.
    fn entropy(&self) -> &Entropy;
}

/// Randomness and time for one evaluation, drawn outside and handed in, so that evaluating again gives the same.
///
/// Whoever sees some of what is drawn can tell nothing of the rest, nor of the seed: task tokens and `States.UUID()` of
/// one decision come from one seed, and only the UUID is shown to everybody.
#[derive(Clone)]
pub struct Entropy {
    seed: u128,
    stream: u64,
    drawn: Cell<u64>,
    /// What the last digest gave.
    block: Cell<[u64; WORDS]>,
    /// Milliseconds since 1970-01-01T00:00:00Z: `$now()` and `$millis()`.
    pub now_ms: i64,
}

/// Words that one digest gives.
const WORDS: usize = 4;

impl Entropy {
    /// A source that always draws the same numbers from the same `seed`.
    pub fn new(seed: u128, now_ms: i64) -> Self {
        Entropy::stream(seed, 0, now_ms)
    }

    /// One of the sources under `seed`, each of which draws its own numbers.
    pub fn stream(seed: u128, stream: u64, now_ms: i64) -> Self {
        Entropy { seed, stream, drawn: Cell::new(0), block: Cell::new([0; WORDS]), now_ms }
    }

    /// The next 64 random bits: SHA-256 of the seed, the stream, and how many were drawn.
    pub fn bits(&self) -> u64 {
        let drawn = self.drawn.get();
        self.drawn.set(drawn.wrapping_add(1));
        let at = (drawn % WORDS as u64) as usize;
        if at == 0 {
            self.block.set(self.digest(drawn));
        }
        self.block.get()[at]
    }

    fn digest(&self, drawn: u64) -> [u64; WORDS] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.seed.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.stream.to_be_bytes());
        bytes[24..].copy_from_slice(&drawn.to_be_bytes());
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        let (words, _) = digest.as_chunks::<8>();
        std::array::from_fn(|at| u64::from_be_bytes(words[at]))
    }

    /// The next 128 random bits.
    pub fn bits_128(&self) -> u128 {
        u128::from(self.bits()) << 64 | u128::from(self.bits())
    }

    /// A random double in `[0, 1)`.
    pub fn unit(&self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A version 4 UUID as text.
    pub fn uuid(&self) -> String {
        uuid_text(self.bits(), self.bits())
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entropy").field("now_ms", &self.now_ms).finish_non_exhaustive()
    }
}

/// A text of a version 4 UUID's form that is always the same for `name`: for what needs a name that nobody draws.
/// Nobody is kept from finding two names with the same one.
pub fn uuid_of(name: &str) -> String {
    // FNV-1a of 128 bits, whose halves are then mixed.
    const START: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = name.bytes().fold(START, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    let (high, low) = (mixed((hash >> 64) as u64), mixed(hash as u64));
    uuid_text(high ^ low.rotate_left(32), low)
}

/// A step of SplitMix64.
fn mixed(word: u64) -> u64 {
    let z = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn uuid_text(a: u64, b: u64) -> String {
    let a = (a & !0xF000) | 0x4000;
    let b = (b & !(0b11 << 62)) | (0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xFFFF,
        a & 0xFFFF,
        b >> 48,
        b & 0xFFFF_FFFF_FFFF
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same() {
        let (a, b) = (Entropy::new(7, 0), Entropy::new(7, 0));
        assert_eq!(a.uuid(), b.uuid());
        assert_ne!(a.uuid(), Entropy::new(8, 0).uuid());
        assert_eq!(&a.uuid()[14..15], "4");
        assert!((0.0..1.0).contains(&a.unit()));
    }

    #[test]
    fn every_bit_of_the_seed_and_every_stream_draws_its_own() {
        let seed = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef;
        let sources = (0..128)
            .map(|bit| Entropy::new(seed ^ 1 << bit, 0))
            .chain((0..100).map(|stream| Entropy::stream(seed, stream, 0)));
        let words: Vec<u64> =
            sources.flat_map(|source| (0..9).map(move |_| source.bits()).collect::<Vec<_>>()).collect();
        let distinct: std::collections::BTreeSet<_> = words.iter().collect();
        assert_eq!(distinct.len(), 228 * 9);
    }

    #[test]
    fn a_source_does_not_show_what_it_draws_from() {
        assert_eq!(format!("{:?}", Entropy::stream(4711, 4712, 5)), "Entropy { now_ms: 5, .. }");
    }

    #[test]
    fn a_name_has_one_uuid_and_no_other_name_has_it() {
        let all: std::collections::BTreeSet<_> = (0..10_000).map(|n| uuid_of(&format!("run:{n}"))).collect();
        assert_eq!(all.len(), 10_000);
        // Stored executions are found by it: it never changes.
        assert_eq!(uuid_of("MapState"), "4efb201a-e194-4c82-9b32-21693b7ed1ef");
    }
}
