//! The environments of one function.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use hyper::header::HeaderValue;
use tokio::sync::oneshot;

use super::Host;
use super::code::Watch;
use super::environment::{Environment, StartFailure};
use crate::config::FunctionConfig;

/// The environments of one function, and the calls that wait for one.
///
/// A call takes the environment that was used last. If there is none, it waits for whichever comes first: one that another
/// call gives back, or one that is being started. Only a few start at a time, because a burst of short calls is
/// done sooner by a few warm processes than by a hundred that all load their code at once.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) function: FunctionConfig,
    pub(super) arn: HeaderValue,
    host: Arc<Host>,
    environments_max: usize,
    starting_max: usize,
    code: Watch,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The one used last is at the end.
    idle: Vec<Idle>,
    waiting: VecDeque<oneshot::Sender<Grant>>,
    /// All there are: idle, leased and starting.
    live: usize,
    starting: usize,
    reaping: bool,
    /// Of the code. Environments that were started with another are not used again.
    generation: u64,
}

#[derive(Debug)]
struct Idle {
    since: Instant,
    environment: Environment,
}

type Grant = Result<Lease, StartFailure>;

impl Pool {
    pub(super) fn new(function: FunctionConfig, arn: HeaderValue, host: Arc<Host>) -> Arc<Self> {
        let starting_max = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
        let environments_max = function.concurrency.unwrap_or(host.options.concurrency_max).max(1);
        let code = Watch::new(host.options.code_interval);
        Arc::new(Self { function, arn, host, environments_max, starting_max, code, state: Mutex::default() })
    }

    /// Takes an environment, starting one if need be. Dropping the future gives up the place in the queue.
    pub(super) async fn lease(self: &Arc<Self>) -> Grant {
        let generation = self.code.generation(&self.function).await;
        let granted = {
            let mut state = self.lock();
            state.generation = state.generation.max(generation);
            while let Some(idle) = state.idle.pop() {
                if idle.environment.is_usable(state.generation) {
                    return Ok(self.leased(idle.environment));
                }
                state.live -= 1;
            }
            let (sender, granted) = oneshot::channel();
            state.waiting.push_back(sender);
            self.grow(&mut state);
            granted
        };
        granted.await.unwrap_or_else(|_| Err(StartFailure::Exited("the host is closing".to_owned())))
    }

    fn leased(self: &Arc<Self>, environment: Environment) -> Lease {
        Lease { environment: Some(environment), pool: Arc::clone(self) }
    }

    /// Starts as many environments as there are calls waiting, within the limits.
    fn grow(self: &Arc<Self>, state: &mut State) {
        while state.waiting.len() > state.starting
            && state.starting < self.starting_max
            && state.live < self.environments_max
        {
            state.live += 1;
            state.starting += 1;
            let (pool, generation) = (Arc::clone(self), state.generation);
            tokio::spawn(async move {
                let started = Environment::start(&pool.function, generation, &pool.host).await;
                pool.started(started);
            });
        }
    }

    fn started(self: &Arc<Self>, started: Result<Environment, StartFailure>) {
        let mut state = self.lock();
        state.starting -= 1;
        match started {
            Ok(environment) => {
                if !state.reaping {
                    state.reaping = true;
                    tokio::spawn(reap(Arc::downgrade(self), self.host.options.idle_timeout));
                }
                drop(state);
                self.put(environment);
                let mut state = self.lock();
                self.grow(&mut state);
            }
            Err(failure) => {
                state.live -= 1;
                let waiter = state.waiting.pop_front();
                self.grow(&mut state);
                drop(state);
                if let Some(waiter) = waiter {
                    // A call that was given up meanwhile has no one to tell.
                    let _ = waiter.send(Err(failure));
                }
            }
        }
    }

    /// Gives an environment to the call that waits longest, or keeps it.
    fn put(self: &Arc<Self>, environment: Environment) {
        let mut environment = environment;
        loop {
            let mut state = self.lock();
            if !environment.is_usable(state.generation) {
                state.live -= 1;
                self.grow(&mut state);
                return;
            }
            let Some(waiter) = state.waiting.pop_front() else {
                state.idle.push(Idle { since: Instant::now(), environment });
                return;
            };
            drop(state);
            let Err(Ok(mut lease)) = waiter.send(Ok(self.leased(environment))) else { return };
            match lease.environment.take() {
                Some(returned) => environment = returned,
                None => return,
            }
        }
    }

    /// An environment is gone.
    fn lost(self: &Arc<Self>) {
        let mut state = self.lock();
        state.live -= 1;
        self.grow(&mut state);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends environments that have been idle for `idle_timeout`, as long as the pool lives.
async fn reap(pool: Weak<Pool>, idle_timeout: Duration) {
    loop {
        tokio::time::sleep(idle_timeout.max(Duration::from_millis(10)) / 2).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut state = pool.lock();
        let before = state.idle.len();
        let generation = state.generation;
        state
            .idle
            .retain(|idle| idle.since.elapsed() < idle_timeout && idle.environment.is_usable(generation));
        state.live -= before - state.idle.len();
    }
}

/// The use of an environment for one call. Dropping it gives the environment back.
#[derive(Debug)]
pub(super) struct Lease {
    /// Taken only by what consumes the lease.
    environment: Option<Environment>,
    pool: Arc<Pool>,
}

impl Lease {
    pub(super) fn environment(&self) -> &Environment {
        self.environment.as_ref().expect("only what consumes a lease takes its environment")
    }

    /// Ends the environment instead of giving it back.
    pub(super) fn discard(mut self) {
        self.environment = None;
        self.pool.lost();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(environment) = self.environment.take() {
            self.pool.put(environment);
        }
    }
}
