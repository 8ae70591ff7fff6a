//! The driver (§4), one step at a time: what it commits, performs, waits for and leaves behind. Lines are those of PROTOCOL.md.

use crate::page::Page;
use crate::state::{Claimant, Driver, Effect, Execution, Task, Trigger, World};
use crate::{Bug, Protocol};

/// What a driver does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// It has taken a step.
    Stepped,
    /// It waits for its calls (line 16).
    Waits,
    /// It leaves, and its message may be deleted (line 21).
    Leaves,
    /// It leaves, and its message stays: it is buried (line 7), or another's lease holds (line 23).
    LeavesMessage,
}

impl Protocol {
    /// One step of the driver at place `at`.
    pub(crate) fn step(&self, world: &mut World, at: usize, is_reply_lost: bool) -> Next {
        let Some(mut driver) = world.drivers[at].take() else { return Next::Waits };
        let next = self.step_of(world, &mut driver, is_reply_lost);
        world.drivers[at] = Some(driver);
        next
    }

    fn step_of(&self, world: &mut World, driver: &mut Driver, is_reply_lost: bool) -> Next {
        if !driver.effects.is_empty() {
            let effect = driver.effects.remove(0);
            self.perform(world, driver, effect);
            return Next::Stepped;
        }
        if let Some(in_doubt) = driver.in_doubt.take() {
            self.read_back(world, driver, in_doubt);
            return Next::Stepped;
        }
        // Line 7: no commit, no effect.
        if driver.is_buried() && self.bug != Some(Bug::BuriedDriverCommits) {
            return Next::LeavesMessage;
        }
        if let Some((task, attempt)) = driver.accepting.take() {
            // The id is kept before the record: whoever tells of the end finds the attempt by it.
            world.kept[attempt as usize] |= self.bug != Some(Bug::RecordBeforeId);
            driver.results.push((task, attempt, true));
            return Next::Stepped;
        }
        // Line 3.
        if let (Trigger::Start(run), 0) = (driver.trigger, world.meta) {
            world.meta = run;
            return Next::Stepped;
        }
        // Line 20: whoever meets a META of an older epoch puts it right.
        if world.meta_epoch < driver.local.epoch && self.bug != Some(Bug::NobodyPutsMetaRight) {
            world.put_meta_right(driver.local.epoch);
            return Next::Stepped;
        }
        // Line 23.
        if self.is_put_off(world, driver) {
            return Next::LeavesMessage;
        }
        if self.commit_next(world, driver, is_reply_lost) {
            return Next::Stepped;
        }
        let hands_over = driver.slice_over && self.bug == Some(Bug::HandOverWithOpenCall);
        if !driver.calls.is_empty() && !self.is_past(driver) && !hands_over {
            return Next::Waits;
        }
        self.leave(world, driver)
    }

    /// Lines 4 and 7: the driver's message is of an epoch that is over.
    pub(crate) fn is_past(&self, driver: &Driver) -> bool {
        driver.local.epoch > driver.epoch && self.bug != Some(Bug::OldEpochDrives)
    }

    /// Line 23. Where leases may run out under a driver that lives, they protect nothing: safety never rests on them.
    fn is_put_off(&self, world: &World, driver: &Driver) -> bool {
        if !self.leases_hold() || self.bug == Some(Bug::BurialIgnoresLease) {
            return false;
        }
        Self::former(driver).is_some_and(|(former, is_buried)| !is_buried && world.is_alive(former))
    }

    /// The first driver of this driver's message, where that is another, and whether it is buried.
    pub(crate) fn former(driver: &Driver) -> Option<(Claimant, bool)> {
        let first = driver.local.first.iter().find(|first| first.0 == driver.message)?;
        (first.1 != driver.delivery).then_some(((first.0, first.1), first.2))
    }

    /// Lines 9 to 14; `false` where there is nothing to commit.
    fn commit_next(&self, world: &mut World, driver: &mut Driver, is_reply_lost: bool) -> bool {
        if let Some(page) = driver.planned.take() {
            self.commit(world, driver, page, is_reply_lost);
            return true;
        }
        let Some((execution, effects)) = self.decide(world, driver) else { return false };
        if self.bug == Some(Bug::NoClaim) && execution == driver.local {
            driver.effects = effects;
            return true;
        }
        let is_early = |effect: &Effect| match self.bug {
            Some(Bug::EffectBeforeCommit) => true,
            Some(Bug::TimerBeforeCommit) => matches!(effect, Effect::Timer(_)),
            _ => false,
        };
        let (early, late): (Vec<_>, Vec<_>) = effects.into_iter().partition(is_early);
        if early.is_empty() {
            self.commit(world, driver, (execution, late), is_reply_lost);
        } else {
            driver.effects = early;
            driver.planned = Some((execution, late));
        }
        true
    }

    fn commit(&self, world: &mut World, driver: &mut Driver, page: Page, is_reply_lost: bool) {
        let (execution, effects) = page;
        self.look_at_burial(world, driver);
        let seen = world.seen;
        let Some(now) = self.append(world, Some(driver.me()), &driver.local, execution) else {
            // Line 13: the results are kept.
            driver.local = world.execution.clone();
            world.seen = seen;
            return;
        };
        if is_reply_lost {
            driver.in_doubt = Some((now.seq, effects));
            return;
        }
        driver.has_written = true;
        driver.results.clear();
        driver.local = now;
        driver.effects = effects;
        if self.bug == Some(Bug::DeleteBeforeEffects) {
            world.queue.retain(|queued| queued.id != driver.message);
        }
    }

    /// Notes what a burial that is about to be committed does to calls.
    fn look_at_burial(&self, world: &mut World, driver: &Driver) {
        let Some((former, false)) = Self::former(driver) else { return };
        for task in driver.local.tasks {
            let Task::Open(attempt, by) = task else { continue };
            if by == former && world.execution.seq == driver.local.seq {
                world.seen.failed_alive |= self.leases_hold() && world.is_alive(former);
                world.seen.failed_accepted |= driver.local.accepted == attempt;
            }
        }
    }

    /// The journal's conditional append; `None`: another page is there.
    pub(crate) fn append(
        &self,
        world: &mut World,
        writer: Option<Claimant>,
        from: &Execution,
        mut execution: Execution,
    ) -> Option<Execution> {
        if from.seq != world.execution.seq {
            if self.bug != Some(Bug::UnconditionalAppend) {
                return None;
            }
            world.seen.overwrote = true;
        }
        execution.seq = from.seq + 1;
        execution.undriven.sort();
        execution.first.sort();
        let applies = |of: &Execution, queued: &crate::state::Queued| {
            self.applies(of, world.meta, queued.trigger, queued.epoch)
        };
        let revived = |queued| !applies(&world.execution, queued) && applies(&execution, queued);
        world.seen.revived |= world.queue.iter().any(revived);
        let before = std::mem::replace(&mut world.execution, execution.clone());
        world.before = (self.bug == Some(Bug::EventualRead)).then(|| Box::new(before));
        world.writers.resize(from.seq as usize, None);
        world.writers.push(writer);
        Some(execution)
    }

    /// Line 14: a page of mine where it was to be means that the append succeeded.
    fn read_back(&self, world: &World, driver: &mut Driver, (seq, effects): (u8, Vec<Effect>)) {
        let is_mine = world.writers.get(seq as usize - 1) == Some(&Some(driver.me()));
        driver.local = world.execution.clone();
        if is_mine && self.bug != Some(Bug::OwnConflictIsForeign) {
            driver.has_written = true;
            driver.effects = effects;
        }
    }

    /// Line 15.
    fn perform(&self, world: &mut World, driver: &mut Driver, effect: Effect) {
        match effect {
            Effect::Call(task, attempt) => {
                world.calls[task][attempt as usize] += 1;
                let is_open =
                    |task| matches!(task, Task::Open(open, _) | Task::Ready(open) if open == attempt);
                world.seen.late_call |= !is_open(world.execution.tasks[task]);
                driver.calls.push((task, attempt));
            }
            Effect::Timer(trigger) => world.send(trigger, driver.local.epoch),
            Effect::Continue => world.send(Trigger::Continue(driver.local.seq), driver.local.epoch),
            Effect::Finish(epoch) => {
                let is_its = world.meta_epoch == epoch || self.bug == Some(Bug::MetaEndOfAnyEpoch);
                if !world.meta_final && is_its {
                    world.meta_final = true;
                    world.ends += 1;
                }
            }
            Effect::Keep(attempt) => world.kept[attempt as usize] = true,
        }
    }

    /// Lines 18 to 20, and 27: does again what the message owes, and sees that ready work has a message.
    fn leave(&self, world: &World, driver: &mut Driver) -> Next {
        driver.results.clear();
        if self.is_past(driver) {
            return Next::Leaves;
        }
        if !driver.redone {
            driver.redone = true;
            let local = &driver.local;
            let is_heir = Self::former(driver).is_some();
            if self.bug != Some(Bug::AppliedMeansDone) {
                if is_heir {
                    driver.effects = self.open_timers(local, driver.message);
                }
                if local.terminal > 0 && !world.meta_final {
                    driver.effects.push(Effect::Finish(local.epoch));
                }
                if is_heir && Self::is_ready(local) && self.bug != Some(Bug::RedeliveryClaims) {
                    driver.effects.push(Effect::Continue);
                    driver.handed = true;
                }
            }
            if !driver.effects.is_empty() {
                return Next::Stepped;
            }
        }
        if driver.slice_over && !driver.handed && Self::is_ready(&driver.local) {
            driver.handed = true;
            driver.effects.push(Effect::Continue);
            return Next::Stepped;
        }
        Next::Leaves
    }
}
