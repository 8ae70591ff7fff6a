//! Whose turn it is: what is due, machine by machine, and how many drivers each machine has at work.
//!
//! A machine whose executions wait for long calls holds its drivers for as long, and one that starts a hundred thousand of them has
//! a hundred thousand messages due. Neither keeps another machine's executions waiting: machines take turns, and a
//! machine that has few drivers at work may have one more even where all others are taken.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

/// Of the drivers that may be at work, the part that every machine may have even where all are.
const RESERVED_PART: usize = 64;

/// How many times as many drivers there are at work at the most, with those that are reserved.
const WITH_RESERVED: usize = 4;

/// What a driver is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// An execution begins.
    Begins,
    /// An execution that has begun goes on, for which there is a quarter more room: a callback finds a driver where all wait for calls.
    GoesOn,
}

/// A machine, or what nobody knows the machine of yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Lane(u64);

impl Lane {
    /// Messages that were not read yet.
    pub(crate) const UNREAD: Lane = Lane(0);
}

/// Drivers at work, by the machines whose executions they drive.
pub(crate) struct AtWork {
    /// How many there may be.
    most: usize,
    hasher: RandomState,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    by_lane: HashMap<Lane, usize>,
}

impl Counts {
    fn room_for(&self, lane: Lane, work: Work, most: usize) -> bool {
        let for_all = match work {
            Work::Begins => most,
            Work::GoesOn => most.saturating_add(most.div_ceil(4)),
        };
        let own = self.by_lane.get(&lane).copied().unwrap_or(0);
        self.all < for_all || (self.all < most.saturating_mul(WITH_RESERVED) && own < reserved(most))
    }

    fn add(&mut self, lane: Lane) {
        self.all += 1;
        *self.by_lane.entry(lane).or_default() += 1;
    }

    fn remove(&mut self, lane: Lane) {
        self.all -= 1;
        if let Some(own) = self.by_lane.get_mut(&lane) {
            *own -= 1;
            if *own == 0 {
                self.by_lane.remove(&lane);
            }
        }
    }
}

fn reserved(most: usize) -> usize {
    most.div_ceil(RESERVED_PART)
}

impl AtWork {
    /// Nobody is, and `most` may be.
    pub(crate) fn new(most: usize) -> Self {
        AtWork { most, hasher: RandomState::new(), counts: Mutex::default() }
    }

    /// The machine of an execution, by its ARN up to the execution's name.
    pub(crate) fn lane(&self, execution_arn: &str) -> Lane {
        let machine = execution_arn.rsplit_once(':').map_or(execution_arn, |(machine, _)| machine);
        // A Map Run's executions belong to their machine, whatever their label.
        let machine = machine.split_once('/').map_or(machine, |(machine, _)| machine);
        Lane(self.hasher.hash_one(machine) | 1)
    }

    /// How many there are.
    pub(crate) fn all(&self) -> usize {
        self.counts().all
    }

    /// One begins for `lane`, if there is room.
    fn begin(&self, lane: Lane, work: Work) -> bool {
        let mut counts = self.counts();
        let has_room = counts.room_for(lane, work, self.most);
        if has_room {
            counts.add(lane);
        }
        has_room
    }

    /// The machine is known now. Returns whether there is room for one more of it; where there is none, the driver is to end.
    pub(crate) fn recount(&self, from: Lane, to: Lane) -> bool {
        let mut counts = self.counts();
        counts.remove(from);
        let has_room = counts.room_for(to, Work::GoesOn, self.most);
        counts.add(to);
        has_room
    }

    /// One ends. Returns how many there were, and whether that makes room for somebody who may be waiting.
    pub(crate) fn end(&self, lane: Lane) -> Ended {
        let mut counts = self.counts();
        let own = counts.by_lane.get(&lane).copied().unwrap_or(0);
        let makes_room = counts.all == self.most
            || counts.all >= self.most.saturating_mul(WITH_RESERVED)
            || (counts.all > self.most && own <= reserved(self.most));
        counts.remove(lane);
        Ended { was_last: counts.all == 0, makes_room }
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the end of a driver means for others.
pub(crate) struct Ended {
    /// Nobody is at work any more.
    pub(crate) was_last: bool,
    /// Somebody may begin who could not before.
    pub(crate) makes_room: bool,
}

/// What is due, each lane first in, first out, and the lanes by turns.
pub(crate) struct Due<T> {
    lanes: HashMap<Lane, VecDeque<T>>,
    turns: VecDeque<Lane>,
    length: usize,
}

impl<T> Default for Due<T> {
    fn default() -> Self {
        Due { lanes: HashMap::new(), turns: VecDeque::new(), length: 0 }
    }
}

impl<T> Due<T> {
    pub(crate) fn push(&mut self, lane: Lane, what: T) {
        let waiting = self.lanes.entry(lane).or_insert_with(|| {
            self.turns.push_back(lane);
            VecDeque::new()
        });
        waiting.push_back(what);
        self.length += 1;
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many there are of one lane.
    pub(crate) fn waiting_in(&self, lane: Lane) -> usize {
        self.lanes.get(&lane).map_or(0, VecDeque::len)
    }

    /// Takes what is next of those for which there is room among the drivers `at_work`, and that `may` begin: one more of them begins.
    pub(crate) fn begin(
        &mut self,
        at_work: &AtWork,
        work: Work,
        may: impl Fn(&T) -> bool,
    ) -> Option<(Lane, T)> {
        for _ in 0..self.turns.len() {
            let lane = self.turns.pop_front()?;
            let may = self.lanes.get(&lane).and_then(VecDeque::front).is_some_and(&may);
            if !may || !at_work.begin(lane, work) {
                self.turns.push_back(lane);
                continue;
            }
            let waiting = self.lanes.get_mut(&lane)?;
            let next = waiting.pop_front();
            self.length -= 1;
            if waiting.is_empty() {
                self.lanes.remove(&lane);
            } else {
                self.turns.push_back(lane);
            }
            return next.map(|next| (lane, next));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRIVERS_MAX: usize = 1000;
    const DRIVERS_RESERVED: usize = 16;

    fn begin<T>(due: &mut Due<T>, at_work: &AtWork) -> Option<(Lane, T)> {
        due.begin(at_work, Work::Begins, |_| true)
    }

    fn arn(machine: &str, name: usize) -> String {
        format!("arn:aws:states:us-east-1:123456789012:execution:{machine}:{name}")
    }

    #[test]
    fn machines_take_turns() {
        let (at_work, mut due) = (AtWork::new(DRIVERS_MAX), Due::default());
        for number in 0..100_000 {
            due.push(at_work.lane(&arn("noisy", number)), ("noisy", number));
        }
        due.push(at_work.lane(&arn("quiet", 0)), ("quiet", 0));
        let begun: Vec<_> = (0..3).filter_map(|_| begin(&mut due, &at_work)).map(|(_, what)| what).collect();
        assert_eq!(begun, [("noisy", 0), ("quiet", 0), ("noisy", 1)]);
    }

    #[test]
    fn one_that_holds_all_drivers_leaves_room_for_others() {
        let (at_work, mut due) = (AtWork::new(DRIVERS_MAX), Due::default());
        let [noisy, quiet] = ["noisy", "quiet"].map(|machine| at_work.lane(&arn(machine, 1)));
        for number in 0..5_000 {
            due.push(noisy, number);
        }
        while begin(&mut due, &at_work).is_some() {}
        assert_eq!(at_work.all(), DRIVERS_MAX);
        (0..100).for_each(|number| due.push(quiet, number));
        let begun =
            std::iter::from_fn(|| begin(&mut due, &at_work)).filter(|(lane, _)| *lane == quiet).count();
        assert_eq!(begun, DRIVERS_RESERVED);
        assert!(at_work.end(quiet).makes_room);
        assert_eq!(begin(&mut due, &at_work).map(|(lane, _)| lane), Some(quiet));
        assert!(!at_work.end(noisy).makes_room, "more than the most are at work still");
        assert_eq!(begin(&mut due, &at_work), None);
        for _ in 0..DRIVERS_RESERVED {
            at_work.end(noisy);
        }
        assert!(begin(&mut due, &at_work).is_some(), "as many as may be at work again");
    }

    #[test]
    fn executions_of_a_map_run_are_their_machines() {
        let at_work = AtWork::new(DRIVERS_MAX);
        assert_eq!(at_work.lane(&arn("m/label", 1)), at_work.lane(&arn("m", 2)));
        assert_ne!(at_work.lane(&arn("m", 1)), at_work.lane(&arn("n", 1)));
        assert_ne!(at_work.lane(""), Lane::UNREAD);
    }

    #[test]
    fn what_is_read_counts_for_its_machine() {
        let (at_work, mut due) = (AtWork::new(DRIVERS_MAX), Due::default());
        let noisy = at_work.lane(&arn("noisy", 1));
        for number in 0..2 * DRIVERS_MAX {
            due.push(noisy, number);
        }
        while due.begin(&at_work, Work::GoesOn, |_| true).is_some() {}
        assert_eq!(at_work.all(), DRIVERS_MAX + DRIVERS_MAX / 4);
        due.push(Lane::UNREAD, 0);
        let (lane, _) = begin(&mut due, &at_work).expect("there is room to read");
        assert!(!at_work.recount(lane, noisy), "its machine has more than its share");
        at_work.end(noisy);
        due.push(Lane::UNREAD, 0);
        let (lane, _) = begin(&mut due, &at_work).expect("there is room to read");
        assert!(at_work.recount(lane, at_work.lane(&arn("quiet", 1))));
    }
}
