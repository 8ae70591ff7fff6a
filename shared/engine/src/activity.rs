//! Activities: GetActivityTask, and what a driver owes to activities and their workers.
//!
//! A task that waits is an entry in the port [`Activities`](crate::port::Activities), put there by the driver whose page
//! scheduled it. A worker gets it in this order:
//!
//! 1. the first in line looks for the oldest entry whose attempt the journal shows as untaken, and drops others;
//! 2. the message `ActivityStarted` is sent where the attempt has timers, and names the last page that was seen;
//! 3. the page behind that one, `ActivityStarted` and its timers, is appended: of all who want the task, one succeeds;
//! 4. the entry goes, and the worker is answered.
//!
//! Whoever dies before 3 has taken nothing. Whoever dies after it has taken the task, for a worker that never hears of it:
//! the message sets its timers, so that it ends like that of a worker that dies.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Either, join_all, select};
use stepwell_expr::Payload;
use stepwell_interpreter::{AttemptId, Call, Claimant, Status, TimerPurpose, Trigger, token};

use crate::Engine;
use crate::callback::FACT_TRIES_MAX;
use crate::driver::{DriveError, Driver};
use crate::engine::Driven;
use crate::line::{Hand, Place};
use crate::message::MessageBody;
use crate::port::{ActivitiesError, BoxError, WaitingTask, Writer};
use crate::run::Run;

/// How long a worker waits for a task (API: GetActivityTask).
const POLL: Duration = Duration::from_secs(60);

/// Entries that are looked at together.
const ENTRIES: usize = 32;

/// How long the page that a message `ActivityStarted` announces is waited for at first.
const PAGE_WAIT: Duration = Duration::from_secs(1);

/// A delivery that no message ever has: it stands for the handler that announced a page.
const NO_DELIVERY: u64 = 0;

/// What a worker gets (API: GetActivityTask).
#[derive(Debug, Clone, PartialEq)]
pub struct ActivityTask {
    /// `taskToken`
    pub token: Arc<str>,
    /// `input`
    pub input: Payload,
}

/// Why a worker was refused.
#[derive(Debug, thiserror::Error)]
pub enum ActivityTaskError {
    /// There is none of this ARN (API: ActivityDoesNotExist).
    #[error("activity {0} does not exist")]
    DoesNotExist(Arc<str>),
    /// [`crate::POLLERS_MAX`] wait already (API: ActivityWorkerLimitExceeded).
    #[error("too many workers wait for tasks of {0}")]
    WorkerLimitExceeded(Arc<str>),
    /// A port did not answer. A task may have been taken.
    #[error("no task could be given out: {0}")]
    Unavailable(#[source] BoxError),
}

impl From<DriveError> for ActivityTaskError {
    fn from(error: DriveError) -> Self {
        ActivityTaskError::Unavailable(error.into())
    }
}

impl From<ActivitiesError> for ActivityTaskError {
    fn from(error: ActivitiesError) -> Self {
        ActivityTaskError::Unavailable(error.into())
    }
}

impl Engine {
    /// Gives the oldest task of `activity` to a worker of this name, and waits a minute for one (API: GetActivityTask).
    /// `None` where none came. Who waits longest is served first.
    ///
    /// A caller that goes away by dropping the future takes nothing, unless the task was just being recorded as its own.
    ///
    /// # Errors
    /// [`ActivityTaskError`].
    pub async fn activity_task(
        &self,
        activity: &str,
        worker: Option<Arc<str>>,
    ) -> Result<Option<ActivityTask>, ActivityTaskError> {
        let ports = &self.inner.ports;
        if self.patiently(|| ports.activities.activity(activity)).await?.is_none() {
            return Err(ActivityTaskError::DoesNotExist(activity.into()));
        }
        let place = self.inner.lines.join(activity);
        let place = place.ok_or_else(|| ActivityTaskError::WorkerLimitExceeded(activity.into()))?;
        let closed = self.inner.lines.closed().boxed();
        let mut over = select(ports.clock.sleep(self.waits(POLL)), closed).map(drop).boxed();
        while let Some((hand, run)) = self.next_task(&place, &mut over).await? {
            if let Some(task) = self.take_task(run, hand, &worker).await? {
                return Ok(Some(task));
            }
        }
        Ok(None)
    }

    /// Lets no worker wait any more: those that do, and those that come, are told that there is no task. So a program ends.
    pub fn dismiss_workers(&self) {
        self.inner.lines.close();
    }

    /// Waits in line until a task is there, and holds it; `None` when the time is `over`.
    async fn next_task<'p>(
        &self,
        place: &'p Place<'_>,
        over: &mut BoxFuture<'_, ()>,
    ) -> Result<Option<(Hand<'p>, Run)>, DriveError> {
        let Either::Left((_turn, _)) = select(pin!(place.line.turn.lock()), &mut *over).await else {
            return Ok(None);
        };
        for looks in 0.. {
            // From before the look on, so that none is missed.
            let arrival = self.inner.ports.activities.arrival(&place.activity, looks);
            if let Some(found) = self.first_waiting(place).await? {
                return Ok(Some(found));
            }
            let given_back = pin!(place.line.given_back.notified());
            if let Either::Right(_) = select(select(arrival, given_back), &mut *over).await {
                break;
            }
        }
        Ok(None)
    }

    /// The oldest task that nobody holds or has taken. Entries of tasks that wait no longer are forgotten.
    async fn first_waiting<'p>(&self, place: &'p Place<'_>) -> Result<Option<(Hand<'p>, Run)>, DriveError> {
        let (activities, activity) = (&self.inner.ports.activities, &place.activity);
        loop {
            let limit = place.line.held() + ENTRIES;
            let entries = self.patiently(|| activities.waiting(activity, limit)).await?;
            let (mut found, mut stale) = (None, vec![]);
            for hand in entries.into_iter().filter_map(|task| place.line.hold(task)) {
                match self.untaken(&hand.task).await? {
                    None => stale.push(hand),
                    Some(run) => {
                        found = Some((hand, run));
                        break;
                    }
                }
            }
            let all_seen = stale.is_empty();
            let forgotten = stale.into_iter().map(|hand| self.forget(hand));
            join_all(forgotten).await.into_iter().collect::<Result<Vec<()>, _>>()?;
            if found.is_some() || all_seen {
                return Ok(found);
            }
        }
    }

    /// The execution of a task, where it may still be taken.
    async fn untaken(&self, task: &WaitingTask) -> Result<Option<Run>, DriveError> {
        let Some(run) = self.load(&task.execution).await? else { return Ok(None) };
        if open_call(&run, task).is_some() {
            return Ok(Some(run));
        }
        self.keep(run);
        Ok(None)
    }

    /// Records that a worker has taken the task in hand; `None` where another was first, or the task is over.
    async fn take_task(
        &self,
        mut run: Run,
        hand: Hand<'_>,
        worker: &Option<Arc<str>>,
    ) -> Result<Option<ActivityTask>, DriveError> {
        let taken = match self.try_to_take(&mut run, &hand.task, worker).await {
            Err(DriveError::Gone) => None,
            taken => taken?,
        };
        self.keep(run);
        // An entry that stays is found to be stale: no reason to withhold the task.
        if let Err(error) = self.forget(hand).await {
            tracing::debug!(%error, "the entry of a task that was taken stays");
        }
        Ok(taken)
    }

    async fn try_to_take(
        &self,
        run: &mut Run,
        task: &WaitingTask,
        worker: &Option<Arc<str>>,
    ) -> Result<Option<ActivityTask>, DriveError> {
        let takers = self.inner.lines.takers(&task.execution);
        let _alone = match takers.try_lock() {
            Ok(alone) => alone,
            Err(_) => {
                let alone = takers.lock().await;
                self.refresh(run).await?;
                alone
            }
        };
        let (attempt, queue) = (task.attempt, &self.inner.ports.queue);
        let writer = Writer::Request(self.inner.ports.clock.random());
        let trigger = Trigger::ActivityStarted { attempt, worker: worker.clone() };
        for _ in 0..FACT_TRIES_MAX {
            let Some(call) = open_call(run, task) else { return Ok(None) };
            let token = token::encode(&task.execution, attempt, call.nonce).into();
            let given = ActivityTask { token, input: call.parameters.clone() };
            if call.timeout_seconds.is_some() || call.heartbeat_seconds.is_some() {
                let message = self.message(run, MessageBody::ActivityStarted { attempt, after: run.seq.0 });
                self.patiently(|| queue.send(message.clone(), None)).await?;
            }
            if self.fact(run, &writer, &[&trigger]).await? {
                return Ok(Some(given));
            }
            self.refresh(run).await?;
        }
        Err(DriveError::Busy)
    }

    async fn forget(&self, mut hand: Hand<'_>) -> Result<(), DriveError> {
        let activities = &self.inner.ports.activities;
        self.patiently(|| activities.forget(&hand.task)).await?;
        hand.is_gone = true;
        Ok(())
    }
}

/// The attempt of a task that nobody has taken.
fn open_call<'r>(run: &'r Run, task: &WaitingTask) -> Option<&'r Call> {
    let (_, call) = run.execution.call(task.attempt).filter(|_| run.meta.run == task.run)?;
    call.untaken_activity().is_some_and(|activity| *activity == task.activity).then_some(call)
}

impl Driver<'_> {
    /// Lets a task wait for a worker.
    pub(crate) async fn offer(
        &mut self,
        run: &Run,
        attempt: AttemptId,
        activity: Arc<str>,
    ) -> Result<(), DriveError> {
        // A page may schedule a task and then give it up, as when a sibling branch fails.
        if run.execution.call(attempt).is_none() {
            return Ok(());
        }
        let task =
            WaitingTask { activity, execution: run.meta.execution_arn.clone(), run: run.meta.run, attempt };
        let activities = &self.ports().activities;
        let offered = self.engine.patiently(|| activities.offer(task.clone()));
        Ok(self.work.during(offered).await?)
    }

    /// Which of `activities`, that the definition names, do not exist where its executions are: there are none of other
    /// accounts and regions.
    pub(crate) async fn missing_activities(
        &mut self,
        activities: &[Arc<str>],
    ) -> Result<Vec<Arc<str>>, DriveError> {
        let mut missing = vec![];
        let here = place(&self.message.execution);
        let (near, far) = activities.iter().partition::<Vec<_>, _>(|arn| place(arn) == here);
        missing.extend(far.into_iter().cloned());
        for arn in near {
            let port = &self.ports().activities;
            let found = self.engine.patiently(|| port.activity(arn));
            if self.work.during(found).await?.is_none() {
                missing.push(arn.clone());
            }
        }
        Ok(missing)
    }

    /// A worker may have taken a task, says the message: its timers are set.
    ///
    /// Gives what becomes of this delivery where the page that would say so may still come. When it should have been there
    /// long ago, its place is taken, so that it never comes.
    pub(crate) async fn activity_started(
        &mut self,
        run: &mut Run,
        receives: u32,
    ) -> Result<Option<Driven>, DriveError> {
        let MessageBody::ActivityStarted { attempt, after } = self.message.body else { return Ok(None) };
        self.reach_tail(run).await?;
        while run.seq.0 <= after && *run.execution.status() == Status::Running {
            if receives == 1 {
                return Ok(Some(Driven::Again { after: PAGE_WAIT }));
            }
            let claimant = Claimant { message: self.me.message.clone(), delivery: NO_DELIVERY };
            let lost = Trigger::DriverLost { claimant, callable_again: vec![] };
            let writer = Writer::Request(self.ports().clock.random());
            if !self.engine.fact(run, &writer, &[&lost]).await? {
                self.engine.refresh(run).await?;
            }
        }
        let mine =
            |purpose| [TimerPurpose::Timeout(attempt), TimerPurpose::Heartbeat(attempt)].contains(&purpose);
        let timers = run.execution.timers().filter(|(_, timer)| mine(timer.purpose));
        let timers: Vec<_> = timers.map(|(id, timer)| (id, timer.due)).collect();
        for (timer, due) in timers {
            self.send_timer(run, timer, due).await?;
        }
        Ok(None)
    }
}

/// The region and the account in an ARN.
fn place(arn: &str) -> [Option<&str>; 2] {
    let mut parts = arn.split(':').skip(3);
    [parts.next(), parts.next()]
}
