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
    pub(crate) http: Arc<dyn crate::http::Http>,
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
            http: Arc::new(crate::http::HttpClient::new()),
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

    /// The region of calls.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Where calls go.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The same, whose requests another takes to where they go.
    #[cfg(feature = "http-client")]
    #[must_use]
    pub fn over(self, http: impl crate::http::Http + 'static) -> Self {
        Aws { http: Arc::new(http), ..self }
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
