//! What is refused, and in which words. Most of them were measured on the service by others, and are told in public
//! issues; where nobody has, the words are ours.

use stepwell_asl::{Format, MachineType, Severity, parse};

/// Checks what is said about a definition: `CODE: message at location`, one a line, `(warning)` behind warnings.
fn check(definition: &str, expected: &[&str]) {
    check_as(definition, Format::Json, MachineType::Standard, expected);
}

fn check_as(definition: &str, format: Format, machine_type: MachineType, expected: &[&str]) {
    let parsed = parse(definition, format, machine_type);
    let said = |d: &stepwell_asl::Diagnostic| {
        let warning = if d.severity == Severity::Warning { " (warning)" } else { "" };
        format!("{}: {} at {}{warning}", d.code, d.message, d.location)
    };
    let found: Vec<String> = parsed.diagnostics.iter().map(said).collect();
    assert_eq!(found, expected, "{definition}");
}

/// Checks one state, `A`, after which `B` comes.
fn check_state(state: &str, expected: &[&str]) {
    let text = format!(r#"{{"StartAt":"A","States":{{"A":{{{state}}},"B":{{"Type":"Succeed"}}}}}}"#);
    let parsed = parse(&text, Format::Json, MachineType::Standard);
    let found: Vec<String> =
        parsed.diagnostics.iter().map(|d| format!("{} at {}", d.message, d.location)).collect();
    assert_eq!(found, expected, "{state}");
}

#[test]
fn what_is_no_definition() {
    check("", &["SCHEMA_VALIDATION_FAILED: Definition must be a valid JSON object at "]);
    check("[]", &["SCHEMA_VALIDATION_FAILED: Definition must be a valid JSON object at "]);
    check("{}", &["SCHEMA_VALIDATION_FAILED: These fields are required: [States, StartAt] at /"]);
    let place = r#"[Source: (String)"not a definition"; line: 1, column: 4]"#;
    let words = "Unrecognized token 'not': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
    check("not a definition", &[&format!("INVALID_JSON_DESCRIPTION: {words}\n at {place} at {place}")]);
    check(
        r#"{"StartAt":"A","StartAt":"A","States":{"A":{"Type":"Succeed"}}}"#,
        &["INVALID_JSON_DESCRIPTION: Duplicate field 'StartAt' at "],
    );
}

#[test]
fn transitions() {
    check(
        r#"{"StartAt":"pass1","States":{"pass1":{"Type":"Pass","Next":"pass3"},"pass2":{"Type":"Pass","End":true}}}"#,
        &[
            "MISSING_TRANSITION_TARGET: Missing 'Next' target: pass3 at /States/pass1/Next",
            "MISSING_TRANSITION_TARGET: State \"pass2\" is not reachable. at /States/pass2",
        ],
    );
    check(
        r#"{"StartAt":"Nope","States":{"A":{"Type":"Pass","End":true}}}"#,
        &[
            "MISSING_TRANSITION_TARGET: Missing 'Next' target: Nope at /StartAt",
            "MISSING_TRANSITION_TARGET: State \"A\" is not reachable. at /States/A",
        ],
    );
    let circle = r#""A":{"Type":"Pass","Next":"B"},"B":{"Type":"Pass","Next":"A"}"#;
    check(
        &format!(r#"{{"StartAt":"A","States":{{{circle}}}}}"#),
        &["MISSING_END_STATE: Workflow has no terminal state at "],
    );
    check(
        &format!(r#"{{"StartAt":"A","States":{{{circle},"C":{{"Type":"Pass","End":true}}}}}}"#),
        &["MISSING_TRANSITION_TARGET: State \"C\" is not reachable. at /States/C"],
    );
    check(
        &format!(
            r#"{{"StartAt":"M","States":{{"M":{{"Type":"Map","ItemProcessor":{{"StartAt":"A","States":{{{circle}}}}},"End":true}}}}}}"#
        ),
        &[],
    );
    check(
        r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Pass","End":true},"P":{"Type":"Pass","End":true}}}],"End":true}}}"#,
        &[
            "DUPLICATE_STATE_NAME: Duplicate State name: P at /States/P/Branches[0]/States/P",
            "MISSING_TRANSITION_TARGET: State \"P\" is not reachable. at /States/P/Branches[0]/States/P",
        ],
    );
    check_state(
        r#""Type":"Choice","Choices":[{"Variable":"$.x","IsPresent":true,"Next":"G"}],"Default":"B""#,
        &["Missing 'Next' target: G at /States/A/Choices[0]/Next"],
    );
    check_state(
        r#""Type":"Task","Resource":"arn:aws:states:::sns:publish","Catch":[{"ErrorEquals":["E"],"Next":"G"}],"Next":"B""#,
        &["Missing 'Next' target: G at /States/A/Catch[0]/Next"],
    );
    check_state(
        r#""Type":"Pass""#,
        &["There should be one of the following fields: [Next, End] at /States/A"],
    );
    check_state(
        r#""Type":"Pass","Next":"B","End":true"#,
        &["There should only be one of the following fields: [Next, End] at /States/A"],
    );
}

#[test]
fn fields_of_types() {
    for (state, field) in [
        (r#""Type":"Pass","TimeoutSeconds":5"#, "TimeoutSeconds"),
        (r#""Type":"Pass","Catch":[]"#, "Catch"),
        (r#""Type":"Wait","Seconds":1,"Retry":[]"#, "Retry"),
        (r#""Type":"Wait","Seconds":1,"ResultPath":null"#, "ResultPath"),
        (r#""Type":"Pass","Colour":"red""#, "Colour"),
    ] {
        let expected = format!("Field '{field}' is not supported at /States/A");
        check_state(&format!(r#"{state},"Next":"B""#), &[&expected]);
    }
    check_state(
        r#""Type":"Pass","Output":1,"Next":"B""#,
        &[
            "The QueryLanguage is set to 'JSONPath', but field 'Output' is only supported for the 'JSONata' QueryLanguage at /States/A",
        ],
    );
    check_state(
        r#""Type":"Pass","QueryLanguage":"jsonata","Output":1,"InputPath":"$.a","Next":"B""#,
        &[
            "The QueryLanguage is set to 'JSONata', but field 'InputPath' is only supported for the 'JSONPath' QueryLanguage at /States/A",
            "Value should be one of the following: [JSONPath, JSONata] at /States/A/QueryLanguage",
        ],
    );
    check(
        r#"{"QueryLanguage":"JSONata","StartAt":"X","States":{"X":{"Type":"Pass","QueryLanguage":"JSONPath","Output":{"v":"{% 1 %}"},"End":true}}}"#,
        &[
            "SCHEMA_VALIDATION_FAILED: 'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine at /States/X",
        ],
    );
    check(
        r#"{"QueryLanguage":5,"StartAt":"X","States":{"X":{"Type":"Pass","End":true}}}"#,
        &["SCHEMA_VALIDATION_FAILED: Expected value of type [STRING] at /QueryLanguage"],
    );
    check_state(
        r#""Type":"Map","Iterator":{"QueryLanguage":"JSONata","StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},"Next":"B""#,
        &["Field 'QueryLanguage' is not supported at /States/A/Iterator"],
    );
    check_state(
        r#""Type":"Parallel","QueryLanguage":"JSONata","Branches":[{"StartAt":"P","States":{"P":{"Type":"Pass","Output":1,"End":true}}}],"Next":"B""#,
        &[
            "The QueryLanguage is set to 'JSONPath', but field 'Output' is only supported for the 'JSONata' QueryLanguage at /States/A/Branches[0]/States/P",
        ],
    );
}

#[test]
fn values() {
    check_state(
        r#""Type":"Wait","Seconds":10000000000000000,"Next":"B""#,
        &["Maximum value is 99999999 at /States/A/Seconds"],
    );
    check_state(
        r#""Type":"Wait","Next":"B""#,
        &[
            "There should be one of the following fields: [Seconds, SecondsPath, Timestamp, TimestampPath] at /States/A",
        ],
    );
    check_state(
        r#""Type":"Pass","OutputPath":"Test","Next":"B""#,
        &["Value must be a valid JSONPath. at /States/A/OutputPath"],
    );
    check_state(
        r#""Type":"Choice","Choices":[{"Variable":"Test","StringMatches":"x","Next":"B"}]"#,
        &[
            "Value is not a Reference Path: Reference path didn't start with '$' at /States/A/Choices[0]/Variable",
        ],
    );
    check_state(
        r#""Type":"Choice","Choices":[{"Variable":"$","StringMatches":"x"}],"Default":"B""#,
        &["These fields are required: [Next] at /States/A/Choices[0]"],
    );
    check_state(
        r#""Type":"Pass","Assign":{"Variable.$":"Test"},"Next":"B""#,
        &[
            "The value for the field 'Variable.$' must be a valid JSONPath or a valid intrinsic function call at /States/A/Assign",
        ],
    );
    let map = r#""Type":"Map","ItemProcessor":{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},"Next":"B""#;
    check_state(
        &format!(r#"{map},"MaxConcurrency":-1"#),
        &["Minimum value is 0 at /States/A/MaxConcurrency"],
    );
    check_state(
        &format!(r#"{map},"ToleratedFailurePercentage":101"#),
        &["Maximum value is 100.0 at /States/A/ToleratedFailurePercentage"],
    );
    check_state(
        &format!(r#"{map},"MaxConcurrency":1,"MaxConcurrencyPath":"$.n""#),
        &[
            "There should only be one of the following fields: [MaxConcurrency, MaxConcurrencyPath] at /States/A",
        ],
    );
    check_state(
        r#""Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3","Next":"B""#,
        &[
            "The resource provided arn:aws:states:::aws-sdk:s3 is not recognized. The value is not a valid resource ARN, or the resource is not available in this region. at /States/A/Resource",
        ],
    );
    check_state(
        r#""Type":"Task","Resource":"create","Next":"B""#,
        &["Value is not a valid resource ARN at /States/A/Resource"],
    );
    let read = |reader: &str| format!(r#"{map},"ItemReader":{{{reader}}}"#);
    check_state(
        &read(
            r#""Resource":"arn:aws:states:::s3:getObject","ReaderConfig":{"InputType":"XML","MaxItems":100000001}"#,
        ),
        &[
            "Value should be one of the following: [CSV, JSON, JSONL, MANIFEST, PARQUET] at /States/A/ItemReader/ReaderConfig/InputType",
            "Maximum value is 100000000 at /States/A/ItemReader/ReaderConfig/MaxItems",
        ],
    );
    check_state(
        &read(r#""Resource":"arn:aws:states:::sns:publish""#),
        &[
            "The resource provided arn:aws:states:::sns:publish is not recognized. The value is not a valid resource ARN, or the resource is not available in this region. at /States/A/ItemReader/Resource",
        ],
    );
    let retry = |retry: &str| {
        format!(r#""Type":"Task","Resource":"arn:aws:states:::sns:publish","Retry":[{retry}],"Next":"B""#)
    };
    check_state(
        &retry(
            r#"{"ErrorEquals":["States.ALL","E"]},{"ErrorEquals":["E"],"BackoffRate":0.5,"JitterStrategy":"HALF"}"#,
        ),
        &[
            "'States.ALL' must stand alone in ErrorEquals, and in the last of the rules at /States/A/Retry[0]/ErrorEquals",
            "Minimum value is 1.0 at /States/A/Retry[1]/BackoffRate",
            "Value should be one of the following: [FULL, NONE] at /States/A/Retry[1]/JitterStrategy",
        ],
    );
}

#[test]
fn jsonata() {
    let pass =
        |output: &str| format!(r#""Type":"Pass","QueryLanguage":"JSONata","Output":{output},"Next":"B""#);
    check_state(
        &pass(r#"{"v":"{% phone %}"}"#),
        &["Reference to 'phone' at the top level is not supported. at /States/A/Output/v"],
    );
    check_state(&pass(r#""{% $$ %}""#), &["Reference to '$$' is not supported. at /States/A/Output"]);
    check_state(
        &pass(r#"{"l":[1,"{% $states.errorOutput %}"]}"#),
        &["Field '$states.errorOutput' does not exist. at /States/A/Output/l[1]"],
    );
    check_state(&pass(r#""{% 1 + %}""#), &["Unexpected end of expression at /States/A/Output"]);
    check_state(
        r#""Type":"Task","QueryLanguage":"JSONata","Resource":"arn:aws:states:::sns:publish","Catch":[{"ErrorEquals":["E"],"Output":"{% $states.errorOutput %}","Next":"B"}],"Next":"B""#,
        &[],
    );
}

#[test]
fn express() {
    let task = |resource: &str| {
        format!(r#"{{"StartAt":"T","States":{{"T":{{"Type":"Task","Resource":"{resource}","End":true}}}}}}"#)
    };
    for (resource, what) in [
        ("arn:aws:states:::states:startExecution.sync", "'.sync' service integration"),
        ("arn:aws:states:::sqs:sendMessage.waitForTaskToken", "'.waitForTaskToken' service integration "),
        ("arn:aws:states:us-east-1:123456789012:activity:a", "Activity ARN"),
    ] {
        let expected = format!(
            "SCHEMA_VALIDATION_FAILED: Express state machine does not support {what} at /States/T/Resource"
        );
        check_as(&task(resource), Format::Json, MachineType::Express, &[&expected]);
        check(&task(resource), &[]);
    }
}

#[test]
fn warnings() {
    let state = r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Parameters":{"a":"$.b","c":{"d":"States.UUID()"}},"Result":{"x.$":"$.y"},"End":true}}}"#;
    let parsed = parse(state, Format::Json, MachineType::Standard);
    assert!(parsed.definition.is_some(), "warnings refuse nothing");
    let found: Vec<String> =
        parsed.diagnostics.iter().map(|d| format!("{} at {}", d.code, d.location)).collect();
    assert_eq!(
        found,
        [
            "PASS_RESULT_IS_STATIC at /States/A/Result/x.$",
            "NO_DOLLAR at /States/A/Parameters/a",
            "NO_DOLLAR at /States/A/Parameters/c/d",
        ]
    );
    check_state(
        r#""Type":"Choice","Choices":[{"Variable":"$.a","StringEquals":"$.b","Next":"B"}]"#,
        &[
            "The value of 'StringEquals' looks like a path, but the field's name does not end in 'Path' at /States/A/Choices[0]/StringEquals",
        ],
    );
}

#[test]
fn every_place_has_line_and_column_in_both_formats() {
    let json = "{\n  \"StartAt\": \"A\",\n  \"States\": {\n    \"A\": { \"Type\": \"Pass\", \"Next\": \"Bé\" },\n    \"Be\": { \"Type\": \"Succeed\" }\n  }\n}";
    let yaml = "# é\nStartAt: A\nStates:\n  A:\n    Type: Pass\n    Next: Bé\n  Be:\n    Type: Succeed\n";
    for (text, format, place) in [(json, Format::Json, (4, 36)), (yaml, Format::Yaml, (6, 11))] {
        let parsed = parse(text, format, MachineType::Standard);
        let first = &parsed.diagnostics[0];
        assert_eq!((first.line, first.column), place);
        assert_eq!(first.help.as_deref(), Some("did you mean 'Be'?"));
        assert_eq!(parsed.diagnostics[1].location, "/States/Be");
    }
}
