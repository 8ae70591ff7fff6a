//! A state that stands by itself, as TestState takes it.

use stepwell_asl::{LONE_STATE, MachineType, Severity, parse_state};

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let parsed = parse_state(text, MachineType::Standard);
    let errors = parsed.diagnostics.iter().filter(|found| found.severity == Severity::Error);
    let errors: Vec<_> = errors.map(|error| format!("{} at {}", error.message, error.location)).collect();
    assert_eq!(errors, expected, "{text}");
    let state = parsed.definition.as_ref().and_then(|definition| definition.state(LONE_STATE));
    assert_eq!(state.is_some(), expected.is_empty(), "{text}");
}

#[test]
fn its_transitions_may_lead_anywhere() {
    for text in [
        r#"{"Type":"Pass","Next":"Elsewhere"}"#,
        r#"{"Type":"Succeed"}"#,
        r#"{"Type":"Choice","Choices":[{"Variable":"$.a","IsPresent":true,"Next":"A"}],"Default":"B"}"#,
        r#"{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{},"Catch":[{"ErrorEquals":["E"],"Next":"C"}],"End":true}"#,
        r#"{"Type":"Map","QueryLanguage":"JSONata","ItemProcessor":{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},"End":true}"#,
    ] {
        check(text, &[]);
    }
}

#[test]
fn the_rest_is_checked_as_in_a_machine() {
    check("[]", &["Expected value of type [OBJECT] at /"]);
    check("{}", &["These fields are required: [Type] at /"]);
    check(r#"{"Type":"Pass","Foo":1,"End":true}"#, &["Field 'Foo' is not supported at /"]);
    check(
        r#"{"Type":"Map","ItemProcessor":{"StartAt":"P","States":{"P":{"Type":"Pass","Next":"Q"}}},"End":true}"#,
        &["Missing 'Next' target: Q at /ItemProcessor/States/P/Next"],
    );
    check(
        r#"{"Type":"Parallel","Branches":[{"StartAt":"StateName","States":{"StateName":{"Type":"Pass","End":true}}}],"End":true}"#,
        &["Duplicate State name: StateName at /Branches[0]/States/StateName"],
    );
}
