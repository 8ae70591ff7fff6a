//! The Registry on SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row};
use stepwell_asl::MachineType;
use stepwell_engine::port::{
    Alias, MachineStatus, Publication, Registry, RegistryError, StateMachine, Version,
};
use stepwell_expr::{Value, json};
use stepwell_interpreter::Timestamp;

use crate::batch::Batch;
use crate::error::StoreError;
use crate::machines::{Change, HotMachines, Name};
use crate::read::Readers;
use crate::versions;
use crate::writer::Writer;

/// State machines in the store.
pub(crate) struct LocalRegistry {
    pub(crate) writer: Writer,
    pub(crate) readers: Readers,
    pub(crate) hot: Arc<HotMachines>,
}

/// A write that came to its end, or whose condition did not hold.
pub(crate) type Written<T> = Result<Result<T, RegistryError>, StoreError>;

#[async_trait]
impl Registry for LocalRegistry {
    async fn create(
        &self,
        machine: Arc<StateMachine>,
        version: Option<Publication>,
    ) -> Result<(), RegistryError> {
        self.write(move |batch| {
            if let Some(known) = current(batch.connection, &machine.arn)? {
                return Ok(Err(RegistryError::Exists(Arc::new(known))));
            }
            put(batch, &machine)?;
            match &version {
                None => Ok(Ok(())),
                Some(version) => Ok(versions::publish(batch, &machine, version)?.map(drop)),
            }
        })
        .await
    }

    async fn update(&self, machine: Arc<StateMachine>, expected: &StateMachine) -> Result<(), RegistryError> {
        let (revision, edition) = (expected.revision.clone(), expected.edition);
        self.write(move |batch| {
            let known = match open(batch.connection, &machine.arn)? {
                Ok(known) => known,
                Err(refused) => return Ok(Err(refused)),
            };
            if known.revision != revision || known.edition != edition {
                return Ok(Err(RegistryError::Exists(Arc::new(known))));
            }
            put(batch, &machine).map(Ok)
        })
        .await
    }

    async fn machine(&self, arn: &str) -> Result<Option<Arc<StateMachine>>, RegistryError> {
        self.find(Name { arn: arn.into(), revision: None }).await
    }

    async fn revision(&self, arn: &str, revision: &str) -> Result<Option<Arc<StateMachine>>, RegistryError> {
        self.find(Name { arn: arn.into(), revision: Some(revision.into()) }).await
    }

    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Arc<StateMachine>>, RegistryError> {
        let after = after.unwrap_or_default().to_owned();
        let listed = self.readers.read_much(move |connection| list(connection, &after, limit)).await;
        listed.map_err(unavailable)
    }

    async fn begin_delete(&self, arn: &str, revision: &str) -> Result<(), RegistryError> {
        let (arn, revision) = (Box::<str>::from(arn), Box::<str>::from(revision));
        self.write(move |batch| match current(batch.connection, &arn)? {
            None => Ok(Err(RegistryError::Missing(arn.to_string()))),
            Some(known) if *known.revision != *revision => Ok(Err(RegistryError::Exists(Arc::new(known)))),
            Some(known) => {
                put(batch, &Arc::new(StateMachine { status: MachineStatus::Deleting, ..known })).map(Ok)
            }
        })
        .await
    }

    async fn delete(&self, arn: &str, revision: &str) -> Result<(), RegistryError> {
        let (arn, revision) = (Arc::<str>::from(arn), Box::<str>::from(revision));
        self.write(move |batch| {
            let sql = "DELETE FROM machine WHERE arn = ?1 AND revision = ?2";
            if batch.statement(sql)?.execute((&*arn, &*revision))? > 0 {
                versions::delete_all(batch, &arn)?;
                batch.set_machine(Change::Deleted(arn.clone()));
            }
            Ok(Ok(()))
        })
        .await
    }

    async fn publish(&self, arn: &str, publication: Publication) -> Result<Arc<Version>, RegistryError> {
        let arn = Box::<str>::from(arn);
        self.write(move |batch| match open(batch.connection, &arn)? {
            Ok(machine) => versions::publish(batch, &Arc::new(machine), &publication),
            Err(refused) => Ok(Err(refused)),
        })
        .await
    }

    async fn version(&self, arn: &str, number: u64) -> Result<Option<Arc<Version>>, RegistryError> {
        self.read(|connection| versions::version(connection, arn, number))
    }

    async fn versions(
        &self,
        arn: &str,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Arc<Version>>, RegistryError> {
        self.read(|connection| versions::list(connection, arn, before, limit))
    }

    async fn delete_version(&self, arn: &str, number: u64) -> Result<(), RegistryError> {
        let arn = Box::<str>::from(arn);
        self.write(move |batch| versions::delete(batch, &arn, number)).await
    }

    async fn create_alias(&self, arn: &str, alias: Arc<Alias>) -> Result<(), RegistryError> {
        let arn = Box::<str>::from(arn);
        self.write(move |batch| match open(batch.connection, &arn)? {
            Ok(_) => versions::create_alias(batch, &arn, &alias),
            Err(refused) => Ok(Err(refused)),
        })
        .await
    }

    async fn update_alias(&self, arn: &str, alias: Arc<Alias>, expected: u64) -> Result<(), RegistryError> {
        let arn = Box::<str>::from(arn);
        self.write(move |batch| match open(batch.connection, &arn)? {
            Ok(_) => versions::update_alias(batch, &arn, &alias, expected),
            Err(RegistryError::Missing(_)) => Ok(Err(RegistryError::AliasMissing(alias.name.to_string()))),
            Err(refused) => Ok(Err(refused)),
        })
        .await
    }

    async fn alias(&self, arn: &str, name: &str) -> Result<Option<Arc<Alias>>, RegistryError> {
        self.read(|connection| versions::alias(connection, arn, name))
    }

    async fn aliases(
        &self,
        arn: &str,
        version: Option<u64>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Arc<Alias>>, RegistryError> {
        self.read(|connection| versions::aliases(connection, arn, version, after, limit))
    }

    async fn delete_alias(&self, arn: &str, name: &str) -> Result<(), RegistryError> {
        let (arn, name) = (Box::<str>::from(arn), Box::<str>::from(name));
        self.write(move |batch| versions::delete_alias(batch, &arn, &name).map(Ok)).await
    }
}

impl LocalRegistry {
    async fn write<T: Send + 'static>(
        &self,
        apply: impl FnMut(&mut Batch<'_>) -> Written<T> + Send + 'static,
    ) -> Result<T, RegistryError> {
        self.writer.write(apply).await.map_err(unavailable)?
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, RegistryError> {
        self.readers.read(read).map_err(unavailable)
    }

    async fn find(&self, name: Name) -> Result<Option<Arc<StateMachine>>, RegistryError> {
        let (machine, changes) = self.hot.find(&name);
        if machine.is_some() {
            return Ok(machine);
        }
        let found = self.readers.read(|connection| match &name.revision {
            None => current(connection, &name.arn),
            Some(revision) => of_revision(connection, &name.arn, revision),
        });
        let Some(machine) = found.map_err(unavailable)?.map(Arc::new) else { return Ok(None) };
        self.hot.keep(name, machine.clone(), changes);
        Ok(Some(machine))
    }
}

fn unavailable(error: StoreError) -> RegistryError {
    RegistryError::Unavailable(error.boxed())
}

/// The machine of this ARN, which takes changes.
fn open(connection: &Connection, arn: &str) -> Written<StateMachine> {
    Ok(match current(connection, arn)? {
        None => Err(RegistryError::Missing(arn.to_owned())),
        Some(known) if known.status == MachineStatus::Deleting => {
            Err(RegistryError::Deleting(arn.to_owned()))
        }
        Some(known) => Ok(known),
    })
}

fn put(batch: &mut Batch<'_>, machine: &Arc<StateMachine>) -> Result<(), StoreError> {
    batch
        .statement(
            "INSERT INTO machine (arn, revision) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET revision = ?2",
        )?
        .execute((&*machine.arn, &*machine.revision))?;
    let status = match machine.status {
        MachineStatus::Active => ACTIVE,
        MachineStatus::Deleting => DELETING,
    };
    batch
        .statement(
            "INSERT INTO revision (arn, revision, name, type, role_arn, is_updated, created_at, updated_at, status,
                 logging, tracing, encryption, tags, definition, edition, checksum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
             ON CONFLICT (arn, revision) DO UPDATE SET name = ?3, type = ?4, role_arn = ?5, is_updated = ?6,
                 created_at = ?7, updated_at = ?8, status = ?9, logging = ?10, tracing = ?11, encryption = ?12,
                 tags = ?13, definition = ?14, edition = ?15, checksum = ?16",
        )?
        .execute((
            &*machine.arn,
            &*machine.revision,
            &*machine.name,
            type_name(machine.machine_type),
            &*machine.role_arn,
            machine.is_updated,
            machine.created_at.0,
            machine.updated_at.0,
            status,
            machine.logging.as_deref(),
            machine.tracing.as_deref(),
            machine.encryption.as_deref(),
            tags_text(&machine.tags),
            &*machine.definition,
            machine.edition.cast_signed(),
            checksum(machine),
        ))?;
    batch.set_machine(Change::Put(machine.clone()));
    Ok(())
}

const COLUMNS: &str =
    "SELECT v.number, v.arn, v.revision, v.name, v.type, v.role_arn, v.is_updated, v.created_at,
    v.updated_at, v.status, v.logging, v.tracing, v.encryption, v.tags, v.definition, v.edition, v.checksum FROM ";

fn current(connection: &Connection, arn: &str) -> Result<Option<StateMachine>, StoreError> {
    let sql = "machine m JOIN revision v ON v.arn = m.arn AND v.revision = m.revision WHERE m.arn = ?1";
    let mut statement = connection.prepare_cached(&format!("{COLUMNS}{sql}"))?;
    statement.query_row([arn], |row| Ok(read(row))).optional()?.transpose()
}

fn of_revision(
    connection: &Connection,
    arn: &str,
    revision: &str,
) -> Result<Option<StateMachine>, StoreError> {
    let sql = "revision v WHERE v.arn = ?1 AND v.revision = ?2";
    let mut statement = connection.prepare_cached(&format!("{COLUMNS}{sql}"))?;
    statement.query_row([arn, revision], |row| Ok(read(row))).optional()?.transpose()
}

fn list(connection: &Connection, after: &str, limit: usize) -> Result<Vec<Arc<StateMachine>>, StoreError> {
    let sql = "machine m JOIN revision v ON v.arn = m.arn AND v.revision = m.revision WHERE m.arn > ?1
        ORDER BY m.arn LIMIT ?2";
    let mut statement = connection.prepare_cached(&format!("{COLUMNS}{sql}"))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query((after, limit))?;
    let mut machines = vec![];
    while let Some(row) = rows.next()? {
        machines.push(Arc::new(read(row)?));
    }
    Ok(machines)
}

fn read(row: &Row<'_>) -> Result<StateMachine, StoreError> {
    let number = row.get(0)?;
    let damaged = |why: &str| StoreError::Damaged { table: "revision", key: number, why: why.to_owned() };
    let machine_type = match row.get_ref(4)?.as_str() {
        Ok("STANDARD") => MachineType::Standard,
        Ok("EXPRESS") => MachineType::Express,
        _ => return Err(damaged("its type is unknown")),
    };
    let status = match row.get_ref(9)?.as_str() {
        Ok(ACTIVE) => MachineStatus::Active,
        Ok(DELETING) => MachineStatus::Deleting,
        _ => return Err(damaged("its status is unknown")),
    };
    let tags = row.get_ref(13)?.as_str().ok().and_then(tags).ok_or_else(|| damaged("its tags"))?;
    let machine = StateMachine {
        arn: row.get(1)?,
        revision: row.get(2)?,
        name: row.get(3)?,
        machine_type,
        role_arn: row.get(5)?,
        is_updated: row.get(6)?,
        created_at: Timestamp(row.get(7)?),
        updated_at: Timestamp(row.get(8)?),
        status,
        logging: row.get(10)?,
        tracing: row.get(11)?,
        encryption: row.get(12)?,
        tags,
        definition: row.get(14)?,
        edition: row.get::<_, i64>(15)?.cast_unsigned(),
    };
    match row.get::<_, Option<i64>>(16)? {
        Some(written) if written != checksum(&machine) => {
            Err(damaged("its checksum is not that of its columns"))
        }
        _ => Ok(machine),
    }
}

/// A CRC-32 of everything in a revision's row.
fn checksum(machine: &StateMachine) -> i64 {
    let mut crc = crc32fast::Hasher::new();
    let mut add = |text: Option<&str>| {
        // Lengths keep apart what is beside each other, and nothing from an empty text.
        crc.update(&text.map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
        crc.update(text.unwrap_or_default().as_bytes());
    };
    for text in [&machine.arn, &machine.revision, &machine.name, &machine.role_arn, &machine.definition] {
        add(Some(text));
    }
    for text in [&machine.logging, &machine.tracing, &machine.encryption] {
        add(text.as_deref());
    }
    add(Some(type_name(machine.machine_type)));
    add(Some(&tags_text(&machine.tags)));
    let flags = [machine.is_updated, machine.status == MachineStatus::Deleting].map(u64::from);
    let [created_at, updated_at] = [machine.created_at, machine.updated_at].map(|at| at.0.cast_unsigned());
    for number in [flags[0], flags[1], created_at, updated_at, machine.edition] {
        crc.update(&number.to_le_bytes());
    }
    crc.finalize().into()
}

const ACTIVE: &str = "ACTIVE";
const DELETING: &str = "DELETING";

fn type_name(machine_type: MachineType) -> &'static str {
    match machine_type {
        MachineType::Standard => "STANDARD",
        MachineType::Express => "EXPRESS",
    }
}

/// Tags as a JSON array of keys and values in turn.
pub(crate) fn tags_text(tags: &[(String, String)]) -> String {
    let texts = tags.iter().flat_map(|(key, value)| [key, value]);
    Value::array(texts.map(|text| Value::string(text.as_str())).collect()).to_json()
}

/// Reads what [`tags_text`] wrote.
pub(crate) fn tags(text: &str) -> Option<Vec<(String, String)>> {
    let value = json::parse(text).ok()?;
    let mut texts = value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned));
    let mut tags = vec![];
    while let Some(key) = texts.next() {
        tags.push((key?, texts.next()??));
    }
    Some(tags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    fn machine(name: &str, revision: &str) -> StateMachine {
        StateMachine {
            arn: format!("arn:aws:states:us-east-1:123456789012:stateMachine:{name}").into(),
            name: name.into(),
            machine_type: MachineType::Express,
            definition: "{}".into(),
            role_arn: "arn:aws:iam::123456789012:role/r".into(),
            revision: revision.into(),
            is_updated: false,
            created_at: Timestamp(5),
            updated_at: Timestamp(6),
            status: MachineStatus::Active,
            logging: Some("{\"level\":\"ALL\"}".into()),
            tracing: None,
            encryption: None,
            tags: vec![("team".into(), "a \"b\"".into()), ("empty".into(), String::new())],
            edition: 3,
        }
    }

    #[tokio::test]
    async fn machines_and_their_revisions_are_read_hot_and_after_a_restart() {
        let mut fixture = Fixture::new();
        let (one, two) = (machine("m", "1"), machine("m", "2"));
        let registry = &fixture.ports.registry;
        registry.create(Arc::new(one.clone()), None).await.expect("created");
        registry.update(Arc::new(two.clone()), &one).await.expect("updated");
        registry.create(Arc::new(machine("b", "1")), None).await.expect("created");
        for _ in 0..2 {
            let registry = &fixture.ports.registry;
            assert_eq!(registry.machine(&one.arn).await.expect("read").as_deref(), Some(&two));
            for machine in [&one, &two] {
                let read = registry.revision(&one.arn, &machine.revision).await.expect("read");
                assert_eq!(read.as_deref(), Some(machine));
            }
            assert_eq!(registry.revision(&one.arn, "3").await.expect("read"), None);
            fixture = fixture.reopened();
        }
        let registry = &fixture.ports.registry;
        let names = async |after: Option<&str>, limit| {
            let listed = registry.list(after, limit).await.expect("listed");
            listed.iter().map(|machine| machine.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(None, 9).await, ["b", "m"]);
        assert_eq!(names(None, 1).await, ["b"]);
        assert_eq!(names(Some(&machine("b", "1").arn), 9).await, ["m"]);

        registry.delete(&one.arn, "2").await.expect("deleted");
        registry.delete(&one.arn, "2").await.expect("it is deleted already");
        assert_eq!(registry.machine(&one.arn).await.expect("read"), None);
        assert_eq!(registry.revision(&one.arn, "2").await.expect("read").as_deref(), Some(&two));
    }

    #[tokio::test]
    async fn a_change_that_came_second_is_refused() {
        let fixture = Fixture::new();
        let registry = &fixture.ports.registry;
        let update =
            async |revision| registry.update(Arc::new(machine("m", "3")), &machine("m", revision)).await;
        assert!(matches!(update("1").await, Err(RegistryError::Missing(_))));
        registry.create(Arc::new(machine("m", "1")), None).await.expect("created");
        let known = registry.create(Arc::new(machine("m", "2")), None).await;
        assert!(matches!(known, Err(RegistryError::Exists(known)) if &*known.revision == "1"));
        assert!(matches!(update("2").await, Err(RegistryError::Exists(_))));
        update("1").await.expect("updated");
    }
}
