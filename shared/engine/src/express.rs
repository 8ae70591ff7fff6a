//! StartSyncExecution: an Express execution in memory, in the caller's task.

use std::sync::Arc;
use std::time::Duration;

use stepwell_asl::{Definition, ErrorName};
use stepwell_interpreter::{
    BranchId, Claimant, Effect, ErrorOutput, Event, EventBody, Record, Trigger, advance, apply, evolve, token,
};

use crate::Engine;
use crate::commit::Proposal;
use crate::engine::{ExpressRun, StartError, StartRequest};
use crate::meta::RunId;
use crate::port::TaskCall;
use crate::work::Work;

/// Longest that an Express execution runs (Developer Guide, "Service quotas").
const DURATION_MAX: Duration = Duration::from_secs(300);

impl Engine {
    /// Runs an Express execution to its end in the caller's task (API: StartSyncExecution). Nothing is stored.
    ///
    /// # Errors
    /// [`StartError::Unavailable`] where the definition cannot be read.
    pub async fn start_sync(&self, request: StartRequest) -> Result<ExpressRun, StartError> {
        let clock = &self.inner.ports.clock;
        let definition = self.definition(&request.machine).map_err(|diagnostics| {
            let first = diagnostics.first().map_or("no reason given", |diagnostic| &diagnostic.message);
            StartError::Unavailable(format!("the definition cannot be read: {first}").into())
        })?;
        let (started_at, ends) = (clock.now(), self.before_the_end(DURATION_MAX));
        let meta = request.meta(RunId::default(), started_at);
        let info = meta.info.clone();
        let claimant = Claimant { message: "express".into(), delivery: clock.random() };
        let start = Trigger::Start { info: info.clone(), input: meta.input };
        let mut express = Express {
            engine: self,
            definition,
            claimant,
            proposal: Proposal::default(),
            work: Work::default(),
        };
        express.take_in(vec![start]);
        while !express.has_ended() && clock.monotonic() < ends {
            let left = ends.saturating_sub(clock.monotonic());
            let mut work = std::mem::take(&mut express.work);
            let arrived = work.arrival_within(clock.sleep(left)).await;
            express.work = work;
            if !arrived {
                break;
            }
            let arrived = express.work.take_arrived();
            express.take_in(arrived);
        }
        express.time_out();
        let Proposal { records, execution, .. } = express.proposal;
        let execution = execution.unwrap_or_default();
        Ok(ExpressRun { info, records, execution, started_at, stopped_at: clock.now() })
    }
}

struct Express<'e> {
    engine: &'e Engine,
    definition: Arc<Definition>,
    claimant: Claimant,
    proposal: Proposal,
    work: Work,
}

impl Express<'_> {
    fn has_ended(&self) -> bool {
        self.proposal.execution.as_ref().is_some_and(|execution| execution.status().is_terminal())
    }

    /// Takes in what arrived, and does everything that is then ready.
    fn take_in(&mut self, arrived: Vec<Trigger>) {
        let ports = &self.engine.inner.ports;
        let none = Default::default();
        for trigger in arrived {
            let execution = self.proposal.execution_or(&none);
            self.proposal.add(apply(&self.definition, execution, &trigger, ports.clock.decision()));
        }
        loop {
            let execution = self.proposal.execution_or(&none);
            if !execution.is_ready() {
                break;
            }
            let decision = advance(&self.definition, execution, &self.claimant, ports.clock.decision());
            if decision.records.is_empty() {
                break;
            }
            self.proposal.add(decision);
        }
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

    /// Ends what has not ended: its time is over, or nothing can happen to it any more.
    fn time_out(&mut self) {
        let Some(execution) = self.proposal.execution.as_mut().filter(|e| !e.status().is_terminal()) else {
            return;
        };
        let previous = execution.last_event();
        let error = ErrorOutput { error: Some(ErrorName::TIMEOUT.into()), cause: None };
        let (at, body) = (self.engine.inner.ports.clock.now(), EventBody::ExecutionTimedOut(error));
        let record = Record::Event(Event { at, branch: BranchId::default(), previous, body });
        evolve(execution, &record);
        self.proposal.records.push(record);
    }
}
