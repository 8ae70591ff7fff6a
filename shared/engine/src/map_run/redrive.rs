//! Redriving a Map Run, which the execution that waits for it began again (Developer Guide, "Redriving Map Runs").
//!
//! Executions without success are *claimed* by their indexes, as many as there is room for, and then redriven: those of
//! Standard type go on where they ended, those of Express type are started again under another name. Whoever finds
//! claims that are not done does them, too: an execution is redriven once for each redrive of its Map Run, by
//! a token that names it. So an outcome is of one redrive, and a message of an earlier one changes nothing.

use std::sync::Arc;

use futures::stream::{StreamExt, TryStreamExt, iter};
use stepwell_expr::Payload;
use stepwell_interpreter::AttemptId;

use super::children::{AT_ONCE, child_machine};
use super::results::result_of;
use super::{Change, Count, Ended, Ending, Known, MapRun, Outcome};
use crate::Engine;
use crate::driver::DriveError;
use crate::engine::{RedriveError, StartError, StartRequest};
use crate::meta::{Meta, Parent, RunId};

/// Executions that are read at once.
const READ: usize = 200;

impl Engine {
    /// Lets a Map Run that is over go on, if an attempt of `execution` waits for it. Where it is not over yet, nothing
    /// happens.
    pub(super) async fn redrive_map_run(
        &self,
        arn: &Arc<str>,
        execution: &Arc<str>,
        run: RunId,
        (attempt, redrives): (AttemptId, u32),
    ) -> Result<(), DriveError> {
        let Some(parent) = self.load(execution).await?.filter(|parent| parent.meta.run == run) else {
            return Ok(());
        };
        let begun = self.new_map_run(arn, &parent, attempt).await?;
        self.keep(parent);
        // Nobody may have begun it before the execution was stopped.
        let (map_runs, at) = (&self.inner.ports.map_runs, self.inner.ports.clock.now());
        let new = Arc::new(MapRun { redrives, redriven_at: Some(at), ..begun.clone() });
        self.patiently(|| map_runs.create(new.clone())).await?;
        // Where nothing waits any more, whoever drives the Map Run finds that out.
        let Some(known) = self.known_one_by_one(arn).await? else { return Ok(()) };
        let begun = Box::new(begun);
        self.change(arn, Change::Redrive { redrives, at, known, begun }).await?;
        Ok(())
    }

    /// The executions before the cursor that have ended. The Map Run's own counters have those behind it, too, which
    /// somebody started when it was too late. `None` where it is not over: what is read of it then may change before it is.
    async fn known_one_by_one(&self, arn: &Arc<str>) -> Result<Option<Ended>, DriveError> {
        let map_runs = &self.inner.ports.map_runs;
        let (mut known, mut from) = (Ended::default(), 0);
        let map_run = self.patiently(|| map_runs.map_run(arn)).await?;
        let Some(map_run) = map_run.filter(|map_run| map_run.closed_at.is_some()) else { return Ok(None) };
        while from < map_run.cursor.children {
            let found = self.patiently(|| map_runs.outcomes(arn, from, READ, false)).await?;
            let Some(last) = found.last() else { break };
            from = last.index + 1;
            for one in found.iter().filter(|one| one.index < map_run.cursor.children) {
                known.of(one.status).add(Count { children: 1, items: one.items });
            }
        }
        Ok(Some(known))
    }

    /// Whether redrive number `redrives` has begun, or never will.
    pub(super) async fn has_begun_redrive(&self, arn: &Arc<str>, redrives: u32) -> Result<bool, DriveError> {
        let map_runs = &self.inner.ports.map_runs;
        let found = self.patiently(|| map_runs.map_run(arn)).await?;
        Ok(found.is_none_or(|map_run| map_run.redrives >= redrives))
    }

    /// Nobody waits any more for a Map Run, says a message, which may be of an earlier redrive.
    pub(super) async fn stop_map_run(&self, arn: &Arc<str>) -> Result<(), DriveError> {
        let map_runs = &self.inner.ports.map_runs;
        let Some(map_run) = self.patiently(|| map_runs.map_run(arn)).await? else { return Ok(()) };
        self.inner.plans.take(arn);
        if map_run.redrives == 0 || self.plan(&map_run).await?.is_none() {
            self.change_this(&map_run, Change::End(Ending::Aborted)).await?;
        }
        Ok(())
    }

    /// Claims executions that wait to go on, as many as there is room for; whether the Map Run is then to be looked at
    /// again.
    pub(super) async fn claim(&self, map_run: &MapRun) -> Result<bool, DriveError> {
        let room = self.room(map_run);
        if room == 0 {
            return Ok(false);
        }
        let (map_runs, from) = (&self.inner.ports.map_runs, map_run.claims.claimed);
        let found = self.patiently(|| map_runs.outcomes(&map_run.arn, from, room as usize, true)).await?;
        let change = match found.last() {
            None => Change::Claim { from, to: from, which: None },
            Some(last) => {
                let mut which = Ended::default();
                // What is behind the cursor was not counted.
                for one in found.iter().filter(|one| one.index < map_run.cursor.children) {
                    which.of(one.status).add(Count { children: 1, items: one.items });
                }
                Change::Claim { from, to: last.index + 1, which: Some(which) }
            }
        };
        self.change_this(map_run, change).await?;
        Ok(true)
    }

    /// Redrives what is claimed.
    pub(super) async fn redrive_claimed(&self, map_run: &MapRun) -> Result<bool, DriveError> {
        let (map_runs, to) = (&self.inner.ports.map_runs, map_run.claims.claimed);
        let mut from = map_run.claims.done;
        while from < to {
            let found = self.patiently(|| map_runs.outcomes(&map_run.arn, from, READ, true)).await?;
            from = found.last().map_or(to, |last| last.index + 1);
            // Those behind the cursor were started by one who was late, and are started anew when it is their turn. Those
            // that have ended in this redrive have been redriven.
            let claimed = found.into_iter().filter(|one| {
                one.index < to && one.index < map_run.cursor.children && one.redrives < map_run.redrives
            });
            iter(claimed)
                .map(|one| self.redrive_one(map_run, one))
                .buffer_unordered(AT_ONCE)
                .try_collect::<()>()
                .await?;
        }
        self.change_this(map_run, Change::Claimed(to)).await?;
        Ok(true)
    }

    async fn redrive_one(&self, map_run: &MapRun, one: Known) -> Result<(), DriveError> {
        let (_, arn) = map_run.child(one.index, one.begun);
        let journal = &self.inner.ports.journal;
        let meta = self.patiently(|| journal.meta(&arn)).await?;
        let goes_on = match &meta {
            None => false,
            Some(meta) if map_run.express => {
                match self.start(map_run.started_again(meta, one)).await {
                    // Another driver has started it.
                    Ok(_) | Err(StartError::AlreadyExists { .. }) => true,
                    Err(StartError::Unavailable(error)) => return Err(DriveError::Child(error)),
                }
            }
            Some(_) => match self.redrive_child(&arn, map_run.redrives).await {
                Ok(()) => true,
                Err(RedriveError::Unavailable(error)) => return Err(DriveError::Child(error)),
                Err(_) => false,
            },
        };
        if goes_on {
            return Ok(());
        }
        let result = meta.map_or_else(Payload::default, |meta| result_of(&meta, map_run.transformation));
        let Known { index, items, status, begun, .. } = one;
        let redrives = map_run.redrives;
        let outcome = Outcome { index, items, status, result, begun, redrives, not_redrivable: true };
        self.change_this(map_run, Change::Outcome(outcome)).await?;
        Ok(())
    }
}

impl MapRun {
    /// The start of an Express execution that `earlier` was before.
    fn started_again(&self, earlier: &Meta, one: Known) -> StartRequest {
        let (name, execution_arn) = self.child(one.index, self.redrives);
        let (index, items) = (one.index, one.items);
        StartRequest {
            machine: Arc::new(child_machine(earlier, &self.state_machine_arn, true)),
            execution_arn,
            name,
            input: earlier.input.clone(),
            trace_header: None,
            version_arn: None,
            alias_arn: None,
            parent: Some(Parent::MapRun { map_run_arn: self.arn.clone(), index, items }),
        }
    }
}
