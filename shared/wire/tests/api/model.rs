//! The API's public model against what is served: every operation, every member of a request with its constraints, every
//! member of an answer, every error.
//!
//! `model.txt` is drawn from the botocore that it names by `cargo xtask models --botocore DIR --api-only`; with a newer one this
//! test says what is missing. A member of a request is known when a value of another type is refused at it: members that are
//! not known are ignored. Members of answers and errors are looked for in the sources that write them.

use std::collections::BTreeSet;
use std::path::Path;

use stepwell_expr::Value;

use crate::site::Site;

const MODEL: &str = include_str!("../model.txt");

/// What the model has and this API does not, and why. What is here and known after all is a failure too.
const MISSING: &str = "
# HTTP tasks
out TestState inspectionData.request
out TestState inspectionData.request.body
out TestState inspectionData.request.headers
out TestState inspectionData.request.method
out TestState inspectionData.request.protocol
out TestState inspectionData.request.url
out TestState inspectionData.response
out TestState inspectionData.response.body
out TestState inspectionData.response.headers
out TestState inspectionData.response.protocol
out TestState inspectionData.response.statusCode
out TestState inspectionData.response.statusMessage

# Machines, activities and running executions have no number that they must not pass
error ActivityLimitExceeded
error ExecutionLimitExceeded
error StateMachineLimitExceeded

# A key that a configuration names is kept and not used
error KmsAccessDeniedException
error KmsInvalidStateException
error KmsThrottlingException

# No tracing configuration can be wrong that has the right type
error InvalidTracingConfiguration
";

/// One line of the model.
struct Line<'m> {
    operation: &'m str,
    kind: &'m str,
    /// Such as `loggingConfiguration.destinations[].cloudWatchLogsLogGroup`.
    path: &'m str,
    value_type: &'m str,
    more: Vec<&'m str>,
}

fn lines() -> Vec<Line<'static>> {
    let mut operation = "";
    let read = |line: &'static str| {
        let mut words = line.split(' ');
        let (kind, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if kind == "operation" {
            operation = path;
        }
        Line { operation, kind, path, value_type: words.next().unwrap_or_default(), more: words.collect() }
    };
    MODEL.lines().skip(1).map(read).collect()
}

/// Every operation.
pub(crate) fn operations() -> Vec<&'static str> {
    lines().iter().filter(|line| line.kind == "operation").map(|line| line.path).collect()
}

/// Every member that a request has.
pub(crate) fn members() -> Vec<&'static str> {
    let lines = lines();
    let members = lines.iter().filter(|line| line.kind == "in" && !line.path.contains(['.', '[']));
    members.map(|line| line.path).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Every member of a structure within a request.
pub(crate) fn members_within() -> Vec<&'static str> {
    let lines = lines();
    let members = lines.iter().filter(|line| line.kind == "in");
    let members = members.filter_map(|line| line.path.rsplit_once('.').map(|(_, member)| member));
    members.map(|member| member.trim_end_matches("[]")).collect::<BTreeSet<_>>().into_iter().collect()
}

impl Line<'_> {
    fn number(&self, name: &str) -> Option<i64> {
        self.more.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
    }

    /// As it stands in [`MISSING`].
    fn name(&self) -> String {
        match self.kind {
            "operation" | "error" => format!("{} {}", self.kind, self.path),
            kind => format!("{kind} {} {}", self.operation, self.path),
        }
    }
}

/// A request with `value` at `path` and nothing else.
fn request(path: &str, value: &str) -> String {
    path.rsplit('.').fold(value.to_owned(), |inner, part| {
        let lists = part.matches("[]").count();
        let inner = "[".repeat(lists) + &inner + &"]".repeat(lists);
        format!(r#"{{"{}":{inner}}}"#, part.trim_end_matches("[]"))
    })
}

fn refusal(site: &mut Site, operation: &str, body: String) -> (String, String) {
    let (_, answer) = site.call(operation, body);
    let member = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = member("__type");
    (kind.rsplit('#').next().unwrap_or_default().to_owned(), member("message") + &member("Message"))
}

/// What of `line` is not known, if anything is not.
fn unknown(site: &mut Site, sources: &str, line: &Line<'_>) -> Option<String> {
    let is_known = match line.kind {
        "operation" => refusal(site, line.operation, "{}".into()).0 != "UnknownOperationException",
        "in" => {
            let other = if line.value_type == "string" { "1" } else { r#""x""# };
            let wrong = refusal(site, line.operation, request(line.path, other));
            wrong.0 == "SerializationException"
        }
        "out" => {
            let leaf = line.path.rsplit('.').next().unwrap_or_default().trim_end_matches("[]");
            sources.contains(&format!("\"{leaf}\""))
        }
        _ => sources.contains(&format!("\"{}\"", line.path)),
    };
    (!is_known).then(|| line.name())
}

/// The constraints of a member that are not reported when they are broken.
fn unconstrained(site: &mut Site, line: &Line<'_>) -> Vec<String> {
    let mut broken = vec![];
    let at = line.path.replace("[]", ".1.member");
    let mut check = |body: String, what: &str, constraint: &str| {
        let (name, message) = refusal(site, line.operation, body);
        let is_reported = name == "ValidationException"
            && message.contains(&format!("at '{at}' failed"))
            && message.contains(constraint);
        if !is_reported {
            broken.push(format!(
                "{} {what}: {name}: {}",
                line.name(),
                message.chars().take(150).collect::<String>()
            ));
        }
    };
    let is = |kind: &str| line.value_type == kind;
    if line.more.contains(&"required") {
        // Within a structure it is asked for where that is.
        let body = match line.path.rsplit_once('.') {
            None => "{}".to_owned(),
            Some((structure, _)) => request(structure, "{}"),
        };
        check(body, "required", "Member must not be null");
    }
    if let Some(max) = line.number("max").filter(|max| is("string") && *max < 500_000) {
        let long = "x".repeat(max as usize + 1);
        check(request(line.path, &format!("\"{long}\"")), "max", "Member must have ");
    }
    if line.number("min").is_some_and(|min| min > 0) && is("string") {
        check(request(line.path, r#""""#), "min", "Member must have length greater than or equal to");
    }
    if let Some(max) = line.number("max").filter(|_| is("integer")) {
        check(
            request(line.path, &(max + 1).to_string()),
            "max",
            "Member must have value less than or equal to",
        );
    }
    if let Some(min) = line.number("min").filter(|_| is("integer")) {
        check(
            request(line.path, &(min - 1).to_string()),
            "min",
            "Member must have value greater than or equal to",
        );
    }
    if line.more.iter().any(|word| word.starts_with("enum=")) {
        check(request(line.path, r#""NONE_OF_THEM_AT_ALL""#), "enum", "Member must satisfy enum value set");
    }
    broken
}

/// Everything that this crate, and the interpreter for its events, is made of.
fn sources() -> String {
    fn read(folder: &Path, text: &mut String) {
        let entries = std::fs::read_dir(folder).expect("the sources are there");
        for entry in entries {
            let path = entry.expect("it can be read").path();
            if path.is_dir() {
                read(&path, text);
            } else {
                *text += &std::fs::read_to_string(&path).expect("it can be read");
            }
        }
    }
    let mut text = String::new();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    read(&here.join("src"), &mut text);
    text += &std::fs::read_to_string(here.join("../interpreter/src/history.rs")).expect("it is there");
    text
}

fn missing() -> BTreeSet<&'static str> {
    MISSING.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn everything_in_the_model_is_known_or_listed() {
    let (mut site, sources, listed) = (Site::new(), sources(), missing());
    let mut found = BTreeSet::new();
    for line in lines() {
        // Of an operation that is missing all the rest is.
        if line.kind != "operation" && listed.contains(&*format!("operation {}", line.operation)) {
            continue;
        }
        found.extend(unknown(&mut site, &sources, &line));
    }
    let found: BTreeSet<_> = found.iter().map(String::as_str).collect();
    let version = MODEL.lines().next().unwrap_or_default();
    let new: Vec<_> = found.difference(&listed).collect();
    assert!(new.is_empty(), "in {version}, and not known here:\n{new:#?}");
    let old: Vec<_> = listed.difference(&found).collect();
    assert!(old.is_empty(), "listed as missing, and known:\n{old:#?}");
}

#[test]
fn constraints_of_requests_are_the_models() {
    let (mut site, listed) = (Site::new(), missing());
    let mut broken = vec![];
    for line in lines() {
        let is_missing = listed.contains(&*format!("operation {}", line.operation));
        if line.kind == "in" && !is_missing && !listed.contains(&*line.name()) {
            broken.extend(unconstrained(&mut site, &line));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
