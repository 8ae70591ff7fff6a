//! `Custom::StepwellStateMachineVersion`: the properties of `AWS::StepFunctions::StateMachineVersion`.

use stepwell_expr::Value;

use super::machine::Members;
use super::{Kind, Made, NotMade, Request, World};

/// The properties, each with the API's member. A version never changes: whichever of them does makes another one.
const PROPERTIES: [(&str, &str); 3] = [
    ("StateMachineArn", "stateMachineArn"),
    ("StateMachineRevisionId", "revisionId"),
    ("Description", "description"),
];

impl World<'_> {
    pub(super) async fn version(&self, request: &Request<'_>) -> Result<Made, NotMade> {
        if request.kind == Kind::Delete {
            let member = "stateMachineVersionArn";
            return self.delete(request, "DeleteStateMachineVersion", member).await;
        }
        request.properties.only(&PROPERTIES.map(|(property, _)| property))?;
        request.properties.required("StateMachineArn")?;
        let mut members = vec![];
        let mut is_same = request.kind == Kind::Update;
        for (property, member) in PROPERTIES {
            let value = request.properties.text(property)?;
            is_same &= value == request.old_properties.text(property)?;
            members.extend(value.map(|value| (member, Value::from(value))));
        }
        if is_same {
            return Ok(made(request.arn()?));
        }
        let members = members.into_iter().collect::<Members>().0;
        let answer = self.call("PublishStateMachineVersion", members).await?;
        Ok(made(answer.get("stateMachineVersionArn").and_then(Value::as_str).unwrap_or_default()))
    }
}

fn made(arn: &str) -> Made {
    Made { physical_id: arn.to_owned(), attributes: vec![("Arn", arn.to_owned())] }
}
