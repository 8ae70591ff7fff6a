//! How much is in hand, and how much may be: memory stays bounded however much is asked for.
//!
//! An execution that only waits is rows of the store. What takes memory is what is being done: drivers at work, requests that are
//! being answered, commits that are not written yet. Each of these is counted here, and where there is enough of it no *new* work is
//! taken in. Work that is there goes on: it is what makes room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How much may be in hand at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Drivers at work: executions that something is being done for, calls that they wait for included. For those that go on there is
    /// a quarter more, and some for each machine in any case.
    pub drivers: usize,
    /// Executions that were started, or are about to be, and wait for a driver.
    pub backlog: usize,
    /// Bytes of requests that are being answered and of commits that are not written; and, apart from these, of the inputs of the
    /// executions whose first driver is at work.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { drivers: 1_000, backlog: 10_000, bytes: 32 << 20 }
    }
}

/// What is in hand.
#[derive(Debug, Default)]
pub struct Backlog {
    limits: Limits,
    /// Starts that are being answered.
    asked: AtomicUsize,
    /// Executions that are run while somebody waits for the answer.
    awaited: AtomicUsize,
    /// Bytes of requests and of commits.
    bytes: AtomicUsize,
    /// Starts that are committed and have no driver yet.
    waiting: AtomicUsize,
    /// Bytes of inputs whose first driver is at work.
    begun: AtomicUsize,
    /// Whether something is due that there was no room for.
    hungry: AtomicBool,
}

/// What takes a place, until it is dropped.
#[derive(Debug)]
pub struct Taken {
    backlog: Arc<Backlog>,
    count: Count,
    bytes: usize,
}

#[derive(Debug, Clone, Copy)]
enum Count {
    Asked,
    Awaited,
    None,
}

impl Backlog {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Backlog { limits, ..Backlog::default() })
    }

    /// A place for a request that starts an execution; `None` where there is none.
    pub fn start(self: &Arc<Self>, bytes: usize) -> Option<Taken> {
        let before = self.asked.fetch_add(1, Ordering::SeqCst);
        let taken = Taken { backlog: self.clone(), count: Count::Asked, bytes: 0 };
        let waiting = self.waiting.load(Ordering::SeqCst);
        if before + waiting >= self.limits.backlog {
            return None;
        }
        taken.with_bytes(bytes, self.limits.bytes)
    }

    /// A place for a request that runs an execution while it is answered; `None` where there is none.
    pub fn run(self: &Arc<Self>, bytes: usize) -> Option<Taken> {
        let before = self.awaited.fetch_add(1, Ordering::SeqCst);
        let taken = Taken { backlog: self.clone(), count: Count::Awaited, bytes: 0 };
        if before >= self.limits.drivers {
            return None;
        }
        taken.with_bytes(bytes, self.limits.bytes)
    }

    /// A place for a request that lets an execution go on: it is refused only where twice as many bytes are in hand as new work may
    /// bring about.
    pub fn go_on(self: &Arc<Self>, bytes: usize) -> Option<Taken> {
        let taken = Taken { backlog: self.clone(), count: Count::None, bytes: 0 };
        taken.with_bytes(bytes, self.limits.bytes.saturating_mul(2))
    }

    /// Counts bytes that are there in any case: those of a commit until it is written.
    pub(crate) fn hold(self: &Arc<Self>, bytes: usize) -> Taken {
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
        Taken { backlog: self.clone(), count: Count::None, bytes }
    }

    /// A start is committed and waits for its driver.
    pub(crate) fn waits(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
    }

    /// How much may be.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether the first driver of an execution may begin, whose input has so many bytes. The first of all always may.
    pub(crate) fn may_begin(&self, bytes: usize) -> bool {
        let begun = self.begun.load(Ordering::SeqCst);
        begun == 0 || begun + bytes <= self.limits.bytes
    }

    /// A driver begins; `first` has the bytes of the input where it is the execution's first one.
    pub(crate) fn begin(&self, first: Option<usize>) {
        if let Some(bytes) = first {
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            self.begun.fetch_add(bytes, Ordering::SeqCst);
        }
    }

    /// A driver ended. Whether something waits for its room.
    pub(crate) fn end(&self, first: Option<usize>) -> bool {
        self.begun.fetch_sub(first.unwrap_or(0), Ordering::SeqCst);
        self.hungry.load(Ordering::SeqCst)
    }

    /// Says whether the end of any driver is waited for. It is said before it is looked whether there is room, so that no end is missed.
    pub(crate) fn is_hungry(&self, hungry: bool) {
        self.hungry.store(hungry, Ordering::SeqCst);
    }
}

impl Taken {
    /// The same with so many bytes; `None` where there would be more than `most`. The first of all always has room.
    fn with_bytes(mut self, bytes: usize, most: usize) -> Option<Self> {
        let before = self.backlog.bytes.fetch_add(bytes, Ordering::SeqCst);
        self.bytes = bytes;
        (before == 0 || before + bytes <= most).then_some(self)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.backlog.bytes.fetch_sub(self.bytes, Ordering::SeqCst);
        match self.count {
            Count::Asked => self.backlog.asked.fetch_sub(1, Ordering::SeqCst),
            Count::Awaited => self.backlog.awaited.fetch_sub(1, Ordering::SeqCst),
            Count::None => 0,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backlog() -> Arc<Backlog> {
        Backlog::new(Limits { drivers: 4, backlog: 3, bytes: 100 })
    }

    #[test]
    fn starts_are_let_in_until_so_many_are_asked_for_or_wait() {
        let backlog = backlog();
        let one = backlog.start(1).expect("room");
        let two = backlog.start(1).expect("room");
        backlog.waits();
        assert!(backlog.start(1).is_none());
        // The refused one has left nothing behind.
        drop(two);
        let _two = backlog.start(1).expect("room again");
        drop(one);
        backlog.begin(Some(10));
        let _three = backlog.start(1).expect("what has begun does not wait");
        let _four = backlog.start(1).expect("room");
        assert!(backlog.start(1).is_none());
        assert!(backlog.go_on(1).is_some() && backlog.run(1).is_some());
    }

    #[test]
    fn bytes_are_bounded_and_what_goes_on_has_twice_the_room() {
        let backlog = backlog();
        let large = backlog.start(1_000).expect("the first has room");
        assert!(backlog.start(1).is_none() && backlog.run(0).is_none() && backlog.go_on(1).is_none());
        drop(large);
        let commit = backlog.hold(90);
        assert!(backlog.start(10).is_some() && backlog.start(11).is_none());
        assert!(backlog.go_on(110).is_some() && backlog.go_on(111).is_none());
        drop(commit);
        assert_eq!(backlog.bytes.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn what_is_run_while_it_is_waited_for_is_bounded() {
        let backlog = backlog();
        let runs: Vec<_> = (0..4).map(|_| backlog.run(1).expect("room")).collect();
        assert!(backlog.run(1).is_none());
        drop(runs);
        assert!(backlog.run(1).is_some());
    }

    #[test]
    fn inputs_of_what_has_begun_are_bounded() {
        let backlog = backlog();
        assert!(backlog.may_begin(1_000), "the first has room");
        for _ in 0..3 {
            backlog.waits();
            backlog.begin(Some(33));
        }
        assert!(backlog.may_begin(1) && !backlog.may_begin(2));
        backlog.begin(None);
        assert!(!backlog.end(None), "nobody waits for it");
        backlog.is_hungry(true);
        assert!(backlog.end(Some(33)) && backlog.may_begin(34));
    }
}
