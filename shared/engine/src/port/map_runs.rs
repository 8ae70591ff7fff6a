//! Map Runs as they are kept.

use std::sync::Arc;

use async_trait::async_trait;
use stepwell_expr::Payload;

use super::BoxError;
use crate::map_run::{Change, Known, MapRun};

/// Map Runs, kept for good.
///
/// Everything read is what was last written. As with [`crate::port::Journal`], what [`crate::port::Queue::send`] took in before a write
/// here began cannot be lost once that write is acknowledged.
#[async_trait]
pub trait MapRuns: Send + Sync {
    /// Puts a Map Run where none of its ARN is, and gives what is there then.
    ///
    /// # Errors
    /// [`MapRunsError`]; it may have been put.
    async fn create(&self, map_run: Arc<MapRun>) -> Result<Arc<MapRun>, MapRunsError>;

    /// The Map Run of this ARN.
    ///
    /// # Errors
    /// [`MapRunsError`] where the store does not answer.
    async fn map_run(&self, arn: &str) -> Result<Option<Arc<MapRun>>, MapRunsError>;

    /// Changes a Map Run as [`MapRun::changed`] says, in one transaction, and gives it as it is then; `None` where there
    /// is none. An outcome takes the place of one of its index of an earlier redrive; where another is there, it changes
    /// nothing. It is kept with its result, where [`MapRun::keeps`] held before.
    ///
    /// # Errors
    /// [`MapRunsError`]; it may have been changed.
    async fn change(&self, arn: &str, change: Change) -> Result<Option<Changed>, MapRunsError>;

    /// The results that are kept of executions with an index from `from` on, in the order of their indexes, `limit` at most.
    ///
    /// # Errors
    /// [`MapRunsError`] where the store does not answer.
    async fn results(&self, arn: &str, from: u64, limit: usize) -> Result<Vec<(u64, Payload)>, MapRunsError>;

    /// The executions with an index from `from` on whose outcomes are known, in the order of their indexes, `limit` at most; of
    /// those only the ones without success where `failures` says so.
    ///
    /// # Errors
    /// [`MapRunsError`] where the store does not answer.
    async fn outcomes(
        &self,
        arn: &str,
        from: u64,
        limit: usize,
        failures: bool,
    ) -> Result<Vec<Known>, MapRunsError>;

    /// The Map Runs that `query` asks for, newest first.
    ///
    /// # Errors
    /// [`MapRunsError`] where the store does not answer.
    async fn list(&self, query: MapRunsQuery) -> Result<ListedMapRuns, MapRunsError>;
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// The Map Run as it is now.
    pub map_run: Arc<MapRun>,
    /// Whether the change's condition held.
    pub applied: bool,
}

/// Which Map Runs are listed (API: ListMapRuns).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapRunsQuery {
    /// The execution that began them.
    pub execution_arn: Arc<str>,
    /// How many at most.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<String>,
}

/// A page of a listing.
#[derive(Debug, Clone)]
pub struct ListedMapRuns {
    /// The Map Runs.
    pub map_runs: Vec<Arc<MapRun>>,
    /// Where this page ended, when there is more.
    pub next: Option<String>,
}

/// The store did not answer, or not sensibly.
#[derive(Debug, thiserror::Error)]
#[error("map runs: {0}")]
pub struct MapRunsError(#[source] pub BoxError);
