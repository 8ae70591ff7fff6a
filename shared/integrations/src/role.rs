//! `Credentials`: the roles that tasks assume for their calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_credential_types::provider::error::CredentialsError;
use stepwell_asl::ErrorName;
use stepwell_interpreter::ErrorOutput;

use crate::{Aws, Keys, Service};

/// Roles whose keys are kept at once; tasks that name more than these begin anew.
const ROLES_MAX: usize = 1000;

/// The keys of the roles assumed so far.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    keys: Mutex<BTreeMap<String, Arc<Keys>>>,
}

impl Roles {
    /// The keys of `role`, which a machine running as `machine_role` assumes.
    ///
    /// # Errors
    /// `States.TaskFailed` where it may not.
    pub(crate) async fn assume(
        &self,
        aws: &Aws,
        role: &str,
        machine_role: &str,
    ) -> Result<Arc<Keys>, ErrorOutput> {
        let known = self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(role).cloned();
        let keys = match known {
            Some(keys) => keys,
            None => {
                let config = aws.sdk_config(Service::Sts, Arc::clone(&aws.keys));
                let provider = AssumeRoleProvider::builder(role)
                    .session_name("stepwell")
                    .configure(&config)
                    .build()
                    .await;
                Arc::new(Keys::from_chain(SharedCredentialsProvider::new(provider)))
            }
        };
        keys.for_aws().await.map_err(|error| refused(&error, role, machine_role))?;
        let mut all = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= ROLES_MAX {
            all.clear();
        }
        Ok(all.entry(role.to_owned()).or_insert(keys).clone())
    }
}

fn refused(error: &CredentialsError, role: &str, machine_role: &str) -> ErrorOutput {
    tracing::warn!(role, error = %aws_smithy_types::error::display::DisplayErrorContext(error), "a role was not assumed");
    let cause = format!("The role {machine_role} is not authorized to assume the task state's role, {role}.");
    ErrorOutput::new(ErrorName::TASK_FAILED, cause)
}
