//! `Custom::StepwellStateMachineAlias`: the properties of `AWS::StepFunctions::StateMachineAlias`.

use stepwell_expr::Value;

use super::machine::Members;
use super::properties::{Properties, invalid};
use super::{Failure, Kind, Made, NotMade, Request, World, object};

const PROPERTIES: [&str; 4] = ["DeploymentPreference", "Description", "Name", "RoutingConfiguration"];

impl World<'_> {
    pub(super) async fn alias(&self, request: &Request<'_>) -> Result<Made, NotMade> {
        if request.kind == Kind::Delete {
            return self.delete(request, "DeleteStateMachineAlias", "stateMachineAliasArn").await;
        }
        request.properties.only(&PROPERTIES)?;
        let name = request.properties.required("Name")?;
        let routing = routing(request.properties)?;
        let description = request.properties.text("Description")?.unwrap_or_default();
        let mut members = vec![("description", Value::from(description)), ("routingConfiguration", routing)];
        let there = request.physical_id.filter(|_| request.kind == Kind::Update);
        if let Some(arn) = there.filter(|arn| Some(*arn) == arn_of(name, &members[1].1).as_deref()) {
            members.push(("stateMachineAliasArn", arn.into()));
            self.call("UpdateStateMachineAlias", members.into_iter().collect::<Members>().0).await?;
            return Ok(made(arn));
        }
        members.push(("name", name.into()));
        let answer = self.call("CreateStateMachineAlias", members.into_iter().collect::<Members>().0).await?;
        Ok(made(answer.get("stateMachineAliasArn").and_then(Value::as_str).unwrap_or_default()))
    }
}

/// `routingConfiguration`
fn routing(properties: Properties<'_>) -> Result<Value, Failure> {
    let preference = properties.value("DeploymentPreference");
    match (properties.structure("RoutingConfiguration")?, preference) {
        (Some(routing), None) => Ok(routing),
        (None, Some(preference)) => {
            let preference = Properties::of(Some(preference));
            let kind = preference.required("Type")?;
            if kind != "ALL_AT_ONCE" {
                let message = format!(
                    "DeploymentPreference: {kind} shifts executions over time, which Stepwell does not; use ALL_AT_ONCE, \
                     or RoutingConfiguration with weights"
                );
                return Err(invalid(message));
            }
            preference.only(&["StateMachineVersionArn", "Type"])?;
            let version = preference.required("StateMachineVersionArn")?;
            let whole = object([("stateMachineVersionArn", version.into()), ("weight", 100.into())]);
            Ok(vec![whole].into())
        }
        _ => {
            let message = "exactly one of RoutingConfiguration and DeploymentPreference is needed";
            Err(invalid(message.to_owned()))
        }
    }
}

/// The ARN of the alias with this name of the machine whose versions these are.
fn arn_of(name: &str, routing: &Value) -> Option<String> {
    let version = routing.as_array()?.first()?.get("stateMachineVersionArn")?.as_str()?;
    let (machine, _) = version.rsplit_once(':')?;
    Some(format!("{machine}:{name}"))
}

fn made(arn: &str) -> Made {
    Made { physical_id: arn.to_owned(), attributes: vec![("Arn", arn.to_owned())] }
}
