//! The worst definitions and inputs that we know of (see tests/limits), each in a process of its own.

use anyhow::Result;

use crate::shell::{self, cargo};

/// Which attacks.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Parts of the names of those to run, such as `path/` or `distinct`; all, where there are none
    names: Vec<String>,
    /// Seconds after which one is over, and within which each of its decisions must be
    #[arg(long, default_value_t = 30)]
    seconds: u32,
    /// How the program is built: release, fast or dev
    #[arg(long, default_value = "fast")]
    profile: String,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let seconds = args.seconds.to_string();
    let build = ["run", "--package", "stepwell-limits", "--bin", "attack", "--profile", &args.profile, "--"];
    shell::run(cargo().args(build).args(["--seconds", &seconds]).args(&args.names))
}
