//! State machines that were written or read lately, so that a start costs no SQL.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stepwell_engine::port::StateMachine;

/// What a commit made of a state machine.
pub(crate) enum Change {
    /// It is this now.
    Put(Arc<StateMachine>),
    /// The machine of this ARN is gone.
    Deleted(Arc<str>),
}

/// Which state machine: as it is now, or in a revision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    pub(crate) arn: Arc<str>,
    pub(crate) revision: Option<Arc<str>>,
}

/// A bounded map, published by the writer.
#[derive(Default)]
pub(crate) struct HotMachines(Mutex<Machines>);

#[derive(Default)]
struct Machines {
    known: HashMap<Name, Arc<StateMachine>>,
    bytes: usize,
    changes: u64,
}

/// Definitions kept at most, in bytes; then all go and come again as they are asked for.
const BYTES_MAX: usize = 16 << 20;

impl HotMachines {
    /// The machine where it is here, and the number of changes so far.
    pub(crate) fn find(&self, name: &Name) -> (Option<Arc<StateMachine>>, u64) {
        let inner = self.lock();
        (inner.known.get(name).cloned(), inner.changes)
    }

    /// Takes over what a commit has changed.
    pub(crate) fn publish(&self, changes: Vec<Change>) {
        let mut inner = self.lock();
        inner.changes += 1;
        for change in changes {
            match change {
                Change::Put(machine) => {
                    let arn = machine.arn.clone();
                    let revision = Some(machine.revision.clone());
                    inner.insert(Name { arn: arn.clone(), revision }, machine.clone());
                    inner.insert(Name { arn, revision: None }, machine);
                }
                Change::Deleted(arn) => inner.remove(&Name { arn, revision: None }),
            }
        }
    }

    /// Keeps what was read from the disk after `changes` changes, unless there were more meanwhile.
    pub(crate) fn keep(&self, name: Name, machine: Arc<StateMachine>, changes: u64) {
        let mut inner = self.lock();
        if inner.changes == changes {
            inner.insert(name, machine);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Machines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Machines {
    fn insert(&mut self, name: Name, machine: Arc<StateMachine>) {
        if self.bytes > BYTES_MAX {
            *self = Machines { changes: self.changes, ..Machines::default() };
        }
        self.bytes += cost(&machine);
        if let Some(before) = self.known.insert(name, machine) {
            self.bytes -= cost(&before);
        }
    }

    fn remove(&mut self, name: &Name) {
        if let Some(before) = self.known.remove(name) {
            self.bytes -= cost(&before);
        }
    }
}

fn cost(machine: &StateMachine) -> usize {
    machine.definition.len() + 1024
}
