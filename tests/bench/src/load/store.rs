//! What the store itself says, once the server has closed it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::client::Err;

/// What is wrong with the store's file. `at_rest`: no execution runs, so nothing may be left that would wake one.
///
/// # Errors
/// A file that cannot be read.
pub fn differences(file: &Path, at_rest: bool) -> Result<Vec<String>, Err> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut differences = vec![];
    let found: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if found != "ok" {
        differences.push(format!("the store is damaged: {found}"));
    }
    let mut count = |what: &str, sql: &str| -> Result<(), Err> {
        let rows: i64 = connection.query_row(sql, [], |row| row.get(0))?;
        if rows != 0 {
            differences.push(format!("the store holds {rows} {what}"));
        }
        Ok(())
    };
    if at_rest {
        count("messages at rest", "SELECT count(*) FROM message")?;
        count("timers at rest", "SELECT count(*) FROM timer")?;
    }
    count(
        "pages of no execution",
        "SELECT count(*) FROM page p LEFT JOIN execution e ON e.id = p.key >> 28 WHERE e.id IS NULL",
    )?;
    Ok(differences)
}
