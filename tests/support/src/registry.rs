//! State machines in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stepwell_asl::MachineType;
use stepwell_engine::port::{MachineStatus, Registry, RegistryError, StateMachine};
use stepwell_interpreter::Timestamp;

use crate::lock;

/// State machines in memory.
#[derive(Default)]
pub struct MemoryRegistry {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    machines: BTreeMap<Arc<str>, Arc<StateMachine>>,
    revisions: BTreeMap<(Arc<str>, Arc<str>), Arc<StateMachine>>,
}

/// A Standard machine of this name and definition.
pub fn machine(name: &str, definition: &str) -> StateMachine {
    StateMachine {
        arn: format!("arn:aws:states:us-east-1:123456789012:stateMachine:{name}").into(),
        name: name.into(),
        machine_type: MachineType::Standard,
        definition: definition.into(),
        role_arn: "arn:aws:iam::123456789012:role/machine".into(),
        revision: "1".into(),
        is_updated: false,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        status: MachineStatus::Active,
        logging: None,
        tracing: None,
        encryption: None,
        tags: vec![],
    }
}

impl Inner {
    fn put(&mut self, machine: Arc<StateMachine>) {
        self.revisions.insert((machine.arn.clone(), machine.revision.clone()), machine.clone());
        self.machines.insert(machine.arn.clone(), machine);
    }
}

impl MemoryRegistry {
    /// Puts a machine, whatever was there.
    pub fn put(&self, machine: Arc<StateMachine>) {
        lock(&self.inner).put(machine);
    }
}

#[async_trait]
impl Registry for MemoryRegistry {
    async fn create(&self, machine: Arc<StateMachine>) -> Result<(), RegistryError> {
        let mut inner = lock(&self.inner);
        if let Some(there) = inner.machines.get(&machine.arn) {
            return Err(RegistryError::Exists(there.clone()));
        }
        inner.put(machine);
        Ok(())
    }

    async fn update(&self, machine: Arc<StateMachine>, expected: &str) -> Result<(), RegistryError> {
        let mut inner = lock(&self.inner);
        match inner.machines.get(&machine.arn) {
            None => Err(RegistryError::Missing(machine.arn.to_string())),
            Some(there) if *there.revision != *expected => Err(RegistryError::Exists(there.clone())),
            Some(_) => {
                inner.put(machine);
                Ok(())
            }
        }
    }

    async fn machine(&self, arn: &str) -> Result<Option<Arc<StateMachine>>, RegistryError> {
        Ok(lock(&self.inner).machines.get(arn).cloned())
    }

    async fn revision(&self, arn: &str, revision: &str) -> Result<Option<Arc<StateMachine>>, RegistryError> {
        Ok(lock(&self.inner).revisions.get(&(arn.into(), revision.into())).cloned())
    }

    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Arc<StateMachine>>, RegistryError> {
        let inner = lock(&self.inner);
        let behind = |arn: &str| after.is_none_or(|after| arn > after);
        Ok(inner.machines.values().filter(|machine| behind(&machine.arn)).take(limit).cloned().collect())
    }

    async fn delete(&self, arn: &str) -> Result<(), RegistryError> {
        lock(&self.inner).machines.remove(arn);
        Ok(())
    }
}
