//! Random ids.

use stepwell_engine::port::Clock;

/// A random UUID (version 4), as names and revisions bear it.
pub(crate) fn random_uuid(clock: &dyn Clock) -> String {
    let random = u128::from(clock.random()) << 64 | u128::from(clock.random());
    let bits = random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
