//! The program under SIGKILL: `local/tests/kills`, for as long as one wants.

use anyhow::Result;

use crate::shell::{self, cargo};

/// How often, and by which seed.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often the program is killed
    #[arg(long, default_value_t = 200)]
    kills: u64,
    /// What is drawn comes from this; another one each time where it is left out
    #[arg(long)]
    seed: Option<u64>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut test = cargo();
    // As all the tests are built, so that nothing is built twice.
    test.args(["test", "--workspace", "--test", "kills", "--", "--nocapture"]);
    test.env("STEPWELL_KILLS", args.kills.to_string());
    if let Some(seed) = args.seed {
        test.env("STEPWELL_SEED", seed.to_string());
    }
    shell::run(&mut test)
}
