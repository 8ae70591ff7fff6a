//! The steps of a script; their grammar is told in the crate's documentation.

use anyhow::{Context, Result, bail};
use stepwell_expr::Payload;
use stepwell_interpreter::ErrorOutput;

/// Something that happens from outside.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// A task hears something.
    Task {
        /// Which.
        task: TaskName,
        /// Whether its last closed attempt is meant.
        late: bool,
        /// What.
        event: TaskEvent,
    },
    /// So many milliseconds go by.
    After(i64),
    /// The next timer fires.
    Timer,
    /// StopExecution.
    Stop(ErrorOutput),
    /// RedriveExecution.
    Redrive,
    /// The driver died.
    DriverLost {
        /// Whether its calls may be made again.
        released: bool,
    },
}

/// A state's name, and its branch or iteration where one is named.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TaskName {
    pub(crate) state: String,
    pub(crate) index: Option<u32>,
}

/// What a task hears.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TaskEvent {
    Returns(Payload),
    Succeeds(Payload),
    Fails(ErrorOutput),
    Heartbeat,
    Taken(String),
    /// The inputs of the executions that a Map Run starts.
    Starts(Payload),
}

/// Reads a script.
///
/// # Errors
///
/// The first step that is none.
pub(crate) fn read(text: &str) -> Result<Vec<Step>> {
    text.split('\n')
        .flat_map(|line| line.split(" · "))
        .map(str::trim)
        .filter(|step| !step.is_empty())
        .map(|text| step(text).with_context(|| format!("in the step `{text}`")))
        .collect()
}

fn step(text: &str) -> Result<Step> {
    Ok(match text {
        "timer" => Step::Timer,
        "stop" => Step::Stop(ErrorOutput::default()),
        "redrive" => Step::Redrive,
        "driver lost" => Step::DriverLost { released: false },
        "driver lost, calls released" => Step::DriverLost { released: true },
        _ => {
            if let Some(error) = text.strip_prefix("stop ") {
                Step::Stop(error_output(error))
            } else if let Some(time) = text.strip_prefix("after ") {
                Step::After(milliseconds(time)?)
            } else {
                task(text)?
            }
        }
    })
}

fn task(text: &str) -> Result<Step> {
    let (late, text) = text.strip_prefix("late ").map_or((false, text), |text| (true, text));
    let verbs = [" returns", " succeeds", " fails", " heartbeat", " taken by", " starts"];
    let found = verbs.into_iter().filter_map(|verb| Some((text.find(verb)?, verb))).min();
    let (at, verb) = found.context("no such step")?;
    let rest = text[at + verb.len()..].trim();
    let payload = || Payload::parse(rest).with_context(|| format!("`{rest}` is no JSON"));
    let event = match verb {
        " returns" => TaskEvent::Returns(payload()?),
        " succeeds" => TaskEvent::Succeeds(payload()?),
        " fails" => TaskEvent::Fails(error_output(rest)),
        " heartbeat" => TaskEvent::Heartbeat,
        " starts" => TaskEvent::Starts(payload()?),
        _ => TaskEvent::Taken(rest.to_owned()),
    };
    Ok(Step::Task { task: task_name(&text[..at])?, late, event })
}

fn task_name(text: &str) -> Result<TaskName> {
    Ok(match text.strip_suffix(']').and_then(|text| text.rsplit_once('[')) {
        Some((state, index)) => TaskName { state: state.to_owned(), index: Some(index.parse()?) },
        None => TaskName { state: text.to_owned(), index: None },
    })
}

fn error_output(text: &str) -> ErrorOutput {
    let (error, cause) = match text.split_once(':') {
        Some((error, cause)) => (error.trim(), Some(cause.trim())),
        None => (text.trim(), None),
    };
    ErrorOutput { error: (!error.is_empty()).then(|| error.into()), cause: cause.map(Into::into) }
}

fn milliseconds(text: &str) -> Result<i64> {
    let (number, unit) = text.split_once(' ').context("a time is a number, a blank and a unit")?;
    let factor = match unit {
        "ms" => 1.0,
        "s" => 1000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => bail!("`{unit}` is no unit of time"),
    };
    Ok((number.parse::<f64>()? * factor).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read() {
        let charge = |index, event| Step::Task {
            task: TaskName { state: "Charge".to_owned(), index },
            late: false,
            event,
        };
        for (text, expected) in [
            ("timer", Step::Timer),
            ("after 1.5 s", Step::After(1500)),
            ("stop", Step::Stop(ErrorOutput::default())),
            ("stop Why: it was: so", Step::Stop(ErrorOutput::new("Why", "it was: so"))),
            ("driver lost, calls released", Step::DriverLost { released: true }),
            (
                "Charge fails Busy: come back",
                charge(None, TaskEvent::Fails(ErrorOutput::new("Busy", "come back"))),
            ),
            ("Charge[2] fails", charge(Some(2), TaskEvent::Fails(ErrorOutput::default()))),
            (
                "Charge returns \"it fails\"",
                charge(None, TaskEvent::Returns(Payload::trusted("\"it fails\""))),
            ),
        ] {
            assert_eq!(step(text).unwrap(), expected, "{text}");
        }
        for text in ["Charge", "after 1s", "Charge returns {", "after 1 week"] {
            assert!(step(text).is_err(), "{text}");
        }
    }
}
