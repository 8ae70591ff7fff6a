//! API: ListActivities

use stepwell_expr::Value;

use crate::answer::Answer;
use crate::page_token::{Binding, page_items};
use crate::request::{Members, Text, Violations};
use crate::{Api, Error};

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let limit = page_items(&mut request)?;
    let token = request.text("nextToken", &Text::PAGE_TOKEN)?;
    violations.check()?;
    let ours = api.settings().arn("activity:");
    let binding = Binding::of(&["ListActivities", &ours]);
    let after = binding.after(token.as_deref(), &ours, api.now())?;
    let mut activities = api.engine().ports().activities.list(Some(&after), limit + 1).await?;
    activities.retain(|activity| activity.arn.starts_with(&*ours));
    let next = binding.page(&mut activities, limit, api.now(), |last| last.arn.to_string());

    let mut answer = Answer::with_capacity(256 * (activities.len() + 1));
    answer.list("activities", &activities, |item, activity| {
        item.text("activityArn", &activity.arn)
            .text("name", &activity.name)
            .time("creationDate", activity.created_at);
    });
    answer.text_if("nextToken", next);
    Ok(answer)
}
