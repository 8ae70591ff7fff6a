//! State machines.

use std::sync::Arc;

use async_trait::async_trait;
use stepwell_asl::MachineType;
use stepwell_interpreter::Timestamp;

use super::BoxError;

/// Versions that a state machine has at most (API: PublishStateMachineVersion).
pub const VERSIONS_MAX: usize = 1000;

/// Aliases that a state machine has at most (API: CreateStateMachineAlias).
pub const ALIASES_MAX: usize = 100;

/// State machines, their versions and aliases. Their ARNs say whose they are: one account's, in one region, stand together in the
/// order of ARNs.
///
/// Each write is one conditional step, so that of two at once one comes first and the other sees it. A machine that is being
/// deleted takes no change but its removal.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Puts a machine that was not there, and its first version, which is number 1, where there is to be one.
    ///
    /// # Errors
    /// [`RegistryError::Exists`] with the one of that name.
    async fn create(
        &self,
        machine: Arc<StateMachine>,
        version: Option<Publication>,
    ) -> Result<(), RegistryError>;

    /// Puts a machine in place of `expected`, which tells by its revision and edition whether it is still the newest. Older
    /// revisions stay readable for the executions that started with them.
    ///
    /// # Errors
    /// [`RegistryError::Missing`] where it is gone, [`RegistryError::Exists`] with the newer one where it changed,
    /// [`RegistryError::Deleting`].
    async fn update(&self, machine: Arc<StateMachine>, expected: &StateMachine) -> Result<(), RegistryError>;

    /// The machine of this ARN (without version or alias), as it is now.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    async fn machine(&self, arn: &str) -> Result<Option<Arc<StateMachine>>, RegistryError>;

    /// The same for a start, which may run the definition of a moment ago (API: UpdateStateMachine): an adapter to which that is
    /// cheaper may answer from a copy that lags behind, but never that there is no such machine.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    async fn machine_lately(&self, arn: &str) -> Result<Option<Arc<StateMachine>>, RegistryError> {
        self.machine(arn).await
    }

    /// The definition text of a revision that an execution started with, which outlives its machine. Status and tags are not
    /// kept up to date in it.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    async fn revision(&self, arn: &str, revision: &str) -> Result<Option<Arc<StateMachine>>, RegistryError>;

    /// Machines in the order of their ARNs, from behind `after`, `limit` at most.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Arc<StateMachine>>, RegistryError>;

    /// Notes that a machine, whose newest revision is this one, is being deleted; one that is so already stays so.
    ///
    /// # Errors
    /// [`RegistryError::Missing`], [`RegistryError::Exists`] with the machine where it has another revision.
    async fn begin_delete(&self, arn: &str, revision: &str) -> Result<(), RegistryError>;

    /// Whether a machine is being deleted. Drivers ask before each transition, so an adapter to which a read is dear may answer
    /// from what it read some seconds ago.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    async fn is_deleting(&self, arn: &str) -> Result<bool, RegistryError> {
        let machine = self.machine(arn).await?;
        Ok(machine.is_some_and(|machine| machine.status == MachineStatus::Deleting))
    }

    /// Removes a machine whose newest revision is this one, with its versions and aliases; one that is not there is removed
    /// already. Its revisions stay.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    async fn delete(&self, arn: &str, revision: &str) -> Result<(), RegistryError>;

    /// Makes a version of a machine's newest revision, with the number behind the last one ever given, and gives it. Where
    /// that revision has one already, that is given, whatever `publication` says besides.
    ///
    /// # Errors
    /// [`RegistryError::Missing`], [`RegistryError::Deleting`], [`RegistryError::Exists`] with the machine where its newest
    /// revision is another, [`RegistryError::Full`] at [`VERSIONS_MAX`].
    async fn publish(&self, arn: &str, publication: Publication) -> Result<Arc<Version>, RegistryError>;

    /// A version of a machine.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    async fn version(&self, arn: &str, number: u64) -> Result<Option<Arc<Version>>, RegistryError>;

    /// A machine's versions, the newest first, from behind `before`, `limit` at most.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    async fn versions(
        &self,
        arn: &str,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Arc<Version>>, RegistryError>;

    /// Removes a version; one that is not there is removed already.
    ///
    /// # Errors
    /// [`RegistryError::VersionInUse`].
    async fn delete_version(&self, arn: &str, number: u64) -> Result<(), RegistryError>;

    /// Puts an alias that was not there. Its versions are there when it is put, and stay as long as it names them.
    ///
    /// # Errors
    /// [`RegistryError::Missing`], [`RegistryError::Deleting`], [`RegistryError::AliasExists`] with the one of that name,
    /// [`RegistryError::VersionMissing`], [`RegistryError::Full`] at [`ALIASES_MAX`].
    async fn create_alias(&self, arn: &str, alias: Arc<Alias>) -> Result<(), RegistryError>;

    /// Puts an alias in place of the one of its name and of edition `expected`.
    ///
    /// # Errors
    /// [`RegistryError::AliasMissing`], [`RegistryError::AliasExists`] with the newer one where it changed,
    /// [`RegistryError::Deleting`], [`RegistryError::VersionMissing`].
    async fn update_alias(&self, arn: &str, alias: Arc<Alias>, expected: u64) -> Result<(), RegistryError>;

    /// An alias of a machine.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    async fn alias(&self, arn: &str, name: &str) -> Result<Option<Arc<Alias>>, RegistryError>;

    /// A machine's aliases in the order of their names, from behind `after`, `limit` at most; only those that name `version`,
    /// where there is one.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    async fn aliases(
        &self,
        arn: &str,
        version: Option<u64>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Arc<Alias>>, RegistryError>;

    /// Removes an alias; one that is not there is removed already.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    async fn delete_alias(&self, arn: &str, name: &str) -> Result<(), RegistryError>;
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
    /// How often it was written since its creation: tags and status change without a new revision.
    pub edition: u64,
}

/// What a version is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The machine's newest revision.
    pub revision: Arc<str>,
    /// `description`
    pub description: Option<Arc<str>>,
    /// When it is made.
    pub at: Timestamp,
}

/// A version of a state machine (API: PublishStateMachineVersion): a revision with a number, for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// From 1; no number is given twice.
    pub number: u64,
    /// The revision.
    pub revision: Arc<str>,
    /// `description`
    pub description: Option<Arc<str>>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An alias of a state machine (API: CreateStateMachineAlias): a name for one or two of its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// Its name.
    pub name: Arc<str>,
    /// `description`
    pub description: Option<Arc<str>>,
    /// Where its executions go; never empty, and the weights' sum is 100.
    pub routing: Vec<Route>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// How often it was written since its creation.
    pub edition: u64,
}

/// A part of an alias's executions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The version that runs them.
    pub version: u64,
    /// How many of a hundred they are.
    pub weight: u8,
}

impl Alias {
    /// The version that a random number picks, by the weights.
    pub fn pick(&self, random: u64) -> u64 {
        // Of 2^64 numbers, a hundredth more or less makes no difference that anybody could see.
        let mut left = random % 100;
        for route in &self.routing {
            match left.checked_sub(route.weight.into()) {
                Some(rest) => left = rest,
                None => return route.version,
            }
        }
        self.routing.last().map_or(0, |route| route.version)
    }
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
    /// The machine is being deleted.
    #[error("state machine {0} is being deleted")]
    Deleting(String),
    /// Another alias has this name, or this one has changed meanwhile.
    #[error("alias {} exists", .0.name)]
    AliasExists(Arc<Alias>),
    /// There is no such alias.
    #[error("alias {0} does not exist")]
    AliasMissing(String),
    /// There is no such version, so that no alias can name it.
    #[error("version {0} does not exist")]
    VersionMissing(u64),
    /// Aliases of these names use the version.
    #[error("version is used by {} aliases", .0.len())]
    VersionInUse(Vec<Arc<str>>),
    /// The machine has as many versions or aliases as it may.
    #[error("no more than {0}")]
    Full(usize),
    /// No store holds such a definition.
    #[error("a definition of {bytes} bytes: its store holds {most}, {why}")]
    TooLarge {
        /// The definition's size.
        bytes: usize,
        /// The largest that the store takes.
        most: usize,
        /// What would help, for people.
        why: &'static str,
    },
    /// The store does not answer.
    #[error("registry: {0}")]
    Unavailable(#[source] BoxError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_picks_by_weight() {
        let check = |weights: &[(u64, u8)], expected: &[(u64, usize)]| {
            let routing =
                weights.iter().map(|(version, weight)| Route { version: *version, weight: *weight });
            let alias = Alias {
                name: "a".into(),
                description: None,
                routing: routing.collect(),
                created_at: Timestamp(0),
                updated_at: Timestamp(0),
                edition: 0,
            };
            let picked: Vec<u64> = (0..1000).map(|random| alias.pick(random)).collect();
            for (version, count) in expected {
                assert_eq!(picked.iter().filter(|picked| *picked == version).count(), *count, "{weights:?}");
            }
        };
        check(&[(3, 100)], &[(3, 1000)]);
        check(&[(1, 70), (2, 30)], &[(1, 700), (2, 300)]);
        check(&[(1, 0), (2, 100)], &[(1, 0), (2, 1000)]);
        check(&[(2, 100), (1, 0)], &[(1, 0), (2, 1000)]);
        check(&[(1, 99), (2, 1)], &[(2, 10)]);
    }
}
