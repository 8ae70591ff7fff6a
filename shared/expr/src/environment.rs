//! What an expression may see.

use crate::Value;

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

    /// The source of this evaluation's randomness and time.
    fn entropy(&self) -> &Entropy;
}

/// Randomness and time for one evaluation, drawn outside and handed in, so that evaluating again gives the same.
#[derive(Debug)]
pub struct Entropy {
    state: std::cell::Cell<u64>,
    /// Milliseconds since 1970-01-01T00:00:00Z: `$now()` and `$millis()`.
    pub now_ms: i64,
}

impl Entropy {
    /// A source that always draws the same numbers from the same `seed`.
    pub fn new(seed: u64, now_ms: i64) -> Self {
        Entropy { state: std::cell::Cell::new(seed), now_ms }
    }

    /// The next 64 random bits (SplitMix64).
    pub fn bits(&self) -> u64 {
        self.state.set(self.state.get().wrapping_add(0x9E37_79B9_7F4A_7C15));
        let mut z = self.state.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
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

/// A text of a version 4 UUID's form that is always the same for `name`: for what needs a name that nobody draws.
/// Nobody is kept from finding two names with the same one.
pub fn uuid_of(name: &str) -> String {
    // FNV-1a of 128 bits, whose halves are then mixed.
    const START: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = name.bytes().fold(START, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    let (high, low) = ((hash >> 64) as u64, hash as u64);
    let (high, low) = (Entropy::new(high, 0).bits(), Entropy::new(low, 0).bits());
    uuid_text(high ^ low.rotate_left(32), low)
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
    fn a_name_has_one_uuid_and_no_other_name_has_it() {
        let all: std::collections::BTreeSet<_> = (0..10_000).map(|n| uuid_of(&format!("run:{n}"))).collect();
        assert_eq!(all.len(), 10_000);
        // Stored executions are found by it: it never changes.
        assert_eq!(uuid_of("MapState"), "4efb201a-e194-4c82-9b32-21693b7ed1ef");
    }
}
