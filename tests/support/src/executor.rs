//! An executor on one thread whose order a seed decides.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use crate::Random;

/// A task of an [`Executor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskId(pub u64);

/// Runs futures one poll at a time.
#[derive(Default)]
pub struct Executor {
    tasks: BTreeMap<TaskId, Task>,
    spawned: u64,
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Executor {
    /// Adds a task.
    pub fn spawn(&mut self, future: impl Future<Output = ()> + 'static) -> TaskId {
        self.spawned += 1;
        let id = TaskId(self.spawned);
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        self.tasks.insert(id, Task { future: Box::pin(future), woken });
        id
    }

    /// Tasks that have not ended.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether every task has ended.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The tasks that have not ended.
    pub fn ids(&self) -> Vec<TaskId> {
        self.tasks.keys().copied().collect()
    }

    /// Drops a task, as a crash would.
    pub fn kill(&mut self, id: TaskId) {
        self.tasks.remove(&id);
    }

    /// Whether a task has not ended.
    pub fn is_alive(&self, id: TaskId) -> bool {
        self.tasks.contains_key(&id)
    }

    /// Polls one of the tasks that can go on; gives which, or `None` where none can.
    pub fn step(&mut self, random: &mut Random) -> Option<TaskId> {
        self.step_where(random, |_| true)
    }

    /// Polls one of the tasks that can go on and that `may`; gives which, or `None` where there is none.
    pub fn step_where(&mut self, random: &mut Random, may: impl Fn(TaskId) -> bool) -> Option<TaskId> {
        let ready = |id: TaskId, task: &Task| task.woken.0.load(Ordering::Relaxed) && may(id);
        let tasks = self.tasks.iter().map(|(id, task)| (*id, task));
        let ready: Vec<_> = tasks.filter(|(id, task)| ready(*id, task)).map(|(id, _)| id).collect();
        let id = *ready.get(random.below(ready.len()))?;
        let task = self.tasks.get_mut(&id)?;
        task.woken.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(task.woken.clone());
        if task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.tasks.remove(&id);
        }
        Some(id)
    }
}
