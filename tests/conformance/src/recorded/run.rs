//! Runs one case, and says what came of it.

use serde_json::Value;

use super::calls::Calls;
use super::case::{Case, Course};
use super::compare::{Comparer, Difference, Likeness};
use super::world::{Stuck, World};
use super::{calls, execution};

/// What came of a case.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// As recorded, but for what changes with each run.
    Exact,
    /// The same values written differently: the first such difference.
    Loose(String),
    /// Not as recorded.
    Failed(Failure),
    /// Not run: why.
    Skipped(String),
}

/// Why a case is not as recorded.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// The first difference.
    Differs(Difference),
    /// It could not be run to its end.
    Broken(String),
    /// It had not ended when its (virtual) time was over.
    TimedOut,
}

impl Verdict {
    /// `exact`, `loose`, `fail` or `skipped`.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Exact => "exact",
            Verdict::Loose(_) => "loose",
            Verdict::Failed(_) => "fail",
            Verdict::Skipped(_) => "skipped",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Verdict::Exact => write!(f, "exact"),
            Verdict::Loose(note) => write!(f, "loose: {note}"),
            Verdict::Failed(Failure::Differs(difference)) => write!(f, "{difference}"),
            Verdict::Failed(Failure::Broken(why)) => write!(f, "{why}"),
            Verdict::Failed(Failure::TimedOut) => write!(f, "it did not end in time"),
            Verdict::Skipped(why) => write!(f, "skipped: {why}"),
        }
    }
}

/// Why a course was broken off.
#[derive(Debug)]
pub(crate) enum Stop {
    /// For this reason.
    Broken(String),
    /// It needs something that is not here.
    Skipped(String),
    /// Its time is over.
    TimedOut,
}

impl From<String> for Stop {
    fn from(why: String) -> Self {
        Stop::Broken(why)
    }
}

/// Runs a case in a world of its own, in which the order of what happens at once follows from `seed`.
pub fn run(case: &Case, seed: u64) -> Verdict {
    if let Some(need) = case.needs_elsewhere() {
        return Verdict::Skipped(format!("it needs {need}"));
    }
    let mut world = World::new(seed);
    let mut calls = Calls::new(case, world.client());
    for (name, handler) in &case.lambdas {
        match calls.fill_text(name) {
            Ok(name) => world.functions().register(name, handler.clone()),
            Err(why) => return Verdict::Failed(Failure::Broken(why)),
        }
    }
    let course = case.course.clone();
    let came = world.block_on(async move {
        match &course {
            Course::Execution(start) => execution::run(&mut calls, start).await,
            Course::Calls { calls: steps, expect } => calls::run(&mut calls, steps, expect).await,
        }
    });
    match came {
        Ok(Ok(parts)) => verdict(parts),
        Ok(Err(Stop::Broken(why))) => Verdict::Failed(Failure::Broken(why)),
        Ok(Err(Stop::Skipped(why))) => Verdict::Skipped(why),
        Ok(Err(Stop::TimedOut)) => Verdict::Failed(Failure::TimedOut),
        Err(stuck @ (Stuck::AtRest | Stuck::Endless)) => Verdict::Failed(Failure::Broken(stuck.to_string())),
    }
}

/// The worst of what came of the values compared; nothing compared is nothing shown.
fn verdict(parts: Vec<Likeness>) -> Verdict {
    if parts.is_empty() {
        return Verdict::Failed(Failure::Broken("nothing was compared".to_owned()));
    }
    let mut verdict = Verdict::Exact;
    for part in parts {
        match part {
            Likeness::Different(difference) => return Verdict::Failed(Failure::Differs(difference)),
            Likeness::Loose(note) if verdict == Verdict::Exact => verdict = Verdict::Loose(note),
            Likeness::Exact | Likeness::Loose(_) => {}
        }
    }
    verdict
}

/// A comparer for the values of a case.
pub(crate) fn comparer(case: &Case) -> Comparer {
    Comparer::new(&case.wild_text, &case.wild_values, case.recorded.as_deref())
}

/// A value that could not be put together.
pub(crate) fn missing(key: &str, why: String, expected: &Value) -> Likeness {
    let difference =
        Difference { path: key.to_owned(), why, expected: expected.clone(), actual: Value::Null };
    Likeness::Different(difference)
}
