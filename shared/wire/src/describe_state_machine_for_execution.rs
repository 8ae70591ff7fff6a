//! API: DescribeStateMachineForExecution

use stepwell_expr::Value;

use crate::answer::Answer;
use crate::describe_state_machine::write_machine;
use crate::request::{Members, Text, Violations};
use crate::start_execution::IncludedData;
use crate::{Api, Error, ExecutionArn};

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let arn = request.required("executionArn", &Text::ARN)?;
    let included = IncludedData::read(&mut request)?;
    violations.check()?;
    let meta = api.execution(&ExecutionArn::parse(&arn, api.settings())?).await?;
    let machine = api
        .engine()
        .machine_of(&meta)
        .await?
        .ok_or_else(|| Error::StateMachineDoesNotExist(meta.info.state_machine_arn.to_string()))?;

    let mut answer = Answer::with_capacity(machine.definition.len() + 1024);
    answer.time("updateDate", machine.updated_at).text("stateMachineArn", &machine.arn);
    if let Some(map_run_arn) = meta.map_run_arn() {
        let label = machine.arn.split_once('/').map(|(_, label)| label);
        answer.text("mapRunArn", map_run_arn).text("label", label.unwrap_or_default());
    }
    write_machine(&mut answer, api, &machine, &meta.info.role_arn, included);
    Ok(answer)
}
