//! What the function `step` weighs: its size, how soon it is there, and its memory.

use anyhow::Result;
use serde_json::Value;

use crate::shell::{self, cargo, output, target};

/// What to weigh.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How the function is built: lambda (as it is deployed; its link takes minutes), fast or dev
    #[arg(long, default_value = "lambda")]
    profile: String,
}

/// The bars: bytes, milliseconds, megabytes.
const BARS: [(&str, f64); 3] = [("binary_bytes", 8e6), ("init_ms_median", 15.0), ("peak_rss_mb", 40.0)];

pub(crate) fn run(args: &Args) -> Result<()> {
    let function = "stepwell-function-step";
    shell::run(cargo().args(["build", "--package", function, "--profile", &args.profile]))?;
    shell::run(cargo().args(["build", "--package", "stepwell-test-lambda"]))?;
    let folder = if args.profile == "dev" { "debug" } else { &args.profile };
    let mut measure = std::process::Command::new(target().join("debug/stepwell-test-lambda"));
    let line = output(measure.arg(target().join(folder).join(function)).arg(target()))?;
    println!("{}", line.trim());
    let figures: Value = serde_json::from_str(&line)?;
    for (name, bar) in BARS {
        println!("{name}: {} (bar: {bar})", figures[name]);
    }
    Ok(())
}
