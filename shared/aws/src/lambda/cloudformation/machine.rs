//! `Custom::StepwellStateMachine`: the properties of `AWS::StepFunctions::StateMachine`.

use stepwell_expr::Value;

use sha2::{Digest, Sha256};

use super::definition::{VALUES, definition};
use super::properties::{Properties, invalid};
use super::{Failure, Kind, Made, NotMade, Request, World, api_tags, object};

/// The properties of AWS's type; ours has [`VALUES`] besides.
pub(in crate::lambda) const MACHINE: [&str; 11] = [
    "Definition",
    "DefinitionS3Location",
    "DefinitionString",
    "DefinitionSubstitutions",
    "EncryptionConfiguration",
    "LoggingConfiguration",
    "RoleArn",
    "StateMachineName",
    "StateMachineType",
    "Tags",
    "TracingConfiguration",
];

/// Configurations: the property, the API's member, and what the API has where there is none.
const CONFIGURATIONS: [(&str, &str, &str); 3] = [
    ("LoggingConfiguration", "loggingConfiguration", r#"{"level":"OFF"}"#),
    ("TracingConfiguration", "tracingConfiguration", r#"{"enabled":false}"#),
    ("EncryptionConfiguration", "encryptionConfiguration", r#"{"type":"AWS_OWNED_KEY"}"#),
];

/// Longest name of a state machine.
const NAME_CHARS_MAX: usize = 80;

/// The revision of a machine that was never updated, as PublishStateMachineVersion has it.
const INITIAL: &str = "INITIAL";

impl World<'_> {
    pub(super) async fn machine(&self, request: &Request<'_>) -> Result<Made, NotMade> {
        if request.kind == Kind::Delete {
            return self.delete(request, "DeleteStateMachine", "stateMachineArn").await;
        }
        request.properties.only(&[&MACHINE[..], &[VALUES]].concat())?;
        match request.kind {
            Kind::Update if !is_replaced(request)? => {
                let arn = request.arn()?;
                self.update_machine(arn, request).await?;
                Ok(self.made_machine(arn).await?)
            }
            _ => self.create_machine(request).await,
        }
    }

    async fn create_machine(&self, request: &Request<'_>) -> Result<Made, NotMade> {
        let generated;
        let name = match request.properties.text("StateMachineName")? {
            Some(name) => name,
            None => {
                generated = generated_name(request);
                &generated
            }
        };
        let arn = self.api.settings().arn(&format!("stateMachine:{name}"));
        match self.call("DescribeStateMachine", object([("stateMachineArn", (&*arn).into())])).await {
            // This very request came before, and its answer was lost.
            Ok(there) if self.is_ours(&arn, request).await? && type_of(&there) == type_asked(request)? => {
                self.update_machine(&arn, request).await?;
            }
            Ok(_) => {
                let message = format!("State Machine Already Exists: '{arn}'");
                return Err(Failure::new("StateMachineAlreadyExists", message).into());
            }
            Err(failure) if failure.error_type != "StateMachineDoesNotExist" => return Err(failure.into()),
            Err(_) => {
                let mut members = self.members(request).await?;
                members.push(("name", name.into()));
                members.push(("type", type_asked(request)?.into()));
                members.push(("tags", api_tags(&request.tags()?)));
                self.call("CreateStateMachine", members.into_iter().collect::<Members>().0).await?;
            }
        }
        self.made_machine(&arn)
            .await
            .map_err(|failure| NotMade { failure, physical_id: Some(arn.to_string()) })
    }

    async fn update_machine(&self, arn: &str, request: &Request<'_>) -> Result<(), Failure> {
        let mut members = self.members(request).await?;
        members.push(("stateMachineArn", arn.into()));
        self.call("UpdateStateMachine", members.into_iter().collect::<Members>().0).await?;
        self.retag(arn, request).await
    }

    /// What creation and update have in common. What a template does not say is what a new machine has.
    async fn members(&self, request: &Request<'_>) -> Result<Vec<(&'static str, Value)>, Failure> {
        let properties = request.properties;
        let mut members = vec![
            ("definition", definition(properties, self.objects).await?.into()),
            ("roleArn", properties.required("RoleArn")?.into()),
        ];
        for (property, member, otherwise) in CONFIGURATIONS {
            let otherwise = || stepwell_expr::json::parse(otherwise).unwrap_or_default();
            members.push((member, properties.structure(property)?.unwrap_or_else(otherwise)));
        }
        Ok(members)
    }

    async fn made_machine(&self, arn: &str) -> Result<Made, Failure> {
        let there = self.call("DescribeStateMachine", object([("stateMachineArn", arn.into())])).await?;
        let text = |name: &str| there.get(name).and_then(Value::as_str);
        let attributes = vec![
            ("Arn", arn.to_owned()),
            ("Name", text("name").unwrap_or_default().to_owned()),
            ("StateMachineRevisionId", text("revisionId").unwrap_or(INITIAL).to_owned()),
        ];
        Ok(Made { physical_id: arn.to_owned(), attributes })
    }
}

/// The members of a request.
pub(super) struct Members(pub(super) Value);

impl FromIterator<(&'static str, Value)> for Members {
    fn from_iter<I: IntoIterator<Item = (&'static str, Value)>>(members: I) -> Self {
        let map: stepwell_expr::Map = members.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Members(map.into())
    }
}

/// Whether an update makes another machine: names and types do not change.
fn is_replaced(request: &Request<'_>) -> Result<bool, NotMade> {
    let (new, old) = (request.properties, request.old_properties);
    let renamed = new.text("StateMachineName")? != old.text("StateMachineName")?;
    let retyped = type_in(new)? != type_in(old)?;
    if let (true, false, Some(name)) = (retyped, renamed, new.text("StateMachineName")?) {
        let message = format!(
            "a change of StateMachineType replaces the state machine, and two cannot have the name {name}: change \
             StateMachineName, too"
        );
        return Err(invalid(message).into());
    }
    Ok(renamed || retyped)
}

fn type_in<'a>(properties: Properties<'a>) -> Result<&'a str, Failure> {
    Ok(properties.text("StateMachineType")?.unwrap_or("STANDARD"))
}

fn type_asked<'a>(request: &Request<'a>) -> Result<&'a str, Failure> {
    type_in(request.properties)
}

fn type_of(machine: &Value) -> &str {
    machine.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// A name for a machine without one: the same whenever the same request comes, and another for its replacement.
fn generated_name(request: &Request<'_>) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    const CHARS: usize = 12;
    let seed = [request.stack_id, request.logical_id, request.request_id].join("\n");
    let drawn = Sha256::digest(seed);
    let suffix = drawn.iter().take(CHARS).map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    let prefix = request.logical_id.chars().take(NAME_CHARS_MAX - 1 - CHARS);
    prefix.chain(['-']).chain(suffix).collect()
}
