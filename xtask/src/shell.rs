//! Running other programs.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

/// The checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The cargo that runs us, in the checkout.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs `command` to its end, which must be a good one.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    eprintln!("$ {shown}");
    let status = command.status().with_context(|| format!("cannot start {shown}"))?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// What `command` prints on standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {shown}"))?;
    if !output.status.success() {
        bail!("{shown}: {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether `command` can be started and ends well.
pub(crate) fn works(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The path of the program, built by `profile` (`dev`, `fast` or `release`).
pub(crate) fn stepwell(profile: &str) -> Result<PathBuf> {
    run(cargo().args(["build", "--package", "stepwell", "--profile", profile]))?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target().join(folder).join("stepwell"))
}

/// The program as the tests have just built it. (Asked for alone, its dependencies would have other features, and be
/// built a second time.)
pub(crate) fn tested_stepwell() -> Result<PathBuf> {
    let path = target().join("debug/stepwell");
    anyhow::ensure!(path.is_file(), "the tests have not built {}", path.display());
    Ok(path)
}

/// A program of cargo's, such as `cargo-deny`: the machine's own, or one that is built once and kept beneath the target folder.
pub(crate) fn installed(name: &str) -> Result<PathBuf> {
    if works(Command::new(name).arg("--version")) {
        return Ok(name.into());
    }
    let tools = target().join("tools");
    let program = tools.join("bin").join(name);
    if !program.exists() {
        eprintln!("{name} is not installed: building it once, under {}", tools.display());
        run(cargo()
            .args(["install", name, "--locked", "--quiet", "--root"])
            .arg(&tools)
            .env("CARGO_TARGET_DIR", tools.join("build")))
        .with_context(|| format!("installing {name}"))?;
        let _ = std::fs::remove_dir_all(tools.join("build"));
    }
    Ok(program)
}

/// A process that is killed when this is dropped.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn show(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    words.join(" ")
}
