//! The CloudFormation macro `Stepwell`: turns the Step Functions resources of a template into ours.
//!
//! It stands behind `AWS::Serverless-2016-10-31` in `Transform`, so that SAM has already made plain resources of its state machines,
//! their events, roles and API routes, and what is turned here is what CloudFormation itself would make. Logical ids stay, and so do
//! all references: a custom resource's Ref and GetAtt give what the former resource's gave. What has no counterpart here is an error
//! that names resource and property. A template without state machines comes back as it was.

mod definition;
mod gateway;
mod machines;
mod reference;
mod roles;
mod targets;

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwell_expr::{Map, Value};

use super::Failure;
use crate::Config;

/// The functions and roles that templates are pointed to.
pub(super) struct Names<'a> {
    /// The function `api`, which makes custom resources.
    api: &'a str,
    /// The function `start`.
    start: &'a str,
    /// The roles that a state machine's role has to trust.
    roles: &'a [String],
}

impl<'a> Names<'a> {
    /// # Errors
    /// [`Failure`] names the variable that is not set.
    pub(super) fn of(config: &'a Config) -> Result<Self, Failure> {
        let missing = |name: &str| Failure::new("InternalFailure", format!("{name} is not set"));
        let api = config.api_arn.as_deref().ok_or_else(|| missing("STEPWELL_API_ARN"))?;
        let start = config.start_arn.as_deref().ok_or_else(|| missing("STEPWELL_START_ARN"))?;
        Ok(Names { api, start, roles: &config.role_arns })
    }
}

/// The answer to CloudFormation. (CloudFormation: macros, request and response of the Lambda function.)
pub(super) fn answer(names: &Names<'_>, event: &Value) -> String {
    let request_id = event.get("requestId").cloned().unwrap_or_default();
    let answer = match transformed(names, at(event, "fragment")) {
        Ok(fragment) => {
            object([("requestId", request_id), ("status", "success".into()), ("fragment", fragment)])
        }
        Err(errors) => {
            let message = errors.join("; ");
            tracing::warn!(message, "a template was not turned");
            object([
                ("requestId", request_id),
                ("status", "failure".into()),
                ("errorMessage", message.into()),
            ])
        }
    };
    answer.to_json()
}

/// A template on its way.
struct Template<'a> {
    names: &'a Names<'a>,
    resources: Map,
    /// The logical ids whose Ref is the ARN of something to start: machines, versions and aliases.
    startable: BTreeSet<Arc<str>>,
    /// REST APIs that were changed: what is deployed of them has to be deployed anew.
    changed_apis: BTreeSet<Arc<str>>,
    /// Everything that cannot be turned.
    errors: Vec<String>,
}

/// The template, turned.
///
/// # Errors
/// Everything that cannot be.
fn transformed(names: &Names<'_>, fragment: &Value) -> Result<Value, Vec<String>> {
    let Some(resources) = fragment.get("Resources").and_then(Value::as_object) else {
        return Ok(fragment.clone());
    };
    if !resources.values().any(is_step_functions) {
        return Ok(fragment.clone());
    }
    let startable = resources.iter().filter(|(_, resource)| is_startable(resource));
    let mut template = Template {
        names,
        resources: resources.clone(),
        startable: startable.map(|(id, _)| id.clone()).collect(),
        changed_apis: BTreeSet::new(),
        errors: vec![],
    };
    for id in resources.keys() {
        template.turn(id);
    }
    if !template.errors.is_empty() {
        return Err(template.errors);
    }
    let mut whole = fragment.clone();
    let deployments = template.deployments();
    if let Some(slot) = member_mut(&mut whole, "Resources") {
        *slot = template.resources.into();
    }
    Ok(deployments.iter().fold(whole, |whole, id| reference::renamed(&whole, id, &format!("{id}Stepwell"))))
}

impl Template<'_> {
    fn turn(&mut self, id: &Arc<str>) {
        let Some(mut resource) = self.resources.get(id).cloned() else { return };
        let kind = resource.get("Type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let place = Place { id: id.clone(), kind: &kind };
        match &*kind {
            "AWS::StepFunctions::StateMachine" => self.machine(&place, &mut resource),
            "AWS::StepFunctions::StateMachineVersion" => self.version(&place, &mut resource),
            "AWS::StepFunctions::StateMachineAlias" => self.alias(&place, &mut resource),
            "AWS::StepFunctions::Activity" => self.activity(&place, &mut resource),
            "AWS::Serverless::StateMachine" => self.error(
                &place,
                "Type",
                "is not expanded yet: list Stepwell behind AWS::Serverless-2016-10-31 in Transform",
            ),
            "AWS::Events::Rule" => self.rule(&place, &mut resource),
            "AWS::Scheduler::Schedule" => self.schedule(&place, &mut resource),
            "AWS::ApiGateway::RestApi" => self.rest_api(&place, &mut resource),
            "AWS::ApiGateway::Method" => self.method(&place, &mut resource),
            "AWS::IAM::Role" => self.role(&mut resource),
            _ => self.check(&place, &resource),
        }
        self.resources.insert(id.clone(), resource);
    }

    /// What would go on calling AWS's own service, with ARNs that it does not know.
    fn check(&mut self, place: &Place<'_>, resource: &Value) {
        let properties = at(resource, "Properties");
        match place.kind {
            "AWS::Pipes::Pipe" if self.is_startable(at(properties, "Target")) => self.error(
                place,
                "Target",
                "is a state machine: a pipe reaches it through the function start",
            ),
            "AWS::IoT::TopicRule"
                if reference::mentions(at(properties, "TopicRulePayload"), &self.startable) =>
            {
                self.error(place, "TopicRulePayload", "starts a state machine, which IoT cannot do here")
            }
            "AWS::ApiGatewayV2::Integration" | "AWS::ApiGatewayV2::Api"
                if reference::mentions(properties, &self.startable) =>
            {
                let property = if place.kind.ends_with("Api") { "Body" } else { "RequestParameters" };
                self.error(
                    place,
                    property,
                    "starts a state machine, which an HTTP API cannot do here: use a REST API, or a route to the function start",
                );
            }
            "AWS::CloudWatch::Alarm" if reference::mentions(properties, &self.startable) => self.error(
                place,
                "Dimensions",
                "names a state machine, and Stepwell gives no metrics in AWS/States",
            ),
            _ => {}
        }
    }

    fn error(&mut self, place: &Place<'_>, property: &str, why: &str) {
        self.errors.push(format!("{} ({}), property {property}: {why}", place.id, place.kind));
    }

    /// Adds a resource under a logical id of ours.
    fn add(&mut self, id: &str, resource: Value) {
        if self.resources.get(id).is_some_and(|there| *there != resource) {
            self.errors.push(format!("{id}: the template has a resource of this name, which Stepwell needs"));
        }
        self.resources.insert(id, resource);
    }
}

/// Which resource.
struct Place<'a> {
    id: Arc<str>,
    kind: &'a str,
}

fn is_step_functions(resource: &Value) -> bool {
    let kind = resource.get("Type").and_then(Value::as_str).unwrap_or_default();
    kind.starts_with("AWS::StepFunctions::") || kind == "AWS::Serverless::StateMachine"
}

fn is_startable(resource: &Value) -> bool {
    is_step_functions(resource) && at(resource, "Type").as_str() != Some("AWS::StepFunctions::Activity")
}

/// A member of an object; null where it is none, or has none.
fn at<'v>(value: &'v Value, name: &str) -> &'v Value {
    static NULL: Value = Value::Null;
    value.get(name).unwrap_or(&NULL)
}

/// A member of an object, to be changed.
fn member_mut<'v>(value: &'v mut Value, name: &str) -> Option<&'v mut Value> {
    members_mut(value)?.get_mut(name)
}

/// An object's members, to be changed.
fn members_mut(value: &mut Value) -> Option<&mut Map> {
    match value {
        Value::Object(members) => Some(Arc::make_mut(members)),
        _ => None,
    }
}

/// An array's items, to be changed.
fn items_mut(value: &mut Value) -> Option<&mut Vec<Value>> {
    match value {
        Value::Array(items) => Some(Arc::make_mut(items)),
        _ => None,
    }
}

/// An object of these members.
fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let mut map = Map::with_capacity(N);
    for (name, value) in members {
        map.insert(name, value);
    }
    map.into()
}

/// `Fn::Join` with nothing between the parts.
fn joined(parts: Vec<Value>) -> Value {
    object([("Fn::Join", vec![Value::from(""), parts.into()].into())])
}

/// `Fn::GetAtt`
fn attribute(id: &str, name: &str) -> Value {
    object([("Fn::GetAtt", vec![Value::from(id), name.into()].into())])
}

#[cfg(test)]
mod tests;
