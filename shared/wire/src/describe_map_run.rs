//! API: DescribeMapRun

use stepwell_engine::map_run::{Count, MapRun};
use stepwell_expr::Value;

use crate::answer::Answer;
use crate::request::{Members, Text, Violations};
use crate::{Api, Error, MapRunArn};

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let arn = request.required("mapRunArn", &Text::LONG_ARN)?;
    violations.check()?;
    let map_run = api.map_run(&MapRunArn::parse(&arn, api.settings())?).await?;

    let mut answer = Answer::with_capacity(1024);
    answer
        .text("mapRunArn", &map_run.arn)
        .text("executionArn", &map_run.execution_arn)
        .text("status", map_run.status())
        .time("startDate", map_run.started_at);
    if let Some(closed_at) = map_run.closed_at {
        answer.time("stopDate", closed_at);
    }
    // Recorded before there were redrives: none of this is there without one.
    if let Some(redriven_at) = map_run.redriven_at {
        answer.number("redriveCount", u64::from(map_run.redrives)).time("redriveDate", redriven_at);
    }
    let limits = &map_run.limits;
    answer
        .number("maxConcurrency", u64::from(limits.max_concurrency))
        .double("toleratedFailurePercentage", limits.tolerated_failure_percentage.unwrap_or(0.0))
        .number("toleratedFailureCount", limits.tolerated_failure_count.unwrap_or(0));
    write_counts(&mut answer, "itemCounts", &map_run, |count| count.items);
    write_counts(&mut answer, "executionCounts", &map_run, |count| count.children);
    Ok(answer)
}

fn write_counts(answer: &mut Answer, name: &str, map_run: &MapRun, of: impl Fn(Count) -> u64) {
    let (pending, running, ended) = (of(map_run.pending()), of(map_run.running()), &map_run.ended);
    let waiting = of(map_run.unsuccessful.all());
    answer.object(name, |counts| {
        counts
            .number("pending", pending)
            .number("running", running)
            .number("succeeded", of(ended.succeeded))
            .number("failed", of(ended.failed))
            .number("timedOut", of(ended.timed_out))
            .number("aborted", of(ended.aborted))
            .number("total", pending + running + of(ended.all()) + waiting)
            // Recorded: without a ResultWriter too.
            .number("resultsWritten", of(ended.succeeded));
        if map_run.redrives > 0 {
            counts
                .number("failuresNotRedrivable", of(map_run.not_redrivable))
                .number("pendingRedrive", waiting);
        }
    });
}
