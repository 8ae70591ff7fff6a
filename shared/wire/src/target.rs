//! What the ARN of a state machine, a version or an alias leads to.

use std::sync::Arc;

use stepwell_engine::port::{Alias, MachineStatus, StateMachine, Version};

use stepwell_asl::{MachineType, ProcessorMode, StateKind};

use crate::{Api, Error, Qualifier, StateMachineArn};

/// What an ARN leads to.
pub(crate) struct Target {
    /// The machine, in the revision that is meant; its status is the machine's own, as it is now.
    pub(crate) machine: Arc<StateMachine>,
    /// The version that was named, or that an alias picked.
    pub(crate) version: Option<Arc<Version>>,
    /// The ARN of the alias that was named.
    pub(crate) alias_arn: Option<Arc<str>>,
}

impl Target {
    /// The version's ARN.
    pub(crate) fn version_arn(&self) -> Option<Arc<str>> {
        self.version.as_ref().map(|version| version_arn(&self.machine.arn, version.number))
    }

    /// # Errors
    /// [`Error::StateMachineDeleting`].
    pub(crate) fn alive(self) -> Result<Self, Error> {
        alive(&self.machine)?;
        Ok(self)
    }
}

/// The ARN of a machine's version.
pub(crate) fn version_arn(machine_arn: &str, number: u64) -> Arc<str> {
    format!("{machine_arn}:{number}").into()
}

/// The ARN of a machine's alias.
pub(crate) fn alias_arn(machine_arn: &str, name: &str) -> Arc<str> {
    format!("{machine_arn}:{name}").into()
}

/// The version that most of an alias's executions go to; of two equal ones the first.
pub(crate) fn largest(alias: &Alias) -> u64 {
    let routes = alias.routing.iter().rev();
    routes.max_by_key(|route| route.weight).map_or(0, |route| route.version)
}

/// # Errors
/// [`Error::StateMachineDeleting`].
pub(crate) fn alive(machine: &StateMachine) -> Result<(), Error> {
    match machine.status {
        MachineStatus::Active => Ok(()),
        MachineStatus::Deleting => Err(Error::StateMachineDeleting(machine.arn.to_string())),
    }
}

/// # Errors
/// [`Error::Validation`] for the ARN of a Map state, which few operations take.
pub(crate) fn check_unlabelled(arn: &StateMachineArn) -> Result<(), Error> {
    match arn.qualifier() {
        Qualifier::Label(_) => Err(Error::validation_for(
            "API_DOES_NOT_SUPPORT_LABELED_ARNS",
            format!("This operation does not support the ARN of a Map state: '{}'", arn.text()),
        )),
        _ => Ok(()),
    }
}

impl Api {
    /// The state machine that `arn` names.
    ///
    /// # Errors
    /// [`Error::StateMachineDoesNotExist`], also for versions, aliases and labels.
    pub(crate) async fn machine(&self, arn: &StateMachineArn) -> Result<Arc<StateMachine>, Error> {
        let missing = || Error::StateMachineDoesNotExist(arn.text().to_string());
        if arn.qualifier() != Qualifier::None {
            return Err(missing());
        }
        self.own_machine(arn).await?.ok_or_else(missing)
    }

    /// The state machine that `arn` names, or whose version, alias or Map state it names.
    pub(crate) async fn own_machine(
        &self,
        arn: &StateMachineArn,
    ) -> Result<Option<Arc<StateMachine>>, Error> {
        if !arn.is_here() {
            return Ok(None);
        }
        Ok(self.engine().ports().registry.machine(arn.machine()).await?)
    }

    /// What `arn` leads to; `choose` picks a version of an alias.
    ///
    /// # Errors
    /// [`Error::StateMachineDoesNotExist`].
    pub(crate) async fn target(
        &self,
        arn: &StateMachineArn,
        choose: impl FnOnce(&Alias) -> u64,
    ) -> Result<Target, Error> {
        let missing = || Error::StateMachineDoesNotExist(arn.text().to_string());
        let machine = self.own_machine(arn).await?.ok_or_else(missing)?;
        self.led_to(arn, machine, choose).await
    }

    /// The same for a start, which may run the definition of a moment ago.
    ///
    /// # Errors
    /// As [`Api::target`].
    pub(crate) async fn target_lately(
        &self,
        arn: &StateMachineArn,
        choose: impl FnOnce(&Alias) -> u64,
    ) -> Result<Target, Error> {
        let missing = || Error::StateMachineDoesNotExist(arn.text().to_string());
        let registry = &self.engine().ports().registry;
        let machine = if arn.is_here() { registry.machine_lately(arn.machine()).await? } else { None };
        self.led_to(arn, machine.ok_or_else(missing)?, choose).await
    }

    async fn led_to(
        &self,
        arn: &StateMachineArn,
        machine: Arc<StateMachine>,
        choose: impl FnOnce(&Alias) -> u64,
    ) -> Result<Target, Error> {
        let missing = || Error::StateMachineDoesNotExist(arn.text().to_string());
        let registry = &self.engine().ports().registry;
        let (number, alias_arn) = match arn.qualifier() {
            Qualifier::None => return Ok(Target { machine, version: None, alias_arn: None }),
            Qualifier::Version(number) => (number, None),
            Qualifier::Alias(name) => {
                let alias = registry.alias(&machine.arn, name).await?.ok_or_else(missing)?;
                (choose(&alias), Some(arn.text().clone()))
            }
            Qualifier::Label(label) => {
                let machine = self.labelled(&machine, arn, label).ok_or_else(missing)?;
                return Ok(Target { machine, version: None, alias_arn: None });
            }
        };
        let version = registry.version(&machine.arn, number).await?.ok_or_else(missing)?;
        let revision = registry.revision(&machine.arn, &version.revision).await?.ok_or_else(missing)?;
        let revision = if revision.status == machine.status {
            revision
        } else {
            Arc::new(StateMachine { status: machine.status, ..StateMachine::clone(&revision) })
        };
        Ok(Target { machine: revision, version: Some(version), alias_arn })
    }

    /// The distributed Map state of this label, as the machine that its executions are of.
    fn labelled(
        &self,
        machine: &StateMachine,
        arn: &StateMachineArn,
        label: &str,
    ) -> Option<Arc<StateMachine>> {
        let definition = self.engine().definition(machine).ok()?;
        let map = definition.labelled(label)?;
        let StateKind::Map(kind) = &map.kind else { return None };
        let ProcessorMode::Distributed { express } = kind.mode else { return None };
        Some(Arc::new(StateMachine {
            arn: arn.text().clone(),
            name: format!("{}/{label}", machine.name).into(),
            machine_type: if express { MachineType::Express } else { MachineType::Standard },
            definition: definition.processor(map)?.text().clone(),
            ..machine.clone()
        }))
    }
}
