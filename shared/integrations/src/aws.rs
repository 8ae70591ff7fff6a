//! What every real call needs to know.

use std::sync::Arc;

use stepwell_engine::port::TaskCall;
use stepwell_interpreter::ErrorOutput;

use crate::{Endpoints, Keys, Service};

/// The region of calls, where they go, and the keys they are signed with. Clones share the keys.
#[derive(Debug, Clone)]
pub struct Aws {
    pub(crate) region: String,
    pub(crate) endpoints: Endpoints,
    pub(crate) keys: Arc<Keys>,
    #[cfg(feature = "sdk")]
    pub(crate) http: aws_smithy_runtime_api::client::http::SharedHttpClient,
    #[cfg(feature = "sdk")]
    roles: Arc<crate::role::Roles>,
}

impl Aws {
    /// Calls of `region`.
    pub fn new(region: impl Into<String>, endpoints: Endpoints, keys: Keys) -> Self {
        Aws {
            region: region.into(),
            endpoints,
            keys: Arc::new(keys),
            #[cfg(feature = "sdk")]
            http: crate::sdk::http_client(),
            #[cfg(feature = "sdk")]
            roles: Arc::default(),
        }
    }

    /// Calls of `region`, with the keys that the SDKs' chain finds: environment, profiles, web identity, container,
    /// instance. It is asked when the first are needed.
    #[cfg(feature = "sdk")]
    pub async fn load(region: impl Into<String>, endpoints: Endpoints) -> Self {
        let region = region.into();
        let config = aws_config::defaults(crate::sdk::BEHAVIOR())
            .region(aws_config::Region::new(region.clone()))
            .http_client(crate::sdk::http_client())
            .load()
            .await;
        let keys = config.credentials_provider().map_or_else(Keys::none, Keys::from_chain);
        Aws::new(region, endpoints, keys)
    }

    /// The keys for a task's call of `service`: those of its role, where it has `Credentials`.
    ///
    /// # Errors
    /// A role that cannot be assumed.
    pub(crate) async fn keys_for(&self, task: &TaskCall, service: Service) -> Result<Arc<Keys>, ErrorOutput> {
        let Some(role) = &task.call.credentials else { return Ok(Arc::clone(&self.keys)) };
        if self.endpoints.is_emulated(service) && !self.endpoints.is_emulated(Service::Sts) {
            // An emulator of one service knows no roles, and its requests are none of AWS's business.
            return Ok(Arc::clone(&self.keys));
        }
        #[cfg(feature = "sdk")]
        return self.roles.assume(self, role, &task.info.role_arn).await;
        #[cfg(not(feature = "sdk"))]
        return Err(crate::error::roles_not_available(role));
    }
}
