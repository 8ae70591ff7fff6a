//! Load on a server of our own, and an account of every execution afterwards (tests/bench, `load`).

use std::process::Command;

use anyhow::Result;

use crate::shell::{self, cargo, stepwell, target};

/// What load, and on what.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Clients that start executions, each as fast as it is answered
    #[arg(long, default_value_t = 64)]
    clients: u32,
    /// How long they do so
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Machines with their weights: W1 … W6, W4J; SLOW (two slow tasks), WAIT (a wait), BIG (a slow task over 200 kB) [default: a mix
    /// of W1 … W5]
    #[arg(long)]
    mix: Option<String>,
    /// How long a slow task takes, in milliseconds
    #[arg(long, default_value_t = 1000)]
    slow_ms: u32,
    /// Options of `stepwell local` besides, such as "--backlog 500"
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true)]
    server_args: Option<String>,
    /// How the program is built: release, fast or dev
    #[arg(long, default_value = "fast")]
    profile: String,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let program = stepwell(&args.profile)?;
    shell::run(cargo().args(["build", "--package", "stepwell-bench", "--profile", "fast"]).args([
        "--no-default-features",
        "--features",
        "load",
        "--bin",
        "load",
    ]))?;
    let folder = target().join("load-data");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    let mut load = Command::new(target().join("fast/load"));
    load.arg("--program").arg(program).arg("--folder").arg(&folder);
    load.args(["--clients", &args.clients.to_string(), "--seconds", &args.seconds.to_string()]);
    load.args(["--slow-ms", &args.slow_ms.to_string()]);
    for (name, value) in [("--mix", &args.mix), ("--server-args", &args.server_args)] {
        if let Some(value) = value {
            load.args([name, value]);
        }
    }
    // At any difference it ends with 1, and the store is left for who wants to know why.
    shell::run(&mut load)?;
    let _ = std::fs::remove_dir_all(&folder);
    Ok(())
}
