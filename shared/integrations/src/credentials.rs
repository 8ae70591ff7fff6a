//! The keys of a user or role of AWS, and where they come from.

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use stepwell_engine::port::BoxError;

/// An access key with its secret, and the token of the session that it belongs to.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expires: Option<SystemTime>,
}

impl Credentials {
    /// Keys that are good until they are replaced.
    pub fn new(
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<String>,
        session_token: Option<String>,
    ) -> Self {
        let (access_key_id, secret_access_key) = (access_key_id.into(), secret_access_key.into());
        Credentials { access_key_id, secret_access_key, session_token, expires: None }
    }

    /// The same, which are good until then.
    #[must_use]
    pub fn until(self, expires: SystemTime) -> Self {
        Credentials { expires: Some(expires), ..self }
    }

    /// What names the key.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// What signs.
    pub fn secret_access_key(&self) -> &str {
        &self.secret_access_key
    }

    /// What a session's requests bear.
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }

    /// Until when they are good, where that is known.
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }
}

impl fmt::Debug for Credentials {
    /// Neither secret nor token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, expires {:?})", self.access_key_id, self.expires)
    }
}

/// Something that has keys, or gets them when it is asked.
#[async_trait]
pub trait KeySource: fmt::Debug + Send + Sync {
    /// The keys as they are now.
    ///
    /// # Errors
    /// Why there are none.
    async fn keys(&self) -> Result<Credentials, BoxError>;
}

#[async_trait]
impl KeySource for Credentials {
    async fn keys(&self) -> Result<Credentials, BoxError> {
        Ok(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_reads_secrets_in_a_log() {
        let keys =
            Credentials::new("AKID", "hidden", Some("hidden".to_owned())).until(SystemTime::UNIX_EPOCH);
        let shown = format!("{keys:?}");
        assert!(shown.contains("AKID") && !shown.contains("hidden"), "{shown}");
    }
}
