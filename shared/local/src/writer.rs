//! The one writer: a thread that owns the writing connection and commits whatever has come in meanwhile at once.
//!
//! Operations are applied in the order in which they were enqueued, all of a batch in one transaction, and answered
//! when that is on the disk. While one batch is synced the next one gathers, so nobody ever waits for company.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::batch::{Batch, Committed};
use crate::error::StoreError;
#[cfg(test)]
use crate::faults::Point;

/// One write.
trait Operation: Send {
    /// Applies it within the batch's transaction. It may be applied again after a rollback. A condition that does not hold is
    /// the operation's own result, not an error.
    ///
    /// # Errors
    /// Where the store failed: nothing of the transaction is kept.
    fn apply(&mut self, batch: &mut Batch<'_>) -> Result<(), StoreError>;

    /// Answers it, once it is committed or has failed.
    fn answer(self: Box<Self>, result: Result<(), StoreError>);

    /// How it is waited for.
    fn kind(&self) -> Kind;
}

struct Asked<F, T> {
    apply: F,
    value: Option<T>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F: FnMut(&mut Batch<'_>) -> Result<T, StoreError> + Send> Operation for Asked<F, T> {
    fn apply(&mut self, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        self.value = Some((self.apply)(batch)?);
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), StoreError>) {
        let Asked { value, answer, .. } = *self;
        // Whoever asked may have gone.
        let _ = answer.send(result.and_then(|()| value.ok_or(StoreError::Closed)));
    }

    fn kind(&self) -> Kind {
        Kind::Awaited
    }
}

struct Posted<F> {
    apply: F,
    kind: Kind,
}

impl<F: FnMut(&mut Batch<'_>) -> Result<(), StoreError> + Send> Operation for Posted<F> {
    fn apply(&mut self, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        (self.apply)(batch)
    }

    fn answer(self: Box<Self>, result: Result<(), StoreError>) {
        if let Err(error) = result {
            tracing::debug!(%error, "a write that nobody waits for was dropped");
        }
    }

    fn kind(&self) -> Kind {
        self.kind
    }
}

/// How an operation is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Somebody waits for its answer.
    Awaited,
    /// Nobody waits, but nothing behind it may be committed without it: one that fails is tried again, first of all.
    Owed,
    /// As `Owed`, and it may rest for [`LINGER`] so that it shares another one's commit.
    OwedLater,
    /// Nobody waits, it may rest, and it may fail.
    Courtesy,
}

/// How long operations that may rest do so at most.
const LINGER: Duration = Duration::from_millis(100);

/// How long the thread rests before it tries again what is owed and could not be written, unless something else comes.
const RETRY: Duration = if cfg!(test) { Duration::from_millis(1) } else { Duration::from_secs(1) };

/// How many operations go into one transaction at most.
const BATCH_MAX: usize = 1024;

/// Takes operations in, from any thread.
#[derive(Clone)]
pub(crate) struct Writer(Arc<Inbox>);

struct Inbox {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    operations: Vec<Box<dyn Operation>>,
    urgent: bool,
    sleep: Sleep,
    closed: bool,
    /// Why what is owed could not be written when that was last tried.
    stuck: Option<Arc<StoreError>>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Sleep {
    #[default]
    Awake,
    Lingering,
    Deep,
}

impl Writer {
    /// Starts the thread. It ends when the writer is closed and everything is written.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(crate) fn start(
        connection: Connection,
        committed: Committed,
    ) -> std::io::Result<(Writer, JoinHandle<Connection>)> {
        let inbox = Arc::new(Inbox { state: Mutex::default(), wake: Condvar::new() });
        let thread = std::thread::Builder::new().name("stepwell-writer".into()).spawn({
            let inbox = inbox.clone();
            move || Thread { inbox, connection, committed, owed: VecDeque::new(), failing: None }.run()
        })?;
        Ok((Writer(inbox), thread))
    }

    /// Applies `apply` and waits until that is on the disk. Given up, it is applied all the same.
    ///
    /// # Errors
    /// Where the store failed: nothing was written.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        apply: impl FnMut(&mut Batch<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Box::new(Asked { apply, value: None, answer }));
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Applies `apply` some time, after what was enqueued before and before what will be.
    pub(crate) fn post(
        &self,
        kind: Kind,
        apply: impl FnMut(&mut Batch<'_>) -> Result<(), StoreError> + Send + 'static,
    ) {
        self.enqueue(Box::new(Posted { apply, kind }));
    }

    /// Whether what nobody waits for may be handed in: not while such writes fail, so that they do not pile up.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn accepts(&self) -> Result<(), StoreError> {
        match &self.0.lock().stuck {
            None => Ok(()),
            Some(why) => Err(StoreError::Stuck(why.clone())),
        }
    }

    /// Enqueues `operation`, behind all that came before.
    fn enqueue(&self, operation: Box<dyn Operation>) {
        let urgent = matches!(operation.kind(), Kind::Awaited | Kind::Owed);
        let mut state = self.0.lock();
        if state.closed {
            drop(state);
            operation.answer(Err(StoreError::Closed));
            return;
        }
        state.operations.push(operation);
        state.urgent |= urgent;
        let wake = match state.sleep {
            Sleep::Awake => false,
            Sleep::Lingering => urgent,
            Sleep::Deep => true,
        };
        if wake {
            state.sleep = Sleep::Awake;
            drop(state);
            self.0.wake.notify_one();
        }
    }

    /// Lets the thread end once everything enqueued is written. What comes later is answered with an error.
    pub(crate) fn close(&self) {
        self.0.lock().closed = true;
        self.0.wake.notify_one();
    }
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for operations and takes them all; `None` when there will be none any more.
    /// `restless`: there is unfinished work, so return before long in any case.
    fn take(&self, restless: bool) -> Option<Vec<Box<dyn Operation>>> {
        let mut state = self.lock();
        let linger = if restless { RETRY } else { LINGER };
        let mut lingered = false;
        while !state.urgent && !state.closed && state.operations.len() < BATCH_MAX {
            if lingered && (restless || !state.operations.is_empty()) {
                break;
            }
            if lingered {
                state.sleep = Sleep::Deep;
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                lingered = false;
            } else {
                state.sleep = Sleep::Lingering;
                let waited = self.wake.wait_timeout(state, linger).unwrap_or_else(PoisonError::into_inner);
                state = waited.0;
                lingered = waited.1.timed_out();
            }
            state.sleep = Sleep::Awake;
        }
        state.urgent = false;
        let operations = std::mem::take(&mut state.operations);
        (!state.closed || !operations.is_empty()).then_some(operations)
    }
}

struct Thread {
    inbox: Arc<Inbox>,
    connection: Connection,
    committed: Committed,
    owed: VecDeque<Box<dyn Operation>>,
    /// What was last logged of failures, so that a disk that stays full is told of once.
    failing: Option<Arc<StoreError>>,
}

impl Thread {
    fn run(mut self) -> Connection {
        while let Some(mut operations) = self.inbox.take(!self.owed.is_empty()) {
            while !operations.is_empty() || !self.owed.is_empty() {
                let rest = operations.split_off(operations.len().min(BATCH_MAX));
                let batch = self.owed.drain(..).chain(operations).collect();
                operations = rest;
                self.write(batch);
                if operations.is_empty() {
                    break;
                }
            }
        }
        for operation in std::mem::take(&mut self.owed) {
            operation.answer(Err(StoreError::Closed));
        }
        self.connection
    }

    /// Writes a batch in one transaction. Where an operation fails there, each gets its own, so that one that cannot be
    /// written does not fail the others.
    fn write(&mut self, mut operations: Vec<Box<dyn Operation>>) {
        let alone = operations.len() == 1;
        match self.transact(&mut operations) {
            Ok(()) => {
                self.settled();
                operations.into_iter().for_each(|operation| operation.answer(Ok(())));
            }
            Err(Failed::Apply(_)) if !alone => self.write_each(operations),
            Err(Failed::Apply(error) | Failed::Commit(error)) => {
                self.failed(&error);
                for operation in operations {
                    self.fail(operation, &error);
                }
            }
        }
        let stuck = if self.owed.is_empty() { None } else { self.failing.clone() };
        #[cfg(test)]
        let stuck = stuck.filter(|_| !self.committed.faults.are_tried_again());
        self.inbox.lock().stuck = stuck;
    }

    /// Tells of a failure, once for each kind in a row.
    fn failed(&mut self, error: &StoreError) {
        let known = self.failing.as_ref().is_some_and(|known| known.to_string() == error.to_string());
        if !known {
            tracing::error!(%error, "the store did not take a write");
            self.failing = Some(Arc::new(error.clone()));
        }
    }

    /// Everything could be written.
    fn settled(&mut self) {
        if self.failing.take().is_some() {
            tracing::info!("the store takes writes again");
        }
    }

    fn write_each(&mut self, operations: Vec<Box<dyn Operation>>) {
        let mut blocked = None;
        for operation in operations {
            if let Some(error) = &blocked {
                self.fail(operation, error);
                continue;
            }
            let mut one = vec![operation];
            let result = self.transact(&mut one);
            for operation in one {
                match &result {
                    Ok(()) => operation.answer(Ok(())),
                    Err(Failed::Apply(error) | Failed::Commit(error)) => {
                        self.failed(error);
                        if self.fail(operation, error) {
                            blocked = Some(error.clone());
                        }
                    }
                }
            }
        }
    }

    /// Whether the operation must still be written before any other.
    fn fail(&mut self, operation: Box<dyn Operation>, error: &StoreError) -> bool {
        let owed = matches!(operation.kind(), Kind::Owed | Kind::OwedLater);
        #[cfg(test)]
        let owed = owed || (self.committed.faults.are_tried_again() && operation.kind() == Kind::Awaited);
        if owed {
            self.owed.push_back(operation);
        } else {
            operation.answer(Err(error.clone()));
        }
        owed
    }

    fn transact(&mut self, operations: &mut [Box<dyn Operation>]) -> Result<(), Failed> {
        let connection = &self.connection;
        if !connection.is_autocommit() {
            execute(connection, "ROLLBACK").map_err(Failed::Commit)?;
        }
        #[cfg(test)]
        self.meet(Point::Begin)?;
        execute(connection, "BEGIN IMMEDIATE").map_err(Failed::Commit)?;
        let mut batch = Batch::new(connection, &self.committed);
        let applied = operations.iter_mut().try_for_each(|operation| operation.apply(&mut batch));
        let result = match applied {
            Ok(()) => self.commit(),
            Err(error) => Err(Failed::Apply(error)),
        };
        if let Err(error) = result {
            // Some errors have rolled back already.
            if !connection.is_autocommit() {
                execute(connection, "ROLLBACK").map_err(Failed::Commit)?;
            }
            return Err(error);
        }
        #[cfg(test)]
        self.meet(Point::Committed)?;
        let changes = batch.changes();
        self.committed.publish(changes);
        Ok(())
    }
}

impl Thread {
    fn commit(&self) -> Result<(), Failed> {
        #[cfg(test)]
        self.meet(Point::Commit)?;
        execute(&self.connection, "COMMIT").map_err(Failed::Commit)
    }

    #[cfg(test)]
    fn meet(&self, point: Point) -> Result<(), Failed> {
        self.committed.faults.meet(point).map_err(Failed::Commit)
    }
}

enum Failed {
    Apply(StoreError),
    Commit(StoreError),
}

fn execute(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::mpsc;

    use super::*;

    fn writer() -> Writer {
        let mut connection = Connection::open_in_memory().expect("opened");
        crate::schema::prepare(&mut connection).expect("prepared");
        let (notices, _) = mpsc::unbounded_channel();
        Writer::start(connection, Committed::new(notices, crate::Limits::default())).expect("a thread").0
    }

    fn insert(batch: &Batch<'_>, id: i64) -> Result<(), StoreError> {
        let sql = "INSERT INTO message (id, receives, body) VALUES (?1, 0, x'')";
        batch.statement(sql)?.execute([id])?;
        Ok(())
    }

    fn ids(batch: &Batch<'_>) -> Result<Vec<i64>, StoreError> {
        let mut statement = batch.statement("SELECT id FROM message ORDER BY id")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    #[tokio::test]
    async fn one_that_cannot_be_written_does_not_fail_the_others() {
        let writer = writer();
        let (first, second, third) = tokio::join!(
            writer.write(|batch| insert(batch, 1)),
            writer.write(|batch| insert(batch, 9).and(Err::<(), _>(StoreError::Token))),
            writer.write(|batch| insert(batch, 2)),
        );
        assert!(first.is_ok() && second.is_err() && third.is_ok());
        assert_eq!(writer.write(|batch| ids(batch)).await.expect("read"), [1, 2]);
    }

    #[tokio::test]
    async fn nothing_is_written_before_what_is_owed() {
        let writer = writer();
        let fails = Arc::new(AtomicBool::new(true));
        writer.post(Kind::Owed, {
            let fails = fails.clone();
            move |batch| if fails.load(Ordering::SeqCst) { Err(StoreError::Token) } else { insert(batch, 1) }
        });
        assert!(writer.write(|batch| insert(batch, 2)).await.is_err());
        assert!(writer.write(|batch| insert(batch, 3)).await.is_err());
        fails.store(false, Ordering::SeqCst);
        assert_eq!(writer.write(|batch| ids(batch)).await.expect("read"), [1]);
    }

    #[tokio::test]
    async fn what_may_rest_is_written_in_its_turn_and_a_courtesy_may_fail() {
        let writer = writer();
        writer.post(Kind::OwedLater, |batch| insert(batch, 1));
        writer.post(Kind::Courtesy, |_| Err(StoreError::Token));
        assert_eq!(writer.write(|batch| ids(batch)).await.expect("read"), [1]);
    }

    #[test]
    fn everything_enqueued_is_written_before_the_thread_ends() {
        let mut connection = Connection::open_in_memory().expect("opened");
        crate::schema::prepare(&mut connection).expect("prepared");
        let (notices, _) = mpsc::unbounded_channel();
        let (writer, thread) =
            Writer::start(connection, Committed::new(notices, crate::Limits::default())).expect("a thread");
        for id in 0..3000 {
            writer.post(Kind::Courtesy, move |batch| insert(batch, id));
        }
        writer.close();
        let connection = thread.join().expect("no panic");
        let count: i64 =
            connection.query_row("SELECT count(*) FROM message", [], |row| row.get(0)).expect("read");
        assert_eq!(count, 3000);
    }
}
