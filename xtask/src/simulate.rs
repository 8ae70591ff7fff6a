//! The simulation: worlds in which everything goes wrong, seed after seed.

use anyhow::Result;

use crate::shell::{self, cargo};

/// Which worlds, and how long. Without any of these: all of them, until one fails or it is stopped.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// This world alone
    #[arg(long)]
    world: Option<String>,
    /// This seed of that world alone
    #[arg(long, requires = "world")]
    seed: Option<u64>,
    /// Print what happens in it
    #[arg(long, requires = "seed")]
    trace: bool,
    /// The first seed
    #[arg(long, default_value_t = 100_000)]
    from: u64,
    /// So many seeds of each world
    #[arg(long)]
    seeds: Option<u64>,
    /// So many minutes
    #[arg(long)]
    minutes: Option<f64>,
}

/// Runs worlds until they are done with, or one does not hold.
pub(crate) fn run(args: &Args) -> Result<()> {
    // One seed is soon done; many are worth a longer build.
    let profile = if args.seed.is_some() { "dev" } else { "fast" };
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "stepwell-simulation", "--bin", "simulate"]);
    command.args(["--profile", profile, "--", "--from", &args.from.to_string()]);
    let numbers = [
        ("--seed", args.seed.map(|seed| seed.to_string())),
        ("--seeds", args.seeds.map(|seeds| seeds.to_string())),
        ("--minutes", args.minutes.map(|minutes| minutes.to_string())),
        ("--world", args.world.clone()),
    ];
    for (name, value) in numbers {
        command.args(value.map(|value| [name.to_owned(), value]).into_iter().flatten());
    }
    if args.trace {
        command.arg("--trace");
    }
    shell::run(&mut command)
}

/// Plants bugs in the engine, one by one, and runs worlds until each is caught.
pub(crate) fn planted() -> Result<()> {
    // With the whole workspace, so that its dependencies are the ones that are built already.
    let feature = ["--features", "stepwell-simulation/planted-bugs"];
    shell::run(
        cargo().args(["test", "--workspace", "--test", "planted"]).args(feature).args(["--", "--nocapture"]),
    )
}
