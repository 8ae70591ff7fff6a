//! A project's files: `stepwell.toml`, and SAM templates in YAML and JSON. An input is told by what it begins with.

use std::path::Path;

use super::Target;
use project::Project;

// The program's own reader. The program itself brings SQLite and more along, all of which would be built with its coverage counted.
#[allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "what is not called here is the program's")]
#[path = "../../../../local/src/config/mod.rs"]
mod project;

pub(super) const TARGET: Target = Target {
    name: "config",
    run,
    words: &[
        "[local]",
        "[functions.F]",
        "[state_machines.M]",
        "[mock]",
        "runtime = \"python3.11\"",
        "handler = \"app.handler\"",
        "code = \".\"",
        "timeout = 1.5",
        "definition = \"m.asl.json\"",
        "port = 65536",
        "host = \"::1\"",
        "[local.rates]",
        "Resources:",
        "Type: AWS::Serverless::Function",
        "Type: AWS::Serverless::StateMachine",
        "Properties:",
        "Globals:",
        "Runtime: nodejs20.x",
        "Handler: a.b",
        "CodeUri: x/",
        "Timeout: 3",
        "DefinitionUri: m.json",
        "Definition:",
        "DefinitionSubstitutions:",
        "!Sub ",
        "!Ref ",
        "!GetAtt ",
        "!Join [\"-\", [a, b]]",
        "!FindInMap [A, B, C]",
        "!If [C, a, b]",
        "!ImportValue x",
        "!Select [0, [a]]",
        "!Split [\",\", \"a,b\"]",
        "Fn::Sub",
        "${AWS::Region}",
        "${A.Arn}",
        "Conditions:",
        "Mappings:",
        "Parameters:",
        "Default:",
        "&a ",
        "*a",
        "<<: *a",
        "|\n  ",
        "? ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "\n",
    ],
    mutations: 800,
    bytes_max: 8_192,
    milliseconds_max: 2_000,
};

fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let first = text.trim_start();
    let name = match first.chars().next() {
        Some('{') => "template.json",
        Some('[' | '#') => "stepwell.toml",
        _ => "template.yaml",
    };
    let path = Path::new(name);
    let (read, again) = (Project::of_text(path, text), Project::of_text(path, text));
    assert_eq!(format!("{read:?}"), format!("{again:?}"), "twice gives two");
    match read {
        Ok(project) => checked(&project, text),
        Err(error) => assert!(error.to_string().contains(name), "{error} names no file"),
    }
}

/// What was read can be asked for by its name, and is not larger than what a stranger may make of some lines.
fn checked(project: &Project, text: &str) {
    let shown = format!("{project:?}").len();
    assert!(shown < 64 * 1024 * 1024, "{} bytes become {shown}", text.len());
    for function in &project.functions {
        assert!(
            project.function(&function.name).is_some() || function.name.contains(':'),
            "{function:?} is not found"
        );
    }
    for machine in &project.state_machines {
        assert!(project.state_machine(&machine.name).is_some());
        if matches!(machine.definition, project::DefinitionSource::Inline(_)) {
            assert!(machine.definition_text().is_ok());
        }
    }
}
