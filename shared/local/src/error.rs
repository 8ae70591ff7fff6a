//! What can go wrong with the store.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::ErrorCode;
use stepwell_engine::port::{BoxError, NoSuchPlace, Refused};

/// Why a data directory was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("another stepwell uses this data directory: {}{}", .directory.display(), holder(.pid))]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// The other process, where it said who it is.
        pid: Option<u32>,
    },
    /// A later version of stepwell wrote it.
    #[error(
        "the store in {} has schema version {found}; this stepwell reads up to {}: use a newer stepwell",
        .directory.display(),
        crate::schema::VERSION
    )]
    Newer {
        /// The directory.
        directory: PathBuf,
        /// Its version.
        found: i64,
    },
    /// The file is a SQLite database of another program.
    #[error("{} is not a stepwell store", .0.display())]
    Foreign(PathBuf),
    /// The file's structure is damaged, so that nobody can say what is missing.
    #[error(
        "{} is damaged ({why}): put back a copy of it, or let SQLite's shell save what it can (.recover)",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, as SQLite says it.
        why: String,
    },
    /// The directory or one of its files cannot be used.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// SQLite cannot open it.
    #[error("{}: {source}", .path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
}

fn holder(pid: &Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

/// Why an operation on an open store failed. One failed commit is the error of many operations, hence the [`Arc`].
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum StoreError {
    /// SQLite refused; a full disk is this too.
    #[error("sqlite: {0}")]
    Sqlite(Arc<rusqlite::Error>),
    /// A row cannot be read.
    #[error("{table} row {key} is damaged: {why}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The row.
        key: i64,
        /// What is wrong with it.
        why: String,
    },
    /// A listing's token is none of ours.
    #[error("the token is none of this listing's")]
    Token,
    /// What was to be written before could not be, so nothing more is taken meanwhile.
    #[error("the store takes no writes at the moment: {0}")]
    Stuck(Arc<StoreError>),
    /// The store was shut down.
    #[error("the store is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::Sqlite(Arc::new(error))
    }
}

impl StoreError {
    /// What a port answers with. What is damaged is so however often it is read, and a closed store stays closed.
    pub(crate) fn boxed(self) -> BoxError {
        match self {
            StoreError::Token => Box::new(NoSuchPlace),
            error if error.is_damage() || matches!(error, StoreError::Closed) => {
                Box::new(Refused(Box::new(error)))
            }
            error => Box::new(error),
        }
    }

    /// Whether something cannot be read as what was written.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            StoreError::Damaged { .. } => true,
            StoreError::Sqlite(error) => match &**error {
                rusqlite::Error::SqliteFailure(failure, _) => {
                    matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
                }
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::Utf8Error(..) => true,
                _ => false,
            },
            StoreError::Token | StoreError::Stuck(_) | StoreError::Closed => false,
        }
    }
}
