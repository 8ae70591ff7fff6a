//! Executions as they are kept: a META, and pages that never change.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use stepwell_interpreter::{Claimant, Timestamp};

use super::{BoxError, Invocation};
use crate::meta::{End, Meta, Parked, RunId};

/// A page's place in its run, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

/// Who wrote a page.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Writer {
    /// A driver, for one delivery of one message.
    Driver(Claimant),
    /// A handler that answers a request (start, callback, stop, redrive), by the request's random id.
    Request(u64),
}

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Who wrote it.
    pub writer: Writer,
    /// The records in their stored form ([`crate::stored`]).
    pub bytes: Bytes,
}

/// What a load found.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The META, whose run the pages are of.
    pub meta: Arc<Meta>,
    /// The pages behind the one that was asked for, in order, up to the tail.
    pub pages: Vec<(Seq, Page)>,
}

/// Executions, kept for good (DESIGN §3, PROTOCOL §2).
///
/// Everything read is what was last written: no answer rests on a copy that lags behind.
/// What [`crate::port::Queue::send`] took in before a write here began cannot be lost once that write is acknowledged.
#[async_trait]
pub trait Journal: Send + Sync {
    /// The META of `execution` and the pages of its run behind `after`. Where `after` names another run than the
    /// META's, all pages. `None` where there is no META.
    ///
    /// # Errors
    /// [`JournalError`] where the store does not answer.
    async fn load(
        &self,
        execution: &str,
        after: Option<(RunId, Seq)>,
    ) -> Result<Option<Loaded>, JournalError>;

    /// The META of `execution`; `None` where there is none. An adapter that can do so reads no page for it.
    ///
    /// # Errors
    /// [`JournalError`] where the store does not answer.
    async fn meta(&self, execution: &str) -> Result<Option<Arc<Meta>>, JournalError> {
        Ok(self.load(execution, None).await?.map(|loaded| loaded.meta))
    }

    /// Puts a new execution's META, with the condition that none is there (or that its time to live has gone by).
    ///
    /// # Errors
    /// [`PutMetaError::Exists`] with what is there, also when that is this very META (the adapter's own retry is recognised by
    /// its run and is success).
    async fn put_meta(&self, meta: Arc<Meta>) -> Result<(), PutMetaError>;

    /// Appends page `seq` of a run, with the condition that no such page is there. Durable when it returns.
    ///
    /// # Errors
    /// [`AppendError`]; a conflict with a page of the same writer and bytes is success.
    async fn append(&self, execution: &str, run: RunId, seq: Seq, page: Page) -> Result<(), AppendError>;

    /// Appends the page that ends a run, as [`Journal::append`] does; where the store can do both in one commit, also writes its
    /// `end` as [`Journal::finish`] would, and gives `true`. Otherwise the caller calls that next.
    ///
    /// # Errors
    /// [`AppendError`], as there. The end is never written without its page.
    async fn append_last(
        &self,
        execution: &str,
        (run, epoch): (RunId, u32),
        seq: Seq,
        page: Page,
        end: &End,
    ) -> Result<bool, AppendError> {
        let _ = (epoch, end);
        self.append(execution, run, seq, page).await.map(|()| false)
    }

    /// Writes an execution's end to its META, with the condition that run and epoch are these and it is RUNNING.
    /// A META that has ended already under this run and epoch is success.
    ///
    /// # Errors
    /// [`FinishError`].
    async fn finish(&self, execution: &str, run: RunId, epoch: u32, end: End) -> Result<(), FinishError>;

    /// Puts an execution's META back to RUNNING for `epoch`, which a redrive at `at` began ([`Meta::redriven`]), with the
    /// condition that it is of this run and of an earlier epoch. Otherwise it is right already, or none of this run's.
    ///
    /// # Errors
    /// [`JournalError`] where the store does not answer.
    async fn redrive(
        &self,
        execution: &str,
        run: RunId,
        epoch: u32,
        at: Timestamp,
    ) -> Result<(), JournalError>;

    /// The METAs that `query` asks for, newest first, and how to ask for more.
    ///
    /// # Errors
    /// [`JournalError`] where the store does not answer.
    async fn list(&self, query: ListQuery) -> Result<Listed, JournalError>;

    /// Writes the lease of a driver of `message`.
    ///
    /// # Errors
    /// [`JournalError`] where the store does not answer.
    async fn put_lease(&self, message: &str, until: Timestamp) -> Result<(), JournalError>;

    /// When the lease on `message` ends; `None` where there is none.
    ///
    /// # Errors
    /// [`JournalError`] where the store does not answer.
    async fn lease(&self, message: &str) -> Result<Option<Timestamp>, JournalError>;

    /// Keeps which attempt a call belongs to that its service calls `id`, until [`Invocation::until`] at least. The same again
    /// changes nothing.
    ///
    /// # Errors
    /// [`JournalError`] where the store does not answer, or keeps none: on one machine drivers wait for their calls.
    async fn put_invocation(&self, id: &str, invocation: &Invocation) -> Result<(), JournalError> {
        let _ = (id, invocation);
        Err(JournalError("this store keeps no calls that go on by themselves".into()))
    }

    /// The attempt that [`Journal::put_invocation`] kept.
    ///
    /// # Errors
    /// [`JournalError`] where the store does not answer.
    async fn invocation(&self, id: &str) -> Result<Option<Invocation>, JournalError> {
        let _ = id;
        Ok(None)
    }

    /// Writes why an execution is not driven on (`META.parked`), or that it is again (`None`).
    ///
    /// # Errors
    /// [`JournalError`] where the store does not answer.
    async fn park(&self, execution: &str, run: RunId, why: Option<Parked>) -> Result<(), JournalError>;
}

/// Which executions are listed (API: ListExecutions).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// The ARN of a state machine, of a version or alias that was started, or of a Map Run: its executions are listed under that
    /// ([`Meta::listed_under`]).
    pub state_machine_arn: Arc<str>,
    /// Only those of this status, such as `RUNNING`.
    pub status: Option<&'static str>,
    /// How many at most.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<String>,
}

impl ListQuery {
    /// Those under `arn` that run.
    pub(crate) fn running(arn: Arc<str>, limit: usize) -> Self {
        ListQuery { state_machine_arn: arn, status: Some("RUNNING"), limit, after: None }
    }

    /// Whether the execution is listed under its ARN.
    pub fn names(&self, meta: &Meta) -> bool {
        meta.listed_under().any(|arn| *arn == self.state_machine_arn)
    }
}

/// A page of a listing.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The METAs; inputs and outputs may be left out.
    pub metas: Vec<Arc<Meta>>,
    /// Where this page ended, when there is more.
    pub next: Option<String>,
}

/// The store did not answer, or not sensibly.
#[derive(Debug, thiserror::Error)]
#[error("journal: {0}")]
pub struct JournalError(#[source] pub BoxError);

/// Why a META was not put.
#[derive(Debug, thiserror::Error)]
pub enum PutMetaError {
    /// The name is taken.
    #[error("execution {} exists", .0.execution_arn)]
    Exists(Arc<Meta>),
    /// No answer: it may have been put.
    #[error(transparent)]
    Unknown(#[from] JournalError),
}

/// Why a page was not appended. Each variant is a different next move for the driver.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Another writer committed `seq` first: reload the tail and decide again.
    #[error("page {} of {execution} exists", seq.0)]
    Conflict {
        /// The execution.
        execution: String,
        /// The page.
        seq: Seq,
    },
    /// The run is gone: its META was removed or replaced.
    #[error("the run of {execution} is gone")]
    Gone {
        /// The execution.
        execution: String,
    },
    /// No store holds such a page, and it is not there: decide something smaller.
    #[error("a page of {execution} has {bytes} bytes, and its store holds {most}: {why}")]
    TooLarge {
        /// The execution.
        execution: String,
        /// The page's size.
        bytes: usize,
        /// The largest that the store takes.
        most: usize,
        /// What would help, for people.
        why: &'static str,
    },
    /// No answer: the page may exist. Read it back before anything else.
    #[error("no answer to the append of page {} of {execution}", seq.0)]
    Unknown {
        /// The execution.
        execution: String,
        /// The page.
        seq: Seq,
        /// Why.
        #[source]
        source: BoxError,
    },
}

/// Why an end was not written.
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    /// The META is of another run or epoch.
    #[error("execution {0} has moved on")]
    MovedOn(String),
    /// No answer: it may have been written.
    #[error(transparent)]
    Unknown(#[from] JournalError),
}
