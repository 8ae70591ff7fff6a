//! API: DeleteStateMachineAlias

use stepwell_expr::Value;

use crate::answer::Answer;
use crate::request::{Members, Text, Violations};
use crate::{Api, Error, Qualifier, StateMachineArn};

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let arn = Members::of(body, &mut violations).required("stateMachineAliasArn", &Text::ARN)?;
    violations.check()?;
    let arn = StateMachineArn::parse(&arn, api.settings())?;
    let Qualifier::Alias(name) = arn.qualifier() else {
        return Err(Error::ReferenceNotFound { resource: arn.text().to_string() });
    };
    if arn.is_here() {
        api.engine().ports().registry.delete_alias(arn.machine(), name).await?;
    }
    Ok(Answer::new())
}
