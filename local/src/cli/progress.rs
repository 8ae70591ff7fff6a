//! What an execution is at, state by state: the model behind the live view and the plain log.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwell_interpreter::{BranchId, ErrorOutput, EventBody, Record, StateType, TimerPurpose, Timestamp};

/// The states an execution has entered, in the order in which it first did.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    started_at: Option<Timestamp>,
    rows: Vec<Row>,
    /// Which row each branch is in.
    branches: BTreeMap<BranchId, usize>,
}

/// One state, over all its visits.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) name: Arc<str>,
    pub(crate) state_type: StateType,
    pub(crate) running: u32,
    pub(crate) succeeded: u32,
    pub(crate) failed: u32,
    pub(crate) aborted: u32,
    /// Tasks scheduled, retries included.
    pub(crate) attempts: u32,
    /// The first entrance.
    pub(crate) from: Timestamp,
    /// The last thing that happened.
    pub(crate) to: Timestamp,
    /// The last error, until the state is left well.
    pub(crate) error: Option<Arc<str>>,
    /// What is waited for.
    pub(crate) waiting: Option<Waiting>,
}

/// What a state waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// A Wait state's end.
    Until(Timestamp),
    /// A Retrier's next attempt.
    Retry(Timestamp),
    /// A callback.
    Callback,
}

/// Something worth a line in a log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Note {
    pub(crate) at: Timestamp,
    /// Since the execution's start.
    pub(crate) elapsed_ms: i64,
    pub(crate) state: Option<Arc<str>>,
    pub(crate) text: String,
}

impl Progress {
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Takes in one record and says what it means in words, where it is worth any.
    pub(crate) fn take(&mut self, record: &Record) -> Option<Note> {
        match record {
            Record::Event(event) => {
                let at = event.at;
                if let EventBody::ExecutionStarted { .. } = &event.body {
                    self.started_at = Some(at);
                }
                let said = self.event(event.branch, at, &event.body)?;
                let state = self.row(event.branch).map(|row| row.name.clone());
                Some(self.note(at, state, said))
            }
            Record::TimerSet { branch, due, purpose, .. } => {
                let waiting = match purpose {
                    TimerPurpose::Wait => Waiting::Until(*due),
                    TimerPurpose::Retry => Waiting::Retry(*due),
                    _ => return None,
                };
                let row = self.row(*branch)?;
                row.waiting = Some(waiting);
                let (at, name) = (row.to, row.name.clone());
                let seconds = (due.0 - at.0).max(0) as f64 / 1000.0;
                let text = match waiting {
                    Waiting::Retry(_) => format!("retries in {seconds:.1} s"),
                    _ => format!("waits {seconds:.1} s"),
                };
                Some(self.note(at, Some(name), text))
            }
            _ => None,
        }
    }

    fn note(&self, at: Timestamp, state: Option<Arc<str>>, text: String) -> Note {
        Note { at, elapsed_ms: at.0 - self.started_at.unwrap_or(at).0, state, text }
    }

    fn row(&mut self, branch: BranchId) -> Option<&mut Row> {
        let at = *self.branches.get(&branch)?;
        self.rows.get_mut(at)
    }

    fn event(&mut self, branch: BranchId, at: Timestamp, body: &EventBody) -> Option<String> {
        match body {
            EventBody::ExecutionStarted { .. } => return Some("execution started".into()),
            EventBody::ExecutionSucceeded { .. } => return Some("execution succeeded".into()),
            EventBody::ExecutionFailed(error) => {
                self.fail_running(at, error);
                return Some(format!("execution failed: {}", shown(error)));
            }
            EventBody::ExecutionAborted(error) => {
                return Some(format!("execution aborted: {}", shown(error)));
            }
            EventBody::ExecutionTimedOut(_) => return Some("execution timed out".into()),
            EventBody::StateEntered { state_type, name, .. } => {
                self.enter(branch, at, *state_type, name);
                return matches!(state_type, StateType::Task | StateType::Parallel | StateType::Map)
                    .then(|| "entered".into());
            }
            _ => {}
        }
        let row = self.row(branch)?;
        row.to = at;
        match body {
            EventBody::StateExited { next, .. } => {
                row.running = row.running.saturating_sub(1);
                row.waiting = None;
                row.succeeded += 1;
                let took = (at.0 - row.from.0) as f64 / 1000.0;
                let caught = row.error.take().map(|error| format!(", {error} caught")).unwrap_or_default();
                let next = next.as_ref().map(|next| format!(" -> {next}")).unwrap_or_default();
                Some(format!("done in {took:.2} s{caught}{next}"))
            }
            EventBody::StateAborted { .. } => {
                row.running = row.running.saturating_sub(1);
                row.aborted += 1;
                Some("aborted".into())
            }
            EventBody::Scheduled { .. } => {
                row.attempts += 1;
                row.waiting = None;
                (row.attempts > 1 && row.error.is_some()).then(|| format!("attempt {}", row.attempts))
            }
            EventBody::Submitted { .. } => {
                row.waiting = Some(Waiting::Callback);
                Some("waits for a callback".into())
            }
            EventBody::Succeeded { .. } => {
                row.waiting = None;
                row.error = None;
                None
            }
            EventBody::MapRunStarted { map_run_arn, .. } => Some(format!("map run {map_run_arn}")),
            EventBody::MapRunRedriven { map_run_arn, .. } => Some(format!("map run {map_run_arn} redriven")),
            EventBody::MapRunAborted(_) => Some("map run aborted".into()),
            EventBody::Failed(_, _, error)
            | EventBody::MapRunFailed(_, error)
            | EventBody::EvaluationFailed { error, .. } => {
                row.error = Some(error.error.clone().unwrap_or_else(|| "an error".into()));
                Some(format!("failed: {}", shown(error)))
            }
            EventBody::TimedOut { .. } => {
                row.error = Some(stepwell_asl::ErrorName::TIMEOUT.into());
                Some("timed out".into())
            }
            _ => None,
        }
    }

    fn enter(&mut self, branch: BranchId, at: Timestamp, state_type: StateType, name: &Arc<str>) {
        let known = self.rows.iter().position(|row| row.name == *name);
        let at_row = known.unwrap_or_else(|| {
            self.rows.push(Row {
                name: name.clone(),
                state_type,
                running: 0,
                succeeded: 0,
                failed: 0,
                aborted: 0,
                attempts: 0,
                from: at,
                to: at,
                error: None,
                waiting: None,
            });
            self.rows.len() - 1
        });
        self.rows[at_row].running += 1;
        self.rows[at_row].to = at;
        self.branches.insert(branch, at_row);
    }

    fn fail_running(&mut self, at: Timestamp, error: &ErrorOutput) {
        for row in self.rows.iter_mut().filter(|row| row.running > 0) {
            row.failed += std::mem::take(&mut row.running);
            row.to = at;
            row.waiting = None;
            if row.error.is_none() {
                row.error = error.error.clone();
            }
        }
    }
}

/// An error in one line of bounded length.
pub(crate) fn shown(error: &ErrorOutput) -> String {
    let cause = error.cause.as_deref().map(|cause| {
        cause.chars().map(|c| if c.is_control() { ' ' } else { c }).take(240).collect::<String>()
    });
    match (error.error.as_deref(), cause) {
        (Some(name), Some(cause)) => format!("{name}: {cause}"),
        (Some(name), None) => name.to_owned(),
        (None, Some(cause)) => cause,
        (None, None) => "no error was given".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use stepwell_expr::{Payload, Value};
    use stepwell_interpreter::{AttemptId, Event, EventId, Family, TimerId};

    use super::*;

    fn event(at: i64, body: EventBody) -> Record {
        Record::Event(Event { at: Timestamp(at), branch: BranchId(0), previous: EventId(0), body })
    }

    #[test]
    fn a_retried_task_is_told_attempt_by_attempt() {
        let family = Family::LambdaFunction { resource: "f".into() };
        let scheduled = |attempt| EventBody::Scheduled {
            family: family.clone(),
            attempt: AttemptId(attempt),
            nonce: 0,
            parameters: Payload::of(Value::Null),
            timeout_seconds: None,
            heartbeat_seconds: None,
            credentials: None,
        };
        let busy = ErrorOutput { error: Some("Busy".into()), cause: Some("come\nback".into()) };
        let (name, input): (Arc<str>, _) = ("Charge".into(), Payload::of(Value::Null));
        let exited = EventBody::StateExited {
            state_type: StateType::Task,
            name: name.clone(),
            output: input.clone(),
            assigned: vec![],
            values: vec![],
            next: Some("Ship".into()),
        };
        let mut progress = Progress::default();
        let told: Vec<_> = [
            event(0, EventBody::StateEntered { state_type: StateType::Task, name, input: input.clone() }),
            event(0, scheduled(0)),
            event(40, EventBody::Failed(family.clone(), AttemptId(0), busy)),
            Record::TimerSet {
                timer: TimerId(0),
                branch: BranchId(0),
                due: Timestamp(1040),
                purpose: TimerPurpose::Retry,
            },
            event(1040, scheduled(1)),
            event(1080, EventBody::Succeeded { family, attempt: AttemptId(1), output: input }),
            event(1080, exited),
        ]
        .iter()
        .filter_map(|record| progress.take(record))
        .map(|note| note.text)
        .collect();
        assert_eq!(
            told,
            ["entered", "failed: Busy: come back", "retries in 1.0 s", "attempt 2", "done in 1.08 s -> Ship"]
        );
        let row = &progress.rows()[0];
        assert_eq!((row.attempts, row.succeeded, row.running, &row.error), (2, 1, 0, &None));
    }
}
