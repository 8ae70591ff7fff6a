//! Custom resources of CloudFormation: state machines, their versions and aliases, and activities.
//!
//! `Custom::StepwellStateMachine`, `…Version`, `…Alias` and `Custom::StepwellActivity` have the properties and the attributes of
//! AWS's own resource types, and the ARN is what Ref gives. CloudFormation may deliver a request more than once, and each is
//! answered as if it were the first.

mod activity;
mod alias;
mod answer;
mod definition;
mod machine;
mod properties;
mod retyped;
mod version;

use async_trait::async_trait;
use bytes::Bytes;
use stepwell_expr::{Map, Value};
use stepwell_wire::Api;

use self::properties::Properties;
use super::{Failure, call, succeeded};

pub(super) use answer::Answers;
pub(super) use definition::{NO_VALUE, VALUES};
pub(super) use machine::MACHINE;

/// What a custom resource is made with.
pub(super) struct World<'a> {
    /// The API that makes it.
    pub(super) api: &'a Api,
    /// Where definitions may lie.
    pub(super) objects: &'a dyn Objects,
    /// Where CloudFormation waits.
    pub(super) answers: &'a Answers,
}

/// Objects of any bucket (S3).
#[async_trait]
pub(super) trait Objects: Send + Sync {
    /// An object, or one of its versions.
    ///
    /// # Errors
    /// Why it could not be read.
    async fn object(&self, bucket: &str, key: &str, version: Option<&str>) -> Result<Bytes, String>;
}

/// What CloudFormation asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Create,
    Update,
    Delete,
}

/// A request of CloudFormation. (CloudFormation: custom resource request objects.)
struct Request<'a> {
    kind: Kind,
    response_url: &'a str,
    stack_id: &'a str,
    request_id: &'a str,
    logical_id: &'a str,
    /// What the resource is known by: an ARN, unless it could not be made.
    physical_id: Option<&'a str>,
    resource_type: &'a str,
    properties: Properties<'a>,
    old_properties: Properties<'a>,
}

/// A resource that is there.
#[derive(Debug, PartialEq, Eq)]
struct Made {
    /// What Ref gives. Another one than before says that the resource was replaced: CloudFormation deletes the former.
    physical_id: String,
    /// What GetAtt gives.
    attributes: Vec<(&'static str, String)>,
}

/// Why a resource is not as it should be.
#[derive(Debug)]
struct NotMade {
    failure: Failure,
    /// What CloudFormation may delete, where something was made before it failed.
    physical_id: Option<String>,
}

impl From<Failure> for NotMade {
    fn from(failure: Failure) -> Self {
        NotMade { failure, physical_id: None }
    }
}

impl World<'_> {
    /// Does what a request asks for, and tells CloudFormation.
    ///
    /// # Errors
    /// [`Failure`] where CloudFormation could not be told: Lambda delivers the request again.
    pub(super) async fn handle(&self, event: &Value) -> Result<String, Failure> {
        let request = Request::read(event)?;
        self.answers.check(request.response_url)?;
        let outcome = self.change(&request).await;
        if let Err(not_made) = &outcome {
            let (logical_id, failure) = (request.logical_id, &not_made.failure);
            tracing::warn!(logical_id, %failure, "a custom resource failed");
        }
        self.answers.put(&request, &outcome).await?;
        Ok("null".to_owned())
    }

    async fn change(&self, request: &Request<'_>) -> Result<Made, NotMade> {
        match request.resource_type {
            "Custom::StepwellStateMachine" => self.machine(request).await,
            "Custom::StepwellStateMachineVersion" => self.version(request).await,
            "Custom::StepwellStateMachineAlias" => self.alias(request).await,
            "Custom::StepwellActivity" => self.activity(request).await,
            other => {
                let message = format!("there is no resource type {other}");
                Err(Failure::new("InvalidRequest", message).into())
            }
        }
    }

    /// Calls an operation.
    ///
    /// # Errors
    /// AWS's exception.
    async fn call(&self, operation: &str, request: Value) -> Result<Value, Failure> {
        let reply = call(self.api, operation, request.to_json().as_bytes()).await;
        let answer = succeeded(reply)?;
        stepwell_expr::json::parse(&answer).map_err(|error| Failure::new("InternalFailure", error))
    }

    /// Deletes a resource that may not be there (any more).
    async fn delete(
        &self,
        request: &Request<'_>,
        operation: &str,
        member: &'static str,
    ) -> Result<Made, NotMade> {
        let arn = request.physical_id.unwrap_or_default();
        // What could not be made is known by no ARN.
        if arn.starts_with("arn:") {
            match self.call(operation, object([(member, arn.into())])).await {
                Err(failure) if !is_missing(&failure) => return Err(failure.into()),
                _ => {}
            }
        }
        Ok(Made { physical_id: arn.to_owned(), attributes: vec![] })
    }

    /// Brings the tags of a resource from what the old properties say to what the new ones do. Tags that others gave it stay.
    async fn retag(&self, arn: &str, request: &Request<'_>) -> Result<(), Failure> {
        let tags = request.tags()?;
        let old = request.old_properties.tags()?;
        let gone: Vec<Value> = old
            .iter()
            .filter(|(key, _)| !tags.iter().any(|(kept, _)| kept == key))
            .map(|(key, _)| key.as_str().into())
            .collect();
        if !gone.is_empty() {
            let request = object([("resourceArn", arn.into()), ("tagKeys", gone.into())]);
            self.call("UntagResource", request).await?;
        }
        self.call("TagResource", object([("resourceArn", arn.into()), ("tags", api_tags(&tags))])).await?;
        Ok(())
    }

    /// Whether a resource is the one that this request, or an earlier one for the same resource of the stack, made.
    async fn is_ours(&self, arn: &str, request: &Request<'_>) -> Result<bool, Failure> {
        let answer = self.call("ListTagsForResource", object([("resourceArn", arn.into())])).await?;
        let tags = answer.get("tags").and_then(Value::as_array).unwrap_or_default();
        let has = |key: &str, value: &str| {
            let is =
                |tag: &Value, name: &str, text: &str| tag.get(name).and_then(Value::as_str) == Some(text);
            tags.iter().any(|tag| is(tag, "key", key) && is(tag, "value", value))
        };
        Ok(has(STACK_TAG, request.stack_id) && has(LOGICAL_ID_TAG, request.logical_id))
    }
}

/// The tags that say whose a resource is. (AWS's own, `aws:cloudformation:…`, are AWS's alone.)
const STACK_TAG: &str = "stepwell:cloudformation:stack-id";
const LOGICAL_ID_TAG: &str = "stepwell:cloudformation:logical-id";

impl<'a> Request<'a> {
    fn read(event: &'a Value) -> Result<Self, Failure> {
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        let required = |name: &str| {
            text(name).ok_or_else(|| Failure::new("InvalidRequest", format!("the event has no {name}")))
        };
        let kind = match required("RequestType")? {
            "Create" => Kind::Create,
            "Update" => Kind::Update,
            "Delete" => Kind::Delete,
            other => {
                return Err(Failure::new("InvalidRequest", format!("there is no request type {other}")));
            }
        };
        Ok(Request {
            kind,
            response_url: required("ResponseURL")?,
            stack_id: required("StackId")?,
            request_id: required("RequestId")?,
            logical_id: required("LogicalResourceId")?,
            physical_id: text("PhysicalResourceId"),
            resource_type: required("ResourceType")?,
            properties: Properties::of(event.get("ResourceProperties")),
            old_properties: Properties::of(event.get("OldResourceProperties")),
        })
    }

    /// The resource's tags, those among them that say whose it is.
    fn tags(&self) -> Result<Vec<(String, String)>, Failure> {
        let mut tags = self.properties.tags()?;
        tags.push((STACK_TAG.to_owned(), self.stack_id.to_owned()));
        tags.push((LOGICAL_ID_TAG.to_owned(), self.logical_id.to_owned()));
        Ok(tags)
    }

    /// The ARN of what is changed or deleted.
    fn arn(&self) -> Result<&'a str, Failure> {
        self.physical_id.ok_or_else(|| Failure::new("InvalidRequest", "the event has no PhysicalResourceId"))
    }
}

/// Whether a resource is not there.
fn is_missing(failure: &Failure) -> bool {
    const NAMES: [&str; 4] =
        ["StateMachineDoesNotExist", "ActivityDoesNotExist", "ResourceNotFound", "ResourceNotFoundException"];
    NAMES.contains(&failure.error_type.as_str())
}

fn api_tags(tags: &[(String, String)]) -> Value {
    let tag = |(key, value): &(String, String)| {
        object([("key", key.as_str().into()), ("value", value.as_str().into())])
    };
    Value::array(tags.iter().map(tag).collect())
}

/// An object of these members.
fn object<const N: usize>(members: [(&'static str, Value); N]) -> Value {
    let mut map = Map::with_capacity(N);
    for (name, value) in members {
        map.insert(name, value);
    }
    map.into()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod turned;
