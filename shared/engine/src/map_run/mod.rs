//! Map Runs: what is kept of one, and how it changes (DESIGN §5).
//!
//! A Map Run is an item of its own. The execution that began it waits with an open attempt and knows its public events
//! alone. What happens to it are [`Change`]s, each with its condition, so that a message that comes twice counts once. It
//! holds counters and a cursor, and nothing for each of its executions: those have their own META, and an
//! outcome of a few bytes by their index. So each finished execution costs the same, however many there are.

mod children;
mod drive;
mod redrive;
mod results;
mod turns;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwell_expr::Payload;
use stepwell_interpreter::{AttemptId, ErrorOutput, MapRunLimits, Timestamp};

pub(crate) use children::Plan;
pub(crate) use turns::Turns;

use crate::meta::{RunId, StatusName};

/// Bytes of results that are kept: more is more than a state's output can be.
pub const RESULT_BYTES_KEPT: u64 = 2 * stepwell_interpreter::PAYLOAD_BYTES_MAX as u64;

/// A Map Run (API: DescribeMapRun). Its stored form is in [`crate::stored`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MapRun {
    /// `mapRunArn`
    pub arn: Arc<str>,
    /// `executionArn`: the execution that waits for it.
    pub execution_arn: Arc<str>,
    /// Which start of that name.
    pub run: RunId,
    /// Which redrive of that run.
    pub epoch: u32,
    /// The attempt that its end ends.
    pub attempt: AttemptId,
    /// `stateMachineArn`: the machine's, with the label of the Map state.
    pub state_machine_arn: Arc<str>,
    /// Whether its executions are Express ones.
    pub express: bool,
    /// `startDate`
    pub started_at: Timestamp,
    /// How many items it has.
    pub items: u64,
    /// What it keeps to.
    pub limits: MapRunLimits,
    /// How often its limits were changed.
    pub updates: u64,
    /// What of its executions becomes the state's result.
    pub transformation: Transformation,
    /// How far its executions are started.
    pub cursor: Cursor,
    /// Those of them that have ended.
    pub ended: Ended,
    /// Bytes of the results so far.
    pub result_bytes: u64,
    /// How it ends, once that is decided: no more executions are started.
    pub ending: Option<Ending>,
    /// `stopDate`: all its executions have ended.
    pub closed_at: Option<Timestamp>,
    /// `redriveCount`
    pub redrives: u32,
    /// `redriveDate`
    pub redriven_at: Option<Timestamp>,
    /// `pendingRedrive`: executions that ended without success, by their status, and wait to go on.
    pub unsuccessful: Ended,
    /// `failuresNotRedrivable`: of those that have ended, those that could not go on.
    pub not_redrivable: Count,
    /// How far those that wait to go on do.
    pub claims: Claims,
    /// Bytes of the results of executions without success.
    pub failure_bytes: u64,
}

/// How far a redriven Map Run's executions are redriven: those before `done` are, and those from there before `claimed` are
/// about to be, by whoever drives the Map Run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Claims {
    /// An index of executions.
    pub done: u64,
    /// Another.
    pub claimed: u64,
}

/// `Transformation` of a `WriterConfig`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub enum Transformation {
    /// `NONE`: outputs with what is known of their executions.
    None,
    /// `COMPACT`: the outputs.
    #[default]
    Compact,
    /// `FLATTEN`: the outputs; of those that are arrays, the elements.
    Flatten,
}

/// How far a Map Run's executions are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Cursor {
    /// The next item.
    pub items: u64,
    /// The index of the next execution.
    pub children: u64,
}

/// A number of executions, and of their items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Count {
    /// Executions.
    pub children: u64,
    /// Items.
    pub items: u64,
}

/// Executions that have ended, by their status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Ended {
    /// `succeeded`
    pub succeeded: Count,
    /// `failed`
    pub failed: Count,
    /// `timedOut`
    pub timed_out: Count,
    /// `aborted`
    pub aborted: Count,
}

/// How a Map Run ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// `SUCCEEDED`
    Succeeded,
    /// `FAILED`
    Failed(ErrorOutput),
    /// `ABORTED`: nobody waits for it any more.
    Aborted,
}

/// Something that happens to a Map Run, where its condition holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// An execution has ended whose outcome is not known yet.
    Outcome(Outcome),
    /// Executions were started, while the cursor was at `from` and no end was decided.
    Advance {
        /// Where the cursor was.
        from: Cursor,
        /// Where it is now.
        to: Cursor,
    },
    /// Its limits were changed, after `after` such changes, while no end was decided.
    Limits {
        /// How many changes were before.
        after: u64,
        /// What is new.
        update: LimitsUpdate,
    },
    /// How it ends is decided, where it was not yet.
    End(Ending),
    /// Redrive number `redrives`, which it has not had yet, where it is over.
    Redrive {
        /// Which.
        redrives: u32,
        /// When.
        at: Timestamp,
        /// Its executions that have ended, as they are known one by one.
        known: Ended,
        /// It as it would be begun now.
        begun: Box<MapRun>,
    },
    /// Another, where this redrive is the last one.
    In(u32, Box<Change>),
    /// Executions without success are about to be redriven, where those claimed before are, and no end was decided.
    Claim {
        /// [`Claims::claimed`] before.
        from: u64,
        /// And now.
        to: u64,
        /// Which they are; `None` where no more are known: the others count as not redrivable.
        which: Option<Ended>,
    },
    /// What was claimed up to here is redriven.
    Claimed(u64),
    /// It is over, where it was not, and no other end was decided.
    Close {
        /// How it ended.
        ending: Ending,
        /// When.
        at: Timestamp,
    },
}

/// How an execution of a Map Run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Its place among the Map Run's executions.
    pub index: u64,
    /// How many items it had.
    pub items: u64,
    /// Its status.
    pub status: StatusName,
    /// What it adds to the results.
    pub result: Payload,
    /// Before which redrive of the Map Run it was first started, so its name says.
    pub begun: u32,
    /// In which redrive of the Map Run it has ended; 0 in none.
    pub redrives: u32,
    /// Whether this is how it ended long ago, since it could not be redriven.
    pub not_redrivable: bool,
}

/// An execution that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its place among the Map Run's executions.
    pub index: u64,
    /// How many items it had.
    pub items: u64,
    /// Its status.
    pub status: StatusName,
    /// [`Outcome::begun`]
    pub begun: u32,
    /// [`Outcome::redrives`]
    pub redrives: u32,
}

/// What UpdateMapRun changes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
pub struct LimitsUpdate {
    /// `maxConcurrency`
    pub max_concurrency: Option<u32>,
    /// `toleratedFailureCount`
    pub tolerated_failure_count: Option<u64>,
    /// `toleratedFailurePercentage`
    pub tolerated_failure_percentage: Option<f64>,
}

impl Outcome {
    /// It without its result.
    pub fn known(&self) -> Known {
        let Outcome { index, items, status, begun, redrives, .. } = *self;
        Known { index, items, status, begun, redrives }
    }
}

impl MapRun {
    /// The Map Run after `change`; `None` where its condition does not hold. That the outcome of an
    /// [`Change::Outcome`] is not known yet is for the store to see.
    pub fn changed(&self, change: &Change) -> Option<MapRun> {
        self.allows(change).then(|| {
            let mut next = self.clone();
            next.take(change);
            next
        })
    }

    /// Whether the condition of `change` holds.
    fn allows(&self, change: &Change) -> bool {
        let is_open = self.ending.is_none() && self.closed_at.is_none();
        let Claims { done, claimed } = self.claims;
        match change {
            Change::Outcome(outcome) => self.closed_at.is_none() && self.redrives == outcome.redrives,
            Change::Redrive { redrives, .. } => self.closed_at.is_some() && self.redrives < *redrives,
            Change::In(redrives, change) => self.redrives == *redrives && self.allows(change),
            Change::Claim { from, .. } => is_open && done == claimed && claimed == *from,
            Change::Claimed(to) => claimed == *to && done < *to,
            Change::Advance { from, .. } => is_open && self.cursor == *from,
            Change::Limits { after, .. } => is_open && self.updates == *after,
            Change::End(_) => is_open,
            Change::Close { ending, .. } => {
                self.closed_at.is_none() && self.ending.as_ref().is_none_or(|known| known == ending)
            }
        }
    }

    /// Does a `change` whose condition holds.
    fn take(&mut self, change: &Change) {
        match change {
            Change::Outcome(outcome) => self.count(outcome),
            Change::Redrive { redrives, at, known, begun } => {
                (self.redrives, self.redriven_at) = (*redrives, Some(*at));
                self.reopen(known, begun);
            }
            Change::In(_, change) => self.take(change),
            Change::Claim { to, which: Some(which), .. } => {
                self.unsuccessful.subtract(which);
                self.claims.claimed = *to;
            }
            Change::Claim { to, which: None, .. } => {
                self.take_back();
                self.claims = Claims { done: *to, claimed: *to };
            }
            Change::Claimed(to) => self.claims.done = *to,
            Change::Advance { to, .. } => self.cursor = *to,
            Change::Limits { update, .. } => {
                self.updates += 1;
                update.apply(&mut self.limits);
            }
            Change::End(ending) => self.ending = Some(ending.clone()),
            Change::Close { ending, at } => {
                (self.ending, self.closed_at) = (Some(ending.clone()), Some(*at));
                let not_redrivable = self.not_redrivable;
                self.take_back();
                self.not_redrivable = not_redrivable;
            }
        }
    }

    fn count(&mut self, outcome: &Outcome) {
        let one = Count { children: 1, items: outcome.items };
        self.ended.of(outcome.status).add(one);
        if outcome.not_redrivable {
            self.not_redrivable.add(one);
        }
        let bytes = outcome.result.bytes() as u64 + 1;
        match outcome.status {
            "SUCCEEDED" => self.result_bytes += bytes,
            _ => self.failure_bytes += bytes,
        }
    }

    fn reopen(&mut self, known: &Ended, begun: &MapRun) {
        (self.epoch, self.attempt) = (begun.epoch, begun.attempt);
        (self.closed_at, self.ending) = (None, begun.ending.clone());
        if self.cursor == Cursor::default() {
            // It may have been put when nobody waited for it any more, and nobody knew what it was to do.
            if self.updates == 0 {
                self.limits = begun.limits;
            }
            (self.items, self.transformation) = (begun.items, begun.transformation);
            self.express = begun.express;
        }
        self.unsuccessful = Ended { succeeded: Count::default(), ..*known };
        self.ended = Ended { succeeded: known.succeeded, ..Ended::default() };
        self.not_redrivable = Count::default();
        self.claims = Claims::default();
        self.failure_bytes = 0;
    }

    /// Whether the result of one more execution of that status is kept: what is too much for the state's output
    /// anyhow is not. Those of executions without success, which a redrive may replace, are counted apart.
    pub fn keeps(&self, status: StatusName) -> bool {
        let bytes = if status == "SUCCEEDED" { self.result_bytes } else { self.failure_bytes };
        bytes <= RESULT_BYTES_KEPT
    }

    /// Whether all results are kept.
    pub(crate) fn keeps_results(&self) -> bool {
        self.keeps("SUCCEEDED") && self.keeps("FAILED")
    }

    /// What waits to go on does so no more.
    fn take_back(&mut self) {
        let unsuccessful = std::mem::take(&mut self.unsuccessful);
        for (status, count) in unsuccessful.by_status() {
            self.ended.of(status).add(count);
            self.not_redrivable.add(count);
        }
    }

    /// `status`
    pub fn status(&self) -> StatusName {
        match &self.ending {
            _ if self.closed_at.is_none() => "RUNNING",
            Some(Ending::Failed(_)) => "FAILED",
            Some(Ending::Aborted) => "ABORTED",
            Some(Ending::Succeeded) | None => "SUCCEEDED",
        }
    }

    /// Executions and items that are under way.
    pub fn running(&self) -> Count {
        let (ended, waiting) = (self.ended.all(), self.unsuccessful.all());
        Count {
            children: self.cursor.children.saturating_sub(ended.children + waiting.children),
            items: self.cursor.items.saturating_sub(ended.items + waiting.items),
        }
    }

    /// Executions and items whose turn has not come. How many executions batches of limited size will make is not known
    /// before.
    pub fn pending(&self) -> Count {
        let items = self.items.saturating_sub(self.cursor.items);
        let per_batch = self.limits.max_items_per_batch.unwrap_or(1);
        let batched =
            self.limits.max_items_per_batch.is_some() || self.limits.max_input_bytes_per_batch.is_none();
        Count { children: if batched { items.div_ceil(per_batch.max(1)) } else { items.min(1) }, items }
    }

    /// Whether all items have had their turn and every execution has ended.
    pub(crate) fn is_done(&self) -> bool {
        let waits = self.unsuccessful.all().children > 0;
        self.cursor.items >= self.items && !waits && self.ended.all().children >= self.cursor.children
    }

    /// Whether more items failed than are tolerated.
    pub(crate) fn fails(&self) -> bool {
        // One that somebody stopped has not done what it was to do, either.
        let Ended { failed, timed_out, aborted, .. } = self.ended;
        let failed = failed.items + timed_out.items + aborted.items;
        let MapRunLimits { tolerated_failure_count, tolerated_failure_percentage, .. } = self.limits;
        let percentage = failed as f64 * 100.0 / self.items.max(1) as f64;
        match (tolerated_failure_count, tolerated_failure_percentage) {
            (None, None) => failed > 0,
            (count, most) => {
                count.is_some_and(|count| failed > count) || most.is_some_and(|most| percentage > most)
            }
        }
    }
}

impl Count {
    fn add(&mut self, other: Count) {
        self.children += other.children;
        self.items += other.items;
    }

    fn subtract(&mut self, other: Count) {
        self.children = self.children.saturating_sub(other.children);
        self.items = self.items.saturating_sub(other.items);
    }
}

impl Ended {
    /// All of them.
    pub fn all(&self) -> Count {
        let mut sum = Count::default();
        self.by_status().into_iter().for_each(|(_, count)| sum.add(count));
        sum
    }

    fn by_status(&self) -> [(StatusName, Count); 4] {
        let Ended { succeeded, failed, timed_out, aborted } = *self;
        [("SUCCEEDED", succeeded), ("FAILED", failed), ("TIMED_OUT", timed_out), ("ABORTED", aborted)]
    }

    fn of(&mut self, status: StatusName) -> &mut Count {
        match status {
            "SUCCEEDED" => &mut self.succeeded,
            "TIMED_OUT" => &mut self.timed_out,
            "ABORTED" => &mut self.aborted,
            _ => &mut self.failed,
        }
    }

    fn subtract(&mut self, other: &Ended) {
        for (status, count) in other.by_status() {
            self.of(status).subtract(count);
        }
    }
}

impl LimitsUpdate {
    fn apply(&self, limits: &mut MapRunLimits) {
        limits.max_concurrency = self.max_concurrency.unwrap_or(limits.max_concurrency);
        limits.tolerated_failure_count = self.tolerated_failure_count.or(limits.tolerated_failure_count);
        limits.tolerated_failure_percentage =
            self.tolerated_failure_percentage.or(limits.tolerated_failure_percentage);
    }
}
