//! What must hold after every step (DESIGN §8, PROTOCOL §9), looked at where something has changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use stepwell_engine::message::{Message, MessageBody};
use stepwell_engine::meta::{Meta, PayloadPlace, RunId};
use stepwell_engine::port::{Clock, Page, Seq, Writer};
use stepwell_engine::stored::{PagePlace, decode_page};
use stepwell_expr::Payload;
use stepwell_interpreter::{
    AttemptId, Event, EventBody, Execution, Record, Status, TimerId, TimerPurpose, Timestamp, evolve, token,
};

use stepwell_test_support::World;

use crate::Sim;

/// What does not hold.
#[derive(Debug)]
pub struct Broken(pub String);

pub(crate) fn holds(condition: bool, say: impl FnOnce() -> String) -> Result<(), Broken> {
    if condition { Ok(()) } else { Err(Broken(say())) }
}

/// The journals as far as they were read, and what is remembered of the messages that are gone.
#[derive(Default)]
pub(crate) struct Checker {
    folds: BTreeMap<RunId, Fold>,
    /// The epochs of the messages that were delivered.
    pub(crate) epochs: BTreeMap<Arc<str>, u32>,
}

/// A run's pages, folded.
#[derive(Default)]
struct Fold {
    pages: Vec<(Seq, Page)>,
    payloads: HashMap<PayloadPlace, Payload>,
    execution: Execution,
    /// The message that owes each timer; `None` for those of a task that a worker took.
    owners: BTreeMap<TimerId, Option<Arc<str>>>,
    /// Messages of this run that were dealt with.
    done: Vec<Message>,
}

/// When a redrive began, and its `clientToken`.
pub(crate) fn redriven(record: &Record) -> Option<(Timestamp, &Option<Arc<str>>)> {
    match record {
        Record::Event(Event { at, body: EventBody::ExecutionRedriven { token, .. }, .. }) => {
            Some((*at, token))
        }
        _ => None,
    }
}

impl Fold {
    /// Takes in pages behind the last one.
    fn take_in(
        &mut self,
        meta: &Meta,
        pages: Vec<(Seq, Page)>,
        epochs: &BTreeMap<Arc<str>, u32>,
    ) -> Result<(), Broken> {
        self.payloads.entry(PayloadPlace::Input).or_insert_with(|| meta.input.clone());
        for (seq, page) in pages {
            let place = PagePlace { run: meta.run, seq, writer: &page.writer };
            let decoded = decode_page(place, &page.bytes, |place| self.payloads.get(&place).cloned());
            let decoded = decoded.map_err(|error| Broken(format!("2: a page cannot be read: {error}")))?;
            self.payloads.extend(decoded.stored.into_iter().map(|(payload, place)| (place, payload)));
            for record in &decoded.records {
                let ended = self.execution.status().is_terminal();
                holds(!ended || redriven(record).is_some(), || {
                    format!("3: {} goes on after its end", meta.execution_arn)
                })?;
                self.void_stays_void(meta, record)?;
                evolve(&mut self.execution, record);
                if let Record::TimerSet { timer, .. } = record {
                    let owner = match &page.writer {
                        Writer::Driver(claimant) => Some(claimant.message.clone()),
                        Writer::Request(_) => None,
                    };
                    self.owners.insert(*timer, owner);
                }
            }
            let epoch = match &page.writer {
                Writer::Driver(claimant) => epochs.get(&claimant.message).copied(),
                Writer::Request(_) => None,
            };
            let now = self.execution.redrive_count();
            // A burial may come when its epoch has just gone by: all that it settles was settled with that.
            let buries = decoded.records.iter().any(|record| matches!(record, Record::DriverLost { .. }));
            holds(buries || epoch.is_none_or(|epoch| epoch == now), || {
                format!(
                    "6: in epoch {now} of {} a page of {epoch:?} under {:?}",
                    meta.execution_arn, page.writer
                )
            })?;
            self.pages.push((seq, page));
        }
        Ok(())
    }

    /// What a message says that was dealt with is never done again: the record that it would have led to is not opened anew.
    fn void_stays_void(&self, meta: &Meta, record: &Record) -> Result<(), Broken> {
        let Record::TimerSet { timer, .. } = record else { return Ok(()) };
        let is_of = |message: &Message| matches!(&message.body, MessageBody::TimerFired { timer: fired, .. } if fired == timer);
        let said = self.done.iter().find(|message| is_of(message));
        holds(said.is_none(), || format!("6: {timer:?} of {} is set after {said:?}", meta.execution_arn))
    }

    /// Whether what a message says would still mean something.
    fn applies(&self, message: &Message) -> bool {
        let x = &self.execution;
        if x.redrive_count() != message.epoch || *x.status() != Status::Running {
            return false;
        }
        match &message.body {
            MessageBody::TimerFired { timer, .. } => x.timers().any(|(id, _)| id == *timer),
            MessageBody::TaskResult { attempt, nonce, .. } => {
                x.call(*attempt).is_some_and(|(_, call)| call.nonce == *nonce)
            }
            MessageBody::ChildFinished { attempt, .. } => {
                x.call(*attempt).is_some() || x.map_run(*attempt).is_some()
            }
            // One that came before the first page is void, and another is sent for the fact.
            MessageBody::Stop { .. } => false,
            _ => false,
        }
    }
}

/// Checks that what a request's handler has written in this epoch has a message that drives it on.
fn has_message(world: &World, meta: &Meta, epoch: u32, by: u64, records: &[Record]) -> Result<(), Broken> {
    let is_start = |record: &Record| {
        matches!(record, Record::Event(Event { body: EventBody::ExecutionStarted { .. }, .. }))
    };
    let begins = records.iter().any(is_start);
    let stands_for = |message: &Message, body: &EventBody| match (&message.body, body) {
        (MessageBody::Stop { request, .. }, EventBody::ExecutionAborted(_)) => *request == by,
        // Stopped before it could begin, it is its start's.
        (MessageBody::Start(_), EventBody::ExecutionAborted(_)) => begins,
        (MessageBody::Redrive { request, .. }, EventBody::ExecutionRedriven { .. }) => *request == by,
        (
            MessageBody::TaskResult { attempt: ended, .. },
            EventBody::Succeeded { attempt, .. } | EventBody::Failed(_, attempt, _),
        ) => ended == attempt,
        _ => false,
    };
    for record in records {
        let Record::Event(Event { body, .. }) = record else { continue };
        let needs = matches!(
            body,
            EventBody::ExecutionAborted(_)
                | EventBody::ExecutionRedriven { .. }
                | EventBody::Succeeded { .. }
                | EventBody::Failed(..)
        );
        let messages = if needs { world.queue.messages() } else { vec![] };
        let is_it = |message: &Message| {
            message.run == meta.run && message.epoch == epoch && stands_for(message, body)
        };
        holds(!needs || messages.iter().any(|(_, message)| is_it(message)), || {
            format!("7: no message for the fact {body:?} of {} in epoch {epoch}", meta.execution_arn)
        })?;
    }
    Ok(())
}

impl Sim {
    /// Checks every execution, if the journal has grown or a message is gone.
    pub(crate) fn check(&mut self) -> Result<(), Broken> {
        let done = std::mem::take(&mut *self.done.borrow_mut());
        let mut changed = self.world.journal.take_appended();
        if changed.is_empty() && done.is_empty() {
            return Ok(());
        }
        let most = self.world.tasks.most_calls();
        holds(most <= 1, || format!("1: an attempt was called {most} times"))?;
        for message in done {
            changed.insert(message.execution.clone());
            let run = message.run;
            self.checker.folds.entry(run).or_default().done.push(message);
        }
        for arn in changed {
            let Some(meta) = self.world.journal.meta_of(&arn) else { continue };
            self.take_in(&meta)?;
            if meta.end.is_none() {
                self.check_execution(&meta)?;
            }
        }
        Ok(())
    }

    /// Reads what is new of an execution.
    fn take_in(&mut self, meta: &Meta) -> Result<(), Broken> {
        let fold = self.checker.folds.entry(meta.run).or_default();
        let last = fold.pages.last().map_or(Seq(0), |(seq, _)| *seq);
        let pages = self.world.journal.pages(meta.run, last);
        if pages.is_empty() {
            return Ok(());
        }
        let seen = fold.pages.len();
        fold.take_in(meta, pages, &self.checker.epochs)?;
        for (seq, page) in &fold.pages[seen..] {
            let place = PagePlace { run: meta.run, seq: *seq, writer: &page.writer };
            let is_of_request = matches!(page.writer, Writer::Request(_));
            if !is_of_request && !self.trace {
                continue;
            }
            let decoded = decode_page(place, &page.bytes, |place| fold.payloads.get(&place).cloned());
            let records = decoded.map_err(|error| Broken(error.to_string()))?.records;
            if let Writer::Request(request) = page.writer {
                has_message(&self.world, meta, fold.execution.redrive_count(), request, &records)?;
            }
            if self.trace {
                println!(
                    "  {} {seq:?} of {}: {:?} {records:?}",
                    self.world.clock.now().0,
                    meta.execution_arn,
                    page.writer
                );
            }
        }
        Ok(())
    }

    fn check_execution(&self, meta: &Meta) -> Result<(), Broken> {
        let arn = &meta.execution_arn;
        let Some(fold) = self.checker.folds.get(&meta.run) else { return Ok(()) };
        let execution = &fold.execution;
        if execution.status().is_terminal() {
            let open = execution.calls().count() + execution.timers().count() + execution.map_runs().count();
            return holds(open == 0 && !execution.is_ready(), || {
                format!("8: {arn} has ended, and something is open")
            });
        }
        for (_, call) in execution.calls() {
            if let Some(claimant) = call.claimant() {
                holds(self.world.queue.holds(&claimant.message), || {
                    format!("7: no message for {:?} of {arn}, claimed by {claimant:?}", call.attempt)
                })?;
            }
        }
        for (_, call) in execution.calls().filter(|(_, call)| call.accepted_until.is_some()) {
            let token = token::encode(arn, call.attempt, call.nonce);
            holds(self.world.journal.keeps_invocation(&token), || {
                format!(
                    "7: nobody can tell of the end of {:?} of {arn}, which goes on by itself",
                    call.attempt
                )
            })?;
        }
        for message in &fold.done {
            let has_copy = || self.world.queue.messages().iter().any(|(_, copy)| copy == message);
            holds(!fold.applies(message) || has_copy(), || {
                format!("6: gone, and it would mean something: {message:?}")
            })?;
        }
        self.check_owed(meta, fold)?;
        let seq = fold.pages.last().map_or(Seq(0), |(seq, _)| *seq);
        for engine in &self.engines {
            holds(engine.agrees(arn, meta.run, seq, execution), || {
                format!("5: the fold of page {seq:?} of {arn} that is at hand is another than the journal's")
            })?;
        }
        Ok(())
    }

    /// Checks that a message answers for every timer that is set, and for what is ready.
    fn check_owed(&self, meta: &Meta, fold: &Fold) -> Result<(), Broken> {
        let (arn, queue) = (&meta.execution_arn, &self.world.queue);
        let is_held = |owner: &Option<Arc<str>>| owner.as_ref().is_some_and(|owner| queue.holds(owner));
        let timers = fold.execution.timers().filter(|(id, _)| !fold.owners.get(id).is_some_and(is_held));
        let timers: Vec<_> = timers.collect();
        let ready = fold.execution.is_ready();
        if timers.is_empty() && !ready {
            return Ok(());
        }
        let messages = queue.messages();
        let mine: Vec<_> = messages
            .iter()
            .filter(|(_, message)| message.execution == *arn && message.run == meta.run)
            .collect();
        holds(!ready || !mine.is_empty(), || format!("7: no message for what is ready of {arn}"))?;
        for (id, timer) in timers {
            let answers = |body: &MessageBody| match (body, timer.purpose) {
                (MessageBody::TimerFired { timer, .. }, _) => *timer == id,
                (
                    MessageBody::ActivityStarted { attempt: taken, .. },
                    TimerPurpose::Timeout(attempt) | TimerPurpose::Heartbeat(attempt),
                ) => *taken == attempt,
                _ => false,
            };
            holds(mine.iter().any(|(_, message)| answers(&message.body)), || {
                format!("7: no message for {id:?} of {arn}: {timer:?}, set under {:?}", fold.owners.get(&id))
            })?;
        }
        Ok(())
    }

    /// The fold of an execution's journal.
    ///
    /// # Errors
    /// Where a page cannot be read, or follows a terminal one.
    pub fn folded(&self, meta: &Meta) -> Result<Execution, Broken> {
        let (mut fold, pages) = (Fold::default(), self.world.journal.pages(meta.run, Seq(0)));
        match self.checker.folds.get(&meta.run) {
            Some(known) if known.pages.len() == pages.len() => Ok(known.execution.clone()),
            _ => {
                fold.take_in(meta, pages, &BTreeMap::new())?;
                Ok(fold.execution)
            }
        }
    }

    /// Checks that no page is another than when it was first seen.
    pub(crate) fn check_pages(&self, metas: &[Arc<Meta>]) -> Result<(), Broken> {
        for meta in metas {
            let known = self.checker.folds.get(&meta.run).map_or(&[][..], |fold| &fold.pages);
            holds(known == self.world.journal.pages(meta.run, Seq(0)), || {
                format!("2: pages of {} have changed", meta.execution_arn)
            })?;
        }
        Ok(())
    }

    /// Whether the journal has a sign of life of `attempt`.
    pub(crate) fn heard(records: &[Record], attempt: AttemptId) -> bool {
        let is_it = |record: &Record| matches!(record, Record::HeartbeatReceived { attempt: of, .. } if *of == attempt);
        records.iter().any(is_it)
    }
}
