//! Map Runs and their executions.

use std::time::Duration;

use stepwell_expr::Value;

use crate::site::{PASS, Site, body, check, quoted, text};

const MAP_RUN: &str = "arn:aws:states:us-east-1:123456789012:mapRun:";

/// A machine of one distributed Map over its input; `more` are members of the Map state, each with a comma behind it.
fn distributed(processor: &str, express: bool, more: &str) -> String {
    let kind = if express { "EXPRESS" } else { "STANDARD" };
    let config = format!(r#"{{"ProcessorConfig":{{"Mode":"DISTRIBUTED","ExecutionType":"{kind}"}},"#);
    let processor = processor.replacen('{', &config, 1);
    format!(
        r#"{{"StartAt":"M","States":{{"M":{{"Type":"Map","Label":"each",{more}"End":true,"ItemProcessor":{processor}}}}}}}"#
    )
}

/// Fails for what is over 10, waits for what is over 5, and gives its input otherwise.
const SORTED: &str = r#"{"StartAt":"C","States":{
    "C":{"Type":"Choice","Choices":[{"Variable":"$","NumericGreaterThan":10,"Next":"F"},
        {"Variable":"$","NumericGreaterThan":5,"Next":"W"}],"Default":"P"},
    "F":{"Type":"Fail","Error":"TooMuch","Cause":"over ten"},"W":{"Type":"Wait","Seconds":60,"Next":"P"},
    "P":{"Type":"Pass","End":true}}}"#;

struct MapRun {
    site: Site,
    execution: String,
    arn: String,
}

/// Lets a machine run for ten seconds.
fn run(definition: &str, input: &str) -> MapRun {
    let mut site = Site::new();
    let machine = site.create("m", definition);
    let execution = site.start(&machine, "e", input);
    site.settle(Duration::from_secs(10));
    let listed = site.ask("ListMapRuns", body("executionArn", &execution));
    let listed = listed.get("mapRuns").and_then(Value::as_array).expect("a list");
    assert_eq!(listed.len(), 1);
    let arn = text(&listed[0], "mapRunArn");
    assert!(arn.starts_with(&format!("{MAP_RUN}m/each:")), "{arn}");
    assert_eq!(text(&listed[0], "executionArn"), execution);
    assert_eq!(text(&listed[0], "stateMachineArn"), format!("{machine}/each"));
    MapRun { site, execution, arn }
}

impl MapRun {
    fn described(&mut self) -> Value {
        self.site.ask("DescribeMapRun", body("mapRunArn", &self.arn))
    }

    /// Status and counts: pending, running, succeeded, failed, timed out, aborted, total, results written.
    #[track_caller]
    fn counts(&mut self, status: &str, items: [u64; 8], executions: [u64; 8]) {
        let answer = self.described();
        assert_eq!(text(&answer, "status"), status, "{answer}");
        for (name, expected) in [("itemCounts", items), ("executionCounts", executions)] {
            let counts = answer.get(name).and_then(Value::as_object).expect("counts");
            let found: Vec<_> = counts.values().map(Value::to_json).collect();
            assert_eq!(found, expected.map(|count| count.to_string()), "{name} of {answer}");
        }
        assert_eq!(answer.get("stopDate").is_some(), status != "RUNNING");
    }

    fn children(&mut self, more: &str) -> Vec<Value> {
        let request = format!(r#"{{"mapRunArn":{}{more}}}"#, quoted(&self.arn));
        let listed = self.site.ask("ListExecutions", request);
        listed.get("executions").and_then(Value::as_array).expect("a list").to_vec()
    }

    fn execution(&mut self) -> Value {
        self.site.ask("DescribeExecution", body("executionArn", &self.execution))
    }

    /// The types of the execution's events behind MapRunStarted.
    fn events(&mut self) -> String {
        let history = self.site.ask("GetExecutionHistory", body("executionArn", &self.execution));
        let events = history.get("events").and_then(Value::as_array).expect("a list").to_vec();
        let types = events.iter().map(|event| text(event, "type"));
        types.skip_while(|name| name != "MapRunStarted").skip(1).collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn every_item_has_an_execution() {
    let mut map_run = run(&distributed(PASS, false, ""), "[1, [2], 3]");
    map_run.counts("SUCCEEDED", [0, 0, 3, 0, 0, 0, 3, 3], [0, 0, 3, 0, 0, 0, 3, 3]);
    assert_eq!(text(&map_run.execution(), "output"), r#"[{"done":true},{"done":true},{"done":true}]"#);

    let children = map_run.children("");
    let child = children.first().expect("three");
    let prefix = "arn:aws:states:us-east-1:123456789012:execution:m/each:";
    let (arn, name) = (text(child, "executionArn"), text(child, "name"));
    assert_eq!(arn, format!("{prefix}{name}"));
    assert_eq!(child.get("itemCount").map(Value::to_json).as_deref(), Some("1"));
    assert_eq!(text(child, "mapRunArn"), map_run.arn);
    let child = map_run.site.ask("DescribeExecution", body("executionArn", &arn));
    assert_eq!(text(&child, "stateMachineArn"), "arn:aws:states:us-east-1:123456789012:stateMachine:m/each");
    assert_eq!(text(&child, "mapRunArn"), map_run.arn);
    let machine = map_run.site.ask("DescribeStateMachineForExecution", body("executionArn", &arn));
    assert_eq!(text(&machine, "label"), "each");
    assert_eq!(text(&machine, "mapRunArn"), map_run.arn);
    assert!(text(&machine, "definition").starts_with(r#"{"ProcessorConfig":"#));
    let history = map_run.site.ask("GetExecutionHistory", body("executionArn", &arn));
    assert_eq!(history.get("events").and_then(Value::as_array).map(<[Value]>::len), Some(4));
    // They are the Map Run's alone.
    let machine = body("stateMachineArn", "arn:aws:states:us-east-1:123456789012:stateMachine:m");
    let listed = map_run.site.ask("ListExecutions", machine);
    assert_eq!(listed.get("executions").and_then(Value::as_array).map(<[Value]>::len), Some(1));
}

#[test]
fn express_executions_are_described_and_nothing_else() {
    let mut map_run = run(&distributed(PASS, true, ""), "[1]");
    let arn = text(&map_run.children("")[0], "executionArn");
    assert!(arn.starts_with("arn:aws:states:us-east-1:123456789012:express:m/each:"), "{arn}");
    let child = map_run.site.ask("DescribeExecution", body("executionArn", &arn));
    assert_eq!(text(&child, "status"), "SUCCEEDED");
    let refused = "InvalidArn: Invalid Arn: 'Resource type not valid in this context: express'";
    map_run.site.refused("GetExecutionHistory", &body("executionArn", &arn), refused);
}

#[test]
fn batches_have_their_input_and_items() {
    let batcher = r#""ItemBatcher":{"MaxItemsPerBatch":2,"BatchInput":{"all.$":"$"}},"ItemSelector":{"n.$":"$$.Map.Item.Index"},"#;
    let pass = r#"{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}"#;
    let mut map_run = run(&distributed(pass, false, batcher), "[7,8,9]");
    map_run.counts("SUCCEEDED", [0, 0, 3, 0, 0, 0, 3, 3], [0, 0, 2, 0, 0, 0, 2, 2]);
    let expected = r#"[{"BatchInput":{"all":[7,8,9]},"Items":[{"n":0},{"n":1}]},{"BatchInput":{"all":[7,8,9]},"Items":[{"n":2}]}]"#;
    assert_eq!(text(&map_run.execution(), "output"), expected);
    let counts: Vec<_> =
        map_run.children("").iter().filter_map(|child| child.get("itemCount").map(Value::to_json)).collect();
    assert_eq!(counts.iter().filter(|count| *count == "2").count(), 1);

    let by_bytes = r#""ItemBatcher":{"MaxInputBytesPerBatch":30},"#;
    let mut map_run =
        run(&distributed(pass, false, by_bytes), r#"["12345678","12345678","1","a long one that fills it"]"#);
    let expected =
        r#"[{"Items":["12345678"]},{"Items":["12345678","1"]},{"Items":["a long one that fills it"]}]"#;
    assert_eq!(text(&map_run.execution(), "output"), expected);
}

#[test]
fn failures_beyond_the_tolerated_end_the_map_run() {
    let mut map_run = run(&distributed(SORTED, false, ""), "[1,6,11,7]");
    map_run.counts("FAILED", [0, 0, 1, 1, 0, 2, 4, 1], [0, 0, 1, 1, 0, 2, 4, 1]);
    assert_eq!(map_run.events(), "MapRunFailed MapStateFailed ExecutionFailed");
    let execution = map_run.execution();
    assert_eq!(text(&execution, "error"), "States.ExceedToleratedFailureThreshold");
    assert_eq!(text(&execution, "cause"), "The specified tolerated failure threshold was exceeded");
    assert_eq!(map_run.children(r#","statusFilter":"ABORTED""#).len(), 2);
    let failed = text(&map_run.children(r#","statusFilter":"FAILED""#)[0], "executionArn");
    let failed = map_run.site.ask("DescribeExecution", body("executionArn", &failed));
    assert_eq!(text(&failed, "redriveStatus"), "REDRIVABLE_BY_MAP_RUN");
    assert!(map_run.children(r#","redriveFilter":"REDRIVEN""#).is_empty());

    for (more, status) in [
        (r#""ToleratedFailureCount":1,"#, "SUCCEEDED"),
        (r#""ToleratedFailureCount":0,"ToleratedFailurePercentage":50,"#, "FAILED"),
        (r#""ToleratedFailurePercentage":50,"#, "SUCCEEDED"),
        (r#""ToleratedFailurePercentage":49.5,"#, "FAILED"),
    ] {
        let mut map_run = run(&distributed(SORTED, false, more), "[1,11]");
        assert_eq!(text(&map_run.described(), "status"), status, "{more}");
        if status == "SUCCEEDED" {
            let output = text(&map_run.execution(), "output");
            let start = r#"[1,{"Cause":"over ten","Error":"TooMuch","ExecutionArn":"#;
            assert!(output.starts_with(start) && output.contains(r#""Status":"FAILED""#), "{output}");
        }
    }
}

#[test]
fn an_execution_that_is_stopped_takes_its_map_run_along() {
    let mut map_run = run(&distributed(SORTED, false, r#""MaxConcurrency":2,"#), "[6,1,7,8]");
    map_run.counts("RUNNING", [1, 2, 1, 0, 0, 0, 4, 1], [1, 2, 1, 0, 0, 0, 4, 1]);
    let execution = map_run.execution.clone();
    map_run.site.ask("StopExecution", body("executionArn", &execution));
    map_run.site.settle(Duration::from_secs(1));
    map_run.counts("ABORTED", [1, 0, 1, 0, 0, 2, 4, 1], [1, 0, 1, 0, 0, 2, 4, 1]);
    assert_eq!(map_run.events(), "MapRunAborted ExecutionAborted");
}

#[test]
fn limits_change_while_it_runs() {
    let mut map_run =
        run(&distributed(SORTED, false, r#""MaxConcurrency":1,"ToleratedFailureCount":0,"#), "[6,7,11,8]");
    map_run.counts("RUNNING", [3, 1, 0, 0, 0, 0, 4, 0], [3, 1, 0, 0, 0, 0, 4, 0]);
    let arn = quoted(&map_run.arn);
    let update = format!(
        r#"{{"mapRunArn":{arn},"maxConcurrency":3,"toleratedFailurePercentage":25.5,"toleratedFailureCount":1}}"#
    );
    check(&map_run.site.ask("UpdateMapRun", &update), "{}");
    map_run.site.settle(Duration::from_secs(1));
    // One of the three failed at once, and made room.
    map_run.counts("RUNNING", [0, 3, 0, 1, 0, 0, 4, 0], [0, 3, 0, 1, 0, 0, 4, 0]);
    let described = map_run.described();
    for (name, expected) in
        [("maxConcurrency", "3"), ("toleratedFailurePercentage", "25.5"), ("toleratedFailureCount", "1")]
    {
        assert_eq!(described.get(name).map(Value::to_json).as_deref(), Some(expected), "{name}");
    }
    map_run.site.settle(Duration::from_secs(100));
    map_run.counts("SUCCEEDED", [0, 0, 3, 1, 0, 0, 4, 3], [0, 0, 3, 1, 0, 0, 4, 3]);
    let (status, refused) = map_run.site.call("UpdateMapRun", &update);
    assert_eq!((status, &*text(&refused, "reason")), (400, "CANNOT_UPDATE_COMPLETED_MAP_RUN"));
    map_run.site.refused(
        "UpdateMapRun",
        &format!(r#"{{"mapRunArn":{arn},"maxConcurrency":-1,"toleratedFailurePercentage":100.5}}"#),
        "ValidationException: 2 validation errors detected: Value '-1' at 'maxConcurrency' failed to satisfy \
         constraint: Member must have value greater than or equal to 0; Value '100.5' at \
         'toleratedFailurePercentage' failed to satisfy constraint: Member must have value less than or equal to 100",
    );
}

#[test]
fn results_are_transformed() {
    let pass = r#"{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}"#;
    for (transformation, expected) in [("COMPACT", "[[1],2]"), ("FLATTEN", "[1,2]")] {
        let writer = format!(r#""ResultWriter":{{"WriterConfig":{{"Transformation":"{transformation}"}}}},"#);
        let mut map_run = run(&distributed(pass, false, &writer), "[[1],2]");
        assert_eq!(text(&map_run.execution(), "output"), expected, "{transformation}");
    }
    let writer = r#""ResultWriter":{"WriterConfig":{"Transformation":"NONE"}},"#;
    let output = text(&run(&distributed(pass, false, writer), "[2]").execution(), "output");
    for part in [
        r#""Output":"2""#,
        r#""Input":"2""#,
        r#""Status":"SUCCEEDED""#,
        r#""RedriveStatus":"NOT_REDRIVABLE""#,
    ] {
        assert!(output.contains(part), "{part} in {output}");
    }
    let large =
        r#"{"StartAt":"P","States":{"P":{"Type":"Pass","Parameters":{"a.$":"$","b.$":"$"},"End":true}}}"#;
    let input = format!("[{}]", vec![quoted(&"x".repeat(60_000)); 3].join(","));
    let mut map_run = run(&distributed(large, false, ""), &input);
    assert_eq!(map_run.events(), "MapRunFailed MapStateFailed ExecutionFailed");
    assert_eq!(text(&map_run.execution(), "error"), "States.DataLimitExceeded");
    assert_eq!(text(&map_run.described(), "status"), "FAILED");
    // One that is too large by itself, with what is known of it.
    let input = format!("[{}]", quoted(&"x".repeat(110_000)));
    let mut map_run = run(&distributed(large, false, writer), &input);
    assert_eq!(map_run.events(), "MapRunFailed MapStateFailed ExecutionFailed");
    assert_eq!(text(&map_run.execution(), "error"), "States.DataLimitExceeded");
}

#[test]
fn what_reads_or_writes_s3_says_that_it_cannot_yet() {
    let pass = r#"{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}"#;
    let reader =
        r#""ItemReader":{"Resource":"arn:aws:states:::s3:getObject","Parameters":{"Bucket":"b","Key":"k"}},"#;
    let writer = r#""ResultWriter":{"Resource":"arn:aws:states:::s3:putObject","Parameters":{"Bucket":"b","Prefix":"k"}},"#;
    for (more, error) in [(reader, "States.ItemReaderFailed"), (writer, "States.ResultWriterFailed")] {
        let mut map_run = run(&distributed(pass, false, more), "[1]");
        assert_eq!(text(&map_run.execution(), "error"), error);
        assert_eq!(map_run.events(), "MapRunFailed MapStateFailed ExecutionFailed");
        assert!(map_run.children("").is_empty());
    }
}

#[test]
fn a_map_run_that_is_retried_is_another() {
    let retry = r#""Retry":[{"ErrorEquals":["States.ExceedToleratedFailureThreshold"],"MaxAttempts":1}],
        "Catch":[{"ErrorEquals":["States.ALL"],"Next":"Caught"}],"#;
    let definition = distributed(SORTED, false, retry);
    let definition =
        definition.replacen(r#""States":{"M":"#, r#""States":{"Caught":{"Type":"Succeed"},"M":"#, 1);
    let mut site = Site::new();
    let machine = site.create("m", &definition);
    let execution = site.start(&machine, "e", "[11]");
    site.settle(Duration::from_secs(10));
    let list = |more: &str| format!(r#"{{"executionArn":{}{more}}}"#, quoted(&execution));
    let first = site.ask("ListMapRuns", list(r#","maxResults":1"#));
    let token = quoted(&text(&first, "nextToken"));
    let second = site.ask("ListMapRuns", list(&format!(r#","maxResults":1,"nextToken":{token}"#)));
    let arn =
        |page: &Value| text(&page.get("mapRuns").and_then(Value::as_array).expect("one")[0], "mapRunArn");
    assert_ne!(arn(&first), arn(&second));
    assert!(second.get("nextToken").is_none());
    let execution = site.ask("DescribeExecution", body("executionArn", &execution));
    assert_eq!(text(&execution, "status"), "SUCCEEDED");
}

#[test]
fn what_is_not_there_is_not_found() {
    let mut site = Site::new();
    let missing = format!("{MAP_RUN}m/each:1");
    let not_found = format!("ResourceNotFound: Resource not found: '{missing}'");
    for operation in ["DescribeMapRun", "UpdateMapRun", "ListExecutions"] {
        site.refused(operation, &body("mapRunArn", &missing), &not_found);
        let wrong = "InvalidArn: Invalid Arn: 'Resource type not valid in this context: execution'";
        site.refused(
            operation,
            &body("mapRunArn", "arn:aws:states:us-east-1:123456789012:execution:m:e"),
            wrong,
        );
    }
    let execution = "arn:aws:states:us-east-1:123456789012:execution:m:e";
    let missing = format!("ExecutionDoesNotExist: Execution Does Not Exist: '{execution}'");
    site.refused("ListMapRuns", &body("executionArn", execution), &missing);
}

#[test]
fn a_map_state_is_described_by_its_label() {
    let mut site = Site::new();
    let machine = site.create("m", &distributed(PASS, true, ""));
    let arn = format!("{machine}/each");
    let described = site.ask("DescribeStateMachine", body("stateMachineArn", &arn));
    let members = ["stateMachineArn", "label", "type", "status"].map(|name| text(&described, name));
    assert_eq!(members, [&*arn, "each", "EXPRESS", "ACTIVE"]);
    assert!(text(&described, "definition").starts_with(r#"{"ProcessorConfig":"#));
    let other = format!("{machine}/other");
    let refusal = format!("StateMachineDoesNotExist: State Machine Does Not Exist: '{other}'");
    site.refused("DescribeStateMachine", &body("stateMachineArn", &other), &refusal);
}

/// Stops an execution whose Map Run has done its first item of three, redrives it and lets it end.
fn redriven(express: bool) -> MapRun {
    let mut map_run = run(&distributed(SORTED, express, r#""MaxConcurrency":2,"#), "[1, 7, 2]");
    map_run.site.ask("StopExecution", body("executionArn", &map_run.execution));
    map_run.site.settle(Duration::from_secs(1));
    map_run.counts("ABORTED", [0, 0, 2, 0, 0, 1, 3, 2], [0, 0, 2, 0, 0, 1, 3, 2]);
    let described = map_run.execution();
    assert_eq!(text(&described, "redriveStatus"), "REDRIVABLE", "{described}");
    map_run.site.ask("RedriveExecution", body("executionArn", &map_run.execution));
    map_run.site.settle(Duration::from_secs(5));
    let described = map_run.described();
    assert_eq!(text(&described, "status"), "RUNNING");
    let counts = r#"{"pending":0,"running":1,"succeeded":2,"failed":0,"timedOut":0,"aborted":0,"total":3,"resultsWritten":2,"failuresNotRedrivable":0,"pendingRedrive":0}"#;
    for name in ["itemCounts", "executionCounts"] {
        assert_eq!(described.get(name).map(Value::to_json).as_deref(), Some(counts));
    }
    assert_eq!(described.get("redriveCount").map(Value::to_json).as_deref(), Some("1"));
    assert!(described.get("redriveDate").is_some() && described.get("stopDate").is_none());
    map_run.site.settle(Duration::from_secs(60));
    assert_eq!(text(&map_run.execution(), "output"), "[1,7,2]");
    assert_eq!(
        map_run.events(),
        "MapRunAborted ExecutionAborted ExecutionRedriven MapRunRedriven MapRunSucceeded MapStateSucceeded \
         MapStateExited ExecutionSucceeded"
    );
    let history = map_run.site.ask("GetExecutionHistory", body("executionArn", &map_run.execution));
    let events = history.get("events").and_then(Value::as_array).expect("a list").to_vec();
    let event = events.iter().find(|event| text(event, "type") == "MapRunRedriven").expect("it is there");
    let details = event.get("mapRunRedrivenEventDetails").map(Value::to_json);
    let expected = format!(r#"{{"mapRunArn":{},"redriveCount":1}}"#, quoted(&map_run.arn));
    assert_eq!(details, Some(expected));
    map_run
}

#[test]
fn a_redrive_lets_what_failed_go_on() {
    let mut map_run = redriven(false);
    let children = map_run.children("");
    assert_eq!(children.len(), 3);
    let counts = children.iter().map(|child| {
        let arn = text(child, "executionArn");
        let child = map_run.site.ask("DescribeExecution", body("executionArn", &arn));
        child.get("redriveCount").map(Value::to_json).unwrap_or_default()
    });
    let mut counts: Vec<_> = counts.collect();
    counts.sort();
    assert_eq!(counts, ["0", "0", "1"]);
}

#[test]
fn a_redrive_starts_express_executions_again() {
    let mut map_run = redriven(true);
    let children = map_run.children("");
    let statuses: Vec<_> = children.iter().map(|child| text(child, "status")).collect();
    assert_eq!(statuses.iter().filter(|status| *status == "SUCCEEDED").count(), 3, "{statuses:?}");
}

#[test]
fn failures_count_anew_and_a_map_run_may_fail_again() {
    let mut map_run = run(&distributed(SORTED, false, ""), "[1, 20, 30]");
    for _ in 0..2 {
        map_run.site.ask("RedriveExecution", body("executionArn", &map_run.execution));
        map_run.site.settle(Duration::from_secs(5));
    }
    let described = map_run.described();
    assert_eq!(text(&described, "status"), "FAILED");
    let counts = r#"{"pending":0,"running":0,"succeeded":1,"failed":2,"timedOut":0,"aborted":0,"total":3,"resultsWritten":1,"failuresNotRedrivable":0,"pendingRedrive":0}"#;
    assert_eq!(described.get("itemCounts").map(Value::to_json).as_deref(), Some(counts));
    assert_eq!(described.get("redriveCount").map(Value::to_json).as_deref(), Some("2"));
}
