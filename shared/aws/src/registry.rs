//! The Registry on DynamoDB: each write is one transaction with its conditions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use stepwell_engine::port::{Alias, Publication, Registry, RegistryError, StateMachine, Version};

use crate::blobs::{BlobError, NO_BUCKET};
use crate::error::StoreError;
use crate::item::{Fields, Item, Reason, Transacted, Write, Written, key, number, text};
use crate::machines::{
    ACTIVE, ALIAS, COUNTS, DELETING, MACHINES, PUBLISHED, REVISION, VERSION, is_deleting, machine_fields,
    optional, read_machine,
};
use crate::store::{LAST, Range, Table};
use crate::table::SORT;
use crate::versions;

/// How many requests one call here makes at once.
const AT_ONCE: usize = 16;

/// State machines in the table.
pub(crate) struct DynamoRegistry {
    table: Arc<Table>,
    /// Whether machines were being deleted when this was last looked up, and when that was.
    deleting: Mutex<HashMap<Box<str>, (bool, Duration)>>,
    /// Whose turn it is to look that up: of many drivers that ask at once, as those of a batch do, one reads.
    turn: tokio::sync::Mutex<()>,
}

/// How old an answer may be to a driver that asks whether a machine is being deleted.
const DELETING_KNOWN: Duration = Duration::from_secs(10);

/// How many such answers are kept.
const MACHINES_KNOWN: usize = 1_000;

impl DynamoRegistry {
    pub(crate) fn new(table: Arc<Table>) -> Self {
        DynamoRegistry { table, deleting: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    fn known_to_be_deleting(&self, arn: &str) -> Option<bool> {
        let (known, at) = self.deleting().get(arn).copied()?;
        (self.table.clock.monotonic().saturating_sub(at) < DELETING_KNOWN).then_some(known)
    }

    fn deleting(&self) -> MutexGuard<'_, HashMap<Box<str>, (bool, Duration)>> {
        self.deleting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was done, or why it was not.
pub(crate) type Answer<T> = Result<Result<T, RegistryError>, StoreError>;

/// A machine as it is now, and what tells it from a later one of its ARN.
pub(crate) struct Current {
    pub(crate) machine: Arc<StateMachine>,
    pub(crate) born: String,
}

impl Table {
    /// The machine of this ARN, which takes changes.
    pub(crate) async fn open_machine(&self, arn: &str) -> Answer<Current> {
        let Some(item) = self.item(MACHINES, arn).await? else {
            return Ok(Err(RegistryError::Missing(arn.to_owned())));
        };
        if is_deleting(&item) {
            return Ok(Err(RegistryError::Deleting(arn.to_owned())));
        }
        let machine = read_machine(&self.bodies, arn, &item).await?;
        Ok(Ok(Current { machine, born: item.text("born")?.to_owned() }))
    }

    async fn create_machine(&self, machine: &StateMachine, version: Option<&Publication>) -> Answer<()> {
        let fields = machine_fields(&self.bodies, machine).await?;
        let born = text(format!("{}#{:016x}", machine.revision, self.clock.random()));
        let mut item = keyed(MACHINES, &machine.arn, &fields);
        item.insert("born".into(), born.clone());
        let mut writes = vec![
            Write::put(item).when_absent(),
            Write::put(keyed(&machine.arn, &revision_sort(&machine.revision), &fields)),
        ];
        if let Some(version) = version {
            writes.extend(versions::first(&machine.arn, &born, version));
        }
        match self.transact(writes).await? {
            Transacted::Done => Ok(Ok(())),
            Transacted::Not(reasons) => match reasons.into_iter().next() {
                Some(Reason::Failed(Some(there))) => {
                    let there = read_machine(&self.bodies, &machine.arn, &there).await?;
                    Ok(Err(RegistryError::Exists(there)))
                }
                _ => Err(StoreError::damaged(&*machine.arn, "its versions are there, and it is not")),
            },
        }
    }

    async fn update_machine(&self, machine: &StateMachine, expected: &StateMachine) -> Answer<()> {
        let fields = machine_fields(&self.bodies, machine).await?;
        let absent: Vec<_> = optional(machine)
            .into_iter()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| name)
            .collect();
        // What else the item holds, as when this machine was born, stays.
        let names: Vec<_> = fields.keys().map(|name| &**name).collect();
        let sets: Vec<_> = names.iter().map(|name| format!("{name} = :{name}")).collect();
        let mut expression = format!("SET {}", sets.join(", "));
        if !absent.is_empty() {
            expression.push_str(&format!(" REMOVE {}", absent.join(", ")));
        }
        let mut update = Write::update((MACHINES, &machine.arn), expression)
            .when("revision = :was AND edition = :then AND status_name = :active")
            .with(":was", text(&*expected.revision))
            .with(":then", number(expected.edition))
            .with(":active", text(ACTIVE));
        for name in names {
            update = update.with(&format!(":{name}"), fields[name].clone());
        }
        let revision = Write::put(keyed(&machine.arn, &revision_sort(&machine.revision), &fields));
        match self.transact(vec![update, revision]).await? {
            Transacted::Done => Ok(Ok(())),
            Transacted::Not(reasons) => match reasons.into_iter().next() {
                Some(Reason::Failed(Some(there))) if is_deleting(&there) => {
                    Ok(Err(RegistryError::Deleting(machine.arn.to_string())))
                }
                Some(Reason::Failed(Some(there))) => {
                    let there = read_machine(&self.bodies, &machine.arn, &there).await?;
                    Ok(Err(RegistryError::Exists(there)))
                }
                _ => Ok(Err(RegistryError::Missing(machine.arn.to_string()))),
            },
        }
    }

    async fn begin_delete(&self, arn: &str, revision: &str) -> Answer<()> {
        let update = Write::update((MACHINES, arn), "SET status_name = :deleting")
            .when("revision = :revision")
            .with(":deleting", text(DELETING))
            .with(":revision", text(revision));
        match self.write(update).await? {
            Written::Done => Ok(Ok(())),
            Written::Not(None) => Ok(Err(RegistryError::Missing(arn.to_owned()))),
            Written::Not(Some(there)) => {
                Ok(Err(RegistryError::Exists(read_machine(&self.bodies, arn, &there).await?)))
            }
        }
    }

    /// Takes no more changes first, so that nothing comes behind what is removed; last the machine itself, so that a
    /// deletion that dies halfway is done again. What is of a later machine of this name is left alone.
    async fn delete_machine(&self, arn: &str, revision: &str) -> Result<(), StoreError> {
        if self.begin_delete(arn, revision).await?.is_err() {
            return Ok(());
        }
        let Some(machine) = self.item(MACHINES, arn).await? else { return Ok(()) };
        let born = machine.attribute("born")?;
        let mut owned = self.items(Range::new(arn, ALIAS, format!("{PUBLISHED}{LAST}"))).await?;
        owned.extend(self.items(Range::prefix(arn, VERSION)).await?);
        let removals = stream::iter(owned).map(|item| async move {
            let delete = Write::delete((arn, item.text(SORT)?));
            self.write(delete.when("born = :born").with(":born", born.clone())).await
        });
        removals.buffer_unordered(AT_ONCE).try_for_each(|_| async { Ok(()) }).await?;
        let delete = Write::delete((MACHINES, arn)).when("born = :born").with(":born", born.clone());
        self.write(delete).await.map(drop)
    }

    async fn machines(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Arc<StateMachine>>, StoreError> {
        // A text's successor is the text with the least character behind it.
        let from = after.map_or_else(|| " ".to_owned(), |after| format!("{after}\u{1}"));
        let range = Range { limit: Some(limit), ..Range::new(MACHINES, from, LAST) };
        let items = self.items(range).await?;
        let read =
            items.iter().map(|item| async { read_machine(&self.bodies, item.text(SORT)?, item).await });
        stream::iter(read.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect().await
    }

    async fn machine_at(
        &self,
        place: (&str, &str),
        arn: &str,
    ) -> Result<Option<Arc<StateMachine>>, StoreError> {
        match self.item(place.0, place.1).await? {
            None => Ok(None),
            Some(item) => read_machine(&self.bodies, arn, &item).await.map(Some),
        }
    }
}

fn revision_sort(revision: &str) -> String {
    format!("{REVISION}{revision}")
}

/// An item of this key.
pub(crate) fn keyed(partition: &str, sort: &str, fields: &Item) -> Item {
    let mut item = fields.clone();
    item.extend(key(partition, sort));
    item
}

/// The count of a machine's versions and aliases.
pub(crate) fn counts_of(arn: &str) -> (&str, &'static str) {
    (arn, COUNTS)
}

fn unavailable(error: StoreError) -> RegistryError {
    match error {
        StoreError::Blob(BlobError::NoBucket { bytes, most }) => {
            RegistryError::TooLarge { bytes, most, why: NO_BUCKET }
        }
        error => RegistryError::Unavailable(error.boxed()),
    }
}

/// Either error as the port's.
fn answer<T>(answer: Answer<T>) -> Result<T, RegistryError> {
    answer.map_err(unavailable)?
}

#[async_trait]
impl Registry for DynamoRegistry {
    async fn create(
        &self,
        machine: Arc<StateMachine>,
        version: Option<Publication>,
    ) -> Result<(), RegistryError> {
        answer(self.table.create_machine(&machine, version.as_ref()).await)
    }

    async fn update(&self, machine: Arc<StateMachine>, expected: &StateMachine) -> Result<(), RegistryError> {
        answer(self.table.update_machine(&machine, expected).await)
    }

    async fn machine(&self, arn: &str) -> Result<Option<Arc<StateMachine>>, RegistryError> {
        self.table.machine_at((MACHINES, arn), arn).await.map_err(unavailable)
    }

    async fn machine_lately(&self, arn: &str) -> Result<Option<Arc<StateMachine>>, RegistryError> {
        let table = &self.table;
        let read = async {
            match table.item_lately(MACHINES, arn).await? {
                Some(item) => read_machine(&table.bodies, arn, &item).await.map(Some),
                None => table.machine_at((MACHINES, arn), arn).await,
            }
        };
        read.await.map_err(unavailable)
    }

    async fn revision(&self, arn: &str, revision: &str) -> Result<Option<Arc<StateMachine>>, RegistryError> {
        self.table.machine_at((arn, &revision_sort(revision)), arn).await.map_err(unavailable)
    }

    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Arc<StateMachine>>, RegistryError> {
        self.table.machines(after, limit).await.map_err(unavailable)
    }

    async fn begin_delete(&self, arn: &str, revision: &str) -> Result<(), RegistryError> {
        answer(self.table.begin_delete(arn, revision).await)
    }

    async fn is_deleting(&self, arn: &str) -> Result<bool, RegistryError> {
        if let Some(known) = self.known_to_be_deleting(arn) {
            return Ok(known);
        }
        let _turn = self.turn.lock().await;
        if let Some(known) = self.known_to_be_deleting(arn) {
            return Ok(known);
        }
        let now = self.table.clock.monotonic();
        let found = self.table.item(MACHINES, arn).await.map_err(unavailable)?;
        let is_it = found.as_ref().is_some_and(is_deleting);
        let mut all = self.deleting();
        if all.len() >= MACHINES_KNOWN {
            all.clear();
        }
        all.insert(arn.into(), (is_it, now));
        Ok(is_it)
    }

    async fn delete(&self, arn: &str, revision: &str) -> Result<(), RegistryError> {
        self.table.delete_machine(arn, revision).await.map_err(unavailable)
    }

    async fn publish(&self, arn: &str, publication: Publication) -> Result<Arc<Version>, RegistryError> {
        answer(self.table.publish(arn, &publication).await)
    }

    async fn version(&self, arn: &str, number: u64) -> Result<Option<Arc<Version>>, RegistryError> {
        self.table.version(arn, number).await.map_err(unavailable)
    }

    async fn versions(
        &self,
        arn: &str,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Arc<Version>>, RegistryError> {
        self.table.versions(arn, before, limit).await.map_err(unavailable)
    }

    async fn delete_version(&self, arn: &str, number: u64) -> Result<(), RegistryError> {
        answer(self.table.delete_version(arn, number).await)
    }

    async fn create_alias(&self, arn: &str, alias: Arc<Alias>) -> Result<(), RegistryError> {
        answer(self.table.create_alias(arn, &alias).await)
    }

    async fn update_alias(&self, arn: &str, alias: Arc<Alias>, expected: u64) -> Result<(), RegistryError> {
        answer(self.table.update_alias(arn, &alias, expected).await)
    }

    async fn alias(&self, arn: &str, name: &str) -> Result<Option<Arc<Alias>>, RegistryError> {
        self.table.alias(arn, name).await.map_err(unavailable)
    }

    async fn aliases(
        &self,
        arn: &str,
        version: Option<u64>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Arc<Alias>>, RegistryError> {
        let mut all = self.table.aliases(arn, version).await.map_err(unavailable)?;
        all.retain(|alias| after.is_none_or(|after| *alias.name > *after));
        all.truncate(limit);
        Ok(all)
    }

    async fn delete_alias(&self, arn: &str, name: &str) -> Result<(), RegistryError> {
        answer(self.table.delete_alias(arn, name).await)
    }
}
