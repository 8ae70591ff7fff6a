//! Routes of REST APIs that start executions: they invoke the function `start` with what they would have sent to Step Functions.

use std::sync::Arc;

use stepwell_expr::{Map, Value};

use super::targets::START_ROLE;
use super::{Place, Template, at, attribute, items_mut, member_mut, members_mut, object, reference};

/// What the integration's address holds where it calls Step Functions, before the operation.
const ACTION: &str = ":states:action/";

/// The pattern by which API Gateway knows any failure of a function, by its message.
const ANY_FAILURE: &str = "[\\s\\S]+";

/// How an integration spells its members: in OpenAPI, or as a resource of its own.
struct Spelling {
    uri: &'static str,
    kind: &'static str,
    templates: &'static str,
    credentials: &'static str,
}

const OPEN_API: Spelling =
    Spelling { uri: "uri", kind: "type", templates: "requestTemplates", credentials: "credentials" };
const RESOURCE: Spelling =
    Spelling { uri: "Uri", kind: "Type", templates: "RequestTemplates", credentials: "Credentials" };

impl Template<'_> {
    pub(super) fn rest_api(&mut self, place: &Place<'_>, api: &mut Value) {
        let body = member_mut(api, "Properties").and_then(|properties| member_mut(properties, "Body"));
        let Some(paths) = body.and_then(|body| member_mut(body, "paths")).and_then(members_mut) else {
            return;
        };
        let names: Vec<Arc<str>> = paths.keys().cloned().collect();
        for path in names {
            let Some(methods) = paths.get_mut(&path).and_then(members_mut) else { continue };
            let verbs: Vec<Arc<str>> = methods.keys().cloned().collect();
            for verb in verbs {
                let integration = methods
                    .get_mut(&verb)
                    .and_then(|method| member_mut(method, "x-amazon-apigateway-integration"))
                    .and_then(members_mut);
                let Some(integration) = integration else { continue };
                let property = format!("Body.paths.{path}.{verb}");
                if self.integration(place, &property, integration, &OPEN_API) {
                    failures_by_key(integration);
                    self.changed_apis.insert(place.id.clone());
                }
            }
        }
    }

    pub(super) fn method(&mut self, place: &Place<'_>, method: &mut Value) {
        let api = reference::named(at(at(method, "Properties"), "RestApiId")).map(Arc::from);
        let integration =
            member_mut(method, "Properties").and_then(|properties| member_mut(properties, "Integration"));
        let Some(integration) = integration.and_then(members_mut) else { return };
        if self.integration(place, "Integration", integration, &RESOURCE) {
            failures_by_pattern(integration);
            self.changed_apis.extend(api);
        }
    }

    /// The deployments of APIs that were changed. A deployment is what its API was when it was made, and CloudFormation makes
    /// another one for another logical id alone.
    pub(super) fn deployments(&self) -> Vec<Arc<str>> {
        let is_changed = |resource: &Value| {
            let api = reference::named(at(at(resource, "Properties"), "RestApiId"));
            at(resource, "Type").as_str() == Some("AWS::ApiGateway::Deployment")
                && api.is_some_and(|api| self.changed_apis.contains(api))
        };
        self.resources.iter().filter(|(_, resource)| is_changed(resource)).map(|(id, _)| id.clone()).collect()
    }

    /// Points an integration that calls Step Functions for a machine of this template to `start`, and says whether it did.
    fn integration(
        &mut self,
        place: &Place<'_>,
        property: &str,
        integration: &mut Map,
        spelling: &Spelling,
    ) -> bool {
        let uri = integration.get(spelling.uri).map(reference::text).unwrap_or_default();
        let Some((_, operation)) = uri.split_once(ACTION) else { return false };
        let templates = integration.get(spelling.templates).cloned().unwrap_or_default();
        if !reference::mentions(&templates, &self.startable) {
            return false;
        }
        match operation {
            "StartExecution" => {}
            "StartSyncExecution" => match with_operation(&templates, operation) {
                Some(templates) => {
                    integration.insert(spelling.templates, templates);
                }
                None => {
                    let why =
                        "the operation can be named in a template only that begins with an object's brace";
                    self.error(place, &format!("{property}.{}", spelling.templates), why);
                    return false;
                }
            },
            _ => {
                let why = format!("{operation} has no counterpart in a route: call the API instead");
                self.error(place, &format!("{property}.{}", spelling.uri), &why);
                return false;
            }
        }
        let uri = format!(
            "arn:${{AWS::Partition}}:apigateway:${{AWS::Region}}:lambda:path/2015-03-31/functions/{}/invocations",
            self.names.start
        );
        integration.insert(spelling.uri, object([("Fn::Sub", uri.into())]));
        let kind = if spelling.kind == "type" { "aws" } else { "AWS" };
        integration.insert(spelling.kind, kind.into());
        integration.insert(spelling.credentials, attribute(START_ROLE, "Arn"));
        self.add_start_role();
        true
    }
}

/// The templates with a first member that names the operation.
fn with_operation(templates: &Value, operation: &str) -> Option<Value> {
    let member = format!(r#"{{"operation": "{operation}", "#);
    let named = |text: &Value| {
        Some(Value::from(
            text.as_str()?.trim_start().strip_prefix('{').map(|rest| format!("{member}{rest}"))?,
        ))
    };
    let mut all = Map::new();
    for (media, template) in templates.as_object()?.iter() {
        let template = match template.get("Fn::Sub") {
            None => named(template)?,
            Some(Value::Array(parts)) => {
                let mut parts = (**parts).clone();
                let first = parts.first_mut()?;
                *first = named(first)?;
                object([("Fn::Sub", parts.into())])
            }
            Some(text) => object([("Fn::Sub", named(text)?)]),
        };
        all.insert(media.clone(), template);
    }
    Some(all.into())
}

/// `responses`: keys are patterns. Step Functions answers with statuses; a function's failure has a message instead.
fn failures_by_key(integration: &mut Map) {
    let Some(responses) = integration.get("responses").and_then(Value::as_object).cloned() else { return };
    let mut turned = Map::with_capacity(responses.len());
    for (pattern, response) in responses.iter() {
        let is_failure = pattern.starts_with(['4', '5']) && !turned.contains_key(ANY_FAILURE);
        let pattern = if is_failure { ANY_FAILURE.into() } else { pattern.clone() };
        // No message is a status, so a success would match nothing but the default.
        let pattern = if pattern.starts_with('2') { "default".into() } else { pattern };
        turned.insert(pattern, response.clone());
    }
    integration.insert("responses", turned.into());
}

/// `IntegrationResponses`: each may have a pattern.
fn failures_by_pattern(integration: &mut Map) {
    let Some(responses) = integration.get_mut("IntegrationResponses").and_then(items_mut) else { return };
    let mut is_turned = false;
    for response in responses.iter_mut().filter_map(members_mut) {
        let pattern = response.get("SelectionPattern").and_then(Value::as_str).unwrap_or_default();
        if pattern.starts_with('2') {
            response.remove("SelectionPattern");
        } else if pattern.starts_with(['4', '5']) && !is_turned {
            response.insert("SelectionPattern", ANY_FAILURE.into());
            is_turned = true;
        }
    }
}
