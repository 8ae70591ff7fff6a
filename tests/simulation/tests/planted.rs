//! Bugs are planted in the engine, and each must be caught by an invariant within a bounded number of seeds.
//!
//! `cargo xtask planted` runs this and prints which invariant caught which bug, in which world, after how many seeds.
//! `STEPWELL_BUG=TokenReusable` plants that one alone, and `STEPWELL_WORLD=crowds` hunts in that world alone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use stepwell_engine::{Bug, plant};
use stepwell_simulation::Broken;
use stepwell_simulation::worlds::{WORLDS, World, world};

/// Seeds of all worlds together after which a bug is not caught.
const SEEDS_MAX: u64 = 3_000;

/// Which bug was caught by what.
struct Caught {
    bug: Bug,
    seeds: u64,
    by: Option<(String, String)>,
}

impl fmt::Display for Caught {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, what) = self.by.clone().unwrap_or(("".into(), "NOT CAUGHT".into()));
        let what: String = what.lines().next().unwrap_or_default().chars().take(100).collect();
        write!(f, "{:<25}{:>5}   {at:<30} {what}", format!("{:?}", self.bug), self.seeds)
    }
}

/// The world that goes wrong in just the way that shows a bug, where few others do.
fn home(bug: Bug) -> Option<&'static World> {
    world(match bug {
        Bug::FenceIgnored => "short_leases",
        Bug::BurialCountsAsPage => "short_slices",
        Bug::StopOfAnotherEpoch | Bug::FinishNotConditional => "stops_and_redrives",
        Bug::TimerForgotten => "clocks",
        _ => return None,
    })
}

/// Tries seed after seed, world by world, until an invariant does not hold.
fn hunt(bug: Bug) -> Caught {
    plant(Some(bug));
    let only = std::env::var("STEPWELL_WORLD").ok();
    let is_wanted = |world: &&World| only.as_ref().is_none_or(|only| world.name == *only);
    let worlds: Vec<_> = WORLDS.iter().filter(is_wanted).collect();
    let tries = (0..SEEDS_MAX).map(|at| {
        let (turn, home) = (at / 2, home(bug).filter(|_| only.is_none()));
        let (world, nth) = match home {
            Some(home) if at % 2 == 0 => (home, turn),
            Some(_) => (worlds[turn as usize % worlds.len()], turn / worlds.len() as u64),
            None => (worlds[at as usize % worlds.len()], at / worlds.len() as u64),
        };
        let seed = world.seeds.start + nth;
        (at + 1, world, seed, world.run(seed))
    });
    let caught = tries.into_iter().find_map(|(seeds, world, seed, ran)| match ran {
        Ok(_) => None,
        Err(Broken(what)) => Some((seeds, format!("{} {seed}", world.name), what)),
    });
    plant(None);
    match caught {
        Some((seeds, at, what)) => Caught { bug, seeds, by: Some((at, what)) },
        None => Caught { bug, seeds: SEEDS_MAX, by: None },
    }
}

#[test]
fn planted_bugs_are_caught() {
    let only = std::env::var("STEPWELL_BUG").ok();
    let is_wanted = |bug: &Bug| only.as_ref().is_none_or(|only| format!("{bug:?}") == *only);
    let bugs: Vec<_> = Bug::ALL.into_iter().filter(is_wanted).collect();
    let (next, caught) = (AtomicUsize::new(0), Mutex::new(vec![]));
    let work = || {
        while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let one = hunt(*bug);
            println!("{one}");
            caught.lock().unwrap().push(one);
        }
    };
    std::thread::scope(|scope| {
        for at in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let thread = std::thread::Builder::new().name(format!("simulation {at}"));
            thread.spawn_scoped(scope, work).unwrap();
        }
    });
    let caught: Vec<Caught> = caught.into_inner().unwrap();
    let missed: Vec<_> = caught.iter().filter(|one| one.by.is_none()).map(|one| one.bug).collect();
    println!("{} planted bugs, {} caught", caught.len(), caught.len() - missed.len());
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
