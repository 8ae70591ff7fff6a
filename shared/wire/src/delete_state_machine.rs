//! API: DeleteStateMachine

use stepwell_expr::Value;

use crate::answer::Answer;
use crate::request::{Members, Text, Violations};
use crate::{Api, Error, StateMachineArn};

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let arn = Members::of(body, &mut violations).required("stateMachineArn", &Text::ARN)?;
    violations.check()?;
    let arn = StateMachineArn::parse(&arn, api.settings())?;
    if arn.is_qualified() {
        return Err(Error::validation("A state machine is deleted by its own ARN"));
    }
    if arn.is_here() {
        api.engine().ports().registry.delete(arn.machine()).await?;
    }
    Ok(Answer::new())
}
