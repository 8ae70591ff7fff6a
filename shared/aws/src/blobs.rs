//! What is too large for an item, or too dear there: objects by the hash of what they hold.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use stepwell_engine::port::BoxError;

use crate::error::StoreError;
use crate::item::AttributeValue;

/// Bytes of a page that stay in its item. A write unit is a kilobyte, and putting an object costs as much as eight.
const PAGE_BYTES_INLINE: usize = 8 * 1024;

/// Bytes of an input, or of an end, that stay in META's item, which is written at least twice.
const META_BYTES_INLINE: usize = 4 * 1024;

/// Bytes of a page, a definition or a result that an item can hold where there is no store of objects; with its keys
/// and the rest it stays under DynamoDB's 400 KB.
const ITEM_BYTES_MAX: usize = 380 * 1024;

/// Bytes of an input and of an end, where there is no store of objects. Both are in one item, with some two kilobytes; an input has
/// 256 KB at the most, and an end an error's cause of 32,768 characters, since a larger output stays in its page.
const INPUT_BYTES_MAX: usize = 256 * 1024;
const END_BYTES_MAX: usize = 134 * 1024;

/// What helps where something does not fit.
pub(crate) const NO_BUCKET: &str = "no bucket is configured for what is larger";

/// Objects that never change (S3). Their keys begin with what they belong to and end with the SHA-256 of their bytes, so that
/// putting one twice is putting it once, and what a run leaves can be removed with it.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Puts an object. Durable when it returns.
    ///
    /// # Errors
    /// Why it may not be there.
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BoxError>;

    /// The object of this key; `None` where there is none.
    ///
    /// # Errors
    /// The store does not answer.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, BoxError>;

    /// Deletes an object. There may be none.
    ///
    /// # Errors
    /// Why it may be left.
    async fn delete_one(&self, key: &str) -> Result<(), BoxError>;

    /// Deletes every object whose key begins with `prefix`. There may be none.
    ///
    /// # Errors
    /// Why some may be left.
    async fn delete(&self, prefix: &str) -> Result<(), BoxError>;
}

/// Why something large could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// It fits no item, and there is nowhere else to put it.
    #[error("{bytes} bytes do not fit an item (at most {most}), and {NO_BUCKET}")]
    NoBucket {
        /// Its size.
        bytes: usize,
        /// What fits.
        most: usize,
    },
    /// The store of objects does not answer.
    #[error("object {key}")]
    Unavailable {
        /// The object.
        key: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// An item refers to an object that is not there, or whose bytes are not those that were put.
    #[error("object {key} is {how}")]
    Lost {
        /// The object.
        key: String,
        /// `missing` or `damaged`.
        how: &'static str,
    },
}

/// What a body belongs to, which decides how much of it an item holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// A page, a definition, a result: written once.
    Page,
    /// The input, in META.
    Input,
    /// The end, in META.
    End,
}

/// Bodies of items: in the item itself, as bytes, or in an object, as the text of its hash.
#[derive(Clone)]
pub(crate) struct Bodies {
    pub(crate) blobs: Option<Arc<dyn Blobs>>,
}

impl Bodies {
    /// The attribute for `bytes`; an object is there when it returns.
    pub(crate) async fn store(
        &self,
        kind: Kind,
        owner: &str,
        bytes: Bytes,
    ) -> Result<AttributeValue, StoreError> {
        let (inline, most) = match kind {
            Kind::Page => (PAGE_BYTES_INLINE, ITEM_BYTES_MAX),
            Kind::Input => (META_BYTES_INLINE, INPUT_BYTES_MAX),
            Kind::End => (META_BYTES_INLINE, END_BYTES_MAX),
        };
        let Some(blobs) = &self.blobs else {
            if bytes.len() > most {
                return Err(BlobError::NoBucket { bytes: bytes.len(), most }.into());
            }
            return Ok(AttributeValue::B(bytes));
        };
        if bytes.len() <= inline {
            return Ok(AttributeValue::B(bytes));
        }
        let hash = hash(&bytes);
        let key = key(owner, &hash);
        match blobs.put(&key, bytes).await {
            Ok(()) => Ok(AttributeValue::S(hash.into())),
            Err(source) => Err(BlobError::Unavailable { key, source }.into()),
        }
    }

    /// Deletes the object that an attribute names, which no item does: its own was not written. What is not deleted is waste, and no
    /// more.
    pub(crate) async fn forget(&self, owner: &str, attribute: Option<&AttributeValue>) {
        let (Some(blobs), Some(AttributeValue::S(hash))) = (&self.blobs, attribute) else { return };
        if let Err(error) = blobs.delete_one(&key(owner, hash)).await {
            tracing::debug!(owner, %hash, %error, "an object that nothing names is left");
        }
    }

    /// What an attribute stands for.
    pub(crate) async fn fetch(&self, owner: &str, attribute: &AttributeValue) -> Result<Bytes, StoreError> {
        let expected = match attribute {
            AttributeValue::B(bytes) => return Ok(bytes.clone()),
            AttributeValue::S(hash) => hash,
            _ => return Err(StoreError::damaged(owner, "a body is neither bytes nor a hash")),
        };
        let key = key(owner, expected);
        let Some(blobs) = &self.blobs else {
            return Err(BlobError::Lost { key, how: "missing, as no bucket is configured" }.into());
        };
        let found = match blobs.get(&key).await {
            Ok(found) => found,
            Err(source) => return Err(BlobError::Unavailable { key, source }.into()),
        };
        let bytes = found.ok_or_else(|| BlobError::Lost { key: key.clone(), how: "missing" })?;
        if hash(&bytes) != **expected {
            return Err(BlobError::Lost { key, how: "damaged" }.into());
        }
        Ok(bytes)
    }
}

/// The key of an object, or with no hash what the keys of all of an owner's begin with.
pub(crate) fn key(owner: &str, hash: &str) -> String {
    format!("{owner}/{hash}")
}

fn hash(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_lower_case_hexadecimal() {
        assert_eq!(hash(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[tokio::test]
    async fn without_a_bucket_what_is_too_large_is_refused() {
        let bodies = Bodies { blobs: None };
        let store = async |kind, length: usize| bodies.store(kind, "o", Bytes::from(vec![1; length])).await;
        for (kind, most) in
            [(Kind::Page, ITEM_BYTES_MAX), (Kind::Input, INPUT_BYTES_MAX), (Kind::End, END_BYTES_MAX)]
        {
            assert!(matches!(store(kind, most).await, Ok(AttributeValue::B(_))));
            let refused =
                store(kind, most + 1).await.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(refused.contains("no bucket is configured"), "{refused}");
        }
    }
}
