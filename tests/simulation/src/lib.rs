//! The engine in a simulated world: ports in memory, a clock that jumps, an executor and faults that one seed decides.
//!
//! It knows what a queue's consumer does around [`Engine::drive`], and what must hold after every step. It does not know what the
//! machines it runs mean.

mod invariants;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use stepwell_engine::map_run::LimitsUpdate;
use stepwell_engine::message::Callback;
use stepwell_engine::meta::Parent;
use stepwell_engine::port::{Clock, StateMachine};
use stepwell_engine::{
    CallbackError, Driven, Engine, ExpressRun, RedriveError, Settings, StartError, StartRequest, StopError,
};
use stepwell_expr::Payload;
use stepwell_interpreter::{ErrorOutput, Timestamp};
use stepwell_test_support::{Delivery, Executor, Random, TaskId, World};

pub use invariants::Broken;

/// Steps after which a simulation is given up.
const STEPS_MAX: u64 = 400_000;
/// Messages that are dealt with at once.
const DRIVERS_MAX: usize = 6;

/// A simulation.
pub struct Sim {
    /// The ports.
    pub world: World,
    /// What decides.
    pub random: Random,
    settings: Settings,
    /// By how much the second process's clock is ahead, in milliseconds.
    skew: i64,
    /// Two processes over the same ports.
    engines: [Engine; 2],
    executor: Executor,
    /// Who drives which message, on which process.
    drivers: BTreeMap<TaskId, usize>,
    /// Workers that wait for tasks, on which process.
    polls: BTreeMap<TaskId, usize>,
    /// What a service tells of the ends of calls that went on by themselves, until it is taken.
    told: BTreeMap<TaskId, Told>,
    /// How often, in a thousand, such an end is told twice at once.
    pub told_twice: u32,
    acknowledged: Rc<RefCell<Acknowledged>>,
    /// How often, in a thousand steps, a message is delivered though it is hidden.
    pub redeliver: u32,
    /// Whether the second process stands idle, as on one machine.
    pub one_process: bool,
    /// Whether an attempt may be called more than once: in an Express workflow, and where it is idempotent.
    pub may_call_again: bool,
    steps: u64,
    checked_appends: u64,
}

/// How often a service tells of an end that is not taken. (Lambda: two retries of an asynchronous invocation.)
const TELLINGS: u32 = 3;

/// The end of a call that went on by itself.
#[derive(Clone)]
struct Told {
    /// What the service calls it.
    id: Arc<str>,
    result: Callback,
    after: Duration,
    /// How often it was told before.
    before: u32,
    taken: Rc<Cell<bool>>,
}

/// What callers were told.
#[derive(Default)]
struct Acknowledged {
    started: Vec<Arc<str>>,
    refused: Vec<String>,
    stopped: Vec<(Arc<str>, Timestamp)>,
    /// With the token that each was asked with.
    redriven: Vec<(Arc<str>, Arc<str>, Timestamp)>,
    not_redriven: Vec<String>,
    callbacks: Vec<(Arc<str>, Result<(), String>)>,
    /// The tokens of the tasks that workers got.
    given: Vec<Arc<str>>,
}

fn request(machine: &Arc<StateMachine>, name: &str, input: &str) -> StartRequest {
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
    /// A simulation that `seed` decides.
    pub fn new(seed: u64, settings: Settings) -> Self {
        Self::with_skew(seed, settings, 0)
    }

    /// A simulation of two processes, of which the second's clock is ahead by `skew` milliseconds.
    pub fn with_skew(seed: u64, settings: Settings, skew: i64) -> Self {
        let world = World::new(seed);
        let engine = |skew| Engine::new(world.skewed_ports(skew), settings.clone());
        Sim {
            random: Random::new(seed ^ 0x51D),
            engines: [engine(0), engine(skew)],
            skew,
            settings: settings.clone(),
            executor: Executor::default(),
            drivers: BTreeMap::new(),
            polls: BTreeMap::new(),
            told: BTreeMap::new(),
            told_twice: 0,
            acknowledged: Rc::default(),
            redeliver: 0,
            one_process: false,
            may_call_again: false,
            steps: 0,
            checked_appends: 0,
            world,
        }
    }

    fn process(&mut self) -> usize {
        let at = self.random.below(2);
        if self.one_process { 0 } else { at }
    }

    /// One of the processes.
    pub fn engine(&mut self) -> Engine {
        let at = self.process();
        self.engines[at].clone()
    }

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
        let request = StartRequest { parent, ..request(machine, name, input) };
        let (engine, clock, told) = (self.engine(), self.world.clock.clone(), self.acknowledged.clone());
        self.executor.spawn(async move {
            loop {
                match engine.start(request.clone()).await {
                    Ok(started) => return told.borrow_mut().started.push(started.execution_arn),
                    Err(StartError::AlreadyExists { arn }) => {
                        return told.borrow_mut().refused.push(arn.to_string());
                    }
                    Err(StartError::Unavailable(_)) => clock.sleep(Duration::from_secs(1)).await,
                }
            }
        });
    }

    /// A caller runs an Express execution and waits for its end.
    ///
    /// # Errors
    /// What the engine answers.
    pub fn start_sync(&mut self, machine: &Arc<StateMachine>, input: &str) -> Result<ExpressRun, StartError> {
        let (engine, request) = (self.engine(), request(machine, "sync", input));
        self.block_on(async move { engine.start_sync(request).await })
    }

    /// Runs a future to its end, and the world with it.
    pub fn block_on<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T {
        let value = Rc::new(RefCell::new(None));
        let slot = value.clone();
        self.executor.spawn(async move {
            let value = future.await;
            *slot.borrow_mut() = Some(value);
        });
        loop {
            if let Some(value) = value.borrow_mut().take() {
                return value;
            }
            self.step().expect("the invariants hold");
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
        let (engine, told, arn) = (self.engine(), self.acknowledged.clone(), Arc::<str>::from(execution));
        let error = ErrorOutput::new("Stopped", "by the test");
        self.executor.spawn(async move {
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

    /// A caller sends a task's result, and tries again while it is told to.
    pub fn callback(&mut self, token: &Arc<str>, result: Callback) {
        let (engine, told, token) = (self.engine(), self.acknowledged.clone(), token.clone());
        let clock = self.world.clock.clone();
        self.executor.spawn(async move {
            loop {
                let answer = engine.send_task_result(&token, result.clone()).await;
                if let Err(CallbackError::Unavailable(_)) = answer {
                    clock.sleep(Duration::from_secs(1)).await;
                    continue;
                }
                return told.borrow_mut().callbacks.push((token, answer.map_err(|error| error.to_string())));
            }
        });
    }

    /// A service tells of the end of a call that went on by itself, `after` from now; again, a minute later, while it is not taken.
    pub fn tell(&mut self, id: &Arc<str>, result: &Callback, after: Duration) {
        let times = 1 + usize::from(self.random.chance(self.told_twice));
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
            let answer = engine.send_task_result(&invocation.token, result).await;
            if let Err(CallbackError::Unavailable(_)) = answer {
                return;
            }
            taken.set(true);
            let answer = answer.map_err(|error| error.to_string());
            acknowledged.borrow_mut().callbacks.push((invocation.token, answer));
        });
        self.told.insert(task, told);
    }

    /// Tells again what was not taken, because its handler failed or died.
    fn tell_again(&mut self, alive: &[TaskId]) {
        let over = |task: &TaskId| alive.binary_search(task).is_err();
        let ended: Vec<_> = self.told.extract_if(.., |task, _| over(task)).map(|(_, told)| told).collect();
        for told in ended {
            if !told.taken.get() && told.before + 1 < TELLINGS {
                self.tell_once(Told { before: told.before + 1, after: Duration::from_secs(60), ..told });
            }
        }
    }

    /// A worker asks for a task of `activity`, and perhaps ends what it gets.
    pub fn poll(&mut self, activity: &str, worker: &str, result: Option<Callback>) {
        let process = self.process();
        let (engine, told, clock) =
            (self.engines[process].clone(), self.acknowledged.clone(), self.world.clock.clone());
        let (activity, worker) = (Arc::<str>::from(activity), Arc::from(worker));
        let task = self.executor.spawn(async move {
            // A worker that is refused asks again another time.
            let Ok(Some(task)) = engine.activity_task(&activity, Some(worker)).await else { return };
            told.borrow_mut().given.push(task.token.clone());
            let Some(result) = result else { return };
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
        let (engine, token) = (self.engine(), token.clone());
        self.executor.spawn(async move {
            // Told or not: the heartbeat's timer decides.
            let _ = engine.send_task_heartbeat(&token).await;
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
        self.acknowledged.borrow().callbacks.clone()
    }

    /// A process dies, with everything that runs in it, and a new one takes its place.
    pub fn crash_process(&mut self) {
        let at = self.process();
        let ports = self.world.skewed_ports(if at == 0 { 0 } else { self.skew });
        self.engines[at] = Engine::new(ports, self.settings.clone());
        let dead = |running: &mut BTreeMap<TaskId, usize>| {
            running.extract_if(.., |_, process| *process == at).map(|(task, _)| task).collect::<Vec<_>>()
        };
        for task in dead(&mut self.drivers).into_iter().chain(dead(&mut self.polls)) {
            self.executor.kill(task);
        }
    }

    /// Takes one step; `false` where nothing can happen any more.
    ///
    /// # Errors
    /// What does not hold.
    pub fn step(&mut self) -> Result<bool, Broken> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            let messages = self.world.queue.messages();
            let alive = self.executor.len();
            return Err(Broken(format!(
                "it does not come to an end: {} drivers of {alive} tasks, {messages:#?}",
                self.drivers.len()
            )));
        }
        if self.redeliver > 0 && self.random.chance(self.redeliver) {
            let delivery = self.world.queue.receive_again(&mut self.random);
            self.deliver(delivery);
        }
        if self.drivers.len() < DRIVERS_MAX && self.random.chance(300) {
            let delivery = self.world.queue.receive(&mut self.random);
            self.deliver(delivery);
        }
        let polled = self.executor.step(&mut self.random);
        if let Some(task) = polled
            && self.world.faults.take_crash()
        {
            self.executor.kill(task);
        }
        let alive = self.executor.ids();
        self.drivers.retain(|task, _| alive.binary_search(task).is_ok());
        self.polls.retain(|task, _| alive.binary_search(task).is_ok());
        self.tell_again(&alive);
        self.check()?;
        Ok(polled.is_some() || self.pass_time())
    }

    fn deliver(&mut self, delivery: Option<Delivery>) {
        let Some(Delivery { message, claimant, receives }) = delivery else { return };
        let process = self.process();
        let (engine, queue) = (self.engines[process].clone(), self.world.queue.clone());
        let task = self.executor.spawn(async move {
            let id = claimant.message.clone();
            match engine.drive(message, claimant, receives).await {
                Driven::Done => queue.delete(&id),
                Driven::Again { after } if after.is_zero() => {}
                Driven::Again { after } => queue.put_back(&id, after),
            }
        });
        self.drivers.insert(task, process);
    }

    /// Lets the next thing come that waits for its time.
    fn pass_time(&mut self) -> bool {
        let now = self.world.clock.now();
        let visible = self.world.queue.next_visible();
        if visible.is_some_and(|at| at <= now) && self.drivers.len() < DRIVERS_MAX {
            return true;
        }
        let room = self.drivers.len() < DRIVERS_MAX;
        let next = self.world.clock.next_wake().into_iter().chain(visible.filter(|_| room)).min();
        if let Some(next) = next {
            self.world.clock.advance_to(next.max(Timestamp(now.0 + 1)));
        }
        next.is_some()
    }

    /// Steps until nothing can happen any more.
    ///
    /// # Errors
    /// What does not hold.
    pub fn run(&mut self) -> Result<(), Broken> {
        while self.step()? {}
        self.check_at_rest()
    }
}
