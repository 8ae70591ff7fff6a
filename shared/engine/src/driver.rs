//! The driver (PROTOCOL §4): loads, decides, commits, performs, until nothing is left that its message stands for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use stepwell_asl::{Definition, ErrorName};
use stepwell_interpreter::{
    AttemptId, Claimant, Decision, Effect, ErrorOutput, Event, EventBody, Execution, Record, Timer, TimerId,
    TimerPurpose, Timestamp, Trigger, advance_while, apply, token,
};

use crate::Engine;
use crate::commit::{Append, Appended, Proposal};
use crate::engine::{Driven, Settings};
use crate::message::{MapRunMessage, Message, MessageBody};
use crate::meta::{Meta, Parent, Parked, RunId};
use crate::notices::{Audience, PageEvents};
use crate::pace::Turn;
use crate::planted::{Bug, after_error, planted};
use crate::port::{
    ActivitiesError, BoxError, JournalError, MapRunsError, Ports, PutMetaError, QueueError, Refused,
    RegistryError, Seq, TaskCall, Writer,
};
use crate::run::Run;
use crate::stored::StoredError;
use crate::work::{Work, give_way, later, time_until};

/// Waits shorter than this are waited for by the driver; others become messages.
const IN_PROCESS_MAX: Duration = Duration::from_millis(500);
/// A Start message that is older puts no META any more: its sender has long given up.
const START_AGE_MAX: Duration = Duration::from_secs(15 * 60);
/// How soon a Start message without a META of its own looks for it again.
const START_WAIT: Duration = Duration::from_millis(20);
/// How soon the end of an execution is told again, where the answer to the call that started it is not recorded yet.
const CHILD_WAIT: Duration = Duration::from_millis(20);
/// How soon a copy of a message comes at the soonest: queues that give up delay by seconds.
const COPY_WAIT: Duration = Duration::from_secs(1);
/// How soon a message comes again at the soonest whose timer is still set.
const AGAIN_AT_LEAST: Duration = Duration::from_millis(1);
/// How soon a message comes again after an error of ours.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How soon a message comes again whose execution is damaged, where the queue never gives one up: somebody may have mended it.
const DAMAGED_AFTER: Duration = Duration::from_secs(10 * 60);

/// Why a driver could not go on; its message comes again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DriveError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Activities(#[from] ActivitiesError),
    #[error(transparent)]
    Stored(#[from] StoredError),
    #[error("{0}")]
    Definition(String),
    #[error(transparent)]
    MapRuns(#[from] MapRunsError),
    #[error("an execution of a map run: {0}")]
    Child(BoxError),
    #[error("no answer to the append of page {}: {source}", seq.0)]
    Append { seq: Seq, source: BoxError },
    #[error("a page of {bytes} bytes, of which the store holds {most}: {why}")]
    TooLarge { bytes: usize, most: usize, why: &'static str },
    /// The run is gone: nothing is left to drive.
    #[error("the run is gone")]
    Gone,
    #[error("other commits came first, again and again")]
    Busy,
    #[error("the commit took longer than the lease holds")]
    LeaseOver,
}

impl Engine {
    /// Drives the execution that `message` is for (PROTOCOL §4), for the delivery that `claimant` names, which is the
    /// message's `receives`th, from 1.
    ///
    /// Dropping the future is what a crash is: the message is delivered again, and what was under way is buried.
    pub async fn drive(&self, message: Message, claimant: Claimant, receives: u32) -> Driven {
        let (execution, run) = (message.execution.clone(), message.run);
        let driven = match &message.body {
            MessageBody::MapRun(body) => self.drive_map_run(&execution, body).await,
            MessageBody::DeleteMachine { revision } => {
                return self.drive_deletion(&execution, revision, receives).await;
            }
            MessageBody::Express(meta) => {
                self.drive_express(Meta::clone(meta), &claimant.message, receives).await
            }
            _ => Driver::new(self, &self.insisting(), message, claimant.clone()).drive(receives).await,
        };
        match driven {
            Ok(driven) => driven,
            Err(DriveError::Gone) => Driven::Done,
            Err(DriveError::Stored(error)) => {
                let why = error.to_string();
                self.fence_off(&execution, run, Parked { message: claimant.message.to_string(), why }).await;
                // Where the queue gives up what nobody can deal with, somebody is told the sooner.
                let is_given_up = self.inner.settings.receives_max.is_some();
                after_error(if is_given_up { AGAIN_AFTER * receives.clamp(1, 60) } else { DAMAGED_AFTER })
            }
            Err(error) => {
                tracing::warn!(%execution, receives, %error, "an execution could not be driven on");
                // What refuses will do so again.
                let least = if Refused::is_in(&error) { 60 } else { 1 };
                after_error(AGAIN_AFTER * receives.clamp(least, 60))
            }
        }
    }

    /// A message that has come too early comes again. Where the queue gives up what it has delivered often it comes as a copy, since
    /// nothing has failed, after a second or more.
    pub(crate) async fn too_early(&self, message: &Message, after: Duration) -> Result<Driven, DriveError> {
        let (settings, ports) = (&self.inner.settings, &self.inner.ports);
        if settings.receives_max.is_none() {
            return Ok(Driven::Again { after });
        }
        let due = later(ports.clock.now(), after.max(COPY_WAIT).min(settings.queue_delay_max));
        self.patiently(|| ports.queue.send(message.clone(), Some(due))).await?;
        Ok(Driven::Done)
    }

    /// What is stored of an execution is damaged: nobody can say what it is to do next, so it rests, and META says why.
    async fn fence_off(&self, execution: &str, run: RunId, parked: Parked) {
        let journal = &self.inner.ports.journal;
        tracing::error!(execution, why = %parked.why, "an execution is damaged, and is not driven on");
        let known = journal.meta(execution).await.ok().flatten();
        if known.is_some_and(|meta| meta.end.is_none() && meta.parked.as_ref() != Some(&parked))
            && let Err(error) = journal.park(execution, run, Some(parked)).await
        {
            tracing::warn!(execution, %error, "it is not noted that an execution is damaged");
        }
    }
}

pub(crate) struct Driver<'e> {
    /// One of the next two.
    pub(crate) engine: &'e Engine,
    patient: &'e Engine,
    /// While calls are under way: nobody else learns what comes of them.
    insisting: &'e Engine,
    pub(crate) message: Message,
    pub(crate) me: Claimant,
    pub(crate) work: Work,
    /// What the message says, until it is committed or known to be void.
    trigger: Option<Trigger>,
    /// What came of calls and waits, until it is committed or known to be void.
    results: Vec<Trigger>,
    slice_ends: Duration,
    /// Until when the lease surely holds, by the monotonic clock; `None` before the first claim.
    pub(crate) lease: Option<Duration>,
    /// The activities that the definition names, and those of them that do not exist.
    activities: Arc<[Arc<str>]>,
    missing_activities: Vec<Arc<str>>,
    /// Who is told of what happens, where anybody is.
    pub(crate) audience: Option<Audience>,
    /// Whether a read reached the journal's tail since the fold was taken from the cache.
    at_tail: bool,
}

impl<'e> Driver<'e> {
    fn new(patient: &'e Engine, insisting: &'e Engine, message: Message, me: Claimant) -> Self {
        let slice_ends = patient.slice_ends();
        let (work, trigger, results) = (Work::default(), None, Vec::new());
        let (activities, missing_activities) = (Arc::default(), Vec::new());
        Driver {
            engine: patient,
            patient,
            insisting,
            message,
            me,
            work,
            trigger,
            results,
            slice_ends,
            lease: None,
            activities,
            missing_activities,
            audience: None,
            at_tail: false,
        }
    }

    pub(crate) fn ports(&self) -> &'e Ports {
        &self.engine.inner.ports
    }

    pub(crate) fn settings(&self) -> &'e Settings {
        &self.engine.inner.settings
    }

    async fn drive(mut self, receives: u32) -> Result<Driven, DriveError> {
        if let Some(driven) = self.park(receives).await? {
            return Ok(driven);
        }
        let mut run = match self.load().await? {
            Ok(run) => run,
            Err(driven) => return Ok(driven),
        };
        if run.meta.run != self.message.run {
            self.engine.keep(run);
            return Ok(Driven::Done);
        }
        // Of the machine, how it is logged is then at hand, too.
        let definition = self.engine.definition_of(&run.meta).await?;
        self.audience = self.engine.audience_of(&run.meta).await?;
        if self.is_past(&run) {
            self.engine.put_right(&mut run).await?;
            return self.moved_on(run).await;
        }
        if let Some(driven) = self.bury_first(&mut run, &definition).await? {
            return Ok(driven);
        }
        if let Some(driven) = self.activity_started(&mut run, receives).await? {
            return Ok(driven);
        }
        self.activities = self.engine.activities_of(&run.meta, &definition);
        self.trigger = self.trigger_of(&run);
        loop {
            self.engine.put_right(&mut run).await?;
            if self.is_past(&run) {
                return self.moved_on(run).await;
            }
            let is_anothers = run.first_driver(&self.me.message).is_some_and(|first| first != self.me);
            if is_anothers && !planted(Bug::RedeliveryClaims) {
                return self.take_over(run, &definition).await;
            }
            if run.execution.is_lost(&self.me) && !planted(Bug::FenceIgnored) {
                return Ok(Driven::Again { after: Duration::ZERO });
            }
            if !self.step(&mut run, &definition).await? {
                return self.leave(run).await;
            }
        }
    }

    /// Whether the epoch of the message is over.
    fn is_past(&self, run: &Run) -> bool {
        run.epoch() > self.message.epoch && !planted(Bug::EpochIgnored)
    }

    /// The epoch of the message is over: whatever it says is void, and so is everything under way.
    async fn moved_on(mut self, run: Run) -> Result<Driven, DriveError> {
        self.work.abort_all();
        if run.first_driver(&self.me.message).is_some_and(|first| first != self.me) {
            let message = self.me.message.clone();
            self.tell_again(&run, &message).await?;
        }
        self.tell_the_rest(&run).await;
        self.engine.keep(run);
        Ok(Driven::Done)
    }

    /// Lines 2 and 3. The fold may be of the cache, and the journal ahead of it: an append finds that out, and what rests
    /// on no append calls [`Driver::reach_tail`] first.
    async fn load(&mut self) -> Result<Result<Run, Driven>, DriveError> {
        let execution = &*self.message.execution;
        if let Some(run) = self.engine.inner.runs.take(execution)
            && run.meta.run == self.message.run
        {
            return Ok(Ok(*run));
        }
        self.at_tail = true;
        if let Some(run) = self.engine.load_whole(execution).await? {
            return Ok(Ok(run));
        }
        let age = time_until(self.ports().clock.now(), self.message.sent_at);
        match &self.message.body {
            MessageBody::Start(Some(meta)) if age < START_AGE_MAX => {
                let meta = meta.clone();
                Ok(Ok(self.put_meta(meta).await?))
            }
            MessageBody::Start(None) if age < START_AGE_MAX => Ok(Err(Driven::Again { after: START_WAIT })),
            _ => Ok(Err(Driven::Done)),
        }
    }

    async fn put_meta(&mut self, meta: Arc<Meta>) -> Result<Run, DriveError> {
        let journal = &self.ports().journal;
        let put = async || match journal.put_meta(meta.clone()).await {
            Ok(()) => Ok(true),
            Err(PutMetaError::Exists(_)) => Ok(false),
            Err(PutMetaError::Unknown(error)) => Err(error),
        };
        if self.engine.patiently(put).await? {
            return Ok(Run::new(meta));
        }
        self.engine.load_whole(&self.message.execution).await?.ok_or(DriveError::Gone)
    }

    /// On the last receipt but one: says in META that something is wrong, unless it says so of this message already, before
    /// anything that may fail again, and commits nothing more.
    async fn park(&mut self, receives: u32) -> Result<Option<Driven>, DriveError> {
        let (settings, journal) = (self.settings(), &self.ports().journal);
        if settings.receives_max.is_none_or(|max| receives.saturating_add(1) < max) {
            return Ok(None);
        }
        let arn = &*self.message.execution;
        let meta = self.engine.patiently(|| journal.meta(arn)).await?;
        let Some(meta) = meta.filter(|meta| meta.run == self.message.run && meta.end.is_none()) else {
            return Ok(None);
        };
        let why = format!("its message was received {receives} times, and could not be dealt with");
        if meta.parked.as_ref().is_none_or(|parked| *parked.message != *self.me.message) {
            let parked = Parked { message: self.me.message.to_string(), why };
            self.engine.patiently(|| journal.park(arn, meta.run, Some(parked.clone()))).await?;
        }
        Ok(Some(Driven::Again { after: settings.visibility }))
    }

    /// A Continue that names a message: its first driver is buried before anything else.
    async fn bury_first(
        &mut self,
        run: &mut Run,
        definition: &Definition,
    ) -> Result<Option<Driven>, DriveError> {
        let MessageBody::Continue { bury: Some(message), .. } = &self.message.body else { return Ok(None) };
        let message = message.clone();
        self.reach_tail(run).await?;
        let driven = self.bury(run, definition, &message).await?;
        if driven.is_none() {
            self.tell_again(run, &message).await?;
        }
        if driven.is_none() && run.meta.parked.is_some() {
            let (journal, meta) = (&self.ports().journal, &run.meta);
            self.engine.patiently(|| journal.park(&meta.execution_arn, meta.run, None)).await?;
        }
        Ok(driven)
    }

    pub(crate) async fn reach_tail(&mut self, run: &mut Run) -> Result<(), DriveError> {
        if !self.at_tail {
            self.work.during(self.engine.refresh(run)).await?;
            self.at_tail = true;
        }
        Ok(())
    }

    /// Lines 8–17; `false` where nothing is left to do under this message.
    async fn step(&mut self, run: &mut Run, definition: &Definition) -> Result<bool, DriveError> {
        if self.work.take_pulse() {
            self.renew_lease().await?;
        }
        if !self.activities.is_empty() {
            self.missing_activities = self.missing_activities(&self.activities.clone()).await?;
        }
        let deleting = self.work.during(self.engine.is_deleting(&run.meta)).await?;
        let turn = self.work.during(self.engine.turn(&run.meta)).await;
        // Nothing is awaited from here to the decision: what arrived meanwhile would be taken for nothing.
        self.results.append(&mut self.work.take_arrived());
        let proposal = self.decide(run, definition, deleting, turn);
        if !proposal.records.is_empty() {
            self.commit(run, definition, proposal).await?;
            if run.execution.is_ready() {
                // There is a next page at once: others have their turn first.
                self.work.during(give_way()).await;
            }
            return Ok(true);
        }
        if !self.at_tail && !planted(Bug::EventualRead) {
            self.reach_tail(run).await?;
            return Ok(true);
        }
        // What gives nothing at the journal's tail is void for ever.
        self.results_are_in(run);
        let calls =
            self.work.open_calls() > 0 && !(self.slice_is_over() && planted(Bug::HandOverWithOpenCall));
        let waits = calls || (self.work.has_timer_before(self.soon()) && !self.slice_is_over());
        if waits {
            self.work.arrival().await;
        }
        Ok(waits)
    }

    /// What arrived is committed, or void; but a timer that is still set was found early, by a clock that has gone back since.
    fn results_are_in(&mut self, run: &Run) {
        self.trigger = None;
        for result in std::mem::take(&mut self.results) {
            let Trigger::TimerFired { timer } = result else { continue };
            let set = run.execution.timers().find(|(id, _)| *id == timer && !planted(Bug::TimerForgotten));
            if let Some((_, set)) = set {
                self.work.wait(self.ports().clock.clone(), timer, set.due);
            }
        }
    }

    /// Lines 8 and 9.
    fn decide(&self, run: &Run, definition: &Definition, deleting: bool, turn: Turn<'_>) -> Proposal {
        let mut proposal = Proposal::default();
        let mut mine = run.first_driver(&self.me.message).is_some() || planted(Bug::NoOpDriverClaims);
        let clock = &self.ports().clock;
        if let Some(trigger) =
            self.trigger.as_ref().filter(|_| self.time_until_due(run).unwrap_or_default().is_zero())
        {
            proposal.add(apply(definition, &run.execution, trigger, clock.decision()));
            mine |= !proposal.records.is_empty();
        }
        mine |= match &self.message.body {
            MessageBody::Continue { after, .. } => run.last_driver.0 <= *after && run.execution.is_ready(),
            MessageBody::TaskResult { attempt, .. } => run.is_undriven(*attempt),
            MessageBody::Redrive { .. } => run.is_redrive_undriven(),
            _ => false,
        };
        for result in &self.results {
            let decision = apply(definition, proposal.execution_or(&run.execution), result, clock.decision());
            proposal.add(decision);
        }
        // Before its first page a driver of its message goes on even if its slice is over: were it to leave, it would delete the
        // message that another delivery of it may be about to claim under.
        let is_first_page = run.first_driver(&self.me.message).is_none();
        let may_begin = !self.slice_is_over() || (is_first_page && !planted(Bug::SliceEndsBeforeFirstPage));
        if mine && may_begin && self.work.open_calls() < self.settings().calls_max {
            let execution = proposal.execution_or(&run.execution);
            if execution.is_ready() {
                let (missing, now) = (&self.missing_activities, clock.decision());
                let decide = |goes_on: &mut dyn FnMut() -> bool| {
                    advance_while(definition, execution, &self.me, now, missing, goes_on)
                };
                let decision = turn.decide(decide);
                if deleting && enters_state(&decision) {
                    // API: DeleteStateMachine. On the next state transition, the executions are terminated.
                    proposal.add(apply(definition, execution, &Trigger::MachineDeleted, now));
                } else {
                    proposal.add(decision);
                }
            }
        }
        proposal
    }

    fn slice_is_over(&self) -> bool {
        self.ports().clock.monotonic() >= self.slice_ends
    }

    /// What the message tells the interpreter. A Continue tells it nothing.
    fn trigger_of(&self, run: &Run) -> Option<Trigger> {
        Some(match &self.message.body {
            MessageBody::Start(_) => {
                if run.seq.0 > 0 {
                    return None;
                }
                Trigger::Start { info: run.meta.info.clone(), input: run.meta.input.clone() }
            }
            MessageBody::TaskResult { attempt, nonce, result } => result.trigger(*attempt, *nonce),
            MessageBody::TimerFired { timer, .. } => Trigger::TimerFired { timer: *timer },
            MessageBody::Stop { error, .. } => Trigger::Stop(error.clone()),
            MessageBody::ChildFinished { attempt, outcome } => {
                Trigger::ChildFinished { attempt: *attempt, outcome: outcome.outcome() }
            }
            MessageBody::Redrive { request, token } => {
                let (count, request, token) = (self.message.epoch, *request, token.clone());
                Trigger::Redrive { count, request, token }
            }
            MessageBody::Continue { .. }
            | MessageBody::ActivityStarted { .. }
            | MessageBody::DeleteMachine { .. }
            | MessageBody::Express(_)
            | MessageBody::MapRun(_) => return None,
        })
    }

    /// Lines 11–15.
    async fn commit(
        &mut self,
        run: &mut Run,
        definition: &Definition,
        mut proposal: Proposal,
    ) -> Result<(), DriveError> {
        if proposal.effects.iter().any(|effect| matches!(effect, Effect::CallTask(_))) {
            self.take_lease().await?;
        }
        if planted(Bug::EffectBeforeCommit) {
            self.perform_early(run, &mut proposal).await?;
        }
        let (engine, began) = (self.engine, self.ports().clock.monotonic());
        let writer = Writer::Driver(self.me.clone());
        let mut appended = self.work.during(engine.append(run, &writer, &proposal)).await;
        if let Err(DriveError::TooLarge { bytes, most, why }) = appended {
            proposal = self.give_up(run, definition, (bytes, most, why));
            appended = self.work.during(engine.append(run, &writer, &proposal)).await;
        }
        match appended? {
            Append::Conflict => {
                self.results.retain(|_| !planted(Bug::ResultsForgotten));
                self.at_tail = false;
                self.reach_tail(run).await?;
                let open = open_attempts(run);
                self.work.keep_calls(|attempt| open.contains(&attempt));
                Ok(())
            }
            Append::Done(appended) => {
                let Proposal { records, effects, execution } = proposal;
                let execution = execution.expect("a decision with records has an execution");
                let ends = execution.status().is_terminal();
                let (epoch, mut abandoned) = (run.epoch(), run.execution.abandoned_map_runs().len());
                let void =
                    if ends { run.execution.timers().map(|(timer, _)| timer).collect() } else { vec![] };
                self.committed(run, &writer, appended, &records, execution);
                engine.announce(run, records);
                self.at_tail = true;
                self.results_are_in(run);
                let begins = effects.iter().any(|effect| matches!(effect, Effect::CallTask(_)));
                let holds = !ends && (begins || self.work.holds_calls());
                self.engine = if holds { self.insisting } else { self.patient };
                if ends {
                    self.work.abort_all();
                    self.cancel_timers(run, void).await;
                    return Ok(());
                }
                // A redrive forgets those that were stopped with the end.
                if run.epoch() > epoch {
                    abandoned = 0;
                }
                self.stop_abandoned(run, abandoned).await?;
                self.perform(run, effects, began).await
            }
        }
    }

    /// Takes a page in that was just committed, and tells of it.
    pub(crate) fn committed(
        &mut self,
        run: &mut Run,
        writer: &Writer,
        appended: Appended,
        records: &[Record],
        execution: Execution,
    ) {
        if self.audience.is_none() {
            return run.committed(writer, appended, records, execution);
        }
        let mut pages: Vec<_> = run.facts().iter().map(|fact| fact.events.clone()).collect();
        run.committed(writer, appended, records, execution);
        pages.push(PageEvents::of(records, &run.execution));
        self.tell(run, &pages);
    }

    /// What is decided instead of a page that the store cannot hold: the execution fails.
    fn give_up(
        &self,
        run: &Run,
        definition: &Definition,
        (bytes, most, why): (usize, usize, &str),
    ) -> Proposal {
        let clock = &self.ports().clock;
        let mut proposal = Proposal::default();
        if let Some(start @ Trigger::Start { .. }) = &self.trigger {
            proposal.add(apply(definition, &run.execution, start, clock.decision()));
        }
        let cause = format!(
            "What was to be recorded at once has {bytes} bytes, and the store of this account holds {most}: {why}."
        );
        let error = ErrorOutput::new(ErrorName::DATA_LIMIT_EXCEEDED, cause);
        let execution = proposal.execution_or(&run.execution);
        proposal.add(apply(definition, execution, &Trigger::GivenUp(error), clock.decision()));
        proposal
    }

    /// Line 15: what the page owes. Timers and offers first: calls only while the lease surely holds.
    pub(crate) async fn perform(
        &mut self,
        run: &Run,
        effects: Vec<Effect>,
        began: Duration,
    ) -> Result<(), DriveError> {
        let mut calls = vec![];
        for effect in effects {
            match effect {
                Effect::SetTimer { timer, due } => self.set_timer(run, timer, due).await?,
                Effect::CancelTimer { timer } => self.cancel_timers(run, vec![timer]).await,
                Effect::CancelTask { attempt, job } => {
                    self.work.abort_call(attempt);
                    if let Some(job) = job {
                        self.ports().tasks.cancel(&run.meta.info, &job).await;
                    }
                }
                Effect::OfferTask { attempt, activity } => self.offer(run, attempt, activity).await?,
                Effect::CallTask(call) => calls.push(call),
                Effect::StartMapRun { attempt } => self.begin_map_run(run, attempt).await?,
            }
        }
        if calls.is_empty() {
            return Ok(());
        }
        self.hold_lease(began)?;
        let (meta, open) = (&run.meta, open_attempts(run));
        // A page may claim a call and then give it up, as when a sibling branch fails.
        for call in calls.into_iter().filter(|call| open.contains(&call.attempt)) {
            let arn = &meta.execution_arn;
            let token =
                call.resource.has_token().then(|| token::encode(arn, call.attempt, call.nonce).into());
            let parent = call.resource.awaits_job().then(|| Parent::Task {
                execution_arn: arn.clone(),
                run: meta.run,
                epoch: run.epoch(),
                attempt: call.attempt,
                resource: call.resource.to_string().into(),
            });
            // Nobody could be told of an Express execution's: it is made again from its beginning.
            let wait_max = self.engine.wait_max().filter(|_| !meta.info.express);
            let call = TaskCall { info: meta.info.clone(), call, token, parent, wait_max };
            self.work.call(self.engine, call);
        }
        Ok(())
    }

    /// Begins or redrives the Map Run of `attempt`, if it is still waited for.
    pub(crate) async fn begin_map_run(&mut self, run: &Run, attempt: AttemptId) -> Result<(), DriveError> {
        let Some((_, map_run)) = run.execution.map_run(attempt) else { return Ok(()) };
        let (execution, id) = (run.meta.execution_arn.clone(), run.meta.run);
        let body = match map_run.redrives {
            0 => MapRunMessage::Begin { execution, run: id, attempt },
            redrives => MapRunMessage::Redrive { execution, run: id, attempt, redrives },
        };
        self.work.during(self.engine.send_to_map_run(&map_run.arn, body)).await
    }

    /// Stops the Map Runs that nobody waits for any more, but for the first `known` of them.
    pub(crate) async fn stop_abandoned(&mut self, run: &Run, known: usize) -> Result<(), DriveError> {
        for arn in run.execution.abandoned_map_runs().iter().skip(known) {
            self.work.during(self.engine.send_to_map_run(arn, MapRunMessage::Stop)).await?;
        }
        Ok(())
    }

    /// Forgets timers that nothing waits for any more: a courtesy to the queue.
    async fn cancel_timers(&mut self, run: &Run, timers: Vec<TimerId>) {
        let (queue, meta) = (&self.ports().queue, &run.meta);
        for timer in timers {
            self.work.abort_timer(timer);
            self.work.during(queue.cancel_timer(&meta.execution_arn, meta.run, timer)).await;
        }
    }

    async fn set_timer(&mut self, run: &Run, timer: TimerId, due: Timestamp) -> Result<(), DriveError> {
        // Most Express executions end long before their five minutes, and by their first driver: they need no message.
        let times_all = |(id, set): (TimerId, &Timer)| id == timer && set.purpose == TimerPurpose::Execution;
        let is_whole = run.meta.info.express && run.execution.timers().any(times_all);
        if (due < self.soon() || is_whole) && !self.slice_is_over() {
            self.work.wait(self.ports().clock.clone(), timer, due);
            return Ok(());
        }
        self.send_timer(run, timer, due).await
    }

    /// A driver stays for what is due before.
    fn soon(&self) -> Timestamp {
        later(self.ports().clock.now(), IN_PROCESS_MAX)
    }

    /// Lets a timer's message come when it is due.
    pub(crate) async fn send_timer(
        &mut self,
        run: &Run,
        timer: TimerId,
        due: Timestamp,
    ) -> Result<(), DriveError> {
        let body = MessageBody::TimerFired { timer, due };
        let delay = time_until(due, self.ports().clock.now());
        if delay <= self.settings().queue_delay_max {
            return self.send(run, body, (!delay.is_zero()).then_some(due)).await;
        }
        let (scheduler, message) = (&self.ports().scheduler, self.engine.message(run, body));
        let sent = self.engine.patiently(|| scheduler.schedule(message.clone(), due));
        Ok(self.work.during(sent).await?)
    }

    pub(crate) async fn send(
        &mut self,
        run: &Run,
        body: MessageBody,
        due: Option<Timestamp>,
    ) -> Result<(), DriveError> {
        let (queue, message) = (&self.ports().queue, self.engine.message(run, body));
        let sent = self.engine.patiently(|| queue.send(message.clone(), due));
        Ok(self.work.during(sent).await?)
    }

    /// Lines 18–21.
    async fn leave(mut self, mut run: Run) -> Result<Driven, DriveError> {
        if !run.execution.status().is_terminal() {
            for (timer, due) in self.work.take_timers() {
                self.send_timer(&run, timer, due).await?;
            }
            let void = run.first_driver(&self.me.message).is_none();
            if let Some(left) = self.time_until_due(&run).filter(|_| void && !planted(Bug::EarlyTimerDropped))
            {
                self.engine.keep(run);
                return self.engine.too_early(&self.message, left.max(AGAIN_AT_LEAST)).await;
            }
            if void && self.is_early(&run) {
                self.engine.keep(run);
                return self.engine.too_early(&self.message, CHILD_WAIT).await;
            }
            if self.slice_is_over() && run.execution.is_ready() && !planted(Bug::ContinueForgotten) {
                self.send(&run, MessageBody::Continue { after: run.seq.0, bury: None }, None).await?;
            }
        }
        self.engine.finish(&mut run).await?;
        self.tell_the_rest(&run).await;
        self.engine.keep(run);
        Ok(Driven::Done)
    }

    /// Whether the message tells of the end of an execution, and the answer to the call that started it is not recorded yet.
    fn is_early(&self, run: &Run) -> bool {
        let MessageBody::ChildFinished { attempt, .. } = &self.message.body else { return false };
        run.execution.call(*attempt).is_some() && !run.execution.awaits_child(*attempt)
    }

    /// How long the message's timer has still to go, where it is set: it came early, or a clock has gone back since.
    fn time_until_due(&self, run: &Run) -> Option<Duration> {
        let MessageBody::TimerFired { timer, .. } = &self.message.body else { return None };
        let (_, set) = run.execution.timers().find(|(id, _)| id == timer)?;
        Some(time_until(set.due, self.ports().clock.now()))
    }
}

fn enters_state(decision: &Decision) -> bool {
    let enters =
        |record: &Record| matches!(record, Record::Event(Event { body: EventBody::StateEntered { .. }, .. }));
    decision.records.iter().any(enters)
}

fn open_attempts(run: &Run) -> BTreeSet<AttemptId> {
    run.execution.calls().map(|(_, call)| call.attempt).collect()
}
