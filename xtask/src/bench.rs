//! Timings of the workloads against a server of our own (see tests/bench). Nothing is judged here.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cost;
use crate::lambda;
use crate::load;
use crate::server;
use crate::shell::{self, Running, cargo, output, stepwell, target};

/// What to time.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    instead: Option<Instead>,
    /// Workloads: W1 … W7, W4J
    #[arg(default_values_t = ["W1", "W2", "W3", "W4", "W4J", "W5", "W6", "W7"].map(str::to_owned))]
    workloads: Vec<String>,
    /// Seconds for each run
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// How the program is built: release, fast or dev
    #[arg(long, default_value = "fast")]
    profile: String,
    /// Also run `floor` (HTTP, one parse, rows durable in SQLite) in the same minute
    #[arg(long)]
    floor: bool,
    /// Describe executions meanwhile, with this many clients
    #[arg(long, default_value_t = 0)]
    describe: u32,
    /// Only time listings, over a store with this many executions that have ended
    #[arg(long, value_name = "COUNT")]
    listing: Option<u64>,
}

#[derive(clap::Subcommand)]
enum Instead {
    /// What the workloads cost in AWS: every request counted and priced
    Cost(cost::Args),
    /// What the function `step` weighs: size, init, memory
    Lambda(lambda::Args),
    /// Many clients at full rate with a mix of workloads, and then an account of every execution
    Load(load::Args),
}

pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.instead {
        Some(Instead::Cost(args)) => return cost::run(args),
        Some(Instead::Lambda(args)) => return lambda::run(args),
        Some(Instead::Load(args)) => return load::run(args),
        None => {}
    }
    let program = stepwell(&args.profile)?;
    shell::run(cargo().args(["build", "--package", "stepwell-bench", "--profile", "fast"]))?;
    let tools = target().join("fast");
    let scratch = target().join("bench-data");
    let _ = std::fs::remove_dir_all(&scratch);
    std::fs::create_dir_all(&scratch)?;
    if let Some(count) = args.listing {
        return listing(&program, &tools, &scratch, count);
    }
    let port = server::free_port()?;
    let _stub = Running(
        Command::new(tools.join("stub"))
            .args(["--port", &port.to_string()])
            .stdout(Stdio::null())
            .spawn()
            .context("stub")?,
    );
    let started = Instant::now();
    let (server, endpoint) =
        server::serve(&mut server::with_lambda(server::local(&program, &scratch), port))?;
    println!("serving after {} ms", started.elapsed().as_millis());
    println!("at rest: {} MiB", resident_mib(server.0.id()));
    for workload in &args.workloads {
        for concurrency in concurrencies(workload).iter().copied() {
            let mut bench = Command::new(tools.join("bench"));
            bench.args(["--endpoint", &endpoint, "--workload", workload, "--concurrency", concurrency]);
            bench.args(["--lambda-endpoint", &format!("http://127.0.0.1:{port}")]);
            bench.args(["--server-pid", &server.0.id().to_string()]);
            if args.describe > 0 {
                bench.args(["--describe", &args.describe.to_string()]);
            }
            if workload == "W7" {
                bench.args(["--executions", "10000", "--seconds", "30"]);
            } else {
                bench.args(["--seconds", &args.seconds.to_string()]);
            }
            show(workload, concurrency, &output(&mut bench)?);
        }
    }
    if args.floor {
        floor(&tools, &scratch, args.seconds)?;
    }
    Ok(())
}

/// Times ListExecutions over a store that `fill` has filled.
fn listing(program: &Path, tools: &Path, scratch: &Path, count: u64) -> Result<()> {
    let arns = {
        let (_server, endpoint) = server::serve(&mut server::local(program, scratch))?;
        output(Command::new(tools.join("listing")).args(["--endpoint", &endpoint, "--setup"]))?
    };
    let arns: Value = serde_json::from_str(arns.trim())?;
    let arn = |name: &str| arns[name].as_str().unwrap_or_default().to_owned();
    let mut fill = Command::new(tools.join("fill"));
    fill.arg("--data-dir").arg(scratch.join("data")).args(["--count", &count.to_string()]);
    fill.args([
        "--machine-arn",
        &arn("machine"),
        "--version-arn",
        &arn("version"),
        "--alias-arn",
        &arn("alias"),
    ]);
    shell::run(&mut fill)?;
    let started = Instant::now();
    let (server, endpoint) = server::serve(&mut server::local(program, scratch))?;
    println!("serving after {} ms", started.elapsed().as_millis());
    let mut listing = Command::new(tools.join("listing"));
    shell::run(listing.args(["--endpoint", &endpoint, "--machine-arn", &arn("machine")]))?;
    println!("server: {} MiB", resident_mib(server.0.id()));
    Ok(())
}

fn floor(tools: &Path, scratch: &Path, seconds: u32) -> Result<()> {
    let port = server::free_port()?.to_string();
    let floor = Command::new(tools.join("floor"))
        .args(["--port", &port, "--db"])
        .arg(scratch.join("floor.db"))
        .stdout(Stdio::null())
        .spawn()
        .context("floor")?;
    let floor = Running(floor);
    while std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
        std::thread::yield_now();
    }
    for (workload, path, concurrency) in
        [("W1", "/batch/200", "16"), ("W2", "/chain/10", "16"), ("W5", "/chain/1", "16")]
    {
        let mut bench = Command::new(tools.join("bench"));
        bench.args([
            "--endpoint",
            &format!("http://127.0.0.1:{port}"),
            "--workload",
            workload,
            "--http-path",
            path,
        ]);
        bench.args(["--concurrency", concurrency, "--seconds", &seconds.to_string()]);
        bench.args(["--server-pid", &floor.0.id().to_string()]);
        show(&format!("floor {path}"), concurrency, &output(&mut bench)?);
    }
    Ok(())
}

fn concurrencies(workload: &str) -> &'static [&'static str] {
    match workload {
        "W1" | "W2" => &["1", "16", "64"],
        "W3" | "W4" | "W4J" => &["1", "4"],
        "W5" => &["16", "64"],
        "W6" => &["1", "16"],
        _ => &["16"],
    }
}

fn show(workload: &str, concurrency: &str, line: &str) {
    let Ok(figures) = serde_json::from_str::<Value>(line.trim()) else {
        println!("{workload} at {concurrency}: {line}");
        return;
    };
    let wanted = [
        "executions_per_s",
        "p50_ms",
        "p99_ms",
        "describe_p50_ms",
        "describe_p99_ms",
        "describes",
        "server_cpu_ms_per_execution",
        "server_cpu_s",
        "executions",
        "errors",
        "server_rss_mb",
        "kib_each",
        "idle_cpu_percent",
        "rss_mb_after_idle",
        "other_cpu_s",
    ];
    let mut shown: Vec<_> =
        wanted.iter().filter_map(|name| figures.get(*name).map(|value| format!("{name} {value}"))).collect();
    if let (Some(cpu), Some(n)) = (figures["server_cpu_s"].as_f64(), figures["executions"].as_f64()) {
        shown.push(format!("cpu {:.3} ms each", cpu * 1000.0 / n.max(1.0)));
    }
    println!("{workload} at {concurrency}: {}", shown.join(", "));
}

fn resident_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
