//! The CDK constructs, without an account: types, tests, synthesis of the example, and what cdk-nag says.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell::{self, root, target};

/// What the example is synthesised with in the place of the functions' binaries.
const FUNCTIONS: [&str; 5] = ["start", "step", "timer", "callback", "api"];

pub(crate) fn run() -> Result<()> {
    let folder = root().join("infra/cdk");
    install(&folder)?;
    shell::run(npm(&folder).args(["test", "--silent"])).context("the constructs' tests")?;
    let functions = target().join("cdk/functions");
    std::fs::create_dir_all(&functions)?;
    for name in FUNCTIONS {
        std::fs::write(functions.join(format!("{name}.zip")), format!("the function {name}"))?;
    }
    let mut synth = npm(&folder);
    synth.args(["run", "--silent", "synth", "--", "--output"]).arg(target().join("cdk/out"));
    shell::run(synth.env("FUNCTIONS", &functions)).context("the example")?;
    println!("cdk: the constructs deploy what the template does");
    Ok(())
}

/// Installs what the lock file says, where that is not what is installed.
fn install(folder: &Path) -> Result<()> {
    let (lock, stamp) = (folder.join("package-lock.json"), folder.join("node_modules/.installed-lock.json"));
    let wanted = std::fs::read(&lock).with_context(|| lock.display().to_string())?;
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let mut ci = npm(folder);
    ci.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]);
    shell::run(&mut ci).context("the CDK could not be installed: can npm reach a package registry?")?;
    std::fs::write(&stamp, wanted).with_context(|| stamp.display().to_string())
}

fn npm(folder: &Path) -> Command {
    let mut npm = Command::new("npm");
    npm.current_dir(folder).env("CDK_DISABLE_CLI_TELEMETRY", "true").env("NO_UPDATE_NOTIFIER", "1");
    npm
}
