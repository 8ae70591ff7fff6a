//! Inputs to begin with. What the repository holds anyway (examples, the specification's cases, golden files) is taken from
//! where it stands; what is only an input stands in `corpus/TARGET.txt`, divided by lines `====`, and what once broke
//! something in `regressions/TARGET/`.

use std::fs;
use std::path::{Path, PathBuf};

use stepwell_test_support::Choices;
use stepwell_test_support::definitions::Wanted;

use crate::Target;

/// Definitions that are drawn.
const DRAWN: u64 = 20;

/// What stands between the inputs of a file.
const CASES: &str = "\n====\n";

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All inputs of `target`, regressions first.
#[must_use]
pub fn of(target: &Target) -> Vec<Vec<u8>> {
    let mut all: Vec<_> = regressions(target).into_iter().map(|(_, data)| data).collect();
    all.push(vec![]);
    let cases =
        fs::read_to_string(here().join("corpus").join(format!("{}.txt", target.name))).unwrap_or_default();
    all.extend(cases.split(CASES).map(|case| case.trim_end_matches('\n').as_bytes().to_vec()));
    all.extend(harvested(target.name));
    all.retain(|data| data.len() <= 4 * target.bytes_max);
    all.sort();
    all.dedup();
    all
}

/// What once broke something, by the file's name.
#[must_use]
pub fn regressions(target: &Target) -> Vec<(String, Vec<u8>)> {
    files(&here().join("regressions").join(target.name))
        .into_iter()
        .filter_map(|path| Some((path.file_name()?.to_string_lossy().into_owned(), fs::read(&path).ok()?)))
        .collect()
}

/// Inputs that stand elsewhere in the repository.
fn harvested(target: &str) -> Vec<Vec<u8>> {
    let root = here().join("../..");
    match target {
        "definition" => {
            let mut all: Vec<_> = stepwell_conformance::definitions(&root.join("tests/conformance/spec"))
                .unwrap_or_default()
                .into_iter()
                .map(String::into_bytes)
                .collect();
            all.extend(contents(&root.join("examples"), &[".asl.json"]));
            all.extend(
                (0..DRAWN).map(|seed| Wanted::ALL.draw(&mut Choices::seeded(seed)).definition.into_bytes()),
            );
            all
        }
        "events" => {
            let mut all = contents(&root.join("shared/aws/tests/events"), &[".json"]);
            all.extend(templates(&root.join("shared/aws/tests/templates")));
            all
        }
        "stored" => contents(&root.join("shared/engine/tests/golden"), &[".bin"]),
        _ => vec![],
    }
}

/// Templates as CloudFormation hands them to the macro.
fn templates(folder: &Path) -> Vec<Vec<u8>> {
    let event = |template: Vec<u8>| {
        let template = String::from_utf8_lossy(&template);
        format!(r#"{{"requestId":"r","transformId":"t","params":{{}},"fragment":{template}}}"#).into_bytes()
    };
    contents(folder, &[".json"]).into_iter().map(event).collect()
}

/// The files below `folder` whose names end like this.
fn contents(folder: &Path, endings: &[&str]) -> Vec<Vec<u8>> {
    let is_wanted = |path: &PathBuf| endings.iter().any(|ending| path.to_string_lossy().ends_with(ending));
    files(folder).into_iter().filter(is_wanted).filter_map(|path| fs::read(path).ok()).collect()
}

/// The files below `folder`, in the order of their paths.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
