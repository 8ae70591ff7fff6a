//! Drives an execution through happenings that are drawn from a seed.

use anyhow::{Context, Result};
use stepwell_asl::Definition;
use stepwell_expr::{Entropy, Payload};
use stepwell_interpreter::{AttemptId, Call, ErrorOutput, Outcome, Progress};

use crate::run::Run;
use crate::script::{Step, TaskEvent};
use crate::show;

/// Happenings after which an execution is left as it stands.
const STEPS_MAX: usize = 60;

/// What tasks answer.
const OUTPUTS: [&str; 6] = ["1", "null", "{}", "[1,[2]]", r#"{"n":1,"ok":true,"list":[1]}"#, r#""text""#];

/// What tasks fail with.
const ERRORS: [&str; 6] =
    ["Busy", "Lost", "No", "States.TaskFailed", "States.Timeout", "States.DataLimitExceeded"];

/// Runs `definition` through what `seed` draws.
///
/// # Errors
///
/// What does not hold, with the history so far.
pub(crate) fn shake(definition: &Definition, input: &Payload, seed: u64) -> Result<()> {
    let mut random = Random(Entropy::new(seed, 0));
    let mut run = Run::start(definition, input.clone())?;
    for _ in 0..STEPS_MAX {
        if run.has_ended() && !run.execution().is_redrivable() {
            break;
        }
        let happened = match run.has_ended() {
            true => run.step(&Step::Redrive),
            false => happen(&mut run, &mut random),
        };
        happened.with_context(|| format!("after\n{}", show::show(&run)))?;
    }
    run.finish()
}

fn happen(run: &mut Run<'_>, random: &mut Random) -> Result<()> {
    let calls: Vec<_> = run.execution().calls().map(|(_, call)| call.clone()).collect();
    let map_run = run.execution().map_runs().map(|(_, map_run)| map_run.attempt).next();
    if let (Some(attempt), 0) = (map_run, random.below(3)) {
        let error = ErrorOutput { error: Some((*random.one_of(&ERRORS)).into()), cause: None };
        let outcome = match random.below(2) {
            0 => Outcome::Failed(error),
            _ => Outcome::Succeeded(Payload::trusted("[1]")),
        };
        return run.map_run_ended(attempt, outcome);
    }
    match random.below(20) {
        0 => run.step(&Step::DriverLost { released: random.below(2) == 0 }),
        1 if random.below(8) == 0 => run.step(&Step::Stop(ErrorOutput::default())),
        2..=4 => run.step(&Step::After(random.below(9_000) as i64)),
        5..=8 if run.awaits_time() => run.step(&Step::Timer),
        _ => match calls.get(random.below(calls.len())) {
            Some(call) => hear(run, call, random),
            None if run.awaits_time() => run.step(&Step::Timer),
            None => Ok(()),
        },
    }
}

/// A task hears what it may hear as far as it is.
fn hear(run: &mut Run<'_>, call: &Call, random: &mut Random) -> Result<()> {
    let attempt: AttemptId = call.attempt;
    let output = Payload::trusted(*random.one_of(&OUTPUTS));
    let error = ErrorOutput { error: Some((*random.one_of(&ERRORS)).into()), cause: None };
    let event = match (&call.progress, random.below(6)) {
        (Progress::Scheduled, _) => TaskEvent::Taken("worker".to_owned()),
        (_, 0 | 1) => TaskEvent::Fails(error),
        (_, 2) => TaskEvent::Heartbeat,
        (Progress::Started(Some(_)), _) => TaskEvent::Returns(output),
        _ => TaskEvent::Succeeds(output),
    };
    run.hear(attempt, &event)
}

struct Random(Entropy);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        (self.0.bits() % end.max(1) as u64) as usize
    }

    fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}
