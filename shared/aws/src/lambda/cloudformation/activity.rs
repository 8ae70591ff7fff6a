//! `Custom::StepwellActivity`: the properties of `AWS::StepFunctions::Activity`.

use super::properties::invalid;
use super::{Failure, Kind, Made, NotMade, Request, World, api_tags, object};

const PROPERTIES: [&str; 3] = ["EncryptionConfiguration", "Name", "Tags"];

impl World<'_> {
    pub(super) async fn activity(&self, request: &Request<'_>) -> Result<Made, NotMade> {
        if request.kind == Kind::Delete {
            return self.delete(request, "DeleteActivity", "activityArn").await;
        }
        request.properties.only(&PROPERTIES)?;
        let name = request.properties.required("Name")?;
        let (new, old) = (request.properties, request.old_properties);
        if request.kind == Kind::Update && Some(name) == old.text("Name")? {
            if new.value("EncryptionConfiguration") != old.value("EncryptionConfiguration") {
                let message = "EncryptionConfiguration of an activity does not change: change Name, too";
                return Err(invalid(message.to_owned()).into());
            }
            let arn = request.arn()?;
            self.retag(arn, request).await?;
            return Ok(made(arn, name));
        }
        let arn = self.api.settings().arn(&format!("activity:{name}"));
        match self.call("DescribeActivity", object([("activityArn", (&*arn).into())])).await {
            // This very request came before, and its answer was lost.
            Ok(_) if self.is_ours(&arn, request).await? => self.retag(&arn, request).await?,
            Ok(_) => {
                let message = format!("Activity already exists: '{arn}'");
                return Err(Failure::new("ActivityAlreadyExists", message).into());
            }
            Err(failure) if failure.error_type != "ActivityDoesNotExist" => return Err(failure.into()),
            Err(_) => {
                let tags = api_tags(&request.tags()?);
                let encryption = new.structure("EncryptionConfiguration")?;
                let encryption = encryption.unwrap_or_else(|| object([("type", "AWS_OWNED_KEY".into())]));
                let members =
                    object([("name", name.into()), ("tags", tags), ("encryptionConfiguration", encryption)]);
                self.call("CreateActivity", members).await?;
            }
        }
        Ok(made(&arn, name))
    }
}

fn made(arn: &str, name: &str) -> Made {
    let attributes = vec![("Arn", arn.to_owned()), ("Name", name.to_owned())];
    Made { physical_id: arn.to_owned(), attributes }
}
