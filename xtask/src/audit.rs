//! What is known against the dependencies: advisories of RustSec, and versions that their makers have withdrawn.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::deny;
use crate::shell::{self, root, target, works};

/// Where the advisories are.
const DATABASE: &str = "https://github.com/rustsec/advisory-db";

/// A database with fewer advisories is not the whole one (1,100 in November 2026).
const ADVISORIES_MIN: usize = 900;

/// Which advisories.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A clone of <https://github.com/rustsec/advisory-db>; without it, it is fetched
    #[arg(long, env = "STEPWELL_ADVISORY_DB")]
    db: Option<PathBuf>,
}

/// Checks against all advisories.
///
/// # Errors
/// An advisory, a withdrawn version; no database: nothing is called sound that was not looked at.
pub(crate) fn run(args: &Args) -> Result<()> {
    let database = match &args.db {
        Some(path) => path.canonicalize().with_context(|| path.display().to_string())?,
        None => fetch()?,
    };
    let advisories = count(&database)?;
    ensure!(
        advisories >= ADVISORIES_MIN,
        "{} holds {advisories} advisories, which is not the whole database",
        database.display()
    );
    check(&database)?;
    let head = shell::output(git(&database).args(["log", "-1", "--format=%cs"]))?;
    println!(
        "audit: nothing is known against the dependencies ({advisories} advisories, of {})",
        head.trim()
    );
    Ok(())
}

/// Looks for withdrawn versions alone, which the package registry tells of, and says what is not looked for.
///
/// # Errors
/// A withdrawn version.
pub(crate) fn withdrawn() -> Result<()> {
    check(&empty()?)?;
    println!("audit: no dependency is withdrawn");
    println!(
        "audit: SKIPPED: advisories, which no package registry has: run `cargo xtask audit [--db CLONE]`"
    );
    Ok(())
}

/// Runs cargo-deny on `database`, which git takes for the one on the network.
fn check(database: &Path) -> Result<()> {
    let program = deny::program()?;
    // Of its own, for each database: cargo-deny keeps clones by their addresses.
    let home = target().join("tools/advisories").join(database.file_name().unwrap_or(OsStr::new("clone")));
    let _ = std::fs::remove_dir_all(&home);
    std::fs::create_dir_all(&home)?;
    let mut config = std::fs::read_to_string(root().join("deny.toml"))?;
    // It ends with [advisories].
    config.push_str(&format!("db-path = {:?}\ndb-urls = [{DATABASE:?}]\n", home.join("clones")));
    let file = home.join("deny.toml");
    std::fs::write(&file, config)?;
    for manifest in deny::MANIFESTS {
        let mut command = Command::new(&program);
        command.current_dir(root()).arg("--config").arg(&file).args(["--manifest-path", manifest]);
        command.args(["check", "advisories"]);
        command.envs([
            ("GIT_CONFIG_COUNT", "2".to_owned()),
            ("GIT_CONFIG_KEY_0", format!("url.file://{}.insteadOf", database.display())),
            ("GIT_CONFIG_VALUE_0", DATABASE.to_owned()),
            ("GIT_CONFIG_KEY_1", "protocol.file.allow".to_owned()),
            ("GIT_CONFIG_VALUE_1", "always".to_owned()),
        ]);
        shell::run(&mut command)?;
    }
    Ok(())
}

/// The database as it is now.
fn fetch() -> Result<PathBuf> {
    let clone = target().join("tools/advisory-db");
    let fetched = if clone.join(".git").exists() {
        works(git(&clone).args(["fetch", "--quiet", "--depth=1", "origin", "main"]))
            && works(git(&clone).args(["reset", "--quiet", "--hard", "FETCH_HEAD"]))
    } else {
        let _ = std::fs::remove_dir_all(&clone);
        std::fs::create_dir_all(target().join("tools"))?;
        works(git(&root()).args(["clone", "--quiet", "--depth=1", DATABASE]).arg(&clone))
    };
    if !fetched {
        bail!(
            "SKIPPED: no advisory was looked at, since {DATABASE} cannot be reached: give a clone of it by --db, or by \
             STEPWELL_ADVISORY_DB"
        );
    }
    Ok(clone)
}

/// An advisory for a package that there is none of: cargo-deny wants one at least.
const NOBODYS: &str = "```toml\n[advisory]\nid = \"RUSTSEC-2020-0001\"\npackage = \"nobodys\"\ndate = \"2020-01-01\"\n\n\
    [versions]\npatched = []\n```\n\n# None\n\nNone.\n";

/// A database without advisories.
fn empty() -> Result<PathBuf> {
    let path = target().join("tools/no-advisories-1");
    if works(git(&path).args(["rev-parse", "--verify", "--quiet", "main"])) {
        return Ok(path);
    }
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(path.join("crates/nobodys"))?;
    std::fs::write(path.join("crates/nobodys/RUSTSEC-2020-0001.md"), NOBODYS)?;
    shell::run(git(&path).args(["init", "--quiet", "--initial-branch=main", "."]))?;
    shell::run(git(&path).args(["add", "--all"]))?;
    let author = ["-c", "user.name=xtask", "-c", "user.email=xtask@localhost"];
    shell::run(git(&path).args(author).args(["commit", "--quiet", "--message", "No advisories"]))?;
    Ok(path)
}

fn git(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).env("GIT_TERMINAL_PROMPT", "0");
    git
}

/// How many advisories there are in `database`.
fn count(database: &Path) -> Result<usize> {
    let crates = database.join("crates");
    let folders = std::fs::read_dir(&crates).with_context(|| crates.display().to_string())?;
    let in_folder = |folder: std::fs::DirEntry| {
        let files = std::fs::read_dir(folder.path()).into_iter().flatten().flatten();
        files.filter(|file| file.file_name().to_string_lossy().starts_with("RUSTSEC-")).count()
    };
    Ok(folders.flatten().map(in_folder).sum())
}
