//! The ports in memory pass the suites.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use stepwell_test_support::suite::{self, Consumer};
use stepwell_test_support::{Delivery, Executor, Random, World};

fn run(future: impl Future<Output = ()> + 'static) {
    let (mut executor, mut random) = (Executor::default(), Random::new(1));
    executor.spawn(future);
    while executor.step(&mut random).is_some() {}
    assert!(executor.is_empty(), "the suite waits for something");
}

#[test]
fn journal() {
    let world = World::new(1);
    run(async move { suite::journal(&*world.journal).await });
}

#[test]
fn invocations() {
    let world = World::new(1);
    run(async move { suite::invocations(&*world.journal).await });
}

#[test]
fn map_runs() {
    let world = World::new(1);
    run(async move { suite::map_runs(&*world.map_runs).await });
}

#[test]
fn registry() {
    let world = World::new(1);
    run(async move { suite::registry(&*world.registry).await });
}

#[test]
fn activities() {
    let world = World::new(1);
    run(async move { suite::activities(&*world.activities).await });
}

#[test]
fn waiting_tasks() {
    let world = World::new(1);
    run(async move { suite::waiting_tasks(&*world.activities, async || {}).await });
}

struct Memory(World, Mutex<Random>);

#[async_trait]
impl Consumer for Memory {
    async fn receive(&self) -> Option<Delivery> {
        self.0.queue.receive(&mut self.1.lock().unwrap())
    }

    async fn done(&self, delivery: &Delivery) {
        self.0.queue.delete(&delivery.claimant.message);
    }

    async fn again(&self, delivery: &Delivery, after: Duration) {
        self.0.queue.put_back(&delivery.claimant.message, after);
    }

    async fn pass(&self, time: Duration) {
        self.0.clock.advance(time);
    }
}

#[test]
fn queue() {
    let world = World::new(1);
    let consumer = Memory(world.clone(), Mutex::new(Random::new(1)));
    run(async move { suite::queue(&*world.queue, &*world.queue, &*world.clock, &consumer).await });
}
