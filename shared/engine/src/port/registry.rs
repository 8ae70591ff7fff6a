//! State machines.

use std::sync::Arc;

use async_trait::async_trait;
use stepwell_asl::MachineType;
use stepwell_interpreter::Timestamp;

use super::BoxError;

/// State machines. Their ARNs say whose they are: one account's, in one region, stand together in the order of ARNs.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Puts a machine that was not there.
    ///
    /// # Errors
    /// [`RegistryError::Exists`] with the one of that name.
    async fn create(&self, machine: Arc<StateMachine>) -> Result<(), RegistryError>;

    /// Puts a machine in place of the revision `expected`. Older revisions stay readable for the executions that
    /// started with them.
    ///
    /// # Errors
    /// [`RegistryError::Missing`] where it is gone, [`RegistryError::Exists`] with the newer one where it changed.
    async fn update(&self, machine: Arc<StateMachine>, expected: &str) -> Result<(), RegistryError>;

    /// The machine of this ARN (without version or alias), as it is now.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    async fn machine(&self, arn: &str) -> Result<Option<Arc<StateMachine>>, RegistryError>;

    /// The definition text of a revision that an execution started with, which outlives its machine.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    async fn revision(&self, arn: &str, revision: &str) -> Result<Option<Arc<StateMachine>>, RegistryError>;

    /// Machines in the order of their ARNs, from behind `after`, `limit` at most.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Arc<StateMachine>>, RegistryError>;

    /// Removes a machine; one that is not there is removed already. Its revisions stay.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    async fn delete(&self, arn: &str) -> Result<(), RegistryError>;
}

/// A state machine (API: DescribeStateMachine).
#[derive(Debug, Clone, PartialEq)]
pub struct StateMachine {
    /// Its ARN.
    pub arn: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Standard or Express.
    pub machine_type: MachineType,
    /// Its definition, as it was given.
    pub definition: Arc<str>,
    /// Its role.
    pub role_arn: Arc<str>,
    /// Names what was last changed; a machine never updated has one too, which the API does not show.
    pub revision: Arc<str>,
    /// Whether it was updated since its creation.
    pub is_updated: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Whether it is being deleted.
    pub status: MachineStatus,
    /// `loggingConfiguration`, as JSON, where one was given.
    pub logging: Option<Arc<str>>,
    /// `tracingConfiguration`, as JSON, where one was given.
    pub tracing: Option<Arc<str>>,
    /// `encryptionConfiguration`, as JSON, where one was given.
    pub encryption: Option<Arc<str>>,
    /// Its tags, in the order given.
    pub tags: Vec<(String, String)>,
}

/// `status` of a state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineStatus {
    /// `ACTIVE`
    Active,
    /// `DELETING`
    Deleting,
}

/// Why a machine was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Another machine has this name, or this one has changed meanwhile.
    #[error("state machine {} exists", .0.arn)]
    Exists(Arc<StateMachine>),
    /// There is no such machine.
    #[error("state machine {0} does not exist")]
    Missing(String),
    /// The store does not answer.
    #[error("registry: {0}")]
    Unavailable(#[source] BoxError),
}
