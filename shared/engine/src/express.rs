//! Express executions in memory: in the task of a caller who waits for the end (StartSyncExecution), or of whoever receives their message.

use std::sync::Arc;
use std::time::Duration;

use stepwell_asl::{Definition, ErrorName};
use stepwell_interpreter::{
    BranchId, Claimant, EXPRESS_SECONDS_MAX, Effect, ErrorOutput, Event, EventBody, EventId, Record, Trigger,
    advance_while, apply, evolve, token,
};

use crate::Engine;
use crate::commit::Proposal;
use crate::definitions::logging;
use crate::driver::DriveError;
use crate::engine::{Driven, ExpressRun, StartError, StartRequest, Started};
use crate::message::{Message, MessageBody};
use crate::meta::{Meta, RunId};
use crate::notices::{Audience, PageEvents};
use crate::port::TaskCall;
use crate::work::{Work, give_way};

/// Longest that an Express execution runs.
const DURATION_MAX: Duration = Duration::from_secs(EXPRESS_SECONDS_MAX);

/// Bytes of payload that the records of one execution may hold: they are kept in memory until it ends.
const PAYLOAD_BYTES_MAX: usize = 256 << 20;

/// How long a message is hidden at least when it is received. One that takes longer is hidden anew.
const HIDDEN: Duration = Duration::from_secs(20);

impl Engine {
    /// Runs an Express execution to its end in the caller's task (API: StartSyncExecution). Nothing is stored. Its log is written
    /// when this returns, or given up.
    ///
    /// # Errors
    /// [`StartError::Unavailable`] where the definition cannot be read.
    pub async fn start_sync(&self, request: StartRequest) -> Result<ExpressRun, StartError> {
        let clock = &self.inner.ports.clock;
        let definition = self.definition(&request.machine).map_err(|diagnostics| {
            let first = diagnostics.first().map_or("no reason given", |diagnostic| &diagnostic.message);
            StartError::Unavailable(format!("the definition cannot be read: {first}").into())
        })?;
        let audience = self.audience(logging(&request.machine), true);
        let meta = request.meta(RunId::default(), clock.now());
        let mut express = Express::new(self, definition, audience, meta);
        express.run(self.before_the_end(DURATION_MAX)).await;
        express.time_out();
        Ok(express.ended().await)
    }

    /// Starts an Express execution by one message, and stores nothing else (API: StartExecution). Who receives it runs it.
    pub(crate) async fn start_in_memory(&self, request: StartRequest) -> Result<Started, StartError> {
        let ports = &self.inner.ports;
        let sent_at = ports.clock.now();
        let meta = Arc::new(request.meta(RunId::default(), sent_at));
        let (execution, run) = (meta.execution_arn.clone(), meta.run);
        let body = MessageBody::Express(meta);
        let message = Message { execution: execution.clone(), run, epoch: 0, sent_at, body };
        let sent = self.patiently(|| ports.queue.send(message.clone(), None)).await;
        sent.map_err(|error| StartError::Unavailable(error.into()))?;
        Ok(Started { execution_arn: execution, started_at: sent_at })
    }

    /// Runs the execution that [`Engine::start_in_memory`] started, from its beginning, whoever may have run it before.
    ///
    /// What the driver's time does not suffice for is run again by another. Before a queue gives the message up, that is its timeout:
    /// so its log says what came of it.
    pub(crate) async fn drive_express(
        &self,
        meta: Meta,
        message: &str,
        receives: u32,
    ) -> Result<Driven, DriveError> {
        let definition = self.definition_of(&meta).await?;
        let audience = self.audience_of(&meta).await?;
        let mut express = Express::new(self, definition, audience, meta);
        let clock = &self.inner.ports.clock;
        let (whole, ends) = (clock.monotonic() + DURATION_MAX, self.before_the_end(DURATION_MAX));
        express.run(ends.min(clock.monotonic() + HIDDEN)).await;
        if !express.has_ended() && clock.monotonic() < ends {
            let (queue, left) = (&self.inner.ports.queue, ends - clock.monotonic());
            let hidden = self.patiently(|| queue.set_visibility(message, left + HIDDEN));
            // Received by another meanwhile, it runs twice, which may happen to it anyhow.
            let _ = express.work.during(hidden).await;
            express.run(ends).await;
        }
        let is_cut_off = !express.has_ended() && ends < whole && clock.monotonic() >= ends;
        if is_cut_off && self.inner.settings.receives_max.is_none_or(|max| receives < max) {
            return Ok(Driven::Again { after: Duration::ZERO });
        }
        express.time_out();
        express.ended().await;
        Ok(Driven::Done)
    }
}

struct Express<'e> {
    engine: &'e Engine,
    definition: Arc<Definition>,
    claimant: Claimant,
    meta: Meta,
    audience: Option<Audience>,
    proposal: Proposal,
    /// How many of the records are told.
    told: usize,
    work: Work,
    /// Bytes of payload that the records hold.
    payload_bytes: usize,
}

impl<'e> Express<'e> {
    fn new(engine: &'e Engine, definition: Arc<Definition>, audience: Option<Audience>, meta: Meta) -> Self {
        let claimant = Claimant { message: "express".into(), delivery: engine.inner.ports.clock.random() };
        let (proposal, work) = (Proposal::default(), Work::default());
        Express { engine, definition, claimant, meta, audience, proposal, told: 0, work, payload_bytes: 0 }
    }

    /// Goes on until the execution has ended, nothing can happen to it any more, or it is `ends` by the monotonic clock.
    async fn run(&mut self, ends: Duration) {
        let clock = &self.engine.inner.ports.clock;
        let (info, input) = (self.meta.info.clone(), self.meta.input.clone());
        match &self.proposal.execution {
            None => self.take_in(vec![Trigger::Start { info, input }], ends).await,
            // What was ready when the time was over that it was given first.
            Some(execution) if execution.is_ready() => self.take_in(vec![], ends).await,
            Some(_) => {}
        }
        while !self.has_ended() && clock.monotonic() < ends {
            let left = ends.saturating_sub(clock.monotonic());
            if !self.work.arrival_within(clock.sleep(left)).await {
                return;
            }
            let arrived = self.work.take_arrived();
            self.take_in(arrived, ends).await;
        }
    }

    fn has_ended(&self) -> bool {
        self.proposal.execution.as_ref().is_some_and(|execution| execution.status().is_terminal())
    }

    /// What came of it, when all of it is told.
    async fn ended(mut self) -> ExpressRun {
        self.work.abort_all();
        self.work.aside_is_done().await;
        let Proposal { records, execution, .. } = self.proposal;
        let execution = execution.unwrap_or_default();
        let stopped_at = self.engine.inner.ports.clock.now();
        let (info, started_at) = (self.meta.info.clone(), self.meta.info.started_at);
        ExpressRun { info, records, execution, started_at, stopped_at }
    }

    /// Tells of the records that are new.
    fn tell(&mut self) {
        let (Some(audience), Some(execution)) = (&self.audience, &self.proposal.execution) else { return };
        let page = PageEvents::of(&self.proposal.records[self.told..], execution);
        self.told = self.proposal.records.len();
        if let Some(told) = audience.tell(&self.meta, &[page]) {
            self.work.aside(told);
        }
    }

    /// Takes in what arrived, and does everything that is then ready, until it is `ends`. Others have their turn between two
    /// decisions.
    async fn take_in(&mut self, arrived: Vec<Trigger>, ends: Duration) {
        let (engine, ports) = (self.engine, &self.engine.inner.ports);
        let none = Default::default();
        for trigger in arrived {
            let execution = self.proposal.execution_or(&none);
            self.proposal.add(apply(&self.definition, execution, &trigger, ports.clock.decision()));
        }
        loop {
            if !self.proposal.execution_or(&none).is_ready() {
                break;
            }
            let turn = self.work.during(engine.turn(&self.meta)).await;
            let execution = self.proposal.execution_or(&none);
            let (definition, claimant) = (&self.definition, &self.claimant);
            let decide = |goes_on: &mut dyn FnMut() -> bool| {
                advance_while(definition, execution, claimant, ports.clock.decision(), &[], goes_on)
            };
            let decision = turn.decide(decide);
            if decision.records.is_empty() {
                break;
            }
            self.payload_bytes += decision.payload_bytes;
            self.proposal.add(decision);
            if self.payload_bytes > PAYLOAD_BYTES_MAX {
                self.give_up();
            }
            if !self.proposal.execution_or(&none).is_ready() {
                break;
            }
            self.tell();
            self.perform();
            self.work.during(give_way()).await;
            if ports.clock.monotonic() >= ends {
                return;
            }
        }
        self.tell();
        self.perform();
    }

    fn perform(&mut self) {
        let ports = &self.engine.inner.ports;
        let ended = self.has_ended();
        let Some(info) = self.proposal.execution.as_ref().and_then(|execution| execution.info()).cloned()
        else {
            return;
        };
        for effect in std::mem::take(&mut self.proposal.effects) {
            match effect {
                _ if ended => {}
                Effect::SetTimer { timer, due } => self.work.wait(ports.clock.clone(), timer, due),
                Effect::CancelTimer { timer } => self.work.abort_timer(timer),
                Effect::CancelTask { attempt, .. } => self.work.abort_call(attempt),
                // No activity may stand in an Express workflow.
                Effect::OfferTask { .. } => {}
                // No Express machine has a distributed Map: `asl::parse` refuses it.
                Effect::StartMapRun { .. } => {}
                Effect::CallTask(call) => {
                    let token = token::encode(&info.execution_arn, call.attempt, call.nonce).into();
                    let token = call.resource.has_token().then_some(token);
                    let (info, parent, wait_max) = (info.clone(), None, None);
                    self.work.call(self.engine, TaskCall { info, call, token, parent, wait_max });
                }
            }
        }
    }

    /// Its records are more than one process can keep for it.
    fn give_up(&mut self) {
        let cause = format!("The states of the execution gave more than {PAYLOAD_BYTES_MAX} bytes together.");
        let given_up = Trigger::GivenUp(ErrorOutput::new(ErrorName::DATA_LIMIT_EXCEEDED, cause));
        let (none, now) = (Default::default(), self.engine.inner.ports.clock.decision());
        let decision = apply(&self.definition, self.proposal.execution_or(&none), &given_up, now);
        self.proposal.add(decision);
    }

    /// Ends what has not ended as the timer of its five minutes does: its time is over, or the process's that runs it.
    fn time_out(&mut self) {
        let Some(execution) = self.proposal.execution.as_mut().filter(|e| !e.status().is_terminal()) else {
            return;
        };
        let error = ErrorOutput { error: Some(ErrorName::TIMEOUT.into()), cause: None };
        let (at, body) = (self.engine.inner.ports.clock.now(), EventBody::ExecutionTimedOut(error));
        let record = Record::Event(Event { at, branch: BranchId::default(), previous: EventId(0), body });
        evolve(execution, &record);
        self.proposal.records.push(record);
        self.tell();
    }
}
