//! API: RedriveExecution

use stepwell_engine::RedriveError;
use stepwell_expr::Value;

use crate::answer::Answer;
use crate::request::{Members, Text, Violations};
use crate::{Api, Error, ExecutionArn};

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let arn = request.required("executionArn", &Text::ARN)?;
    let token = request.text("clientToken", &Text::CLIENT_TOKEN)?;
    violations.check()?;
    let arn = ExecutionArn::parse(&arn, api.settings())?;
    if !arn.is_here() {
        return Err(Error::ExecutionDoesNotExist(arn.text().to_string()));
    }
    let redriven_at = api.engine().redrive(arn.text(), token).await.map_err(|error| match error {
        RedriveError::DoesNotExist(arn) => Error::ExecutionDoesNotExist(arn.to_string()),
        RedriveError::NotRedrivable(why) => {
            Error::ExecutionNotRedrivable { arn: arn.text().to_string(), why: why.to_string() }
        }
        RedriveError::Unavailable(cause) => Error::unavailable(cause),
    })?;
    let mut answer = Answer::new();
    answer.time("redriveDate", redriven_at);
    Ok(answer)
}
