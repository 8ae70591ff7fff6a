//! Random ids.

use stepwell_engine::port::Clock;

/// A random UUID (version 4), as names and revisions bear it.
pub(crate) fn random_uuid(clock: &dyn Clock) -> String {
    let (high, low) = (clock.random(), clock.random());
    let (version, variant) = (0x4000 | (high & 0xfff), 0x8000 | ((low >> 48) & 0x3fff));
    let (first, second, last) = (high >> 32, (high >> 16) & 0xffff, low & 0xffff_ffff_ffff);
    format!("{first:08x}-{second:04x}-{version:04x}-{variant:04x}-{last:012x}")
}

#[cfg(test)]
mod tests {
    use stepwell_test_support::SimClock;

    use super::*;

    #[test]
    fn ids_say_that_they_are_random() {
        let clock = SimClock::new(7);
        let ids: Vec<_> = (0..100).map(|_| random_uuid(&clock)).collect();
        for id in &ids {
            let lengths: Vec<_> = id.split('-').map(str::len).collect();
            assert_eq!((&*lengths, &id[14..15]), ([8, 4, 4, 4, 12].as_slice(), "4"), "{id}");
            assert!("89ab".contains(&id[19..20]), "{id}");
        }
        assert_ne!(ids[0], ids[1]);
    }
}
