//! What the workloads cost in AWS (see tests/cost): every request counted and priced.

use anyhow::Result;

use crate::shell::{self, cargo, target};

/// What to price.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Workloads: W1 … W7, W4J, order
    #[arg(default_values_t = ["W1", "W2", "W3", "W4", "W4J", "W5", "W6", "W7", "order"].map(str::to_owned))]
    workloads: Vec<String>,
    /// Executions that come in batches of ten
    #[arg(long, default_value_t = 100)]
    executions: u32,
    /// Executions that come alone
    #[arg(long, default_value_t = 10)]
    alone: u32,
    /// Megabytes of memory of the functions
    #[arg(long, default_value_t = 256)]
    memory: u32,
    /// x86 in place of Arm
    #[arg(long)]
    x86: bool,
    /// What stands before the function `start`: function-url, http-api or rest-api
    #[arg(long, default_value = "function-url")]
    front: String,
    /// How long the tasks' own functions take, in milliseconds
    #[arg(long, default_value_t = 100)]
    task_ms: u32,
    /// Another price file than tests/cost/prices-2026-11.toml
    #[arg(long)]
    prices: Option<std::path::PathBuf>,
    /// How the functions are built: dev (with our own crates optimised), fast or release
    #[arg(long, default_value = "dev")]
    profile: String,
}

/// Builds the functions and the services' stand-ins, and runs the workloads.
pub(crate) fn run(args: &Args) -> Result<()> {
    // What is measured of them is processor time: ours must not be that of a debug build.
    let mut build = cargo();
    build.args(["build", "--package", "stepwell-cost", "--locked", "--profile", &args.profile]);
    shell::run(build.env("CARGO_PROFILE_DEV_OPT_LEVEL", "2"))?;
    let folder = if args.profile == "dev" { "debug" } else { &args.profile };
    let mut cost = std::process::Command::new(target().join(folder).join("stepwell-cost"));
    cost.current_dir(shell::root()).arg("--emulator-target").arg(target().join("emulator"));
    cost.args(["--workloads", &args.workloads.join(",")]);
    for (option, number) in [
        ("--executions", args.executions),
        ("--alone", args.alone),
        ("--memory", args.memory),
        ("--task-ms", args.task_ms),
    ] {
        cost.args([option, &number.to_string()]);
    }
    cost.args(["--front", &args.front]);
    if args.x86 {
        cost.arg("--x86");
    }
    if let Some(prices) = &args.prices {
        cost.arg("--prices").arg(prices);
    }
    shell::run(&mut cost)
}
