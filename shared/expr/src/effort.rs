//! How much work the expressions of one state may do together.

use std::cell::Cell;
use std::time::Duration;

/// What is left of the work that several evaluations may do together, such as all of a state's.
///
/// Each expression has bounds of its own; this one keeps a template of a thousand expressions from costing a thousand times
/// as much. JSONPath counts the values that it visits, which is the same on every machine; JSONata's engine counts time.
#[derive(Debug)]
pub struct Effort {
    visits: Cell<usize>,
    time: Cell<Duration>,
    bytes: Cell<usize>,
}

impl Effort {
    /// Values that the JSONPaths of one state may visit together, texts that are read counted by their length.
    pub const VISITS_MAX: usize = 20_000_000;
    /// How long the JSONata expressions of one state may take together. AWS documents one second for each; a busy machine is
    /// given more.
    pub const TIME_MAX: Duration = Duration::from_secs(5);

    /// Bytes that the intrinsic functions and JSONata expressions of one state may make together, whatever becomes of them.
    pub const BYTES_MAX: usize = 64 << 20;

    /// All of it is left.
    pub fn new() -> Self {
        Effort {
            visits: Cell::new(Self::VISITS_MAX),
            time: Cell::new(Self::TIME_MAX),
            bytes: Cell::new(Self::BYTES_MAX),
        }
    }

    /// All of it is left again: for the next state.
    pub fn renew(&self) {
        self.visits.set(Self::VISITS_MAX);
        self.time.set(Self::TIME_MAX);
        self.bytes.set(Self::BYTES_MAX);
    }

    /// How many values may still be visited.
    pub(crate) fn left(&self) -> usize {
        self.visits.get()
    }

    /// So many were.
    pub(crate) fn spend(&self, visits: usize) {
        self.visits.set(self.visits.get().saturating_sub(visits));
    }

    /// How many bytes may still be made.
    pub(crate) fn bytes_left(&self) -> usize {
        self.bytes.get()
    }

    /// So many were made; false where that is too many.
    pub(crate) fn make(&self, bytes: usize) -> bool {
        let left = self.bytes.get().checked_sub(bytes);
        self.bytes.set(left.unwrap_or(0));
        left.is_some()
    }

    /// How much time is left.
    pub(crate) fn time_left(&self) -> Duration {
        self.time.get()
    }

    /// So much has gone by.
    pub(crate) fn spend_time(&self, time: Duration) {
        self.time.set(self.time.get().saturating_sub(time));
    }
}

impl Default for Effort {
    fn default() -> Self {
        Effort::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_is_gone_until_it_is_renewed() {
        let effort = Effort::new();
        effort.spend(Effort::VISITS_MAX - 1);
        effort.spend_time(Effort::TIME_MAX + Duration::from_secs(1));
        assert_eq!((effort.left(), effort.time_left()), (1, Duration::ZERO));
        assert!(effort.make(Effort::BYTES_MAX) && !effort.make(1));
        effort.renew();
        assert_eq!((effort.left(), effort.time_left()), (Effort::VISITS_MAX, Effort::TIME_MAX));
        assert_eq!(effort.bytes_left(), Effort::BYTES_MAX);
    }
}
