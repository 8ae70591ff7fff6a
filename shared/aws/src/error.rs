//! What the services answer that keeps a port from its work.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use stepwell_engine::port::{BoxError, Refused};
use stepwell_engine::stored::StoredError;

use crate::blobs::BlobError;
use crate::retry::is_passing;

/// Why the store did not do what it was asked. Whether a condition held is no error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// DynamoDB says no.
    #[error("DynamoDB refuses {operation}: {code}: {message}")]
    Refused {
        /// The operation.
        operation: &'static str,
        /// Its exception, such as `ProvisionedThroughputExceededException`.
        code: String,
        /// What it says besides.
        message: String,
    },
    /// DynamoDB did not answer: a write may have been done.
    #[error("DynamoDB does not answer {operation}")]
    NoAnswer {
        /// The operation.
        operation: &'static str,
        /// Why.
        #[source]
        source: BoxError,
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
            StoreError::Refused { code, .. } => !is_passing(0, code),
            StoreError::Blob(BlobError::Unavailable { source, .. }) => Refused::is_in(&**source),
            StoreError::NoAnswer { .. } | StoreError::Busy { .. } => false,
            StoreError::Damaged { .. } | StoreError::Stored(_) | StoreError::Blob(_) => true,
        }
    }

    /// For a port, whose asker is patient with what may pass.
    pub(crate) fn boxed(self) -> BoxError {
        if self.is_refusal() { Box::new(Refused(Box::new(self))) } else { Box::new(self) }
    }

    pub(crate) fn damaged(key: impl Into<String>, why: impl ToString) -> Self {
        StoreError::Damaged { key: key.into(), why: why.to_string() }
    }

    /// What a call that failed comes to.
    pub(crate) fn of<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match error.as_service_error().and_then(|service| service.code()) {
            Some(code) => StoreError::Refused {
                operation,
                code: code.to_owned(),
                message: error.message().unwrap_or_default().to_owned(),
            },
            None => StoreError::NoAnswer { operation, source: error.into() },
        }
    }
}
