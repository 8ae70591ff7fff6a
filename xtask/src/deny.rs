//! What may be depended on: cargo-deny, by `deny.toml`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::audit;
use crate::shell::{self, root};

/// Everything that has dependencies. The emulator for tests and the fuzzer's programs stand outside the workspace, under the
/// same rules.
pub(crate) const MANIFESTS: [&str; 3] = ["Cargo.toml", "tests/emulator/Cargo.toml", "fuzz/Cargo.toml"];

/// Licences, bans, sources, withdrawn versions, and the advisories that are recorded.
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
    audit::recorded()
}

/// cargo-deny, which is built once where it is not installed.
///
/// # Errors
/// Where it cannot be built.
pub(crate) fn program() -> Result<PathBuf> {
    shell::installed("cargo-deny")
}
