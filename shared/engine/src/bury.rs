//! Leases, and what a delivery does that finds another's work (PROTOCOL §4, lines 22–28).

use std::time::Duration;

use stepwell_asl::Definition;
use stepwell_interpreter::{AttemptId, Claimant, Effect, Family, Resource, Trigger, apply};

use crate::commit::{Append, Proposal};
use crate::driver::{DriveError, Driver};
use crate::engine::Driven;
use crate::message::MessageBody;
use crate::planted::{Bug, planted};
use crate::port::Writer;
use crate::run::Run;
use crate::work::{later, time_until};

/// How far two clocks may be apart.
const SKEW: Duration = Duration::from_secs(5);

impl Driver<'_> {
    /// Another delivery of this message was here: it is dead, or a zombie. This one settles what it left, and claims
    /// nothing itself: an old receipt may delete the message at any moment.
    pub(crate) async fn take_over(
        mut self,
        mut run: Run,
        definition: &Definition,
    ) -> Result<Driven, DriveError> {
        self.reach_tail(&mut run).await?;
        let message = self.me.message.clone();
        if let Some(driven) = self.bury(&mut run, definition, &message).await? {
            return Ok(driven);
        }
        self.tell_again(&run, &message).await?;
        if !run.execution.status().is_terminal() {
            let timers = run.timers_of(&message).into_iter().filter(|_| !planted(Bug::TimerNotSetAgain));
            for (timer, due) in timers {
                self.send_timer(&run, timer, due).await?;
            }
            for (attempt, activity) in run.offers_of(&message) {
                self.offer(&run, attempt, activity).await?;
            }
            for attempt in run.map_runs_of(&message) {
                self.begin_map_run(&run, attempt).await?;
            }
            self.stop_abandoned(&run, 0).await?;
            if run.execution.is_ready() {
                self.send(&run, MessageBody::Continue { after: run.seq.0, bury: None }, None).await?;
            }
        }
        self.engine.finish(&mut run).await?;
        self.tell_the_rest(&run).await;
        self.engine.keep(run);
        Ok(Driven::Done)
    }

    /// Fences the first driver of `message` and settles its open calls, in one page.
    ///
    /// Gives what becomes of this delivery where that cannot be done now.
    pub(crate) async fn bury(
        &mut self,
        run: &mut Run,
        definition: &Definition,
        message: &str,
    ) -> Result<Option<Driven>, DriveError> {
        loop {
            let Some(first) = run.first_driver(message).filter(|first| *first != self.me) else {
                return Ok(None);
            };
            if let Some(left) = self.lease_left(run, message).await? {
                let (queue, mine) = (&self.ports().queue, &self.me.message);
                self.engine.patiently(|| queue.set_visibility(mine, left)).await?;
                return Ok(Some(Driven::Again { after: left }));
            }
            // Also where nothing is open: it may be alive and about to claim.
            if run.execution.is_lost(&first) || run.execution.status().is_terminal() {
                return Ok(None);
            }
            let now = self.ports().clock.decision();
            let mut proposal = Proposal::default();
            let callable_again = self.callable_again(run, &first);
            let trigger = Trigger::DriverLost { claimant: first, callable_again };
            proposal.add(apply(definition, &run.execution, &trigger, now));
            let writer = Writer::Driver(self.me.clone());
            match self.engine.append(run, &writer, &proposal).await? {
                Append::Conflict => self.engine.refresh(run).await?,
                Append::Done(appended) => {
                    let Some(execution) = proposal.execution else { return Ok(None) };
                    // What is mine is told with everything else under my message ([`Driver::take_over`]).
                    if *message == *self.me.message {
                        run.committed(&writer, appended, &proposal.records, execution);
                    } else {
                        self.committed(run, &writer, appended, &proposal.records, execution);
                    }
                    self.engine.announce(run, proposal.records);
                    if *message != *self.me.message {
                        self.set_timers(run, proposal.effects).await?;
                    }
                    return Ok(None);
                }
            }
        }
    }

    /// The calls that `driver` has claimed and that do no harm when they are made a second time.
    fn callable_again(&self, run: &Run, driver: &Claimant) -> Vec<AttemptId> {
        let (tasks, express) = (&self.ports().tasks, run.meta.info.express);
        let claimed = run.execution.calls().filter(|(_, call)| call.claimant() == Some(driver));
        let again = claimed.filter(|(_, call)| {
            express || resource(&call.family).is_some_and(|resource| tasks.is_idempotent(&resource))
        });
        again.map(|(_, call)| call.attempt).collect()
    }

    async fn set_timers(&mut self, run: &Run, effects: Vec<Effect>) -> Result<(), DriveError> {
        for effect in effects {
            if let Effect::SetTimer { timer, due } = effect {
                self.send_timer(run, timer, due).await?;
            }
        }
        Ok(())
    }

    /// What is left of the lease of the first driver of `message`.
    async fn lease_left(&mut self, run: &Run, message: &str) -> Result<Option<Duration>, DriveError> {
        if self.settings().former_deliveries_are_dead || planted(Bug::LeaseIgnored) {
            return Ok(None);
        }
        let journal = &self.ports().journal;
        let written = self.engine.patiently(|| journal.lease(message)).await?;
        let by_page = run.wrote_at(message).map(|at| later(at, self.settings().visibility + SKEW));
        let now = self.ports().clock.now();
        let left = written.max(by_page).map(|until| time_until(until, now));
        Ok(left.filter(|left| !left.is_zero()))
    }

    /// Before the first claim: from now on the message comes back soon after this driver's last sign of life.
    pub(crate) async fn take_lease(&mut self) -> Result<(), DriveError> {
        if self.settings().former_deliveries_are_dead || self.lease.is_some() {
            return Ok(());
        }
        let (clock, visibility) = (self.ports().clock.clone(), self.settings().visibility);
        let began = clock.monotonic();
        let (queue, mine) = (&self.ports().queue, &self.me.message);
        self.engine.patiently(|| queue.set_visibility(mine, visibility)).await?;
        self.lease = Some(began + visibility);
        self.work.pulse(clock, visibility / 3);
        Ok(())
    }

    /// A page that was begun at `began` was committed: it renews the lease as it counts for others.
    ///
    /// # Errors
    /// [`DriveError::LeaseOver`] where that took so long that another delivery may think this driver dead.
    pub(crate) fn hold_lease(&mut self, began: Duration) -> Result<(), DriveError> {
        let Some(lease) = self.lease else { return Ok(()) };
        let lease = lease.max(began + self.settings().visibility);
        self.lease = Some(lease);
        if self.ports().clock.monotonic() < lease { Ok(()) } else { Err(DriveError::LeaseOver) }
    }

    /// A sign of life.
    pub(crate) async fn renew_lease(&mut self) -> Result<(), DriveError> {
        let (ports, visibility) = (self.ports(), self.settings().visibility);
        let (began, until) = (ports.clock.monotonic(), later(ports.clock.now(), visibility + SKEW));
        let (engine, mine) = (self.engine, self.me.message.clone());
        let hidden = engine.patiently(|| ports.queue.set_visibility(&mine, visibility));
        self.work.during(hidden).await?;
        let written = engine.patiently(|| ports.journal.put_lease(&mine, until));
        self.work.during(written).await?;
        self.lease = Some(began + visibility);
        self.work.pulse(ports.clock.clone(), visibility / 3);
        Ok(())
    }
}

/// The Resource that writes events of this family.
fn resource(family: &Family) -> Option<Resource> {
    match family {
        Family::LambdaFunction { resource } | Family::Activity { resource } => Resource::parse(resource),
        Family::Task { resource_type, resource, .. } => {
            Resource::parse(&format!("arn:aws:states:::{resource_type}:{resource}"))
        }
    }
}
