//! A run as far as its pages go.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use stepwell_expr::Payload;
use stepwell_interpreter::{
    AttemptId, Call, Claimant, ErrorOutput, Event, EventBody, Execution, Family, Record, Status, TimerId,
    Timestamp, evolve,
};

use crate::commit::Appended;
use crate::message::Callback;
use crate::meta::{End, Meta, PayloadPlace};
use crate::notices::PageEvents;
use crate::planted::{Bug, planted};
use crate::port::{Loaded, Page, Seq, Writer};
use crate::stored::{Decoded, PagePlace, PayloadIndex, StoredError, decode_page};

/// Outputs of more bytes than this are not stored a second time in META where a page holds them.
const OUTPUT_BYTES_MAX: usize = 4096;

/// The fold of a run's pages: the execution, and what the protocol asks of the pages themselves.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) meta: Arc<Meta>,
    /// The last page.
    pub(crate) seq: Seq,
    pub(crate) execution: Execution,
    pub(crate) payloads: PayloadIndex,
    /// The first driver of each message, and when it last wrote.
    drivers: HashMap<Arc<str>, FirstDriver>,
    /// The message that owes each timer.
    timers: HashMap<TimerId, Arc<str>>,
    /// The message that owes each activity's task to its workers.
    offers: HashMap<AttemptId, Arc<str>>,
    /// The message that owes the beginning of each Map Run that was under way lately.
    map_runs: Vec<(AttemptId, Arc<str>)>,
    /// Attempts that a callback's fact ended and that no driver page follows.
    undriven: Vec<AttemptId>,
    /// The last page of a driver, but for burials: what is ready has been that driver's since.
    pub(crate) last_driver: Seq,
    /// The page of the last redrive that a request's handler wrote.
    redriven: Seq,
    /// The tasks that have a token.
    tokens: HashMap<AttemptId, TokenTask>,
    /// The facts behind the last page of a driver.
    facts: Vec<Fact>,
}

/// What a request's handler wrote.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    /// The request's random id.
    pub(crate) request: u64,
    pub(crate) events: PageEvents,
}

#[derive(Debug, Clone)]
struct FirstDriver {
    delivery: u64,
    wrote_at: Timestamp,
}

#[derive(Debug, Clone)]
struct TokenTask {
    nonce: u128,
    /// What ended it, hashed; 0 for what no callback can have said.
    ended_by: Option<u64>,
}

/// What a token finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// No such attempt.
    Unknown,
    /// It may be ended.
    Open,
    /// It was ended, perhaps by the very same callback.
    Ended { same: bool },
}

impl Run {
    /// A run without pages.
    pub(crate) fn new(meta: Arc<Meta>) -> Self {
        let payloads = PayloadIndex::new(&meta.input);
        Run {
            meta,
            seq: Seq(0),
            execution: Execution::default(),
            payloads,
            drivers: HashMap::new(),
            timers: HashMap::new(),
            offers: HashMap::new(),
            map_runs: Vec::new(),
            undriven: Vec::new(),
            last_driver: Seq(0),
            redriven: Seq(0),
            tokens: HashMap::new(),
            facts: Vec::new(),
        }
    }

    /// The fold of all pages of a run.
    pub(crate) fn fold(loaded: &Loaded) -> Result<Self, StoredError> {
        let mut run = Run::new(loaded.meta.clone());
        read_pages(loaded, |seq, page, decoded| run.take_in(seq, page, decoded))?;
        Ok(run)
    }

    /// What is told of the pages that drivers of `message` wrote, with the facts before them.
    pub(crate) fn told_under(loaded: &Loaded, message: &str) -> Result<Vec<PageEvents>, StoredError> {
        let (mut run, mut told) = (Run::new(loaded.meta.clone()), vec![]);
        read_pages(loaded, |seq, page, decoded| {
            let is_mine = matches!(&page.writer, Writer::Driver(claimant) if *claimant.message == *message);
            let records = if is_mine { decoded.records.clone() } else { vec![] };
            let facts = if is_mine { std::mem::take(&mut run.facts) } else { vec![] };
            run.take_in(seq, page, decoded);
            if is_mine {
                told.extend(facts.into_iter().map(|fact| fact.events));
                told.push(PageEvents::of(&records, &run.execution));
            }
        })?;
        Ok(told)
    }

    fn take_in(&mut self, seq: Seq, page: &Page, decoded: Decoded) {
        self.payloads_stored(decoded.stored);
        decoded.records.iter().for_each(|record| evolve(&mut self.execution, record));
        self.note(seq, &page.writer, decoded.at, &decoded.records);
    }

    /// What is to be told with the next page of a driver.
    pub(crate) fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// Takes in pages behind the last one.
    pub(crate) fn catch_up(&mut self, loaded: &Loaded) -> Result<(), StoredError> {
        self.meta = loaded.meta.clone();
        for (seq, page) in &loaded.pages {
            if *seq <= self.seq {
                continue;
            }
            let earlier = |place| {
                if place == PayloadPlace::Input {
                    Some(self.meta.input.clone())
                } else {
                    self.payloads.payload(place).cloned()
                }
            };
            let place = PagePlace { run: self.meta.run, seq: *seq, writer: &page.writer };
            let decoded = decode_page(place, &page.bytes, earlier)?;
            self.take_in(*seq, page, decoded);
        }
        Ok(())
    }

    /// Takes in a page that was just committed, whose records made `execution`.
    pub(crate) fn committed(
        &mut self,
        writer: &Writer,
        appended: Appended,
        records: &[Record],
        execution: Execution,
    ) {
        self.execution = execution;
        self.payloads_stored(appended.stored);
        self.note(Seq(self.seq.0 + 1), writer, appended.at, records);
        if appended.end.is_some() {
            self.meta = Arc::new(Meta { end: appended.end, ..Meta::clone(&self.meta) });
        }
    }

    fn payloads_stored(&mut self, stored: Vec<(Payload, PayloadPlace)>) {
        for (payload, place) in stored {
            self.payloads.add(&payload, place);
        }
    }

    fn note(&mut self, seq: Seq, writer: &Writer, at: Timestamp, records: &[Record]) {
        self.seq = seq;
        match writer {
            Writer::Driver(_) => self.facts.clear(),
            Writer::Request(request) => {
                let events = PageEvents::of(records, &self.execution);
                self.facts.push(Fact { request: *request, events });
            }
        }
        if let Writer::Driver(claimant) = writer {
            let first = FirstDriver { delivery: claimant.delivery, wrote_at: at };
            let known = self.drivers.entry(claimant.message.clone()).or_insert(first);
            if known.delivery == claimant.delivery {
                known.wrote_at = at;
            }
            // Who buries drives nothing: what was to be driven on before is so still.
            let buries = records.iter().any(|record| matches!(record, Record::DriverLost { .. }));
            if !buries || planted(Bug::BurialCountsAsPage) {
                self.last_driver = seq;
                self.undriven.clear();
            }
        }
        for record in records {
            match record {
                Record::TimerSet { timer, .. } => {
                    if let Writer::Driver(claimant) = writer {
                        self.timers.insert(*timer, claimant.message.clone());
                    }
                }
                Record::Event(Event { body: EventBody::ExecutionRedriven { .. }, .. })
                    if matches!(writer, Writer::Request(_)) =>
                {
                    self.redriven = seq;
                }
                Record::Event(Event { body, .. }) => self.note_event(writer, body),
                _ => {}
            }
        }
        if self.timers.len() > 16 + 2 * self.execution.timers().count() {
            let set: std::collections::HashSet<_> = self.execution.timers().map(|(id, _)| id).collect();
            self.timers.retain(|id, _| set.contains(id));
        }
    }

    fn note_event(&mut self, writer: &Writer, body: &EventBody) {
        let (attempt, ended_by) = match body {
            EventBody::MapRunStarted { attempt, .. } | EventBody::MapRunRedriven { attempt, .. } => {
                if let Writer::Driver(claimant) = writer {
                    let open: Vec<_> = self.execution.map_runs().map(|(_, run)| run.attempt).collect();
                    self.map_runs.retain(|(attempt, _)| open.contains(attempt));
                    self.map_runs.push((*attempt, claimant.message.clone()));
                }
                return;
            }
            EventBody::Scheduled { family, attempt, nonce, .. } => {
                if has_token(family) {
                    self.tokens.insert(*attempt, TokenTask { nonce: *nonce, ended_by: None });
                }
                if let (Family::Activity { .. }, Writer::Driver(claimant)) = (family, writer) {
                    self.offers.insert(*attempt, claimant.message.clone());
                }
                return;
            }
            EventBody::Started { attempt, claimant: None, .. } => {
                self.offers.remove(attempt);
                return;
            }
            EventBody::Succeeded { attempt, output, .. } => (*attempt, hash_of(Ok(output))),
            EventBody::Failed(_, attempt, error) => (*attempt, hash_of(Err(error))),
            EventBody::SubmitFailed(_, attempt, _) | EventBody::TimedOut { attempt, .. } => (*attempt, 0),
            _ => return,
        };
        if matches!(writer, Writer::Request(_)) {
            self.undriven.push(attempt);
        }
        if let Some(task) = self.tokens.get_mut(&attempt) {
            task.ended_by = Some(ended_by);
        }
    }

    /// Which redrive of the run this is, as far as its pages go. META may lag behind ([`crate::Engine::put_right`]).
    pub(crate) fn epoch(&self) -> u32 {
        self.execution.redrive_count()
    }

    /// Whether a redrive's fact began this epoch, and no driver page follows it.
    pub(crate) fn is_redrive_undriven(&self) -> bool {
        self.redriven > self.last_driver
    }

    /// Whether this is a later fold of the same run.
    pub(crate) fn is_ahead(&self, other: &Run) -> bool {
        self.meta.run == other.meta.run && self.seq > other.seq
    }

    /// The delivery that wrote the first page under `message`.
    pub(crate) fn first_driver(&self, message: &str) -> Option<Claimant> {
        let (message, first) = self.drivers.get_key_value(message)?;
        Some(Claimant { message: message.clone(), delivery: first.delivery })
    }

    /// When the first driver of `message` last wrote a page.
    pub(crate) fn wrote_at(&self, message: &str) -> Option<Timestamp> {
        self.drivers.get(message).map(|first| first.wrote_at)
    }

    /// Whether a callback's fact ended `attempt`, and no driver page follows it.
    pub(crate) fn is_undriven(&self, attempt: AttemptId) -> bool {
        self.undriven.contains(&attempt)
    }

    /// The timers that are set and that `message` owes.
    pub(crate) fn timers_of(&self, message: &str) -> Vec<(TimerId, Timestamp)> {
        let mine = |id: &TimerId| self.timers.get(id).is_some_and(|owner| **owner == *message);
        self.execution.timers().filter(|(id, _)| mine(id)).map(|(id, timer)| (id, timer.due)).collect()
    }

    /// The activity tasks that no worker has taken and that `message` owes to their activities.
    pub(crate) fn offers_of(&self, message: &str) -> Vec<(AttemptId, Arc<str>)> {
        let mine = |attempt: &AttemptId| self.offers.get(attempt).is_some_and(|owner| **owner == *message);
        let untaken = self.execution.calls().filter(|(_, call)| mine(&call.attempt));
        untaken.filter_map(|(_, call)| Some((call.attempt, call.untaken_activity()?.clone()))).collect()
    }

    /// The Map Runs under way whose beginning `message` owes.
    pub(crate) fn map_runs_of(&self, message: &str) -> Vec<AttemptId> {
        let owed = self.map_runs.iter().filter(|(_, owner)| **owner == *message);
        owed.map(|(attempt, _)| *attempt)
            .filter(|attempt| self.execution.map_run(*attempt).is_some())
            .collect()
    }

    /// What a token of this attempt and nonce finds; `callback` tells a repeated request.
    pub(crate) fn token(&self, attempt: AttemptId, nonce: u128, callback: Option<&Callback>) -> Token {
        let Some(task) = self.tokens.get(&attempt).filter(|task| task.nonce == nonce) else {
            // Nobody was given a token of a function's, but for who tells that it ended ([`crate::port::Invocation`]).
            let open = |(_, call): (_, &Call)| call.nonce == nonce && is_function(&call.family);
            return if self.execution.call(attempt).is_some_and(open) { Token::Open } else { Token::Unknown };
        };
        let same = |ended_by| callback.is_some_and(|callback| ended_by == callback.hash());
        match task.ended_by {
            Some(ended_by) => Token::Ended { same: same(ended_by) },
            None => match self.execution.call(attempt) {
                Some((_, call)) if call.untaken_activity().is_some() => Token::Unknown,
                Some(_) => Token::Open,
                None => Token::Ended { same: false },
            },
        }
    }

    /// The end that belongs into META; `None` while the execution runs.
    pub(crate) fn end(&self) -> Option<End> {
        self.end_of(&self.execution, &[])
    }

    /// As [`Run::end`], of what the run is about to be, when a page has stored these payloads.
    pub(crate) fn end_of(&self, execution: &Execution, stored: &[(Payload, PayloadPlace)]) -> Option<End> {
        let (output, error, at) = match execution.status() {
            Status::New | Status::Running => return None,
            Status::Succeeded { output, at } => (Some(output.clone()), ErrorOutput::default(), *at),
            Status::Failed { error, at } | Status::Aborted { error, at } => (None, error.clone(), *at),
            Status::TimedOut { at } => (None, ErrorOutput::default(), *at),
        };
        let large = output.as_ref().filter(|output| output.bytes() > OUTPUT_BYTES_MAX);
        let output_at = large.and_then(|output| {
            let new = stored.iter().find(|(payload, _)| payload == output).map(|(_, place)| *place);
            new.or_else(|| self.payloads.place(output))
        });
        let events = execution.last_event().0;
        Some(End { status: execution.status().name(), output, output_at, error, at, events })
    }
}

/// Decodes all pages of a run in order; each may refer to those before it.
pub(crate) fn read_pages(
    loaded: &Loaded,
    mut each: impl FnMut(Seq, &Page, Decoded),
) -> Result<(), StoredError> {
    let mut earlier: HashMap<PayloadPlace, Payload> = HashMap::new();
    earlier.insert(PayloadPlace::Input, loaded.meta.input.clone());
    for (expected, (seq, page)) in (1..).zip(&loaded.pages) {
        if seq.0 != expected {
            return Err(StoredError::Damaged { what: "page", why: format!("page {expected} is missing") });
        }
        let place = PagePlace { run: loaded.meta.run, seq: *seq, writer: &page.writer };
        let decoded = decode_page(place, &page.bytes, |place| earlier.get(&place).cloned())?;
        earlier.extend(decoded.stored.iter().map(|(payload, place)| (*place, payload.clone())));
        each(*seq, page, decoded);
    }
    Ok(())
}

fn has_token(family: &Family) -> bool {
    match family {
        Family::Activity { .. } => true,
        Family::Task { resource, .. } => resource.ends_with(".waitForTaskToken"),
        Family::LambdaFunction { .. } => false,
    }
}

fn is_function(family: &Family) -> bool {
    match family {
        Family::LambdaFunction { .. } => true,
        Family::Task { resource_type, resource, .. } => {
            &**resource_type == "lambda" && &**resource == "invoke"
        }
        Family::Activity { .. } => false,
    }
}

impl Callback {
    fn hash(&self) -> u64 {
        match self {
            Callback::Success(output) => hash_of(Ok(output)),
            Callback::Failure(error) => hash_of(Err(error)),
        }
    }
}

/// Never 0.
fn hash_of(said: Result<&Payload, &ErrorOutput>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match said {
        Ok(output) => (true, &**output.text()).hash(&mut hasher),
        Err(error) => (false, &error.error, &error.cause).hash(&mut hasher),
    }
    hasher.finish() | 1
}
