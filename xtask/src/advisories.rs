//! What RustSec's database says against our dependencies, as `advisories.toml` keeps it: facts, and who was looked up.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::deny;
use crate::shell::root;

/// What stands above the table.
const HEAD: &str = "\
# What RustSec's advisory database (https://github.com/rustsec/advisory-db) says against the packages of our lock files:
# ids, dates and versions. `cargo xtask test` and `cargo xtask audit` refuse a version that is affected, and a package that
# was not looked up. `cargo xtask audit --db CLONE --write` writes this file from a clone of the database.
";

/// No line of names is longer.
const WIDTH: usize = 120;

/// The committed table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Table {
    /// The day of the database that was looked into.
    pub(crate) copied: String,
    /// The packages that were looked up, those that nothing is known against among them.
    pub(crate) looked_up: BTreeSet<String>,
    /// What is known against them, whatever the version.
    pub(crate) advisories: Vec<Advisory>,
}

/// One advisory, by the words of the database.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Advisory {
    pub(crate) id: String,
    pub(crate) package: String,
    pub(crate) date: String,
    /// `unmaintained`, `unsound` or `notice`, where it is no vulnerability.
    pub(crate) informational: Option<String>,
    /// The day when it was taken back.
    pub(crate) withdrawn: Option<String>,
    pub(crate) patched: Vec<String>,
    #[serde(default)]
    pub(crate) unaffected: Vec<String>,
}

impl Table {
    /// As it is committed.
    ///
    /// # Errors
    /// No file, or another form.
    pub(crate) fn read() -> Result<Table> {
        let path = path();
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }

    /// What a clone of the database says of `packages`.
    ///
    /// # Errors
    /// An advisory that cannot be read.
    pub(crate) fn of_clone(clone: &Path, packages: BTreeSet<String>, copied: String) -> Result<Table> {
        let mut advisories = Vec::new();
        for package in &packages {
            let Ok(folder) = std::fs::read_dir(clone.join("crates").join(package)) else { continue };
            let mut files: Vec<PathBuf> = folder.flatten().map(|file| file.path()).collect();
            files.sort();
            for file in files.iter().filter(|file| file.extension().is_some_and(|it| it == "md")) {
                let text = std::fs::read_to_string(file)?;
                advisories.push(Advisory::parse(&text).with_context(|| file.display().to_string())?);
            }
        }
        Ok(Table { copied, looked_up: packages, advisories })
    }

    /// Commits to `advisories.toml`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self) -> Result<()> {
        std::fs::write(path(), self.text()).with_context(|| path().display().to_string())
    }

    /// Those of `packages` that nobody has looked up.
    pub(crate) fn not_looked_up<'a>(&'a self, packages: &'a BTreeSet<String>) -> Vec<&'a str> {
        packages.difference(&self.looked_up).map(String::as_str).collect()
    }

    fn text(&self) -> String {
        let mut text = format!("{HEAD}\ncopied = {:?}\nlooked-up = [\n", self.copied);
        let mut line = String::new();
        for name in &self.looked_up {
            if line.len() + name.len() > WIDTH - 8 {
                let _ = writeln!(text, "   {line}");
                line.clear();
            }
            let _ = write!(line, " {name:?},");
        }
        let _ = writeln!(text, "   {line}\n]\nadvisories = [");
        for advisory in &self.advisories {
            let _ = writeln!(text, "    {},", advisory.line());
        }
        text.push_str("]\n");
        text
    }
}

impl Advisory {
    /// The facts of a file of the database.
    fn parse(file: &str) -> Result<Advisory> {
        #[derive(Deserialize)]
        struct File {
            advisory: Metadata,
            versions: Versions,
        }
        #[derive(Deserialize)]
        struct Metadata {
            id: String,
            package: String,
            date: String,
            informational: Option<String>,
            withdrawn: Option<String>,
        }
        #[derive(Deserialize)]
        struct Versions {
            patched: Vec<String>,
            #[serde(default)]
            unaffected: Vec<String>,
        }
        let head = file.split_once("```toml").and_then(|(_, rest)| rest.split_once("```"));
        let (head, _) = head.context("it does not begin with a block of TOML")?;
        let File { advisory, versions } = toml::from_str(head)?;
        Ok(Advisory {
            id: advisory.id,
            package: advisory.package,
            date: advisory.date,
            informational: advisory.informational,
            withdrawn: advisory.withdrawn,
            patched: versions.patched,
            unaffected: versions.unaffected,
        })
    }

    /// A file of a database, by which tools understand it.
    pub(crate) fn file(&self) -> String {
        let Advisory { id, package, date, informational, withdrawn, patched, unaffected } = self;
        let mut text = format!("```toml\n[advisory]\nid = {id:?}\npackage = {package:?}\ndate = {date:?}\n");
        for (key, value) in [("informational", informational), ("withdrawn", withdrawn)] {
            if let Some(value) = value {
                let _ = writeln!(text, "{key} = {value:?}");
            }
        }
        let _ = write!(
            text,
            "\n[versions]\npatched = {patched:?}\nunaffected = {unaffected:?}\n```\n\n# {id}\n\nhttps://rustsec.org/advisories/{id}\n"
        );
        text
    }

    /// A line of the table.
    fn line(&self) -> String {
        let Advisory { id, package, date, informational, withdrawn, patched, unaffected } = self;
        let mut text = format!("{{ id = {id:?}, package = {package:?}, date = {date:?}");
        for (key, value) in [("informational", informational), ("withdrawn", withdrawn)] {
            if let Some(value) = value {
                let _ = write!(text, ", {key} = {value:?}");
            }
        }
        let _ = write!(text, ", patched = {patched:?}");
        if !unaffected.is_empty() {
            let _ = write!(text, ", unaffected = {unaffected:?}");
        }
        text + " }"
    }
}

/// What is in the lock files, of a registry.
///
/// # Errors
/// A lock file that cannot be read.
pub(crate) fn locked() -> Result<BTreeSet<String>> {
    let mut packages = BTreeSet::new();
    for manifest in deny::MANIFESTS {
        let path = root().join(manifest).with_extension("lock");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        packages.extend(packages_of(&text).with_context(|| path.display().to_string())?);
    }
    Ok(packages)
}

fn packages_of(lock: &str) -> Result<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        source: Option<String>,
    }
    let lock: Lock = toml::from_str(lock)?;
    Ok(lock.package.into_iter().filter(|it| it.source.is_some()).map(|it| it.name).collect())
}

fn path() -> PathBuf {
    root().join("xtask/advisories.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn every_locked_package_was_looked_up() {
        let table = Table::read().unwrap();
        assert_eq!(table.not_looked_up(&locked().unwrap()), Vec::<&str>::new());
        for advisory in &table.advisories {
            assert!(table.looked_up.contains(&advisory.package), "{advisory:?}");
        }
    }

    #[test]
    fn a_package_that_was_not_looked_up_is_named() {
        let lock = r#"
            version = 4
            [[package]]
            name = "ours"
            version = "0.1.0"
            [[package]]
            name = "tokio"
            version = "1.54.1"
            source = "registry+https://index.example"
            [[package]]
            name = "newcomer"
            version = "1.0.0"
            source = "registry+https://index.example"
        "#;
        let packages = packages_of(lock).unwrap();
        assert_eq!(packages, names(&["newcomer", "tokio"]));
        assert_eq!(Table::read().unwrap().not_looked_up(&packages), ["newcomer"]);
    }

    #[test]
    fn what_is_written_is_read() {
        let table = Table::read().unwrap();
        assert_eq!(toml::from_str::<Table>(&table.text()).unwrap(), table);
        for advisory in &table.advisories {
            assert_eq!(Advisory::parse(&advisory.file()).unwrap(), *advisory);
        }
    }

    #[test]
    fn a_clone_is_read() {
        let clone = std::env::temp_dir().join(format!("stepwell-advisories-{}", std::process::id()));
        let folder = clone.join("crates/smallvec");
        std::fs::create_dir_all(&folder).unwrap();
        let text = "```toml\n[advisory]\nid = \"RUSTSEC-2099-0001\"\npackage = \"smallvec\"\ndate = \"2099-01-02\"\nurl = \"u\"\n\
            keywords = [\"k\"]\ninformational = \"unsound\"\n\n[affected.functions]\n\"smallvec::f\" = [\"< 2\"]\n\n[versions]\n\
            patched = [\">= 2.0.0\"]\n```\n\n# A title\n\nWords, and\n```\ncode\n```\n";
        std::fs::write(folder.join("RUSTSEC-2099-0001.md"), text).unwrap();
        let table = Table::of_clone(&clone, names(&["itoa", "smallvec"]), "2099-02-03".to_owned());
        std::fs::remove_dir_all(&clone).unwrap();
        let table = table.unwrap();
        assert_eq!(table.looked_up, names(&["itoa", "smallvec"]));
        assert_eq!(
            table.text().lines().rev().nth(1).unwrap(),
            r#"    { id = "RUSTSEC-2099-0001", package = "smallvec", date = "2099-01-02", informational = "unsound", patched = [">= 2.0.0"] },"#
        );
    }

    #[test]
    fn no_advisory_is_guessed() {
        for file in ["", "# No facts", "```toml\n[advisory]\nid = \"RUSTSEC-2099-0001\"\n```\n"] {
            assert!(Advisory::parse(file).is_err(), "{file}");
        }
    }
}
