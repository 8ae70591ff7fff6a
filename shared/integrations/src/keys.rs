//! The keys that requests are signed with.

use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use stepwell_engine::port::BoxError;

use crate::credentials::{Credentials, KeySource};

/// How long keys without an end are used before their source is asked again.
const KEPT: Duration = Duration::from_secs(15 * 60);
/// Keys that end sooner than this are replaced.
const MARGIN: Duration = Duration::from_secs(60);
/// How long the source may search before an emulator gets a dummy signature: where there are no keys, a chain ends with
/// questions to addresses that nobody answers.
const EMULATOR_PATIENCE: Duration = Duration::from_millis(300);

/// Keys from a source, kept while they are good.
#[derive(Debug)]
pub struct Keys {
    source: Option<Arc<dyn KeySource>>,
    kept: RwLock<Option<(Credentials, SystemTime)>>,
    loading: tokio::sync::Mutex<()>,
}

impl Keys {
    /// Keys from `source`, which is asked when the first are needed.
    pub fn from_source(source: Arc<dyn KeySource>) -> Self {
        Keys { source: Some(source), kept: RwLock::default(), loading: tokio::sync::Mutex::default() }
    }

    /// No keys: emulators get requests with a dummy signature, AWS none.
    pub fn none() -> Self {
        Keys { source: None, kept: RwLock::default(), loading: tokio::sync::Mutex::default() }
    }

    /// These keys, as a function has them from its environment.
    pub fn of(keys: Credentials) -> Self {
        Keys::from_source(Arc::new(keys))
    }

    /// The same, of their parts.
    pub fn fixed(
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<String>,
        session_token: Option<String>,
    ) -> Self {
        Keys::of(Credentials::new(access_key_id, secret_access_key, session_token))
    }

    /// The keys for AWS.
    ///
    /// # Errors
    /// The source's, where it has none.
    pub async fn for_aws(&self) -> Result<Credentials, BoxError> {
        if let Some(keys) = self.kept() {
            return Ok(keys);
        }
        let _alone = self.loading.lock().await;
        if let Some(keys) = self.kept() {
            return Ok(keys);
        }
        let Some(source) = &self.source else {
            return Err("no credentials are configured".into());
        };
        let keys = source.keys().await?;
        let soonest = SystemTime::now() + KEPT;
        let until = keys.expires().map_or(soonest, |expires| expires - MARGIN);
        self.keep(&keys, until);
        Ok(keys)
    }

    /// The keys for an endpoint that is not AWS's: the source's if it has any, else dummies.
    pub async fn for_emulator(&self) -> Credentials {
        if let Some(keys) = self.kept() {
            return keys;
        }
        match tokio::time::timeout(EMULATOR_PATIENCE, self.for_aws()).await {
            Ok(Ok(keys)) => keys,
            _ => {
                let keys = Credentials::new("test", "test", None);
                self.keep(&keys, SystemTime::now() + KEPT);
                keys
            }
        }
    }

    fn kept(&self) -> Option<Credentials> {
        let kept = self.kept.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.as_ref().filter(|(_, until)| *until > SystemTime::now()).map(|(keys, _)| keys.clone())
    }

    fn keep(&self, keys: &Credentials, until: SystemTime) {
        let mut kept = self.kept.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        *kept = Some((keys.clone(), until));
    }
}
