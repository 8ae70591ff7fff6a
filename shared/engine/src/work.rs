//! What a driver has under way: calls, and waits too short for a message.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{AbortHandle, Abortable, BoxFuture, Either, select};
use futures::stream::{FuturesUnordered, StreamExt};
use stepwell_asl::ErrorName;
use stepwell_expr::Payload;
use stepwell_interpreter::{AttemptId, ErrorOutput, Outcome, TimerId, Timestamp, Trigger, token};

use crate::Engine;
use crate::planted::{Bug, planted};
use crate::port::{Clock, Invocation, TaskAnswer, TaskCall};

/// Futures that live inside their driver: nothing is spawned, so nothing outlives it.
#[derive(Default)]
pub(crate) struct Work {
    open: FuturesUnordered<Abortable<BoxFuture<'static, Arrived>>>,
    calls: BTreeMap<AttemptId, AbortHandle>,
    timers: BTreeMap<TimerId, (Timestamp, AbortHandle)>,
    arrived: Vec<Trigger>,
    pulse: bool,
    /// What goes on beside all that, and that nothing waits for.
    aside: FuturesUnordered<BoxFuture<'static, ()>>,
}

enum Arrived {
    Call(AttemptId, Trigger),
    Timer(TimerId),
    Pulse,
}

impl Work {
    /// Makes a call.
    pub(crate) fn call(&mut self, engine: &Engine, call: TaskCall) {
        let attempt = call.call.attempt;
        let future = make(engine.clone(), call);
        let handle = self.push(async move { Arrived::Call(attempt, future.await) }.boxed());
        self.calls.insert(attempt, handle);
    }

    /// Waits until a timer is due.
    pub(crate) fn wait(&mut self, clock: Arc<dyn Clock>, timer: TimerId, due: Timestamp) {
        let handle = self.push(
            async move {
                loop {
                    let left = time_until(due, clock.now());
                    if left.is_zero() {
                        return Arrived::Timer(timer);
                    }
                    clock.sleep(left).await;
                }
            }
            .boxed(),
        );
        self.timers.insert(timer, (due, handle));
    }

    /// Lets [`Work::take_pulse`] be true once, after `period`.
    pub(crate) fn pulse(&mut self, clock: Arc<dyn Clock>, period: Duration) {
        self.push(
            async move {
                clock.sleep(period).await;
                Arrived::Pulse
            }
            .boxed(),
        );
    }

    fn push(&mut self, future: BoxFuture<'static, Arrived>) -> AbortHandle {
        let (handle, registration) = AbortHandle::new_pair();
        self.open.push(Abortable::new(future, registration));
        handle
    }

    /// Gives a call up.
    pub(crate) fn abort_call(&mut self, attempt: AttemptId) {
        if let Some(handle) = self.calls.remove(&attempt) {
            handle.abort();
        }
    }

    /// Gives up every call but those that `is_open`.
    pub(crate) fn keep_calls(&mut self, is_open: impl Fn(AttemptId) -> bool) {
        self.calls.retain(|attempt, handle| {
            let open = is_open(*attempt);
            if !open {
                handle.abort();
            }
            open
        });
    }

    /// Gives up waiting for a timer.
    pub(crate) fn abort_timer(&mut self, timer: TimerId) {
        if let Some((_, handle)) = self.timers.remove(&timer) {
            handle.abort();
        }
    }

    /// Gives everything up, but for what goes on [`Work::aside`].
    pub(crate) fn abort_all(&mut self) {
        let aside = std::mem::take(&mut self.aside);
        *self = Work { aside, ..Work::default() };
    }

    /// Lets `future` go on beside everything under way.
    pub(crate) fn aside(&mut self, future: BoxFuture<'static, ()>) {
        self.aside.push(future);
    }

    /// Returns when nothing goes on aside.
    pub(crate) async fn aside_is_done(&mut self) {
        while self.aside.next().await.is_some() {}
    }

    /// Calls that are open.
    pub(crate) fn open_calls(&self) -> usize {
        self.calls.len()
    }

    /// Whether a timer is waited for here that is due before `limit`.
    pub(crate) fn has_timer_before(&self, limit: Timestamp) -> bool {
        self.timers.values().any(|(due, _)| *due < limit)
    }

    /// Stops waiting for the timers and gives them.
    pub(crate) fn take_timers(&mut self) -> Vec<(TimerId, Timestamp)> {
        let timers = std::mem::take(&mut self.timers);
        timers
            .into_iter()
            .map(|(timer, (due, handle))| {
                handle.abort();
                (timer, due)
            })
            .collect()
    }

    /// What has arrived, in the order it came.
    pub(crate) fn take_arrived(&mut self) -> Vec<Trigger> {
        std::mem::take(&mut self.arrived)
    }

    /// Whether calls are under way, or something has arrived that nobody took.
    pub(crate) fn holds_calls(&self) -> bool {
        !self.calls.is_empty() || !self.arrived.is_empty()
    }

    /// Whether the pulse came since this was last asked.
    pub(crate) fn take_pulse(&mut self) -> bool {
        std::mem::take(&mut self.pulse)
    }

    /// Awaits `future`, and goes on with everything under way meanwhile.
    pub(crate) async fn during<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let ready = future.as_mut().poll(cx);
            if ready.is_pending() {
                self.poll(cx);
            }
            ready
        })
        .await
    }

    /// Returns when something has arrived, or the pulse.
    pub(crate) async fn arrival(&mut self) {
        poll_fn(|cx| {
            self.poll(cx);
            let idle = self.arrived.is_empty() && !self.pulse && !self.open.is_empty();
            if idle { Poll::Pending } else { Poll::Ready(()) }
        })
        .await
    }

    /// Returns `true` when something has arrived; `false` when nothing can, or `limit` is over first.
    pub(crate) async fn arrival_within(&mut self, limit: impl Future<Output = ()>) -> bool {
        let mut limit = pin!(limit);
        poll_fn(|cx| {
            self.poll(cx);
            if !self.arrived.is_empty() || self.open.is_empty() {
                return Poll::Ready(!self.arrived.is_empty());
            }
            limit.as_mut().poll(cx).map(|()| false)
        })
        .await
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(())) = self.aside.poll_next_unpin(cx) {}
        while let Poll::Ready(Some(arrived)) = self.open.poll_next_unpin(cx) {
            match arrived {
                Ok(Arrived::Call(attempt, trigger)) => {
                    if self.calls.remove(&attempt).is_some() {
                        self.arrived.push(trigger);
                    }
                }
                Ok(Arrived::Timer(timer)) => {
                    if self.timers.remove(&timer).is_some() {
                        self.arrived.push(Trigger::TimerFired { timer });
                    }
                }
                Ok(Arrived::Pulse) => self.pulse = true,
                Err(_aborted) => {}
            }
        }
    }
}

/// Makes one call, gives it up at its timeout, and survives its panic.
async fn make(engine: Engine, call: TaskCall) -> Trigger {
    let (attempt, nonce) = (call.call.attempt, call.call.nonce);
    let timeout = call.call.timeout_seconds;
    let answer = AssertUnwindSafe(answer(&engine, call)).catch_unwind();
    let answer = match timeout {
        None => answer.await,
        Some(seconds) => {
            let over = engine.ports().clock.sleep(Duration::from_secs(seconds));
            match select(pin!(answer), over).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => Ok(Answer::Ended(Outcome::TimedOut)),
            }
        }
    };
    let outcome = match answer {
        Ok(Answer::Submitted(output)) => return Trigger::TaskSubmitted { attempt, output },
        Ok(Answer::Accepted { until }) => return Trigger::TaskAccepted { attempt, until },
        Ok(Answer::Ended(outcome)) => outcome,
        Err(_panic) => unknown("The call ended in a panic."),
    };
    Trigger::TaskResult { attempt, nonce, outcome }
}

/// What came of a call, once everything is kept that its end needs.
enum Answer {
    Ended(Outcome),
    Submitted(Payload),
    Accepted { until: Timestamp },
}

async fn answer(engine: &Engine, call: TaskCall) -> Answer {
    let (ports, name) = (engine.ports(), call.call.clone());
    let info = call.info.clone();
    let accepted = match ports.tasks.call(call).await {
        TaskAnswer::Ended(outcome) => return Answer::Ended(outcome),
        TaskAnswer::Submitted(output) => return Answer::Submitted(output),
        TaskAnswer::Accepted(accepted) => accepted,
    };
    let within = i64::try_from(accepted.within.as_millis()).unwrap_or(i64::MAX);
    let until = Timestamp(ports.clock.now().0.saturating_add(within));
    let invocation = Invocation {
        token: token::encode(&info.execution_arn, name.attempt, name.nonce).into(),
        resource: name.resource.to_string().into(),
        trace: accepted.trace,
        until,
    };
    let kept = match planted(Bug::AcceptedNotKept) {
        true => Ok(()),
        false => engine.patiently(|| ports.journal.put_invocation(&accepted.id, &invocation)).await,
    };
    match (kept, accepted.submitted) {
        (Ok(()), None) => Answer::Accepted { until },
        (Ok(()), Some(output)) => Answer::Submitted(output),
        (Err(error), _) => {
            let id = &*accepted.id;
            Answer::Ended(unknown(&format!(
                "The call goes on as {id}, and what it is for was not kept: {error}"
            )))
        }
    }
}

fn unknown(cause: &str) -> Outcome {
    Outcome::Failed(ErrorOutput::new(ErrorName::LAMBDA_UNKNOWN, cause))
}

/// Lets whatever else its runtime has go first.
pub(crate) async fn give_way() {
    let mut gave_way = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut gave_way, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// From `now` to `due`; zero when that is past.
pub(crate) fn time_until(due: Timestamp, now: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(due.0.saturating_sub(now.0)).unwrap_or(0))
}

/// `by` after `at`.
pub(crate) fn later(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp(at.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}
