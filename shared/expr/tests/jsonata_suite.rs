//! JSONata's public test suite, run through our layer.
//!
//! The suite lies beside the repository, not in it; where it is missing, this says so and passes.

use std::path::{Path, PathBuf};

use stepwell_expr::json::{Map, Value, parse};
use stepwell_expr::jsonata::evaluate_bare;

/// Cases that give something else here, and why: AWS differs, or the engine is known to.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("function-eval", "AWS takes $eval away"),
    ("range-operator/case021", "more than AWS's memory bound allows"),
    ("range-operator/case024", "more than AWS's memory bound allows"),
    ("function-encodeUrl/case002", "a lone surrogate, which no string of ours can hold"),
    ("function-encodeUrlComponent/case002", "a lone surrogate, which no string of ours can hold"),
];

#[test]
fn jsonata_suite() {
    let suite = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/jsonata-suite"));
    if !suite.is_dir() {
        println!("jsonata suite: skipped, it is not at {}", suite.display());
        return;
    }
    let cases = cases(suite);
    let (mut passed, mut failures, mut needless) = (0, Vec::new(), Vec::new());
    for case in &cases {
        let exception = EXCEPTIONS.iter().find(|(name, _)| case.is(name));
        match (case.check(suite), exception) {
            (Ok(()), None) => passed += 1,
            (Ok(()), Some((name, _))) => {
                passed += 1;
                needless.push(*name);
            }
            (Err(_), Some(_)) => {}
            (Err(message), None) => failures.push(format!("{}: {message}", case.name)),
        }
    }
    println!("jsonata suite: {passed} of {}", cases.len());
    needless.dedup();
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
    assert!(needless.is_empty(), "exceptions that pass: {needless:?}");
}

struct Case {
    name: String,
    folder: PathBuf,
    body: Value,
}

fn cases(suite: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    for group in folder(&suite.join("groups")) {
        for file in folder(&group).into_iter().filter(|file| file.extension().is_some_and(|e| e == "json")) {
            let name = format!("{}/{}", stem(&group), stem(&file));
            match read(&file) {
                Value::Array(bodies) => cases.extend(bodies.iter().enumerate().map(|(at, body)| Case {
                    name: format!("{name}/{at}"),
                    folder: group.clone(),
                    body: body.clone(),
                })),
                body => cases.push(Case { name, folder: group.clone(), body }),
            }
        }
    }
    cases
}

impl Case {
    /// Whether `name` is this case's, or its group's.
    fn is(&self, name: &str) -> bool {
        self.name == name || self.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'))
    }

    fn check(&self, suite: &Path) -> Result<(), String> {
        let text = match self.body.get("expr") {
            Some(text) => text.as_str().expect("expr is text").to_owned(),
            None => {
                let file = self.body.get("expr-file").and_then(Value::as_str).expect("else there is a file");
                std::fs::read_to_string(self.folder.join(file)).expect("the file is there")
            }
        };
        let input = match (self.body.get("data"), self.body.get("dataset")) {
            (Some(data), _) => Some(data.clone()),
            (None, Some(Value::String(name))) => Some(read(&suite.join(format!("datasets/{name}.json")))),
            _ => None,
        };
        let no_bindings = Value::object(Map::new());
        let bindings =
            self.body.get("bindings").unwrap_or(&no_bindings).as_object().expect("bindings are an object");
        let bindings: Vec<_> =
            bindings.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
        let timeout = self.body.get("timelimit").and_then(Value::as_i64).unwrap_or(10_000);
        let depth = self.body.get("depth").and_then(Value::as_i64).unwrap_or(1_000);
        let bounds = (timeout as u64, depth as usize);
        let got = evaluate_bare(&text, input.as_ref(), &bindings, bounds, now_ms());
        self.compare(&got).map_err(|wanted| format!("{text}\n   wanted {wanted}\n   got    {got:?}"))
    }

    fn compare(&self, got: &Result<Option<Value>, String>) -> Result<(), String> {
        let code =
            self.body.get("code").or_else(|| self.body.get("error")?.get("code")).and_then(Value::as_str);
        if let Some(code) = code {
            let matches =
                got.as_ref().is_err_and(|message| message.starts_with(code) || is_bound(code, message));
            return if matches { Ok(()) } else { Err(format!("code {code}")) };
        }
        if let Some(error) = self.body.get("error") {
            return if got.is_err() { Ok(()) } else { Err(format!("error {error}")) };
        }
        match (self.body.get("result"), got) {
            (None, Ok(None)) => Ok(()),
            (Some(wanted), Ok(Some(value))) if same(wanted, value, self.unordered()) => Ok(()),
            (wanted, _) => Err(wanted.map_or("undefined".to_owned(), Value::to_json)),
        }
    }

    fn unordered(&self) -> bool {
        self.body.get("unordered").and_then(Value::as_bool) == Some(true)
    }
}

/// The suite's runner has a code of its own for a bound that is reached.
fn is_bound(code: &str, message: &str) -> bool {
    code == "U1001"
        && (message.starts_with("Stack overflow") || message.starts_with("Expression evaluation timeout"))
}

/// The real time: a time of day without a date is one of today, to the engine too.
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("the clock is past 1970").as_millis() as i64
}

fn same(wanted: &Value, got: &Value, unordered: bool) -> bool {
    match (wanted, got) {
        (Value::Array(a), Value::Array(b)) if unordered => {
            a.len() == b.len()
                && a.iter().all(|item| b.contains(item))
                && b.iter().all(|item| a.contains(item))
        }
        _ => wanted == got,
    }
}

fn folder(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).expect("the folder can be read");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("it has a name").to_string_lossy().into_owned()
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
