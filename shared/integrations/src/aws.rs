//! What every real call needs to know.

use std::sync::Arc;

use crate::{Endpoints, Keys};

/// The region of calls, where they go, and the keys they are signed with. Clones share the keys.
#[derive(Debug, Clone)]
pub struct Aws {
    pub(crate) region: String,
    pub(crate) endpoints: Endpoints,
    pub(crate) keys: Arc<Keys>,
}

impl Aws {
    /// Calls of `region`.
    pub fn new(region: impl Into<String>, endpoints: Endpoints, keys: Keys) -> Self {
        Aws {
            region: region.into(),
            endpoints,
            keys: Arc::new(keys),
        }
    }
}
