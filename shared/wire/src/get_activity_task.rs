//! API: GetActivityTask

use stepwell_expr::Value;

use crate::answer::Answer;
use crate::request::{Members, Text, Violations};
use crate::{ActivityArn, Api, Error};

/// Waits up to a minute. Where no task comes, token and input are null.
pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let arn = request.required("activityArn", &Text::ARN)?;
    let worker = request.text("workerName", &Text::NAME)?;
    violations.check()?;
    let arn = ActivityArn::parse(&arn, api.settings())?;
    if !arn.is_here() {
        return Err(Error::ActivityDoesNotExist(arn.text().to_string()));
    }
    let mut answer = Answer::new();
    match api.engine().activity_task(arn.text(), worker).await? {
        Some(task) => answer.text("taskToken", &task.token).text("input", task.input.text()),
        None => answer.json("taskToken", "null").json("input", "null"),
    };
    Ok(answer)
}
