//! Definitions, parsed once for each revision.

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwell_asl::{Definition, Diagnostic, Format, StateKind, parse};
use stepwell_interpreter::Resource;

use crate::Engine;
use crate::cache::Cache;
use crate::driver::DriveError;
use crate::meta::Meta;
use crate::port::{Logging, RegistryError, StateMachine};

/// Definitions kept at hand.
const CACHED_MAX: usize = 256;

/// By the machine's ARN and revision.
pub(crate) type Definitions = Cache<(Arc<str>, Arc<str>), Arc<Definition>>;

/// The ARNs of the activities that a definition names, by the machine's ARN and revision.
pub(crate) type ActivityNames = Cache<(Arc<str>, Arc<str>), Arc<[Arc<str>]>>;

/// How machines are logged, by their ARN and revision.
pub(crate) type Loggings = Cache<(Arc<str>, Arc<str>), Option<Arc<Logging>>>;

pub(crate) fn loggings() -> Loggings {
    Cache::new(CACHED_MAX)
}

pub(crate) fn activity_names() -> ActivityNames {
    Cache::new(CACHED_MAX)
}

pub(crate) fn definitions() -> Definitions {
    Cache::new(CACHED_MAX)
}

impl Engine {
    /// A machine's definition, parsed once for each revision.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn definition(&self, machine: &StateMachine) -> Result<Arc<Definition>, Vec<Diagnostic>> {
        let key = (machine.arn.clone(), machine.revision.clone());
        if let Some(definition) = self.inner.definitions.copy(&key) {
            return Ok(definition);
        }
        self.inner.loggings.put(key.clone(), logging(machine), |_, _| false);
        let parsed = parse(&machine.definition, Format::Json, machine.machine_type);
        let definition = Arc::new(parsed.definition.ok_or(parsed.diagnostics)?);
        self.inner.definitions.put(key, definition.clone(), |_, _| false);
        Ok(definition)
    }

    /// How a run's machine was logged when it started; `None` where it was not. That is read once for each revision.
    pub(crate) async fn logging_of(&self, meta: &Meta) -> Result<Option<Arc<Logging>>, RegistryError> {
        let arn = whole(&meta.info.state_machine_arn);
        let key = (arn.into(), meta.revision.clone());
        if let Some(logging) = self.inner.loggings.copy(&key) {
            return Ok(logging);
        }
        let registry = &self.inner.ports.registry;
        let machine = self.patiently(|| registry.revision(arn, &meta.revision)).await?;
        let logging = machine.and_then(|machine| logging(&machine));
        self.inner.loggings.put(key, logging.clone(), |_, _| false);
        Ok(logging)
    }

    /// The activities that `definition` names, which is that of a run.
    pub(crate) fn activities_of(&self, meta: &Meta, definition: &Definition) -> Arc<[Arc<str>]> {
        let key = (meta.info.state_machine_arn.clone(), meta.revision.clone());
        if let Some(names) = self.inner.activity_names.copy(&key) {
            return names;
        }
        let resource = |kind: &StateKind| match kind {
            StateKind::Task(task) => Resource::parse(&task.resource),
            _ => None,
        };
        let activity = |resource| if let Resource::Activity { arn } = resource { Some(arn) } else { None };
        let names: BTreeSet<_> =
            definition.states().filter_map(|state| resource(&state.kind).and_then(activity)).collect();
        let names: Arc<[Arc<str>]> = names.into_iter().collect();
        self.inner.activity_names.put(key, names.clone(), |_, _| false);
        names
    }

    /// The state machine of an execution, in the revision that it started with. Of a Map Run's execution, that is the
    /// processor of the Map state.
    ///
    /// # Errors
    /// [`RegistryError`]. `None` where the revision is gone.
    pub async fn machine_of(&self, meta: &Meta) -> Result<Option<Arc<StateMachine>>, RegistryError> {
        let arn = &meta.info.state_machine_arn;
        let registry = &self.inner.ports.registry;
        let Some((whole, _)) = arn.split_once('/') else {
            return registry.revision(arn, &meta.revision).await;
        };
        let Some(whole) = registry.revision(whole, &meta.revision).await? else { return Ok(None) };
        let Ok(processor) = self.definition_of(meta).await else { return Ok(None) };
        let name = meta.info.state_machine_name.clone();
        let definition = processor.text().clone();
        Ok(Some(Arc::new(StateMachine { arn: arn.clone(), name, definition, ..StateMachine::clone(&whole) })))
    }

    /// The definition that a run started with. That of a Map Run's execution is a part of its machine's, which the label in
    /// its machine's ARN names.
    pub(crate) async fn definition_of(&self, meta: &Meta) -> Result<Arc<Definition>, DriveError> {
        let arn = &meta.info.state_machine_arn;
        if let Some(definition) = self.inner.definitions.copy(&(arn.clone(), meta.revision.clone())) {
            return Ok(definition);
        }
        let missing = || DriveError::Definition(format!("revision {} of {arn} is missing", meta.revision));
        let (whole, label) = arn.split_once('/').map_or((&**arn, None), |(arn, label)| (arn, Some(label)));
        let registry = &self.inner.ports.registry;
        let machine =
            self.patiently(|| registry.revision(whole, &meta.revision)).await?.ok_or_else(missing)?;
        let definition = self.definition(&machine).map_err(|diagnostics| {
            let first = diagnostics.first().map_or("no reason given", |diagnostic| &diagnostic.message);
            DriveError::Definition(format!("revision {} of {arn} cannot be read: {first}", meta.revision))
        })?;
        let Some(label) = label else { return Ok(definition) };
        let map = definition.labelled(label).ok_or_else(missing)?;
        let processor = Arc::new(definition.processor(map).ok_or_else(missing)?);
        let key = (arn.clone(), meta.revision.clone());
        self.inner.definitions.put(key, processor.clone(), |_, _| false);
        Ok(processor)
    }
}

/// How a machine is logged; `None` where it is not.
pub(crate) fn logging(machine: &StateMachine) -> Option<Arc<Logging>> {
    machine.logging.as_deref().and_then(Logging::of).map(Arc::new)
}

/// A machine's ARN without the label of a Map state.
fn whole(arn: &str) -> &str {
    arn.split_once('/').map_or(arn, |(whole, _)| whole)
}
