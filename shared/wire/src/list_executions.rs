//! API: ListExecutions

use std::sync::Arc;

use stepwell_asl::MachineType;
use stepwell_engine::meta::{Meta, Parent};
use stepwell_engine::port::ListQuery;
use stepwell_expr::Value;

use crate::answer::Answer;
use crate::describe_execution::write_execution;
use crate::page_token::{Binding, page_items};
use crate::request::{Members, Text, Violations};
use crate::target::{check_unlabelled, largest};
use crate::{Api, Error, MapRunArn, StateMachineArn};

/// `ExecutionStatus`, in the order in which AWS's messages name them.
const STATUSES: [&str; 6] = ["SUCCEEDED", "TIMED_OUT", "PENDING_REDRIVE", "ABORTED", "FAILED", "RUNNING"];

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let machine_arn = request.text("stateMachineArn", &Text::ARN)?;
    let map_run_arn = request.text("mapRunArn", &Text::LONG_ARN)?;
    let status = request.one_of("statusFilter", &STATUSES)?;
    let redriven = request.one_of("redriveFilter", &["REDRIVEN", "NOT_REDRIVEN"])?;
    let limit = page_items(&mut request)?;
    let token = request.text("nextToken", &Text::EXECUTIONS_PAGE_TOKEN)?;
    violations.check()?;

    let arn = match (machine_arn, map_run_arn) {
        (Some(arn), None) => StateMachineArn::parse(&arn, api.settings())?,
        (None, Some(map_run)) => {
            let map_run = api.map_run(&MapRunArn::parse(&map_run, api.settings())?).await?;
            // Nothing was redriven yet, and nothing waits for it.
            let is_empty = redriven == Some("REDRIVEN") || status == Some("PENDING_REDRIVE");
            return listed(api, &map_run.arn, status, if is_empty { 0 } else { limit }, token).await;
        }
        _ => {
            return Err(Error::validation("Exactly one of stateMachineArn and mapRunArn must be specified"));
        }
    };
    if redriven.is_some() {
        return Err(Error::validation(
            "RedriveFilter cannot be applied to ListExecutions call with StateMachine ARN",
        ));
    }
    if status == Some("PENDING_REDRIVE") {
        return Err(Error::validation("Executions can be filtered by PENDING_REDRIVE only with mapRunArn"));
    }
    check_unlabelled(&arn)?;
    let machine = api.target(&arn, largest).await?.machine;
    if machine.machine_type == MachineType::Express {
        return Err(Error::StateMachineTypeNotSupported);
    }
    listed(api, arn.text(), status, limit, token).await
}

/// The executions under `arn`, which is that of a state machine or of a Map Run.
async fn listed(
    api: &Api,
    arn: &Arc<str>,
    status: Option<&'static str>,
    limit: usize,
    token: Option<Arc<str>>,
) -> Result<Answer, Error> {
    let binding = Binding::of(&["ListExecutions", arn, status.unwrap_or_default()]);
    let after = token.map(|token| binding.open(&token, api.now())).transpose()?;
    let mut answer = Answer::with_capacity(512);
    if limit == 0 {
        answer.list("executions", &[], |_, _: &Arc<Meta>| {});
        return Ok(answer);
    }
    let query = ListQuery { state_machine_arn: arn.clone(), status, limit, after };
    let listed = api.engine().list(query).await?;

    answer.list("executions", &listed.metas, |item, meta| {
        write_execution(item, meta);
        if let Some(Parent::MapRun { items, .. }) = &meta.parent {
            item.number("itemCount", *items);
        }
    });
    if let Some(next) = listed.next {
        answer.text("nextToken", &binding.seal(&next, api.now()));
    }
    Ok(answer)
}
