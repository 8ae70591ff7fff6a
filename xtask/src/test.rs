//! All the tests.

use anyhow::{Context, Result};

use crate::shell::{self, cargo, root, target, works};
use crate::{architecture, cdk, clients, conformance, deployment, examples, infra};

/// Which tests.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out what needs Python packages or long builds: the recorded executions, the
    /// clients, the template, its deployment and cargo-deny
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run_all(quick: bool) -> Result<()> {
    shell::run(cargo().args(["fmt", "--all", "--check"]))?;
    architecture::check()?;
    shell::run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    if works(cargo().args(["nextest", "--version"])) {
        shell::run(cargo().args(["nextest", "run", "--workspace", "--no-fail-fast"]))?;
        shell::run(cargo().args(["test", "--workspace", "--doc", "--quiet"]))?;
    } else {
        shell::run(cargo().args(["test", "--workspace", "--no-fail-fast"]))?;
    }
    shell::run(
        cargo()
            .args(["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"])
            .env("RUSTDOCFLAGS", "-D rustdoc::broken_intra_doc_links"),
    )?;
    let program = shell::tested_stepwell()?;
    examples::run(&program)?;
    if !quick {
        deny()?;
        infra::run()?;
        cdk::run()?;
        conformance::run(&conformance::Args::default(), &program)?;
        clients::run(&clients::Args::default(), &program)?;
        deployment::run(&deployment::Args::default(), &deployment::build_tested()?)?;
    }
    Ok(())
}

pub(crate) fn run(args: &Args) -> Result<()> {
    run_all(args.quick)?;
    println!("all tests passed");
    Ok(())
}

/// Licences, bans and sources. (Advisories live outside the package registries, which is all that tests may reach.)
pub(crate) fn deny() -> Result<()> {
    let tools = target().join("tools");
    let installed = tools.join("bin/cargo-deny");
    let program = if works(std::process::Command::new("cargo-deny").arg("--version")) {
        "cargo-deny".into()
    } else {
        if !installed.exists() {
            eprintln!("cargo-deny is not installed: building it once, under {}", tools.display());
            shell::run(
                cargo()
                    .args(["install", "cargo-deny", "--locked", "--quiet", "--root"])
                    .arg(&tools)
                    .env("CARGO_TARGET_DIR", tools.join("build")),
            )
            .context("installing cargo-deny")?;
            let _ = std::fs::remove_dir_all(tools.join("build"));
        }
        installed
    };
    // The emulator for tests stands outside the workspace, under the same rules.
    for manifest in ["Cargo.toml", "tests/emulator/Cargo.toml"] {
        shell::run(
            std::process::Command::new(&program)
                .current_dir(root())
                .args(["--config", "deny.toml", "--manifest-path", manifest])
                .args(["check", "licenses", "bans", "sources"]),
        )?;
    }
    Ok(())
}
