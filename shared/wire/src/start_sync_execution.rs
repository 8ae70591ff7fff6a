//! API: StartSyncExecution

use stepwell_asl::MachineType;
use stepwell_engine::ExpressRun;
use stepwell_expr::Value;
use stepwell_interpreter::Status;

use crate::answer::Answer;
use crate::start_execution::{IncludedData, Start};
use crate::{Api, Error};

/// What AWS bills at least; a machine of one's own uses about as much.
const BILLED_MEMORY_MB: u64 = 64;

/// Durations are billed in steps of this (AWS Step Functions pricing).
const BILLED_STEP_MILLIS: u64 = 100;

pub(crate) async fn answer(api: &Api, body: &Value, trace_header: Option<&str>) -> Result<Answer, Error> {
    let start = Start::read(api, body, trace_header)?;
    let included = start.included_data;
    let target = start.target(api).await?;
    if target.machine.machine_type != MachineType::Express {
        return Err(Error::StateMachineTypeNotSupported);
    }
    let request = start.request(api, target)?;
    let trace_header = request.trace_header.clone();
    let input = request.input.clone();
    let run = api.engine().start_sync(request).await?;

    let mut answer = Answer::with_capacity(1024);
    answer
        .text("executionArn", &run.info.execution_arn)
        .text("stateMachineArn", &run.info.state_machine_arn)
        .text("name", &run.info.name)
        .time("startDate", run.started_at)
        .time("stopDate", run.stopped_at);
    let is_included = included == IncludedData::All;
    if is_included {
        answer.text("input", input.text());
    }
    answer.object("inputDetails", |details| {
        details.flag("included", is_included);
    });
    outcome(&mut answer, &run, is_included);
    answer.object("outputDetails", |details| {
        details.flag("included", is_included);
    });
    answer.text_if("traceHeader", trace_header);
    answer.object("billingDetails", |billing| {
        let millis = u64::try_from(run.stopped_at.0 - run.started_at.0).unwrap_or_default();
        let billed = millis.div_ceil(BILLED_STEP_MILLIS).max(1) * BILLED_STEP_MILLIS;
        billing
            .number("billedDurationInMilliseconds", billed)
            .number("billedMemoryUsedInMB", BILLED_MEMORY_MB);
    });
    Ok(answer)
}

fn outcome(answer: &mut Answer, run: &ExpressRun, is_included: bool) {
    match run.execution.status() {
        Status::Succeeded { output, .. } => {
            answer.text("status", "SUCCEEDED");
            if is_included {
                answer.text("output", output.text());
            }
        }
        Status::TimedOut { .. } => {
            answer.text("status", "TIMED_OUT");
        }
        Status::Failed { error, .. } | Status::Aborted { error, .. } => {
            answer.text("status", "FAILED");
            answer.text_if("error", error.error.as_ref()).text_if("cause", error.cause.as_ref());
        }
        // A run that is handed back has ended; anything else is no success.
        _ => {
            answer.text("status", "FAILED");
        }
    }
}
