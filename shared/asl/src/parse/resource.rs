//! What a Task's `Resource` may name.

use super::MachineType;
use super::checker::{Checker, Fields};
use crate::{Code, Severity};

/// Reports a `Resource` that the service does not know, or that an Express machine may not use.
pub(crate) fn check(checker: &mut Checker<'_>, fields: &Fields<'_>, resource: &str) {
    let Some(node) = fields.get("Resource") else { return };
    let pointer = fields.pointer.key("Resource");
    match kind(resource) {
        None => {
            let help = resource.contains("${").then(|| {
                "a placeholder is to be replaced before: SAM and CloudFormation do it by DefinitionSubstitutions".to_owned()
            });
            let message = "Value is not a valid resource ARN".to_owned();
            let (location, code) = (pointer.location(), Code::SCHEMA_VALIDATION_FAILED);
            checker.report(Severity::Error, code, location, &node.span, message, help);
        }
        Some(Kind::Unknown) => {
            checker.schema(&pointer, &node.span, unknown(resource));
        }
        Some(kind) if checker.machine_type == MachineType::Express => {
            if let Some(what) = kind.not_in_express() {
                checker.schema(
                    &pointer,
                    &node.span,
                    format!("Express state machine does not support {what}"),
                );
            }
        }
        Some(_) => {}
    }
}

/// What is said of a `Resource` that no integration has.
pub(crate) fn unknown(resource: &str) -> String {
    format!(
        "The resource provided {resource} is not recognized. The value is not a valid resource ARN, or the resource is \
         not available in this region."
    )
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Lambda,
    Activity,
    Service,
    Sync,
    WaitForTaskToken,
    Unknown,
}

impl Kind {
    /// What an Express machine does not support about it, down to the service's own blank at one end.
    fn not_in_express(&self) -> Option<&'static str> {
        match self {
            Kind::Activity => Some("Activity ARN"),
            Kind::Sync => Some("'.sync' service integration"),
            Kind::WaitForTaskToken => Some("'.waitForTaskToken' service integration "),
            Kind::Lambda | Kind::Service | Kind::Unknown => None,
        }
    }
}

/// `None` where the text is no ARN.
fn kind(resource: &str) -> Option<Kind> {
    let mut parts = resource.splitn(6, ':');
    let (arn, partition, service, region) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (account, rest) = (parts.next()?, parts.next()?);
    if arn != "arn" || partition.is_empty() || service.is_empty() || rest.is_empty() {
        return None;
    }
    match service {
        "lambda" if rest.starts_with("function:") => Some(Kind::Lambda),
        "states" if region.is_empty() && account.is_empty() => Some(integration(rest)),
        "states" if rest.starts_with("activity:") => Some(Kind::Activity),
        _ => Some(Kind::Unknown),
    }
}

/// `rest` is what follows `arn:aws:states:::`.
fn integration(rest: &str) -> Kind {
    let (service, action) = match rest.strip_prefix("aws-sdk:") {
        Some(rest) => (rest, rest.split_once(':').map(|(_, action)| action)),
        None => (rest, rest.split_once(':').map(|(_, action)| action)),
    };
    let Some(action) = action.filter(|action| !action.is_empty() && !service.starts_with(':')) else {
        return Kind::Unknown;
    };
    let known =
        rest.starts_with("aws-sdk:") || rest.split(':').next().is_some_and(|name| OPTIMIZED.contains(&name));
    match action.split_once('.').map(|(_, pattern)| pattern) {
        _ if !known => Kind::Unknown,
        None => Kind::Service,
        Some("sync" | "sync:2") => Kind::Sync,
        Some("waitForTaskToken") => Kind::WaitForTaskToken,
        Some(_) => Kind::Unknown,
    }
}

/// Services with an integration of their own (Developer Guide: Integrating optimized services).
const OPTIMIZED: [&str; 25] = [
    "apigateway",
    "athena",
    "batch",
    "bedrock",
    "codebuild",
    "databrew",
    "dynamodb",
    "ecs",
    "eks",
    "elasticmapreduce",
    "emr-containers",
    "emr-serverless",
    "events",
    "glue",
    "http",
    "lambda",
    "mediaconvert",
    "s3",
    "sagemaker",
    "sns",
    "sqs",
    "states",
    "evaluateFile",
    "aws-sdk",
    "mwaa",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_resources_apart() {
        for (resource, expected) in [
            ("arn:aws:lambda:us-east-1:123456789012:function:f:prod", Some(Kind::Lambda)),
            ("arn:aws:states:::lambda:invoke", Some(Kind::Service)),
            ("arn:aws:states:::lambda:invoke.waitForTaskToken", Some(Kind::WaitForTaskToken)),
            ("arn:aws:states:::states:startExecution.sync:2", Some(Kind::Sync)),
            ("arn:aws:states:::aws-sdk:s3:getObject", Some(Kind::Service)),
            ("arn:aws:states:::aws-sdk:s3", Some(Kind::Unknown)),
            ("arn:aws:states:us-east-1:123456789012:activity:a", Some(Kind::Activity)),
            ("arn:aws:states:::foo:bar", Some(Kind::Unknown)),
            ("arn:aws:states:::lambda:invoke.later", Some(Kind::Unknown)),
            ("arn:aws:s3:::bucket", Some(Kind::Unknown)),
            ("createToken", None),
            ("", None),
        ] {
            assert_eq!(kind(resource), expected, "{resource}");
        }
    }
}
