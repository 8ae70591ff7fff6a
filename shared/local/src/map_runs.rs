//! Map Runs on SQLite: a row for each, and one for each outcome.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use stepwell_engine::map_run::{Change, Known, MapRun, Outcome};
use stepwell_engine::port::{Changed, ListedMapRuns, MapRuns, MapRunsError, MapRunsQuery};
use stepwell_engine::stored::{decode_map_run, encode_map_run};
use stepwell_expr::Payload;

use crate::batch::{Batch, hash, is_of};
use crate::error::StoreError;
use crate::executions::{pack, unpack};
use crate::read::Readers;
use crate::writer::Writer;

/// Map Runs in the store.
pub(crate) struct LocalMapRuns {
    pub(crate) writer: Writer,
    pub(crate) readers: Readers,
}

#[async_trait]
impl MapRuns for LocalMapRuns {
    async fn create(&self, map_run: Arc<MapRun>) -> Result<Arc<MapRun>, MapRunsError> {
        Ok(self.writer.write(move |batch| create(batch, &map_run)).await?)
    }

    async fn map_run(&self, arn: &str) -> Result<Option<Arc<MapRun>>, MapRunsError> {
        let found = self.readers.read(|connection| find(connection, arn))?;
        Ok(found.map(|(_, map_run)| Arc::new(map_run)))
    }

    async fn change(&self, arn: &str, change: Change) -> Result<Option<Changed>, MapRunsError> {
        let arn = Box::<str>::from(arn);
        Ok(self.writer.write(move |batch| apply(batch, &arn, &change)).await?)
    }

    async fn results(&self, arn: &str, from: u64, limit: usize) -> Result<Vec<(u64, Payload)>, MapRunsError> {
        let arn = Box::<str>::from(arn);
        Ok(self.readers.read_much(move |connection| results(connection, &arn, from, limit)).await?)
    }

    async fn outcomes(
        &self,
        arn: &str,
        from: u64,
        limit: usize,
        failures: bool,
    ) -> Result<Vec<Known>, MapRunsError> {
        let arn = Box::<str>::from(arn);
        Ok(self
            .readers
            .read_much(move |connection| outcomes(connection, &arn, (from, limit), failures))
            .await?)
    }

    async fn list(&self, query: MapRunsQuery) -> Result<ListedMapRuns, MapRunsError> {
        Ok(self.readers.read_much(move |connection| list(connection, &query)).await?)
    }
}

impl From<StoreError> for MapRunsError {
    fn from(error: StoreError) -> Self {
        MapRunsError(error.boxed())
    }
}

fn create(batch: &mut Batch<'_>, map_run: &Arc<MapRun>) -> Result<Arc<MapRun>, StoreError> {
    if let Some((_, known)) = find(batch.connection, &map_run.arn)? {
        return Ok(Arc::new(known));
    }
    batch
        .statement("INSERT INTO map_run (arn_hash, arn, execution, body) VALUES (?1, ?2, ?3, ?4)")?
        .execute((
            hash(&map_run.arn),
            &*map_run.arn,
            hash(&map_run.execution_arn),
            &*encode_map_run(map_run),
        ))?;
    Ok(map_run.clone())
}

fn apply(batch: &mut Batch<'_>, arn: &str, change: &Change) -> Result<Option<Changed>, StoreError> {
    let Some((id, known)) = find(batch.connection, arn)? else { return Ok(None) };
    let next = match known.changed(change) {
        Some(next) if put_outcome(batch, id, &known, change)? => next,
        _ => return Ok(Some(Changed { map_run: Arc::new(known), applied: false })),
    };
    batch.statement("UPDATE map_run SET body = ?2 WHERE id = ?1")?.execute((id, &*encode_map_run(&next)))?;
    Ok(Some(Changed { map_run: Arc::new(next), applied: true }))
}

/// Puts the outcome that `change` brings, if it brings one; `false` where it is known already.
fn put_outcome(batch: &mut Batch<'_>, id: i64, known: &MapRun, change: &Change) -> Result<bool, StoreError> {
    let Change::Outcome(outcome) = change else { return Ok(true) };
    let Outcome { index, items, status, begun, redrives, .. } = *outcome;
    let result = known.keeps(status).then(|| pack(&outcome.result));
    let sql = "INSERT INTO outcome (map_run, place, result, status, items, begun, redrives)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT DO UPDATE SET result = excluded.result, status = excluded.status, items = excluded.items,
             begun = excluded.begun, redrives = excluded.redrives
         WHERE outcome.redrives < excluded.redrives";
    let row = (id, index.cast_signed(), result, status, items.cast_signed(), begun, redrives);
    Ok(batch.statement(sql)?.execute(row)? > 0)
}

/// The number of a Map Run in the store, and what it is.
fn find(connection: &Connection, arn: &str) -> Result<Option<(i64, MapRun)>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id, body, arn FROM map_run WHERE arn_hash = ?1")?;
    let mut rows = statement.query([hash(arn)])?;
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        if is_of(arn, row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?, "map_run", id)? {
            return Ok(Some((id, read(id, row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)?)));
        }
    }
    Ok(None)
}

fn read(id: i64, body: &[u8]) -> Result<MapRun, StoreError> {
    decode_map_run(body).map_err(|error| StoreError::Damaged {
        table: "map_run",
        key: id,
        why: error.to_string(),
    })
}

fn results(
    connection: &Connection,
    arn: &str,
    from: u64,
    limit: usize,
) -> Result<Vec<(u64, Payload)>, StoreError> {
    let snapshot = connection.unchecked_transaction()?;
    let Some((id, _)) = find(&snapshot, arn)? else { return Ok(vec![]) };
    let mut statement = snapshot.prepare_cached(
        "SELECT place, result FROM outcome WHERE map_run = ?1 AND place >= ?2 AND result IS NOT NULL
         ORDER BY place LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map((id, from.cast_signed(), limit), |row| {
        Ok((row.get::<_, i64>(0)?.cast_unsigned(), unpack(id, row.get_ref(1)?.as_blob()?)))
    })?;
    rows.map(|row| row.map_err(StoreError::from).and_then(|(index, result)| Ok((index, result?)))).collect()
}

fn outcomes(
    connection: &Connection,
    arn: &str,
    (from, limit): (u64, usize),
    failures: bool,
) -> Result<Vec<Known>, StoreError> {
    let snapshot = connection.unchecked_transaction()?;
    let Some((id, _)) = find(&snapshot, arn)? else { return Ok(vec![]) };
    let mut statement = snapshot.prepare_cached(
        "SELECT place, items, status, begun, redrives FROM outcome
         WHERE map_run = ?1 AND place >= ?2 AND (?4 OR status NOT IN ('SUCCEEDED', '')) ORDER BY place LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map((id, from.cast_signed(), limit, !failures), |row| {
        Ok(Known {
            index: row.get::<_, i64>(0)?.cast_unsigned(),
            items: row.get::<_, i64>(1)?.cast_unsigned(),
            status: match row.get_ref(2)?.as_str()? {
                "SUCCEEDED" => "SUCCEEDED",
                "TIMED_OUT" => "TIMED_OUT",
                "ABORTED" => "ABORTED",
                _ => "FAILED",
            },
            begun: row.get(3)?,
            redrives: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn list(connection: &Connection, query: &MapRunsQuery) -> Result<ListedMapRuns, StoreError> {
    let before = match &query.after {
        None => i64::MAX,
        Some(after) => after.parse().map_err(|_| StoreError::Token)?,
    };
    let mut statement = connection.prepare_cached(
        "SELECT id, body FROM map_run WHERE execution = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
    )?;
    let limit = i64::try_from(query.limit.saturating_add(1)).unwrap_or(i64::MAX);
    let rows = statement.query_map((hash(&query.execution_arn), before, limit), |row| {
        let id: i64 = row.get(0)?;
        Ok((id, read(id, row.get_ref(1)?.as_blob()?)))
    })?;
    let mut found = rows
        .map(|row| row.map_err(StoreError::from).and_then(|(id, map_run)| Ok((id, map_run?))))
        .collect::<Result<Vec<(i64, MapRun)>, StoreError>>()?;
    let more = found.len() > query.limit;
    found.truncate(query.limit);
    let next = found.last().filter(|_| more).map(|(id, _)| id.to_string());
    // Two ARNs may share a hash.
    let map_runs = found.into_iter().map(|(_, map_run)| map_run);
    let map_runs = map_runs.filter(|map_run| map_run.execution_arn == query.execution_arn).map(Arc::new);
    Ok(ListedMapRuns { map_runs: map_runs.collect(), next })
}
