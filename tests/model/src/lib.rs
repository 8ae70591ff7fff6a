//! A model of the commit and driver protocol (PROTOCOL.md), checked exhaustively.
//!
//! One execution, one journal with a conditional append, one queue that delivers in any order and again at any moment,
//! drivers that die between any two steps or go on as zombies, timers that fire at any time and twice, handlers that
//! die between any two steps. All orders of all of that are tried, within a budget of faults. The steps are those of
//! the paper, and each cites its line; there is no code of the engine here, since what is checked is the idea.
//!
//! | file | subject |
//! |---|---|
//! | `state.rs` | what there is at a moment |
//! | `actions.rs` | what may happen next |
//! | `driver.rs`, `page.rs` | §4: a driver's steps; what it decides and whom it buries |
//! | `handlers.rs` | §5: who answers somebody |
//! | `shapes.rs` | the executions, and what their tasks do |
//! | `properties.rs` | §9: what must hold |
//! | `bugs.rs` | a broken variant for each rule, with the property that it violates |
//! | `canonical.rs` | which states are one |
//! | `cases.rs` | what is searched |
//! | `map_run.rs` | a Map Run, its executions and their outcomes: a model of its own |
//!
//! What it does not have: payloads, batches, real time (a lease holds, or may run out at any moment), S3, more than
//! two tasks. Names of messages and deliveries are merged where they mean the same.
//!
//! # Changing the protocol
//!
//! Model first. Change the step here, and its line in PROTOCOL.md; add the rule's broken variant to [`VARIANTS`], and
//! the property that it is to violate. `cargo nextest run -p stepwell-model` says within a minute whether the new
//! protocol holds and every rule is still needed: a variant that is not caught is a rule that nothing rests on, or a
//! search that is too small to show it. `cargo run -p stepwell-model --release` searches further. Then change the engine;
//! the simulation shows whether it does what the model does.

mod actions;
mod bugs;
mod canonical;
mod cases;
mod driver;
mod handlers;
pub mod map_run;
mod page;
pub mod properties;
mod shapes;
mod state;

use std::fmt;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model};

pub use bugs::{Bug, VARIANTS, Variant};
pub use cases::{LARGE, MORE, QUICK};
pub use shapes::Shape;

/// Drivers at work at once.
pub(crate) const DRIVERS: usize = if cfg!(feature = "three") { 3 } else { 2 };

/// What may go wrong, and how often.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct Faults {
    /// Deaths of drivers and handlers.
    pub crashes: u8,
    /// Receipts of a message whose driver lives and whose lease has run out. Where there are any, leases protect nothing.
    pub lapses: u8,
    /// Appends whose reply is lost.
    pub lost_replies: u8,
    /// Ends of slices.
    pub slices: u8,
    /// Receipts of a message whose driver lives and whose lease holds; without lapses only.
    pub repeats: u8,
}

/// What is searched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Case {
    /// The execution.
    pub shape: Shape,
    /// What goes wrong.
    pub faults: Faults,
    /// Whether somebody stops the execution.
    pub stop: bool,
    /// The rule that is dropped.
    pub bug: Option<Bug>,
    /// Whether a receipt older than the newest still deletes its message. A copy on another of the queue's servers can.
    pub stale_deletes: bool,
    /// Whether states that differ in names alone are one.
    pub merges_names: bool,
}

impl Case {
    /// The protocol as it is meant.
    pub const fn of(shape: Shape, faults: Faults, stop: bool) -> Self {
        Case { shape, faults, stop, bug: None, stale_deletes: true, merges_names: true }
    }
}

/// Shape and faults: crashes, lapses, lost replies, ends of slices, repeated receipts.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Faults { crashes, lapses, lost_replies, slices, repeats } = self.faults;
        let stop = if self.stop { "+Stop" } else { "" };
        let faults = format!("[{crashes} {lapses} {lost_replies} {slices} {repeats}]");
        let bug = self.bug.map_or_else(String::new, |bug| format!("{bug:?} / "));
        f.pad(&format!("{bug}{:?}{stop} {faults}", self.shape))
    }
}

/// The protocol, for one case.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    pub(crate) shape: Shape,
    pub(crate) bug: Option<Bug>,
    pub(crate) faults: Faults,
    pub(crate) stop: bool,
    pub(crate) merges_names: bool,
    pub(crate) stale_deletes: bool,
}

impl Protocol {
    /// Whether a driver that lives is safe from burial.
    pub(crate) fn leases_hold(&self) -> bool {
        self.faults.lapses == 0
    }
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Different states that were visited.
    pub states: usize,
    /// The longest way to one of them.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// The properties that do not hold, each with the actions that show it.
    pub violated: Vec<(&'static str, Vec<String>)>,
    /// Those of what may happen that did happen.
    pub seen: Vec<&'static str>,
}

impl Verdict {
    /// Whether `property` does not hold.
    pub fn violates(&self, property: &str) -> bool {
        self.violated.iter().any(|(name, _)| *name == property)
    }
}

/// States, time, depth, and the properties that do not hold with the number of actions that show it.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f32();
        write!(f, "{:>9} states {seconds:>6.1} s  depth {:>2}  ", self.states, self.depth)?;
        if self.violated.is_empty() {
            return f.write_str("holds");
        }
        let one = |(name, actions): &(&str, Vec<String>)| format!("{name} ({} actions)", actions.len());
        write!(f, "VIOLATED: {}", self.violated.iter().map(one).collect::<Vec<_>>().join("; "))
    }
}

/// Searches all of `case`; where a rule is dropped, until the first violation, which is then one of the shortest.
pub fn check(case: Case, threads: usize) -> Verdict {
    let Case { shape, faults, stop, bug, stale_deletes, merges_names } = case;
    search(Protocol { shape, bug, faults, stop, merges_names, stale_deletes }, bug.is_some(), threads)
}

/// Searches a model, as a whole or until something does not hold.
pub(crate) fn search<M>(model: M, until_violated: bool, threads: usize) -> Verdict
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + PartialEq + std::fmt::Debug + Send + Sync + std::hash::Hash,
    M::Action: Clone + PartialEq + std::fmt::Debug,
{
    let may_happen = [properties::ENDS, properties::LATE_CALL];
    let began = Instant::now();
    let builder = match until_violated {
        true => model.checker().finish_when(HasDiscoveries::AnyFailures),
        false => model.checker().threads(threads),
    };
    let checker = builder.spawn_bfs().join();
    let mut found: Vec<_> = checker.discoveries().into_iter().collect();
    found.sort_by_key(|(name, _)| *name);
    let (seen, violated): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|(name, _)| may_happen.contains(name));
    let path = |path: stateright::Path<M::State, M::Action>| {
        path.into_actions().iter().map(|action| format!("{action:?}")).collect()
    };
    Verdict {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        took: began.elapsed(),
        violated: violated.into_iter().map(|(name, actions)| (name, path(actions))).collect(),
        seen: seen.into_iter().map(|(name, _)| name).collect(),
    }
}
