//! Names that mean the same get the same number: the order of the queue and of drivers, and the counters, carry no meaning.

use crate::state::{Delivery, Execution, MessageId, Task, World};

/// Renames messages and deliveries so that worlds which differ in names alone are one. Names that nobody can meet any more
/// become 0.
pub(crate) fn canonical(world: &mut World) {
    let names = Names::of(world);
    names.execution(&mut world.execution);
    if let Some(before) = &mut world.before {
        names.execution(before);
    }
    for writer in world.writers.iter_mut().flatten() {
        *writer = names.claimant(*writer);
    }
    if world.faults.lost_replies == 0
        && world.drivers.iter().flatten().all(|driver| driver.in_doubt.is_none())
    {
        world.writers.clear();
    }
    let held: Vec<_> = world.drivers.iter().flatten().map(|driver| driver.me()).collect();
    for queued in &mut world.queue {
        let is_held = held.contains(&(queued.id, queued.last));
        queued.last = if is_held { names.delivery(queued.last) } else { 0 };
        queued.id = names.message(queued.id);
    }
    for driver in world.drivers.iter_mut().flatten() {
        driver.message = names.message(driver.message);
        driver.delivery = names.delivery(driver.delivery);
        names.execution(&mut driver.local);
        if let Some((planned, _)) = &mut driver.planned {
            names.execution(planned);
        }
    }
    world.next_message = names.messages.len() as u8 + 1;
    world.next_delivery = names.deliveries.len() as u8;
}

struct Names {
    messages: Vec<MessageId>,
    deliveries: Vec<Delivery>,
}

impl Names {
    /// The names of what is in the queue or at work; puts both in order.
    fn of(world: &mut World) -> Self {
        world.queue.sort_by_key(|queued| (queued.trigger, queued.epoch, queued.id));
        let mut messages: Vec<_> = world.queue.iter().map(|queued| queued.id).collect();
        let place = |message| messages.iter().position(|id| *id == message);
        world.drivers.sort_by_key(|driver| {
            driver.as_ref().map_or((1, None), |driver| (0, Some((place(driver.message), driver.delivery))))
        });
        for driver in world.drivers.iter().flatten() {
            if !messages.contains(&driver.message) {
                messages.push(driver.message);
            }
        }
        let mut deliveries: Vec<_> = world.drivers.iter().flatten().map(|driver| driver.delivery).collect();
        for (message, delivery, _) in &world.execution.first {
            if messages.contains(message) && !deliveries.contains(delivery) {
                deliveries.push(*delivery);
            }
        }
        Names { messages, deliveries }
    }

    fn message(&self, id: MessageId) -> MessageId {
        number(&self.messages, id)
    }

    fn delivery(&self, id: Delivery) -> Delivery {
        number(&self.deliveries, id)
    }

    fn claimant(&self, (message, delivery): (MessageId, Delivery)) -> (MessageId, Delivery) {
        match self.message(message) {
            0 => (0, 0),
            message => (message, self.delivery(delivery)),
        }
    }

    fn execution(&self, execution: &mut Execution) {
        execution.first.retain(|(message, ..)| self.message(*message) > 0);
        for first in &mut execution.first {
            *first = (self.message(first.0), self.delivery(first.1), first.2);
        }
        execution.first.sort();
        for (task, by) in execution.tasks.iter_mut().zip(&mut execution.timer_by) {
            let has_timer = matches!(task, Task::Open(..) | Task::Waiting(_) | Task::Backoff(_));
            *by = if has_timer { self.message(*by) } else { 0 };
            if let Task::Open(_, claimant) = task {
                *claimant = self.claimant(*claimant);
            }
        }
    }
}

/// The place of `id`, from 1; 0 where it has none.
fn number(among: &[u8], id: u8) -> u8 {
    among.iter().position(|known| *known == id).map_or(0, |place| place as u8 + 1)
}
