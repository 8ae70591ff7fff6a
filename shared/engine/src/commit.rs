//! One commit: a page made of decisions, appended until its fate is known.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use stepwell_expr::Payload;
use stepwell_interpreter::{Decision, Effect, Execution, Record, Timestamp};

use crate::Engine;
use crate::driver::DriveError;
use crate::engine::Committed;
use crate::message::{MapRunMessage, Message, MessageBody};
use crate::meta::{End, Meta, Parent, PayloadPlace};
use crate::planted::{Bug, planted};
use crate::port::{AppendError, FinishError, Page, Refused, Seq, Writer};
use crate::redrive::map_run_redrives;
use crate::run::Run;
use crate::stored::{EncodedPage, PagePlace, StoredError, encode_packed};

/// What a port that does not answer is tried again after: at first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

/// Decisions, one behind the other, that make one page.
#[derive(Default)]
pub(crate) struct Proposal {
    pub(crate) records: Vec<Record>,
    pub(crate) effects: Vec<Effect>,
    /// The execution with the records applied; `None` where there are none.
    pub(crate) execution: Option<Execution>,
}

impl Proposal {
    /// Adds what was decided for [`Proposal::execution_or`].
    pub(crate) fn add(&mut self, decision: Decision) {
        if decision.records.is_empty() {
            return;
        }
        if self.records.is_empty() {
            (self.records, self.effects) = (decision.records, decision.effects);
        } else {
            self.records.extend(decision.records);
            self.effects.extend(decision.effects);
        }
        self.execution = Some(decision.execution);
    }

    /// The execution as far as the proposal goes; `before` where it is empty.
    pub(crate) fn execution_or<'a>(&'a self, before: &'a Execution) -> &'a Execution {
        self.execution.as_ref().unwrap_or(before)
    }
}

/// Payloads that a page holds and later pages may refer to.
pub(crate) type StoredPayloads = Vec<(Payload, PayloadPlace)>;

/// A page that is there, durable.
pub(crate) struct Appended {
    /// When it was written.
    pub(crate) at: Timestamp,
    /// Payloads that later pages may refer to.
    pub(crate) stored: StoredPayloads,
    /// The run's end, where META has it already.
    pub(crate) end: Option<End>,
}

/// What became of an append.
pub(crate) enum Append {
    /// The page is there, durable.
    Done(Appended),
    /// Another's page is there.
    Conflict,
}

impl Engine {
    /// Appends a proposal behind the last page of `run` (PROTOCOL §4, lines 11–14).
    ///
    /// Where there is no answer, the same page is appended again: if the first try was taken in after all, the journal
    /// knows the writer and says so.
    pub(crate) async fn append(
        &self,
        run: &Run,
        writer: &Writer,
        proposal: &Proposal,
    ) -> Result<Append, DriveError> {
        let ports = &self.inner.ports;
        let (at, seq) = (ports.clock.now(), Seq(run.seq.0 + 1));
        let packing = self.inner.settings.packing;
        let place = PagePlace { run: run.meta.run, seq, writer };
        let EncodedPage { bytes, stored } =
            encode_packed(place, at, &proposal.records, &run.payloads, packing);
        let page = Page { writer: writer.clone(), bytes };
        // Whoever is a part of something, or has begun something, settles that first, once it has ended: see `finish`.
        let alone = proposal.execution.as_ref();
        let is_alone = |x: &&Execution| x.abandoned().is_empty() && x.abandoned_map_runs().is_empty();
        let alone = alone.filter(|x| run.meta.parent.is_none() && is_alone(x));
        let end = alone.and_then(|execution| run.end_of(execution, &stored));
        let (journal, arn, id) = (&ports.journal, &run.meta.execution_arn, run.meta.run);
        if planted(Bug::CommitSkipped) {
            return Ok(Append::Done(Appended { at, stored, end: None }));
        }
        let mut backoff = self.backoff();
        loop {
            let appended = match &end {
                None => journal.append(arn, id, seq, page.clone()).await.map(|()| false),
                Some(end) => journal.append_last(arn, (id, run.epoch()), seq, page.clone(), end).await,
            };
            match appended {
                Ok(_) if backoff.has_waited() && planted(Bug::OwnPageTakenForAnothers) => {
                    return Ok(Append::Conflict);
                }
                Ok(finished) => {
                    return Ok(Append::Done(Appended { at, stored, end: end.filter(|_| finished) }));
                }
                Err(AppendError::Conflict { .. }) => return Ok(Append::Conflict),
                Err(AppendError::Gone { .. }) => return Err(DriveError::Gone),
                Err(AppendError::TooLarge { bytes, most, why, .. }) => {
                    return Err(DriveError::TooLarge { bytes, most, why });
                }
                Err(AppendError::Unknown { source, .. }) => {
                    if Refused::is_in(&*source) || !backoff.again(self).await {
                        return Err(DriveError::Append { seq, source });
                    }
                }
            }
        }
    }

    /// Reads the pages behind the fold's last one.
    pub(crate) async fn refresh(&self, run: &mut Run) -> Result<(), DriveError> {
        let (journal, arn) = (&self.inner.ports.journal, run.meta.execution_arn.clone());
        let after = Some((run.meta.run, run.seq));
        let loaded = self.patiently(|| journal.load(&arn, after)).await?.ok_or(DriveError::Gone)?;
        if loaded.meta.run != run.meta.run {
            return Err(DriveError::Gone);
        }
        match run.catch_up(&loaded) {
            Err(StoredError::Elsewhere { .. }) => {
                *run = self.load_whole(&arn).await?.ok_or(DriveError::Gone)?;
                Ok(())
            }
            caught_up => Ok(caught_up?),
        }
    }

    /// The fold of all pages; `None` where there is no META.
    pub(crate) async fn load_whole(&self, execution: &str) -> Result<Option<Run>, DriveError> {
        let journal = &self.inner.ports.journal;
        let loaded = self.patiently(|| journal.load(execution, None)).await?;
        Ok(loaded.as_ref().map(Run::fold).transpose()?)
    }

    /// The fold up to the journal's tail; `None` where there is no META.
    pub(crate) async fn load(&self, execution: &str) -> Result<Option<Run>, DriveError> {
        let Some(mut run) = self.inner.runs.take(execution) else { return self.load_whole(execution).await };
        match self.refresh(&mut run).await {
            Ok(()) => Ok(Some(*run)),
            Err(DriveError::Gone) => self.load_whole(execution).await,
            Err(error) => Err(error),
        }
    }

    /// Keeps a fold at hand, if its execution goes on.
    pub(crate) fn keep(&self, run: Run) {
        if run.meta.end.is_none() && !run.execution.status().is_terminal() {
            let arn = run.meta.execution_arn.clone();
            let is_ahead = |known: &Box<_>, new: &Box<_>| Run::is_ahead(known, new);
            self.inner.runs.put(arn, Box::new(run), is_ahead);
        }
    }

    /// Puts META back to RUNNING, if the run was redriven and META is of an earlier epoch (PROTOCOL, line 20).
    pub(crate) async fn put_right(&self, run: &mut Run) -> Result<(), DriveError> {
        let (journal, meta, epoch) = (&self.inner.ports.journal, &run.meta, run.epoch());
        let Some(redriven) = run.execution.redrives().last().filter(|_| meta.epoch < epoch) else {
            return Ok(());
        };
        self.patiently(|| journal.redrive(&meta.execution_arn, meta.run, epoch, redriven.at)).await?;
        run.meta = Arc::new(meta.redriven(epoch, redriven.at));
        Ok(())
    }

    /// Puts META right, stops the jobs and Map Runs that a run leaves, tells its parent of its end and then writes that into
    /// META, if the run has ended and META does not say so (PROTOCOL §5, `finish`).
    pub(crate) async fn finish(&self, run: &mut Run) -> Result<(), DriveError> {
        self.put_right(run).await?;
        let Some(end) = run.end().filter(|_| run.meta.end.is_none()) else { return Ok(()) };
        let (journal, meta) = (&self.inner.ports.journal, &run.meta);
        for job in run.execution.abandoned() {
            self.inner.ports.tasks.cancel(&meta.info, job).await;
        }
        for map_run in run.execution.abandoned_map_runs() {
            self.send_to_map_run(map_run, MapRunMessage::Stop).await?;
        }
        if planted(Bug::ParentToldLast) {
            self.finish_anyway(run, &end).await?;
        }
        if let Some(parent) = &meta.parent {
            self.tell(run, parent, &end).await?;
        }
        let finish =
            async || match journal.finish(&meta.execution_arn, meta.run, meta.epoch, end.clone()).await {
                Err(FinishError::MovedOn(_)) if planted(Bug::FinishNotConditional) => {
                    self.finish_anyway(run, &end).await
                }
                Ok(()) | Err(FinishError::MovedOn(_)) => Ok(()),
                Err(FinishError::Unknown(error)) => Err(error),
            };
        Ok(self.patiently(finish).await?)
    }

    /// Tells `parent` that its child `run` has ended.
    async fn tell(&self, run: &Run, parent: &Parent, end: &End) -> Result<(), DriveError> {
        let meta = &*run.meta;
        let sent_at = self.inner.ports.clock.now();
        let child = Meta { end: Some(end.clone()), ..meta.clone() };
        let message = match parent {
            Parent::MapRun { map_run_arn, index, items } => {
                let (index, items, child) = (*index, *items, Arc::new(child));
                let body = match run.execution.redrives().last().and_then(map_run_redrives) {
                    None => MapRunMessage::ChildFinished { index, items, child },
                    Some(redrives) => MapRunMessage::RedrivenChildFinished { index, items, redrives, child },
                };
                return self.send_to_map_run(map_run_arn, body).await;
            }
            Parent::Task { execution_arn, run, epoch, attempt, resource } => {
                let outcome = self.inner.ports.tasks.child_outcome(resource, &child);
                let body = MessageBody::ChildFinished { attempt: *attempt, outcome };
                Message { execution: execution_arn.clone(), run: *run, epoch: *epoch, sent_at, body }
            }
        };
        let queue = &self.inner.ports.queue;
        Ok(self.patiently(|| queue.send(message.clone(), None)).await?)
    }

    /// Shows committed records to whoever watches.
    pub(crate) fn announce(&self, run: &Run, records: Vec<Record>) {
        if self.inner.committed.receiver_count() > 0 {
            let execution_arn = run.meta.execution_arn.clone();
            // Nobody may be left to receive it, and that is all right.
            let _ = self.inner.committed.send(Committed { execution_arn, records: records.into() });
        }
    }

    /// A message for `run`.
    pub(crate) fn message(&self, run: &Run, body: MessageBody) -> Message {
        let execution = Arc::clone(&run.meta.execution_arn);
        let sent_at = self.inner.ports.clock.now();
        Message { execution, run: run.meta.run, epoch: run.epoch(), sent_at, body }
    }

    /// Asks a port again while it does not answer, as long as the settings say. A refusal is an answer.
    pub(crate) async fn patiently<T, E, F>(&self, mut ask: impl FnMut() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: std::error::Error + 'static,
    {
        let mut backoff = self.backoff();
        loop {
            match ask().await {
                Err(error) if !Refused::is_in(&error) && backoff.again(self).await => {}
                answer => return answer,
            }
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff { next: BACKOFF.0, gives_up: None, says_so: None }
    }
}

/// Waits between tries, longer each time.
struct Backoff {
    next: Duration,
    gives_up: Option<Duration>,
    /// When who insists says so.
    says_so: Option<Duration>,
}

impl Backoff {
    /// Whether there was a try before this one.
    fn has_waited(&self) -> bool {
        self.gives_up.is_some()
    }

    /// Waits; `false` where patience is at its end.
    async fn again(&mut self, engine: &Engine) -> bool {
        let clock = &engine.inner.ports.clock;
        let gives_up = match self.gives_up {
            Some(gives_up) => gives_up,
            None => {
                let (gives_up, says_so) = engine.patience_ends();
                (self.gives_up, self.says_so) = (Some(gives_up), Some(says_so));
                gives_up
            }
        };
        let tries_at = clock.monotonic() + self.next / 2;
        if tries_at >= gives_up {
            return false;
        }
        if self.says_so.take_if(|says_so| tries_at >= *says_so).is_some() {
            tracing::warn!("nothing can be written, and what calls came to waits for that in memory");
        }
        // Who was refused together does not come again together.
        let half = self.next / 2;
        let drawn = Duration::from_nanos(clock.random() % u64::try_from(half.as_nanos()).unwrap_or(1).max(1));
        clock.sleep(half + drawn).await;
        self.next = (self.next * 2).min(BACKOFF.1);
        true
    }
}
