//! What goes wrong with a store's writes and reads, for the tests of this crate alone.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;
use stepwell_test_support::Random;

use crate::error::StoreError;

/// What is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// BEGIN
    Begin,
    /// A statement within a transaction.
    Statement,
    /// COMMIT: frames are written and synced.
    Commit,
    /// The commit is durable, and nobody was told.
    Committed,
    /// A read.
    Read,
}

/// What happens instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is no room (SQLITE_FULL).
    Full,
    /// The disk fails (SQLITE_IOERR_FSYNC).
    Io,
    /// Somebody else holds the file's lock (SQLITE_BUSY).
    Busy,
    /// The process dies: the files are copied as they are, and nothing more is done.
    Die,
}

/// Decides what goes wrong. At first nothing does.
#[derive(Default, Clone)]
pub(crate) struct Faults(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    seen: u64,
    met: u64,
    at: Option<(u64, u64, Fault)>,
    drawn: Option<(Random, u32)>,
    files: Option<(PathBuf, PathBuf)>,
    dead: bool,
}

impl Faults {
    /// From the `at`th point on, from 0, `times` points have this fault.
    pub(crate) fn at(at: u64, times: u64, fault: Fault) -> Self {
        let faults = Faults::default();
        faults.lock().at = Some((at, times, fault));
        faults
    }

    /// So many points of a thousand have some fault, which is tried again until it is none.
    pub(crate) fn drawn(seed: u64, per_mille: u32) -> Self {
        let faults = Faults::default();
        faults.lock().drawn = Some((Random::new(seed), per_mille));
        faults
    }

    /// Where the store lies, and where what a death leaves is copied to.
    pub(crate) fn leave(&self, from: &Path, to: &Path) {
        self.lock().files = Some((from.to_owned(), to.to_owned()));
    }

    /// Nothing goes wrong any more.
    pub(crate) fn end(&self) {
        let mut plan = self.lock();
        (plan.at, plan.drawn) = (None, None);
    }

    /// Points so far.
    pub(crate) fn seen(&self) -> u64 {
        self.lock().seen
    }

    /// Faults so far.
    pub(crate) fn met(&self) -> u64 {
        self.lock().met
    }

    /// Whether the process died.
    pub(crate) fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// Whether whoever meets a fault is to try again rather than to answer.
    pub(crate) fn are_tried_again(&self) -> bool {
        self.lock().drawn.is_some()
    }

    /// What happens at a point.
    pub(crate) fn meet(&self, point: Point) -> Result<(), StoreError> {
        let mut plan = self.lock();
        if plan.dead {
            return Err(StoreError::Closed);
        }
        let seen = plan.seen;
        plan.seen += 1;
        let planned =
            plan.at.filter(|(at, times, _)| (*at..at + times).contains(&seen)).map(|(.., fault)| fault);
        let drawn = plan.drawn.as_mut().and_then(|(random, per_mille)| {
            let kinds = [Fault::Full, Fault::Io, Fault::Busy];
            random.chance(*per_mille).then(|| kinds[random.below(kinds.len())])
        });
        let Some(fault) = planned.or(drawn) else { return Ok(()) };
        // What is committed cannot fail any more.
        if point == Point::Committed && fault != Fault::Die {
            return Ok(());
        }
        plan.met += 1;
        let code = match fault {
            Fault::Full => ffi::SQLITE_FULL,
            Fault::Io => ffi::SQLITE_IOERR_FSYNC,
            Fault::Busy => ffi::SQLITE_BUSY,
            Fault::Die => {
                plan.dead = true;
                if let Some((from, to)) = &plan.files {
                    for file in ["stepwell.db", "stepwell.db-wal"] {
                        std::fs::copy(from.join(file), to.join(file)).expect("copied");
                    }
                }
                return Err(StoreError::Closed);
            }
        };
        Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(format!("a fault at {point:?}")))
            .into())
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
