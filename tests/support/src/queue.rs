//! A queue in memory: at least once, in an order that a seed decides.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stepwell_engine::message::Message;
use stepwell_engine::port::{Clock, Queue, QueueError, Scheduler};
use stepwell_engine::stored::{decode_message, encode_message};
use stepwell_interpreter::{Claimant, Timestamp};

use crate::faults::At;
use crate::{Fault, Faults, Place, Random, SimClock, lock};

/// How long a delivered message stays hidden, unless told otherwise.
const VISIBILITY: Duration = Duration::from_secs(120);
/// How much too soon a message comes at most.
const EARLY_MAX: Duration = Duration::from_secs(30);
/// How much too late a message comes at most.
const LATE_MAX: Duration = Duration::from_secs(120);

/// A queue and a scheduler in memory.
pub struct MemoryQueue {
    inner: Mutex<Inner>,
    clock: Arc<SimClock>,
    queue: At,
    scheduler: At,
}

#[derive(Default)]
struct Inner {
    /// By message id.
    waiting: BTreeMap<Arc<str>, Waiting>,
    sent: u64,
}

struct Waiting {
    bytes: bytes::Bytes,
    visible_at: Timestamp,
    receives: u32,
}

/// One delivery of a message.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// Its id, and a random id of this delivery.
    pub claimant: Claimant,
    /// Which delivery of it this is, from 1.
    pub receives: u32,
}

impl MemoryQueue {
    pub(crate) fn new(clock: Arc<SimClock>, faults: Arc<Faults>) -> Self {
        let (queue, scheduler) = (faults.clone().at(Place::Queue), faults.at(Place::Scheduler));
        MemoryQueue { inner: Mutex::default(), clock, queue, scheduler }
    }

    /// Receives one of the visible messages, if there is one.
    pub fn receive(&self, random: &mut Random) -> Option<Delivery> {
        let now = self.clock.now();
        let ids = self.ids_where(|waiting| waiting.visible_at <= now);
        let id = ids.get(random.below(ids.len()))?;
        let first = lock(&self.inner).waiting.values().map(|waiting| waiting.visible_at).min();
        let visible_at = lock(&self.inner).waiting.get(id).map(|waiting| waiting.visible_at);
        if visible_at > first {
            self.queue.faults.count(Place::Queue, Fault::Reordered);
        }
        self.deliver(id, random)
    }

    /// Receives any message, also one that is hidden: at least once is all that a queue promises.
    pub fn receive_again(&self, random: &mut Random) -> Option<Delivery> {
        let ids = self.ids_where(|waiting| waiting.receives > 0);
        let id = ids.get(random.below(ids.len()))?;
        self.queue.faults.count(Place::Queue, Fault::Redelivered);
        self.deliver(id, random)
    }

    fn ids_where(&self, holds: impl Fn(&Waiting) -> bool) -> Vec<Arc<str>> {
        lock(&self.inner)
            .waiting
            .iter()
            .filter(|(_, waiting)| holds(waiting))
            .map(|(id, _)| id.clone())
            .collect()
    }

    fn deliver(&self, id: &Arc<str>, random: &mut Random) -> Option<Delivery> {
        let mut inner = lock(&self.inner);
        let waiting = inner.waiting.get_mut(id)?;
        waiting.receives += 1;
        waiting.visible_at = after(self.clock.now(), VISIBILITY);
        let message = decode_message(&waiting.bytes).expect("what was encoded by `send` is whole");
        let claimant = Claimant { message: id.clone(), delivery: random.bits() };
        Some(Delivery { message, claimant, receives: waiting.receives })
    }

    /// Deletes a message, as the driver's `Done` asks. Any receipt can, also an old one.
    pub fn delete(&self, id: &str) {
        if self.queue.draw(Fault::Undeleted, |rates| rates.undeleted) {
            return;
        }
        lock(&self.inner).waiting.remove(id);
    }

    /// Lets a message come again `delay` from now.
    pub fn put_back(&self, id: &str, delay: Duration) {
        let at = after(self.clock.now(), delay);
        if let Some(waiting) = lock(&self.inner).waiting.get_mut(id) {
            waiting.visible_at = at;
        }
    }

    /// Whether a message is there, hidden or not.
    pub fn holds(&self, id: &str) -> bool {
        lock(&self.inner).waiting.contains_key(id)
    }

    /// Messages that are there, hidden or not.
    pub fn len(&self) -> usize {
        lock(&self.inner).waiting.len()
    }

    /// Whether no message is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the next message becomes visible, or did.
    pub fn next_visible(&self) -> Option<Timestamp> {
        lock(&self.inner).waiting.values().map(|waiting| waiting.visible_at).min()
    }

    /// The messages that are there.
    pub fn messages(&self) -> Vec<(Arc<str>, Message)> {
        let inner = lock(&self.inner);
        let read =
            |waiting: &Waiting| decode_message(&waiting.bytes).expect("what was encoded by `send` is whole");
        inner.waiting.iter().map(|(id, waiting)| (id.clone(), read(waiting))).collect()
    }

    async fn put(&self, by: &At, message: &Message, due: Option<Timestamp>) -> Result<(), QueueError> {
        by.before().await.map_err(QueueError)?;
        for _ in 0..=usize::from(by.draw(Fault::Duplicated, |rates| rates.duplicate)) {
            let visible_at = self.visible_at(by, due);
            let mut inner = lock(&self.inner);
            inner.sent += 1;
            let id: Arc<str> = format!("m{}", inner.sent).into();
            inner.waiting.insert(id, Waiting { bytes: encode_message(message), visible_at, receives: 0 });
        }
        by.after().await.map_err(QueueError)
    }

    /// When a message comes that is due then: about.
    fn visible_at(&self, by: &At, due: Option<Timestamp>) -> Timestamp {
        let at = due.unwrap_or(self.clock.now());
        if due.is_some() && by.draw(Fault::Early, |rates| rates.early) {
            return Timestamp(at.0 - by.faults.up_to(EARLY_MAX).as_millis() as i64);
        }
        if by.draw(Fault::Late, |rates| rates.late) { after(at, by.faults.up_to(LATE_MAX)) } else { at }
    }
}

fn after(now: Timestamp, delay: Duration) -> Timestamp {
    Timestamp(now.0 + delay.as_millis() as i64)
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn send(&self, message: Message, due: Option<Timestamp>) -> Result<(), QueueError> {
        self.put(&self.queue, &message, due).await
    }

    async fn set_visibility(&self, message: &str, visibility: Duration) -> Result<(), QueueError> {
        self.queue.before().await.map_err(QueueError)?;
        self.put_back(message, visibility);
        self.queue.after().await.map_err(QueueError)
    }
}

#[async_trait]
impl Scheduler for MemoryQueue {
    async fn schedule(&self, message: Message, due: Timestamp) -> Result<(), QueueError> {
        self.put(&self.scheduler, &message, Some(due)).await
    }
}
