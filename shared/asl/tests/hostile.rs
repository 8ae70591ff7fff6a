//! No text, however damaged, large or deep, makes reading or drawing a definition panic or hang.

use proptest::prelude::*;
use stepwell_asl::{Code, Format, MachineType, Parsed, Severity, graph, parse, variable_references};
use stepwell_expr::{Value, json};

/// Reads `text` both ways, and does with the definition whatever can be done with it.
fn exercise(text: &str) -> Parsed {
    for (format, machine_type) in
        [(Format::Yaml, MachineType::Standard), (Format::Json, MachineType::Express)]
    {
        let parsed = parse(text, format, machine_type);
        if let Some(definition) = &parsed.definition {
            let _ = (graph::svg(definition), graph::mermaid(definition), variable_references(definition));
        }
    }
    let parsed = parse(text, Format::Json, MachineType::Standard);
    let errors = parsed.diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    assert_eq!(
        parsed.definition.is_none(),
        errors > 0,
        "a definition has no errors: {:?}",
        parsed.diagnostics
    );
    for diagnostic in &parsed.diagnostics {
        assert!(text.get(diagnostic.span.clone()).is_some(), "a span lies in the text: {diagnostic:?}");
        assert!(diagnostic.line >= 1 && diagnostic.column >= 1);
    }
    parsed
}

fn codes(text: &str) -> Vec<Code> {
    let mut codes: Vec<Code> = exercise(text).diagnostics.into_iter().map(|d| d.code).collect();
    codes.dedup();
    codes
}

/// A machine of one Pass state with more fields.
fn pass(fields: &str) -> String {
    format!(r#"{{"StartAt":"A","States":{{"A":{{"Type":"Pass","End":true{fields}}}}}}}"#)
}

fn nested(open: &str, middle: &str, close: &str, depth: usize) -> String {
    format!("{}{middle}{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn depth_is_bounded() {
    for depth in [2_000, 10_000, 200_000] {
        assert_eq!(codes(&nested("[", "", "]", depth)), [Code::TOO_DEEPLY_NESTED]);
        assert_eq!(codes(&nested("{\"a\":", "1", "}", depth)), [Code::TOO_DEEPLY_NESTED]);
        exercise(&"[".repeat(depth));
        exercise(&nested("- ", "x", "", depth));
    }
    let parallel = r#"{"StartAt":"N","States":{"N":{"Type":"Parallel","End":true,"Branches":["#;
    let inner = r#"{"StartAt":"Z","States":{"Z":{"Type":"Succeed"}}}"#;
    assert!(codes(&nested(parallel, inner, "]}}}", 55)).contains(&Code::TOO_DEEPLY_NESTED));
    let not = nested("{\"Not\":", r#"{"Variable":"$.a","IsNull":true}"#, "}", 280);
    let rule = not.strip_suffix('}').unwrap_or_default();
    exercise(&format!(
        r#"{{"StartAt":"A","States":{{"A":{{"Type":"Choice","Choices":[{rule},"Next":"B"}}]}},"B":{{"Type":"Succeed"}}}}}}"#
    ));
    for field in ["Result", "Parameters", "Assign", "Output"] {
        let deep = nested("{\"a\":", "[\"$.a\"]", "}", 280);
        exercise(&pass(&format!(r#","{field}":{deep}"#)));
        exercise(&pass(&format!(r#","QueryLanguage":"JSONata","{field}":{deep}"#)));
    }
}

#[test]
fn size_is_bounded() {
    let long = "x".repeat(1 << 20);
    exercise(&pass(&format!(r#","Comment":"{long}""#)));
    exercise(&pass(&format!(r#","InputPath":"$.{long}""#)));
    exercise(&pass(&format!(r#","InputPath":"${}""#, ".a".repeat(200_000))));
    exercise(&pass(&format!(r#","Parameters":{{"a.$":"{}"}}"#, "States.Format(".repeat(50_000))));
    exercise(&pass(&format!(r#","{long}":1"#)));
    assert!(
        codes(&format!(r#"{{"StartAt":"{long}","States":{{"{long}":{{"Type":"Succeed"}}}}}}"#))
            .contains(&Code::INVALID_STATE_NAME)
    );
    let twice = (0..60_000).map(|n| format!(r#""k{}":1"#, n % 30_000)).collect::<Vec<_>>().join(",");
    assert!(codes(&pass(&format!(",{twice}"))).contains(&Code::INVALID_JSON_DESCRIPTION));
}

#[test]
fn many_states_are_read_and_drawn() {
    let count = 3_000;
    let state = |n: usize| format!(r#""S{n}":{{"Type":"Pass","Next":"S{}"}}"#, n + 1);
    let chain: Vec<String> = (0..count).map(state).collect();
    let text =
        format!(r#"{{"StartAt":"S0","States":{{{},"S{count}":{{"Type":"Succeed"}}}}}}"#, chain.join(","));
    assert_eq!(codes(&text), []);
    let rule = |n: usize| format!(r#"{{"Variable":"$.n","NumericEquals":{n},"Next":"T{n}"}}"#);
    let rules: Vec<String> = (0..count).map(rule).collect();
    let ends: Vec<String> = (0..count).map(|n| format!(r#""T{n}":{{"Type":"Succeed"}}"#)).collect();
    let text = format!(
        r#"{{"StartAt":"C","States":{{"C":{{"Type":"Choice","Choices":[{}]}},{}}}}}"#,
        rules.join(","),
        ends.join(",")
    );
    assert_eq!(codes(&text), []);
}

#[test]
fn numbers_out_of_any_range_are_refused() {
    for number in ["1e999", "-1", "99999999999999999999999999", "0.5", "1e-400", "-0", "100000000"] {
        let wait = |n: &str| {
            format!(
                r#"{{"StartAt":"A","TimeoutSeconds":{n},"States":{{"A":{{"Type":"Wait","Seconds":{n},"End":true}}}}}}"#
            )
        };
        assert_eq!(codes(&wait(number)), [Code::SCHEMA_VALIDATION_FAILED], "{number}");
    }
    exercise(&pass(r#","Result":[1e400,123456789012345678901234567890,-0.0]"#));
}

/// Definitions to damage: between them, every type of state and most fields.
const BASES: [&str; 4] = [
    r#"{"Comment":"c","StartAt":"V","TimeoutSeconds":9,"States":{
        "V":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"a.$":"$.b","c":[1]},
             "ResultSelector":{"x.$":"$.Payload"},"ResultPath":"$.r","TimeoutSecondsPath":"$.t","HeartbeatSeconds":3,
             "Retry":[{"ErrorEquals":["States.ALL"],"IntervalSeconds":1,"MaxAttempts":2,"BackoffRate":1.5,"JitterStrategy":"FULL"}],
             "Catch":[{"ErrorEquals":["States.ALL"],"Next":"F","ResultPath":"$.e"}],"Next":"C"},
        "C":{"Type":"Choice","Choices":[{"And":[{"Variable":"$.a","NumericGreaterThan":1},{"Not":{"Variable":"$v","IsNull":true}}],"Next":"W"},
             {"Variable":"$.s","StringMatches":"a*","Next":"M","Assign":{"v.$":"States.Format('{}', $.s)"}}],"Default":"F"},
        "W":{"Type":"Wait","TimestampPath":"$$.Execution.StartTime","Next":"V"},
        "M":{"Type":"Map","ItemsPath":"$.i","MaxConcurrency":2,"Label":"l","ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"},"StartAt":"P","States":{"P":{"Type":"Pass","Result":1,"End":true}}},
             "ItemBatcher":{"MaxItemsPerBatch":3},"ItemReader":{"Resource":"arn:aws:states:::s3:getObject","ReaderConfig":{"InputType":"JSON"},"Parameters":{"Bucket":"b"}},"ResultWriter":{"Resource":"arn:aws:states:::s3:putObject","Parameters":{"Bucket":"b"}},"End":true},
        "F":{"Type":"Fail","ErrorPath":"$.e","Cause":"c"}}}"#,
    r#"{"QueryLanguage":"JSONata","StartAt":"P","States":{
        "P":{"Type":"Parallel","Arguments":{"a":"{% $states.input.x + 1 %}"},"Branches":[{"StartAt":"A","States":{"A":{"Type":"Succeed","Output":"{% $v %}"}}}],
             "Output":"{% $states.result[0] %}","Assign":{"v":"{% $states.input %}"},"Catch":[{"ErrorEquals":["E"],"Output":"{% $states.errorOutput %}","Next":"F"}],"Next":"C"},
        "C":{"Type":"Choice","Choices":[{"Condition":"{% $v.n > 1 %}","Next":"W","Output":1},{"Condition":true,"Next":"F"}]},
        "W":{"Type":"Wait","Seconds":"{% $v.s %}","Next":"M"},
        "M":{"Type":"Map","Items":[1,"{% 2 %}"],"ItemSelector":{"x":"{% $states.context.Map.Item.Value %}"},"ItemProcessor":{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","TimeoutSeconds":"{% 3 %}","Credentials":{"RoleArn":"r"},"End":true}}},"End":true},
        "F":{"Type":"Fail","Error":"{% 'e' %}"}}}"#,
    "StartAt: A\nStates:\n  A: &a\n    Type: Pass\n    Next: B\n  B:\n    <<: *a\n    Next: C\n  C:\n    Type: Succeed\n",
    r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Parameters":{"$":1,"x.$":"States.Array($.a, 'b', States.UUID())"},"End":true}}}"#,
];

/// Pieces of text that mean something somewhere.
const PIECES: [&str; 30] = [
    "{", "}", "[", "]", "\"", ",", ":", "null", "true", "-1", "1e9", "\\u0000", "\\", "$", "$.", "$$", ".$",
    "{%", "%}", "States.", "(", ")", "'", "é", "\n", "  ", "*a", "&a ", "Type", "A",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_text_is_only_ever_refused(base in 0..BASES.len(), edits in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, 0..=PIECES.len()), 1..6)) {
        let mut text: Vec<char> = BASES[base].chars().collect();
        for (at, gone, piece) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + gone).min(text.len());
            let piece = PIECES.get(piece).copied().unwrap_or_default();
            text.splice(at..end, piece.chars());
        }
        exercise(&text.into_iter().collect::<String>());
    }

    #[test]
    fn misplaced_values_are_only_ever_refused(base in 0..2_usize, edits in prop::collection::vec((any::<u64>(), any::<u64>()), 1..4)) {
        let mut value = json::parse(BASES[base]).expect("a base is JSON");
        for (target, source) in edits {
            let source = nth(&value, source);
            value = replaced(&value, &mut (target % count(&value)), &source);
        }
        exercise(&value.to_json());
    }
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(map) => map.values().collect(),
        _ => Vec::new(),
    }
}

fn count(value: &Value) -> u64 {
    1 + children(value).into_iter().map(count).sum::<u64>()
}

/// One of the value's parts, or something that is none of them.
fn nth(value: &Value, at: u64) -> Value {
    fn find(value: &Value, at: &mut u64) -> Option<Value> {
        if *at == 0 {
            return Some(value.clone());
        }
        *at -= 1;
        children(value).into_iter().find_map(|child| find(child, at))
    }
    find(value, &mut (at % (count(value) + 3))).unwrap_or(Value::Null)
}

fn replaced(value: &Value, at: &mut u64, by: &Value) -> Value {
    if *at == 0 {
        *at = u64::MAX;
        return by.clone();
    }
    *at -= 1;
    match value {
        Value::Array(items) => Value::array(items.iter().map(|item| replaced(item, at, by)).collect()),
        Value::Object(map) => {
            Value::object(map.iter().map(|(key, member)| (key.clone(), replaced(member, at, by))).collect())
        }
        other => other.clone(),
    }
}
