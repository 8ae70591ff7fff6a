//! TestState.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stepwell_engine::port::Clock;
use stepwell_expr::Value;
use stepwell_expr::json::parse;
use stepwell_test_support::Answer;

use crate::site::{Site, quoted};

/// A request: a definition, and further members, each of them JSON.
fn request(definition: &str, members: &[(&str, &str)]) -> String {
    let mut body = format!(r#"{{"definition":{}"#, quoted(definition));
    for (name, json) in members {
        // What is JSON in a string is written here as JSON.
        let is_text = ["input", "variables", "context"].contains(name);
        let json = if is_text { quoted(json) } else { (*json).to_owned() };
        body += &format!(r#","{name}":{json}"#);
    }
    body + "}"
}

/// `mock` with a result.
fn result(json: &str) -> String {
    format!(r#"{{"result":{}}}"#, quoted(json))
}

/// `mock` with an error.
fn error(name: &str) -> String {
    format!(r#"{{"errorOutput":{{"error":"{name}","cause":"mocked"}}}}"#)
}

/// Tests a state and compares the whole answer, in which texts that hold JSON are JSON.
#[track_caller]
fn check(definition: &str, members: &[(&str, &str)], expected: &str) {
    let answer = Site::new().ask("TestState", request(definition, members));
    let expected = parse(expected).unwrap_or_else(|error| panic!("{error}: {expected}"));
    assert_eq!(opened(&answer), expected, "\n{}", opened(&answer));
}

fn opened(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::object(map.iter().map(|(key, value)| (key.clone(), opened(value))).collect())
        }
        Value::String(text) if text.starts_with(['{', '[']) => parse(text).unwrap_or_else(|_| value.clone()),
        other => other.clone(),
    }
}

#[track_caller]
fn refused(definition: &str, members: &[(&str, &str)], expected: &str) {
    Site::new().refused("TestState", &request(definition, members), expected);
}

const LAMBDA: &str = r#"{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","Payload.$":"$"},"Next":"N"}"#;

#[test]
fn a_task_without_a_mock_is_called() {
    check(
        LAMBDA,
        &[("input", r#"{"a":1}"#), ("inspectionLevel", "\"DEBUG\"")],
        r#"{"output":{"FunctionName":"f","Payload":{"a":1}},"nextState":"N","status":"SUCCEEDED","inspectionData":{
            "input":{"a":1},"afterInputPath":{"a":1},"afterParameters":{"FunctionName":"f","Payload":{"a":1}},
            "result":{"FunctionName":"f","Payload":{"a":1}},
            "afterResultSelector":{"FunctionName":"f","Payload":{"a":1}},
            "afterResultPath":{"FunctionName":"f","Payload":{"a":1}}}}"#,
    );
}

#[test]
fn a_task_with_a_mock_is_not_called() {
    let mut site = Site::new();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    site.world.tasks.script(move |call| {
        counted.fetch_add(1, Ordering::Relaxed);
        Answer::echo(call, Duration::ZERO)
    });
    site.ask("TestState", request(LAMBDA, &[("mock", &result("{}"))]));
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    site.ask("TestState", request(LAMBDA, &[]));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn a_test_leaves_nothing_in_any_table() {
    let mut site = Site::new();
    site.ask("TestState", request(LAMBDA, &[]));
    let machines = site.ask("ListStateMachines", "{}");
    assert_eq!(machines.to_json(), r#"{"stateMachines":[]}"#);
    assert!(site.world.queue.receive(&mut stepwell_test_support::Random::new(1)).is_none());
}

#[test]
fn what_waits_for_something_else_ends_with_its_mock() {
    for resource in [
        "arn:aws:states:us-east-1:123456789012:activity:a",
        "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "arn:aws:states:::states:startExecution.sync:2",
    ] {
        let state = format!(
            r#"{{"Type":"Task","Resource":"{resource}","Parameters":{{"QueueUrl":"q","MessageBody.$":"$","StateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:m"}},"End":true}}"#
        );
        let mock = r#"{"result":"{\"done\":true}","fieldValidationMode":"PRESENT"}"#;
        check(&state, &[("mock", mock)], r#"{"output":{"done":true},"status":"SUCCEEDED"}"#);
    }
}

#[test]
fn errors_meet_retry_and_catch() {
    let state = r#"{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{},"End":true,
        "Retry":[{"ErrorEquals":["A"]},{"ErrorEquals":["B"],"IntervalSeconds":3,"MaxAttempts":2,"MaxDelaySeconds":5}],
        "Catch":[{"ErrorEquals":["C"],"Next":"X"},{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":"Y"}]}"#;
    let run = |name: &str, count: &str, expected: &str| {
        let configuration = format!(r#"{{"retrierRetryCount":{count}}}"#);
        let (mock, debug) = (error(name), "\"DEBUG\"");
        check(
            state,
            &[
                ("mock", &mock),
                ("stateConfiguration", &configuration),
                ("inspectionLevel", debug),
                ("input", r#"{"i":1}"#),
            ],
            &expected.replace("DATA", r#""input":{"i":1},"afterInputPath":{"i":1},"afterParameters":{}"#),
        );
    };
    run(
        "B",
        "0",
        r#"{"error":"B","cause":"mocked","status":"RETRIABLE",
        "inspectionData":{DATA,"errorDetails":{"retryIndex":1,"retryBackoffIntervalSeconds":3}}}"#,
    );
    run(
        "B",
        "1",
        r#"{"error":"B","cause":"mocked","status":"RETRIABLE",
        "inspectionData":{DATA,"errorDetails":{"retryIndex":1,"retryBackoffIntervalSeconds":5}}}"#,
    );
    run(
        "B",
        "2",
        r#"{"error":"B","cause":"mocked","status":"CAUGHT_ERROR","nextState":"Y",
        "output":{"i":1,"e":{"Error":"B","Cause":"mocked"}},
        "inspectionData":{DATA,"errorDetails":{"catchIndex":1,"retryIndex":1}}}"#,
    );
    run(
        "C",
        "0",
        r#"{"error":"C","cause":"mocked","status":"CAUGHT_ERROR","nextState":"X",
        "output":{"Error":"C","Cause":"mocked"},"inspectionData":{DATA,"errorDetails":{"catchIndex":0}}}"#,
    );
    run(
        "States.Runtime",
        "0",
        r#"{"error":"States.Runtime","cause":"mocked","status":"FAILED","inspectionData":{DATA}}"#,
    );
}

#[test]
fn each_type_of_state_shows_its_stages() {
    for (state, input, expected) in [
        (
            r#"{"Type":"Choice","Choices":[{"Variable":"$.n","NumericEquals":1,"Next":"One"}],"Default":"Other"}"#,
            r#"{"n":1}"#,
            r#"{"output":{"n":1},"nextState":"One","status":"SUCCEEDED",
                "inspectionData":{"input":{"n":1},"afterInputPath":{"n":1}}}"#,
        ),
        (
            r#"{"Type":"Choice","InputPath":"$.in","Choices":[{"Variable":"$.n","NumericEquals":1,"Next":"One"}]}"#,
            r#"{"in":{"n":2}}"#,
            r#"{"error":"States.Runtime","cause":"Failed to transition out of the state. The state does not point to a next state.",
                "status":"FAILED","inspectionData":{"input":{"in":{"n":2}},"afterInputPath":{"n":2}}}"#,
        ),
        (
            r#"{"Type":"Wait","Seconds":200,"InputPath":"$.in","Next":"N"}"#,
            r#"{"in":[1]}"#,
            r#"{"output":[1],"nextState":"N","status":"SUCCEEDED","inspectionData":{"input":{"in":[1]},"afterInputPath":[1]}}"#,
        ),
        (
            r#"{"Type":"Pass","QueryLanguage":"JSONata","Output":"{% $states.input.n + $v %}","Assign":{"v":"{% $v + 1 %}","w":[]},"End":true}"#,
            r#"{"n":1}"#,
            r#"{"output":"3","status":"SUCCEEDED","inspectionData":{"input":{"n":1},"variables":{"v":3,"w":[]}}}"#,
        ),
        (
            r#"{"Type":"Pass","Parameters":{"a.$":"$.missing"},"End":true}"#,
            "{}",
            r#"{"error":"States.Runtime","status":"FAILED",
                "cause":"The JSONPath '$.missing' specified for the field 'a.$' could not be found in the input '{}'",
                "inspectionData":{"input":{},"afterInputPath":{}}}"#,
        ),
        (
            r#"{"Type":"Fail","QueryLanguage":"JSONata","Error":"{% 'E' & $v %}"}"#,
            "{}",
            r#"{"error":"E2","status":"FAILED","inspectionData":{"input":{},"variables":{"v":2}}}"#,
        ),
    ] {
        let members = [("input", input), ("inspectionLevel", "\"TRACE\""), ("variables", r#"{"v":2}"#)];
        let mut expected = parse(expected).unwrap();
        if !state.contains("$v") {
            expected = with_variables(expected);
        }
        check(state, &members, &expected.to_json());
    }
}

/// The variables that were given are told of every state.
fn with_variables(expected: Value) -> Value {
    let text = expected.to_json();
    let told = text.replace(r#""inspectionData":{"#, r#""inspectionData":{"variables":{"v":2},"#);
    parse(&told).expect("what was JSON is JSON")
}

#[test]
fn a_map_evaluates_everything_but_its_iterations() {
    let map = |more: &str| {
        format!(
            r#"{{"Type":"Map","InputPath":"$.in","ItemsPath":"$.items","ItemSelector":{{"v.$":"$$.Map.Item.Value","all.$":"$.n"}},
            "ItemProcessor":{{"ProcessorConfig":{{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"}},"StartAt":"P","States":{{"P":{{"Type":"Pass","End":true}}}}}},
            "MaxConcurrency":7,{more}"ResultPath":"$.out","Next":"N"}}"#
        )
    };
    let input = r#"{"in":{"items":[1,2],"n":9}}"#;
    let debug = ("inspectionLevel", "\"DEBUG\"");
    let stages = r#""input":{"in":{"items":[1,2],"n":9}},"afterInputPath":{"items":[1,2],"n":9},"afterItemsPath":[1,2],
        "afterItemSelector":[{"v":1,"all":9},{"v":2,"all":9}],"maxConcurrency":7"#;
    check(
        &map(""),
        &[("input", input), debug, ("mock", &result("[10, 20]"))],
        &format!(
            r#"{{"output":{{"in":{{"items":[1,2],"n":9}},"out":[10,20]}},"nextState":"N","status":"SUCCEEDED",
            "inspectionData":{{{stages},"afterResultSelector":[10,20],
            "afterResultPath":{{"in":{{"items":[1,2],"n":9}},"out":[10,20]}}}}}}"#
        ),
    );
    // Items go into a Context object that is given.
    check(
        &map(""),
        &[("input", input), debug, ("mock", &error("E")), ("context", r#"{"State":{}}"#)],
        &format!(r#"{{"error":"E","cause":"mocked","status":"FAILED","inspectionData":{{{stages}}}}}"#),
    );
    let percentage = map(r#""ToleratedFailurePercentage":49.5,"#);
    check(
        &percentage,
        &[
            ("input", input),
            debug,
            ("mock", &result("[10, 20]")),
            ("stateConfiguration", r#"{"mapIterationFailureCount":1}"#),
        ],
        &format!(
            r#"{{"error":"States.ExceedToleratedFailureThreshold","cause":"The specified tolerated failure threshold was exceeded",
            "status":"FAILED","inspectionData":{{{stages},"toleratedFailurePercentage":49.5}}}}"#
        ),
    );
    refused(
        &percentage,
        &[
            ("input", input),
            ("mock", &result("[10, 20]")),
            ("stateConfiguration", r#"{"mapIterationFailureCount":3}"#),
        ],
        "ValidationException: Map iteration failure count must be less than or equal to the number of Map iterations",
    );
}

#[test]
fn batches_are_those_of_a_map_run() {
    let state = r#"{"Type":"Map","ItemSelector":{"v.$":"$$.Map.Item.Value"},
        "ItemBatcher":{"MaxItemsPerBatch":2,"BatchInput":{"fixed":true}},
        "ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"},"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},"End":true}"#;
    let answer = Site::new().ask(
        "TestState",
        request(state, &[("input", "[1,2,3]"), ("mock", &result("[]")), ("inspectionLevel", "\"DEBUG\"")]),
    );
    let seen = answer.get("inspectionData").and_then(|seen| seen.get("afterItemBatcher"));
    let batches = r#"[{"BatchInput":{"fixed":true},"Items":[{"v":1},{"v":2}]}, {"BatchInput":{"fixed":true},"Items":[{"v":3}]}]"#;
    assert_eq!(seen.and_then(Value::as_str), Some(batches), "{answer}");
}

#[test]
fn items_are_what_the_reader_is_said_to_read() {
    let map = |config: &str| {
        format!(
            r#"{{"Type":"Map","QueryLanguage":"JSONata","ItemReader":{{"Resource":"arn:aws:states:::s3:getObject",
            "ReaderConfig":{config},"Arguments":{{"Bucket":"b","Key":"k"}}}},"ItemSelector":{{"v":"{{% $states.context.Map.Item.Value %}}"}},
            "ItemProcessor":{{"ProcessorConfig":{{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"}},"StartAt":"P","States":{{"P":{{"Type":"Pass","End":true}}}}}},"End":true}}"#
        )
    };
    for (config, data, stages) in [
        (r#"{"InputType":"JSON"}"#, "[1, 2]", r#""afterItemSelector":[{"v":1},{"v":2}]"#),
        (
            r#"{"InputType":"CSV","CSVHeaderLocation":"FIRST_ROW"}"#,
            "n\n1\n",
            r#""afterItemSelector":[{"v":{"n":"1"}}]"#,
        ),
        (r#"{"InputType":"JSONL"}"#, "1\n2\n", r#""afterItemSelector":[{"v":1},{"v":2}]"#),
        (
            r#"{"InputType":"JSON","ItemsPointer":"/a/b"}"#,
            r#"{"a":{"b":[3]}}"#,
            r#""afterItemsPointer":[3],"afterItemSelector":[{"v":3}]"#,
        ),
    ] {
        let configuration = format!(r#"{{"mapItemReaderData":{}}}"#, quoted(data));
        let members = [
            ("mock", &*result("[]")),
            ("stateConfiguration", &configuration),
            ("inspectionLevel", "\"DEBUG\""),
        ];
        let expected = format!(
            r#"{{"output":[],"status":"SUCCEEDED","inspectionData":{{"input":{{}},"maxConcurrency":0,{stages}}}}}"#
        );
        check(&map(config), &members, &expected);
    }
}

#[test]
fn a_test_ends_after_five_minutes() {
    let mut site = Site::new();
    let begun = site.world.clock.now();
    let wait = r#"{"Type":"Wait","Seconds":86400,"End":true}"#;
    let answer = site.ask("TestState", request(wait, &[]));
    assert_eq!(answer.to_json(), r#"{"error":"States.Timeout","status":"FAILED"}"#);
    assert_eq!(site.world.clock.now().0 - begun.0, 300_000);
}

#[test]
fn the_context_object_is_the_one_given_or_one_made_up() {
    let state = r#"{"Type":"Task","QueryLanguage":"JSONata","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Output":"{% $states.context %}","End":true}"#;
    let given = r#"{"Map":{"Item":{"Index":3,"Value":"v"}},"State":{"Name":"N"}}"#;
    let expected = format!(r#"{{"output":{given},"status":"SUCCEEDED"}}"#);
    check(state, &[("context", given), ("mock", &result("1"))], &expected);

    let answer = Site::new().ask(
        "TestState",
        request(state, &[("input", r#"{"a":1}"#), ("roleArn", r#""arn:aws:iam::1:role/r""#)]),
    );
    let context = opened(&answer);
    let at = |path: &[&str]| {
        path.iter().try_fold(context.get("output")?, |value, name| value.get(name)).map(Value::to_json)
    };
    assert_eq!(at(&["Execution", "Input"]).as_deref(), Some(r#"{"a":1}"#));
    assert_eq!(at(&["Execution", "RoleArn"]).as_deref(), Some(r#""arn:aws:iam::1:role/r""#));
    assert_eq!(at(&["State", "Name"]).as_deref(), Some(r#""StateName""#));
    assert!(
        at(&["Execution", "Id"]).unwrap().starts_with(r#""arn:aws:states:us-east-1:123456789012:express:"#)
    );
}

#[test]
fn a_mock_as_deep_as_json_may_be_is_checked() {
    let state = r#"{"Type":"Task","Resource":"arn:aws:states:::dynamodb:getItem","Parameters":{"TableName":"t","Key":{}},"ResultPath":null,"End":true}"#;
    let nested = |inner: &str| {
        let (open, close) = (r#"{"L":["#.repeat(490), "]}".repeat(490));
        result(&format!(r#"{{"Item":{{"a":{open}{inner}{close}}}}}"#))
    };
    check(state, &[("mock", &nested(r#"{"S":"x"}"#))], r#"{"output":{},"status":"SUCCEEDED"}"#);
    let wrong = "ValidationException: Mock result schema validation error: Field 'S' must be a string";
    refused(state, &[("mock", &nested(r#"{"S":1}"#))], wrong);
    let context = format!(r#"{{"Execution":{{"Input":{}1{}}}}}"#, "[".repeat(900), "]".repeat(900));
    check(state, &[("mock", &result("{}")), ("context", &context)], r#"{"output":{},"status":"SUCCEEDED"}"#);
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let pass = r#"{"Type":"Pass","End":true}"#;
    let machine = r#"{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}"#;
    let token = r#"{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","Parameters":{"QueueUrl":"q","MessageBody.$":"$$.Task.Token"},"End":true}"#;
    let both = r#"{"result":"{}","errorOutput":{"error":"E"}}"#;
    for (definition, members, expected) in [
        (
            pass,
            vec![("mock", &*result("{}"))],
            "ValidationException: State type 'Pass' is not supported when a mock is specified",
        ),
        (
            r#"{"Type":"Wait","Seconds":1,"End":true}"#,
            vec![("mock", &*error("E"))],
            "ValidationException: State type 'Wait' is not supported when a mock is specified",
        ),
        (
            LAMBDA,
            vec![("mock", &*result("nonsense"))],
            "ValidationException: Mocked result must be valid JSON",
        ),
        (
            LAMBDA,
            vec![("mock", both)],
            "ValidationException: A mock must not have both a result and an errorOutput",
        ),
        (LAMBDA, vec![("mock", "{}")], "ValidationException: A mock must have a result or an errorOutput"),
        (
            LAMBDA,
            vec![("context", "{}")],
            "ValidationException: Context object can only be specified with a mock",
        ),
        (
            token,
            vec![],
            "InvalidDefinition: TestState API does not support the '.waitForTaskToken' service integration pattern without a mock",
        ),
        (machine, vec![("stateName", "\"B\"")], "ValidationException: State not found in definition"),
        (
            pass,
            vec![("stateName", "\"A\"")],
            "InvalidDefinition: Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: Field 'Type' is not supported at /, SCHEMA_VALIDATION_FAILED: Field 'End' is not supported at /, SCHEMA_VALIDATION_FAILED: These fields are required: [States, StartAt] at /'",
        ),
        (
            pass,
            vec![("input", "{")],
            "InvalidExecutionInput: Invalid State Machine Execution Input: 'Unexpected end-of-input: expected close marker for Object (start marker at [Source: (String)\"{\"; line: 1, column: 1])'",
        ),
        (pass, vec![("variables", "[]")], "ValidationException: Variables must be a valid JSON object"),
        (pass, vec![("roleArn", "\"nobody\"")], "InvalidArn: Invalid Arn: 'Invalid ARN prefix: nobody'"),
        (
            pass,
            vec![("inspectionLevel", "\"ALL\"")],
            "ValidationException: 1 validation error detected: Value 'ALL' at 'inspectionLevel' failed to satisfy constraint: Member must satisfy enum value set: [INFO, DEBUG, TRACE]",
        ),
        (
            machine,
            vec![],
            "InvalidDefinition: Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: These fields are required: [Type] at /'",
        ),
    ] {
        refused(definition, &members, expected);
    }
}

#[test]
fn the_readmes_test_is_answered() {
    let example =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/order-processing/order-processing.asl.json");
    let definition = std::fs::read_to_string(example).unwrap();
    let mock = r#"{"errorOutput":{"error":"GatewayBusy"}}"#;
    let variables = r#"{"order":{"orderId":"o-1","total":5,"currency":"EUR","cardToken":"t"}}"#;
    let members = [("stateName", "\"Process payment\""), ("mock", mock), ("variables", variables)];
    check(&definition, &members, r#"{"error":"GatewayBusy","status":"RETRIABLE"}"#);
}
