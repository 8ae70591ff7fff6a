//! State machines in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stepwell_asl::MachineType;
use stepwell_engine::port::{
    ALIASES_MAX, Alias, MachineStatus, Publication, Registry, RegistryError, StateMachine, VERSIONS_MAX,
    Version,
};
use stepwell_interpreter::Timestamp;

use crate::faults::At;
use crate::{Faults, Place, lock};

/// State machines in memory.
pub struct MemoryRegistry {
    inner: Mutex<Inner>,
    faults: At,
}

#[derive(Default)]
struct Inner {
    machines: BTreeMap<Arc<str>, Machine>,
    revisions: BTreeMap<(Arc<str>, Arc<str>), Arc<StateMachine>>,
}

struct Machine {
    newest: Arc<StateMachine>,
    last_version: u64,
    versions: BTreeMap<u64, Arc<Version>>,
    aliases: BTreeMap<Arc<str>, Arc<Alias>>,
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
        logging: Some(LOGGING.into()),
        tracing: None,
        encryption: None,
        tags: vec![],
        edition: 0,
    }
}

/// How the machines of tests are logged.
const LOGGING: &str = r#"{"level":"ALL","includeExecutionData":true,"destinations":[{"cloudWatchLogsLogGroup":{"logGroupArn":"arn:aws:logs:us-east-1:123456789012:log-group:tests:*"}}]}"#;

impl Inner {
    fn put(&mut self, machine: Arc<StateMachine>) {
        self.revisions.insert((machine.arn.clone(), machine.revision.clone()), machine.clone());
        if let Some(there) = self.machines.get_mut(&machine.arn) {
            there.newest = machine;
            return;
        }
        let new = Machine {
            newest: machine.clone(),
            last_version: 0,
            versions: BTreeMap::new(),
            aliases: BTreeMap::new(),
        };
        self.machines.insert(machine.arn.clone(), new);
    }

    /// The machine of this ARN, which takes changes.
    fn open(&mut self, arn: &str) -> Result<&mut Machine, RegistryError> {
        match self.machines.get_mut(arn) {
            None => Err(RegistryError::Missing(arn.to_owned())),
            Some(machine) if machine.newest.status == MachineStatus::Deleting => {
                Err(RegistryError::Deleting(arn.to_owned()))
            }
            Some(machine) => Ok(machine),
        }
    }

    fn create(
        &mut self,
        machine: Arc<StateMachine>,
        version: Option<Publication>,
    ) -> Result<(), RegistryError> {
        if let Some(there) = self.machines.get(&machine.arn) {
            return Err(RegistryError::Exists(there.newest.clone()));
        }
        self.put(machine.clone());
        match version {
            Some(publication) => self.open(&machine.arn)?.publish(publication).map(drop),
            None => Ok(()),
        }
    }

    fn update(&mut self, machine: Arc<StateMachine>, expected: &StateMachine) -> Result<(), RegistryError> {
        let there = &self.open(&machine.arn)?.newest;
        if there.revision != expected.revision || there.edition != expected.edition {
            return Err(RegistryError::Exists(there.clone()));
        }
        self.put(machine);
        Ok(())
    }

    fn begin_delete(&mut self, arn: &str, revision: &str) -> Result<(), RegistryError> {
        let missing = || RegistryError::Missing(arn.to_owned());
        let there = &self.machines.get(arn).ok_or_else(missing)?.newest;
        if *there.revision != *revision {
            return Err(RegistryError::Exists(there.clone()));
        }
        let deleting = StateMachine { status: MachineStatus::Deleting, ..StateMachine::clone(there) };
        self.put(Arc::new(deleting));
        Ok(())
    }

    fn delete(&mut self, arn: &str, revision: &str) {
        if self.machines.get(arn).is_some_and(|machine| *machine.newest.revision == *revision) {
            self.machines.remove(arn);
        }
    }
}

impl Machine {
    fn publish(&mut self, publication: Publication) -> Result<Arc<Version>, RegistryError> {
        if self.newest.revision != publication.revision {
            return Err(RegistryError::Exists(self.newest.clone()));
        }
        if let Some(version) = self.versions.values().find(|version| version.revision == publication.revision)
        {
            return Ok(version.clone());
        }
        if self.versions.len() >= VERSIONS_MAX {
            return Err(RegistryError::Full(VERSIONS_MAX));
        }
        self.last_version += 1;
        let Publication { revision, description, at } = publication;
        let version = Version { number: self.last_version, revision, description, created_at: at };
        let version = Arc::new(version);
        self.versions.insert(self.last_version, version.clone());
        Ok(version)
    }

    fn delete_version(&mut self, number: u64) -> Result<(), RegistryError> {
        let used: Vec<_> = self.aliases_of(Some(number)).map(|alias| alias.name.clone()).collect();
        if !used.is_empty() {
            return Err(RegistryError::VersionInUse(used));
        }
        self.versions.remove(&number);
        Ok(())
    }

    fn aliases_of(&self, version: Option<u64>) -> impl Iterator<Item = &Arc<Alias>> {
        let names = move |alias: &&Arc<Alias>| {
            version.is_none_or(|version| alias.routing.iter().any(|route| route.version == version))
        };
        self.aliases.values().filter(names)
    }

    fn put_alias(&mut self, alias: Arc<Alias>) -> Result<(), RegistryError> {
        let missing = alias.routing.iter().find(|route| !self.versions.contains_key(&route.version));
        if let Some(route) = missing {
            return Err(RegistryError::VersionMissing(route.version));
        }
        self.aliases.insert(alias.name.clone(), alias);
        Ok(())
    }

    fn create_alias(&mut self, alias: Arc<Alias>) -> Result<(), RegistryError> {
        if let Some(there) = self.aliases.get(&alias.name) {
            return Err(RegistryError::AliasExists(there.clone()));
        }
        if self.aliases.len() >= ALIASES_MAX {
            return Err(RegistryError::Full(ALIASES_MAX));
        }
        self.put_alias(alias)
    }

    fn update_alias(&mut self, alias: Arc<Alias>, expected: u64) -> Result<(), RegistryError> {
        match self.aliases.get(&alias.name) {
            None => Err(RegistryError::AliasMissing(alias.name.to_string())),
            Some(there) if there.edition != expected => Err(RegistryError::AliasExists(there.clone())),
            Some(_) => self.put_alias(alias),
        }
    }
}

impl MemoryRegistry {
    /// An empty one.
    pub fn new(faults: Arc<Faults>) -> Self {
        MemoryRegistry { inner: Mutex::default(), faults: faults.at(Place::Registry) }
    }

    /// Puts a machine, whatever was there.
    pub fn put(&self, machine: Arc<StateMachine>) {
        lock(&self.inner).put(machine);
    }

    /// A write, which may go wrong on either side.
    async fn write<T>(
        &self,
        apply: impl FnOnce(&mut Inner) -> Result<T, RegistryError> + Send,
    ) -> Result<T, RegistryError>
    where
        T: Send,
    {
        self.faults.before().await.map_err(RegistryError::Unavailable)?;
        let written = apply(&mut lock(&self.inner));
        self.faults.after().await.map_err(RegistryError::Unavailable)?;
        written
    }

    async fn read<T: Send>(&self, read: impl FnOnce(&Inner) -> T + Send) -> Result<T, RegistryError> {
        self.faults.before().await.map_err(RegistryError::Unavailable)?;
        Ok(read(&lock(&self.inner)))
    }
}

#[async_trait]
impl Registry for MemoryRegistry {
    async fn create(
        &self,
        machine: Arc<StateMachine>,
        version: Option<Publication>,
    ) -> Result<(), RegistryError> {
        self.write(|inner| inner.create(machine, version)).await
    }

    async fn update(&self, machine: Arc<StateMachine>, expected: &StateMachine) -> Result<(), RegistryError> {
        self.write(|inner| inner.update(machine, expected)).await
    }

    async fn machine(&self, arn: &str) -> Result<Option<Arc<StateMachine>>, RegistryError> {
        self.read(|inner| inner.machines.get(arn).map(|machine| machine.newest.clone())).await
    }

    async fn revision(&self, arn: &str, revision: &str) -> Result<Option<Arc<StateMachine>>, RegistryError> {
        self.read(|inner| inner.revisions.get(&(arn.into(), revision.into())).cloned()).await
    }

    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Arc<StateMachine>>, RegistryError> {
        self.read(|inner| {
            let machines = inner.machines.values().map(|machine| machine.newest.clone());
            machines.filter(|machine| after.is_none_or(|after| *machine.arn > *after)).take(limit).collect()
        })
        .await
    }

    async fn begin_delete(&self, arn: &str, revision: &str) -> Result<(), RegistryError> {
        self.write(|inner| inner.begin_delete(arn, revision)).await
    }

    async fn delete(&self, arn: &str, revision: &str) -> Result<(), RegistryError> {
        self.write(|inner| {
            inner.delete(arn, revision);
            Ok(())
        })
        .await
    }

    async fn publish(&self, arn: &str, publication: Publication) -> Result<Arc<Version>, RegistryError> {
        self.write(|inner| inner.open(arn)?.publish(publication)).await
    }

    async fn version(&self, arn: &str, number: u64) -> Result<Option<Arc<Version>>, RegistryError> {
        self.read(|inner| inner.machines.get(arn)?.versions.get(&number).cloned()).await
    }

    async fn versions(
        &self,
        arn: &str,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Arc<Version>>, RegistryError> {
        self.read(|inner| {
            let Some(machine) = inner.machines.get(arn) else { return vec![] };
            let older = machine.versions.range(..before.unwrap_or(u64::MAX)).rev();
            older.take(limit).map(|(_, version)| version.clone()).collect()
        })
        .await
    }

    async fn delete_version(&self, arn: &str, number: u64) -> Result<(), RegistryError> {
        self.write(|inner| match inner.machines.get_mut(arn) {
            None => Ok(()),
            Some(machine) => machine.delete_version(number),
        })
        .await
    }

    async fn create_alias(&self, arn: &str, alias: Arc<Alias>) -> Result<(), RegistryError> {
        self.write(|inner| inner.open(arn)?.create_alias(alias)).await
    }

    async fn update_alias(&self, arn: &str, alias: Arc<Alias>, expected: u64) -> Result<(), RegistryError> {
        self.write(|inner| match inner.open(arn) {
            Err(RegistryError::Missing(_)) => Err(RegistryError::AliasMissing(alias.name.to_string())),
            machine => machine?.update_alias(alias, expected),
        })
        .await
    }

    async fn alias(&self, arn: &str, name: &str) -> Result<Option<Arc<Alias>>, RegistryError> {
        self.read(|inner| inner.machines.get(arn)?.aliases.get(name).cloned()).await
    }

    async fn aliases(
        &self,
        arn: &str,
        version: Option<u64>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Arc<Alias>>, RegistryError> {
        self.read(|inner| {
            let Some(machine) = inner.machines.get(arn) else { return vec![] };
            let aliases = machine.aliases_of(version);
            let behind = aliases.filter(|alias| after.is_none_or(|after| *alias.name > *after));
            behind.take(limit).cloned().collect()
        })
        .await
    }

    async fn delete_alias(&self, arn: &str, name: &str) -> Result<(), RegistryError> {
        self.write(|inner| {
            inner.machines.get_mut(arn).map(|machine| machine.aliases.remove(name));
            Ok(())
        })
        .await
    }
}
