//! Every target over its corpus, and over inputs that a seed makes of it.

use std::time::Instant;

use stepwell_fuzz::mutate::mutate;
use stepwell_fuzz::{Target, corpus, target};
use stepwell_test_support::Random;

/// `STEPWELL_FUZZ_INPUTS` times as many mutations; `STEPWELL_SEEDS` begins elsewhere.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn run(name: &str) {
    let target = target(name).expect("it is listed");
    let (corpus, started) = (corpus::of(target), Instant::now());
    let mut slowest = std::time::Duration::ZERO;
    let mut hold = |data: &[u8], origin: &str| match target.watch(data) {
        Ok(watched) => slowest = slowest.max(watched.time),
        Err(error) => {
            let path = keep(target, data);
            // Panics are quiet here.
            eprintln!("{name}, {origin}: {error}\n{path}\n{:?}", String::from_utf8_lossy(data));
            panic!("{error}");
        }
    };
    corpus.iter().for_each(|data| hold(data, "in its corpus"));
    let mutations = target.mutations as u64 * setting("STEPWELL_FUZZ_TIMES", 1);
    let first = setting("STEPWELL_SEED", 0);
    for seed in first..first + mutations {
        let mut random = Random::new(seed);
        let data = &corpus[random.below(corpus.len())];
        hold(&mutate(target, data, &corpus, &mut random), &format!("seed {seed}"));
    }
    let (inputs, time) = (corpus.len() as u64 + mutations, started.elapsed());
    println!(
        "{name}: {inputs} inputs ({} of the corpus) in {time:.1?}, the slowest took {slowest:.1?}",
        corpus.len()
    );
}

/// Keeps an input that does not hold, and says where.
fn keep(target: &Target, data: &[u8]) -> String {
    let path = std::env::temp_dir().join(format!("stepwell-fuzz-{}-{}", target.name, std::process::id()));
    match std::fs::write(&path, data) {
        Ok(()) => {
            format!("the input is kept: cargo run -p stepwell-fuzz -- run {} {}", target.name, path.display())
        }
        Err(error) => format!("the input could not be kept: {error}"),
    }
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { run(stringify!($name)); })*

        #[test]
        fn every_target_is_tested() {
            let tested = [$(stringify!($name)),*];
            for target in stepwell_fuzz::TARGETS {
                assert!(tested.contains(&target.name), "{} is not", target.name);
            }
        }
    };
}

targets!(
    config, definition, events, intrinsic, json, jsonata, jsonpath, mock, signature, stored, template,
    test_state, tokens, wire,
);
