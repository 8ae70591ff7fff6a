//! API: ListMapRuns

use stepwell_engine::port::MapRunsQuery;
use stepwell_expr::Value;

use crate::answer::Answer;
use crate::page_token::{Binding, page_items};
use crate::request::{Members, Text, Violations};
use crate::{Api, Error, ExecutionArn};

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let arn = request.required("executionArn", &Text::ARN)?;
    let limit = page_items(&mut request)?;
    let token = request.text("nextToken", &Text::PAGE_TOKEN)?;
    violations.check()?;
    let execution = api.execution(&ExecutionArn::parse(&arn, api.settings())?).await?;

    let execution_arn = execution.execution_arn.clone();
    let binding = Binding::of(&["ListMapRuns", &execution_arn]);
    let after = token.map(|token| binding.open(&token, api.now())).transpose()?;
    let listed = api.engine().list_map_runs(MapRunsQuery { execution_arn, limit, after }).await?;
    let mut answer = Answer::with_capacity(512 * (listed.map_runs.len() + 1));
    answer.list("mapRuns", &listed.map_runs, |item, map_run| {
        item.text("executionArn", &map_run.execution_arn)
            .text("mapRunArn", &map_run.arn)
            .text("stateMachineArn", &map_run.state_machine_arn)
            .time("startDate", map_run.started_at);
        if let Some(closed_at) = map_run.closed_at {
            item.time("stopDate", closed_at);
        }
    });
    if let Some(next) = listed.next {
        answer.text("nextToken", &binding.seal(&next, api.now()));
    }
    Ok(answer)
}
