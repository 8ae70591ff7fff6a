//! Every definition that AWS was recorded with: what it accepted parses, and what it refused is refused in its words.

use std::path::Path;

use stepwell_asl::{
    Diagnostic, Format, MachineType, Severity, invalid_definition, parse, variable_references,
};
use stepwell_expr::{Map, Value, json};

/// Cases whose texts we do not reproduce, and why.
const MISSES: &[(&str, &str)] = &[];

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/cases");

#[test]
fn every_recorded_definition_is_accepted_or_refused_as_aws_did() {
    let mut report = Report::default();
    for (file, cases) in recordings() {
        for case in cases.as_array().unwrap_or_default() {
            check_case(&file, case, &mut report);
        }
    }
    println!(
        "{} definitions accepted, {} refused, {} misses",
        report.accepted,
        report.refused,
        report.misses.len()
    );
    for miss in &report.misses {
        println!("{miss}");
    }
    assert!(
        report.misses.is_empty(),
        "{} definitions were not treated as AWS treated them",
        report.misses.len()
    );
}

#[test]
fn every_recorded_variable_reference_is_found() {
    let mut checked = 0;
    for (file, cases) in recordings().into_iter().filter(|(file, _)| file.contains("variable_references")) {
        for case in cases.as_array().unwrap_or_default() {
            let definition = calls(case).find_map(|call| call.get("params")?.get("definition")?.as_str());
            let text = filled(definition.unwrap_or_default());
            let definition = parse(&text, Format::Json, MachineType::Standard).definition.expect("accepted");
            let found = variable_references(&definition);
            let found: Map = found
                .into_iter()
                .map(|(state, names)| (state, Value::array(names.into_iter().map(Value::from).collect())))
                .collect();
            for value in case.get("expect").and_then(Value::as_array).unwrap_or_default() {
                let Some(value) = value.get("value").filter(|value| value.get("definition").is_some()) else {
                    continue;
                };
                let expected = value.get("variableReferences").cloned().unwrap_or_else(Value::empty_object);
                assert_eq!(Value::object(found.clone()), expected, "{file} {text}");
                checked += 1;
            }
        }
    }
    println!("{checked} variable references as recorded");
}

#[derive(Default)]
struct Report {
    accepted: usize,
    refused: usize,
    misses: Vec<String>,
}

fn recordings() -> Vec<(String, Value)> {
    let Ok(folder) = std::fs::read_dir(Path::new(CASES)) else {
        println!("skipped: no recordings at {CASES}");
        return Vec::new();
    };
    let mut files: Vec<_> = folder.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let read = |path: &Path| {
        json::parse(&std::fs::read_to_string(path).expect("a recording is readable"))
            .expect("a recording is JSON")
    };
    files
        .iter()
        .map(|path| (path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), read(path)))
        .collect()
}

fn check_case(file: &str, case: &Value, report: &mut Report) {
    let id = format!("{file} {}", case.get("id").and_then(Value::as_str).unwrap_or_default());
    let machine_type = machine_type(case.get("type"));
    let text = match (case.get("definition"), case.get("definition_text")) {
        (Some(definition), _) => Some(definition.to_json()),
        (None, Some(text)) => text.as_str().map(str::to_owned),
        _ => None,
    };
    if let Some(text) = text {
        check(&id, &text, machine_type, None, report);
    }
    for (index, call) in calls(case).enumerate() {
        let params = call.get("params");
        let Some(text) = params.and_then(|p| p.get("definition")).and_then(Value::as_str) else { continue };
        let call_type =
            params.and_then(|p| p.get("type")).map_or(machine_type, |t| self::machine_type(Some(t)));
        let expected = expected_of(case, index);
        match call.get("op").and_then(Value::as_str) {
            Some("CreateStateMachine" | "UpdateStateMachine") => {
                let refused = call.get("error_code").and_then(Value::as_str) == Some("InvalidDefinition");
                check(&id, text, call_type, refused.then_some(expected), report);
            }
            Some("ValidateStateMachineDefinition") => {
                check_diagnostics(&id, text, call_type, &expected, report)
            }
            _ => {}
        }
    }
}

fn calls(case: &Value) -> impl Iterator<Item = &Value> {
    case.get("calls").and_then(Value::as_array).unwrap_or_default().iter()
}

fn machine_type(value: Option<&Value>) -> MachineType {
    match value.and_then(Value::as_str) {
        Some("EXPRESS") => MachineType::Express,
        _ => MachineType::Standard,
    }
}

/// What is expected of the call `index`.
fn expected_of(case: &Value, index: usize) -> Value {
    let expectations = case.get("expect").and_then(Value::as_array).unwrap_or_default();
    let of = |e: &&Value| {
        let of = e.get("of").map(Value::to_json).unwrap_or_default();
        of.contains(&format!("\"$ref\":[{index},")) || of.contains(&format!("\"$error\":{index}"))
    };
    expectations.iter().find(of).and_then(|e| e.get("value")).cloned().unwrap_or_default()
}

/// Puts something in the places that the runner fills in.
fn filled(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((name, after)) = after.split_once("}}") else {
            rest = after;
            break;
        };
        out.push_str(match name {
            "account" => "123456789012",
            "region" => "us-east-1",
            name if name.starts_with("now") => "2030-01-01T00:00:00Z",
            name if name.contains("activityArn") => "arn:aws:states:us-east-1:123456789012:activity:a",
            name if name.contains("Arn") => "arn:aws:lambda:us-east-1:123456789012:function:f",
            _ => "x",
        });
        rest = after;
    }
    out + rest
}

fn check(id: &str, text: &str, machine_type: MachineType, refused: Option<Value>, report: &mut Report) {
    let text = filled(text);
    let parsed = parse(&text, Format::Json, machine_type);
    let found = invalid_definition(&text, &parsed.diagnostics);
    let wrong = match refused {
        None => {
            report.accepted += 1;
            parsed.definition.is_none().then_some(found)
        }
        Some(expected) => {
            report.refused += 1;
            let message = expected.get("message").or(expected.get("exception_value")).and_then(Value::as_str);
            let message = filled(message.unwrap_or_default());
            (!message.ends_with(&found)).then(|| format!("{found}\n    expected {message}"))
        }
    };
    note(id, wrong, report);
}

fn check_diagnostics(id: &str, text: &str, machine_type: MachineType, expected: &Value, report: &mut Report) {
    let found: Vec<String> = parse(text, Format::Json, machine_type).diagnostics.iter().map(shown).collect();
    let value = expected.get("diagnostics").and_then(Value::as_array).unwrap_or_default();
    let word = |d: &Value, name: &str| d.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let expected: Vec<String> = value
        .iter()
        .map(|d| ["severity", "code", "location", "message"].map(|name| word(d, name)).join("|"))
        .collect();
    report.refused += 1;
    note(id, (found != expected).then(|| format!("{found:?}\n    expected {expected:?}")), report);
}

fn shown(diagnostic: &Diagnostic) -> String {
    let severity = if diagnostic.severity == Severity::Error { "ERROR" } else { "WARNING" };
    [severity, diagnostic.code.0, &diagnostic.location, &diagnostic.message].join("|")
}

fn note(id: &str, wrong: Option<String>, report: &mut Report) {
    let known = MISSES.iter().any(|(known, _)| id.contains(known));
    match wrong {
        Some(wrong) if !known => report.misses.push(format!("{id}\n    {wrong}")),
        _ => {}
    }
}
