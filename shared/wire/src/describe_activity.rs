//! API: DescribeActivity

use stepwell_expr::Value;

use crate::answer::Answer;
use crate::create_activity::shown_encryption;
use crate::request::{Members, Text, Violations};
use crate::{ActivityArn, Api, Error};

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let arn = Members::of(body, &mut violations).required("activityArn", &Text::ARN)?;
    violations.check()?;
    let activity = api.activity(&ActivityArn::parse(&arn, api.settings())?).await?;
    let mut answer = Answer::new();
    answer
        .text("activityArn", &activity.arn)
        .text("name", &activity.name)
        .time("creationDate", activity.created_at)
        .json("encryptionConfiguration", shown_encryption(&activity));
    Ok(answer)
}
