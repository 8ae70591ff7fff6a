//! What is told of a test.

use stepwell_expr::{Map, Payload};
use stepwell_interpreter::{ErrorOutput, Inspection, TestEnd};

use crate::Error;
use crate::answer::Answer;
use crate::request::Members;

/// `inspectionLevel`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// What became of the state.
    Info,
    /// And what its data was on the way; `TRACE` tells of HTTP tasks what was sent and received, besides.
    Debug,
}

impl Level {
    pub(super) fn read(members: &mut Members<'_>) -> Result<Self, Error> {
        let level = members.one_of("inspectionLevel", &["INFO", "DEBUG", "TRACE"])?;
        Ok(if matches!(level, None | Some("INFO")) { Level::Info } else { Level::Debug })
    }
}

pub(super) fn answer(seen: &Inspection, level: Level, input: &Payload) -> Answer {
    let mut answer = Answer::with_capacity(1024);
    let failed = |answer: &mut Answer, error: &ErrorOutput| {
        answer.text_if("error", error.error.as_ref()).text_if("cause", error.cause.as_ref());
    };
    let status = match &seen.end {
        Some(TestEnd::Left { output, next, caught }) => {
            answer.text("output", output.text());
            if let Some(error) = caught {
                failed(&mut answer, error);
            }
            answer.text_if("nextState", next.as_ref());
            if caught.is_some() { "CAUGHT_ERROR" } else { "SUCCEEDED" }
        }
        Some(TestEnd::Retriable(error)) => {
            failed(&mut answer, error);
            "RETRIABLE"
        }
        Some(TestEnd::Failed(error)) => {
            failed(&mut answer, error);
            "FAILED"
        }
        // A test that is handed back has ended; anything else is no success.
        None => "FAILED",
    };
    answer.text("status", status);
    if level == Level::Debug {
        answer.object("inspectionData", |data| inspection(data, seen, input));
    }
    answer
}

fn inspection(data: &mut Answer, seen: &Inspection, input: &Payload) {
    data.text("input", input.text());
    for (name, stage) in [
        ("afterArguments", &seen.after_arguments),
        ("afterInputPath", &seen.after_input_path),
        ("afterParameters", &seen.after_parameters),
        ("result", &seen.result),
        ("afterResultSelector", &seen.after_result_selector),
        ("afterResultPath", &seen.after_result_path),
        ("afterItemsPath", &seen.after_items_path),
        ("afterItemSelector", &seen.after_item_selector),
        ("afterItemBatcher", &seen.after_item_batcher),
        ("afterItemsPointer", &seen.after_items_pointer),
    ] {
        data.text_if(name, stage.as_ref().map(Payload::text));
    }
    if !seen.variables.is_empty() {
        let variables = seen.variables.iter().map(|(name, value)| (name.clone(), value.value().clone()));
        data.text("variables", Payload::of(variables.collect::<Map>().into()).text());
    }
    if seen.catch_index.is_some() || seen.retry_index.is_some() {
        data.object("errorDetails", |details| {
            number(details, "catchIndex", seen.catch_index.map(Into::into));
            number(details, "retryIndex", seen.retry_index.map(Into::into));
            number(details, "retryBackoffIntervalSeconds", seen.retry_backoff_interval_seconds);
        });
    }
    number(data, "toleratedFailureCount", seen.tolerated_failure_count);
    if let Some(percentage) = seen.tolerated_failure_percentage {
        data.json("toleratedFailurePercentage", &format!("{percentage:?}"));
    }
    number(data, "maxConcurrency", seen.max_concurrency);
}

fn number(data: &mut Answer, name: &str, number: Option<u64>) {
    if let Some(number) = number {
        data.number(name, number);
    }
}
