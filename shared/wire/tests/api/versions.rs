//! Versions of state machines.

use stepwell_expr::Value;

use crate::site::{EXECUTION, FAIL, MACHINE, PASS, Site, body, check, create, quoted, start, text, timeless};

const CONFLICT: &str = "ConflictException: Failed to publish the version because the revision of the state machine is \
                        not the one requested.";

/// The body of UpdateStateMachine; `members` begins with a comma.
fn update(arn: &str, definition: &str, members: &str) -> String {
    format!(r#"{{"stateMachineArn":{},"definition":{}{members}}}"#, quoted(arn), quoted(definition))
}

fn listed(site: &mut Site, arn: &str) -> Vec<String> {
    let answer = site.ask("ListStateMachineVersions", body("stateMachineArn", arn));
    let versions = answer.get("stateMachineVersions").and_then(Value::as_array).unwrap_or_default();
    versions.iter().map(|version| text(version, "stateMachineVersionArn").replace(arn, "")).collect()
}

#[test]
fn a_machine_is_published_at_its_creation() {
    let mut site = Site::new();
    let described = r#","publish":true,"versionDescription":"first""#;
    let created = format!(
        r#"{{"stateMachineArn":"{MACHINE}m","creationDate":0,"stateMachineVersionArn":"{MACHINE}m:1"}}"#
    );
    for _ in 0..2 {
        check(&site.ask("CreateStateMachine", create("m", PASS, described)), &created);
    }
    // The same request but for what is published is another one.
    let exists = format!("StateMachineAlreadyExists: State Machine Already Exists: '{MACHINE}m'");
    for other in ["", r#","publish":false"#, r#","publish":true"#] {
        site.refused("CreateStateMachine", &create("m", PASS, other), &exists);
    }
    site.create("n", PASS);
    let exists = format!("StateMachineAlreadyExists: State Machine Already Exists: '{MACHINE}n'");
    site.refused("CreateStateMachine", &create("n", PASS, r#","publish":true"#), &exists);
    // A version that is made later makes it no other machine.
    site.world.clock.advance(std::time::Duration::from_secs(1));
    site.ask("PublishStateMachineVersion", body("stateMachineArn", &format!("{MACHINE}n")));
    site.create("n", PASS);
}

#[test]
fn a_revision_is_published_once() {
    let mut site = Site::new();
    let arn = site.create("m", PASS);
    let publish = |members: &str| format!(r#"{{"stateMachineArn":"{arn}"{members}}}"#);
    for description in [r#","description":"first""#, "", r#","description":"other""#] {
        let answer = site.ask("PublishStateMachineVersion", publish(description));
        check(&answer, &format!(r#"{{"creationDate":0,"stateMachineVersionArn":"{arn}:1"}}"#));
    }
    let answer = site.ask("UpdateStateMachine", update(&arn, PASS, r#","publish":true"#));
    check(&answer, &format!(r#"{{"updateDate":0,"stateMachineVersionArn":"{arn}:1"}}"#));
    let answer = site.ask("UpdateStateMachine", update(&arn, FAIL, r#","publish":true"#));
    assert_eq!(text(&answer, "stateMachineVersionArn"), format!("{arn}:2"));
    assert_eq!(listed(&mut site, &arn), [":2", ":1"]);

    for _ in 0..2 {
        let deleted =
            site.ask("DeleteStateMachineVersion", body("stateMachineVersionArn", &format!("{arn}:2")));
        assert_eq!(deleted.to_json(), "{}");
    }
    assert_eq!(listed(&mut site, &arn), [":1"]);
    // A number is never given again.
    let answer = site.ask("PublishStateMachineVersion", publish(""));
    assert_eq!(text(&answer, "stateMachineVersionArn"), format!("{arn}:3"));
}

#[test]
fn a_revision_id_says_what_may_be_published() {
    let mut site = Site::new();
    let arn = site.create("m", PASS);
    let publish = |revision: &str| format!(r#"{{"stateMachineArn":"{arn}","revisionId":"{revision}"}}"#);
    site.refused("PublishStateMachineVersion", &publish("other"), CONFLICT);
    let first = site.ask("PublishStateMachineVersion", publish("INITIAL"));
    assert_eq!(text(&first, "stateMachineVersionArn"), format!("{arn}:1"));
    let updated = site.ask("UpdateStateMachine", update(&arn, FAIL, ""));
    site.refused("PublishStateMachineVersion", &publish("INITIAL"), CONFLICT);
    let second = site.ask("PublishStateMachineVersion", publish(&text(&updated, "revisionId")));
    assert_eq!(text(&second, "stateMachineVersionArn"), format!("{arn}:2"));
}

#[test]
fn what_cannot_be_published() {
    let mut site = Site::new();
    let arn = site.create_with("m", PASS, r#","publish":true"#);
    let does_not_exist =
        |arn: &str| format!("StateMachineDoesNotExist: State Machine Does Not Exist: '{arn}'");
    for other in [format!("{MACHINE}other"), format!("{arn}:1"), format!("{arn}:alias")] {
        let refusal = does_not_exist(&other);
        site.refused("PublishStateMachineVersion", &body("stateMachineArn", &other), &refusal);
        for publish in ["", r#","publish":true"#] {
            site.refused("UpdateStateMachine", &update(&other, FAIL, publish), &refusal);
        }
    }
    let invalid = "InvalidArn: Invalid Arn: 'Invalid ARN prefix: invalid_arn'";
    for operation in ["PublishStateMachineVersion", "ListStateMachineVersions", "ListStateMachineAliases"] {
        site.refused(operation, &body("stateMachineArn", "invalid_arn"), invalid);
    }
    site.refused("DeleteStateMachineVersion", &body("stateMachineVersionArn", "invalid_arn"), invalid);
    site.refused(
        "UpdateStateMachine",
        &update(&arn, FAIL, r#","versionDescription":"x""#),
        "ValidationException: Version description can only be set when publish is true",
    );
    // There is no such machine to have versions.
    assert!(listed(&mut site, &format!("{MACHINE}other")).is_empty());
    let nothing =
        site.ask("DeleteStateMachineVersion", body("stateMachineVersionArn", &format!("{MACHINE}o:1")));
    assert_eq!(nothing.to_json(), "{}");
    let (status, answer) = site.call("UpdateStateMachine", update(&format!("{arn}/label"), FAIL, ""));
    assert_eq!((status, &*text(&answer, "reason")), (400, "API_DOES_NOT_SUPPORT_LABELED_ARNS"));
}

#[test]
fn a_version_is_described_as_it_was_published() {
    let mut site = Site::new();
    let arn = site.create_with("m", PASS, r#","publish":true,"versionDescription":"first""#);
    let describe = |arn: &str| body("stateMachineArn", arn);
    let expected = |arn: &str, definition: &str, members: &str| {
        format!(
            r#"{{"stateMachineArn":"{arn}","name":"m","status":"ACTIVE","type":"STANDARD","creationDate":0,
            "roleArn":"arn:aws:iam::1:role/r","definition":{},"encryptionConfiguration":{{"type":"AWS_OWNED_KEY"}},
            "loggingConfiguration":{{"level":"OFF","includeExecutionData":false}},
            "tracingConfiguration":{{"enabled":false}}{members}}}"#,
            quoted(definition)
        )
    };
    let first = format!("{arn}:1");
    let described = expected(&first, PASS, r#","description":"first""#);
    check(&site.ask("DescribeStateMachine", describe(&first)), &described);
    check(&site.ask("DescribeStateMachine", describe(&arn)), &expected(&arn, PASS, ""));

    let updated = site.ask("UpdateStateMachine", update(&arn, FAIL, r#","publish":true"#));
    let revision = format!(r#","revisionId":"{}""#, text(&updated, "revisionId"));
    check(&site.ask("DescribeStateMachine", describe(&first)), &described);
    let second = format!("{arn}:2");
    check(&site.ask("DescribeStateMachine", describe(&second)), &expected(&second, FAIL, &revision));
    let metadata = format!(r#"{{"stateMachineArn":"{first}","includedData":"METADATA_ONLY"}}"#);
    let answer = site.ask("DescribeStateMachine", metadata);
    assert_eq!([text(&answer, "definition"), text(&answer, "description")], ["{}", "first"]);
    for missing in ["3", "01"] {
        let missing = format!("{arn}:{missing}");
        let refusal = format!("StateMachineDoesNotExist: State Machine Does Not Exist: '{missing}'");
        site.refused("DescribeStateMachine", &describe(&missing), &refusal);
    }
}

#[test]
fn a_version_runs_the_definition_that_it_was_published_with() {
    let mut site = Site::new();
    let arn = site.create_with("m", PASS, r#","publish":true"#);
    site.ask("UpdateStateMachine", update(&arn, FAIL, ""));
    let version = format!("{arn}:1");
    let execution = site.start(&version, "by-version", "{}");
    let plain = site.start(&arn, "plain", "{}");
    site.settle(std::time::Duration::from_secs(1));
    let describe = |arn: &str| body("executionArn", arn);
    let described = site.ask("DescribeExecution", describe(&execution));
    let members = ["status", "stateMachineArn", "stateMachineVersionArn"].map(|name| text(&described, name));
    assert_eq!(members, ["SUCCEEDED", &*arn, &*version]);
    assert_eq!(described.get("stateMachineAliasArn"), None);
    let described = site.ask("DescribeExecution", describe(&plain));
    assert_eq!((&*text(&described, "status"), described.get("stateMachineVersionArn")), ("FAILED", None));

    let history = site.ask("GetExecutionHistory", describe(&execution));
    let first = history.get("events").and_then(Value::as_array).and_then(<[Value]>::first).cloned();
    let details = first.and_then(|event| event.get("executionStartedEventDetails").cloned());
    assert_eq!(text(&details.expect("it starts"), "stateMachineVersionArn"), version);

    // Also when machine and version are gone.
    let started_with = site.ask("DescribeStateMachineForExecution", describe(&execution));
    assert_eq!([text(&started_with, "definition"), text(&started_with, "stateMachineArn")], [PASS, &*arn]);
    assert_eq!(started_with.get("revisionId"), None);
    site.ask("DeleteStateMachineVersion", body("stateMachineVersionArn", &version));
    let refusal = format!("StateMachineDoesNotExist: State Machine Does Not Exist: '{version}'");
    site.refused("StartExecution", &start(&version, "late", "{}"), &refusal);
    site.ask("DeleteStateMachine", body("stateMachineArn", &arn));
    assert_eq!(site.ask("DescribeStateMachineForExecution", describe(&execution)), started_with);
}

#[test]
fn executions_are_listed_by_version_and_alias() {
    let mut site = Site::new();
    let arn = site.create_with("m", PASS, r#","publish":true"#);
    let route = format!(r#"[{{"stateMachineVersionArn":"{arn}:1","weight":100}}]"#);
    site.ask("CreateStateMachineAlias", format!(r#"{{"name":"live","routingConfiguration":{route}}}"#));
    for (target, name) in [("", "plain"), (":1", "version"), (":live", "alias")] {
        site.start(&format!("{arn}{target}"), name, "{}");
        site.settle(std::time::Duration::from_secs(1));
        site.world.clock.advance(std::time::Duration::from_secs(1));
    }
    for (target, expected) in
        [("", vec!["alias", "version", "plain"]), (":1", vec!["alias", "version"]), (":live", vec!["alias"])]
    {
        for filter in ["", r#","statusFilter":"SUCCEEDED""#] {
            let request = format!(r#"{{"stateMachineArn":"{arn}{target}"{filter}}}"#);
            let answer = site.ask("ListExecutions", request);
            let executions = answer.get("executions").and_then(Value::as_array).unwrap_or_default();
            let names: Vec<_> = executions.iter().map(|execution| text(execution, "name")).collect();
            assert_eq!(names, expected, "{target} {filter}");
        }
    }
    let answer = site.ask("ListExecutions", body("stateMachineArn", &format!("{arn}:live")));
    check(
        &timeless(&answer),
        &format!(
            r#"{{"executions":[{{"executionArn":"{EXECUTION}m:alias","stateMachineArn":"{arn}","name":"alias",
            "status":"SUCCEEDED","startDate":0,"stopDate":0,"stateMachineVersionArn":"{arn}:1",
            "stateMachineAliasArn":"{arn}:live","redriveCount":0}}]}}"#
        ),
    );
    for missing in ["2", "dead"] {
        let missing = format!("{arn}:{missing}");
        let refusal = format!("StateMachineDoesNotExist: State Machine Does Not Exist: '{missing}'");
        site.refused("ListExecutions", &body("stateMachineArn", &missing), &refusal);
    }
}

#[test]
fn versions_are_listed_in_pages() {
    let mut site = Site::new();
    let arn = site.create_with("m", PASS, r#","publish":true"#);
    for n in 0..4 {
        let definition =
            PASS.replace("true", &format!("{n}")).replace(&format!(r#""End":{n}"#), r#""End":true"#);
        site.ask("UpdateStateMachine", update(&arn, &definition, r#","publish":true"#));
    }
    let (mut pages, mut next) = (vec![], String::new());
    loop {
        let request = format!(r#"{{"stateMachineArn":"{arn}","maxResults":2{next}}}"#);
        let page = site.ask("ListStateMachineVersions", request);
        let versions = page.get("stateMachineVersions").and_then(Value::as_array).unwrap_or_default();
        let page_of: Vec<_> = versions
            .iter()
            .map(|version| text(version, "stateMachineVersionArn").replace(&arn, ""))
            .collect();
        pages.push(page_of);
        match page.get("nextToken").and_then(Value::as_str) {
            Some(token) => next = format!(r#","nextToken":"{token}""#),
            None => break,
        }
    }
    assert_eq!(pages, [vec![":5", ":4"], vec![":3", ":2"], vec![":1"]]);
    let long = |name: &str, value: &str| format!(r#"{{"stateMachineArn":"{arn}","{name}":{value}}}"#);
    site.refused(
        "ListStateMachineVersions",
        &long("maxResults", "1001"),
        "ValidationException: 1 validation error detected: Value '1001' at 'maxResults' failed to satisfy constraint: \
         Member must have value less than or equal to 1000",
    );
    site.refused(
        "ListStateMachineVersions",
        &long("nextToken", "\"x\""),
        "InvalidToken: Invalid Token: 'Invalid token'",
    );
}
