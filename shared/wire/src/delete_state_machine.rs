//! API: DeleteStateMachine

use stepwell_expr::Value;

use crate::answer::Answer;
use crate::request::{Members, Text, Violations};
use crate::target::check_unlabelled;
use crate::{Api, Error, Qualifier, StateMachineArn};

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let arn = Members::of(body, &mut violations).required("stateMachineArn", &Text::ARN)?;
    violations.check()?;
    let arn = StateMachineArn::parse(&arn, api.settings())?;
    check_unlabelled(&arn)?;
    if arn.qualifier() != Qualifier::None {
        return Err(Error::validation("A state machine is deleted by its own ARN"));
    }
    if arn.is_here() {
        api.engine().delete_machine(arn.machine()).await?;
    }
    Ok(Answer::new())
}
