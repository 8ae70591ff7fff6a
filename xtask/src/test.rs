//! All the tests.

use anyhow::Result;

use crate::shell::{self, cargo, works};
use crate::{architecture, cdk, clients, conformance, deny, deployment, examples, fuzz, infra, simulate};

/// Which tests.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out what needs Python packages or long builds: the recorded executions, the
    /// clients, the template, its deployment, libFuzzer and cargo-deny
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run_all(quick: bool) -> Result<()> {
    shell::run(cargo().args(["fmt", "--all", "--check"]))?;
    shell::run(cargo().args(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))?;
    architecture::check()?;
    shell::run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    if works(cargo().args(["nextest", "--version"])) {
        shell::run(cargo().args(["nextest", "run", "--workspace", "--no-fail-fast"]))?;
        shell::run(cargo().args(["test", "--workspace", "--doc", "--quiet"]))?;
    } else {
        shell::run(cargo().args(["test", "--workspace", "--no-fail-fast"]))?;
    }
    simulate::planted()?;
    shell::run(
        cargo()
            .args(["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"])
            .env("RUSTDOCFLAGS", "-D rustdoc::broken_intra_doc_links"),
    )?;
    let program = shell::tested_stepwell()?;
    examples::run(&program)?;
    if !quick {
        deny::check()?;
        infra::run()?;
        cdk::run()?;
        conformance::run(&conformance::Args::default(), &program)?;
        clients::run(&clients::Args::default(), &program)?;
        deployment::run(&deployment::Args::default(), &deployment::build_tested()?)?;
        fuzz::run_briefly()?;
    }
    Ok(())
}

pub(crate) fn run(args: &Args) -> Result<()> {
    run_all(args.quick)?;
    println!("all tests passed");
    Ok(())
}
