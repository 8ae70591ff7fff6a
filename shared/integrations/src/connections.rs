//! The connections of the official clients.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::shared::IntoShared;

/// How long connections that nobody uses are kept.
const IDLE: Duration = Duration::from_secs(45);

/// Connections for all clients; TLS by rustls with ring.
///
/// What was not used lately by the clock of the world is let go of: a function's process may stand still between two events, without
/// its clocks noticing, and a request that is sent to nobody has an unknown outcome.
pub(crate) fn http_client() -> SharedHttpClient {
    Connections { pool: Mutex::new((pool(), SystemTime::now())) }.into_shared()
}

#[derive(Debug)]
struct Connections {
    /// The pool, and when it was last used.
    pool: Mutex<(SharedHttpClient, SystemTime)>,
}

fn pool() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}

impl Connections {
    fn pool(&self, now: SystemTime) -> SharedHttpClient {
        let mut kept = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let (pool, used) = &mut *kept;
        if is_stale(*used, now) {
            *pool = self::pool();
        }
        *used = now;
        pool.clone()
    }
}

impl HttpClient for Connections {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.pool(SystemTime::now()).http_connector(settings, components)
    }
}

/// Whether what was `used` last has to be let go of. A clock that was set back says nothing.
fn is_stale(used: SystemTime, now: SystemTime) -> bool {
    now.duration_since(used).is_ok_and(|unused| unused > IDLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_used_lately_is_used_again() {
        let used = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let after = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert!(!is_stale(used, after(1_000)));
        assert!(!is_stale(used, after(1_045)));
        assert!(is_stale(used, after(1_046)));
        assert!(!is_stale(used, after(10)));
    }
}
