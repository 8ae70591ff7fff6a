//! The store: one directory, one SQLite file, one process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use stepwell_engine::port::{Clock, Ports, Tasks};
use tokio::sync::mpsc;

use crate::activities::LocalActivities;
use crate::backlog::{Backlog, Limits};
use crate::batch::{Committed, Notice};
use crate::clock::SystemClock;
use crate::dispatch::{self, Dispatching, Drive, Post};
use crate::due::AtWork;
use crate::error::OpenError;
use crate::journal::{Leases, LocalJournal};
use crate::map_runs::LocalMapRuns;
use crate::queue::{LocalQueue, MessageIds};
use crate::read::Readers;
use crate::registry::LocalRegistry;
use crate::schema::{self, Found};
use crate::writer::Writer;

/// How long a connection waits for one of another program that looks into the file.
pub(crate) const BUSY: Duration = Duration::from_secs(10);

/// The file's name within the directory.
const FILE: &str = "stepwell.db";

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// Time and randomness.
    pub clock: Arc<dyn Clock>,
    /// The largest size of the file, in bytes; `None` for what the disk holds.
    pub bytes_max: Option<u64>,
    /// How much may be in hand at once.
    pub limits: Limits,
    /// What goes wrong.
    #[cfg(test)]
    pub(crate) faults: crate::faults::Faults,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            clock: Arc::new(SystemClock::new()),
            bytes_max: None,
            limits: Limits::default(),
            #[cfg(test)]
            faults: Default::default(),
        }
    }
}

/// An open store. When it is dropped, everything enqueued is written and the file is closed.
pub struct LocalStore {
    clock: Arc<dyn Clock>,
    writer: Writer,
    thread: Option<JoinHandle<Connection>>,
    readers: Readers,
    committed: Committed,
    notices: Mutex<Option<mpsc::UnboundedReceiver<Vec<Notice>>>>,
    ids: Arc<MessageIds>,
    leases: Arc<Leases>,
    /// Held while the store is open.
    _lock: File,
}

impl LocalStore {
    /// Opens the store in `directory`, which is made where it is not there, readable by its owner alone.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(directory: &Path, options: Options) -> Result<LocalStore, OpenError> {
        make_directory(directory).map_err(|source| OpenError::Io { path: directory.to_owned(), source })?;
        let lock = lock(directory)?;
        let path = directory.join(FILE);
        own_file(&path).map_err(|source| OpenError::Io { path: path.clone(), source })?;
        let (connection, boot) = connect(directory, &path, options.bytes_max)?;
        sync_directory(directory);

        let (notify, notices) = mpsc::unbounded_channel();
        let committed = Committed::new(notify, options.limits);
        #[cfg(test)]
        let committed = committed.with(options.faults.clone());
        let (writer, thread) = Writer::start(connection, committed.clone())
            .map_err(|source| OpenError::Io { path: path.clone(), source })?;
        Ok(LocalStore {
            clock: options.clock,
            writer,
            thread: Some(thread),
            readers: Readers::new(
                &path,
                #[cfg(test)]
                options.faults,
            ),
            committed,
            notices: Mutex::new(Some(notices)),
            ids: Arc::new(MessageIds::of_boot(boot)),
            leases: Arc::default(),
            _lock: lock,
        })
    }

    /// The ports on this store, with `tasks` for the calls, and nobody who is told of executions.
    pub fn ports(&self, tasks: Arc<dyn Tasks>) -> Ports {
        let queue = Arc::new(self.queue());
        Ports {
            journal: Arc::new(LocalJournal {
                writer: self.writer.clone(),
                readers: self.readers.clone(),
                hot: self.committed.hot.clone(),
                leases: self.leases.clone(),
                backlog: self.backlog(),
            }),
            map_runs: Arc::new(LocalMapRuns { writer: self.writer.clone(), readers: self.readers.clone() }),
            queue: queue.clone(),
            scheduler: queue,
            tasks,
            registry: Arc::new(LocalRegistry {
                writer: self.writer.clone(),
                readers: self.readers.clone(),
                hot: self.committed.machines.clone(),
            }),
            activities: Arc::new(LocalActivities {
                writer: self.writer.clone(),
                readers: self.readers.clone(),
                arrivals: self.committed.arrivals.clone(),
                forgotten: Arc::default(),
            }),
            logs: None,
            events: None,
            clock: self.clock.clone(),
        }
    }

    /// Begins to deliver messages to `drive`, which is the engine on these ports; those of an earlier life of the process come
    /// first. `None` where that was begun before.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn run(&self, drive: impl Drive) -> Option<Dispatching> {
        let notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let post = Post {
            queue: self.queue(),
            readers: self.readers.clone(),
            clock: self.clock.clone(),
            notices: self.committed.notices.clone(),
            at_work: AtWork::new(self.committed.backlog.limits().drivers),
            backlog: self.backlog(),
        };
        Some(dispatch::start(Arc::new(post), notices, drive))
    }

    /// How much is in hand: whoever takes requests in asks it for room.
    pub fn backlog(&self) -> Arc<Backlog> {
        self.committed.backlog.clone()
    }

    fn queue(&self) -> LocalQueue {
        LocalQueue { writer: self.writer.clone(), ids: self.ids.clone() }
    }

    /// Writes everything enqueued and closes the file. Ports that are still about answer with errors from then on.
    pub fn close(mut self) {
        self.shut();
    }

    fn shut(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.writer.close();
        let Ok(connection) = thread.join() else { return };
        self.readers.close();
        // A WAL that stays is read when the store is next opened.
        let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
}

impl Drop for LocalStore {
    fn drop(&mut self) {
        self.shut();
    }
}

fn make_directory(directory: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

fn owned() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes the file with its owner's rights alone; SQLite gives the same to its WAL.
fn own_file(path: &Path) -> std::io::Result<()> {
    owned().open(path).map(drop)
}

/// Takes the directory for this process. The lock goes with the process, however that ends.
fn lock(directory: &Path) -> Result<File, OpenError> {
    let path = directory.join("lock");
    let io = |source| OpenError::Io { path: path.clone(), source };
    let mut file = owned().open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Who it is, is a courtesy.
            let _ = file.read_to_string(&mut text);
            return Err(OpenError::InUse { directory: directory.to_owned(), pid: text.trim().parse().ok() });
        }
        Err(TryLockError::Error(source)) => return Err(io(source)),
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(io)?;
    writeln!(file, "{}", std::process::id()).map_err(io)?;
    Ok(file)
}

/// Makes the names of new files durable, where the system can.
fn sync_directory(directory: &Path) {
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
}

/// The writing connection, and which life of the store's process this is.
fn connect(directory: &Path, path: &Path, bytes_max: Option<u64>) -> Result<(Connection, i64), OpenError> {
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let mut connection = Connection::open(path).map_err(sqlite)?;
    tune(&connection, bytes_max).map_err(sqlite)?;
    match schema::prepare(&mut connection).map_err(sqlite)? {
        Found::Current => {}
        Found::Newer(found) => return Err(OpenError::Newer { directory: directory.to_owned(), found }),
        Found::Foreign => return Err(OpenError::Foreign(PathBuf::from(path))),
    }
    verify(&connection, path)?;
    let boot = connection
        .query_row("UPDATE store SET boots = boots + 1 RETURNING boots", [], |row| row.get(0))
        .map_err(sqlite)?;
    Ok((connection, boot))
}

/// The largest file whose structure is looked through whenever it is opened, in bytes: that takes a third of a second.
const VERIFIED_BYTES_MAX: u64 = 64 << 20;

/// Looks through the file's structure: what its indexes have lost would not be missed otherwise. (What its rows say has checksums.)
fn verify(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() > VERIFIED_BYTES_MAX) {
        return Ok(());
    }
    let damaged = |why: String| OpenError::Damaged { path: path.to_owned(), why };
    match connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0)) {
        Ok(found) if found == "ok" => Ok(()),
        Ok(found) => Err(damaged(found)),
        Err(error) => Err(damaged(error.to_string())),
    }
}

const PAGE_BYTES: u32 = 8192;

fn tune(connection: &Connection, bytes_max: Option<u64>) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // An fsync that reaches the disk on macOS too.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    connection.pragma_update(None, "cache_size", -8_192)?;
    if let Some(bytes) = bytes_max {
        let pages = u32::try_from(bytes / u64::from(PAGE_BYTES)).unwrap_or(u32::MAX);
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use stepwell_engine::meta::RunId;
    use stepwell_engine::port::Seq;

    use super::*;
    use crate::testing::{Fixture, arn, meta, page};

    fn refusal(directory: &Path) -> String {
        match LocalStore::open(directory, Options::default()) {
            Ok(_) => "opened".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_directory_has_one_owner() {
        let fixture = Fixture::new();
        let path = fixture.directory.path();
        let expected = format!(
            "another stepwell uses this data directory: {} (process {})",
            path.display(),
            std::process::id()
        );
        assert_eq!(refusal(path), expected);
        let Fixture { directory, store, ports, .. } = fixture;
        store.close();
        drop(ports);
        assert_eq!(refusal(directory.path()), "opened");
    }

    #[test]
    fn files_of_others_are_left_alone() {
        for (sql, expected) in [
            ("PRAGMA user_version = 9; PRAGMA application_id = 0x5374776c", "has schema version 9"),
            ("CREATE TABLE theirs (a)", "is not a stepwell store"),
        ] {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let connection = Connection::open(directory.path().join(FILE)).expect("opened");
            connection.execute_batch(sql).expect(sql);
            drop(connection);
            let refusal = refusal(directory.path());
            assert!(refusal.contains(expected), "{refusal}");
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(directory.path().join(FILE), "no database at all").expect("written");
        assert!(refusal(directory.path()).contains("not a database"));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_look() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().expect("a temporary directory");
        let directory = parent.path().join("data");
        let store = LocalStore::open(&directory, Options::default()).expect("opened");
        let mode = |path: &Path| std::fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        for file in ["stepwell.db", "stepwell.db-wal", "lock"] {
            assert_eq!(mode(&directory.join(file)), 0o600, "{file}");
        }
        drop(store);
    }

    #[tokio::test]
    async fn a_full_disk_is_an_error_and_nothing_acknowledged_is_lost() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let fixture = Fixture::within(directory, Some(1 << 20));
        let (journal, text) = (&fixture.ports.journal, "x".repeat(20_000));
        journal.put_meta(meta("a", 1, 1_000, "{}")).await.expect("put");
        let arn = arn("a");
        let append = |seq| journal.append(&arn, RunId(1), Seq(seq), page(1, &text));
        let mut acknowledged = 0;
        while append(acknowledged + 1).await.is_ok() {
            acknowledged += 1;
            assert!(acknowledged < 100, "the disk is never full");
        }
        assert!(acknowledged > 10);
        let (one, two) = tokio::join!(append(acknowledged + 1), append(acknowledged + 1));
        assert!(one.is_err() && two.is_err());
        // What needs no room goes on.
        journal.append(&arn, RunId(1), Seq(1), page(1, &text)).await.expect("it is there");
        let loaded = journal.load(&arn, None).await.expect("read").expect("it exists");
        assert_eq!(loaded.pages.len() as u64, acknowledged);

        let fixture = fixture.reopened();
        let journal = &fixture.ports.journal;
        let loaded = journal.load(&arn, None).await.expect("read").expect("it exists");
        assert_eq!(loaded.pages.len() as u64, acknowledged);
        journal.append(&arn, RunId(1), Seq(acknowledged + 1), page(1, &text)).await.expect("room again");
    }

    #[tokio::test]
    async fn ports_of_a_closed_store_answer_with_errors() {
        let Fixture { directory: _directory, store, ports, .. } = Fixture::new();
        store.close();
        assert!(ports.journal.put_meta(meta("a", 1, 1_000, "{}")).await.is_err());
    }
}
