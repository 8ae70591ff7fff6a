//! Everything that reads what strangers write, each as a function of bytes.
//!
//! A [`Target`] is such a function. It asserts what must hold for any bytes (that what was read can be written and read again,
//! that twice the same gives the same, that an answer is one the API documents), and panics where it does not. The same
//! targets are run by libFuzzer (`fuzz/`, `cargo xtask fuzz`), and by the tests of this crate on a stable compiler: there over
//! the [`corpus`], and over inputs that [`mutate`] makes of it from a seed.
//!
//! This crate knows what each reader promises. It does not know how they read.
//!
//! An input of several parts has a line `----` between them ([`parts`]).

pub mod corpus;
pub mod mutate;
mod target;
mod watch;

pub use stepwell_test_support::Random;
pub use target::{TARGETS, Target};
pub use watch::{Watched, quiet_panics};

/// What stands between the parts of an input.
pub const DIVIDER: &str = "\n----\n";

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The parts of an input. There is always a first one.
pub(crate) fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(DIVIDER)
}
