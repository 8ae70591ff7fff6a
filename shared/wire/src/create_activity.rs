//! API: CreateActivity

use std::sync::Arc;

use stepwell_engine::port::Activity;
use stepwell_expr::Value;

use crate::answer::Answer;
use crate::arn::check_name;
use crate::configuration::{ENCRYPTION_DEFAULT, encryption};
use crate::request::{Members, Text, Violations};
use crate::{Api, Error, tags};

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let name = request.required("name", &Text::NAME)?;
    let tags = tags::read(&mut request)?.unwrap_or_default();
    let encryption = encryption(&mut request)?;
    violations.check()?;
    check_name(&name)?;
    let asked = Arc::new(Activity {
        arn: api.settings().arn(&format!("activity:{name}")),
        encryption: encryption.kept()?,
        tags: tags::merged(&name, &[], tags)?,
        name,
        created_at: api.now(),
    });
    let activity = api.engine().ports().activities.create(asked.clone()).await?;
    // Tags may differ (API: CreateActivity).
    if shown_encryption(&activity) != shown_encryption(&asked) {
        return Err(Error::ActivityAlreadyExists(activity.arn.to_string()));
    }
    let mut answer = Answer::new();
    answer.text("activityArn", &activity.arn).time("creationDate", activity.created_at);
    Ok(answer)
}

/// `encryptionConfiguration` as JSON.
pub(crate) fn shown_encryption(activity: &Activity) -> &str {
    activity.encryption.as_deref().unwrap_or(ENCRYPTION_DEFAULT)
}
