//! Drives an execution through happenings that are drawn.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use stepwell_asl::Definition;
use stepwell_expr::Payload;
use stepwell_interpreter::{AttemptId, Call, ErrorOutput, EventId, Outcome, Progress, Trigger, history};
use stepwell_test_support::Choices;
use stepwell_test_support::definitions::Wanted;

use crate::run::Run;
use crate::script::{Step, TaskEvent};
use crate::{definition, show};

/// Happenings after which an execution is left as it stands.
const STEPS_MAX: usize = 60;

/// What tasks answer.
const OUTPUTS: [&str; 6] = ["1", "null", "{}", "[1,[2]]", r#"{"n":1,"ok":true,"list":[1]}"#, r#""text""#];

/// What tasks fail with.
const ERRORS: [&str; 6] =
    ["Busy", "Lost", "No", "States.TaskFailed", "States.Timeout", "States.DataLimitExceeded"];

/// What an execution went through.
#[derive(Debug, Clone, Default)]
pub struct Lived {
    /// Records that were written.
    pub records: usize,
    /// The types of its history's events.
    pub types: BTreeSet<&'static str>,
    /// Whether it came to an end.
    pub ended: bool,
}

/// Draws a definition and runs it through what is drawn, with the checks of [`Run`] after each decision.
///
/// # Errors
///
/// What does not hold, with the definition and the history so far.
pub fn shake_drawn(wanted: Wanted, choices: &mut Choices) -> Result<Lived> {
    let drawn = wanted.draw(choices);
    let what = || format!("of the definition\n{}\nwith the input {}", drawn.definition, drawn.input);
    let definition = definition::read(&drawn.definition).with_context(what)?;
    let input = Payload::parse(drawn.input.as_str()).context("the drawn input is JSON")?;
    shake(&definition, &input, choices).with_context(what)
}

/// Runs `definition` through what is drawn.
///
/// # Errors
///
/// What does not hold, with the history so far.
pub fn shake(definition: &Definition, input: &Payload, choices: &mut Choices) -> Result<Lived> {
    let mut run = Run::start(definition, input.clone())?;
    for _ in 0..STEPS_MAX {
        if run.has_ended() && !run.execution().is_redrivable() {
            break;
        }
        let happened = match run.has_ended() {
            true => run.step(&Step::Redrive),
            false => happen(&mut run, choices),
        };
        happened.with_context(|| format!("after\n{}", show::show(&run)))?;
    }
    run.finish()?;
    let types = history(run.records(), EventId(1)).iter().map(|event| event.event_type).collect();
    Ok(Lived { records: run.records().len(), types, ended: run.has_ended() })
}

fn happen(run: &mut Run<'_>, choices: &mut Choices) -> Result<()> {
    let calls: Vec<_> = run.execution().calls().map(|(_, call)| call.clone()).collect();
    let map_run = run.execution().map_runs().map(|(_, map_run)| map_run.attempt).next();
    if let (Some(attempt), 0) = (map_run, choices.below(3)) {
        return run.map_run_ended(attempt, outcome(choices, "[1]"));
    }
    // What a list that is used up says comes first, and lets the execution go on.
    match choices.below(20) {
        18 => run.step(&Step::DriverLost { released: choices.once_in(2) }),
        19 if choices.once_in(8) => {
            let error = ErrorOutput::default();
            let ends = [Trigger::Stop(error.clone()), Trigger::GivenUp(error), Trigger::MachineDeleted];
            run.tell(choices.one_of(&ends))
        }
        15 => run.hear_nonsense(&outcome(choices, "{}")),
        16 | 17 => run.step(&Step::After(choices.below(9_000) as i64)),
        11..=14 if run.awaits_time() => run.step(&Step::Timer),
        _ => match calls.get(choices.below(calls.len())) {
            Some(call) => hear(run, call, choices),
            None if run.awaits_time() => run.step(&Step::Timer),
            None => Ok(()),
        },
    }
}

fn outcome(choices: &mut Choices, output: &str) -> Outcome {
    match choices.below(2) {
        0 => Outcome::Succeeded(Payload::trusted(output)),
        _ => Outcome::Failed(error(choices)),
    }
}

fn error(choices: &mut Choices) -> ErrorOutput {
    ErrorOutput { error: Some((*choices.one_of(&ERRORS)).into()), cause: None }
}

/// A task hears what it may hear as far as it is.
fn hear(run: &mut Run<'_>, call: &Call, choices: &mut Choices) -> Result<()> {
    let attempt: AttemptId = call.attempt;
    let output = Payload::trusted(*choices.one_of(&OUTPUTS));
    let is_called = matches!(call.progress, Progress::Started(Some(_)));
    let event = match (&call.progress, choices.below(7)) {
        (Progress::Scheduled, _) => TaskEvent::Taken("worker".to_owned()),
        (_, 4 | 5) => TaskEvent::Fails(error(choices)),
        (_, 6) => TaskEvent::Heartbeat,
        (_, 3) if is_called => return run.accepted(attempt, 1 + choices.below(100) as u64),
        (_, 3) if run.awaits_child(attempt) => return run.map_run_ended(attempt, outcome(choices, "{}")),
        _ if is_called => TaskEvent::Returns(output),
        _ => TaskEvent::Succeeds(output),
    };
    run.hear(attempt, &event)
}
