//! What others are told of an execution as it goes on: lines in its log group, and changes of its status.
//!
//! Notices follow the commit of what they tell, and hold nobody up: they are sent beside everything else, and given up after a while.
//! Each page's are owed by the message that it was written under, so that they come at least once; those of a fact, which a
//! request's handler wrote, by the message of the driver page that follows it, or by the Stop's own, behind which none follows.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Either, join, select};
use stepwell_interpreter::{Event, EventBody, EventId, Execution, HistoryEvent, Record, Redriven, history};

use crate::Engine;
use crate::driver::{DriveError, Driver};
use crate::message::MessageBody;
use crate::meta::{End, Meta};
use crate::port::{BoxError, Events, LoggedEvents, Logging, Logs, StatusChange};
use crate::redrive::map_run_redrives;
use crate::run::Run;

/// How often a notice is tried, how long each time, and what it is tried again after, at first. Nobody waits for it longer.
const TRIES_MAX: usize = 4;
const TRY: Duration = Duration::from_secs(1);
const BACKOFF: Duration = Duration::from_millis(50);

/// A page's public history.
#[derive(Debug, Clone)]
pub(crate) struct PageEvents {
    /// The id of the first of them.
    first: EventId,
    /// Events alone.
    records: Vec<Record>,
    /// The last redrive before them, or among them.
    redriven: Option<Redriven>,
}

impl PageEvents {
    /// The events in `records`, which made `execution`.
    pub(crate) fn of(records: &[Record], execution: &Execution) -> Self {
        let is_event = |record: &&Record| matches!(record, Record::Event(_));
        let records: Vec<_> = records.iter().filter(is_event).cloned().collect();
        let first = EventId(execution.last_event().0 + 1 - records.len() as u64);
        PageEvents { first, records, redriven: execution.redrives().last().cloned() }
    }

    /// What the events say of the execution's status.
    fn status_changes(&self, meta: &Meta) -> Vec<StatusChange> {
        let redriven = self.redriven.as_ref();
        let (epoch, redriven_at) = redriven.map_or((0, None), |redriven| (redriven.count, Some(redriven.at)));
        let by_map_run = redriven.is_some_and(|redriven| map_run_redrives(redriven).is_some());
        let mut changes = vec![];
        for record in &self.records {
            let Record::Event(event) = record else { continue };
            let end = end_of(event);
            let statuses: &[&str] = match &event.body {
                EventBody::ExecutionStarted { .. } => &["RUNNING"],
                EventBody::ExecutionRedriven { .. } if by_map_run => &["PENDING_REDRIVE", "RUNNING"],
                EventBody::ExecutionRedriven { .. } => &["RUNNING"],
                _ => end.as_ref().map_or(&[], |end| std::slice::from_ref(&end.status)),
            };
            for status in statuses {
                let meta = Arc::new(Meta { epoch, redriven_at, end: end.clone(), ..meta.clone() });
                changes.push(StatusChange { status, at: event.at, meta });
            }
        }
        changes
    }
}

/// How an execution ends by `event`, if it does.
fn end_of(event: &Event) -> Option<End> {
    let (status, output, error) = match &event.body {
        EventBody::ExecutionSucceeded { output } => ("SUCCEEDED", Some(output.clone()), None),
        EventBody::ExecutionFailed(error) => ("FAILED", None, Some(error)),
        EventBody::ExecutionAborted(error) => ("ABORTED", None, Some(error)),
        EventBody::ExecutionTimedOut(error) => ("TIMED_OUT", None, Some(error)),
        _ => return None,
    };
    let error = error.cloned().unwrap_or_default();
    Some(End { status, output, output_at: None, error, at: event.at, events: 0 })
}

/// Who is told of an execution.
pub(crate) struct Audience {
    logs: Option<(Arc<dyn Logs>, Arc<Logging>)>,
    events: Option<Arc<dyn Events>>,
    engine: Engine,
}

impl Engine {
    /// Who is told of an execution whose state machine is logged as `logging` says; `None` where nobody is.
    pub(crate) fn audience(&self, logging: Option<Arc<Logging>>, express: bool) -> Option<Audience> {
        let ports = &self.inner.ports;
        let logs = ports.logs.clone().zip(logging);
        let events = ports.events.clone().filter(|_| !express);
        (logs.is_some() || events.is_some()).then(|| Audience { logs, events, engine: self.clone() })
    }

    /// Who is told of a run.
    pub(crate) async fn audience_of(&self, meta: &Meta) -> Result<Option<Audience>, DriveError> {
        let is_logged = self.inner.ports.logs.is_some();
        let logging = if is_logged { self.logging_of(meta).await? } else { None };
        Ok(self.audience(logging, meta.info.express))
    }

    async fn send_notice<F>(&self, execution: &str, what: &str, mut put: impl FnMut() -> F)
    where
        F: Future<Output = Result<(), BoxError>>,
    {
        let clock = &self.inner.ports.clock;
        let mut last: BoxError = "no answer".into();
        let mut backoff = BACKOFF;
        for tries in 1..=TRIES_MAX {
            match select(pin!(put()), clock.sleep(TRY)).await {
                Either::Left((Ok(()), _)) => return,
                Either::Left((Err(error), _)) => last = error,
                Either::Right(_) => {}
            }
            if tries == TRIES_MAX || self.before_the_end(backoff) <= clock.monotonic() {
                break;
            }
            clock.sleep(backoff).await;
            backoff *= 2;
        }
        tracing::warn!(%execution, error = %last, "{what} could not be sent");
    }
}

impl Audience {
    /// Tells of pages; `None` where there is nothing to tell.
    pub(crate) fn tell(&self, meta: &Meta, pages: &[PageEvents]) -> Option<BoxFuture<'static, ()>> {
        let logged = self.logs.as_ref().and_then(|(logs, logging)| {
            let events: Vec<_> = pages.iter().flat_map(|page| logged(page, logging)).collect();
            let logged = LoggedEvents { logging: logging.clone(), info: meta.info.clone(), events };
            (!logged.events.is_empty()).then(|| (logs.clone(), logged))
        });
        let changed = self.events.as_ref().and_then(|events| {
            let changes: Vec<_> = pages.iter().flat_map(|page| page.status_changes(meta)).collect();
            (!changes.is_empty()).then(|| (events.clone(), changes))
        });
        if logged.is_none() && changed.is_none() {
            return None;
        }
        let (engine, execution) = (self.engine.clone(), meta.execution_arn.clone());
        let future = async move {
            let log = async {
                let Some((logs, logged)) = logged else { return };
                engine.send_notice(&execution, "log events", || logs.put(logged.clone())).await;
            };
            let change = async {
                let Some((events, changes)) = changed else { return };
                engine.send_notice(&execution, "a status change", || events.put(changes.clone())).await;
            };
            join(log, change).await;
        };
        Some(future.boxed())
    }
}

fn logged(page: &PageEvents, logging: &Logging) -> Vec<(u32, HistoryEvent)> {
    let count = page.redriven.as_ref().map_or(0, |redriven| redriven.count);
    let mut events = history(&page.records, page.first);
    events.retain(|event| logging.level.covers(event.event_type));
    events.into_iter().map(|event| (count, event)).collect()
}

impl Driver<'_> {
    /// Tells of pages that were committed, beside everything else.
    pub(crate) fn tell(&mut self, run: &Run, pages: &[PageEvents]) {
        if let Some(told) = self.audience.as_ref().and_then(|audience| audience.tell(&run.meta, pages)) {
            self.work.aside(told);
        }
    }

    /// Tells again what the pages under `message` say: whoever wrote them may have died before all was told.
    pub(crate) async fn tell_again(&mut self, run: &Run, message: &str) -> Result<(), DriveError> {
        if self.audience.is_none() {
            return Ok(());
        }
        let (journal, arn) = (&self.ports().journal, &run.meta.execution_arn);
        let loaded = self.engine.patiently(|| journal.load(arn, None)).await?.ok_or(DriveError::Gone)?;
        let pages = Run::told_under(&loaded, message)?;
        self.tell(run, &pages);
        Ok(())
    }

    /// Before the message goes: tells of the fact that it was sent for, where that ended the execution, and waits until
    /// everything is told.
    pub(crate) async fn tell_the_rest(&mut self, run: &Run) {
        let facts = run.facts();
        let is_owed = match &self.message.body {
            MessageBody::Stop { request, .. } => facts.last().is_some_and(|fact| fact.request == *request),
            // It was stopped before it could begin.
            MessageBody::Start(_) => facts.len() as u64 == run.seq.0,
            _ => false,
        };
        if is_owed {
            let facts: Vec<_> = facts.iter().map(|fact| fact.events.clone()).collect();
            self.tell(run, &facts);
        }
        self.work.aside_is_done().await;
    }
}
