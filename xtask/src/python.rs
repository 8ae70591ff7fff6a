//! Pythons of our own, under the target folder: one for each list of packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell::{self, root, target};

/// What the clients are.
const CLIENTS: &str = "tests/clients/requirements.txt";

/// The interpreter with boto3 and the AWS CLI.
pub(crate) fn python() -> Result<PathBuf> {
    environment("python", CLIENTS)
}

/// The interpreter of the virtual environment `name`, with what the file `requirements` lists. It is made where it is not there,
/// and brought up to date where the list changed.
pub(crate) fn environment(name: &str, requirements: &str) -> Result<PathBuf> {
    let folder = target().join(name);
    let (wanted, stamp) = (root().join(requirements), folder.join("requirements.txt"));
    let python = folder.join("bin/python");
    let text = std::fs::read_to_string(&wanted).with_context(|| wanted.display().to_string())?;
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == text) && python.exists() {
        return Ok(python);
    }
    if !python.exists() {
        shell::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    }
    install(&python, &wanted)?;
    std::fs::write(&stamp, text).with_context(|| stamp.display().to_string())?;
    Ok(python)
}

fn install(python: &Path, requirements: &Path) -> Result<()> {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    shell::run(pip.arg(requirements)).with_context(|| {
        format!("{} could not be installed: can pip reach a package registry?", requirements.display())
    })
}
