//! State machines, versions, aliases and activities: custom resources with the same properties.

use stepwell_expr::{Map, Value};

use super::definition::written;
use super::{Place, Template, at, members_mut, object};
use crate::lambda::cloudformation::{MACHINE, VALUES};

const VERSION: [&str; 3] = ["Description", "StateMachineArn", "StateMachineRevisionId"];
const ALIAS: [&str; 4] = ["DeploymentPreference", "Description", "Name", "RoutingConfiguration"];
const ACTIVITY: [&str; 3] = ["EncryptionConfiguration", "Name", "Tags"];

impl Template<'_> {
    pub(super) fn machine(&mut self, place: &Place<'_>, resource: &mut Value) {
        let Some(properties) = self.custom(place, resource, "StateMachine", &MACHINE) else { return };
        // A custom resource gets texts for numbers and booleans, and a definition has both: it goes as one text.
        if let Some(definition) = properties.remove("Definition") {
            match written(&definition) {
                Ok((text, values)) => {
                    properties.insert("DefinitionString", text);
                    if !values.is_empty() {
                        properties.insert(VALUES, values.into());
                    }
                }
                Err(why) => self.error(place, "Definition", &why),
            }
        }
        let role = at(at(resource, "Properties"), "RoleArn").clone();
        if let Some(role) = super::reference::named(&role).map(str::to_owned) {
            self.check_role(place, &role);
        }
    }

    pub(super) fn version(&mut self, place: &Place<'_>, resource: &mut Value) {
        self.custom(place, resource, "StateMachineVersion", &VERSION);
    }

    pub(super) fn alias(&mut self, place: &Place<'_>, resource: &mut Value) {
        let Some(properties) = self.custom(place, resource, "StateMachineAlias", &ALIAS) else { return };
        let Some(preference) = properties.remove("DeploymentPreference") else { return };
        match at(&preference, "Type").as_str() {
            Some("ALL_AT_ONCE") => {
                let version = at(&preference, "StateMachineVersionArn").clone();
                let whole = object([("StateMachineVersionArn", version), ("Weight", 100.into())]);
                properties.insert("RoutingConfiguration", vec![whole].into());
            }
            _ => self.error(
                place,
                "DeploymentPreference",
                "shifts executions over time, which Stepwell does not: use the type ALL_AT_ONCE, or RoutingConfiguration",
            ),
        }
    }

    pub(super) fn activity(&mut self, place: &Place<'_>, resource: &mut Value) {
        self.custom(place, resource, "Activity", &ACTIVITY);
    }

    /// Makes the resource a custom one, and gives its properties.
    fn custom<'v>(
        &mut self,
        place: &Place<'_>,
        resource: &'v mut Value,
        kind: &str,
        known: &[&str],
    ) -> Option<&'v mut Map> {
        let members = members_mut(resource)?;
        members.insert("Type", format!("Custom::Stepwell{kind}").into());
        if !members.contains_key("Properties") {
            members.insert("Properties", Value::empty_object());
        }
        let properties = members.get_mut("Properties")?;
        let Some(properties) = members_mut(properties) else {
            self.error(place, "Properties", "is no object");
            return None;
        };
        for name in properties.keys().filter(|name| !known.contains(&&***name)) {
            self.error(place, name, "is no property that Stepwell knows");
        }
        properties.insert("ServiceToken", self.names.api.into());
        Some(properties)
    }
}
