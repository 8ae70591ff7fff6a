//! Definitions, in JSON or YAML.

use stepwell_asl::{Definition, Format, MachineType, Parsed, Severity, graph, json_of_yaml, parse};
use stepwell_conformance::shake;
use stepwell_expr::Payload;
use stepwell_test_support::Choices;

use super::Target;

pub(super) const TARGET: Target = Target {
    name: "definition",
    run,
    words: &[
        "\"StartAt\":",
        "\"States\":",
        "\"Type\":",
        "\"Task\"",
        "\"Pass\"",
        "\"Choice\"",
        "\"Wait\"",
        "\"Succeed\"",
        "\"Fail\"",
        "\"Parallel\"",
        "\"Map\"",
        "\"Next\":",
        "\"End\":true",
        "\"Default\":",
        "\"Choices\":",
        "\"Variable\":",
        "\"Condition\":",
        "\"And\":",
        "\"Not\":",
        "\"Branches\":",
        "\"ItemProcessor\":",
        "\"ProcessorConfig\":{\"Mode\":\"DISTRIBUTED\",\"ExecutionType\":\"STANDARD\"}",
        "\"ItemReader\":",
        "\"ResultWriter\":",
        "\"ItemBatcher\":",
        "\"ItemsPath\":",
        "\"Items\":",
        "\"ItemSelector\":",
        "\"MaxConcurrency\":",
        "\"ToleratedFailureCount\":",
        "\"Retry\":",
        "\"Catch\":",
        "\"ErrorEquals\":[\"States.ALL\"]",
        "\"IntervalSeconds\":",
        "\"MaxAttempts\":",
        "\"BackoffRate\":",
        "\"JitterStrategy\":\"FULL\"",
        "\"Resource\":\"arn:aws:states:::lambda:invoke.waitForTaskToken\"",
        "\"Parameters\":",
        "\"Arguments\":",
        "\"Output\":",
        "\"Assign\":",
        "\"ResultPath\":",
        "\"ResultSelector\":",
        "\"InputPath\":",
        "\"OutputPath\":",
        "\"QueryLanguage\":\"JSONata\"",
        "\"QueryLanguage\":\"JSONPath\"",
        "\"Seconds\":",
        "\"SecondsPath\":",
        "\"Timestamp\":",
        "\"TimeoutSeconds\":",
        "\"HeartbeatSeconds\":",
        "\"Error\":",
        "\"CausePath\":",
        "\"{% $states.input %}\"",
        "\"$.x\"",
        "\"$$.Execution.Id\"",
        "null",
        "99999999999",
        "-1",
        "1.5",
    ],
    mutations: 400,
    bytes_max: 16_384,
    milliseconds_max: 8_000,
};

/// Diagnostics that are kept at most, as [`parse`] promises.
const DIAGNOSTICS_MAX: usize = 1000;

fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let format = if text.trim_start().starts_with('{') { Format::Json } else { Format::Yaml };
    for machine_type in [MachineType::Standard, MachineType::Express] {
        let parsed = parse(text, format, machine_type);
        assert_eq!(parsed.diagnostics, parse(text, format, machine_type).diagnostics, "twice gives two");
        places(text, &parsed);
        if let Some(definition) = &parsed.definition {
            accepted(text, format, machine_type, definition);
        }
    }
}

/// Every diagnostic is about a place in the text, and there is a definition where none is an error.
fn places(text: &str, parsed: &Parsed) {
    let lines = text.split('\n').count();
    assert!(parsed.diagnostics.len() <= DIAGNOSTICS_MAX);
    for found in &parsed.diagnostics {
        let span = &found.span;
        assert!(span.start <= span.end && span.end <= text.len(), "{found:?} is outside of the text");
        assert!(
            text.is_char_boundary(span.start) && text.is_char_boundary(span.end),
            "{found:?} divides a character"
        );
        assert!((1..=lines).contains(&found.line) && found.column >= 1, "{found:?} is no place");
        assert!(!found.message.is_empty());
    }
    let is_wrong = parsed.diagnostics.iter().any(|found| found.severity == Severity::Error);
    assert_eq!(parsed.definition.is_none(), is_wrong, "{:?}", parsed.diagnostics);
}

/// A definition that is accepted can be drawn, read again from its own text, and executed.
fn accepted(text: &str, format: Format, machine_type: MachineType, definition: &Definition) {
    let drawn = graph::mermaid(definition);
    assert!(!drawn.is_empty() && graph::svg(definition).starts_with("<svg"));
    let again = parse(definition.text(), Format::Json, machine_type);
    let Some(again) = &again.definition else {
        panic!("the definition's own text is refused: {:?}", again.diagnostics);
    };
    assert_eq!(graph::mermaid(again), drawn, "the definition's own text says something else");
    if format == Format::Yaml {
        assert_eq!(json_of_yaml(text).as_deref(), Ok(&**definition.text()));
    }
    if machine_type == MachineType::Standard {
        let input = Payload::trusted(r#"{"x":[1,{"y":"z"}],"n":1,"ok":true}"#);
        for seed in 0..2 {
            let choices = &mut Choices::seeded(seed);
            shake(definition, &input, choices)
                .map(drop)
                .unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
        }
    }
}
