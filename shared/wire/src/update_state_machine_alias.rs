//! API: UpdateStateMachineAlias

use std::sync::Arc;

use stepwell_engine::port::{Alias, RegistryError};
use stepwell_expr::Value;

use crate::answer::Answer;
use crate::describe_state_machine_alias::find;
use crate::request::{Members, Text, Violations};
use crate::routing::{self, Routing};
use crate::target::{alive, version_arn};
use crate::{Api, Error, StateMachineArn};

/// How often an alias is read again that changes meanwhile.
const TRIES_MAX: usize = 10;

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let arn = request.required("stateMachineAliasArn", &Text::ARN)?;
    let description = request.text("description", &Text::ALIAS_DESCRIPTION)?;
    let items = routing::read(&mut request)?;
    violations.check()?;
    let arn = StateMachineArn::parse(&arn, api.settings())?;
    if description.is_none() && items.is_none() {
        return Err(Error::validation_for(
            "MISSING_REQUIRED_PARAMETER",
            "Either the description or the routing configuration must be specified",
        ));
    }
    let routing = items.map(|items| Routing::of(api, &items)).transpose()?;
    if let Some(routing) = routing.as_ref().filter(|routing| routing.machine.machine() != arn.machine()) {
        return Err(Error::validation_for(
            "INVALID_ROUTING_CONFIGURATION",
            format!("'{}' is no version of the alias's state machine", routing.machine.text()),
        ));
    }
    for _ in 0..TRIES_MAX {
        let (machine, current) = find(api, &arn).await?;
        alive(&machine)?;
        let updated = applied(api, &current, description.as_ref(), routing.as_ref());
        let Some(updated) = updated else { return Ok(updated_at(&current)) };
        let put = api.engine().ports().registry.update_alias(&machine.arn, updated.clone(), current.edition);
        match put.await {
            Ok(()) => return Ok(updated_at(&updated)),
            Err(RegistryError::AliasExists(_)) => {}
            Err(RegistryError::AliasMissing(_)) => {
                return Err(Error::ReferenceNotFound { resource: arn.text().to_string() });
            }
            Err(RegistryError::VersionMissing(number)) => {
                let resource = version_arn(&machine.arn, number).to_string();
                return Err(Error::ReferenceNotFound { resource });
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::Conflict("The alias was changed by other requests at the same time. Try again".to_owned()))
}

fn updated_at(alias: &Alias) -> Answer {
    let mut answer = Answer::new();
    answer.time("updateDate", alias.updated_at);
    answer
}

/// The alias with this update; `None` where it changes nothing.
fn applied(
    api: &Api,
    current: &Alias,
    description: Option<&Arc<str>>,
    routing: Option<&Routing>,
) -> Option<Arc<Alias>> {
    let mut alias = current.clone();
    if let Some(description) = description {
        alias.description = Some(description.clone());
    }
    if let Some(routing) = routing {
        alias.routing.clone_from(&routing.routes);
    }
    if alias == *current {
        return None;
    }
    alias.updated_at = api.now();
    alias.edition += 1;
    Some(Arc::new(alias))
}
