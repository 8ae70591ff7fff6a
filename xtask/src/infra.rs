//! The template, without an account: what the SAM CLI, cfn-lint and checkov say of it, and whether it fits the code.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::python;
use crate::shell::root;

const TEMPLATE: &str = "infra/template.yaml";

/// What the macro made of an application's.
const TURNED: &str = "shared/aws/tests/templates/sam.turned.json";

/// Runs all of them at once.
pub(crate) fn run() -> Result<()> {
    let sam = python::environment("python-sam", "infra/requirements.txt")?;
    let checkov = python::environment("python-checkov", "infra/requirements-checkov.txt")?;
    let beside = |python: &Path, program: &str| Command::new(python.with_file_name(program));
    let mut validate = beside(&sam, "sam");
    validate.args(["validate", "--lint", "--template", TEMPLATE]);
    let mut lint = beside(&sam, "cfn-lint");
    lint.args(["--include-checks", "W", "--", TEMPLATE, TURNED]);
    let mut check = beside(&checkov, "checkov");
    check.args(["--config-file", "infra/checkov.yaml", "--file", TEMPLATE]);
    let mut tests = Command::new(&sam);
    tests.args(["-m", "unittest", "discover", "--start-directory", "infra/tests"]);
    let checks = [("sam validate", validate), ("cfn-lint", lint), ("checkov", check), ("its tests", tests)];
    let running: Vec<_> =
        checks.into_iter().map(|(name, command)| (name, std::thread::spawn(move || ran(command)))).collect();
    let mut failed = vec![];
    for (name, check) in running {
        let output = check.join().expect("running a program does not panic");
        let (output, took) = output.with_context(|| format!("cannot start {name}"))?;
        let seconds = took.as_secs();
        if output.status.success() {
            println!("infra: {name}: ok ({seconds} s)");
        } else {
            let (out, err) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            println!("infra: {name}: FAILED after {seconds} s\n{out}{err}");
            failed.push(name);
        }
    }
    ensure!(failed.is_empty(), "the template fails: {}", failed.join(", "));
    Ok(())
}

fn ran(mut command: Command) -> std::io::Result<(Output, Duration)> {
    let at = Instant::now();
    let output = command
        .current_dir(root())
        .env("SAM_CLI_TELEMETRY", "0")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()?;
    Ok((output, at.elapsed()))
}
