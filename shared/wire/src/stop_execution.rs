//! API: StopExecution

use stepwell_expr::Value;
use stepwell_interpreter::ErrorOutput;

use crate::answer::Answer;
use crate::request::{Members, Text, Violations};
use crate::{Api, Error, ExecutionArn};

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let arn = request.required("executionArn", &Text::ARN)?;
    let error = request.text("error", &Text::ERROR)?;
    let cause = request.text("cause", &Text::CAUSE)?;
    violations.check()?;
    let arn = ExecutionArn::parse(&arn, api.settings())?;
    if !arn.is_here() {
        return Err(Error::ExecutionDoesNotExist(arn.text().to_string()));
    }
    let stopped_at = api.engine().stop(arn.text(), ErrorOutput { error, cause }).await?;
    let mut answer = Answer::new();
    answer.time("stopDate", stopped_at);
    Ok(answer)
}
