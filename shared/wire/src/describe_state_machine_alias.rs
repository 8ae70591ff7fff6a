//! API: DescribeStateMachineAlias

use std::sync::Arc;

use stepwell_engine::port::{Alias, StateMachine};
use stepwell_expr::Value;

use crate::answer::Answer;
use crate::request::{Members, Text, Violations};
use crate::{Api, Error, Qualifier, StateMachineArn, routing};

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let arn = Members::of(body, &mut violations).required("stateMachineAliasArn", &Text::ARN)?;
    violations.check()?;
    let arn = StateMachineArn::parse(&arn, api.settings())?;
    let (machine, alias) = find(api, &arn).await?;

    let mut answer = Answer::with_capacity(1024);
    answer
        .text("stateMachineAliasArn", arn.text())
        .text("name", &alias.name)
        .text_if("description", alias.description.as_ref());
    routing::write(&mut answer, &machine.arn, &alias);
    answer.time("creationDate", alias.created_at).time("updateDate", alias.updated_at);
    Ok(answer)
}

/// The alias that `arn` names, and its machine.
///
/// # Errors
/// [`Error::ReferenceNotFound`].
pub(crate) async fn find(api: &Api, arn: &StateMachineArn) -> Result<(Arc<StateMachine>, Arc<Alias>), Error> {
    let missing = || Error::ReferenceNotFound { resource: arn.text().to_string() };
    let Qualifier::Alias(name) = arn.qualifier() else { return Err(missing()) };
    let machine = api.own_machine(arn).await?.ok_or_else(missing)?;
    let alias = api.engine().ports().registry.alias(&machine.arn, name).await?.ok_or_else(missing)?;
    Ok((machine, alias))
}
