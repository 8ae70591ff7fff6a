//! API: DeleteActivity

use stepwell_expr::Value;

use crate::answer::Answer;
use crate::request::{Members, Text, Violations};
use crate::{ActivityArn, Api, Error};

/// One that is not there is deleted already (recorded).
pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let arn = Members::of(body, &mut violations).required("activityArn", &Text::ARN)?;
    violations.check()?;
    let arn = ActivityArn::parse(&arn, api.settings())?;
    if arn.is_here() {
        api.engine().ports().activities.delete(arn.text()).await?;
    }
    Ok(Answer::new())
}
