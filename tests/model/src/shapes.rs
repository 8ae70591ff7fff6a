//! The executions that are run, and what they mean: which tasks there are, what makes them ready, done or failed.

use crate::state::{Effect, Execution, MessageId, Task, Trigger};
use crate::{Bug, Protocol};

/// What an execution is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Two branches at once: a call, and a token task that a callback ends.
    Parallel,
    /// Two calls, one behind the other.
    Sequence,
    /// A token task without a timeout, then a call.
    TokenThenCall,
    /// A token task with a timeout, and one retry with back-off.
    Callback,
    /// A call with one retry whose back-off is a timer.
    Retry,
    /// A call with one retry and no back-off worth a timer.
    RetryAtOnce,
    /// A call that its service may accept and carry on without the driver, with one retry.
    Accepted,
    /// A call that fails, and does not once the execution is redriven.
    Redrive,
}

impl Protocol {
    /// Whether the task is ended by somebody outside.
    pub(crate) fn has_token(&self, task: usize) -> bool {
        use Shape::{Accepted, Callback, Parallel, TokenThenCall};
        matches!((self.shape, task), (Parallel, 1) | (Callback | TokenThenCall | Accepted, 0))
    }

    /// The task that [`Protocol::has_token`].
    pub(crate) fn token_task(&self) -> Option<usize> {
        (0..2).find(|task| self.has_token(*task))
    }

    /// Whether a task that is ended from outside has a timer of its own.
    pub(crate) fn has_timeout(&self) -> bool {
        matches!(self.shape, Shape::Callback | Shape::Accepted)
    }

    pub(crate) fn begin(&self, execution: &mut Execution) {
        execution.started = true;
        execution.tasks[0] = Task::Ready(1);
        execution.tasks[1] = match self.shape {
            Shape::Parallel => Task::Ready(1),
            Shape::Sequence | Shape::TokenThenCall => Task::Idle,
            _ => Task::Done,
        };
    }

    /// What follows by pure logic alone.
    pub(crate) fn settle(&self, execution: &mut Execution) {
        if execution.terminal > 0 || !execution.started {
            return;
        }
        if execution.tasks == [Task::Done, Task::Idle] {
            execution.tasks[1] = Task::Ready(1);
        }
        if execution.tasks.contains(&Task::Failed) || execution.tasks == [Task::Done, Task::Done] {
            execution.terminal += 1;
        }
    }

    /// An attempt has failed, under message `by`.
    pub(crate) fn fail(
        &self,
        execution: &mut Execution,
        task: usize,
        attempt: u8,
        by: MessageId,
        effects: &mut Vec<Effect>,
    ) {
        use Shape::{Accepted, Callback, Retry, RetryAtOnce};
        execution.tasks[task] = match self.shape {
            RetryAtOnce | Accepted if attempt == 1 => Task::Ready(2),
            Callback | Retry if attempt == 1 => {
                execution.timer_by[task] = by;
                effects.push(Effect::Timer(Trigger::Backoff(task, 2)));
                Task::Backoff(2)
            }
            _ => Task::Failed,
        };
    }

    /// Whether a call that returns says that it failed.
    pub(crate) fn call_fails(&self, execution: &Execution) -> bool {
        self.shape == Shape::Redrive && execution.epoch == 0
    }

    pub(crate) fn is_ready(execution: &Execution) -> bool {
        execution.terminal == 0 && execution.tasks.iter().any(|task| matches!(task, Task::Ready(_)))
    }

    /// Whether a trigger of a message of `epoch` applies (§3).
    pub(crate) fn applies(&self, execution: &Execution, meta: u8, trigger: Trigger, epoch: u8) -> bool {
        match trigger {
            Trigger::Start(run) => {
                !execution.started && execution.terminal == 0 && (meta == 0 || meta == run)
            }
            Trigger::Redrive => {
                execution.terminal > 0 && execution.epoch + 1 == epoch && execution.tasks[0] != Task::Done
            }
            _ if execution.terminal > 0 => false,
            _ if execution.epoch > epoch && self.bug != Some(Bug::OldEpochDrives) => false,
            Trigger::Callback(attempt) | Trigger::Timeout(attempt) => {
                let is_its = |open: u8| open == attempt || self.bug == Some(Bug::TriggersNameNoAttempt);
                let open = |task: usize| matches!(execution.tasks[task], Task::Open(open, _) | Task::Waiting(open) if is_its(open));
                self.token_task().is_some_and(open)
            }
            Trigger::Backoff(task, attempt) => execution.tasks[task] == Task::Backoff(attempt),
            Trigger::Continue(after) => execution.last_driver_seq <= after && Self::is_ready(execution),
            Trigger::Stop => true,
        }
    }

    pub(crate) fn apply(
        &self,
        execution: &mut Execution,
        trigger: Trigger,
        by: MessageId,
        effects: &mut Vec<Effect>,
    ) {
        let token = self.token_task().unwrap_or(0);
        match trigger {
            Trigger::Start(_) => self.begin(execution),
            Trigger::Callback(attempt) => {
                execution.tasks[token] = Task::Done;
                execution.callback_of = attempt;
            }
            Trigger::Timeout(attempt) => self.fail(execution, token, attempt, by, effects),
            Trigger::Backoff(task, attempt) => execution.tasks[task] = Task::Ready(attempt),
            Trigger::Continue(_) => {}
            Trigger::Stop => execution.terminal += 1,
            Trigger::Redrive => {
                execution.epoch += 1;
                execution.terminal = 0;
                execution.started = true;
                execution.tasks = [Task::Ready(2), Task::Done];
            }
        }
    }

    /// The open timers that message `by` owes (line 27).
    pub(crate) fn open_timers(&self, execution: &Execution, by: MessageId) -> Vec<Effect> {
        let timer = |task: usize| match execution.tasks[task] {
            _ if execution.terminal > 0 || execution.timer_by[task] != by => None,
            Task::Backoff(attempt) => Some(Effect::Timer(Trigger::Backoff(task, attempt))),
            Task::Open(..) if self.shape == Shape::Accepted => None,
            Task::Open(attempt, _) | Task::Waiting(attempt) if self.has_token(task) && self.has_timeout() => {
                Some(Effect::Timer(Trigger::Timeout(attempt)))
            }
            _ => None,
        };
        (0..2).filter_map(timer).collect()
    }
}
