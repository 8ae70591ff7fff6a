//! What every real call needs to know.

use std::sync::Arc;

use stepwell_engine::port::TaskCall;
use stepwell_interpreter::ErrorOutput;

use crate::{Endpoints, Keys, Service};

/// The region of calls, where they go, and the keys they are signed with. Clones share keys and
/// connections.
#[derive(Debug, Clone)]
pub struct Aws {
    pub(crate) region: String,
    pub(crate) endpoints: Endpoints,
    pub(crate) keys: Arc<Keys>,
    #[cfg(feature = "http-client")]
    pub(crate) lean: Arc<crate::http::HttpClient>,
    #[cfg(feature = "sdk")]
    pub(crate) http: aws_smithy_runtime_api::client::http::SharedHttpClient,
    #[cfg(feature = "http-client")]
    roles: Arc<crate::role::Roles>,
    assumes_machine_roles: bool,
}

impl Aws {
    /// Calls of `region`.
    pub fn new(region: impl Into<String>, endpoints: Endpoints, keys: Keys) -> Self {
        Aws {
            region: region.into(),
            endpoints,
            keys: Arc::new(keys),
            #[cfg(feature = "http-client")]
            lean: Arc::default(),
            #[cfg(feature = "sdk")]
            http: crate::connections::http_client(),
            #[cfg(feature = "http-client")]
            roles: Arc::default(),
            assumes_machine_roles: false,
        }
    }

    /// The same, where each state machine's `roleArn` is assumed for its tasks' calls, and the roles of their `Credentials` with the
    /// keys of that role. Otherwise those of `Credentials` alone are assumed, with the program's own keys.
    #[must_use]
    pub fn assuming_machine_roles(self) -> Self {
        Aws { assumes_machine_roles: true, ..self }
    }

    /// Calls of `region`, with the keys that the SDKs' chain finds: environment, profiles, web identity, container,
    /// instance. It is asked when the first are needed.
    #[cfg(feature = "chain")]
    pub async fn load(region: impl Into<String>, endpoints: Endpoints) -> Self {
        let region = region.into();
        let config = chain().region(aws_config::Region::new(region.clone())).load().await;
        Aws::new(region, endpoints, keys_of(&config))
    }

    /// The same with the keys and settings of a profile in the user's files. The region is `region`, else what the
    /// environment or the profile says; `None` where nothing does.
    #[cfg(feature = "chain")]
    pub async fn load_profile(
        profile: Option<&str>,
        region: Option<&str>,
        endpoints: Endpoints,
    ) -> Option<Self> {
        let mut chain = chain();
        if let Some(profile) = profile {
            chain = chain.profile_name(profile);
        }
        if let Some(region) = region {
            chain = chain.region(aws_config::Region::new(region.to_owned()));
        }
        let config = chain.load().await;
        let region = config.region()?.to_string();
        Some(Aws::new(region, endpoints, keys_of(&config)))
    }

    /// The region of calls.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Where calls go.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The same, whose official clients use connections of the caller's.
    #[cfg(feature = "sdk")]
    #[must_use]
    pub fn with_http(self, client: impl aws_smithy_runtime_api::client::http::HttpClient + 'static) -> Self {
        use aws_smithy_runtime_api::shared::IntoShared;
        Aws { http: client.into_shared(), ..self }
    }

    /// The connections that the official clients share.
    #[cfg(feature = "sdk")]
    pub fn http(&self) -> aws_smithy_runtime_api::client::http::SharedHttpClient {
        self.http.clone()
    }

    /// The keys that calls are signed with.
    pub fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// The keys for a task's call of `service`: those of its role, where it has `Credentials`, or else of its machine's, where
    /// machines' roles are assumed.
    ///
    /// # Errors
    /// A role that cannot be assumed.
    pub(crate) async fn keys_for(&self, task: &TaskCall, service: Service) -> Result<Arc<Keys>, ErrorOutput> {
        let role = &task.call.credentials;
        if role.is_none() && !self.assumes_machine_roles {
            return Ok(Arc::clone(&self.keys));
        }
        if self.endpoints.is_emulated(service) && !self.endpoints.is_emulated(Service::Sts) {
            // An emulator of one service knows no roles, and its requests are none of AWS's business.
            return Ok(Arc::clone(&self.keys));
        }
        #[cfg(feature = "http-client")]
        {
            let mut keys = Arc::clone(&self.keys);
            if self.assumes_machine_roles {
                keys = self.roles.of_machine(self, &task.info).await?;
            }
            if let Some(role) = role {
                keys = self.roles.of_task(self, role, &task.info, &keys).await?;
            }
            Ok(keys)
        }
        #[cfg(not(feature = "http-client"))]
        Err(crate::error::roles_not_available(role.as_deref().unwrap_or(&task.info.role_arn)))
    }
}

#[cfg(feature = "chain")]
fn chain() -> aws_config::ConfigLoader {
    aws_config::defaults(crate::sdk::BEHAVIOR()).http_client(crate::connections::http_client())
}

#[cfg(feature = "chain")]
fn keys_of(config: &aws_config::SdkConfig) -> Keys {
    config.credentials_provider().map_or_else(Keys::none, Keys::from_chain)
}
