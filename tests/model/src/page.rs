//! What a driver commits (§4, lines 6 to 9 and 22 to 26): its own page, or the burial of another.

use crate::shapes::Shape;
use crate::state::{Claimant, Driver, Effect, Execution, Task, Trigger, World};
use crate::{Bug, Protocol};

/// The fold behind a page, and what the page owes.
pub(crate) type Page = (Execution, Vec<Effect>);

impl Protocol {
    /// The driver's next page, if there is one.
    pub(crate) fn decide(&self, world: &World, driver: &Driver) -> Option<Page> {
        if self.is_past(driver) {
            return None;
        }
        match Self::former(driver) {
            Some((former, is_buried)) => self.burial(driver, former, is_buried),
            None => self.own(world, driver),
        }
    }

    /// Lines 22 to 26: another delivery of the message was here.
    fn burial(&self, driver: &Driver, former: Claimant, is_buried: bool) -> Option<Page> {
        let (mut execution, mut effects) = (driver.local.clone(), vec![]);
        let has_open = execution.tasks.iter().any(|task| matches!(task, Task::Open(_, by) if *by == former));
        let is_needed = match self.bug {
            Some(Bug::BurialOnlyWhenSomethingIsOpen) => has_open || Self::is_ready(&execution),
            Some(Bug::RedeliveryClaims) => !driver.has_written,
            _ => true,
        };
        if is_buried || execution.terminal > 0 || !is_needed {
            return None;
        }
        for task in 0..2 {
            match execution.tasks[task] {
                Task::Open(attempt, by) if by == former => {
                    self.fail(&mut execution, task, attempt, driver.message, &mut effects);
                }
                _ => {}
            }
        }
        let claims = self.bug == Some(Bug::RedeliveryClaims);
        for first in execution.first.iter_mut().filter(|first| (first.0, first.1) == former) {
            *first = if claims { (driver.message, driver.delivery, false) } else { (first.0, first.1, true) };
        }
        self.settle(&mut execution);
        if claims {
            self.claim(&mut execution, driver, &mut effects);
        }
        // DriverLost is no driver's page.
        match self.bug {
            Some(Bug::BurialFollowsContinue) => execution.last_driver_seq = execution.seq + 1,
            Some(Bug::BurialFollowsFact) => execution.undriven.clear(),
            _ => {}
        }
        if execution.terminal > 0 {
            effects.push(Effect::Finish(execution.epoch));
        }
        Some((execution, effects))
    }

    /// Lines 8 and 9.
    fn own(&self, world: &World, driver: &Driver) -> Option<Page> {
        let (mut execution, mut effects) = (driver.local.clone(), vec![]);
        let is_first = execution.first.contains(&(driver.message, driver.delivery, false))
            || (self.bug == Some(Bug::BuriedDriverCommits) && driver.is_buried());
        let applies = self.applies(&execution, world.meta, driver.trigger, driver.epoch);
        let is_undriven = execution.undriven.contains(&driver.trigger);
        let mut changed = false;
        if applies {
            self.apply(&mut execution, driver.trigger, driver.message, &mut effects);
            changed = !matches!(driver.trigger, Trigger::Continue(_));
        }
        for result in &driver.results {
            changed |= self.take_result(&mut execution, driver, *result, &mut effects);
        }
        if is_first || applies || is_undriven || self.bug == Some(Bug::NoopDriverClaims) {
            let before = execution.clone();
            self.settle(&mut execution);
            changed |= execution != before;
            // A slice ends behind a driver's first page, not before it.
            let may_begin = !is_first && self.bug != Some(Bug::SliceEndsBeforeFirstPage);
            if (may_begin || !driver.slice_over) && execution.terminal == 0 {
                changed |= self.claim(&mut execution, driver, &mut effects);
            }
        }
        if execution.terminal > 0 && changed {
            effects.push(Effect::Finish(execution.epoch));
        }
        if !changed {
            // Without claims, calls are made without a commit.
            return (!effects.is_empty()).then_some((execution, effects));
        }
        execution.undriven.clear();
        if !is_first {
            execution.first.push((driver.message, driver.delivery, false));
        }
        execution.last_driver_seq = execution.seq + 1;
        Some((execution, effects))
    }

    /// Takes in what came of one of the driver's calls; `false` where its attempt is closed.
    fn take_result(
        &self,
        execution: &mut Execution,
        driver: &Driver,
        (task, attempt, is_accepted): (usize, u8, bool),
        effects: &mut Vec<Effect>,
    ) -> bool {
        let is_open = match execution.tasks[task] {
            _ if execution.terminal > 0 => false,
            Task::Open(open, by) => open == attempt && by == driver.me(),
            Task::Ready(open) => self.bug == Some(Bug::NoClaim) && open == attempt,
            _ => false,
        };
        if !is_open {
            return false;
        }
        if is_accepted {
            self.accept(execution, task, attempt, driver, effects);
        } else if self.has_token(task) && self.shape != Shape::Accepted {
            execution.tasks[task] = Task::Waiting(attempt);
        } else if self.call_fails(execution) {
            self.fail(execution, task, attempt, driver.message, effects);
        } else {
            execution.tasks[task] = Task::Done;
        }
        true
    }

    /// The record `Accepted`: the attempt has no claimant any more, and a timer in its driver's place.
    fn accept(
        &self,
        execution: &mut Execution,
        task: usize,
        attempt: u8,
        driver: &Driver,
        effects: &mut Vec<Effect>,
    ) {
        execution.accepted = attempt;
        if self.bug != Some(Bug::AcceptedKeepsClaimant) {
            execution.tasks[task] = Task::Waiting(attempt);
        }
        if self.bug == Some(Bug::RecordBeforeId) {
            effects.push(Effect::Keep(attempt));
        }
        if self.bug != Some(Bug::AcceptedWithoutTimer) {
            execution.timer_by[task] = driver.message;
            effects.push(Effect::Timer(Trigger::Timeout(attempt)));
        }
    }

    /// Claims whatever is ready.
    fn claim(&self, execution: &mut Execution, driver: &Driver, effects: &mut Vec<Effect>) -> bool {
        let mut any = false;
        for task in 0..2 {
            let Task::Ready(attempt) = execution.tasks[task] else { continue };
            if self.bug == Some(Bug::NoClaim) {
                let is_known = driver.calls.contains(&(task, attempt))
                    || driver.results.iter().any(|result| (result.0, result.1) == (task, attempt));
                if !is_known {
                    effects.push(Effect::Call(task, attempt));
                }
                continue;
            }
            any = true;
            execution.tasks[task] = Task::Open(attempt, driver.me());
            if self.has_token(task) && self.shape == Shape::Callback {
                execution.timer_by[task] = driver.message;
                effects.push(Effect::Timer(Trigger::Timeout(attempt)));
            }
            effects.push(Effect::Call(task, attempt));
        }
        any
    }
}
