//! The program `stepwell`.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use stepwell::cli::{graph, keys, proxy, run, serve, validate};
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;

/// AWS Step Functions on your own machine: runs Amazon States Language state machines exactly as AWS does.
///
/// Try it:
///
///   stepwell run examples/order-processing
///
///   stepwell local &   then   aws stepfunctions --endpoint-url http://127.0.0.1:8083 list-state-machines
///
/// STEPWELL_LOG=debug shows what the program itself has to say (a filter in tracing's syntax).
#[derive(Debug, Parser)]
#[command(name = "stepwell", version, verbatim_doc_comment, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Local(serve::Args),
    Proxy(proxy::Args),
    Keys(keys::Args),
    Validate(validate::Args),
    Graph(graph::Args),
}

fn main() -> ExitCode {
    run(Cli::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(cli: Cli) -> Result<ExitCode> {
    let filter =
        EnvFilter::try_from_env("STEPWELL_LOG").unwrap_or_else(|_| EnvFilter::new("warn,aws_config=error"));
    let coloured = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_ansi(coloured).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines).with(filter).with(filter_fn(says_no_secrets)).init();
    match cli.command {
        Command::Run(args) => runtime()?.block_on(args.run()),
        Command::Local(args) => runtime()?.block_on(args.run()),
        Command::Proxy(args) => runtime()?.block_on(args.run()),
        Command::Keys(args) => runtime()?.block_on(args.run()),
        Command::Validate(args) => args.run(),
        Command::Graph(args) => args.run(),
    }
}

/// AWS's libraries write whole answers at their finer levels, keys among them: whatever is asked for, those stay out.
fn says_no_secrets(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || !metadata.target().starts_with("aws_")
}

/// One thread for every two cores: the store's writer, and whoever is served, need the others. On two cores a second
/// thread costs more in wake-ups than it brings.
fn runtime() -> Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads((cores / 2).max(1)).enable_all().build()?)
}
