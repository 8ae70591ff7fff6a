//! RedriveExecution (PROTOCOL §5, c1–c5), and which executions may be redriven.

use std::sync::Arc;
use std::time::Duration;

use stepwell_interpreter::{HISTORY_EVENTS_MAX, Redriven, Timestamp, Trigger};

use crate::Engine;
use crate::callback::FACT_TRIES_MAX;
use crate::driver::DriveError;
use crate::engine::RedriveError;
use crate::message::{Message, MessageBody};
use crate::meta::Meta;
use crate::port::{BoxError, MachineStatus, RegistryError, Writer};
use crate::run::Run;
use crate::work::time_until;

/// How long after its end an execution may be redriven (API: RedriveExecution).
const REDRIVABLE_FOR: Duration = Duration::from_secs(14 * 24 * 3600);

/// How long an execution may be open, from its start (Developer Guide, "Service quotas").
const OPEN_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long a `clientToken` is remembered (API: RedriveExecution).
const TOKEN_REMEMBERED_FOR: Duration = Duration::from_secs(15 * 60);

/// What the token begins with by which a Map Run redrives an execution, before the number of its own redrive.
const MAP_RUN_TOKEN: &str = "MapRun:";

/// Which redrive of a Map Run `redriven` belongs to, where it belongs to one.
pub(crate) fn map_run_redrives(redriven: &Redriven) -> Option<u32> {
    redriven.token.as_deref()?.strip_prefix(MAP_RUN_TOKEN)?.parse().ok()
}

/// Why an execution cannot be redriven, as `redriveStatusReason` says it (API: DescribeExecution).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRedrivable {
    /// Its state machine is deleted, or about to be.
    #[error("State machine is in DELETING status")]
    Deleting,
    /// It has not ended.
    #[error("Execution is RUNNING and cannot be redriven")]
    Running,
    /// It has ended well.
    #[error("Execution is SUCCEEDED and cannot be redriven")]
    Succeeded,
    /// Its history is full, or would be.
    #[error("Execution history event limit exceeded")]
    EventLimit,
    /// It was started too long ago.
    #[error("Execution has exceeded the max execution time")]
    OpenTooLong,
    /// It is an execution of a Map Run, which goes on with the execution that waits for that.
    #[error("Execution can be redriven by its Map Run only")]
    ByMapRun,
    /// It ended too long ago.
    #[error("Execution redrivable period exceeded")]
    EndedTooLongAgo,
}

impl Meta {
    /// Whether the execution may be redriven at `now`, as far as it alone says.
    ///
    /// # Errors
    /// Why not.
    pub fn redrivable(&self, now: Timestamp) -> Result<(), NotRedrivable> {
        let end = self.end.as_ref().ok_or(NotRedrivable::Running)?;
        let within = |since: Timestamp, limit: Duration| time_until(now, since) < limit;
        match end.status {
            "SUCCEEDED" => Err(NotRedrivable::Succeeded),
            _ if end.events >= HISTORY_EVENTS_MAX - 1 => Err(NotRedrivable::EventLimit),
            _ if !within(self.info.started_at, OPEN_MAX) => Err(NotRedrivable::OpenTooLong),
            _ if !within(end.at, REDRIVABLE_FOR) => Err(NotRedrivable::EndedTooLongAgo),
            _ => Ok(()),
        }
    }
}

impl Engine {
    /// Why the execution of this META cannot be redriven now; `None` where it can (API: DescribeExecution, `redriveStatus`).
    ///
    /// # Errors
    /// Where a port does not answer.
    pub async fn not_redrivable(&self, meta: &Meta) -> Result<Option<NotRedrivable>, BoxError> {
        Ok(self.not_redrivable_by_meta(meta).await?)
    }

    async fn not_redrivable_by_meta(&self, meta: &Meta) -> Result<Option<NotRedrivable>, RegistryError> {
        let ports = &self.inner.ports;
        if let Err(why) = meta.redrivable(ports.clock.now()) {
            return Ok(Some(why));
        }
        // An execution of a Map Run is of a label of its machine.
        let arn = meta.info.state_machine_arn.split('/').next().unwrap_or_default();
        let machine = ports.registry.machine(arn).await?;
        let is_there = machine.is_some_and(|machine| machine.status == MachineStatus::Active);
        Ok((!is_there).then_some(NotRedrivable::Deleting))
    }

    /// Lets an execution that has ended without success go on where it ended (API: RedriveExecution), and gives the date of
    /// that. The same `token` again, within its time, is answered as the first was, whatever has become of the execution.
    ///
    /// # Errors
    /// [`RedriveError`].
    pub async fn redrive(
        &self,
        execution_arn: &str,
        token: Option<Arc<str>>,
    ) -> Result<Timestamp, RedriveError> {
        self.redrive_by(execution_arn, token, None).await
    }

    /// Redrives an execution of a Map Run, in redrive number `redrives` of that, and only once in that.
    pub(crate) async fn redrive_child(&self, execution_arn: &str, redrives: u32) -> Result<(), RedriveError> {
        let token = format!("{MAP_RUN_TOKEN}{redrives}").into();
        self.redrive_by(execution_arn, Some(token), Some(redrives)).await.map(|_| ())
    }

    async fn redrive_by(
        &self,
        execution_arn: &str,
        token: Option<Arc<str>>,
        map_run: Option<u32>,
    ) -> Result<Timestamp, RedriveError> {
        let missing = || RedriveError::DoesNotExist(execution_arn.into());
        let failed = |error| match error {
            DriveError::Gone => missing(),
            error => RedriveError::Unavailable(error.into()),
        };
        let mut run = self.load(execution_arn).await.map_err(failed)?.ok_or_else(missing)?;
        let (clock, request) = (&self.inner.ports.clock, self.inner.ports.clock.random());
        let mut sent = None;
        for _ in 0..FACT_TRIES_MAX {
            let is_mine = |redriven: &&Redriven| {
                redriven.request == request
                    || (token.is_some() && redriven.token == token)
                        && (map_run.is_some() || time_until(clock.now(), redriven.at) < TOKEN_REMEMBERED_FOR)
                    || map_run.is_some_and(|now| map_run_redrives(redriven).is_some_and(|last| last > now))
            };
            if let Some(redriven) = run.execution.redrives().iter().rev().find(is_mine) {
                let at = redriven.at;
                self.put_right(&mut run).await.map_err(failed)?;
                self.keep(run);
                return Ok(at);
            }
            // What the end of this epoch owes is done first: nobody does it in the next one.
            self.finish(&mut run).await.map_err(failed)?;
            self.check_redrivable(&run, map_run.is_some()).await?;
            let epoch = run.epoch() + 1;
            if sent != Some(epoch) {
                self.send_redrive(&run, request, token.clone()).await.map_err(failed)?;
                sent = Some(epoch);
            }
            let trigger = Trigger::Redrive { count: epoch, request, token: token.clone() };
            let written =
                self.fact(&mut run, &Writer::Request(request), &[&trigger]).await.map_err(failed)?;
            if !written {
                self.refresh(&mut run).await.map_err(failed)?;
            }
        }
        Err(RedriveError::Unavailable("other commits came first, again and again".into()))
    }

    /// The pages say how far the execution is, and META what else is asked of it.
    async fn check_redrivable(&self, run: &Run, by_map_run: bool) -> Result<(), RedriveError> {
        let Some(end) = run.end() else { return Err(RedriveError::NotRedrivable(NotRedrivable::Running)) };
        let meta = Meta { end: Some(end), ..Meta::clone(&run.meta) };
        let found = self.not_redrivable_by_meta(&meta).await;
        match found.map_err(|error| RedriveError::Unavailable(error.into()))? {
            None if !by_map_run && meta.map_run_arn().is_some() => {
                Err(RedriveError::NotRedrivable(NotRedrivable::ByMapRun))
            }
            None if !run.execution.is_redrivable() => {
                Err(RedriveError::NotRedrivable(NotRedrivable::EventLimit))
            }
            None => Ok(()),
            Some(why) => Err(RedriveError::NotRedrivable(why)),
        }
    }

    /// The message that drives the next epoch, whatever becomes of this handler.
    async fn send_redrive(&self, run: &Run, request: u64, token: Option<Arc<str>>) -> Result<(), DriveError> {
        let message = self.message(run, MessageBody::Redrive { request, token });
        let message = Message { epoch: run.epoch() + 1, ..message };
        let queue = &self.inner.ports.queue;
        Ok(self.patiently(|| queue.send(message.clone(), None)).await?)
    }
}

#[cfg(test)]
mod tests {
    use stepwell_interpreter::{ErrorOutput, ExecutionInfo};

    use super::*;
    use crate::meta::End;

    const DAY: i64 = 24 * 3600 * 1000;

    /// Whether an execution may be redriven at the day `now` that started at day 0.
    fn check(status: Option<(&'static str, i64, u64)>, now: i64, expected: Result<(), NotRedrivable>) {
        let info = ExecutionInfo {
            execution_arn: "arn:e".into(),
            name: "e".into(),
            state_machine_arn: "arn:m".into(),
            state_machine_name: "m".into(),
            role_arn: "arn:r".into(),
            version_arn: None,
            alias_arn: None,
            started_at: Timestamp(0),
            express: false,
        };
        let end = status.map(|(status, day, events)| End {
            status,
            output: None,
            output_at: None,
            error: ErrorOutput::default(),
            at: Timestamp(day * DAY),
            events,
        });
        let meta = Meta {
            execution_arn: info.execution_arn.clone(),
            run: Default::default(),
            epoch: 0,
            info: Arc::new(info),
            input: Default::default(),
            revision: "r".into(),
            trace_header: None,
            end,
            parked: None,
            parent: None,
            redriven_at: None,
        };
        assert_eq!(meta.redrivable(Timestamp(now * DAY)), expected, "{status:?} at {now}");
    }

    #[test]
    fn what_may_be_redriven() {
        check(None, 1, Err(NotRedrivable::Running));
        check(Some(("SUCCEEDED", 1, 5)), 1, Err(NotRedrivable::Succeeded));
        for status in ["FAILED", "ABORTED", "TIMED_OUT"] {
            check(Some((status, 1, 5)), 1, Ok(()));
            check(Some((status, 1, 5)), 14, Ok(()));
            check(Some((status, 1, 5)), 15, Err(NotRedrivable::EndedTooLongAgo));
            check(Some((status, 1, 24_998)), 2, Ok(()));
            check(Some((status, 1, 24_999)), 2, Err(NotRedrivable::EventLimit));
            check(Some((status, 360, 5)), 364, Ok(()));
            check(Some((status, 360, 5)), 365, Err(NotRedrivable::OpenTooLong));
        }
    }
}
