//! The targets, one file for each.

mod config;
mod definition;
mod environment;
mod events;
mod intrinsic;
mod json;
mod jsonata;
mod jsonpath;
mod mock;
mod signature;
mod stored;
mod template;
mod test_state;
mod tokens;
mod wire;
mod world;

/// A reader under test.
pub struct Target {
    /// Its name, which is also that of its corpus and of libFuzzer's binary.
    pub name: &'static str,
    /// The test. It panics where something does not hold.
    pub run: fn(&[u8]),
    /// Words of the language that it reads, which mutations put in.
    pub words: &'static [&'static str],
    /// How many mutated inputs the tests try, beside the corpus.
    pub mutations: usize,
    /// How large a mutated input may become, in bytes.
    pub bytes_max: usize,
    /// Milliseconds of processor time that one input may take in an unoptimised build.
    pub milliseconds_max: u64,
}

/// All targets.
pub static TARGETS: &[Target] = &[
    config::TARGET,
    definition::TARGET,
    events::TARGET,
    intrinsic::TARGET,
    json::TARGET,
    jsonata::TARGET,
    jsonpath::TARGET,
    mock::TARGET,
    signature::TARGET,
    stored::TARGET,
    template::TARGET,
    test_state::TARGET,
    tokens::TARGET,
    wire::TARGET,
];
