//! Every chore of the project: `cargo xtask --help`.

mod advisories;
mod api_model;
mod architecture;
mod attack;
mod audit;
mod bench;
mod cdk;
mod clients;
mod conformance;
mod cost;
mod deny;
mod deployment;
mod examples;
mod fuzz;
mod infra;
mod kills;
mod lambda;
mod load;
mod models;
mod python;
mod server;
mod shell;
mod simulate;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Every chore of the project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// All the tests: format, lints, dependencies, unit and integration tests, examples, the recorded executions,
    /// stock clients
    Test(test::Args),
    /// Run the recorded executions against a server of our own, through boto3
    Conformance(conformance::Args),
    /// Drive a server of our own with boto3, the AWS CLI and AWS's SDKs
    Clients(clients::Args),
    /// Deploy the template into an emulator of AWS, and drive it
    Deployment(deployment::Args),
    /// Run the examples as a reader of the README would
    Examples,
    /// Check the arrows between the crates
    Architecture,
    /// Check the template that deploys Stepwell: the SAM CLI, cfn-lint, checkov, and whether it fits the code
    Infra,
    /// Check the CDK constructs: their tests, the example, cdk-nag
    Cdk,
    /// Check the dependencies' licences and sources with cargo-deny, installing it if need be, and do `audit`
    Deny,
    /// Check the dependencies against RustSec's advisories: those that are recorded, or a clone of its database
    Audit(audit::Args),
    /// Read what nobody means well with: every reader under libFuzzer (on stable where there is no nightly compiler)
    Fuzz(fuzz::Args),
    /// Run the engine in simulated worlds where everything goes wrong, until one does not hold
    Simulate(simulate::Args),
    /// Plant bugs in the engine, and see that the simulation catches each
    Planted,
    /// Time the workloads against a server of our own, or price them in AWS (`bench cost`)
    Bench(bench::Args),
    /// Kill the program again and again while clients use it, and count what is left
    Kills(kills::Args),
    /// Run the worst definitions and inputs that we know of, and print their times and memory
    Attack(attack::Args),
    /// Draw the tables of shared/models, and the API that wire is tested against, out of botocore's service models
    Models(models::Args),
    /// Build the console
    Console,
    /// Build the program as it is released
    Release,
}

fn main() -> Result<ExitCode> {
    match Cli::parse().chore {
        Chore::Test(args) => test::run(&args)?,
        Chore::Conformance(args) => conformance::run(&args, &shell::stepwell("dev")?)?,
        Chore::Clients(args) => clients::run(&args, &shell::stepwell("dev")?)?,
        Chore::Deployment(args) => deployment::run(&args, &deployment::build()?)?,
        Chore::Examples => examples::run(&shell::stepwell("dev")?)?,
        Chore::Architecture => architecture::check()?,
        Chore::Infra => infra::run()?,
        Chore::Cdk => cdk::run()?,
        Chore::Deny => deny::check()?,
        Chore::Audit(args) => audit::run(&args)?,
        Chore::Fuzz(args) => fuzz::run(&args)?,
        Chore::Simulate(args) => simulate::run(&args)?,
        Chore::Planted => simulate::planted()?,
        Chore::Bench(args) => bench::run(&args)?,
        Chore::Kills(args) => kills::run(&args)?,
        Chore::Attack(args) => attack::run(&args)?,
        Chore::Models(args) => models::run(&args)?,
        Chore::Console => anyhow::bail!("there is no console yet: console/ holds its plan only"),
        Chore::Release => {
            shell::run(shell::cargo().args(["build", "--release", "--package", "stepwell", "--locked"]))?;
            println!("target/release/stepwell");
        }
    }
    Ok(ExitCode::SUCCESS)
}
