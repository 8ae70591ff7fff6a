//! What a decision holds, and the hand that makes one.

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwell_asl::Definition;
use stepwell_expr::{Effort, Entropy, Payload};

use crate::effect::Effect;
use crate::evolve::evolve;
use crate::execution::Execution;
use crate::record::{BranchId, Claimant, Event, EventBody, EventId, Record, Timestamp};
use crate::tested::StateTest;
use crate::{EXPRESS_EVENTS_MAX, ErrorOutput, HISTORY_EVENTS_MAX};

/// Records after which [`crate::advance()`] stops, so that a page stays of a bounded size. What is still ready then is
/// decided for the next page.
pub const RECORDS_MAX: usize = 4_000;

/// Bytes of new payload after which [`crate::advance()`] stops.
const PAYLOAD_BYTES_STOP: usize = 512 * 1024;

/// The world as a decision sees it: the time, and a seed that everything random is drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The time.
    pub time: Timestamp,
    /// Random, and nobody's to guess: task tokens are drawn from it.
    pub seed: u128,
}

/// What was decided. Nothing has happened yet: the records are to be committed, then the effects performed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decision {
    /// What is to be written, in order.
    pub records: Vec<Record>,
    /// What is then to be done.
    pub effects: Vec<Effect>,
    /// The execution with the records applied.
    pub execution: Execution,
    /// Bytes of new payload in the records, roughly.
    pub payload_bytes: usize,
}

/// A decision being made.
pub(crate) struct Decider<'a> {
    pub(crate) definition: &'a Definition,
    pub(crate) execution: Execution,
    pub(crate) now: Now,
    pub(crate) claimant: Option<&'a Claimant>,
    /// Where a state is tested by itself.
    pub(crate) test: Option<&'a StateTest>,
    /// Activities that tasks name and that do not exist, by their ARNs.
    pub(crate) missing_activities: &'a [Arc<str>],
    records: Vec<Record>,
    effects: Vec<Effect>,
    payload_bytes: usize,
    /// The payload counted last: one that only passes through is stored once.
    counted: Option<Payload>,
    drawn: u64,
    /// What the expressions of the state at hand may still do.
    pub(crate) effort: Effort,
    /// The ready branches, once they were looked for.
    pub(crate) ready: Option<BTreeSet<BranchId>>,
}

impl<'a> Decider<'a> {
    pub(crate) fn new(
        definition: &'a Definition,
        execution: &Execution,
        now: Now,
        claimant: Option<&'a Claimant>,
    ) -> Self {
        let (records, effects) = (Vec::new(), Vec::new());
        Decider {
            definition,
            execution: execution.clone(),
            now,
            claimant,
            test: None,
            missing_activities: &[],
            records,
            effects,
            payload_bytes: 0,
            counted: Some(execution.input().clone()),
            drawn: 0,
            effort: Effort::new(),
            ready: None,
        }
    }

    pub(crate) fn finish(self) -> Decision {
        let payload_bytes = self.payload_bytes;
        Decision { records: self.records, effects: self.effects, execution: self.execution, payload_bytes }
    }

    /// Whether the page is full.
    pub(crate) fn is_full(&self) -> bool {
        self.records.len() >= RECORDS_MAX || self.payload_bytes >= PAYLOAD_BYTES_STOP
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.execution.status().is_terminal()
    }

    /// Randomness for one evaluation.
    pub(crate) fn entropy(&mut self) -> Entropy {
        self.drawn += 1;
        // Mixed with the number of the last event, so that two decisions under one seed draw apart.
        let stream = self.drawn ^ (self.execution.last_event().0 << 20);
        Entropy::stream(self.now.seed, stream, self.now.time.0)
    }

    pub(crate) fn record(&mut self, record: Record) {
        if self.has_ended() && !record.is_redrive() {
            return;
        }
        evolve(&mut self.execution, &record);
        self.records.push(record);
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        if !self.has_ended() {
            self.effects.push(effect);
        }
    }

    /// Records an event of `branch` behind the branch's last one.
    pub(crate) fn event(&mut self, branch: BranchId, body: EventBody) -> EventId {
        let previous = self.execution.branch(branch).previous;
        self.event_after(branch, previous, body)
    }

    /// Records an event of `branch` behind `previous`.
    ///
    /// The last event that a history has room for says that it is full.
    pub(crate) fn event_after(&mut self, branch: BranchId, previous: EventId, body: EventBody) -> EventId {
        let last = self.execution.last_event();
        let is_express = self.execution.info.as_ref().is_some_and(|info| info.express);
        let events_max = if is_express { EXPRESS_EVENTS_MAX } else { HISTORY_EVENTS_MAX };
        let body = if last.0 + 1 >= events_max && !body.is_terminal() {
            let cause = format!("The execution reached the maximum number of history events ({events_max}).");
            EventBody::ExecutionFailed(ErrorOutput::new(stepwell_asl::ErrorName::RUNTIME, cause))
        } else {
            body
        };
        self.count(&body);
        self.record(Record::Event(Event { at: self.now.time, branch, previous, body }));
        self.execution.last_event()
    }

    fn count(&mut self, body: &EventBody) {
        let counted = |payload: &Payload| self.counted.as_ref().is_some_and(|counted| counted.same(payload));
        if let Some(payload) = body.new_payload().filter(|payload| !counted(payload)) {
            self.payload_bytes += payload.bytes();
            self.counted = Some(payload.clone());
        }
    }
}

impl EventBody {
    /// Whether it is the last event of a run: nothing follows it but a redrive.
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            EventBody::ExecutionSucceeded { .. }
                | EventBody::ExecutionFailed(_)
                | EventBody::ExecutionAborted(_)
                | EventBody::ExecutionTimedOut(_)
        )
    }

    /// What the event adds to its page, roughly: a state's output is its successor's input.
    fn new_payload(&self) -> Option<&Payload> {
        match self {
            EventBody::StateExited { output, .. } | EventBody::Succeeded { output, .. } => Some(output),
            EventBody::MapIterationStarted { input, .. } => Some(input),
            _ => None,
        }
    }
}
