//! API: DeleteStateMachineVersion

use stepwell_expr::Value;

use crate::answer::Answer;
use crate::request::{Members, Text, Violations};
use crate::target::check_unlabelled;
use crate::{Api, Error, Qualifier, StateMachineArn};

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let arn = Members::of(body, &mut violations).required("stateMachineVersionArn", &Text::LONG_ARN)?;
    violations.check()?;
    let arn = StateMachineArn::parse(&arn, api.settings())?;
    check_unlabelled(&arn)?;
    let Qualifier::Version(number) = arn.qualifier() else {
        return Err(Error::validation(format!("Not the ARN of a state machine version: '{}'", arn.text())));
    };
    if arn.is_here() {
        api.engine().ports().registry.delete_version(arn.machine(), number).await?;
    }
    Ok(Answer::new())
}
