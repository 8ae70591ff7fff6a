//! What is kept at hand: folds of runs, and definitions.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Mutex;

/// A map that forgets what was put first, when it is full. Never holds more than `max`.
pub(crate) struct Cache<K, V> {
    max: usize,
    inner: Mutex<Inner<K, V>>,
}

struct Inner<K, V> {
    entries: HashMap<K, (u64, V)>,
    /// The keys in the order they were put; one that was taken or put again since stands here twice.
    order: VecDeque<(u64, K)>,
    puts: u64,
}

impl<K: Hash + Eq + Clone, V> Cache<K, V> {
    pub(crate) fn new(max: usize) -> Self {
        let inner = Inner { entries: HashMap::new(), order: VecDeque::new(), puts: 0 };
        Cache { max, inner: Mutex::new(inner) }
    }

    /// Removes and gives what is there.
    pub(crate) fn take<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.lock().entries.remove(key).map(|(_, value)| value)
    }

    /// Puts `value`, unless what is there is `better`.
    pub(crate) fn put(&self, key: K, value: V, better: impl FnOnce(&V, &V) -> bool) {
        let mut inner = self.lock();
        if inner.entries.get(&key).is_some_and(|(_, known)| better(known, &value)) {
            return;
        }
        inner.puts += 1;
        let put = inner.puts;
        inner.entries.insert(key.clone(), (put, value));
        inner.order.push_back((put, key));
        while inner.entries.len() > self.max || inner.order.len() > 4 * self.max + 16 {
            let Some((put, key)) = inner.order.pop_front() else { break };
            if inner.entries.get(&key).is_some_and(|(last, _)| *last == put) {
                inner.entries.remove(&key);
            }
        }
    }

    /// Whether something is there that `is` it.
    pub(crate) fn is_there<Q: Hash + Eq + ?Sized>(&self, key: &Q, is: impl FnOnce(&V) -> bool) -> bool
    where
        K: std::borrow::Borrow<Q>,
    {
        self.lock().entries.get(key).is_some_and(|(_, value)| is(value))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner<K, V>> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    /// A copy of what is there.
    pub(crate) fn copy<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.lock().entries.get(key).map(|(_, value)| value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        let cache = Cache::new(2);
        for key in 0..5 {
            cache.put(key, key * 10, |_, _| false);
        }
        assert_eq!([2, 3, 4].map(|key| cache.copy(&key)), [None, Some(30), Some(40)]);
        assert_eq!((cache.take(&4), cache.take(&4)), (Some(40), None));
        cache.put(3, 31, |known, new| known > new);
        cache.put(3, 0, |known, new| known > new);
        assert_eq!(cache.copy(&3), Some(31));
        for _ in 0..100 {
            cache.put(7, 7, |_, _| false);
        }
        assert!(cache.lock().order.len() <= 24);
    }
}
