//! What an event is, by its shape.

use stepwell_expr::Value;

use super::http::Request;

/// An event, told by its members.
#[derive(Debug)]
pub(super) enum Shape<'a> {
    /// A request that came through API Gateway (REST, payload 1.0; HTTP, payload 2.0) or a Function URL.
    Http(Request<'a>),
    /// Records of an SQS queue.
    Queue(&'a [Value]),
    /// Records of a DynamoDB stream.
    Stream,
    /// A schedule of ours.
    Schedule,
    /// A minute of ours, whose timers share a schedule.
    Minute(i64),
    /// An event of EventBridge.
    EventBridge,
    /// What became of an asynchronous invocation of a function.
    Destination,
    /// A custom resource of CloudFormation.
    CustomResource,
    /// A macro of CloudFormation.
    Macro,
    /// Anything else: a direct invocation.
    Other,
}

impl<'a> Shape<'a> {
    pub(super) fn of(event: &'a Value) -> Self {
        let has = |names: &[&str]| names.iter().all(|name| event.get(name).is_some());
        if let Some(records) = event.get("Records").and_then(Value::as_array) {
            let source = records.first().and_then(|record| record.get("eventSource")?.as_str());
            return match source {
                Some("aws:sqs") => Shape::Queue(records),
                Some("aws:dynamodb") => Shape::Stream,
                _ => Shape::Other,
            };
        }
        if let Some(request) = Request::read(event) {
            return Shape::Http(request);
        }
        if has(&["RequestType", "ResponseURL", "LogicalResourceId"]) {
            return Shape::CustomResource;
        }
        if has(&["transformId", "fragment"]) {
            return Shape::Macro;
        }
        if has(&["requestContext", "requestPayload"]) {
            return Shape::Destination;
        }
        if has(&["detail-type", "source", "detail", "id"]) {
            return Shape::EventBridge;
        }
        if has(&["due", "message"]) && event.as_object().is_some_and(|members| members.len() == 2) {
            return Shape::Schedule;
        }
        if let (true, Some(minute)) = (
            event.as_object().is_some_and(|members| members.len() == 1),
            event.get("minute").and_then(Value::as_i64),
        ) {
            return Shape::Minute(minute);
        }
        Shape::Other
    }

    /// What it is, for people.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Shape::Http(_) => "an HTTP request",
            Shape::Queue(_) => "messages of a queue",
            Shape::Stream => "records of a stream",
            Shape::Schedule | Shape::Minute(_) => "a schedule",
            Shape::EventBridge => "an event of EventBridge",
            Shape::Destination => "an invocation record",
            Shape::CustomResource => "a custom resource",
            Shape::Macro => "a macro",
            Shape::Other => "this event",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_told_by_its_shape() {
        let check = |event: &str, expected: &str| {
            let event = stepwell_expr::json::parse(event).unwrap();
            assert_eq!(Shape::of(&event).name(), expected, "{event:?}");
        };
        for request in [
            include_str!("../../tests/events/rest-api.json"),
            include_str!("../../tests/events/http-api.json"),
            include_str!("../../tests/events/function-url.json"),
        ] {
            check(request, "an HTTP request");
        }
        check(include_str!("../../tests/events/sqs.json"), "messages of a queue");
        check(include_str!("../../tests/events/stream.json"), "records of a stream");
        check(include_str!("../../tests/events/schedule.json"), "a schedule");
        check(include_str!("../../tests/events/eventbridge.json"), "an event of EventBridge");
        check(include_str!("../../tests/events/invocation-record.json"), "an invocation record");
        check(include_str!("../../tests/events/custom-resource.json"), "a custom resource");
        check(include_str!("../../tests/events/macro.json"), "a macro");
        check(include_str!("../../tests/events/direct.json"), "this event");
        for other in ["null", "[]", "{}", r#"{"Records":[]}"#, r#"{"Records":1}"#, r#"{"Records":[{}]}"#, "1"]
        {
            check(other, "this event");
        }
    }
}
