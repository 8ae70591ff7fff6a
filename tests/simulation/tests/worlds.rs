//! Every world with the seeds that are tried whenever the tests run, and what must have gone wrong in them.
//!
//! It is one test, so that what went wrong can be counted over all worlds. `STEPWELL_SEEDS=10` tries ten times as many seeds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use stepwell_simulation::Broken;
use stepwell_simulation::worlds::{Seen, WORLDS, World};
use stepwell_test_support::{Fault, Place};

/// What must have gone wrong, and where.
const EXPECTED: &[(Place, &[Fault])] = &[
    (Place::Journal, PORT),
    (Place::MapRuns, PORT),
    (Place::Registry, PORT),
    (Place::Activities, PORT),
    (Place::Logs, PORT),
    (Place::Events, PORT),
    (Place::Queue, PORT),
    (
        Place::Queue,
        &[
            Fault::Duplicated,
            Fault::Reordered,
            Fault::Early,
            Fault::Late,
            Fault::Redelivered,
            Fault::Undeleted,
        ],
    ),
    (Place::Scheduler, PORT),
    (Place::Scheduler, &[Fault::Duplicated, Fault::Early, Fault::Late]),
    (Place::Tasks, PORT),
    (Place::Tasks, &[Fault::Panicked]),
    (Place::Clock, &[Fault::Late, Fault::Skewed, Fault::Jumped]),
    (Place::Driver, &[Fault::AtOnce, Fault::Stopped, Fault::Frozen]),
    (Place::Handler, &[Fault::Stopped, Fault::Frozen, Fault::Raced]),
    (Place::Process, &[Fault::Killed]),
    (Place::Caller, &[Fault::Raced, Fault::Repeated]),
];

/// What every port must have met.
const PORT: &[Fault] =
    &[Fault::Delayed, Fault::Refused, Fault::ReplyLost, Fault::DiedBefore, Fault::DiedAfter];

#[test]
fn the_worlds_hold() {
    let number = |name| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let more = number("STEPWELL_SEEDS").unwrap_or(1);
    let only = std::env::var("STEPWELL_WORLD").ok();
    let is_wanted = |world: &&World| only.as_ref().is_none_or(|only| world.name == *only);
    let seeds = |world: &'static World| {
        (world.seeds.start * more..world.seeds.end * more).map(move |seed| (world, seed))
    };
    let all: Vec<_> = WORLDS.iter().filter(is_wanted).flat_map(seeds).collect();
    let (next, seen, broken) = (AtomicUsize::new(0), Mutex::new(Seen::default()), Mutex::new(vec![]));
    let work = || {
        while let Some((world, seed)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            match world.run(*seed) {
                Ok(new) => seen.lock().unwrap().add(&new),
                Err(Broken(what)) => {
                    broken.lock().unwrap().push(format!("{what}\n\nagain: {}", world.replay(*seed)));
                }
            }
            if broken.lock().unwrap().len() > 3 {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for at in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let thread = std::thread::Builder::new().name(format!("simulation {at}"));
            thread.spawn_scoped(scope, work).unwrap();
        }
    });
    let (seen, broken) = (seen.into_inner().unwrap(), broken.into_inner().unwrap());
    println!("{seen}");
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
    if only.is_none() {
        for (place, fault) in
            EXPECTED.iter().flat_map(|(place, faults)| faults.iter().map(move |f| (place, f)))
        {
            assert!(seen.faults.of(*place, *fault) > 0, "never {fault:?} at {place:?}");
        }
        assert!(seen.redrives > 1_000 && seen.given > 300 && seen.callbacks > 1_000, "{seen}");
    }
}
