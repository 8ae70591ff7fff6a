//! One driver of a Map Run at a time, where one process drives all of them.
//!
//! That saves work: a thousand executions that end at once would have a thousand drivers start the same ones. Whoever finds
//! another at work lets that one look again, and leaves. Should the other die, its own message comes
//! again, which is why this is not for processes that share a queue: there another may have dealt with that message.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who is at work, and whether to look again.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<Arc<str>, bool>>);

/// The turn of one driver.
pub(crate) struct Turn<'t> {
    turns: &'t Turns,
    arn: Option<Arc<str>>,
}

impl Turns {
    /// Takes the turn; `None` where another has it, who will look again before it leaves.
    pub(crate) fn take(&self, arn: &Arc<str>) -> Option<Turn<'_>> {
        let mut turns = self.lock();
        if let Some(again) = turns.get_mut(arn) {
            *again = true;
            return None;
        }
        turns.insert(arn.clone(), false);
        Some(Turn { turns: self, arn: Some(arn.clone()) })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Gives the turn back where nobody asked to look again; `true` where somebody did.
    pub(crate) fn goes_on(&mut self) -> bool {
        let mut turns = self.turns.lock();
        let Some(arn) = &self.arn else { return false };
        if turns.insert(arn.clone(), false) == Some(true) {
            return true;
        }
        turns.remove(arn);
        self.arn = None;
        false
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(arn) = &self.arn {
            self.turns.lock().remove(arn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_second_is_looked_for_again() {
        let (turns, arn) = (Turns::default(), Arc::from("a"));
        let mut first = turns.take(&arn).expect("nobody is at work");
        assert!(turns.take(&arn).is_none());
        assert!(first.goes_on());
        assert!(!first.goes_on());
        drop(turns.take(&arn).expect("it was given back"));
        drop(first);
        assert!(turns.take(&arn).is_some());
    }
}
