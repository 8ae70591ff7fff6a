//! Roles that Step Functions may assume: our functions may, too.

use stepwell_expr::Value;

use super::{Place, Template, at, items_mut, member_mut, members_mut, object, reference};

/// The tag by which the template's policies know the roles that may be assumed (`AssumableRolesAreTagged`).
const TAG: &str = "stepwell";

impl Template<'_> {
    pub(super) fn role(&mut self, role: &mut Value) {
        let Some(properties) = member_mut(role, "Properties").and_then(members_mut) else { return };
        let Some(document) = properties.get_mut("AssumeRolePolicyDocument") else { return };
        if !trusts_step_functions(document) {
            return;
        }
        let arns: Vec<Value> = self.names.roles.iter().map(|arn| arn.as_str().into()).collect();
        let statement = object([
            ("Effect", "Allow".into()),
            ("Action", "sts:AssumeRole".into()),
            ("Principal", object([("AWS", arns.into())])),
        ]);
        let Some(statements) = member_mut(document, "Statement") else { return };
        match items_mut(statements) {
            Some(statements) => statements.push(statement),
            None => *statements = vec![statements.clone(), statement].into(),
        }
        let tag = object([("Key", TAG.into()), ("Value", "tasks".into())]);
        match properties.get_mut("Tags").and_then(items_mut) {
            Some(tags) => tags.push(tag),
            None => {
                properties.insert("Tags", vec![tag].into());
            }
        }
    }

    /// Checks that a machine's role, if it is one of this template, is one that our functions will be able to assume.
    pub(super) fn check_role(&mut self, place: &Place<'_>, role: &str) {
        let Some(resource) = self.resources.get(role) else { return };
        if at(resource, "Type").as_str() == Some("AWS::IAM::Role")
            && !trusts_step_functions(at(at(resource, "Properties"), "AssumeRolePolicyDocument"))
        {
            let why = format!(
                "is {role}, whose AssumeRolePolicyDocument names no states.amazonaws.com to stand beside"
            );
            self.error(place, "RoleArn", &why);
        }
    }
}

fn trusts_step_functions(document: &Value) -> bool {
    let statement = at(document, "Statement");
    let statements = statement.as_array().unwrap_or(std::slice::from_ref(statement));
    statements.iter().any(|statement| {
        let services = at(at(statement, "Principal"), "Service");
        let services = services.as_array().unwrap_or(std::slice::from_ref(services));
        at(statement, "Effect").as_str() == Some("Allow")
            && services.iter().any(|service| {
                let name = reference::text(service);
                name.starts_with("states.") && name.contains("amazonaws.com")
            })
    })
}
