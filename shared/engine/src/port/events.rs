//! What executions tell the world of how far they are.

use std::sync::Arc;

use async_trait::async_trait;
use stepwell_interpreter::Timestamp;

use super::BoxError;
use crate::meta::Meta;

/// Events of executions' status (EventBridge: "Step Functions Execution Status Change").
///
/// They hold nobody up: whoever sends them gives up after a while, and an execution goes on without. What is sent comes at
/// least once. Express executions have none.
#[async_trait]
pub trait Events: Send + Sync {
    /// Tells of the changes that one commit made, in their order: there are few.
    ///
    /// # Errors
    /// Of some of them nobody was told, or nobody knows.
    async fn put(&self, changes: Vec<StatusChange>) -> Result<(), BoxError>;
}

/// An execution has come to another status.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusChange {
    /// `RUNNING`, `SUCCEEDED`, `FAILED`, `TIMED_OUT`, `ABORTED`, or `PENDING_REDRIVE` of an execution that a Map Run redrives.
    pub status: &'static str,
    /// When.
    pub at: Timestamp,
    /// The execution as it then was: redrives, and its end with the output in it, where it has ended.
    pub meta: Arc<Meta>,
}
