//! What the services answer that keeps a port from its work.

use stepwell_engine::port::{BoxError, Refused, Throttled};
use stepwell_engine::stored::StoredError;

use crate::blobs::BlobError;
use crate::retry::is_passing;
use crate::services::ServiceError;

/// Why the store did not do what it was asked. Whether a condition held is no error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// DynamoDB says no, or does not answer: then a write may have been done.
    #[error("DynamoDB does not do {operation}: {source}")]
    Service {
        /// The operation.
        operation: &'static str,
        /// Its exception, or what kept it from us.
        #[source]
        source: ServiceError,
    },
    /// DynamoDB cancels a transaction for what one of its writes is.
    #[error("DynamoDB refuses TransactWriteItems: {code}: {message}")]
    Cancelled {
        /// The reason's code, such as `ValidationError`.
        code: String,
        /// What it says besides.
        message: String,
    },
    /// Somebody else's transactions held the items, each time.
    #[error("DynamoDB: other transactions are in the way of {operation}")]
    Busy {
        /// The operation.
        operation: &'static str,
    },
    /// An item is not what this crate writes.
    #[error("item {key} is damaged: {why}")]
    Damaged {
        /// Its key, or the attribute's name.
        key: String,
        /// How that showed.
        why: String,
    },
    /// Bytes in an item are not what the engine writes.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// What is too large for an item.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl StoreError {
    /// Whether the same request will be refused again.
    fn is_refusal(&self) -> bool {
        match self {
            StoreError::Service { source: ServiceError::Refused(exception), .. } => {
                !is_passing(exception.status, &exception.code)
            }
            StoreError::Cancelled { code, .. } => !is_passing(0, code),
            StoreError::Blob(BlobError::Unavailable { source, .. }) => Refused::is_in(&**source),
            StoreError::Service { .. } | StoreError::Busy { .. } => false,
            StoreError::Damaged { .. } | StoreError::Stored(_) | StoreError::Blob(_) => true,
        }
    }

    /// Whether DynamoDB has more to do than it may.
    fn is_throttled(&self) -> bool {
        matches!(self, StoreError::Service { source, .. } if source.is_throttled())
    }

    /// For a port, whose asker is patient with what may pass.
    pub(crate) fn boxed(self) -> BoxError {
        if self.is_refusal() {
            Box::new(Refused(Box::new(self)))
        } else if self.is_throttled() {
            Box::new(Throttled(Box::new(self)))
        } else {
            Box::new(self)
        }
    }

    pub(crate) fn damaged(key: impl Into<String>, why: impl ToString) -> Self {
        StoreError::Damaged { key: key.into(), why: why.to_string() }
    }

    /// What a call that failed comes to.
    pub(crate) fn of(operation: &'static str, source: ServiceError) -> Self {
        StoreError::Service { operation, source }
    }
}
