//! Reading connections: a few, opened when first needed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};

use crate::error::StoreError;

/// Connections kept for the next reader.
const IDLE_MAX: usize = 4;

/// The readers of one store. Each read sees everything that was acknowledged before it began.
#[derive(Clone)]
pub(crate) struct Readers(Arc<Inner>);

struct Inner {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    /// What goes wrong.
    #[cfg(test)]
    faults: crate::faults::Faults,
}

impl Readers {
    pub(crate) fn new(path: &Path, #[cfg(test)] faults: crate::faults::Faults) -> Self {
        let (path, idle) = (path.to_owned(), Mutex::default());
        Readers(Arc::new(Inner {
            path,
            idle,
            #[cfg(test)]
            faults,
        }))
    }

    /// Reads on this thread: some ten microseconds for a few rows that are in memory.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        #[cfg(test)]
        while let Err(error) = self.0.faults.meet(crate::faults::Point::Read) {
            if !self.0.faults.are_tried_again() {
                return Err(error);
            }
        }
        let idle = self.idle().pop();
        let connection = idle.map_or_else(|| self.open(), Ok)?;
        let result = read(&connection);
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        result
    }

    /// Reads on a thread that may wait for the disk: for reads of many rows.
    pub(crate) async fn read_much<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = self.clone();
        tokio::task::spawn_blocking(move || readers.read(read)).await.unwrap_or(Err(StoreError::Closed))
    }

    /// Closes what is open.
    pub(crate) fn close(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.0.path, flags)?;
        connection.busy_timeout(crate::store::BUSY)?;
        connection.pragma_update(None, "cache_size", -1024)?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(connection)
    }
}
