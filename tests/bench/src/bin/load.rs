//! Load on a server of our own, and an account of every execution (see README.md).
//!   load --program PATH --folder DIR [--clients 64] [--seconds 60] [--executions N] [--mix W1:30,…] [--slow-ms 1000]
//!        [--drain-seconds 600] [--server-args "--option value …"]
//! Prints one line of JSON, and a table to standard error. Ends with 1 at any difference.
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use stepwell_bench::Args;
use stepwell_bench::client::Err;
use stepwell_bench::load::{self, MIX, Plan};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Err> {
    let args = Args::from_command_line();
    let plan = Plan {
        program: PathBuf::from(args.get("--program").ok_or("--program says which stepwell")?),
        folder: PathBuf::from(args.get("--folder").ok_or("--folder says where its data go")?),
        server_args: args
            .get("--server-args")
            .map(|all| all.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default(),
        clients: args.num("--clients", 64),
        duration: Duration::from_secs_f64(args.num("--seconds", 60.0)),
        executions: args.num("--executions", u64::MAX),
        mix: load::mix(&args.get("--mix").unwrap_or_else(|| MIX.to_owned()))?,
        slow: Duration::from_millis(args.num("--slow-ms", 1000)),
        drain_max: Duration::from_secs(args.num("--drain-seconds", 600)),
    };
    let report = load::run(&plan).await?;
    println!("{}", report.figures);
    eprint!("{}", report.table());
    Ok(if report.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
