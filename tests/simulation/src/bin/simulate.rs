//! Runs worlds, seed after seed: `cargo xtask simulate --help`.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stepwell_simulation::Broken;
use stepwell_simulation::worlds::{Seen, WORLDS, World, world};

/// How often the count is printed.
const TELLS_EVERY: Duration = Duration::from_secs(10);

/// What is to be run.
#[derive(Default)]
struct Args {
    world: Option<&'static World>,
    /// This seed alone, and what happens is printed.
    seed: Option<u64>,
    from: u64,
    seeds: Option<u64>,
    minutes: Option<f64>,
    trace: bool,
}

fn args() -> Result<Args, String> {
    let mut args = Args::default();
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        if name == "--trace" {
            args.trace = true;
            continue;
        }
        let value = given.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|error| format!("{name} {value}: {error}"));
        match &*name {
            "--world" => args.world = Some(world(&value).ok_or_else(|| unknown(&value))?),
            "--seed" => args.seed = Some(number()?),
            "--from" => args.from = number()?,
            "--seeds" => args.seeds = Some(number()?),
            "--minutes" => {
                args.minutes = Some(value.parse().map_err(|error| format!("{name} {value}: {error}"))?);
            }
            _ => {
                return Err(format!(
                    "{name} is none of --world, --seed, --from, --seeds, --minutes, --trace"
                ));
            }
        }
    }
    Ok(args)
}

fn unknown(name: &str) -> String {
    let names: Vec<_> = WORLDS.iter().map(|world| world.name).collect();
    format!("no world is called {name}: there are {}", names.join(", "))
}

/// One seed of one world.
fn replay(world: &World, seed: u64, trace: bool) -> bool {
    match if trace { world.trace(seed) } else { world.run(seed) } {
        Ok(seen) => {
            println!("{seen}");
            true
        }
        Err(Broken(what)) => {
            println!("{what}\n\nagain: {}", world.replay(seed));
            false
        }
    }
}

/// Seed after seed in all worlds, until one fails, the time or the seeds are over, or somebody stops it.
fn explore(args: &Args) -> bool {
    let worlds: Vec<_> =
        WORLDS.iter().filter(|w| args.world.is_none_or(|only| only.name == w.name)).collect();
    let began = Instant::now();
    let ends = args.minutes.map(|minutes| began + Duration::from_secs_f64(minutes * 60.0));
    let most = args.seeds.map_or(u64::MAX, |seeds| seeds.saturating_mul(worlds.len() as u64));
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let seen = Mutex::new((Seen::default(), began));
    let lock = || seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let work = || {
        while !failed.load(Ordering::Relaxed) && ends.is_none_or(|ends| Instant::now() < ends) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= most {
                return;
            }
            let (world, seed) =
                (worlds[(at % worlds.len() as u64) as usize], args.from + at / worlds.len() as u64);
            let ran = world.run(seed);
            let (seen, told) = &mut *lock();
            match ran {
                Ok(new) => seen.add(&new),
                Err(Broken(what)) => {
                    failed.store(true, Ordering::Relaxed);
                    println!("{what}\n\nagain: {}", world.replay(seed));
                }
            }
            if told.elapsed() > TELLS_EVERY {
                *told = Instant::now();
                println!("after {:.0} s: {seen}", began.elapsed().as_secs_f64());
            }
        }
    };
    std::thread::scope(|scope| {
        for at in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let thread = std::thread::Builder::new().name(format!("simulation {at}"));
            if let Err(error) = thread.spawn_scoped(scope, work) {
                println!("a thread could not be started: {error}");
            }
        }
    });
    println!("{:.0} s: {}", began.elapsed().as_secs_f64(), lock().0);
    !failed.into_inner()
}

fn main() -> ExitCode {
    let args = match args() {
        Ok(args) => args,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let holds = match (args.seed, args.world) {
        (Some(_), None) => {
            eprintln!("--seed needs --world");
            return ExitCode::from(2);
        }
        (Some(seed), Some(world)) => replay(world, seed, args.trace),
        (None, _) => explore(&args),
    };
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
