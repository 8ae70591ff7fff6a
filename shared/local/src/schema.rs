//! The tables, and the version that says which they are.

use rusqlite::Connection;

/// `PRAGMA user_version` of what this code reads and writes.
pub(crate) const VERSION: i64 = 1 + ADDED.len() as i64;

/// `PRAGMA application_id`: "Stwl".
pub(crate) const APPLICATION: i64 = 0x5374_776c;

/// Bits of a page's or timer's key that number it within its execution; those above are the execution's number.
pub(crate) const PLACE_BITS: u32 = 28;

/// The largest place within an execution.
pub(crate) const PLACE_MAX: u64 = (1 << PLACE_BITS) - 1;

/// Key of page `place` or timer `place` of execution `id`.
pub(crate) fn key(id: i64, place: u64) -> i64 {
    (id << PLACE_BITS) | (place & PLACE_MAX) as i64
}

// Keys are integers that grow, so that what is written together lies together: a commit costs as many pages of the file
// as it touches. Hence the pages of all executions lie in the order of their writing, found by an index. `execution` is written once; what a
// META becomes later goes to `revised`, so that a large input is not written again. The input is not in the `meta`
// column, so that a listing does not read it.
const TABLES: &str = "
CREATE TABLE execution (
    id INTEGER PRIMARY KEY,
    arn_hash INTEGER NOT NULL,
    arn TEXT NOT NULL,
    run BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    meta BLOB NOT NULL,
    input BLOB NOT NULL
);
CREATE INDEX execution_arn ON execution (arn_hash);
CREATE TABLE revised (
    id INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    meta BLOB NOT NULL
);
CREATE TABLE listing (
    machine INTEGER NOT NULL,
    status INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (machine, status, started_at, id)
) WITHOUT ROWID;
CREATE TABLE page (
    number INTEGER PRIMARY KEY,
    key INTEGER NOT NULL,
    message TEXT,
    delivery INTEGER NOT NULL,
    bytes BLOB NOT NULL
);
CREATE UNIQUE INDEX page_key ON page (key);
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    due INTEGER,
    receives INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE timer (
    key INTEGER PRIMARY KEY,
    id INTEGER NOT NULL,
    due INTEGER NOT NULL,
    receives INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    sent_at INTEGER NOT NULL
);
CREATE TABLE machine (
    arn TEXT PRIMARY KEY,
    revision TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE revision (
    number INTEGER PRIMARY KEY,
    arn TEXT NOT NULL,
    revision TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    role_arn TEXT NOT NULL,
    is_updated INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    logging TEXT,
    tracing TEXT,
    encryption TEXT,
    tags TEXT NOT NULL,
    definition TEXT NOT NULL
);
CREATE UNIQUE INDEX revision_name ON revision (arn, revision);
CREATE TABLE store (
    boots INTEGER NOT NULL
);
INSERT INTO store VALUES (0);
";

/// What each version after the first has more. They are never changed.
const ADDED: [&str; 5] = [ACTIVITIES, MAP_RUNS, VERSIONS, OUTCOMES, CHECKSUMS];

// A waiting task is found by its activity's hash, and told from others by a hash of what names it.
const ACTIVITIES: &str = "
CREATE TABLE activity (
    arn TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    encryption TEXT,
    tags TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE waiting (
    number INTEGER PRIMARY KEY,
    place INTEGER NOT NULL,
    activity INTEGER NOT NULL,
    execution TEXT NOT NULL,
    run BLOB NOT NULL,
    attempt INTEGER NOT NULL
);
CREATE INDEX waiting_place ON waiting (place);
CREATE INDEX waiting_activity ON waiting (activity);
";

// An outcome is found by its Map Run's number and its own.
const MAP_RUNS: &str = "
CREATE TABLE map_run (
    id INTEGER PRIMARY KEY,
    arn_hash INTEGER NOT NULL,
    arn TEXT NOT NULL,
    execution INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX map_run_arn ON map_run (arn_hash);
CREATE INDEX map_run_execution ON map_run (execution);
CREATE TABLE outcome (
    map_run INTEGER NOT NULL,
    place INTEGER NOT NULL,
    result BLOB,
    PRIMARY KEY (map_run, place)
) WITHOUT ROWID;
";

// Outcomes that were there before have no status.
const OUTCOMES: &str = "
ALTER TABLE outcome ADD COLUMN status TEXT NOT NULL DEFAULT '';
ALTER TABLE outcome ADD COLUMN items INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outcome ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outcome ADD COLUMN redrives INTEGER NOT NULL DEFAULT 0;
";

// Revisions that were there before have none.
const CHECKSUMS: &str = "ALTER TABLE revision ADD COLUMN checksum INTEGER;";

const VERSIONS: &str = "
ALTER TABLE machine ADD COLUMN last_version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE revision ADD COLUMN edition INTEGER NOT NULL DEFAULT 0;
CREATE TABLE version (
    arn TEXT NOT NULL,
    number INTEGER NOT NULL,
    revision TEXT NOT NULL,
    description TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (arn, number)
) WITHOUT ROWID;
CREATE INDEX version_revision ON version (arn, revision);
CREATE TABLE alias (
    arn TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    version INTEGER NOT NULL,
    weight INTEGER NOT NULL,
    other_version INTEGER,
    other_weight INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    edition INTEGER NOT NULL,
    PRIMARY KEY (arn, name)
) WITHOUT ROWID;
";

/// What a file was found to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A store of this version, perhaps just made.
    Current,
    /// A store of a later version.
    Newer(i64),
    /// Not a store.
    Foreign,
}

/// Makes the tables where there are none, adds those of later versions, and says what is there.
pub(crate) fn prepare(connection: &mut Connection) -> rusqlite::Result<Found> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application == APPLICATION && version > VERSION {
        return Ok(Found::Newer(version));
    }
    if application == APPLICATION && version == VERSION {
        return Ok(Found::Current);
    }
    let is_ours = application == APPLICATION && version >= 1;
    if !is_ours && (tables > 0 || version != 0 || application != 0) {
        return Ok(Found::Foreign);
    }
    let transaction = connection.transaction()?;
    if !is_ours {
        transaction.execute_batch(TABLES)?;
    }
    for (added_by, tables) in (2..).zip(ADDED) {
        if version < added_by {
            transaction.execute_batch(tables)?;
        }
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(Found::Current)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a store of each version becomes is what a new one is.
    #[test]
    fn stores_of_earlier_versions_are_brought_up_to_date() {
        let tables = |connection: &Connection| {
            let sql = "SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_schema ORDER BY name)";
            connection.query_row(sql, [], |row| row.get::<_, String>(0)).expect("read")
        };
        let mut new = Connection::open_in_memory().expect("opened");
        assert_eq!(prepare(&mut new).expect("prepared"), Found::Current);
        for version in 1..=VERSION {
            let mut old = Connection::open_in_memory().expect("opened");
            old.execute_batch(TABLES).expect("made");
            let added = usize::try_from(version).expect("it is small") - 1;
            ADDED[..added].iter().for_each(|tables| old.execute_batch(tables).expect("made"));
            old.pragma_update(None, "application_id", APPLICATION).expect("written");
            old.pragma_update(None, "user_version", version).expect("written");
            assert_eq!(prepare(&mut old).expect("prepared"), Found::Current);
            assert_eq!(tables(&old), tables(&new), "from version {version}");
        }
    }
}
