//! API: DescribeExecution

use stepwell_engine::meta::Meta;
use stepwell_expr::Value;

use crate::answer::Answer;
use crate::request::{Members, Text, Violations};
use crate::start_execution::IncludedData;
use crate::{Api, Error, ExecutionArn};

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let arn = request.required("executionArn", &Text::ARN)?;
    let included = IncludedData::read(&mut request)?;
    violations.check()?;
    let meta = api.execution(&ExecutionArn::parse_described(&arn, api.settings())?).await?;

    let mut answer = Answer::with_capacity(1024);
    write_execution(&mut answer, &meta);
    write_data(&mut answer, &meta, included == IncludedData::All);
    answer.text_if("traceHeader", meta.trace_header.as_ref());
    if let Some(end) = &meta.end {
        answer.text_if("error", end.error.error.as_ref()).text_if("cause", end.error.cause.as_ref());
    }
    match api.engine().not_redrivable(&meta).await.map_err(Error::Internal)? {
        Some(why) => {
            answer.text("redriveStatus", "NOT_REDRIVABLE").text("redriveStatusReason", &why.to_string())
        }
        None if meta.map_run_arn().is_some() => answer.text("redriveStatus", "REDRIVABLE_BY_MAP_RUN"),
        None => answer.text("redriveStatus", "REDRIVABLE"),
    };
    Ok(answer)
}

/// The members that a listing shows too.
pub(crate) fn write_execution(answer: &mut Answer, meta: &Meta) {
    let info = &meta.info;
    answer
        .text("executionArn", &meta.execution_arn)
        .text("stateMachineArn", &info.state_machine_arn)
        .text("name", &info.name)
        .text("status", meta.status())
        .time("startDate", info.started_at);
    if let Some(end) = &meta.end {
        answer.time("stopDate", end.at);
    }
    answer
        .text_if("mapRunArn", meta.map_run_arn())
        .text_if("stateMachineVersionArn", info.version_arn.as_ref())
        .text_if("stateMachineAliasArn", info.alias_arn.as_ref())
        .number("redriveCount", u64::from(meta.epoch));
    if let Some(redriven_at) = meta.redriven_at {
        answer.time("redriveDate", redriven_at);
    }
}

fn write_data(answer: &mut Answer, meta: &Meta, is_included: bool) {
    let output = meta.end.as_ref().and_then(|end| end.output.as_ref());
    for (name, details, data) in
        [("input", "inputDetails", Some(&meta.input)), ("output", "outputDetails", output)]
    {
        let Some(data) = data else { continue };
        if is_included {
            answer.text(name, data.text());
        }
        answer.object(details, |details| {
            details.flag("included", is_included);
        });
    }
}
