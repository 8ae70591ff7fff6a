//! What is known of executions that were written or read lately, so that most reads cost no SQL.
//!
//! This process alone writes the store, so an entry is never out of date: the writer publishes every change before it
//! gives the answers. What a reader found on disk is kept only if nothing was published meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stepwell_engine::meta::{Meta, RunId};

/// One execution, as it was last written.
#[derive(Debug, Clone)]
pub(crate) struct Hot {
    /// Its number in the store.
    pub(crate) id: i64,
    /// Its run.
    pub(crate) run: RunId,
    /// Its epoch.
    pub(crate) epoch: u32,
    /// Whether that epoch has ended.
    pub(crate) ended: bool,
    /// Its last page, where that is known.
    pub(crate) tail: Option<u64>,
    /// Its META, where that is at hand.
    pub(crate) meta: Option<Arc<Meta>>,
}

/// A bounded map: entries that are not asked for go after one to two generations.
#[derive(Default)]
pub(crate) struct HotExecutions(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<Arc<str>, Entry>,
    old: HashMap<Arc<str>, Entry>,
    young_bytes: usize,
    generation: u64,
    commit: u64,
}

struct Entry {
    hot: Hot,
    commit: u64,
}

/// A moment before a read of the disk, to tell afterwards whether what was read is still the newest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    commit: u64,
    generation: u64,
}

const ENTRIES_MAX: usize = 512;
const BYTES_MAX: usize = 8 << 20;

impl HotExecutions {
    /// The execution of this ARN where it is here, and this moment.
    pub(crate) fn find(&self, arn: &str) -> (Option<Hot>, Moment) {
        let mut inner = self.lock();
        let moment = Moment { commit: inner.commit, generation: inner.generation };
        if let Some(entry) = inner.young.get(arn) {
            return (Some(entry.hot.clone()), moment);
        }
        let Some((arn, entry)) = inner.old.remove_entry(arn) else { return (None, moment) };
        let hot = entry.hot.clone();
        inner.insert(arn, entry);
        (Some(hot), moment)
    }

    /// Takes over what a commit has changed.
    pub(crate) fn publish(&self, changed: BTreeMap<Arc<str>, Hot>) {
        let mut inner = self.lock();
        inner.commit += 1;
        let commit = inner.commit;
        for (arn, hot) in changed {
            inner.old.remove(&arn);
            inner.insert(arn, Entry { hot, commit });
        }
    }

    /// Keeps what was read from the disk since `moment`, unless a newer state was published meanwhile.
    pub(crate) fn keep(&self, arn: &str, hot: Hot, moment: Moment) {
        let mut inner = self.lock();
        if inner.generation > moment.generation + 1 {
            return;
        }
        let published = inner.young.get(arn).or_else(|| inner.old.get(arn)).map(|entry| entry.commit);
        if published.is_some_and(|commit| commit > moment.commit) {
            return;
        }
        inner.old.remove(arn);
        inner.insert(Arc::from(arn), Entry { hot, commit: moment.commit });
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn insert(&mut self, arn: Arc<str>, entry: Entry) {
        self.young_bytes += entry.bytes();
        if let Some(before) = self.young.insert(arn, entry) {
            self.young_bytes -= before.bytes();
        }
        if self.young.len() >= ENTRIES_MAX || self.young_bytes >= BYTES_MAX {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
            self.generation += 1;
        }
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        let Some(meta) = &self.hot.meta else { return 0 };
        let output = meta.end.as_ref().and_then(|end| end.output.as_ref());
        meta.input.bytes() + output.map_or(0, |output| output.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hot(id: i64, tail: u64) -> Hot {
        Hot { id, run: RunId(1), epoch: 0, ended: false, tail: Some(tail), meta: None }
    }

    fn tail(cache: &HotExecutions, arn: &str) -> Option<u64> {
        cache.find(arn).0.and_then(|hot| hot.tail)
    }

    fn publish(cache: &HotExecutions, arn: &str, tail: u64) {
        cache.publish(BTreeMap::from([(Arc::from(arn), hot(1, tail))]));
    }

    #[test]
    fn what_was_read_before_a_commit_does_not_replace_it() {
        let cache = HotExecutions::default();
        let moment = cache.find("a").1;
        publish(&cache, "a", 2);
        cache.keep("a", hot(1, 1), moment);
        assert_eq!(tail(&cache, "a"), Some(2));
        let moment = cache.find("a").1;
        cache.keep("a", hot(1, 3), moment);
        assert_eq!(tail(&cache, "a"), Some(3));
    }

    #[test]
    fn what_was_read_too_long_ago_is_not_kept() {
        let cache = HotExecutions::default();
        let moment = cache.find("a").1;
        for n in 0..2 * ENTRIES_MAX {
            publish(&cache, &n.to_string(), 1);
        }
        cache.keep("a", hot(1, 1), moment);
        assert_eq!(tail(&cache, "a"), None);
    }

    #[test]
    fn entries_in_use_stay_and_others_go() {
        let cache = HotExecutions::default();
        publish(&cache, "used", 7);
        publish(&cache, "unused", 7);
        for n in 0..4 * ENTRIES_MAX {
            publish(&cache, &n.to_string(), 1);
            assert_eq!(tail(&cache, "used"), Some(7));
        }
        assert_eq!(tail(&cache, "unused"), None);
    }
}
