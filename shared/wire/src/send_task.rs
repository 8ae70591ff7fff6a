//! API: SendTaskSuccess, SendTaskFailure, SendTaskHeartbeat

use stepwell_engine::message::Callback;
use stepwell_expr::{Payload, Value};
use stepwell_interpreter::{ErrorOutput, token};

use crate::answer::Answer;
use crate::request::{Members, Text, Violations};
use crate::{Api, Error};

pub(crate) async fn success(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let token = request.required("taskToken", &Text::TASK_TOKEN)?;
    let output = request.required("output", &Text::DATA)?;
    violations.check()?;
    // Recorded: of a bad token and a bad output, the token is told.
    check_token(api, &token)?;
    let output = Payload::parse(output).map_err(|error| Error::InvalidOutput(error.message))?;
    api.engine().send_task_result(&token, Callback::Success(output)).await?;
    Ok(Answer::new())
}

pub(crate) async fn failure(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let token = request.required("taskToken", &Text::TASK_TOKEN)?;
    let error = request.text("error", &Text::ERROR)?;
    let cause = request.text("cause", &Text::CAUSE)?;
    violations.check()?;
    check_token(api, &token)?;
    api.engine().send_task_result(&token, Callback::Failure(ErrorOutput { error, cause })).await?;
    Ok(Answer::new())
}

pub(crate) async fn heartbeat(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let token = Members::of(body, &mut violations).required("taskToken", &Text::TASK_TOKEN)?;
    violations.check()?;
    check_token(api, &token)?;
    api.engine().send_task_heartbeat(&token).await?;
    Ok(Answer::new())
}

/// A token is good for callers of its own account (API: SendTaskSuccess).
///
/// # Errors
/// [`Error::InvalidToken`]
fn check_token(api: &Api, token: &str) -> Result<(), Error> {
    let token = token::decode(token).filter(|token| api.settings().has(&token.execution_arn));
    token.map(drop).ok_or(Error::InvalidToken)
}
