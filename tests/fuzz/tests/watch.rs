//! What is watched for is seen: a target that does not hold, that takes too long, that takes too much memory.

use std::hint::black_box;
use std::time::{Duration, Instant};

use stepwell_fuzz::Target;

fn watched(run: fn(&[u8])) -> Result<(), String> {
    let target = Target { name: "t", run, words: &[], mutations: 0, bytes_max: 8, milliseconds_max: 50 };
    target.watch(b"x").map(drop)
}

#[test]
fn a_target_that_holds_holds() {
    assert_eq!(watched(|_| ()), Ok(()));
}

#[test]
fn what_does_not_hold_is_told() {
    let error = watched(|data| assert!(data.is_empty(), "there is something")).expect_err("it does not hold");
    assert!(error.contains("there is something") && error.contains("watch.rs"), "{error}");
}

#[test]
fn a_target_that_takes_too_long_is_told() {
    let error = watched(|data| {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(3) {
            black_box(data);
        }
    });
    assert!(error.expect_err("it takes too long").contains("processor time"));
}

#[test]
fn a_target_that_takes_too_much_memory_is_told() {
    let error = watched(|_| drop(black_box(vec![0_u8; 1 << 30])));
    assert!(error.expect_err("it takes too much").contains("MiB of memory"));
}
