//! Starting, watching and stopping executions.

use std::time::Duration;

use stepwell_expr::Value;

use crate::site::{EXECUTION, FAIL, PASS, Site, WAIT, body, check, quoted, start, text};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_start_is_answered_alike_while_the_same_execution_runs() {
    let mut site = Site::new();
    let arn = site.create("m", WAIT);
    let first = site.ask("StartExecution", start(&arn, "e", "{}"));
    check(&first, &format!(r#"{{"executionArn":"{EXECUTION}m:e","startDate":0}}"#));
    site.settle(SECOND);
    assert_eq!(site.ask("StartExecution", start(&arn, "e", "{}")), first);
    let exists = format!("ExecutionAlreadyExists: Execution Already Exists: '{EXECUTION}m:e'");
    site.refused("StartExecution", &start(&arn, "e", "{ }"), &exists);
    site.ask("StopExecution", body("executionArn", &format!("{EXECUTION}m:e")));
    site.settle(SECOND);
    site.refused("StartExecution", &start(&arn, "e", "{}"), &exists);
}

#[test]
fn what_cannot_be_started() {
    let mut site = Site::new();
    let arn = site.create("m", PASS);
    let invalid = "InvalidExecutionInput: Invalid State Machine Execution Input:";
    for (input, why) in [
        (
            "not some json",
            "Unrecognized token 'not': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
        ),
        (
            "{'not': 'json'",
            "Unexpected character (''' (code 39)): was expecting double-quote to start field name",
        ),
        ("", "Invalid execution input."),
    ] {
        site.refused("StartExecution", &start(&arn, "e", input), &format!("{invalid} '{why}'"));
    }
    site.refused("StartExecution", &start(&arn, "a b", "{"), "InvalidName: Invalid Name: 'a b'");
    let long = "n".repeat(81);
    site.refused(
        "StartExecution",
        &start("abc", &long, "{"),
        &format!(
            "ValidationException: 1 validation error detected: Value '{long}' at 'name' failed to satisfy constraint: \
             Member must have length less than or equal to 80"
        ),
    );
    site.refused(
        "StartExecution",
        &start(&arn, "e", &quoted(&"x".repeat(262_144))),
        "ValidationException: 1 validation error detected: Value at 'input' failed to satisfy constraint: \
         Member must have size less than or equal to 262144 bytes in UTF-8 encoding",
    );
    site.refused(
        "StartExecution",
        &body("stateMachineArn", &format!("{EXECUTION}m:e")),
        "InvalidArn: Invalid Arn: 'Resource type not valid in this context: execution'",
    );
}

#[test]
fn any_json_is_an_input_and_none_is_an_object() {
    let mut site = Site::new();
    let machine = site.create("m", PASS);
    for (n, input) in ["2", "\"some text\"", "null", " [1, 2] "].into_iter().enumerate() {
        let arn = site.start(&machine, &n.to_string(), input);
        assert_eq!(text(&site.ask("DescribeExecution", body("executionArn", &arn)), "input"), input);
    }
    let arn = text(&site.ask("StartExecution", body("stateMachineArn", &machine)), "executionArn");
    let described = site.ask("DescribeExecution", body("executionArn", &arn));
    assert_eq!(text(&described, "input"), "{}");
    assert_eq!(text(&described, "name").len(), 36);
}

#[test]
fn describing_shows_how_far_an_execution_is() {
    let mut site = Site::new();
    let describe = |site: &mut Site, definition: &str, stops: bool| {
        let name = format!("m{}", definition.len());
        let machine = site.create(&name, definition);
        let arn = site.start(&machine, "e", "{}");
        site.settle(SECOND);
        if stops {
            let stop = format!(r#"{{"executionArn":"{arn}","error":"E","cause":"C"}}"#);
            let stopped = site.ask("StopExecution", &stop);
            assert_eq!(site.ask("StopExecution", stop), stopped, "a stop again gives the same date");
            site.settle(SECOND);
        }
        let fixed = format!(
            r#""executionArn":"{arn}","stateMachineArn":"{machine}","name":"e","startDate":0,"redriveCount":0,
            "input":"{{}}","inputDetails":{{"included":true}}"#
        );
        (site.ask("DescribeExecution", body("executionArn", &arn)), fixed)
    };
    let (answer, fixed) = describe(&mut site, WAIT, false);
    let not_redrivable = |status: &str| {
        format!(
            r#""redriveStatus":"NOT_REDRIVABLE","redriveStatusReason":"Execution is {status} and cannot be redriven""#
        )
    };
    check(&answer, &format!(r#"{{{fixed},"status":"RUNNING",{}}}"#, not_redrivable("RUNNING")));
    let (answer, fixed) = describe(&mut site, PASS, false);
    check(
        &answer,
        &format!(
            r#"{{{fixed},"status":"SUCCEEDED","stopDate":0,"output":"{{\"done\":true}}",
            "outputDetails":{{"included":true}},{}}}"#,
            not_redrivable("SUCCEEDED")
        ),
    );
    let failed = r#""stopDate":0,"error":"E","cause":"C","redriveStatus":"REDRIVABLE""#;
    let (answer, fixed) = describe(&mut site, FAIL, false);
    check(&answer, &format!(r#"{{{fixed},"status":"FAILED",{failed}}}"#));
    let (answer, fixed) = describe(&mut site, &WAIT.replace("86400", "9999"), true);
    check(&answer, &format!(r#"{{{fixed},"status":"ABORTED",{failed}}}"#));
}

#[test]
fn an_execution_keeps_the_definition_it_started_with() {
    let mut site = Site::new();
    let machine = site.create("m", WAIT);
    let arn = site.start(&machine, "e", "{}");
    site.ask(
        "UpdateStateMachine",
        format!(r#"{{"stateMachineArn":"{machine}","definition":{}}}"#, quoted(PASS)),
    );
    site.ask("DeleteStateMachine", body("stateMachineArn", &machine));
    check(
        &site.ask("DescribeStateMachineForExecution", body("executionArn", &arn)),
        &format!(
            r#"{{"stateMachineArn":"{machine}","name":"m","roleArn":"arn:aws:iam::1:role/r","updateDate":0,
            "definition":{},"encryptionConfiguration":{{"type":"AWS_OWNED_KEY"}},
            "loggingConfiguration":{{"level":"OFF","includeExecutionData":false}},
            "tracingConfiguration":{{"enabled":false}}}}"#,
            quoted(WAIT)
        ),
    );
}

#[test]
fn an_unknown_execution_is_unknown_to_every_operation() {
    let mut site = Site::new();
    let machine = site.create("m", PASS);
    site.start(&machine, "e", "{}");
    for operation in
        ["DescribeExecution", "StopExecution", "GetExecutionHistory", "DescribeStateMachineForExecution"]
    {
        for arn in
            [format!("{EXECUTION}m:x"), format!("{EXECUTION}m:e").replace("123456789012", "111111111111")]
        {
            let refusal = format!("ExecutionDoesNotExist: Execution Does Not Exist: '{arn}'");
            site.refused(operation, &body("executionArn", &arn), &refusal);
        }
        let invalid = "InvalidArn: Invalid Arn:";
        for (arn, why) in [
            ("abc", "Invalid ARN prefix: abc"),
            (&*machine, "Resource type not valid in this context: stateMachine"),
            (
                "arn:aws:states:us-east-1:123456789012:express:m:e:1",
                "Resource type not valid in this context: express",
            ),
        ] {
            site.refused(operation, &body("executionArn", arn), &format!("{invalid} '{why}'"));
        }
    }
}

#[test]
fn executions_are_listed_newest_first_by_status_in_pages() {
    let mut site = Site::new();
    let machine = site.create("m", PASS);
    for name in ["a", "b", "c"] {
        site.start(&machine, name, "{}");
        site.settle(SECOND);
        site.world.clock.advance(SECOND);
    }
    let list = |site: &mut Site, members: &str| {
        let page = site.ask("ListExecutions", format!(r#"{{"stateMachineArn":"{machine}"{members}}}"#));
        let items = page.get("executions").and_then(Value::as_array).unwrap_or_default();
        let names = items.iter().map(|item| text(item, "name")).collect::<Vec<_>>().join("");
        (names, page.get("nextToken").and_then(Value::as_str).map(str::to_owned))
    };
    assert_eq!(list(&mut site, ""), ("cba".into(), None));
    assert_eq!(list(&mut site, r#","statusFilter":"SUCCEEDED""#).0, "cba");
    assert_eq!(list(&mut site, r#","statusFilter":"RUNNING""#).0, "");
    let (first, token) = list(&mut site, r#","maxResults":2"#);
    let token = token.expect("there is more");
    assert_eq!(first, "cb");
    assert_eq!(list(&mut site, &format!(r#","maxResults":2,"nextToken":"{token}""#)), ("a".into(), None));
    site.refused(
        "ListExecutions",
        &format!(r#"{{"stateMachineArn":"{machine}","statusFilter":"FAILED","nextToken":"{token}"}}"#),
        "InvalidToken: Invalid Token: 'Invalid token'",
    );
    let item = site.ask("ListExecutions", format!(r#"{{"stateMachineArn":"{machine}","maxResults":1}}"#));
    check(
        &item.get("executions").cloned().unwrap_or_default(),
        &format!(
            r#"[{{"executionArn":"{EXECUTION}m:c","stateMachineArn":"{machine}","name":"c","status":"SUCCEEDED",
            "startDate":0,"stopDate":0,"redriveCount":0}}]"#
        ),
    );
    site.refused(
        "ListExecutions",
        &format!(r#"{{"stateMachineArn":"{machine}","statusFilter":"succeeded"}}"#),
        "ValidationException: 1 validation error detected: Value 'succeeded' at 'statusFilter' failed to satisfy \
         constraint: Member must satisfy enum value set: [SUCCEEDED, TIMED_OUT, PENDING_REDRIVE, ABORTED, FAILED, RUNNING]",
    );
    site.refused(
        "ListExecutions",
        "{}",
        "ValidationException: Exactly one of stateMachineArn and mapRunArn must be specified",
    );
}

#[test]
fn express_executions_are_run_at_once_or_unseen() {
    let mut site = Site::new();
    let express = r#","type":"EXPRESS""#;
    let (passes, fails) = (site.create_with("p", PASS, express), site.create_with("f", FAIL, express));
    let run = |site: &mut Site, machine: &str| {
        let answer = site.ask("StartSyncExecution", start(machine, "e", "{\"a\":1}"));
        let arn = text(&answer, "executionArn");
        assert!(arn.starts_with("arn:aws:states:us-east-1:123456789012:express:"), "{arn}");
        let shown = answer.to_json().replace(&arn, "ARN");
        stepwell_expr::json::parse(&shown).expect("still JSON")
    };
    let common = |machine: &str| {
        format!(
            r#""executionArn":"ARN","stateMachineArn":"{machine}","name":"e","startDate":0,"stopDate":0,
            "input":"{{\"a\":1}}","inputDetails":{{"included":true}},"outputDetails":{{"included":true}},
            "billingDetails":{{"billedDurationInMilliseconds":100,"billedMemoryUsedInMB":64}}"#
        )
    };
    let succeeded = format!(r#"{{{},"status":"SUCCEEDED","output":"{{\"done\":true}}"}}"#, common(&passes));
    check(&run(&mut site, &passes), &succeeded);
    let failed = format!(r#"{{{},"status":"FAILED","error":"E","cause":"C"}}"#, common(&fails));
    check(&run(&mut site, &fails), &failed);

    let first = site.start(&passes, "e", "{}");
    assert_ne!(site.start(&passes, "e", "{}"), first, "names are not unique");
    let unsupported =
        "StateMachineTypeNotSupported: This operation is not supported by this type of state machine";
    site.refused("ListExecutions", &body("stateMachineArn", &passes), unsupported);
    let standard = site.create("s", PASS);
    site.refused("StartSyncExecution", &start(&standard, "e", "{}"), unsupported);
}

#[test]
fn operations_that_are_not_there_are_named() {
    let mut site = Site::new();
    site.refused(
        "Nonsense",
        "{}",
        "UnknownOperationException: 'AWSStepFunctions.Nonsense' is no operation of the API of AWS Step Functions",
    );
}
