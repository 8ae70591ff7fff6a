//! The rows of versions and aliases.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};
use stepwell_engine::port::{
    ALIASES_MAX, Alias, Publication, RegistryError, Route, StateMachine, VERSIONS_MAX, Version,
};
use stepwell_interpreter::Timestamp;

use crate::batch::Batch;
use crate::error::StoreError;
use crate::registry::Written;

/// Makes a version of `machine`, which is the newest one.
pub(crate) fn publish(
    batch: &mut Batch<'_>,
    machine: &Arc<StateMachine>,
    publication: &Publication,
) -> Written<Arc<Version>> {
    let (arn, Publication { revision, description, at }) = (&*machine.arn, publication);
    if machine.revision != *revision {
        return Ok(Err(RegistryError::Exists(machine.clone())));
    }
    let sql = format!("{VERSION} WHERE arn = ?1 AND revision = ?2");
    let known = batch.statement(&sql)?.query_row((arn, &**revision), read_version).optional()?;
    if let Some(known) = known {
        return Ok(Ok(Arc::new(known)));
    }
    if count(batch, "SELECT count(*) FROM version WHERE arn = ?1", arn)? >= VERSIONS_MAX {
        return Ok(Err(RegistryError::Full(VERSIONS_MAX)));
    }
    let number: i64 = batch
        .statement(
            "UPDATE machine SET last_version = last_version + 1 WHERE arn = ?1 RETURNING last_version",
        )?
        .query_row([arn], |row| row.get(0))?;
    batch
        .statement(
            "INSERT INTO version (arn, number, revision, description, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((arn, number, &**revision, description.as_deref(), at.0))?;
    let (revision, description) = (revision.clone(), description.clone());
    Ok(Ok(Arc::new(Version { number: number.cast_unsigned(), revision, description, created_at: *at })))
}

fn count(batch: &Batch<'_>, sql: &str, arn: &str) -> Result<usize, StoreError> {
    let count: i64 = batch.statement(sql)?.query_row([arn], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

const VERSION: &str = "SELECT number, revision, description, created_at FROM version";

fn read_version(row: &Row<'_>) -> rusqlite::Result<Version> {
    Ok(Version {
        number: row.get::<_, i64>(0)?.cast_unsigned(),
        revision: row.get(1)?,
        description: row.get(2)?,
        created_at: Timestamp(row.get(3)?),
    })
}

/// A version of a machine.
pub(crate) fn version(
    connection: &Connection,
    arn: &str,
    number: u64,
) -> Result<Option<Arc<Version>>, StoreError> {
    let Ok(number) = i64::try_from(number) else { return Ok(None) };
    let mut statement = connection.prepare_cached(&format!("{VERSION} WHERE arn = ?1 AND number = ?2"))?;
    Ok(statement.query_row((arn, number), read_version).optional()?.map(Arc::new))
}

/// Versions, the newest first.
pub(crate) fn list(
    connection: &Connection,
    arn: &str,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<Arc<Version>>, StoreError> {
    let before = before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = format!("{VERSION} WHERE arn = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map((arn, before, limit), |row| read_version(row).map(Arc::new))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Removes a version that no alias uses.
pub(crate) fn delete(batch: &mut Batch<'_>, arn: &str, number: u64) -> Written<()> {
    let users = aliases(batch.connection, arn, Some(number), None, ALIASES_MAX)?;
    if !users.is_empty() {
        let names = users.iter().map(|alias| alias.name.clone()).collect();
        return Ok(Err(RegistryError::VersionInUse(names)));
    }
    if let Ok(number) = i64::try_from(number) {
        batch.statement("DELETE FROM version WHERE arn = ?1 AND number = ?2")?.execute((arn, number))?;
    }
    Ok(Ok(()))
}

/// Removes what a machine leaves.
pub(crate) fn delete_all(batch: &mut Batch<'_>, arn: &str) -> Result<(), StoreError> {
    batch.statement("DELETE FROM version WHERE arn = ?1")?.execute([arn])?;
    batch.statement("DELETE FROM alias WHERE arn = ?1")?.execute([arn])?;
    Ok(())
}

/// Puts an alias that is not there.
pub(crate) fn create_alias(batch: &mut Batch<'_>, arn: &str, new: &Arc<Alias>) -> Written<()> {
    if let Some(known) = alias(batch.connection, arn, &new.name)? {
        return Ok(Err(RegistryError::AliasExists(known)));
    }
    if count(batch, "SELECT count(*) FROM alias WHERE arn = ?1", arn)? >= ALIASES_MAX {
        return Ok(Err(RegistryError::Full(ALIASES_MAX)));
    }
    put_alias(batch, arn, new)
}

/// Puts an alias in place of the edition `expected`.
pub(crate) fn update_alias(batch: &mut Batch<'_>, arn: &str, new: &Arc<Alias>, expected: u64) -> Written<()> {
    match alias(batch.connection, arn, &new.name)? {
        None => Ok(Err(RegistryError::AliasMissing(new.name.to_string()))),
        Some(known) if known.edition != expected => Ok(Err(RegistryError::AliasExists(known))),
        Some(_) => put_alias(batch, arn, new),
    }
}

fn put_alias(batch: &mut Batch<'_>, arn: &str, alias: &Alias) -> Written<()> {
    for route in &alias.routing {
        if version(batch.connection, arn, route.version)?.is_none() {
            return Ok(Err(RegistryError::VersionMissing(route.version)));
        }
    }
    let route = |at: usize| {
        let route = alias.routing.get(at);
        (route.map(|route| route.version.cast_signed()), route.map(|route| route.weight))
    };
    let ((version, weight), (other_version, other_weight)) = (route(0), route(1));
    batch
        .statement(
            "INSERT OR REPLACE INTO alias (arn, name, description, version, weight, other_version, other_weight,
                 created_at, updated_at, edition)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute((
            arn,
            &*alias.name,
            alias.description.as_deref(),
            version,
            weight,
            other_version,
            other_weight,
            alias.created_at.0,
            alias.updated_at.0,
            alias.edition.cast_signed(),
        ))?;
    Ok(Ok(()))
}

const ALIAS: &str =
    "SELECT name, description, version, weight, other_version, other_weight, created_at, updated_at,
    edition FROM alias";

fn read_alias(row: &Row<'_>) -> rusqlite::Result<Arc<Alias>> {
    let mut routing = vec![Route { version: row.get::<_, i64>(2)?.cast_unsigned(), weight: row.get(3)? }];
    if let (Some(version), Some(weight)) = (row.get::<_, Option<i64>>(4)?, row.get(5)?) {
        routing.push(Route { version: version.cast_unsigned(), weight });
    }
    Ok(Arc::new(Alias {
        name: row.get(0)?,
        description: row.get(1)?,
        routing,
        created_at: Timestamp(row.get(6)?),
        updated_at: Timestamp(row.get(7)?),
        edition: row.get::<_, i64>(8)?.cast_unsigned(),
    }))
}

/// An alias of a machine.
pub(crate) fn alias(
    connection: &Connection,
    arn: &str,
    name: &str,
) -> Result<Option<Arc<Alias>>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{ALIAS} WHERE arn = ?1 AND name = ?2"))?;
    Ok(statement.query_row((arn, name), read_alias).optional()?)
}

/// Aliases by name; those that name `version`, where there is one.
pub(crate) fn aliases(
    connection: &Connection,
    arn: &str,
    version: Option<u64>,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Arc<Alias>>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let version = version.map(u64::cast_signed);
    // A machine has a hundred aliases at most.
    let sql = format!(
        "{ALIAS} WHERE arn = ?1 AND name > ?2 AND (?3 IS NULL OR version = ?3 OR other_version = ?3)
         ORDER BY name LIMIT ?4"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map((arn, after.unwrap_or_default(), version, limit), read_alias)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Removes an alias.
pub(crate) fn delete_alias(batch: &mut Batch<'_>, arn: &str, name: &str) -> Result<(), StoreError> {
    batch.statement("DELETE FROM alias WHERE arn = ?1 AND name = ?2")?.execute((arn, name))?;
    Ok(())
}
