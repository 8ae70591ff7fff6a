//! The lines of an execution's log, as Step Functions writes them into CloudWatch Logs.

use stepwell_engine::port::{LogLine, LoggedEvents};
use stepwell_interpreter::{Detail, HistoryEvent};

use crate::answer::Answer;

/// How many bytes of a line its data may take, escaped; more is cut off (Developer Guide, "CloudWatch Logs payloads").
pub(crate) const SHOWN_BYTES_MAX: usize = 248 * 1024;

/// The lines of events, in their order.
pub fn log_lines(logged: &LoggedEvents) -> Vec<LogLine> {
    let is_data_included = logged.logging.includes_execution_data;
    let line = |(redrive_count, event): &(u32, HistoryEvent)| {
        let mut line = Answer::with_capacity(512);
        line.text("id", &event.id.0.to_string())
            .text("type", event.event_type)
            .object("details", |details| write_details(details, event, is_data_included))
            .text("previous_event_id", &event.previous.0.to_string())
            .text("event_timestamp", &event.at.0.to_string())
            .text("execution_arn", &logged.info.execution_arn)
            .text("redrive_count", &redrive_count.to_string());
        LogLine { at: event.at, message: line.finish() }
    };
    logged.events.iter().map(line).collect()
}

/// The details in the order of their names (recorded). Data may be left out, and the parameters of a task with it, which may hold
/// as much of it as any input.
fn write_details(details: &mut Answer, event: &HistoryEvent, is_data_included: bool) {
    let mut shown: Vec<_> = event.details.iter().collect();
    shown.sort_by_key(|(name, _)| *name);
    let data = shown.iter().filter_map(|(_, detail)| match detail {
        Detail::Data(payload) | Detail::Parameters(payload) => Some(escaped_bytes(payload.text())),
        _ => None,
    });
    let mut room = SHOWN_BYTES_MAX.saturating_sub(data.sum());
    // What the companion of the data before it says.
    let mut is_truncated = false;
    for (name, detail) in shown {
        match detail {
            Detail::Text(text) => details.text(name, text),
            Detail::Number(number) => details.number(name, *number),
            Detail::Credentials(role) => details.object(name, |credentials| {
                credentials.text("roleArn", role);
            }),
            _ if !is_data_included => details,
            Detail::Data(payload) | Detail::Parameters(payload) => {
                let text = fitting(payload.text(), SHOWN_BYTES_MAX);
                is_truncated = text.len() < payload.text().len();
                details.text(name, text)
            }
            Detail::Included => details.object(name, |included| {
                included.flag("truncated", is_truncated);
            }),
            Detail::Variables(variables) => details.object(name, |assigned| {
                is_truncated = false;
                for (name, payload) in variables {
                    let bytes = escaped_bytes(name) + escaped_bytes(payload.text());
                    match room.checked_sub(bytes) {
                        Some(left) if !is_truncated => {
                            room = left;
                            assigned.named_text(name, payload.text());
                        }
                        _ => is_truncated = true,
                    }
                }
            }),
        };
    }
}

/// The beginning of a text that takes `bytes_max` at the most when it is written as a JSON string.
pub(crate) fn fitting(text: &str, bytes_max: usize) -> &str {
    // No character takes more than six times its bytes.
    if text.len() <= bytes_max / 6 {
        return text;
    }
    let mut bytes = 0;
    for (at, character) in text.char_indices() {
        bytes += escaped(character);
        if bytes > bytes_max {
            return &text[..at];
        }
    }
    text
}

/// The bytes of a text that is written as a JSON string, without its quotes.
pub(crate) fn escaped_bytes(text: &str) -> usize {
    text.chars().map(escaped).sum()
}

fn escaped(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        character => character.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use stepwell_engine::port::{LogLevel, Logging};
    use stepwell_expr::Payload;
    use stepwell_expr::json::write_string;
    use stepwell_interpreter::{EventId, ExecutionInfo, Timestamp};

    use super::*;

    fn line(event_type: &'static str, details: Vec<(&'static str, Detail)>, data: bool) -> String {
        let info = ExecutionInfo {
            execution_arn: "arn:e".into(),
            name: "e".into(),
            state_machine_arn: "arn:m".into(),
            state_machine_name: "m".into(),
            role_arn: "arn:r".into(),
            version_arn: None,
            alias_arn: None,
            started_at: Timestamp(0),
            express: false,
        };
        let event = HistoryEvent {
            id: EventId(3),
            previous: EventId(2),
            at: Timestamp(1_700_000_000_500),
            event_type,
            details_name: None,
            details,
        };
        let logging =
            Logging { level: LogLevel::All, includes_execution_data: data, log_group_arn: "arn:g:*".into() };
        let logged =
            LoggedEvents { logging: Arc::new(logging), info: Arc::new(info), events: vec![(1, event)] };
        let lines = log_lines(&logged);
        assert_eq!(lines[0].at, Timestamp(1_700_000_000_500));
        lines[0].message.clone()
    }

    #[track_caller]
    fn check(event_type: &'static str, details: Vec<(&'static str, Detail)>, with_data: &str, without: &str) {
        for (data, expected) in [(true, with_data), (false, without)] {
            let expected = format!(
                r#"{{"id":"3","type":"{event_type}","details":{expected},"previous_event_id":"2","event_timestamp":"1700000000500","execution_arn":"arn:e","redrive_count":"1"}}"#
            );
            assert_eq!(line(event_type, details.clone(), data), expected);
        }
    }

    fn text(text: &str) -> Detail {
        Detail::Text(text.into())
    }

    fn data(text: &str) -> Detail {
        Detail::Data(Payload::trusted(text))
    }

    #[test]
    fn lines_of_each_kind_of_detail() {
        check("ParallelStateStarted", vec![], "{}", "{}");
        check(
            "ExecutionStarted",
            vec![("input", data("{}")), ("inputDetails", Detail::Included), ("roleArn", text("arn:r"))],
            r#"{"input":"{}","inputDetails":{"truncated":false},"roleArn":"arn:r"}"#,
            r#"{"roleArn":"arn:r"}"#,
        );
        check(
            "PassStateExited",
            vec![
                ("name", text("S")),
                ("output", data(r#"{"a":"b"}"#)),
                ("outputDetails", Detail::Included),
                ("assignedVariables", Detail::Variables(vec![("x".into(), Payload::trusted("1"))])),
                ("assignedVariablesDetails", Detail::Included),
            ],
            r#"{"assignedVariables":{"x":"1"},"assignedVariablesDetails":{"truncated":false},"name":"S","output":"{\"a\":\"b\"}","outputDetails":{"truncated":false}}"#,
            r#"{"name":"S"}"#,
        );
        check("MapStateStarted", vec![("length", Detail::Number(3))], r#"{"length":3}"#, r#"{"length":3}"#);
        let error = vec![("error", text("States.Runtime")), ("cause", text("why"))];
        let expected = r#"{"cause":"why","error":"States.Runtime"}"#;
        check("ExecutionFailed", error, expected, expected);
        check(
            "TaskScheduled",
            vec![
                ("region", text("r")),
                ("parameters", Detail::Parameters(Payload::trusted("{}"))),
                ("timeoutInSeconds", Detail::Number(5)),
                ("taskCredentials", Detail::Credentials("arn:r".into())),
                ("resourceType", text("lambda")),
                ("resource", text("invoke")),
            ],
            r#"{"parameters":"{}","region":"r","resource":"invoke","resourceType":"lambda","taskCredentials":{"roleArn":"arn:r"},"timeoutInSeconds":5}"#,
            r#"{"region":"r","resource":"invoke","resourceType":"lambda","taskCredentials":{"roleArn":"arn:r"},"timeoutInSeconds":5}"#,
        );
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let long = format!("\"{}\"", "ü\\\"".repeat(60_000));
        let details = vec![
            ("name", text("S")),
            ("output", data(&long)),
            ("outputDetails", Detail::Included),
            ("assignedVariables", Detail::Variables(vec![("x".into(), Payload::trusted("1"))])),
            ("assignedVariablesDetails", Detail::Included),
        ];
        let line = line("PassStateExited", details, true);
        assert!(line.len() > SHOWN_BYTES_MAX && line.len() < SHOWN_BYTES_MAX + 500, "{}", line.len());
        for part in [
            r#""outputDetails":{"truncated":true}"#,
            r#""assignedVariables":{},"assignedVariablesDetails":{"truncated":true}"#,
        ] {
            assert!(line.contains(part), "{part}");
        }
        stepwell_expr::json::parse(&line).unwrap();
        // All that may be in a line: a state's error and cause stand in no line with data.
        assert!(line.len() + 1000 < 256 * 1024 - 26);
    }

    #[test]
    fn escaping_is_counted_as_it_is_written() {
        let all: String = ('\0'..='\u{2100}').collect();
        let mut written = String::new();
        write_string(&all, &mut written);
        assert_eq!(escaped_bytes(&all) + 2, written.len());
        for bytes_max in [0, 1, 5, 6, 7, 100, 300, 1000, 100_000] {
            let fits = fitting(&all, bytes_max);
            let next = all[fits.len()..].chars().next().map_or(usize::MAX / 2, escaped);
            assert!(escaped_bytes(fits) <= bytes_max && escaped_bytes(fits) + next > bytes_max);
        }
    }
}
