//! History events as the API shows them (API: HistoryEvent).

use stepwell_interpreter::{Detail, HistoryEvent};

use crate::answer::Answer;

/// Writes one event. Without `is_data_included` inputs, outputs and variables stay out; a task's `parameters` do not.
pub(crate) fn write_event(answer: &mut Answer, event: &HistoryEvent, is_data_included: bool) {
    answer
        .time("timestamp", event.at)
        .text("type", event.event_type)
        .number("id", event.id.0)
        .number("previousEventId", event.previous.0);
    if let Some(name) = event.details_name {
        answer.object(name, |details| {
            for (name, detail) in &event.details {
                write_detail(details, name, detail, is_data_included);
            }
        });
    }
}

fn write_detail(details: &mut Answer, name: &str, detail: &Detail, is_data_included: bool) {
    match detail {
        Detail::Text(text) => details.text(name, text),
        Detail::Number(number) => details.number(name, *number),
        Detail::Parameters(payload) => details.text(name, payload.text()),
        Detail::Credentials(role) => details.object(name, |credentials| {
            credentials.text("roleArn", role);
        }),
        Detail::Data(_) | Detail::Included | Detail::Variables(_) if !is_data_included => details,
        Detail::Data(payload) => details.text(name, payload.text()),
        Detail::Included => details.object(name, |included| {
            included.flag("truncated", false);
        }),
        Detail::Variables(variables) => details.object(name, |assigned| {
            for (name, payload) in variables {
                assigned.named_text(name, payload.text());
            }
        }),
    };
}

#[cfg(test)]
mod tests {
    use stepwell_expr::Payload;
    use stepwell_interpreter::{EventId, Timestamp};

    use super::*;

    #[track_caller]
    fn check(details: Vec<(&'static str, Detail)>, with_data: &str, without: &str) {
        let event = HistoryEvent {
            id: EventId(3),
            previous: EventId(2),
            at: Timestamp(1_700_000_000_500),
            event_type: "PassStateExited",
            details_name: Some("stateExitedEventDetails"),
            details,
        };
        for (is_data_included, expected) in [(true, with_data), (false, without)] {
            let mut answer = Answer::new();
            write_event(&mut answer, &event, is_data_included);
            let start = r#"{"timestamp":1700000000.500,"type":"PassStateExited","id":3,"previousEventId":2,"#;
            assert_eq!(answer.finish(), format!("{start}\"stateExitedEventDetails\":{expected}}}"));
        }
    }

    #[test]
    fn data_is_shown_on_request() {
        let payload = |text: &str| Payload::trusted(text);
        check(
            vec![
                ("name", Detail::Text("S".into())),
                ("output", Detail::Data(payload("{\"a\" : 1}"))),
                ("outputDetails", Detail::Included),
                ("assignedVariables", Detail::Variables(vec![("x\"".into(), payload("\"v\""))])),
                ("assignedVariablesDetails", Detail::Included),
            ],
            r#"{"name":"S","output":"{\"a\" : 1}","outputDetails":{"truncated":false},"assignedVariables":{"x\"":"\"v\""},"assignedVariablesDetails":{"truncated":false}}"#,
            r#"{"name":"S"}"#,
        );
        let both = r#"{"parameters":"{}","timeoutInSeconds":5,"taskCredentials":{"roleArn":"r"}}"#;
        check(
            vec![
                ("parameters", Detail::Parameters(payload("{}"))),
                ("timeoutInSeconds", Detail::Number(5)),
                ("taskCredentials", Detail::Credentials("r".into())),
            ],
            both,
            both,
        );
        check(vec![], "{}", "{}");
    }
}
