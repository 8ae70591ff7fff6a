//! A process that drives what comes, in a world where no time goes by but what is waited for.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use stepwell_engine::port::Clock;
use stepwell_engine::{Driven, Engine, Settings};
use stepwell_interpreter::Timestamp;

use crate::{Delivery, Executor, MemoryQueue, Random, World};

/// An engine over a world of its own, what it has to do, and the order in which it does it. Two of them are the same.
pub struct Process {
    /// Its ports.
    pub world: World,
    engine: Engine,
    executor: Executor,
    random: Random,
}

impl Process {
    /// A process with a world that has nothing in it; `seed` decides both.
    pub fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let engine = Engine::new(world.ports(), Settings::default());
        Process { world, engine, executor: Executor::default(), random: Random::new(seed) }
    }

    /// Its engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Begins something that goes on while the process takes steps; the result comes into the slot.
    pub fn begin<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> Rc<RefCell<Option<T>>> {
        let slot = Rc::new(RefCell::new(None));
        let filled = slot.clone();
        self.executor.spawn(async move {
            let value = future.await;
            *filled.borrow_mut() = Some(value);
        });
        slot
    }

    /// Lets one thing happen: a message comes, something goes on, or time goes by up to `until`. `false` where nothing can.
    pub fn step(&mut self, until: Timestamp) -> bool {
        if let Some(delivery) = self.world.queue.receive(&mut self.random) {
            self.executor.spawn(self.world.queue.clone().drive(self.engine.clone(), delivery));
            return true;
        }
        self.step_deaf(until)
    }

    /// [`Process::step`], and no message comes.
    pub fn step_deaf(&mut self, until: Timestamp) -> bool {
        self.executor.step(&mut self.random).is_some() || self.world.advance(until)
    }
}

impl World {
    /// Lets time go by to the next thing that is due up to `until`; `false` where nothing is.
    fn advance(&self, until: Timestamp) -> bool {
        let now = self.clock.now();
        let due = [self.clock.next_wake(), self.queue.next_visible()];
        let Some(next) = due.into_iter().flatten().filter(|due| *due > now && *due <= until).min() else {
            return false;
        };
        self.clock.advance_to(next);
        true
    }
}

impl MemoryQueue {
    /// Lets `engine` drive a delivery, and does with its message what it says.
    pub async fn drive(self: Arc<Self>, engine: Engine, delivery: Delivery) {
        let id = delivery.claimant.message.clone();
        match engine.drive(delivery.message, delivery.claimant, delivery.receives).await {
            Driven::Done => self.delete(&id),
            Driven::Again { after } => self.put_back(&id, after),
        }
    }
}
