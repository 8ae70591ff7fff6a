//! One simulated world: two processes over the same ports, and the steps that they take.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use stepwell_engine::message::Message;
use stepwell_engine::port::{Clock, StateMachine};
use stepwell_engine::{Driven, Engine, ExpressRun, Settings, StartError};
use stepwell_interpreter::Timestamp;
use stepwell_test_support::{Delivery, Executor, Fault, Place, Random, Rates, SkewedClock, TaskId, World};

use crate::Broken;
use crate::callers::{Acknowledged, Insisted, Told, request};
use crate::checker::Checker;

/// Steps after which a simulation is given up.
const STEPS_MAX: u64 = 400_000;
/// Messages that are dealt with at once.
const DRIVERS_MAX: usize = 6;
/// How long a driver or handler stands still at most.
const FROZEN_MAX: Duration = Duration::from_secs(240);
/// By how much a clock jumps at most, in milliseconds, forth or back.
const JUMP_MAX: usize = 10_000;

/// A simulation.
pub struct Sim {
    /// The ports.
    pub world: World,
    /// What decides.
    pub random: Random,
    pub(crate) settings: Settings,
    /// By how much each process's clock is ahead at first, in milliseconds.
    skews: [i64; 2],
    clocks: [Arc<SkewedClock>; 2],
    /// Two processes over the same ports.
    pub(crate) engines: [Engine; 2],
    pub(crate) executor: Executor,
    /// Who drives which message, on which process.
    drivers: BTreeMap<TaskId, (usize, Arc<str>)>,
    /// Workers that wait for tasks, on which process.
    pub(crate) polls: BTreeMap<TaskId, usize>,
    /// Who stands still, and until when.
    frozen: BTreeMap<TaskId, Timestamp>,
    /// What a service tells of the ends of calls that went on by themselves, until it is taken.
    pub(crate) told: BTreeMap<TaskId, Told>,
    /// How often, in a thousand, such an end is told twice at once.
    pub told_twice: u32,
    /// Starts that somebody insists on.
    pub(crate) insisted: BTreeMap<TaskId, Insisted>,
    pub(crate) acknowledged: Rc<RefCell<Acknowledged>>,
    /// Messages that were dealt with, since the last check.
    pub(crate) done: Rc<RefCell<Vec<Message>>>,
    /// How often, in a thousand steps, a message is delivered though it is hidden.
    pub redeliver: u32,
    /// Whether the second process stands idle, as on one machine.
    pub one_process: bool,
    /// Whether who tells others of an execution may be too late to be heard: where drivers stand still.
    pub may_go_untold: bool,
    /// Whether to print what happens.
    pub trace: bool,
    pub(crate) checker: Checker,
    steps: u64,
}

impl Sim {
    /// A simulation that `seed` decides.
    pub fn new(seed: u64, settings: Settings) -> Self {
        Self::with_skew(seed, settings, 0)
    }

    /// A simulation of two processes, of which the second's clock is ahead by `skew` milliseconds.
    pub fn with_skew(seed: u64, settings: Settings, skew: i64) -> Self {
        let world = World::new(seed);
        let skews = [0, skew];
        let clocks = skews.map(|skew| world.skewed_clock(skew));
        let engines = clocks.clone().map(|clock| Engine::new(world.ports_by(clock), settings.clone()));
        Sim {
            random: Random::new(seed ^ 0x51D),
            settings,
            skews,
            clocks,
            engines,
            executor: Executor::default(),
            drivers: BTreeMap::new(),
            polls: BTreeMap::new(),
            frozen: BTreeMap::new(),
            told: BTreeMap::new(),
            told_twice: 0,
            insisted: BTreeMap::new(),
            acknowledged: Rc::default(),
            done: Rc::default(),
            redeliver: 0,
            one_process: false,
            may_go_untold: false,
            trace: false,
            checker: Checker::default(),
            steps: 0,
            world,
        }
    }

    pub(crate) fn process(&mut self) -> usize {
        let at = self.random.below(2);
        if self.one_process { 0 } else { at }
    }

    /// One of the processes.
    pub fn engine(&mut self) -> Engine {
        let at = self.process();
        self.engines[at].clone()
    }

    /// Steps that were taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Nothing goes wrong any more.
    pub fn calm(&mut self) {
        self.world.faults.set(Rates::default());
        self.redeliver = 0;
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
        let value = Rc::new(Cell::new(None));
        let slot = value.clone();
        self.executor.spawn(async move {
            let value = future.await;
            slot.set(Some(value));
        });
        loop {
            if let Some(value) = value.take() {
                return value;
            }
            self.step().expect("the invariants hold");
        }
    }

    /// A process dies, with everything that runs in it, and a new one takes its place.
    pub fn crash_process(&mut self) {
        let at = self.process();
        self.world.faults.count(Place::Process, Fault::Killed);
        self.clocks[at] = self.world.skewed_clock(self.skews[at]);
        let ports = self.world.ports_by(self.clocks[at].clone());
        self.engines[at] = Engine::new(ports, self.settings.clone());
        let drivers = self.drivers.extract_if(.., |_, (process, _)| *process == at).map(|(task, _)| task);
        let polls = self.polls.extract_if(.., |_, process| *process == at).map(|(task, _)| task);
        for task in drivers.chain(polls).collect::<Vec<_>>() {
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
            let (messages, alive) = (self.world.queue.messages(), self.executor.len());
            let drivers = self.drivers.len();
            return Err(Broken(format!(
                "it does not come to an end: {drivers} drivers of {alive} tasks, {messages:#?}"
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
        let frozen = &self.frozen;
        let polled = self.executor.step_where(&mut self.random, |task| !frozen.contains_key(&task));
        if let Some(task) = polled {
            self.befall(task);
        }
        let executor = &self.executor;
        self.drivers.retain(|task, _| executor.is_alive(*task));
        self.polls.retain(|task, _| executor.is_alive(*task));
        self.frozen.retain(|task, _| executor.is_alive(*task));
        self.tell_again();
        self.start_again();
        self.check()?;
        Ok(polled.is_some() || self.pass_time())
    }

    /// What may happen to whoever has just taken a step, wherever it stands now.
    fn befall(&mut self, task: TaskId) {
        let faults = &self.world.faults;
        if faults.draw(Place::Clock, Fault::Jumped, |rates| rates.jump) {
            let (at, jump) = (self.random.below(2), self.random.below(2 * JUMP_MAX));
            self.clocks[at].jump(jump as i64 - JUMP_MAX as i64);
        }
        if faults.take_crash() {
            return self.executor.kill(task);
        }
        if !self.executor.is_alive(task) {
            return;
        }
        let place = if self.drivers.contains_key(&task) { Place::Driver } else { Place::Handler };
        if faults.draw(place, Fault::Stopped, |rates| rates.stop) {
            self.executor.kill(task);
        } else if faults.draw(place, Fault::Frozen, |rates| rates.freeze) {
            let until = self.world.clock.now().0 + faults.up_to(FROZEN_MAX).as_millis() as i64;
            self.frozen.insert(task, Timestamp(until));
        }
    }

    fn deliver(&mut self, delivery: Option<Delivery>) {
        let Some(Delivery { message, claimant, receives }) = delivery else { return };
        let process = self.process();
        if self.drivers.values().any(|(_, driven)| *driven == claimant.message) {
            self.world.faults.count(Place::Driver, Fault::AtOnce);
        }
        let (engine, queue, done) =
            (self.engines[process].clone(), self.world.queue.clone(), self.done.clone());
        self.checker.epochs.insert(claimant.message.clone(), message.epoch);
        let (id, trace, clock) = (claimant.message.clone(), self.trace, self.world.clock.clone());
        if trace {
            println!(
                "{} {id} {:x} on {process}, no. {receives}: {message:?}",
                clock.now().0,
                claimant.delivery
            );
        }
        let task = self.executor.spawn(async move {
            let (id, delivery) = (claimant.message.clone(), claimant.delivery);
            let driven = engine.drive(message.clone(), claimant, receives).await;
            if trace {
                println!("{} {id} {delivery:x}: {driven:?}", clock.now().0);
            }
            match driven {
                Driven::Done => {
                    done.borrow_mut().push(message);
                    queue.delete(&id);
                }
                Driven::Again { after } if after.is_zero() => {}
                Driven::Again { after } => queue.put_back(&id, after),
            }
        });
        self.drivers.insert(task, (process, id));
    }

    /// Lets the next thing come that waits for its time.
    fn pass_time(&mut self) -> bool {
        let now = self.world.clock.now();
        let visible = self.world.queue.next_visible();
        let room = self.drivers.len() < DRIVERS_MAX;
        if visible.is_some_and(|at| at <= now) && room {
            return true;
        }
        let thaws = self.frozen.values().min().copied();
        let next = self.world.clock.next_wake().into_iter().chain(visible.filter(|_| room)).chain(thaws);
        let Some(next) = next.min() else { return false };
        let now = next.max(Timestamp(now.0 + 1));
        self.world.clock.advance_to(now);
        self.frozen.retain(|_, until| *until > now);
        true
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
