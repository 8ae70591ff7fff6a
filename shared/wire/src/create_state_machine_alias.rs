//! API: CreateStateMachineAlias

use std::sync::Arc;

use stepwell_engine::port::{Alias, RegistryError};
use stepwell_expr::Value;

use crate::answer::Answer;
use crate::request::{Members, Text, Violations};
use crate::routing::{self, Routing};
use crate::target::{alias_arn, version_arn};
use crate::{Api, Error};

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let description = request.text("description", &Text::ALIAS_DESCRIPTION)?;
    let name = request.required("name", &Text::ALIAS_NAME)?;
    let items = routing::read(&mut request)?;
    request.require("routingConfiguration");
    violations.check()?;
    let Routing { machine, routes } = Routing::of(api, &items.unwrap_or_default())?;

    let now = api.now();
    let asked = Alias { name, description, routing: routes, created_at: now, updated_at: now, edition: 0 };
    let asked = Arc::new(asked);
    let machine_arn = machine.machine();
    let missing = |resource: &str| Error::ReferenceNotFound { resource: resource.to_owned() };
    if !machine.is_here() {
        return Err(missing(machine.text()));
    }
    let created = match api.engine().ports().registry.create_alias(machine_arn, asked.clone()).await {
        Ok(()) => asked,
        Err(RegistryError::AliasExists(there)) => same(there, &asked)?,
        Err(RegistryError::Missing(_)) => return Err(missing(machine_arn)),
        Err(RegistryError::VersionMissing(number)) => {
            return Err(missing(&version_arn(machine_arn, number)));
        }
        Err(error) => return Err(error.into()),
    };
    let mut answer = Answer::new();
    answer
        .text("stateMachineAliasArn", &alias_arn(machine_arn, &created.name))
        .time("creationDate", created.created_at);
    Ok(answer)
}

/// The answer to the same request made again: what is `there`.
fn same(there: Arc<Alias>, asked: &Alias) -> Result<Arc<Alias>, Error> {
    if there.description == asked.description && routing::same(&there.routing, &asked.routing) {
        return Ok(there);
    }
    Err(Error::Conflict(
        "Failed to create alias because an alias with the same name and a different routing configuration already \
         exists."
            .to_owned(),
    ))
}
