//! What may happen next, in any order: a handler's step or death, a receipt, a driver's step or death, the return of a call.

use stateright::{Model, Property};

use crate::canonical::canonical;
use crate::driver::Next;
use crate::shapes::Shape;
use crate::state::{Delivery, Driver, Execution, MessageId, Phase, Task, Trigger, World};
use crate::{Bug, DRIVERS, Protocol, properties};

/// One thing that happens. Numbers are the places of drivers, then what they do it to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Action {
    StartSend,
    StartCommit,
    StartReply,
    StartCrash,
    CallbackSend(u8),
    CallbackCommit,
    CallbackReply,
    CallbackCrash,
    StopSend,
    StopCommit,
    StopReply,
    StopCrash,
    RedriveSend,
    RedriveCommit,
    RedriveReply,
    RedriveCrash,
    Receive(usize, MessageId),
    /// A receipt whose read of the journal is not consistent.
    ReceiveStale(usize, MessageId),
    Step(usize),
    StepReplyLost(usize),
    SliceEnd(usize),
    CallReturns(usize, usize, u8),
    /// The call's service takes it, and carries it on without the driver.
    CallAccepted(usize, usize, u8),
    /// `true`: its message is deleted.
    Return(usize, bool),
    Crash(usize),
}

impl Protocol {
    fn handlers(&self, world: &World, out: &mut Vec<Action>) {
        let may_crash = world.faults.crashes > 0;
        let is_late = self.bug == Some(Bug::StartMessageAfterCommit);
        match world.start.0 {
            Phase::Idle if is_late => out.push(Action::StartCommit),
            Phase::Committed if is_late => out.push(Action::StartSend),
            Phase::Sent if is_late => out.push(Action::StartReply),
            Phase::Idle => out.push(Action::StartSend),
            Phase::Sent => out.push(Action::StartCommit),
            Phase::Committed => out.push(Action::StartReply),
            _ => {}
        }
        match world.callback.0 {
            Phase::Idle => out.extend(self.to_call_back(world).map(Action::CallbackSend)),
            Phase::Sent if self.bug == Some(Bug::CallbackAcksOnSend) => out.push(Action::CallbackReply),
            Phase::Sent => out.push(Action::CallbackCommit),
            Phase::Committed => out.push(Action::CallbackReply),
            _ => {}
        }
        match world.stop {
            Phase::Idle if world.meta > 0 => out.push(Action::StopSend),
            Phase::Sent => out.push(Action::StopCommit),
            Phase::Committed => out.push(Action::StopReply),
            _ => {}
        }
        match world.redrive {
            Phase::Idle if self.applies(&world.execution, world.meta, Trigger::Redrive, 1) => {
                out.push(Action::RedriveSend);
            }
            Phase::Sent => out.push(Action::RedriveCommit),
            Phase::Committed => out.push(Action::RedriveReply),
            _ => {}
        }
        let handlers = [
            (world.start.0, Action::StartCrash),
            (world.callback.0, Action::CallbackCrash),
            (world.stop, Action::StopCrash),
            (world.redrive, Action::RedriveCrash),
        ];
        let dying = handlers.into_iter().filter(|(phase, _)| may_crash && phase.is_under_way());
        out.extend(dying.map(|(_, crash)| crash));
    }

    /// Drivers are alike: only the first idle place receives.
    fn receipts(&self, world: &World, out: &mut Vec<Action>) {
        let Some(at) = world.drivers.iter().position(Option::is_none) else { return };
        for queued in &world.queue {
            let is_held = world.drivers.iter().flatten().any(|driver| driver.message == queued.id);
            if !is_held || world.faults.lapses > 0 || world.faults.repeats > 0 {
                out.push(Action::Receive(at, queued.id));
                if world.before.is_some() {
                    out.push(Action::ReceiveStale(at, queued.id));
                }
            }
        }
    }

    fn of_driver(&self, world: &World, at: usize, driver: &Driver, out: &mut Vec<Action>) {
        let mut then = world.clone();
        let next = self.step(&mut then, at, false);
        let is_newest =
            world.queue.iter().all(|queued| queued.id != driver.message || queued.last == driver.delivery);
        match next {
            Next::Stepped => {
                out.push(Action::Step(at));
                let appends = then.execution.seq > world.execution.seq;
                if world.faults.lost_replies > 0 && appends {
                    out.push(Action::StepReplyLost(at));
                }
            }
            Next::Waits => {}
            Next::Leaves => {
                if is_newest || self.stale_deletes {
                    out.push(Action::Return(at, true));
                }
                if !is_newest {
                    out.push(Action::Return(at, false));
                }
            }
            Next::LeavesMessage => {
                out.push(Action::Return(at, false));
                let deletes = self.bug == Some(Bug::BuriedDriverDeletes) && driver.is_buried();
                if deletes && (is_newest || self.stale_deletes) {
                    out.push(Action::Return(at, true));
                }
            }
        }
        for (task, attempt) in &driver.calls {
            out.push(Action::CallReturns(at, *task, *attempt));
            if self.shape == Shape::Accepted {
                out.push(Action::CallAccepted(at, *task, *attempt));
            }
        }
        if world.faults.slices > 0 && !driver.slice_over {
            out.push(Action::SliceEnd(at));
        }
        if world.faults.crashes > 0 {
            out.push(Action::Crash(at));
        }
    }

    fn receive(&self, world: &mut World, at: usize, id: MessageId, local: Execution) {
        let is_held = world.drivers.iter().flatten().any(|driver| driver.message == id);
        if is_held {
            match world.faults.lapses {
                0 => world.faults.repeats -= 1,
                _ => world.faults.lapses -= 1,
            }
        }
        world.next_delivery += 1;
        let delivery = world.next_delivery;
        let Some(queued) = world.queue.iter_mut().find(|queued| queued.id == id) else { return };
        queued.last = delivery;
        world.drivers[at] =
            Some(Box::new(received(queued.id, delivery, queued.trigger, queued.epoch, local)));
    }

    fn of_a_driver(&self, world: &mut World, action: Action) -> bool {
        match action {
            Action::Step(at) => return self.step(world, at, false) == Next::Stepped,
            Action::StepReplyLost(at) => {
                world.faults.lost_replies -= 1;
                return self.step(world, at, true) == Next::Stepped;
            }
            Action::SliceEnd(at) => {
                world.faults.slices -= 1;
                world.drivers[at].iter_mut().for_each(|driver| driver.slice_over = true);
            }
            Action::CallReturns(at, task, attempt) => {
                let Some(driver) = &mut world.drivers[at] else { return false };
                driver.calls.retain(|call| *call != (task, attempt));
                driver.results.push((task, attempt, false));
                driver.results.sort();
            }
            Action::CallAccepted(at, task, attempt) => {
                let Some(driver) = &mut world.drivers[at] else { return false };
                driver.calls.retain(|call| *call != (task, attempt));
                driver.accepting = Some((task, attempt));
                world.service[attempt as usize] = true;
            }
            Action::Return(at, deletes) => {
                let Some(driver) = world.drivers[at].take() else { return false };
                if deletes {
                    world.queue.retain(|queued| queued.id != driver.message);
                }
            }
            Action::Crash(at) => {
                world.faults.crashes -= 1;
                world.drivers[at] = None;
            }
            _ => return false,
        }
        true
    }

    fn of_a_handler(&self, world: &mut World, action: Action) -> bool {
        let epoch = world.execution.epoch;
        match action {
            Action::StartSend => {
                world.send(Trigger::Start(world.start.1), 0);
                world.start.0 = Phase::Sent;
            }
            Action::StartCommit => self.start_commit(world),
            Action::StartReply => {
                world.start.0 = Phase::Acknowledged;
                world.is_start_acknowledged = true;
            }
            Action::StartCrash => Self::start_crash(world),
            Action::CallbackSend(attempt) => self.callback_send(world, attempt),
            Action::CallbackCommit => self.callback_commit(world),
            Action::CallbackReply => self.callback_reply(world),
            Action::CallbackCrash => world.callback.0 = Phase::Idle,
            Action::StopSend => {
                world.send(Trigger::Stop, epoch);
                world.stop = Phase::Sent;
            }
            Action::StopCommit => {
                // A stop means the epoch that it was asked of.
                if epoch == 0 {
                    self.fact(world, Trigger::Stop, 0);
                }
                world.stop = Phase::Committed;
            }
            Action::StopReply => world.stop = Phase::Acknowledged,
            Action::StopCrash => world.stop = Phase::Refused,
            Action::RedriveSend => {
                world.send(Trigger::Redrive, 1);
                world.redrive = Phase::Sent;
            }
            Action::RedriveCommit => {
                self.fact(world, Trigger::Redrive, 1);
                world.redrive = Phase::Committed;
            }
            Action::RedriveReply => self.redrive_reply(world),
            Action::RedriveCrash => world.redrive = Phase::Refused,
            _ => return false,
        }
        let crashes = [Action::StartCrash, Action::CallbackCrash, Action::StopCrash, Action::RedriveCrash];
        world.faults.crashes -= u8::from(crashes.contains(&action));
        true
    }
}

fn received(message: MessageId, delivery: Delivery, trigger: Trigger, epoch: u8, local: Execution) -> Driver {
    Driver {
        message,
        delivery,
        trigger,
        epoch,
        local,
        effects: vec![],
        planned: None,
        in_doubt: None,
        calls: vec![],
        accepting: None,
        results: vec![],
        has_written: false,
        redone: false,
        slice_over: false,
        handed: false,
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::first(self.faults, self.stop, self.shape == Shape::Redrive)]
    }

    fn actions(&self, world: &World, out: &mut Vec<Action>) {
        self.handlers(world, out);
        self.receipts(world, out);
        for at in 0..DRIVERS {
            if let Some(driver) = &world.drivers[at] {
                self.of_driver(world, at, driver, out);
            }
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        let happened = match action {
            Action::Receive(at, id) => {
                let local = world.execution.clone();
                self.receive(&mut world, at, id, local);
                true
            }
            Action::ReceiveStale(at, id) => {
                let local = world.before.as_deref().cloned()?;
                self.receive(&mut world, at, id, local);
                true
            }
            _ => self.of_a_handler(&mut world, action) || self.of_a_driver(&mut world, action),
        };
        if self.merges_names {
            canonical(&mut world);
        }
        happened.then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

/// Whether nothing but an outside caller can end the execution: a token task without a timeout may wait for ever.
pub(crate) fn waits_for_outside(protocol: &Protocol, execution: &Execution) -> bool {
    let is_ours = |task: &Task| matches!(task, Task::Ready(_) | Task::Open(..) | Task::Backoff(_));
    !protocol.has_timeout()
        && execution.terminal == 0
        && execution.tasks.iter().any(|task| matches!(task, Task::Waiting(_)))
        && !execution.tasks.iter().any(is_ours)
}
