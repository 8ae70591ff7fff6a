//! The keys that requests are signed with.

use std::sync::RwLock;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};

/// How long keys without an end are used before the chain is asked again.
const KEPT: Duration = Duration::from_secs(15 * 60);
/// Keys that end sooner than this are replaced.
const MARGIN: Duration = Duration::from_secs(60);
/// How long the chain may search before an emulator gets a dummy signature: where there are no keys, it ends with
/// questions to addresses that nobody answers.
const EMULATOR_PATIENCE: Duration = Duration::from_millis(300);

/// Keys from a chain of providers, kept while they are good.
#[derive(Debug)]
pub struct Keys {
    chain: Option<SharedCredentialsProvider>,
    kept: RwLock<Option<(Credentials, SystemTime)>>,
    loading: tokio::sync::Mutex<()>,
}

impl Keys {
    /// Keys from `chain`, which is asked when the first is needed.
    pub fn from_chain(chain: SharedCredentialsProvider) -> Self {
        Keys { chain: Some(chain), kept: RwLock::default(), loading: tokio::sync::Mutex::default() }
    }

    /// No keys: emulators get requests with a dummy signature, AWS none.
    pub fn none() -> Self {
        Keys { chain: None, kept: RwLock::default(), loading: tokio::sync::Mutex::default() }
    }

    /// These keys, as a function has them from its environment.
    pub fn fixed(
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<String>,
        session_token: Option<String>,
    ) -> Self {
        let keys = Credentials::new(access_key_id, secret_access_key, session_token, None, "fixed");
        Keys::from_chain(SharedCredentialsProvider::new(keys))
    }

    /// The keys for AWS.
    ///
    /// # Errors
    /// The chain's, where it finds none.
    pub async fn for_aws(&self) -> Result<Credentials, CredentialsError> {
        if let Some(keys) = self.kept() {
            return Ok(keys);
        }
        let _alone = self.loading.lock().await;
        if let Some(keys) = self.kept() {
            return Ok(keys);
        }
        let Some(chain) = &self.chain else {
            return Err(CredentialsError::not_loaded("no credentials are configured"));
        };
        let keys = chain.provide_credentials().await?;
        let soonest = SystemTime::now() + KEPT;
        let until = keys.expiry().map_or(soonest, |expiry| expiry - MARGIN);
        self.keep(&keys, until);
        Ok(keys)
    }

    /// The keys for an endpoint that is not AWS's: the chain's if it has any, else dummies.
    pub async fn for_emulator(&self) -> Credentials {
        if let Some(keys) = self.kept() {
            return keys;
        }
        match tokio::time::timeout(EMULATOR_PATIENCE, self.for_aws()).await {
            Ok(Ok(keys)) => keys,
            _ => {
                let keys = Credentials::new("test", "test", None, None, "dummy");
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
