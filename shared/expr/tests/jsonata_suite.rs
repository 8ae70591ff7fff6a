//! JSONata's public test suite, and what AWS recorded of JSONata, run through our layer.
//!
//! Both lie beside the repository, not in it; where one is missing, this says so and passes.

use std::path::{Path, PathBuf};

use stepwell_expr::json::{Map, Value, parse};
use stepwell_expr::jsonata::{Expression, evaluate_bare};
use stepwell_expr::{Entropy, Environment, QueryLanguage, Template};

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

/// The fields of states in recorded executions: what was put out and assigned, and the words of what failed.
#[test]
fn jsonata_recordings() {
    let cases = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/cases"));
    if !cases.is_dir() {
        println!("jsonata recordings: skipped, they are not at {}", cases.display());
        return;
    }
    let mut checked = 0;
    for file in folder(cases) {
        let cases = read(&file);
        let cases = cases.get("cases").unwrap_or(&cases).as_array().expect("cases are an array").to_vec();
        checked += cases
            .iter()
            .map(|case| Recording::of(case).map_or(0, |recording| recording.check()))
            .sum::<usize>();
    }
    println!("jsonata recordings: {checked} fields");
    assert!(checked > 60, "{checked}");
}

struct Recording<'a> {
    id: &'a str,
    definition: &'a Value,
    events: &'a [Value],
    stage: Stage,
}

struct Stage {
    input: Value,
    variables: Map,
    entropy: Entropy,
}

impl Environment for Stage {
    fn input(&self) -> &Value {
        &self.input
    }
    fn context(&self) -> &Value {
        &Value::Null
    }
    fn variable(&self, name: &str) -> Option<&Value> {
        self.variables.get(name)
    }
    fn entropy(&self) -> &Entropy {
        &self.entropy
    }
}

impl<'a> Recording<'a> {
    fn of(case: &'a Value) -> Option<Self> {
        Some(Recording {
            id: case.get("id")?.as_str()?,
            definition: case.get("definition").filter(|definition| definition.as_object().is_some())?,
            events: case.get("expect")?.get("history")?.get("events")?.as_array()?,
            stage: Stage { input: Value::Null, variables: Map::new(), entropy: Entropy::new(1, 0) },
        })
    }

    fn check(mut self) -> usize {
        let mut checked = 0;
        for event in self.events {
            if let Some(input) =
                event.get("stateEnteredEventDetails").and_then(|entered| entered.get("input"))
            {
                self.stage.input = payload(input);
            }
            if let Some(failed) = event.get("evaluationFailedEventDetails") {
                checked += usize::from(self.failed(failed).is_some());
            }
            let Some(exited) = event.get("stateExitedEventDetails") else { continue };
            checked += usize::from(self.put_out(exited).is_some());
            let assigned = exited.get("assignedVariables").and_then(Value::as_object);
            for (name, value) in assigned.into_iter().flat_map(Map::iter) {
                self.stage.variables.insert(name.clone(), payload(value));
            }
        }
        checked
    }

    fn jsonata_state(&self, name: &Value) -> Option<&'a Value> {
        let state = self.definition.get("States")?.get(name.as_str()?)?;
        let language = state.get("QueryLanguage").or_else(|| self.definition.get("QueryLanguage"))?;
        (language.as_str() == Some("JSONata")).then_some(state)
    }

    /// A Pass state's output and variables.
    fn put_out(&self, exited: &Value) -> Option<()> {
        let state = self.jsonata_state(exited.get("name")?)?;
        state.get("Type").filter(|kind| kind.as_str() == Some("Pass"))?;
        if let Some(assign) = state.get("Assign") {
            let Value::Object(assigned) = self.evaluate(assign, "Assign")? else {
                panic!("{}: no object", self.id)
            };
            for (name, value) in assigned.iter() {
                let recorded = exited.get("assignedVariables").and_then(|variables| variables.get(name));
                assert_eq!(recorded.map(payload).map(|v| v.to_json()), Some(value.to_json()), "{}", self.id);
            }
        }
        let given = self.evaluate(state.get("Output")?, "Output")?;
        assert_eq!(given.to_json(), payload(exited.get("output")?).to_json(), "{}", self.id);
        Some(())
    }

    /// The value of a field, unless it reads the Context object, which is not kept here.
    fn evaluate(&self, field: &Value, name: &str) -> Option<Value> {
        if field.to_json().contains("$states.context") {
            return None;
        }
        let template = Template::compile(field, QueryLanguage::Jsonata).expect("AWS took it");
        Some(template.evaluate(&self.stage, name).unwrap_or_else(|error| panic!("{}: {error}", self.id)))
    }

    /// The words of an evaluation that failed, in a field whose expression sees no more than the state's input.
    fn failed(&self, failed: &Value) -> Option<()> {
        let state = self.jsonata_state(failed.get("state")?)?;
        let location = failed.get("location")?.as_str()?;
        let (field, place) = location.split_once('/').map_or((location, ""), |(field, place)| (field, place));
        let mut value = state.get(field)?;
        for step in place.split('/').filter(|step| !step.is_empty()) {
            value = value.get(step)?;
        }
        let text = value.as_str()?.strip_prefix("{%")?.strip_suffix("%}")?;
        let expression = Expression::compile(text).expect("AWS took it");
        let error = match expression.evaluate(&self.stage, location) {
            Err(error) => error,
            Ok(value) if field == "Items" => expression.unexpected_type(location, "array", &value),
            Ok(_) => return None,
        };
        let cause = failed.get("cause")?.as_str()?;
        assert!(cause.ends_with(&format!("). {}", error.message)), "{}: {cause}\n{}", self.id, error.message);
        assert_eq!(failed.get("error").and_then(Value::as_str), Some(error.error));
        Some(())
    }
}

/// Recordings keep payloads parsed where they are objects, and as text otherwise.
fn payload(value: &Value) -> Value {
    match value.as_str() {
        Some(text) => parse(text).unwrap_or_else(|_| value.clone()),
        None => value.clone(),
    }
}
