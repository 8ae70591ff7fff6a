//! API: UpdateStateMachine

use std::sync::Arc;

use stepwell_engine::port::{RegistryError, StateMachine};
use stepwell_expr::Value;

use crate::answer::Answer;
use crate::configuration::{Configurations, Kept};
use crate::create_state_machine::{Publish, check_definition, check_role, encryption, logging, tracing};
use crate::publish_state_machine_version::publish;
use crate::request::{Members, Text, Violations};
use crate::target::{alive, check_unlabelled, version_arn};
use crate::{Api, Error, StateMachineArn, id};

struct Input {
    arn: StateMachineArn,
    definition: Option<Arc<str>>,
    role_arn: Option<Arc<str>>,
    kept: Kept,
    publish: Publish,
}

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let input = Input::read(api, body)?;
    let current = api.machine(&input.arn).await?;
    alive(&current)?;
    if let Some(definition) = &input.definition {
        check_definition(definition, current.machine_type)?;
    }
    input.kept.check_log_group(api).await?;
    let updated = input.applied(api, &current);
    if let Some(updated) = &updated {
        put(api, updated.clone(), &current).await?;
    }
    let machine = updated.as_ref().unwrap_or(&current);
    let mut answer = Answer::new();
    answer.time("updateDate", machine.updated_at).text_if("revisionId", shown_revision(machine));
    if input.publish.publishes {
        let version = publish(api, machine, input.publish.description.clone()).await?;
        let version = version.ok_or_else(changed_meanwhile)?;
        answer.text("stateMachineVersionArn", &version_arn(&machine.arn, version.number));
    }
    Ok(answer)
}

/// Puts `updated` in the place of `current`.
///
/// # Errors
/// [`Error::Conflict`] where another request came first.
pub(crate) async fn put(api: &Api, updated: Arc<StateMachine>, current: &StateMachine) -> Result<(), Error> {
    match api.engine().ports().registry.update(updated, current).await {
        Err(RegistryError::Exists(_)) => Err(changed_meanwhile()),
        other => Ok(other?),
    }
}

fn changed_meanwhile() -> Error {
    Error::Conflict("The state machine was changed by another request at the same time. Try again".to_owned())
}

/// `revisionId`: absent before the first update.
pub(crate) fn shown_revision(machine: &StateMachine) -> Option<&Arc<str>> {
    machine.is_updated.then_some(&machine.revision)
}

impl Input {
    fn read(api: &Api, body: &Value) -> Result<Self, Error> {
        let mut violations = Violations::default();
        let mut request = Members::of(body, &mut violations);
        let arn = request.required("stateMachineArn", &Text::ARN)?;
        let definition = request.text("definition", &Text::DEFINITION)?;
        let role_arn = request.text("roleArn", &Text::ARN)?;
        let configurations = Configurations::read(&mut request)?;
        let publish = Publish::read(&mut request)?;
        violations.check()?;
        publish.check()?;
        let arn = StateMachineArn::parse(&arn, api.settings())?;
        check_unlabelled(&arn)?;
        let kept = configurations.kept()?;
        if definition.is_none() && role_arn.is_none() && kept == Kept::default() {
            return Err(Error::MissingRequiredParameter(
                "Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration \
                 must be specified",
            ));
        }
        if let Some(role_arn) = &role_arn {
            check_role(role_arn)?;
        }
        Ok(Input { arn, definition, role_arn, kept, publish })
    }

    /// The machine with this update; `None` where it changes nothing, which gives no new revision.
    fn applied(&self, api: &Api, current: &StateMachine) -> Option<Arc<StateMachine>> {
        let mut machine = current.clone();
        machine.definition = self.definition.clone().unwrap_or(machine.definition);
        machine.role_arn = self.role_arn.clone().unwrap_or(machine.role_arn);
        machine.logging = self.kept.logging.clone().or(machine.logging);
        machine.tracing = self.kept.tracing.clone().or(machine.tracing);
        machine.encryption = self.kept.encryption.clone().or(machine.encryption);
        let is_same = machine.definition == current.definition
            && machine.role_arn == current.role_arn
            && logging(&machine) == logging(current)
            && tracing(&machine) == tracing(current)
            && encryption(&machine) == encryption(current);
        if is_same {
            return None;
        }
        machine.revision = id::random_uuid(api.clock()).into();
        machine.is_updated = true;
        machine.edition += 1;
        machine.updated_at = api.now();
        Some(Arc::new(machine))
    }
}
