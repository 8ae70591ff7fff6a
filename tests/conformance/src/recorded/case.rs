//! A recorded case, as its file has it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Map, Value};

/// What AWS was asked, and what it answered. The form is told in the recordings' own README.
#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    /// `module::class::test[parameter]#n`
    pub id: String,
    /// Other services and workers that it takes, or `none`.
    pub needs: Vec<String>,
    /// What is asked, and what came.
    #[serde(flatten)]
    pub(crate) course: Course,
    /// `STANDARD` or `EXPRESS`.
    #[serde(rename = "type")]
    pub(crate) machine_type: String,
    /// Functions by their name, and which of the handlers each of them is.
    #[serde(default)]
    pub(crate) lambdas: BTreeMap<String, String>,
    /// Names that stand for a changing piece of text.
    #[serde(default)]
    pub(crate) wild_text: Vec<String>,
    /// Names that stand for a whole changing value.
    #[serde(default)]
    pub(crate) wild_values: Vec<String>,
    /// When AWS was asked: `18-11-2024, 14:53:25`.
    pub(crate) recorded: Option<String>,
    /// Whether it takes its time.
    #[serde(default)]
    pub(crate) slow: bool,
}

/// The two kinds of case.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Course {
    /// One machine, one execution of it.
    Execution(Box<Start>),
    /// A row of calls.
    Calls {
        /// In this order.
        calls: Vec<Step>,
        /// What is compared.
        expect: Vec<Expectation>,
    },
}

/// What one execution is started with.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Start {
    pub(crate) definition: Option<Value>,
    pub(crate) definition_text: Option<String>,
    pub(crate) input: Option<Value>,
    pub(crate) input_text: Option<String>,
    pub(crate) role_arn: Option<String>,
    /// StartSyncExecution, whose answer is the end.
    #[serde(default)]
    pub(crate) sync: bool,
    /// What AWS answered, by the request: `create`, `start`, `describe`, `history`, `sync`.
    pub(crate) expect: Map<String, Value>,
}

/// One step of a row of calls.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Step {
    /// Waits until something is so.
    Wait {
        /// What is waited for.
        wait: String,
        params: Map<String, Value>,
    },
    /// Calls an operation.
    Call(Call),
}

/// A call of an operation.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Call {
    pub(crate) service: String,
    pub(crate) op: String,
    pub(crate) params: Value,
    /// The access key, which is the number of the account where it is not the usual one.
    pub(crate) access_key: Option<String>,
    /// To be made again until the answer is right.
    #[serde(default)]
    pub(crate) poll: bool,
    /// To be left out where the service is not there.
    #[serde(default)]
    pub(crate) optional: bool,
}

/// A value that is put together from answers, and what it is to be.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Expectation {
    pub(crate) key: String,
    pub(crate) of: Value,
    pub(crate) value: Value,
}

/// What this world has. A case that needs anything else is skipped.
const AT_HAND: [&str; 8] =
    ["none", "loggroup", "logs", "lambda", "activity", "nested-sfn", "iam-credentials", "sqs"];

impl Case {
    /// The first service that it needs and that is not here.
    pub fn needs_elsewhere(&self) -> Option<&str> {
        let head = |need: &str| need.split(':').next().unwrap_or_default().to_owned();
        self.needs.iter().map(String::as_str).find(|need| !AT_HAND.contains(&head(need).as_str()))
    }
}

/// The cases of a file.
///
/// # Errors
///
/// It cannot be read, or is written otherwise.
pub fn cases(file: &Path) -> Result<Vec<Case>> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let cases: Vec<Value> = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
    let read = |case: Value| {
        let id = case["id"].to_string();
        serde_json::from_value(case).with_context(|| format!("the case {id}"))
    };
    cases.into_iter().map(read).collect()
}

/// The case files of a folder, in order.
///
/// # Errors
///
/// It cannot be read.
pub fn case_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Ok(files)
}

/// Where the case of this id would stand: `a/b::C::d` in `a__b.json`.
pub fn case_file(folder: &Path, id: &str) -> PathBuf {
    let module = id.split("::").next().unwrap_or_default();
    folder.join(format!("{}.json", module.replace('/', "__")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_says_what_it_needs_elsewhere() {
        let check = |needs: &[&str], expected: Option<&str>| {
            let case = serde_json::json!({
                "id": "a::B::c", "kind": "calls", "type": "STANDARD", "needs": needs, "calls": [], "expect": [],
            });
            let case: Case = serde_json::from_value(case).unwrap();
            assert_eq!(case.needs_elsewhere(), expected);
        };
        check(&["none"], None);
        check(&["lambda:id", "nested-sfn"], None);
        check(&["sqs", "sns"], Some("sns"));
    }

    #[test]
    fn a_case_s_file_follows_from_its_id() {
        assert_eq!(case_file(Path::new("d"), "a/b::C::d[x/y]"), Path::new("d/a__b.json"));
        assert_eq!(case_file(Path::new("d"), "a::C::d"), Path::new("d/a.json"));
    }
}
