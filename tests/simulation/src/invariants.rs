//! What must hold once nothing can happen any more (DESIGN §8, PROTOCOL §9).

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwell_engine::map_run::{Count, Ended, MapRun};
use stepwell_engine::message::Callback;
use stepwell_engine::meta::{Meta, Parent, PayloadPlace};
use stepwell_engine::port::{Loaded, LoggedEvents, StatusChange};
use stepwell_engine::stored::{PagePlace, decode_page};
use stepwell_interpreter::{Event, EventBody, EventId, Record, history, token};

use crate::Sim;
use crate::checker::{Broken, holds, redriven};

/// What a Map Run that succeeded has counted.
fn map_run_total(map_run: &MapRun, children: usize) -> Count {
    Count { children: children as u64, items: map_run.items }
}

/// The records of a journal, page by page.
fn pages(loaded: &Loaded) -> Result<Vec<Vec<Record>>, Broken> {
    let mut known = std::collections::HashMap::from([(PayloadPlace::Input, loaded.meta.input.clone())]);
    let read = |(seq, page): &(stepwell_engine::port::Seq, stepwell_engine::port::Page)| {
        let place = PagePlace { run: loaded.meta.run, seq: *seq, writer: &page.writer };
        let decoded = decode_page(place, &page.bytes, |place| known.get(&place).cloned());
        let decoded = decoded.map_err(|error| Broken(format!("a page cannot be read: {error}")))?;
        known.extend(decoded.stored.into_iter().map(|(payload, place)| (place, payload)));
        Ok(decoded.records)
    };
    loaded.pages.iter().map(read).collect()
}

/// Whose status was told, which, and in which epoch.
fn told(change: &StatusChange) -> (Arc<str>, &'static str, u32) {
    (change.meta.execution_arn.clone(), change.status, change.meta.epoch)
}

impl Sim {
    /// Every record of an execution.
    ///
    /// # Errors
    /// Where a page cannot be read.
    pub fn records(&self, execution: &str) -> Result<Vec<Record>, Broken> {
        let loaded = self.world.journal.loaded(execution);
        Ok(loaded.map(|loaded| pages(&loaded)).transpose()?.unwrap_or_default().concat())
    }

    /// Whether the log of an execution has its end: all that is known of an Express execution in memory.
    fn has_ended(&self, execution: &str) -> bool {
        let ends = ["ExecutionSucceeded", "ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"];
        let logged = self.world.logs.logged();
        let mut mine = logged.iter().filter(|logged| *logged.info.execution_arn == *execution);
        mine.any(|logged| logged.events.iter().any(|(_, event)| ends.contains(&event.event_type)))
    }

    /// Checks that every event of an execution that has ended is in its log, and each of its statuses was told.
    fn check_told(&self, metas: &[Arc<Meta>]) -> Result<(), Broken> {
        let mut logged = BTreeSet::new();
        for LoggedEvents { info, events, .. } in self.world.logs.logged() {
            logged.extend(events.iter().map(|(count, event)| (info.execution_arn.clone(), event.id, *count)));
        }
        let told: BTreeSet<_> = self.world.events.changes().into_iter().map(|change| told(&change)).collect();
        for meta in metas.iter().filter(|meta| meta.end.is_some()) {
            let (arn, mut count) = (&meta.execution_arn, 0);
            let is_told = |status: &'static str, count| {
                let known = meta.info.express || told.contains(&(arn.clone(), status, count));
                holds(known, || format!("nobody was told that {arn} is {status} in epoch {count}"))
            };
            for event in history(&self.records(arn)?, EventId(1)) {
                match event.event_type {
                    "ExecutionStarted" => is_told("RUNNING", 0)?,
                    "ExecutionRedriven" => {
                        count += 1;
                        is_told("RUNNING", count)?;
                    }
                    _ => {}
                }
                holds(logged.contains(&(arn.clone(), event.id, count)), || {
                    format!("{event:?} of {arn} is not in its log in epoch {count}")
                })?;
            }
            is_told(meta.status(), count)?;
        }
        Ok(())
    }

    /// Checks that nothing was forgotten, once nothing can happen any more.
    pub(crate) fn check_at_rest(&self) -> Result<(), Broken> {
        let metas = self.world.journal.metas();
        let known: BTreeSet<_> = metas.iter().map(|meta| &meta.execution_arn).collect();
        for arn in self.started() {
            let is_there = known.contains(&arn) || (self.settings.express_in_memory && self.has_ended(&arn));
            holds(is_there, || format!("4: {arn} was acknowledged and is not there"))?;
        }
        holds(self.world.queue.is_empty(), || "a message is left at rest".to_owned())?;
        self.check_map_runs(&metas)?;
        for meta in &metas {
            let execution = self.folded(meta)?;
            let arn = &meta.execution_arn;
            if execution.status().is_terminal() {
                holds(meta.status() == execution.status().name(), || {
                    format!("5: {arn} has ended and META says {}", meta.status())
                })?;
                let (finishes, epochs) =
                    (self.world.journal.finishes(meta.run), execution.redrive_count() + 1);
                holds(finishes == epochs, || {
                    format!("3: the META of {arn} ended {finishes} times in {epochs} epochs")
                })?;
            } else {
                holds(execution.timers().next().is_none(), || {
                    format!("5: {arn} is at rest with a timer set: {execution:?}")
                })?;
                for (_, call) in execution.calls().filter(|(_, call)| call.untaken_activity().is_some()) {
                    let offered = self.world.activities.tasks().iter().any(|task| {
                        task.execution == *arn && task.run == meta.run && task.attempt == call.attempt
                    });
                    holds(offered, || {
                        format!("10: {:?} of {arn} waits for a worker, and none knows", call.attempt)
                    })?;
                }
                holds(meta.end.is_none(), || format!("5: {arn} runs and META says {}", meta.status()))?;
                // What it waits for in a Map Run is looked at there.
                let waits = execution.calls().any(|(_, call)| call.claimant().is_none())
                    || execution.map_runs().next().is_some();
                holds(waits, || format!("5: {arn} is at rest and has not ended: {execution:?}"))?;
            }
            let last = execution.redrives().last().map(|redriven| (redriven.count, redriven.at));
            let known = meta.redriven_at.map(|at| (meta.epoch, at));
            holds(known == last, || format!("5: {arn} was redriven at {last:?}, and META says {known:?}"))?;
        }
        if !self.may_go_untold {
            self.check_told(&metas)?;
        }
        self.check_parents(&metas)?;
        self.check_given()?;
        self.check_pages(&metas)?;
        for (token, result, _) in
            self.acknowledged.borrow().callbacks.iter().filter(|(_, _, answer)| answer.is_ok())
        {
            self.check_callback(token, result)?;
        }
        let ends = &self.acknowledged.borrow().ends;
        holds(ends.iter().collect::<BTreeSet<_>>().len() == ends.len(), || {
            format!("4: the end of a call that went on by itself was taken twice: {ends:?}")
        })?;
        for alive in &self.acknowledged.borrow().alive {
            let token = token::decode(alive).ok_or_else(|| Broken("4: a token that is none".into()))?;
            holds(Sim::heard(&self.records(&token.execution_arn)?, token.attempt), || {
                format!("4: a heartbeat of {token:?} was acknowledged and is not there")
            })?;
        }
        for (arn, at) in &self.acknowledged.borrow().stopped {
            let ended = |record: &Record| matches!(record, Record::Event(event) if event.body.is_terminal() && event.at == *at);
            let ended = self.records(arn)?.iter().any(ended);
            holds(ended, || format!("4: {arn} was said to be stopped"))?;
        }
        self.check_redrives()
    }

    /// A redrive that was acknowledged is there, once.
    fn check_redrives(&self) -> Result<(), Broken> {
        for (arn, token, at) in &self.acknowledged.borrow().redriven {
            let records = self.records(arn)?;
            let dates: Vec<_> = records
                .iter()
                .filter_map(redriven)
                .filter(|(_, with)| with.as_ref() == Some(token))
                .map(|(at, _)| at)
                .collect();
            holds(dates == [*at], || {
                format!("4: {arn} was said to be redriven at {at:?} and was so at {dates:?}")
            })?;
        }
        Ok(())
    }

    /// Every Map Run is over, and nothing waits for it. None of its executions runs, and of one that succeeded each
    /// execution counts once and its result is one of the results.
    fn check_map_runs(&self, metas: &[std::sync::Arc<Meta>]) -> Result<(), Broken> {
        for map_run in self.world.map_runs.all() {
            let arn = &map_run.arn;
            let is_of = |meta: &&Arc<Meta>| meta.map_run_arn() == Some(arn) && meta.end.is_none();
            if metas.iter().any(|meta| is_of(&meta)) && map_run.ending.is_none() {
                // It waits for one that waits for somebody outside.
                continue;
            }
            holds(map_run.closed_at.is_some(), || format!("map run at rest and not over: {map_run:#?}"))?;
            let children: Vec<_> = metas.iter().filter(|meta| meta.map_run_arn() == Some(arn)).collect();
            let running = children.iter().find(|meta| meta.end.is_none());
            holds(running.is_none(), || format!("an execution of {arn} outlives it: {running:?}"))?;
            let ended = map_run.ended.all();
            holds(ended.children >= map_run.cursor.children, || {
                format!("outcomes are missing: {map_run:#?}")
            })?;
            let parent = metas.iter().find(|meta| meta.execution_arn == map_run.execution_arn);
            let waits = match parent {
                Some(parent) => self.folded(parent)?.map_run(map_run.attempt).is_some(),
                None => false,
            };
            holds(!waits, || format!("{} was not told that {arn} ended", map_run.execution_arn))?;
            if map_run.status() == "SUCCEEDED" {
                // A redrive starts Express executions again, and what was started too late for the one before.
                let is_whole = match map_run.redrives {
                    0 => ended == map_run_total(&map_run, children.len()),
                    _ => {
                        ended == map_run_total(&map_run, map_run.cursor.children as usize)
                            && map_run.unsuccessful == Ended::default()
                    }
                };
                holds(is_whole, || format!("{} executions of {map_run:#?}", children.len()))?;
            }
        }
        Ok(())
    }

    /// No attempt waits for an execution that has ended.
    fn check_parents(&self, metas: &[Arc<Meta>]) -> Result<(), Broken> {
        for meta in metas.iter().filter(|meta| meta.end.is_some()) {
            let Some(Parent::Task { execution_arn, run, attempt, .. }) = &meta.parent else { continue };
            let parent = metas.iter().find(|meta| meta.execution_arn == *execution_arn && meta.run == *run);
            let waits = match parent {
                Some(parent) => self.folded(parent)?.call(*attempt).is_some(),
                None => false,
            };
            holds(!waits, || format!("5: {execution_arn} was not told that {} ended", meta.execution_arn))?;
        }
        Ok(())
    }

    /// Every task was given to one worker, and the journal says so.
    fn check_given(&self) -> Result<(), Broken> {
        let given = self.given();
        let different: BTreeSet<_> = given.iter().collect();
        holds(different.len() == given.len(), || format!("11: two workers got one task: {given:?}"))?;
        for token in &given {
            let token = token::decode(token).ok_or_else(|| Broken("11: a token that is none".into()))?;
            let starts = |record: &Record| match record {
                Record::Event(Event { body: EventBody::Started { attempt, .. }, .. }) => {
                    *attempt == token.attempt
                }
                _ => false,
            };
            let times = self.records(&token.execution_arn)?.into_iter().filter(starts).count();
            holds(times == 1, || format!("11: {token:?} was given out, and started {times} times"))?;
        }
        Ok(())
    }

    /// A callback that was acknowledged is what ended its attempt.
    fn check_callback(&self, token: &str, result: &Callback) -> Result<(), Broken> {
        let token = token::decode(token).ok_or_else(|| Broken("4: a token that is none".into()))?;
        let ends = |record: &Record| match (record, result) {
            (
                Record::Event(Event { body: EventBody::Succeeded { attempt, output, .. }, .. }),
                Callback::Success(said),
            ) => *attempt == token.attempt && output == said,
            (
                Record::Event(Event { body: EventBody::Failed(_, attempt, error), .. }),
                Callback::Failure(said),
            ) => *attempt == token.attempt && *error == said.cut(),
            _ => false,
        };
        let ended = self.records(&token.execution_arn)?.iter().any(ends);
        holds(ended, || format!("4: a callback of {token:?} was acknowledged and is not there"))
    }
}
