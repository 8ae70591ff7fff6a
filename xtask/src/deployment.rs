//! The template with the real functions, deployed into an emulator of AWS (ministack) and driven by boto3.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::shell::{self, cargo, root, target};
use crate::{conformance, python};

/// Which tests.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Only these modules of tests/deployment, without `test_`
    suites: Vec<String>,
    /// Only the tests whose name holds this; with --conformance the cases whose id matches this regular expression
    #[arg(long)]
    only: Option<String>,
    /// The executions recorded on AWS instead, all or those of --only
    #[arg(long)]
    conformance: bool,
    /// Deploy, say where, and wait
    #[arg(long)]
    serve: bool,
    /// Without this line of infra/tests/permissions.txt, `ROLE | ACTION | RESOURCE`: fails where that goes unnoticed
    #[arg(long, conflicts_with_all = ["serve", "conformance"])]
    without: Option<String>,
}

/// The functions of the template.
const FUNCTIONS: [&str; 5] = ["start", "step", "timer", "callback", "api"];

const SCRIPT: &str = "tests/deployment/run.py";

/// The recorded executions that fail in the emulator and nowhere else.
const LIST: &str = "tests/deployment/expected-failures.txt";

/// Runs the tests with the program and the functions in `built`.
pub(crate) fn run(args: &Args, built: &Path) -> Result<()> {
    let python = python::environment("python-deployment", "tests/deployment/requirements.txt")?;
    let scratch = target().join("deployment");
    let _ = std::fs::remove_dir_all(&scratch);
    let functions = scratch.join("functions");
    std::fs::create_dir_all(&functions)?;
    for name in FUNCTIONS {
        strip(built, &functions, &format!("stepwell-function-{name}"))?;
    }
    let mut tests = Command::new(python);
    tests.current_dir(root()).env("PYTHONDONTWRITEBYTECODE", "1").env("STEPWELL", built.join("stepwell"));
    tests.arg(SCRIPT).arg("--functions").arg(&functions).arg("--scratch").arg(&scratch);
    if args.conformance {
        return recorded(args, tests, &scratch);
    }
    if let Some(only) = &args.only {
        tests.args(["--only", only]);
    }
    if args.serve {
        tests.arg("--serve");
    }
    if let Some(permission) = &args.without {
        tests.args(["--without", permission]);
    }
    if !args.suites.is_empty() {
        tests.arg("--suites").args(&args.suites);
    }
    shell::run(&mut tests)
}

/// Debug information is most of a binary, and each is packed, stored and unpacked.
fn strip(built: &Path, functions: &Path, name: &str) -> Result<()> {
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(functions.join(name)).arg(built.join(name));
    let status = strip.status().context("strip, which comes with the linker, cannot be started")?;
    ensure!(status.success(), "strip {name}: {status}");
    Ok(())
}

fn recorded(args: &Args, mut tests: Command, scratch: &Path) -> Result<()> {
    let recordings = root().join("../shared/conformance");
    if !recordings.join("run.py").exists() {
        println!("deployment: SKIPPED, as the recordings are not here (../shared/conformance)");
        return Ok(());
    }
    let results = scratch.join("results.json");
    tests.arg("--conformance").arg(recordings).arg("--results").arg(&results);
    if let Some(only) = &args.only {
        tests.args(["--cases", only]);
    }
    shell::run(&mut tests)?;
    conformance::judge_deployed(&results, LIST)
}

/// Builds the program and the functions; gives their folder.
pub(crate) fn build() -> Result<PathBuf> {
    let mut build = cargo();
    // The same selection each time, and a test of it: what cargo selects decides the features of what all share.
    build.args([
        "build",
        "--bins",
        "--test",
        "signatures",
        "--package",
        "stepwell",
        "--package",
        "stepwell-aws",
    ]);
    for name in FUNCTIONS {
        build.arg("--package").arg(format!("stepwell-function-{name}"));
    }
    shell::run(&mut build)?;
    Ok(target().join("debug"))
}

/// The same beside the tests that were just built: with the whole workspace's features, so that nothing is built twice.
pub(crate) fn build_tested() -> Result<PathBuf> {
    shell::run(cargo().args(["build", "--workspace", "--bins", "--test", "signatures"]))?;
    Ok(target().join("debug"))
}
