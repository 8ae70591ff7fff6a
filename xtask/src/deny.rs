//! What may be depended on: cargo-deny, by `deny.toml`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::audit;
use crate::shell::{self, cargo, root, target, works};

/// Everything that has dependencies. The emulator for tests stands outside the workspace, under the same rules.
pub(crate) const MANIFESTS: [&str; 2] = ["Cargo.toml", "tests/emulator/Cargo.toml"];

/// Licences, bans, sources, and withdrawn versions. (Advisories live outside the package registries, which is all that tests
/// may reach: `audit`.)
///
/// # Errors
/// What is not allowed.
pub(crate) fn check() -> Result<()> {
    let program = program()?;
    for manifest in MANIFESTS {
        shell::run(
            Command::new(&program)
                .current_dir(root())
                .args(["--config", "deny.toml", "--manifest-path", manifest])
                .args(["check", "licenses", "bans", "sources"]),
        )?;
    }
    audit::withdrawn()
}

/// cargo-deny, which is built once where it is not installed.
///
/// # Errors
/// Where it cannot be built.
pub(crate) fn program() -> Result<PathBuf> {
    if works(Command::new("cargo-deny").arg("--version")) {
        return Ok("cargo-deny".into());
    }
    let tools = target().join("tools");
    let installed = tools.join("bin/cargo-deny");
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
    Ok(installed)
}
