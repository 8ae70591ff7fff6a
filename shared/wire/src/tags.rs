//! API: TagResource, UntagResource, ListTagsForResource

use std::sync::Arc;

use stepwell_engine::port::{Activity, StateMachine};
use stepwell_expr::Value;

use crate::answer::Answer;
use crate::request::{Members, Text, Violations};
use crate::update_state_machine::put;
use crate::{ActivityArn, Api, Error, StateMachineArn, TAGS_MAX};

/// A key and its value.
type Tag = (String, String);

pub(crate) async fn tag(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let arn = request.required("resourceArn", &Text::ARN)?;
    let tags = read(&mut request)?;
    request.require("tags");
    violations.check()?;
    let tagged = Tagged::find(api, &arn).await?;
    let tags = merged(&arn, tagged.tags(), tags.unwrap_or_default())?;
    tagged.put(api, tags).await
}

pub(crate) async fn untag(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let arn = request.required("resourceArn", &Text::ARN)?;
    let keys = request.texts("tagKeys", &Text::TAG_KEY)?;
    request.require("tagKeys");
    violations.check()?;
    let tagged = Tagged::find(api, &arn).await?;
    let keys = keys.unwrap_or_default();
    let is_kept = |(key, _): &&Tag| !keys.iter().any(|removed| **removed == **key);
    let tags = tagged.tags().iter().filter(is_kept).cloned().collect();
    tagged.put(api, tags).await
}

pub(crate) async fn list(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let arn = Members::of(body, &mut violations).required("resourceArn", &Text::ARN)?;
    violations.check()?;
    let tagged = Tagged::find(api, &arn).await?;
    let mut answer = Answer::new();
    answer.list("tags", tagged.tags(), |item, (key, value)| {
        item.text("key", key).text("value", value);
    });
    Ok(answer)
}

/// `tags` of a request.
///
/// # Errors
/// [`Error::Serialization`].
pub(crate) fn read(request: &mut Members<'_>) -> Result<Option<Vec<Tag>>, Error> {
    request.structures("tags", |tag| {
        let key = tag.required("key", &Text::TAG_KEY)?;
        let value = tag.text("value", &Text::TAG_VALUE)?.unwrap_or_default();
        Ok((key.to_string(), value.to_string()))
    })
}

/// `tags` with `added`: a key that is there keeps its place and takes the new value.
///
/// # Errors
/// [`Error::TooManyTags`].
pub(crate) fn merged(resource: &str, tags: &[Tag], added: Vec<Tag>) -> Result<Vec<Tag>, Error> {
    let too_many = || Error::TooManyTags { resource: resource.to_owned() };
    let mut merged = tags.to_vec();
    for (key, value) in added {
        match merged.iter().position(|(there, _)| *there == key) {
            Some(at) => merged[at].1 = value,
            None if merged.len() == TAGS_MAX => return Err(too_many()),
            None => merged.push((key, value)),
        }
    }
    Ok(merged)
}

/// What has tags.
enum Tagged {
    Machine(Arc<StateMachine>),
    Activity(Arc<Activity>),
}

impl Tagged {
    /// What `arn` names.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`], also for versions, aliases and labels of machines.
    async fn find(api: &Api, arn: &Arc<str>) -> Result<Self, Error> {
        let found = if ActivityArn::is_one(arn) {
            api.activity(&ActivityArn::parse(arn, api.settings())?).await.map(Tagged::Activity)
        } else {
            api.machine(&StateMachineArn::parse(arn, api.settings())?).await.map(Tagged::Machine)
        };
        found.map_err(not_found)
    }

    fn tags(&self) -> &[Tag] {
        match self {
            Tagged::Machine(machine) => &machine.tags,
            Tagged::Activity(activity) => &activity.tags,
        }
    }

    async fn put(self, api: &Api, tags: Vec<Tag>) -> Result<Answer, Error> {
        match self {
            _ if self.tags() == tags => {}
            Tagged::Machine(machine) => {
                let edition = machine.edition + 1;
                let tagged = StateMachine { tags, edition, ..StateMachine::clone(&machine) };
                put(api, Arc::new(tagged), &machine).await.map_err(not_found)?;
            }
            Tagged::Activity(activity) => {
                let tagged = Activity { tags, ..Activity::clone(&activity) };
                let activities = &api.engine().ports().activities;
                if !activities.update(Arc::new(tagged), &activity).await? {
                    return Err(Error::Conflict(
                        "The activity was changed by another request at the same time. Try again".to_owned(),
                    ));
                }
            }
        }
        Ok(Answer::new())
    }
}

/// In the words of these operations.
fn not_found(error: Error) -> Error {
    match error {
        Error::StateMachineDoesNotExist(arn)
        | Error::StateMachineDeleting(arn)
        | Error::ActivityDoesNotExist(arn) => Error::ResourceNotFound(arn),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_merge_by_key_up_to_the_limit() {
        let tag = |n: usize| (format!("k{n}"), "v".to_owned());
        let full: Vec<Tag> = (0..TAGS_MAX).map(tag).collect();
        let changed = merged("arn", &full, vec![("k3".into(), "w".into())]).unwrap();
        assert_eq!((changed.len(), &*changed[3].1), (TAGS_MAX, "w"));
        assert_eq!(merged("arn", &full, vec![tag(99)]).unwrap_err().name(), "TooManyTags");
    }
}
