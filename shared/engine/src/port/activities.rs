//! Activities, and the tasks that wait for their workers.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use stepwell_interpreter::{AttemptId, Timestamp};

use super::BoxError;
use crate::meta::RunId;

/// Activities, and the tasks that wait for a worker of theirs. Their ARNs say whose they are, as those of state machines do.
///
/// A waiting task is no more than a hint where to look: the execution's journal says whether it may still be taken, and only
/// a page there gives it to a worker. So an entry may be stale, and may be there twice in a row; it must not be missing.
#[async_trait]
pub trait Activities: Send + Sync {
    /// Puts an activity, unless there is one of that ARN: gives what is there then.
    ///
    /// # Errors
    /// [`ActivitiesError`]; the activity may have been put.
    async fn create(&self, activity: Arc<Activity>) -> Result<Arc<Activity>, ActivitiesError>;

    /// The activity of this ARN.
    ///
    /// # Errors
    /// [`ActivitiesError`] where the store does not answer.
    async fn activity(&self, arn: &str) -> Result<Option<Arc<Activity>>, ActivitiesError>;

    /// Puts an activity in the place of `before`; `false` where another is there by now, or none.
    ///
    /// # Errors
    /// [`ActivitiesError`]; it may have been put.
    async fn update(&self, activity: Arc<Activity>, before: &Activity) -> Result<bool, ActivitiesError>;

    /// Activities in the order of their ARNs, from behind `after`, `limit` at most.
    ///
    /// # Errors
    /// [`ActivitiesError`] where the store does not answer.
    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Arc<Activity>>, ActivitiesError>;

    /// Removes an activity; one that is not there is removed already. The tasks that wait for its workers stay: an activity of
    /// the same name may be created.
    ///
    /// # Errors
    /// [`ActivitiesError`] where the store does not answer.
    async fn delete(&self, arn: &str) -> Result<(), ActivitiesError>;

    /// Lets a task wait for a worker, behind those that wait already. One that waits keeps its place.
    ///
    /// When it returns, the entry cannot be lost before the message that owes it is deleted.
    ///
    /// # Errors
    /// [`ActivitiesError`]; the task may wait.
    async fn offer(&self, task: WaitingTask) -> Result<(), ActivitiesError>;

    /// The tasks that wait for a worker of `activity`, the oldest first, `limit` at most.
    ///
    /// # Errors
    /// [`ActivitiesError`] where the store does not answer.
    async fn waiting(&self, activity: &str, limit: usize) -> Result<Vec<WaitingTask>, ActivitiesError>;

    /// Forgets a task that waits no longer.
    ///
    /// # Errors
    /// [`ActivitiesError`]; it may be forgotten.
    async fn forget(&self, task: &WaitingTask) -> Result<(), ActivitiesError>;

    /// Ready when `waiting` may show a task that it did not show before this call, which was looked for in vain `looks` times by then.
    /// A store that is not told by others is ready after a while of its own.
    fn arrival(&self, activity: &str, looks: u32) -> BoxFuture<'static, ()>;
}

/// An activity (API: DescribeActivity).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Its ARN.
    pub arn: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// When it was created.
    pub created_at: Timestamp,
    /// `encryptionConfiguration`, as JSON, where one was given.
    pub encryption: Option<Arc<str>>,
    /// Its tags, in the order given.
    pub tags: Vec<(String, String)>,
}

/// A task that waits for a worker, named by its attempt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaitingTask {
    /// The activity's ARN.
    pub activity: Arc<str>,
    /// The execution's ARN.
    pub execution: Arc<str>,
    /// Which start of that name.
    pub run: RunId,
    /// The attempt.
    pub attempt: AttemptId,
}

/// The store did not answer, or not sensibly.
#[derive(Debug, thiserror::Error)]
#[error("activities: {0}")]
pub struct ActivitiesError(#[source] pub BoxError);
