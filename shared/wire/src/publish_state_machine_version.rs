//! API: PublishStateMachineVersion

use std::sync::Arc;

use stepwell_engine::port::{Publication, RegistryError, StateMachine, Version};
use stepwell_expr::Value;

use crate::answer::Answer;
use crate::request::{Members, Text, Violations};
use crate::target::{alive, check_unlabelled, version_arn};
use crate::update_state_machine::shown_revision;
use crate::{Api, Error, StateMachineArn};

/// What names the revision of a machine that was never updated.
const INITIAL: &str = "INITIAL";

/// How often a machine is read again that changes meanwhile.
const TRIES_MAX: usize = 10;

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let arn = request.required("stateMachineArn", &Text::ARN)?;
    let revision = request.text("revisionId", &Text::REVISION_ID)?;
    let description = request.text("description", &Text::VERSION_DESCRIPTION)?;
    violations.check()?;
    let arn = StateMachineArn::parse(&arn, api.settings())?;
    check_unlabelled(&arn)?;
    for _ in 0..TRIES_MAX {
        let machine = api.machine(&arn).await?;
        alive(&machine)?;
        let newest = shown_revision(&machine).map_or(INITIAL, |revision| revision);
        if revision.as_ref().is_some_and(|asked| **asked != *newest) {
            return Err(changed());
        }
        if let Some(version) = publish(api, &machine, description.clone()).await? {
            let mut answer = Answer::new();
            answer
                .time("creationDate", version.created_at)
                .text("stateMachineVersionArn", &version_arn(&machine.arn, version.number));
            return Ok(answer);
        }
    }
    Err(changed())
}

/// The version of a machine's newest revision, made where there is none; `None` where `machine` is not the newest any more.
///
/// # Errors
/// [`Error::ServiceQuotaExceeded`], [`Error::StateMachineDeleting`].
pub(crate) async fn publish(
    api: &Api,
    machine: &StateMachine,
    description: Option<Arc<str>>,
) -> Result<Option<Arc<Version>>, Error> {
    let publication = Publication { revision: machine.revision.clone(), description, at: api.now() };
    match api.engine().ports().registry.publish(&machine.arn, publication).await {
        Ok(version) => Ok(Some(version)),
        Err(RegistryError::Exists(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The machine's revision is not the one that was to be published.
pub(crate) fn changed() -> Error {
    Error::Conflict(
        "Failed to publish the version because the revision of the state machine is not the one requested."
            .to_owned(),
    )
}
