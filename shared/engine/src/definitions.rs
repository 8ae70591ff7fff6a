//! Definitions, parsed once for each revision.

use std::sync::Arc;

use stepwell_asl::{Definition, Diagnostic, Format, parse};

use crate::Engine;
use crate::cache::Cache;
use crate::driver::DriveError;
use crate::meta::Meta;
use crate::port::StateMachine;

/// Definitions kept at hand.
const CACHED_MAX: usize = 256;

/// By the machine's ARN and revision.
pub(crate) type Definitions = Cache<(Arc<str>, Arc<str>), Arc<Definition>>;

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
        let parsed = parse(&machine.definition, Format::Json, machine.machine_type);
        let definition = Arc::new(parsed.definition.ok_or(parsed.diagnostics)?);
        self.inner.definitions.put(key, definition.clone(), |_, _| false);
        Ok(definition)
    }

    /// The definition that a run started with.
    pub(crate) async fn definition_of(&self, meta: &Meta) -> Result<Arc<Definition>, DriveError> {
        let arn = &meta.info.state_machine_arn;
        if let Some(definition) = self.inner.definitions.copy(&(arn.clone(), meta.revision.clone())) {
            return Ok(definition);
        }
        let missing = || DriveError::Definition(format!("revision {} of {arn} is missing", meta.revision));
        let machine = self.inner.ports.registry.revision(arn, &meta.revision).await?.ok_or_else(missing)?;
        self.definition(&machine).map_err(|diagnostics| {
            let first = diagnostics.first().map_or("no reason given", |diagnostic| &diagnostic.message);
            DriveError::Definition(format!("revision {} of {arn} cannot be read: {first}", meta.revision))
        })
    }
}
