//! What is known against the dependencies: advisories of RustSec, and versions that their makers have withdrawn.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::advisories::{Advisory, Table, locked};
use crate::deny;
use crate::shell::{self, root, target, works};

/// Where the advisories are.
const DATABASE: &str = "https://github.com/rustsec/advisory-db";

/// A database with fewer advisories is not the whole one (1,500 in November 2026).
const ADVISORIES_MIN: usize = 900;

/// Which advisories.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A clone of <https://github.com/rustsec/advisory-db>, to check against all that it holds
    #[arg(long, env = "STEPWELL_ADVISORY_DB")]
    db: Option<PathBuf>,
    /// Fetch that clone
    #[arg(long, conflicts_with = "db")]
    fetch: bool,
    /// Write what the clone says of our dependencies to xtask/advisories.toml, for every later check
    #[arg(long)]
    write: bool,
}

/// Checks against all advisories of a clone, or those that are recorded.
///
/// # Errors
/// An advisory, a withdrawn version, a dependency that was not looked up, half a database.
pub(crate) fn run(args: &Args) -> Result<()> {
    let database = match &args.db {
        Some(path) => path.canonicalize().with_context(|| path.display().to_string())?,
        None if args.fetch => fetch()?,
        None => {
            ensure!(!args.write, "--write takes what it writes from --db CLONE, or from --fetch");
            return recorded();
        }
    };
    let advisories = count(&database)?;
    ensure!(
        advisories >= ADVISORIES_MIN,
        "{} holds {advisories} advisories, which is not the whole database",
        database.display()
    );
    let head = shell::output(git(&database).args(["log", "-1", "--format=%cs"]))?;
    let day = head.trim();
    if args.write {
        Table::of_clone(&database, locked()?, day.to_owned())?.write()?;
    }
    check(&database)?;
    println!(
        "audit: no dependency is affected or withdrawn, but for what deny.toml names ({advisories} advisories, of {day})"
    );
    Ok(())
}

/// Checks against what `advisories.toml` records, without a network but the package registry, which tells of withdrawn versions.
///
/// # Errors
/// An advisory, a withdrawn version, a dependency that was not looked up.
pub(crate) fn recorded() -> Result<()> {
    let table = Table::read()?;
    let packages = locked()?;
    let missing = table.not_looked_up(&packages);
    ensure!(
        missing.is_empty(),
        "not looked up in RustSec's database: {}: run `cargo xtask audit --db CLONE --write`, with a clone of {DATABASE}",
        missing.join(", ")
    );
    check(&written("recorded", &table.advisories)?)?;
    refuses(&table, &packages)?;
    println!(
        "audit: none of {} dependencies is affected or withdrawn, but for what deny.toml names ({} advisories, by RustSec's database of {})",
        packages.len(),
        table.advisories.len(),
        table.copied
    );
    Ok(())
}

/// Shows that a dependency would be refused, by an advisory that is made up.
///
/// # Errors
/// It is not refused.
fn refuses(table: &Table, packages: &BTreeSet<String>) -> Result<()> {
    let package = packages.first().context("there are no dependencies")?;
    let made_up = Advisory {
        id: "RUSTSEC-2099-0001".to_owned(),
        package: package.clone(),
        date: table.copied.clone(),
        informational: None,
        withdrawn: None,
        patched: Vec::new(),
        unaffected: Vec::new(),
    };
    let database = written("made-up", std::slice::from_ref(&made_up))?;
    let config = configured(&database)?;
    for manifest in deny::MANIFESTS {
        let output = cargo_deny(&config, &database, manifest)?.output()?;
        if !output.status.success() && String::from_utf8_lossy(&output.stderr).contains(&made_up.id) {
            return Ok(());
        }
    }
    bail!("an advisory against {package}, made up, was not found")
}

/// Runs cargo-deny on `database`.
fn check(database: &Path) -> Result<()> {
    let config = configured(database)?;
    for manifest in deny::MANIFESTS {
        shell::run(&mut cargo_deny(&config, database, manifest)?)?;
    }
    Ok(())
}

/// `deny.toml`, with a place of its own for cargo-deny's copy of `database`: it keeps them by their addresses.
fn configured(database: &Path) -> Result<PathBuf> {
    let home = target().join("tools/advisories").join(database.file_name().unwrap_or(OsStr::new("clone")));
    let _ = std::fs::remove_dir_all(&home);
    std::fs::create_dir_all(&home)?;
    let mut config = std::fs::read_to_string(root().join("deny.toml"))?;
    // It ends with [advisories].
    config.push_str(&format!("db-path = {:?}\ndb-urls = [{DATABASE:?}]\n", home.join("clones")));
    let file = home.join("deny.toml");
    std::fs::write(&file, config)?;
    Ok(file)
}

/// cargo-deny, where git takes `database` for the one on the network.
fn cargo_deny(config: &Path, database: &Path, manifest: &str) -> Result<Command> {
    let mut command = Command::new(deny::program()?);
    command.current_dir(root()).arg("--config").arg(config).args(["--manifest-path", manifest]);
    command.args(["check", "advisories"]);
    command.envs([
        ("GIT_CONFIG_COUNT", "2".to_owned()),
        ("GIT_CONFIG_KEY_0", format!("url.file://{}.insteadOf", database.display())),
        ("GIT_CONFIG_VALUE_0", DATABASE.to_owned()),
        ("GIT_CONFIG_KEY_1", "protocol.file.allow".to_owned()),
        ("GIT_CONFIG_VALUE_1", "always".to_owned()),
    ]);
    Ok(command)
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
    ensure!(fetched, "{DATABASE} cannot be reached: give a clone of it by --db, or by STEPWELL_ADVISORY_DB");
    Ok(clone)
}

/// A database of `advisories`.
fn written(name: &str, advisories: &[Advisory]) -> Result<PathBuf> {
    let path = target().join("tools").join(format!("advisories-{name}"));
    let _ = std::fs::remove_dir_all(&path);
    for advisory in advisories {
        let folder = path.join("crates").join(&advisory.package);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{}.md", advisory.id)), advisory.file())?;
    }
    let author = ["-c", "user.name=xtask", "-c", "user.email=xtask@localhost"];
    shell::output(git(&path).args(["init", "--quiet", "--initial-branch=main", "."]))?;
    shell::output(git(&path).args(["add", "--all"]))?;
    shell::output(git(&path).args(author).args(["commit", "--quiet", "--message", "Advisories"]))?;
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
