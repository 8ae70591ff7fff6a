//! State machines and their tags.

use stepwell_expr::Value;

use crate::site::{FAIL, MACHINE, PASS, Site, body, check, create, quoted, text};

#[test]
fn creating_is_idempotent_but_for_what_makes_another_machine() {
    let mut site = Site::new();
    let first = site.ask("CreateStateMachine", create("m", PASS, ""));
    check(&first, &format!(r#"{{"stateMachineArn":"{MACHINE}m","creationDate":0}}"#));
    site.world.clock.advance(std::time::Duration::from_secs(5));
    for same in
        [r#","tags":[{"key":"k","value":"v"}]"#, r#","type":"STANDARD""#, r#","loggingConfiguration":{}"#]
    {
        assert_eq!(site.ask("CreateStateMachine", create("m", PASS, same)), first, "{same}");
    }
    let exists = format!("StateMachineAlreadyExists: State Machine Already Exists: '{MACHINE}m'");
    site.refused("CreateStateMachine", &create("m", FAIL, ""), &exists);
    site.refused("CreateStateMachine", &create("m", &format!(" {PASS}"), ""), &exists);
    for other in [r#","type":"EXPRESS""#, r#","tracingConfiguration":{"enabled":true}"#] {
        site.refused("CreateStateMachine", &create("m", PASS, other), &exists);
    }
}

#[test]
fn what_cannot_be_created() {
    let mut site = Site::new();
    let null =
        |at: &str| format!("Value null at '{at}' failed to satisfy constraint: Member must not be null");
    site.refused(
        "CreateStateMachine",
        "{}",
        &format!(
            "ValidationException: 3 validation errors detected: {}; Value at 'definition' failed to satisfy \
             constraint: Member must not be null; {}",
            null("name"),
            null("roleArn")
        ),
    );
    site.refused("CreateStateMachine", &create("a b", PASS, ""), "InvalidName: Invalid Name: 'a b'");
    site.refused(
        "CreateStateMachine",
        &create("m", r#"{"StartAt":"S"}"#, ""),
        "InvalidDefinition: Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: These fields are required: \
         [States] at /'",
    );
    site.refused(
        "CreateStateMachine",
        &create("m", PASS, r#","loggingConfiguration":{"level":"ALL"}"#),
        "InvalidLoggingConfiguration: Invalid Logging Configuration: Must specify exactly one Log Destination.",
    );
    site.refused(
        "CreateStateMachine",
        &create("m", PASS, r#","versionDescription":"first""#),
        "ValidationException: Version description can only be set when publish is true",
    );
    site.refused(
        "CreateStateMachine",
        &create("m", PASS, r#","type":"FAST""#),
        "ValidationException: 1 validation error detected: Value 'FAST' at 'type' failed to satisfy constraint: \
         Member must satisfy enum value set: [STANDARD, EXPRESS]",
    );
    site.refused(
        "CreateStateMachine",
        &format!(r#"{{"name":"m","definition":{},"roleArn":"me"}}"#, quoted(PASS)),
        "InvalidArn: Invalid Arn: 'Invalid ARN prefix: me'",
    );
    assert_eq!(site.ask("ListStateMachines", "{}").to_json(), r#"{"stateMachines":[]}"#);
}

#[test]
fn describing_shows_what_was_given_and_the_defaults() {
    let mut site = Site::new();
    let arn = site.create("m", PASS);
    let expected = |definition: &str| {
        format!(
            r#"{{"stateMachineArn":"{arn}","name":"m","status":"ACTIVE","type":"STANDARD","creationDate":0,
            "roleArn":"arn:aws:iam::1:role/r","definition":{},"encryptionConfiguration":{{"type":"AWS_OWNED_KEY"}},
            "loggingConfiguration":{{"level":"OFF","includeExecutionData":false}},
            "tracingConfiguration":{{"enabled":false}}}}"#,
            quoted(definition)
        )
    };
    check(&site.ask("DescribeStateMachine", body("stateMachineArn", &arn)), &expected(PASS));
    let metadata = format!(r#"{{"stateMachineArn":"{arn}","includedData":"METADATA_ONLY"}}"#);
    check(&site.ask("DescribeStateMachine", metadata), &expected("{}"));

    let missing = "State Machine Does Not Exist:";
    for other in [format!("{MACHINE}other"), format!("{arn}:2"), arn.replace("us-east-1", "eu-west-1")] {
        let refusal = format!("StateMachineDoesNotExist: {missing} '{other}'");
        site.refused("DescribeStateMachine", &body("stateMachineArn", &other), &refusal);
        site.refused("StartExecution", &body("stateMachineArn", &other), &refusal);
        site.refused("ListExecutions", &body("stateMachineArn", &other), &refusal);
    }
    site.refused(
        "DescribeStateMachine",
        &body("stateMachineArn", "abc"),
        "InvalidArn: Invalid Arn: 'Invalid ARN prefix: abc'",
    );
}

#[test]
fn describing_names_the_variables_that_states_read() {
    let mut site = Site::new();
    let definition = r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Assign":{"x":1},"Next":"B"},
        "B":{"Type":"Pass","Parameters":{"r.$":"$x"},"End":true}}}"#;
    let arn = site.create("m", definition);
    let answer = site.ask("DescribeStateMachine", body("stateMachineArn", &arn));
    assert_eq!(answer.get("variableReferences").map(Value::to_json).as_deref(), Some(r#"{"B":["x"]}"#));
}

#[test]
fn an_update_gives_a_revision_unless_it_changes_nothing() {
    let mut site = Site::new();
    let arn = site.create("m", PASS);
    let update = |members: &str| format!(r#"{{"stateMachineArn":"{arn}",{members}}}"#);
    let role = update(r#""roleArn":"arn:aws:iam::1:role/other""#);
    let first = text(&site.ask("UpdateStateMachine", &role), "revisionId");
    assert_eq!(text(&site.ask("UpdateStateMachine", &role), "revisionId"), first);
    let definition = update(&format!(r#""definition":{}"#, quoted(FAIL)));
    let second = text(&site.ask("UpdateStateMachine", definition), "revisionId");
    assert_ne!(first, second);

    let described = site.ask("DescribeStateMachine", body("stateMachineArn", &arn));
    let members = ["revisionId", "roleArn", "definition"].map(|name| text(&described, name));
    assert_eq!(members, [&second, "arn:aws:iam::1:role/other", FAIL]);

    site.refused(
        "UpdateStateMachine",
        &body("stateMachineArn", &arn),
        "MissingRequiredParameter: Either the definition, the role ARN, the LoggingConfiguration, or the \
         TracingConfiguration must be specified",
    );
    site.refused(
        "UpdateStateMachine",
        &update(r#""definition":"{}""#),
        "InvalidDefinition: Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: These fields are required: \
         [States, StartAt] at /'",
    );
    site.refused(
        "UpdateStateMachine",
        &role.replace(":m\"", ":n\""),
        &format!("StateMachineDoesNotExist: State Machine Does Not Exist: '{MACHINE}n'"),
    );
}

#[test]
fn machines_are_listed_in_pages() {
    let mut site = Site::new();
    for name in ["c", "a", "b"] {
        site.create(name, PASS);
    }
    let mut pages = vec![];
    let mut token: Option<String> = None;
    loop {
        let next = token.map_or_else(String::new, |token| format!(r#","nextToken":"{token}""#));
        let page = site.ask("ListStateMachines", format!(r#"{{"maxResults":2{next}}}"#));
        let machines = page.get("stateMachines").and_then(Value::as_array).unwrap_or_default();
        pages.push(machines.iter().map(|machine| text(machine, "name")).collect::<Vec<_>>());
        token = page.get("nextToken").and_then(Value::as_str).map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(pages, [vec!["a", "b"], vec!["c"]]);
    check(
        &site
            .ask("ListStateMachines", r#"{"maxResults":1}"#)
            .get("stateMachines")
            .cloned()
            .unwrap_or_default(),
        &format!(r#"[{{"stateMachineArn":"{MACHINE}a","name":"a","type":"STANDARD","creationDate":0}}]"#),
    );
    site.refused("ListStateMachines", r#"{"nextToken":"x"}"#, "InvalidToken: Invalid Token: 'Invalid token'");
    site.refused(
        "ListStateMachines",
        r#"{"maxResults":1001}"#,
        "ValidationException: 1 validation error detected: Value '1001' at 'maxResults' failed to satisfy constraint: \
         Member must have value less than or equal to 1000",
    );
    let long = "x".repeat(1025);
    site.refused(
        "ListStateMachines",
        &body("nextToken", &long),
        &format!(
            "ValidationException: 1 validation error detected: Value '{long}' at 'nextToken' failed to satisfy \
             constraint: Member must have length less than or equal to 1024"
        ),
    );
}

#[test]
fn a_deleted_machine_is_gone_and_deleting_goes_on_succeeding() {
    let mut site = Site::new();
    let arn = site.create("m", PASS);
    for _ in 0..2 {
        assert_eq!(site.ask("DeleteStateMachine", body("stateMachineArn", &arn)).to_json(), "{}");
    }
    site.refused(
        "DescribeStateMachine",
        &body("stateMachineArn", &arn),
        &format!("StateMachineDoesNotExist: State Machine Does Not Exist: '{arn}'"),
    );
    site.create("m", FAIL);
}

#[test]
fn tags() {
    let mut site = Site::new();
    let arn = site.create_with("m", PASS, r#","tags":[{"key":"a","value":"1"}]"#);
    let tag = |tags: &str| format!(r#"{{"resourceArn":"{arn}","tags":{tags}}}"#);
    let listed = |site: &mut Site| site.ask("ListTagsForResource", body("resourceArn", &arn)).to_json();
    site.ask("TagResource", tag("[]"));
    site.ask("TagResource", tag(r#"[{"key":"b","value":"2"},{"key":"a","value":"3"}]"#));
    assert_eq!(listed(&mut site), r#"{"tags":[{"key":"a","value":"3"},{"key":"b","value":"2"}]}"#);
    site.ask("UntagResource", format!(r#"{{"resourceArn":"{arn}","tagKeys":["a","z"]}}"#));
    assert_eq!(listed(&mut site), r#"{"tags":[{"key":"b","value":"2"}]}"#);

    let many: Vec<_> = (0..50).map(|n| format!(r#"{{"key":"{n}","value":""}}"#)).collect();
    site.refused(
        "TagResource",
        &tag(&format!("[{}]", many.join(","))),
        "TooManyTags: Too many tags: a resource has at most 50 tags",
    );
    site.refused(
        "TagResource",
        &tag("[]").replace(":m\"", ":m:1\""),
        &format!("ResourceNotFound: Resource not found: '{MACHINE}m:1'"),
    );
    let described = site.ask("DescribeStateMachine", body("stateMachineArn", &arn));
    assert_eq!(described.get("revisionId"), None);
}

#[test]
fn validation_reports_without_creating() {
    let mut site = Site::new();
    let validate =
        |definition: &str, members: &str| format!(r#"{{"definition":{}{members}}}"#, quoted(definition));
    let mut check = |body: String, expected: &str| {
        let answer = site.ask("ValidateStateMachineDefinition", &body);
        assert_eq!(answer.to_json(), expected, "{body}");
    };
    check(validate(PASS, ""), r#"{"result":"OK","diagnostics":[],"truncated":false}"#);
    check(
        validate(" ", ""),
        r#"{"result":"FAIL","diagnostics":[{"severity":"ERROR","code":"SCHEMA_VALIDATION_FAILED","message":"Definition must be a valid JSON object"}],"truncated":false}"#,
    );
    let two = r#"{"StartAt":"A","States":{"A":{"Type":"Pass"},"B":{"Type":"Pass"}}}"#;
    let answer = site.ask("ValidateStateMachineDefinition", validate(two, r#","maxResults":1"#));
    let count = answer.get("diagnostics").and_then(Value::as_array).map(<[Value]>::len);
    assert_eq!((count, answer.get("truncated")), (Some(1), Some(&true.into())));
}
