//! The ports on SQLite pass the suites that every adapter passes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stepwell_engine::Driven;
use stepwell_engine::message::{Message, MessageBody};
use stepwell_engine::meta::RunId;
use stepwell_engine::port::{Clock, Ports};
use stepwell_interpreter::{Claimant, Timestamp};
use stepwell_local::{Drive, LocalStore, Options};
use stepwell_test_support::suite::{self, Consumer};
use stepwell_test_support::{Delivery, SimClock, World};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

pub(crate) struct Fixture {
    _directory: TempDir,
    store: LocalStore,
    pub(crate) ports: Ports,
    clock: Arc<SimClock>,
}

fn fixture() -> Fixture {
    fixture_with(Options::default())
}

pub(crate) fn fixture_with(options: Options) -> Fixture {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let World { clock, tasks, .. } = World::new(1);
    let options = Options { clock: clock.clone(), ..options };
    let store = LocalStore::open(directory.path(), options).expect("the store opens");
    let ports = store.ports(tasks);
    Fixture { _directory: directory, store, ports, clock }
}

#[tokio::test]
async fn journal() {
    suite::journal(&*fixture().ports.journal).await;
}

#[tokio::test]
async fn map_runs() {
    suite::map_runs(&*fixture().ports.map_runs).await;
}

#[tokio::test]
async fn registry() {
    suite::registry(&*fixture().ports.registry).await;
}

#[tokio::test]
async fn activities() {
    suite::activities(&*fixture().ports.activities).await;
}

#[tokio::test]
async fn waiting_tasks() {
    let fixture = fixture();
    let ports = &fixture.ports;
    // The writer answers in order.
    let settle = async || ports.registry.delete("none", "").await.expect("written");
    suite::waiting_tasks(&*ports.activities, settle).await;
}

/// Hands each delivery to the suite and waits for its word.
#[derive(Clone)]
struct Hand(mpsc::UnboundedSender<(Delivery, oneshot::Sender<Driven>)>);

impl Drive for Hand {
    async fn drive(&self, message: Message, claimant: Claimant, receives: u32) -> Driven {
        let (answer, answered) = oneshot::channel();
        self.0.send((Delivery { message, claimant, receives }, answer)).expect("the suite receives");
        answered.await.unwrap_or(Driven::Done)
    }
}

struct Dispatched {
    fixture: Fixture,
    arrived: Mutex<mpsc::UnboundedReceiver<(Delivery, oneshot::Sender<Driven>)>>,
    open: Mutex<Vec<(u64, oneshot::Sender<Driven>)>>,
}

impl Dispatched {
    /// Returns when nothing moves any more without the clock: the runtime has one thread, and the writer answers in order.
    async fn settle(&self) {
        for _ in 0..3 {
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            self.fixture.ports.registry.delete("none", "").await.expect("written");
        }
    }

    fn answer(&self, delivery: &Delivery, driven: Driven) {
        let mut open = self.open.lock().expect("no panic");
        let at = open.iter().position(|(id, _)| *id == delivery.claimant.delivery).expect("it was received");
        open.swap_remove(at).1.send(driven).expect("its driver waits");
    }
}

#[async_trait]
impl Consumer for Dispatched {
    async fn receive(&self) -> Option<Delivery> {
        self.settle().await;
        let (delivery, answer) = self.arrived.lock().expect("no panic").try_recv().ok()?;
        self.open.lock().expect("no panic").push((delivery.claimant.delivery, answer));
        Some(delivery)
    }

    async fn done(&self, delivery: &Delivery) {
        self.answer(delivery, Driven::Done);
        self.settle().await;
    }

    async fn again(&self, delivery: &Delivery, after: Duration) {
        self.answer(delivery, Driven::Again { after });
        self.settle().await;
    }

    async fn pass(&self, time: Duration) {
        self.fixture.clock.advance(time);
        self.settle().await;
    }
}

#[tokio::test]
async fn queue() {
    queue_of(fixture()).await;
}

pub(crate) async fn queue_of(fixture: Fixture) {
    let (sender, mut arrived) = mpsc::unbounded_channel();
    let _dispatching = fixture.store.run(Hand(sender)).expect("the first dispatcher");
    // The dispatcher is there once it has delivered something.
    let body = MessageBody::Continue { after: 1, bury: None };
    let probe = Message { execution: "probe".into(), run: RunId(1), epoch: 0, sent_at: Timestamp(0), body };
    fixture.ports.queue.send(probe, None).await.expect("sent");
    drop(arrived.recv().await);

    let (ports, clock) = (fixture.ports.clone(), fixture.clock.clone());
    let consumer = Dispatched { fixture, arrived: Mutex::new(arrived), open: Mutex::default() };
    let clock: &dyn Clock = &*clock;
    suite::queue(&*ports.queue, &*ports.scheduler, clock, &consumer).await;
}
