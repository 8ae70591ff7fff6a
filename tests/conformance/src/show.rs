//! Writes a history down, in the form that the crate's documentation tells.

use std::collections::BTreeMap;
use std::fmt::Write;

use stepwell_expr::Payload;
use stepwell_interpreter::{Detail, EventId, HistoryEvent, Timestamp, history};

use crate::run::{Run, STARTED_AT};

/// Longest line, where an event has room on the line before.
const WIDTH: usize = 110;

/// Longest text of data that is shown whole, in characters.
const DATA_SHOWN: usize = 600;

/// Lines at the beginning and at the end of a history that is not shown whole.
const LINES_SHOWN: usize = 5;

/// Lines of the longest history that is shown whole.
const LINES_MAX: usize = 60;

/// The history of `run` as a block.
pub(crate) fn show(run: &Run<'_>) -> String {
    let events = history(run.records(), EventId(1));
    let mut writer = Writer { carried: BTreeMap::new(), error: None, at: STARTED_AT };
    let mut lines: Vec<(u64, String)> = vec![];
    for event in &events {
        let begins = event.event_type.ends_with("StateEntered")
            || event.event_type == "MapIterationStarted"
            || event.at != writer.at;
        let text = writer.event(event);
        match lines.last_mut() {
            Some((_, line)) if !begins && line.chars().count() + text.chars().count() < WIDTH => {
                line.push_str(" · ");
                line.push_str(&text);
            }
            _ => lines.push((event.id.0, text)),
        }
    }
    if !run.has_ended() {
        lines.push((0, "(still running)".to_owned()));
    }
    let text = shortened(lines, events.len() as u64);
    run.tokens().fold(text, |text, token| text.replace(&token, "TOKEN"))
}

fn shortened(lines: Vec<(u64, String)>, events: u64) -> String {
    let width = events.to_string().len().max(2);
    let cut = lines.len() > LINES_MAX;
    let (head, tail) = (LINES_SHOWN, lines.len().saturating_sub(LINES_SHOWN));
    let mut block = String::new();
    for (at, (id, line)) in lines.iter().enumerate() {
        if cut && at == head {
            let left_out = lines[tail].0.saturating_sub(*id);
            let _ = writeln!(block, "… {left_out} events …");
        }
        if cut && (head..tail).contains(&at) {
            continue;
        }
        let _ = match id {
            0 => writeln!(block, "{:width$} {line}", ""),
            id => writeln!(block, "{id:width$} {line}"),
        };
    }
    block
}

struct Writer {
    /// The data that an event leaves to those that follow it.
    carried: BTreeMap<EventId, Payload>,
    /// The error that was shown last.
    error: Option<(Option<String>, Option<String>)>,
    at: Timestamp,
}

impl Writer {
    fn event(&mut self, event: &HistoryEvent) -> String {
        let mut text = event.event_type.to_owned();
        self.subject(event, &mut text);
        self.data(event, &mut text);
        self.failure(event, &mut text);
        if event.at != self.at {
            self.at = event.at;
            let _ = write!(text, " @{} s", (event.at.0 - STARTED_AT.0) as f64 / 1000.0);
        }
        if event.previous.0 + 1 != event.id.0 {
            let _ = write!(text, " (p={})", event.previous.0);
        }
        text
    }

    /// What the event is about: a state, an iteration, a service's operation, a worker.
    fn subject(&self, event: &HistoryEvent, text: &mut String) {
        for name in ["name", "state", "workerName"] {
            if let Some(name) = found(event, name) {
                let _ = write!(text, " {name}");
            }
        }
        for (name, detail) in &event.details {
            match (*name, detail) {
                ("index", Detail::Number(index)) => _ = write!(text, "[{index}]"),
                ("length", Detail::Number(length)) => _ = write!(text, " of {length}"),
                _ => {}
            }
        }
        if event.event_type == "TaskScheduled"
            && let (Some(service), Some(action)) = (found(event, "resourceType"), found(event, "resource"))
        {
            let _ = write!(text, " {service}:{action}");
        }
        for (name, detail) in &event.details {
            match (*name, detail) {
                ("timeoutInSeconds", Detail::Number(seconds)) => _ = write!(text, " timeout={seconds}"),
                ("heartbeatInSeconds", Detail::Number(seconds)) => _ = write!(text, " heartbeat={seconds}"),
                (_, Detail::Credentials(role)) => _ = write!(text, " as {role}"),
                _ => {}
            }
        }
    }

    fn data(&mut self, event: &HistoryEvent, text: &mut String) {
        let carried = self.carried.get(&event.previous).cloned();
        let mut leaves = carried.clone();
        for (name, detail) in &event.details {
            match detail {
                Detail::Data(data) | Detail::Parameters(data) => {
                    if event.id.0 > 1 && carried.as_ref().is_none_or(|carried| carried.text() != data.text())
                    {
                        let arrow = if *name == "output" { '→' } else { '←' };
                        let _ = write!(text, " {arrow} {}", cut(data.text()));
                    }
                    leaves = Some(data.clone());
                }
                Detail::Variables(variables) => {
                    for (name, value) in variables {
                        let _ = write!(text, " ${name}={}", cut(value.text()));
                    }
                }
                _ => {}
            }
        }
        if let Some(leaves) = leaves {
            if event.id.0 == 1 {
                // The first state's Entered event follows number 0.
                self.carried.insert(EventId(0), leaves.clone());
            }
            self.carried.insert(event.id, leaves);
        }
    }

    fn failure(&mut self, event: &HistoryEvent, text: &mut String) {
        let error = (found(event, "error").map(str::to_owned), found(event, "cause").map(str::to_owned));
        if let Some(location) = found(event, "location") {
            let _ = write!(text, " at {location}");
        }
        if error == (None, None) {
            return;
        }
        if self.error.as_ref() == Some(&error) {
            text.push_str(" ″");
            return;
        }
        if let Some(error) = &error.0 {
            let _ = write!(text, " {error}");
        }
        if let Some(cause) = &error.1 {
            let _ = write!(text, ": {}", cut(&brief(cause)));
        }
        self.error = Some(error);
    }
}

fn found<'a>(event: &'a HistoryEvent, name: &str) -> Option<&'a str> {
    event.details.iter().find_map(|(found, detail)| match detail {
        Detail::Text(text) if *found == name => Some(&**text),
        _ => None,
    })
}

/// A cause with AWS's opening in short.
fn brief(cause: &str) -> String {
    let short = || {
        let rest = cause.strip_prefix("An error occurred while executing the state '")?;
        let (state, rest) = rest.split_once("' (entered at the event id #")?;
        let (id, rest) = rest.split_once("). ")?;
        Some(format!("[{state} #{id}] {rest}"))
    };
    short().unwrap_or_else(|| cause.to_owned())
}

/// A text on one line, its middle left out where it is long.
fn cut(text: &str) -> String {
    let text = text.replace('\n', "\\n");
    let length = text.chars().count();
    if length <= DATA_SHOWN {
        return text;
    }
    let head: String = text.chars().take(30).collect();
    let tail: String = text.chars().skip(length - 10).collect();
    format!("{head}…{tail} ({} bytes)", text.len())
}
