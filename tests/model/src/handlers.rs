//! The handlers that answer somebody (§5): a start, a callback or a service that tells of a call's end, a stop, a redrive.
//! Each may die between any two of its steps, and whoever was not answered asks again.

use crate::shapes::Shape;
use crate::state::{Phase, Task, Trigger, World};
use crate::{Bug, Protocol};

/// How often a callback is tried for one attempt, and how often a service tells of an end.
const TRIES: u8 = 2;

impl Protocol {
    pub(crate) fn start_commit(&self, world: &mut World) {
        // A conflict on the name with the same input is a repeat: answered as the first was (s3).
        let is_repeat = world.meta != 0 && world.meta != world.start.1;
        if world.meta == 0 {
            world.meta = world.start.1;
        }
        let is_answered = is_repeat && self.bug == Some(Bug::StartMessageAfterCommit);
        world.start.0 = if is_answered { Phase::Sent } else { Phase::Committed };
    }

    pub(crate) fn start_crash(world: &mut World) {
        let (_, number) = world.start;
        world.start = if number < 2 { (Phase::Idle, number + 1) } else { (Phase::Gone, number) };
    }

    /// The attempt that somebody outside may end next: its call was made, or accepted by its service.
    pub(crate) fn to_call_back(&self, world: &World) -> Option<u8> {
        let task = self.token_task()?;
        let is_known = |attempt: &u8| match self.shape {
            Shape::Accepted => world.service[*attempt as usize],
            _ => world.calls[task][*attempt as usize] > 0,
        };
        let attempt = (1..=2).rev().find(is_known)?;
        (attempt > world.callback.1 || world.callback.2 < TRIES).then_some(attempt)
    }

    /// c1 and c2, for this attempt.
    pub(crate) fn callback_send(&self, world: &mut World, attempt: u8) {
        let tries = if attempt > world.callback.1 { 1 } else { world.callback.2 + 1 };
        if self.shape == Shape::Accepted && !world.kept[attempt as usize] {
            // Nobody knows the id yet: the service is not answered, and tells again.
            world.callback = (Phase::Idle, attempt, tries);
            if self.bug == Some(Bug::UnknownEndIsTaken) {
                world.callback.0 = Phase::Acknowledged;
                world.acknowledged_callback = attempt;
            }
            return;
        }
        world.callback = (Phase::Sent, attempt, tries);
        if self.bug != Some(Bug::CallbackWithoutMessage) {
            world.send(Trigger::Callback(attempt), world.execution.epoch);
        }
    }

    /// c3.
    pub(crate) fn callback_commit(&self, world: &mut World) {
        let attempt = world.callback.1;
        let epoch = world.execution.epoch;
        let is_taken =
            self.fact(world, Trigger::Callback(attempt), epoch) || world.execution.callback_of == attempt;
        world.callback.0 = if is_taken { Phase::Committed } else { Phase::Idle };
        if !is_taken {
            world.callback.2 = TRIES;
        }
    }

    /// c5.
    pub(crate) fn callback_reply(&self, world: &mut World) {
        let attempt = world.callback.1;
        world.callback.0 = Phase::Acknowledged;
        world.acknowledged_callback = attempt;
        if self.bug == Some(Bug::CallbackWithoutMessage) {
            world.send(Trigger::Callback(attempt), world.execution.epoch);
        }
    }

    /// c4 of a redrive: META is put right by whoever comes first.
    pub(crate) fn redrive_reply(&self, world: &mut World) {
        world.put_meta_right(world.execution.epoch);
        world.redrive = Phase::Acknowledged;
    }

    /// A page that owes no effect; `false` where the trigger does not apply at the journal's tail.
    pub(crate) fn fact(&self, world: &mut World, trigger: Trigger, epoch: u8) -> bool {
        if !self.applies(&world.execution, world.meta, trigger, epoch) {
            return false;
        }
        let from = world.execution.clone();
        let (mut execution, mut effects) = (from.clone(), vec![]);
        self.apply(&mut execution, trigger, 0, &mut effects);
        assert!(effects.is_empty(), "a fact owes no effect");
        execution.undriven.push(trigger);
        if self.bug == Some(Bug::HandlerClaims) {
            self.settle(&mut execution);
            for task in &mut execution.tasks {
                if let Task::Ready(attempt) = *task {
                    *task = Task::Open(attempt, (0, 0));
                }
            }
        }
        self.append(world, None, &from, execution).is_some()
    }
}
