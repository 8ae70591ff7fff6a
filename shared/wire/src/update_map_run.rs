//! API: UpdateMapRun

use stepwell_engine::map_run::LimitsUpdate;
use stepwell_expr::Value;

use crate::answer::Answer;
use crate::request::{Members, Text, Violations};
use crate::{Api, Error, MapRunArn};

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let arn = request.required("mapRunArn", &Text::LONG_ARN)?;
    let max_concurrency = request.integer("maxConcurrency", 0, i64::from(i32::MAX))?;
    let percentage = request.float("toleratedFailurePercentage", 0.0, 100.0)?;
    let count = request.long("toleratedFailureCount", 0)?;
    violations.check()?;
    let arn = MapRunArn::parse(&arn, api.settings())?;
    let map_run = api.map_run(&arn).await?;

    let update = LimitsUpdate {
        max_concurrency: max_concurrency.and_then(|number| u32::try_from(number).ok()),
        tolerated_failure_count: count.and_then(|number| u64::try_from(number).ok()),
        tolerated_failure_percentage: percentage,
    };
    api.engine().update_map_run(&map_run.arn, update).await?;
    Ok(Answer::new())
}
