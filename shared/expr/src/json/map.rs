//! The members of an object, in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Value;

/// Members up to which a search of the list is quicker than an index.
const INDEXED_FROM: usize = 16;

/// An object's members in the order in which their keys first came.
///
/// Small objects are a list. From `INDEXED_FROM` members on, an ordered index keeps every look-up logarithmic:
/// a hostile document can make neither hashes collide nor searches quadratic.
#[derive(Clone, Default)]
pub struct Map {
    members: Vec<(Arc<str>, Value)>,
    index: Option<BTreeMap<Arc<str>, usize>>,
}

impl Map {
    /// An empty object.
    pub fn new() -> Self {
        Map::default()
    }

    /// An empty object with room for `capacity` members.
    pub fn with_capacity(capacity: usize) -> Self {
        Map { members: Vec::with_capacity(capacity), index: None }
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether this is `{}`.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn position(&self, key: &str) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(key).copied(),
            None => self.members.iter().position(|(k, _)| **k == *key),
        }
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.position(key).map(|at| &self.members[at].1)
    }

    /// The value of `key`, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.position(key).map(|at| &mut self.members[at].1)
    }

    /// Whether `key` is a member.
    pub fn contains_key(&self, key: &str) -> bool {
        self.position(key).is_some()
    }

    /// Sets `key`; a key that exists keeps its place. Returns the value it had.
    pub fn insert(&mut self, key: impl Into<Arc<str>>, value: Value) -> Option<Value> {
        let key = key.into();
        if let Some(at) = self.position(&key) {
            return Some(std::mem::replace(&mut self.members[at].1, value));
        }
        let at = self.members.len();
        if let Some(index) = &mut self.index {
            index.insert(key.clone(), at);
        }
        self.members.push((key, value));
        if self.index.is_none() && self.members.len() > INDEXED_FROM {
            self.index = Some(self.members.iter().enumerate().map(|(at, (k, _))| (k.clone(), at)).collect());
        }
        None
    }

    /// Takes `key` out; the members behind it move up.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.position(key)?;
        let (_, value) = self.members.remove(at);
        if self.index.is_some() {
            self.index = Some(self.members.iter().enumerate().map(|(at, (k, _))| (k.clone(), at)).collect());
        }
        Some(value)
    }

    /// Member number `at`, from 0, in the order of the text.
    pub fn member(&self, at: usize) -> Option<(&Arc<str>, &Value)> {
        self.members.get(at).map(|(key, value)| (key, value))
    }

    /// The members in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Value)> + DoubleEndedIterator {
        self.members.iter().map(|(k, v)| (k, v))
    }

    /// The keys in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.members.iter().map(|(k, _)| k)
    }

    /// The values in the order of their keys.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Value> {
        self.members.iter().map(|(_, v)| v)
    }
}

/// Objects are equal when they have the same members, in any order.
impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(k, v)| other.get(k) == Some(v))
    }
}

impl std::fmt::Debug for Map {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl FromIterator<(Arc<str>, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Value)>>(members: I) -> Self {
        let mut map = Map::new();
        for (key, value) in members {
            map.insert(key, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaves_the_same_below_and_above_the_index() {
        let mut map = Map::new();
        for n in 0..40_i64 {
            map.insert(format!("k{n}"), n.into());
        }
        map.insert("k3", 33.into());
        assert_eq!(map.remove("k20"), Some(20.into()));
        assert_eq!(map.get("k21"), Some(&21.into()));
        assert_eq!(map.get("k3"), Some(&33.into()));
        assert_eq!(map.len(), 39);
        assert_eq!(map.keys().nth(3).map(|k| &**k), Some("k3"));
    }
}
