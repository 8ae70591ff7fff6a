//! Those who call from outside: they start, stop, redrive, call back, work on activities, and try again while they are told to.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use stepwell_engine::map_run::LimitsUpdate;
use stepwell_engine::message::Callback;
use stepwell_engine::meta::Parent;
use stepwell_engine::port::{Clock, StateMachine};
use stepwell_engine::{CallbackError, RedriveError, StartError, StartRequest, StopError};
use stepwell_expr::Payload;
use stepwell_interpreter::{ErrorOutput, TimerPurpose, Timestamp, token};
use stepwell_test_support::{Fault, Place};

use crate::Sim;

/// How often a service tells of an end that is not taken. (Lambda: two retries of an asynchronous invocation.)
const TELLINGS: u32 = 3;

/// The end of a call that went on by itself.
#[derive(Clone)]
pub(crate) struct Told {
    /// What the service calls it.
    id: Arc<str>,
    result: Callback,
    after: Duration,
    /// How often it was told before.
    before: u32,
    taken: Rc<Cell<bool>>,
}

/// A start that somebody insists on, whoever dies of those who ask for it.
#[derive(Clone)]
pub(crate) struct Insisted {
    request: StartRequest,
    done: Rc<Cell<bool>>,
}

/// What a worker makes of a task's input; `None` where it falls silent.
pub type Work = Box<dyn FnOnce(&Payload) -> Option<Callback>>;

/// What callers were told.
#[derive(Default)]
pub(crate) struct Acknowledged {
    pub(crate) started: Vec<Arc<str>>,
    refused: Vec<String>,
    pub(crate) stopped: Vec<(Arc<str>, Timestamp)>,
    /// With the token that each was asked with.
    pub(crate) redriven: Vec<(Arc<str>, Arc<str>, Timestamp)>,
    not_redriven: Vec<String>,
    pub(crate) callbacks: Vec<(Arc<str>, Callback, Result<(), String>)>,
    /// The tokens of calls that went on by themselves whose ends were taken.
    pub(crate) ends: Vec<Arc<str>>,
    /// The tokens whose heartbeats were taken.
    pub(crate) alive: Vec<Arc<str>>,
    /// The tokens of the tasks that workers got.
    given: Vec<Arc<str>>,
}

pub(crate) fn request(machine: &Arc<StateMachine>, name: &str, input: &str) -> StartRequest {
    StartRequest {
        machine: machine.clone(),
        execution_arn: format!("{}:{name}", machine.arn.replace("stateMachine", "execution")).into(),
        name: name.into(),
        input: Payload::parse(input).expect("the test's input is JSON"),
        trace_header: None,
        version_arn: None,
        alias_arn: None,
        parent: None,
    }
}

impl Sim {
    /// A caller starts an execution, and tries again while it is told to.
    pub fn start(&mut self, machine: &Arc<StateMachine>, name: &str, input: &str) {
        self.start_child(machine, name, input, None);
    }

    /// [`Sim::start`] of an execution whose end `parent` is told of.
    pub fn start_child(
        &mut self,
        machine: &Arc<StateMachine>,
        name: &str,
        input: &str,
        parent: Option<Parent>,
    ) {
        let definition = self.engines[0].definition(machine);
        definition.unwrap_or_else(|diagnostics| panic!("the test's definition is wrong: {diagnostics:?}"));
        self.world.registry.put(machine.clone());
        let insists = parent.is_some();
        let request = StartRequest { parent, ..request(machine, name, input) };
        self.start_by(Insisted { request, done: Rc::default() }, insists);
    }

    /// [`Sim::start`] that another caller makes again where the one dies who made it.
    pub fn insist(
        &mut self,
        machine: &Arc<StateMachine>,
        name: &str,
        input: &Payload,
        parent: Option<Parent>,
    ) {
        self.world.registry.put(machine.clone());
        let request = StartRequest { parent, input: input.clone(), ..request(machine, name, "{}") };
        self.start_by(Insisted { request, done: Rc::default() }, true);
    }

    fn start_by(&mut self, asked: Insisted, insists: bool) {
        let (engine, clock, told) = (self.engine(), self.world.clock.clone(), self.acknowledged.clone());
        let Insisted { request, done } = asked.clone();
        let task = self.executor.spawn(async move {
            loop {
                match engine.start(request.clone()).await {
                    Ok(started) => {
                        done.set(true);
                        return told.borrow_mut().started.push(started.execution_arn);
                    }
                    Err(StartError::AlreadyExists { arn }) => {
                        done.set(true);
                        return told.borrow_mut().refused.push(arn.to_string());
                    }
                    Err(StartError::Unavailable(_)) => clock.sleep(Duration::from_secs(1)).await,
                }
            }
        });
        if insists {
            self.insisted.insert(task, asked);
        }
    }

    /// Starts again what somebody insists on.
    pub(crate) fn start_again(&mut self) {
        let executor = &self.executor;
        let over = self.insisted.extract_if(.., |task, _| !executor.is_alive(*task));
        for (_, asked) in over.collect::<Vec<_>>() {
            if !asked.done.get() {
                self.start_by(asked, true);
            }
        }
    }

    /// A caller deletes a state machine, and tries again while it is told to.
    pub fn delete_machine(&mut self, arn: &Arc<str>) {
        let (engine, clock, arn) = (self.engine(), self.world.clock.clone(), arn.clone());
        self.executor.spawn(async move {
            while engine.delete_machine(&arn).await.is_err() {
                clock.sleep(Duration::from_secs(1)).await;
            }
        });
    }

    /// A caller stops an execution.
    pub fn stop(&mut self, execution: &str) {
        self.stop_after(execution, std::future::ready(()));
    }

    fn stop_after(&mut self, execution: &str, sleep: impl Future<Output = ()> + 'static) {
        let (engine, told, arn) = (self.engine(), self.acknowledged.clone(), Arc::<str>::from(execution));
        let error = ErrorOutput::new("Stopped", "by the test");
        self.executor.spawn(async move {
            sleep.await;
            match engine.stop(&arn, error).await {
                Ok(at) => told.borrow_mut().stopped.push((arn, at)),
                Err(StopError::DoesNotExist(_) | StopError::Unavailable(_)) => {}
            }
        });
    }

    /// A caller redrives an execution under a token of its own, and tries again while it is told to; then once more, to hear
    /// the same.
    pub fn redrive(&mut self, execution: &str) {
        let (engine, told, arn) = (self.engine(), self.acknowledged.clone(), Arc::<str>::from(execution));
        let (clock, token) = (self.world.clock.clone(), Arc::<str>::from(format!("t{}", self.random.bits())));
        self.executor.spawn(async move {
            for _ in 0..2 {
                let answer = loop {
                    match engine.redrive(&arn, Some(token.clone())).await {
                        Err(RedriveError::Unavailable(_)) => clock.sleep(Duration::from_secs(1)).await,
                        answer => break answer,
                    }
                };
                match answer {
                    Ok(at) => told.borrow_mut().redriven.push((arn.clone(), token.clone(), at)),
                    Err(error) => return told.borrow_mut().not_redriven.push(error.to_string()),
                }
            }
        });
    }

    /// Workers that wait for a task, or work on one.
    pub fn workers(&self) -> usize {
        self.polls.len()
    }

    /// A caller sends a task's result, and tries again while it is told to.
    pub fn callback(&mut self, token: &Arc<str>, result: Callback) {
        self.callback_after(token, result, Duration::ZERO);
    }

    /// [`Sim::callback`], `after` from now.
    pub fn callback_after(&mut self, token: &Arc<str>, result: Callback, after: Duration) {
        let (engine, told, token) = (self.engine(), self.acknowledged.clone(), token.clone());
        let clock = self.world.clock.clone();
        self.executor.spawn(async move {
            clock.sleep(after).await;
            loop {
                let answer = engine.send_task_result(&token, result.clone()).await;
                if let Err(CallbackError::Unavailable(_)) = answer {
                    clock.sleep(Duration::from_secs(1)).await;
                    continue;
                }
                let answer = answer.map_err(|error| error.to_string());
                return told.borrow_mut().callbacks.push((token, result, answer));
            }
        });
    }

    /// [`Sim::callback`] in the very moment that the task's timeout or heartbeat is due; `false` where none is set.
    pub fn race_callback(&mut self, token: &Arc<str>, result: Callback) -> bool {
        let Some(named) = token::decode(token) else { return false };
        let of_task = [TimerPurpose::Timeout(named.attempt), TimerPurpose::Heartbeat(named.attempt)];
        let due = self.due(&named.execution_arn, |purpose| of_task.contains(&purpose));
        let Some(due) = due else { return false };
        self.world.faults.count(Place::Caller, Fault::Raced);
        let (sleep, engine, told) = (self.until(due), self.engine(), self.acknowledged.clone());
        let token = token.clone();
        self.executor.spawn(async move {
            sleep.await;
            let answer = engine.send_task_result(&token, result.clone()).await;
            if let Err(CallbackError::Unavailable(_)) = answer {
                return;
            }
            let answer = answer.map_err(|error| error.to_string());
            told.borrow_mut().callbacks.push((token, result, answer));
        });
        true
    }

    /// [`Sim::stop`] in the very moment that one of the execution's timers is due; `false` where none is set.
    pub fn race_stop(&mut self, execution: &str) -> bool {
        let Some(due) = self.due(execution, |_| true) else { return false };
        self.world.faults.count(Place::Handler, Fault::Raced);
        let sleep = self.until(due);
        self.stop_after(execution, sleep);
        true
    }

    /// When the first timer is due of those that an execution has set for what `is_meant`.
    fn due(&self, execution: &str, is_meant: impl Fn(TimerPurpose) -> bool) -> Option<Timestamp> {
        let metas = self.world.journal.metas();
        let meta = metas.iter().find(|meta| *meta.execution_arn == *execution)?;
        let fold = self.folded(meta).ok()?;
        fold.timers().filter(|(_, timer)| is_meant(timer.purpose)).map(|(_, timer)| timer.due).min()
    }

    /// Returns at `due`, give or take a millisecond.
    fn until(&mut self, due: Timestamp) -> impl Future<Output = ()> + 'static + use<> {
        let (clock, jitter) = (self.world.clock.clone(), self.random.below(3) as i64 - 1);
        let left = (due.0 + jitter - clock.now().0).max(0);
        async move { clock.sleep(Duration::from_millis(left as u64)).await }
    }

    /// A service tells of the end of a call that went on by itself, `after` from now; again, a minute later, while it is not taken.
    pub fn tell(&mut self, id: &Arc<str>, result: &Callback, after: Duration) {
        let times = 1 + usize::from(self.random.chance(self.told_twice));
        if times > 1 {
            self.world.faults.count(Place::Caller, Fault::Repeated);
        }
        for _ in 0..times {
            let (id, result, taken) = (id.clone(), result.clone(), Rc::default());
            self.tell_once(Told { id, result, after, before: 0, taken });
        }
    }

    fn tell_once(&mut self, told: Told) {
        let (engine, clock, acknowledged) =
            (self.engine(), self.world.clock.clone(), self.acknowledged.clone());
        let Told { id, result, after, taken, .. } = told.clone();
        let task = self.executor.spawn(async move {
            clock.sleep(after).await;
            let Ok(Some(invocation)) = engine.invocation(&id).await else { return };
            let answer = engine.send_task_result(&invocation.token, result.clone()).await;
            if let Err(CallbackError::Unavailable(_)) = answer {
                return;
            }
            taken.set(true);
            let answer = answer.map_err(|error| error.to_string());
            if answer.is_ok() {
                acknowledged.borrow_mut().ends.push(invocation.token.clone());
            }
            acknowledged.borrow_mut().callbacks.push((invocation.token, result, answer));
        });
        self.told.insert(task, told);
    }

    /// Tells again what was not taken, because its handler failed or died.
    pub(crate) fn tell_again(&mut self) {
        let executor = &self.executor;
        let over = self.told.extract_if(.., |task, _| !executor.is_alive(*task));
        for (_, told) in over.collect::<Vec<_>>() {
            if !told.taken.get() && told.before + 1 < TELLINGS {
                self.tell_once(Told { before: told.before + 1, after: Duration::from_secs(60), ..told });
            }
        }
    }

    /// A worker asks for a task of `activity`, and perhaps ends what it gets.
    pub fn poll(&mut self, activity: &str, worker: &str, result: Option<Callback>) {
        self.poll_with(activity, worker, Box::new(|_| result));
    }

    /// A worker asks for a task of `activity`, and ends what it gets as `work` says.
    pub fn poll_with(&mut self, activity: &str, worker: &str, work: Work) {
        let process = self.process();
        let (engine, told, clock) =
            (self.engines[process].clone(), self.acknowledged.clone(), self.world.clock.clone());
        let (activity, worker) = (Arc::<str>::from(activity), Arc::from(worker));
        let task = self.executor.spawn(async move {
            // A worker that is refused asks again another time.
            let Ok(Some(task)) = engine.activity_task(&activity, Some(worker)).await else { return };
            told.borrow_mut().given.push(task.token.clone());
            let Some(result) = work(&task.input) else { return };
            while let Err(CallbackError::Unavailable(_)) =
                engine.send_task_result(&task.token, result.clone()).await
            {
                clock.sleep(Duration::from_secs(1)).await;
            }
        });
        self.polls.insert(task, process);
    }

    /// The tokens of the tasks that workers got.
    pub fn given(&self) -> Vec<Arc<str>> {
        self.acknowledged.borrow().given.clone()
    }

    /// The executions that have not ended.
    pub fn unfinished(&self) -> Vec<Arc<str>> {
        let metas = self.world.journal.metas();
        metas.iter().filter(|meta| meta.end.is_none()).map(|meta| meta.execution_arn.clone()).collect()
    }

    /// A caller changes what a Map Run keeps to.
    pub fn update_map_run(&mut self, arn: &Arc<str>, max_concurrency: u32) {
        let (engine, arn) = (self.engine(), arn.clone());
        let update = LimitsUpdate { max_concurrency: Some(max_concurrency), ..LimitsUpdate::default() };
        self.executor.spawn(async move {
            // Told or not: how many run at once changes nothing in what comes of them.
            let _ = engine.update_map_run(&arn, update).await;
        });
    }

    /// A worker shows that it lives.
    pub fn heartbeat(&mut self, token: &Arc<str>) {
        let (engine, token, told) = (self.engine(), token.clone(), self.acknowledged.clone());
        self.executor.spawn(async move {
            if engine.send_task_heartbeat(&token).await.is_ok() {
                told.borrow_mut().alive.push(token);
            }
        });
    }

    /// The executions whose start was acknowledged.
    pub fn started(&self) -> Vec<Arc<str>> {
        self.acknowledged.borrow().started.clone()
    }

    /// The executions whose start was refused.
    pub fn refused(&self) -> Vec<String> {
        self.acknowledged.borrow().refused.clone()
    }

    /// The dates of the redrives that were acknowledged, each twice.
    pub fn redriven(&self) -> Vec<Timestamp> {
        self.acknowledged.borrow().redriven.iter().map(|(_, _, at)| *at).collect()
    }

    /// Why redrives were refused.
    pub fn not_redriven(&self) -> Vec<String> {
        self.acknowledged.borrow().not_redriven.clone()
    }

    /// What each callback was told.
    pub fn callbacks(&self) -> Vec<(Arc<str>, Result<(), String>)> {
        let acknowledged = self.acknowledged.borrow();
        acknowledged.callbacks.iter().map(|(token, _, answer)| (token.clone(), answer.clone())).collect()
    }
}
