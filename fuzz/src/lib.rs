//! What all targets have in common: how libFuzzer runs one, and how inputs are changed. Every second change is libFuzzer's own,
//! the others know words and JSON (`stepwell_fuzz::mutate`).

use std::sync::OnceLock;

pub use libfuzzer_sys;
use stepwell_fuzz::mutate::mutate;
use stepwell_fuzz::{Target, corpus};

/// The target `name`, as a program of libFuzzer's.
#[macro_export]
macro_rules! target {
    ($name:literal) => {
        use $crate::libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

        fuzz_target!(|data: &[u8]| $crate::named($name).check(data));
        fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            if seed % 2 == 0 {
                return fuzzer_mutate(data, size, max_size);
            }
            $crate::changed($name, data, size, max_size, seed)
        });
    };
}

/// The target of this name.
pub fn named(name: &str) -> &'static Target {
    stepwell_fuzz::target(name).expect("each program here bears the name of a target")
}

/// Changes the first `size` bytes of `data`; gives how many they are then.
pub fn changed(name: &str, data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    static CORPUS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let target = named(name);
    let corpus = CORPUS.get_or_init(|| corpus::of(target));
    let mut random = stepwell_fuzz::Random::new(seed.into());
    let made = mutate(target, &data[..size], corpus, &mut random);
    let length = made.len().min(max_size);
    data[..length].copy_from_slice(&made[..length]);
    length
}
