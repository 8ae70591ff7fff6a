//! The event of an execution's change of status, as Step Functions sends it to EventBridge ("Step Functions Execution Status
//! Change").

use stepwell_engine::port::StatusChange;
use stepwell_expr::Payload;

use crate::answer::Answer;
use crate::log_lines::{SHOWN_BYTES_MAX, escaped_bytes};

/// `detail-type` of such an event.
pub const STATUS_CHANGE: &str = "Step Functions Execution Status Change";

/// `detail` of such an event: JSON. What there is none of is `null`. An output over 248 KB, escaped, is left out; so is the input
/// where both together are (Developer Guide, "EventBridge payloads").
pub fn status_change_detail(change: &StatusChange) -> String {
    let (meta, info) = (&change.meta, &change.meta.info);
    let end = meta.end.as_ref();
    let output = end.and_then(|end| end.output.as_ref());
    let bytes = |payload: Option<&Payload>| payload.map_or(0, |payload| escaped_bytes(payload.text()));
    let shows_output = bytes(output) <= SHOWN_BYTES_MAX;
    // AWS counts no error with them; but an event has no more room.
    let error = end.map_or(0, |end| {
        let texts = [end.error.error.as_deref(), end.error.cause.as_deref()];
        texts.into_iter().flatten().map(escaped_bytes).sum()
    });
    let shows_input = bytes(Some(&meta.input)) + bytes(output) + error <= SHOWN_BYTES_MAX;
    let mut detail = Answer::with_capacity(1024);
    detail.text("executionArn", &info.execution_arn).text("stateMachineArn", &info.state_machine_arn);
    text_or_null(&mut detail, "stateMachineVersionArn", info.version_arn.as_deref());
    text_or_null(&mut detail, "stateMachineAliasArn", info.alias_arn.as_deref());
    detail.text("name", &info.name).text("status", change.status);
    number_or_null(&mut detail, "startDate", Some(info.started_at.0));
    number_or_null(&mut detail, "stopDate", end.map(|end| end.at.0));
    data(&mut detail, ["input", "inputDetails"], Some(&meta.input), shows_input);
    data(&mut detail, ["output", "outputDetails"], output, shows_output);
    text_or_null(&mut detail, "error", end.and_then(|end| end.error.error.as_deref()));
    text_or_null(&mut detail, "cause", end.and_then(|end| end.error.cause.as_deref()));
    detail.number("redriveCount", u64::from(meta.epoch));
    number_or_null(&mut detail, "redriveDate", meta.redriven_at.map(|at| at.0));
    let (status, reason) = match meta.redrivable(change.at) {
        Err(why) => ("NOT_REDRIVABLE", Some(why.to_string())),
        Ok(()) if meta.map_run_arn().is_some() => ("REDRIVABLE_BY_MAP_RUN", None),
        Ok(()) => ("REDRIVABLE", None),
    };
    detail.text("redriveStatus", status);
    text_or_null(&mut detail, "redriveStatusReason", reason.as_deref());
    detail.finish()
}

fn text_or_null(detail: &mut Answer, name: &str, text: Option<&str>) {
    match text {
        Some(text) => detail.text(name, text),
        None => detail.json(name, "null"),
    };
}

fn number_or_null(detail: &mut Answer, name: &str, number: Option<i64>) {
    detail.json(name, &number.map_or_else(|| "null".to_owned(), |number| number.to_string()));
}

fn data(detail: &mut Answer, [name, details]: [&str; 2], payload: Option<&Payload>, is_shown: bool) {
    text_or_null(detail, name, payload.filter(|_| is_shown).map(|payload| &**payload.text()));
    match payload {
        Some(_) => detail.object(details, |details| {
            details.flag("included", is_shown);
        }),
        None => detail.json(details, "null"),
    };
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use stepwell_engine::meta::{End, Meta, RunId};
    use stepwell_interpreter::{ErrorOutput, ExecutionInfo, Timestamp};

    use super::*;

    fn change(status: &'static str, input: &str, end: Option<(Option<&str>, ErrorOutput)>) -> StatusChange {
        let info = ExecutionInfo {
            execution_arn: "arn:e".into(),
            name: "e".into(),
            state_machine_arn: "arn:m".into(),
            state_machine_name: "m".into(),
            role_arn: "arn:r".into(),
            version_arn: Some("arn:m:1".into()),
            alias_arn: None,
            started_at: Timestamp(1_700_000_000_500),
            express: false,
        };
        let at = Timestamp(1_700_000_001_000);
        let end = end.map(|(output, error)| {
            let output = output.map(Payload::trusted);
            End { status, output, output_at: None, error, at, events: 0 }
        });
        let meta = Meta {
            execution_arn: "arn:e".into(),
            run: RunId(1),
            epoch: 0,
            info: Arc::new(info),
            input: Payload::trusted(input),
            revision: "r".into(),
            trace_header: None,
            end,
            parked: None,
            parent: None,
            redriven_at: None,
        };
        StatusChange { status, at, meta: Arc::new(meta) }
    }

    #[test]
    fn details_of_each_status() {
        let check = |change: StatusChange, status_to_end: &str, redrive: &str| {
            let expected = format!(
                r#"{{"executionArn":"arn:e","stateMachineArn":"arn:m","stateMachineVersionArn":"arn:m:1","stateMachineAliasArn":null,"name":"e",{status_to_end},"redriveCount":0,"redriveDate":null,{redrive}}}"#
            );
            assert_eq!(status_change_detail(&change), expected);
        };
        check(
            change("RUNNING", "{ }", None),
            r#""status":"RUNNING","startDate":1700000000500,"stopDate":null,"input":"{ }","inputDetails":{"included":true},"output":null,"outputDetails":null,"error":null,"cause":null"#,
            r#""redriveStatus":"NOT_REDRIVABLE","redriveStatusReason":"Execution is RUNNING and cannot be redriven""#,
        );
        check(
            change("SUCCEEDED", "{}", Some((Some("1"), ErrorOutput::default()))),
            r#""status":"SUCCEEDED","startDate":1700000000500,"stopDate":1700000001000,"input":"{}","inputDetails":{"included":true},"output":"1","outputDetails":{"included":true},"error":null,"cause":null"#,
            r#""redriveStatus":"NOT_REDRIVABLE","redriveStatusReason":"Execution is SUCCEEDED and cannot be redriven""#,
        );
        check(
            change("FAILED", "{}", Some((None, ErrorOutput::new("E", "c")))),
            r#""status":"FAILED","startDate":1700000000500,"stopDate":1700000001000,"input":"{}","inputDetails":{"included":true},"output":null,"outputDetails":null,"error":"E","cause":"c""#,
            r#""redriveStatus":"REDRIVABLE","redriveStatusReason":null"#,
        );
    }

    #[test]
    fn what_is_too_long_is_left_out() {
        let check = |input: usize, output: usize, expected: (bool, bool)| {
            let payload = |bytes: usize| format!("\"{}\"", "x".repeat(bytes));
            let (input, output) = (payload(input), payload(output));
            let end = (Some(output.as_str()), ErrorOutput::default());
            let detail = status_change_detail(&change("SUCCEEDED", &input, Some(end)));
            let detail = stepwell_expr::json::parse(&detail).unwrap();
            let included = |name| detail.get(name).unwrap().get("included").unwrap().as_bool().unwrap();
            assert_eq!((included("inputDetails"), included("outputDetails")), expected);
            assert_eq!(detail.get("input").unwrap().as_str().is_some(), expected.0);
            assert_eq!(detail.get("output").unwrap().as_str().is_some(), expected.1);
        };
        check(100_000, 100_000, (true, true));
        check(150_000, 150_000, (false, true));
        check(10, 255_000, (false, false));
        check(255_000, 10, (false, true));
    }
}
