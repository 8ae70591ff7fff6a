//! A Task state's `Resource`, taken apart.

use std::fmt;
use std::sync::Arc;

use crate::Family;

/// A Task state's Resource ARN (Developer Guide, "Integrating services").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// `arn:aws:lambda:…:function:…`
    LambdaFunction {
        /// The ARN, perhaps with a qualifier.
        arn: Arc<str>,
    },
    /// `arn:aws:states:…:activity:…`
    Activity {
        /// The ARN.
        arn: Arc<str>,
    },
    /// `arn:aws:states:::service:action[.pattern]`, also `aws-sdk:service:action`
    Service {
        /// Such as `lambda`, `dynamodb` or `aws-sdk:s3`.
        service: Arc<str>,
        /// Such as `invoke`, without the pattern.
        action: Arc<str>,
        /// How the task's end is known.
        pattern: Pattern,
    },
}

/// How the end of a service task is known (Developer Guide, "Service integration patterns").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// With the response.
    RequestResponse,
    /// `.sync`: when the job has ended.
    Sync,
    /// `.sync:2`
    Sync2,
    /// `.waitForTaskToken`: by a callback.
    WaitForTaskToken,
}

impl Pattern {
    /// The suffix of the Resource, with its dot.
    pub fn suffix(self) -> &'static str {
        match self {
            Pattern::RequestResponse => "",
            Pattern::Sync => ".sync",
            Pattern::Sync2 => ".sync:2",
            Pattern::WaitForTaskToken => ".waitForTaskToken",
        }
    }
}

/// The Resource ARN.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::LambdaFunction { arn } | Resource::Activity { arn } => f.write_str(arn),
            Resource::Service { service, action, pattern } => {
                write!(f, "arn:aws:states:::{service}:{action}{}", pattern.suffix())
            }
        }
    }
}

impl Resource {
    /// Takes a Resource ARN apart; `None` where it is none that Step Functions knows the form of.
    pub fn parse(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let (head, _partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (region, _account, rest) = (parts.next()?, parts.next()?, parts.next()?);
        match (head, service) {
            ("arn", "lambda") if rest.starts_with("function:") => {
                Some(Resource::LambdaFunction { arn: arn.into() })
            }
            ("arn", "states") if rest.starts_with("activity:") => {
                Some(Resource::Activity { arn: arn.into() })
            }
            ("arn", "states") if region.is_empty() => Self::service(rest),
            _ => None,
        }
    }

    fn service(rest: &str) -> Option<Self> {
        let (rest, pattern) = [Pattern::Sync, Pattern::Sync2, Pattern::WaitForTaskToken]
            .into_iter()
            .find_map(|pattern| Some((rest.strip_suffix(pattern.suffix())?, pattern)))
            .unwrap_or((rest, Pattern::RequestResponse));
        let (service, action) = rest.rsplit_once(':')?;
        (!service.is_empty() && !action.is_empty()).then(|| Resource::Service {
            service: service.into(),
            action: action.into(),
            pattern,
        })
    }

    /// The events that a task of this resource writes.
    pub fn family(&self, region: &str) -> Family {
        match self {
            Resource::LambdaFunction { arn } => Family::LambdaFunction { resource: arn.clone() },
            Resource::Activity { arn } => Family::Activity { resource: arn.clone() },
            Resource::Service { service, action, pattern } => Family::Task {
                resource_type: service.clone(),
                resource: format!("{action}{}", pattern.suffix()).into(),
                region: region.into(),
            },
        }
    }

    /// Whether the task goes on after its call was accepted, until a callback or its job's end.
    pub fn outlives_call(&self) -> bool {
        match self {
            Resource::Service { pattern, .. } => *pattern != Pattern::RequestResponse,
            Resource::Activity { .. } => true,
            Resource::LambdaFunction { .. } => false,
        }
    }

    /// Whether the task ends with the job that its call began: `.sync`, `.sync:2`.
    pub fn awaits_job(&self) -> bool {
        matches!(self, Resource::Service { pattern: Pattern::Sync | Pattern::Sync2, .. })
    }

    /// Whether the task has a token that a callback may name.
    pub fn has_token(&self) -> bool {
        matches!(
            self,
            Resource::Activity { .. } | Resource::Service { pattern: Pattern::WaitForTaskToken, .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_are_taken_apart() {
        let service = |service: &str, action: &str, pattern| {
            Some(Resource::Service { service: service.into(), action: action.into(), pattern })
        };
        for (arn, expected) in [
            ("arn:aws:states:::lambda:invoke", service("lambda", "invoke", Pattern::RequestResponse)),
            (
                "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
                service("sqs", "sendMessage", Pattern::WaitForTaskToken),
            ),
            (
                "arn:aws:states:::states:startExecution.sync:2",
                service("states", "startExecution", Pattern::Sync2),
            ),
            (
                "arn:aws:states:::aws-sdk:s3:getObject",
                service("aws-sdk:s3", "getObject", Pattern::RequestResponse),
            ),
            ("arn:aws:states:::lambda", None),
            ("arn:aws:s3:::bucket", None),
            ("nonsense", None),
        ] {
            assert_eq!(Resource::parse(arn), expected, "{arn}");
            assert!(expected.is_none_or(|resource| resource.to_string() == arn), "{arn}");
        }
        assert!(matches!(
            Resource::parse("arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST"),
            Some(Resource::LambdaFunction { .. })
        ));
        assert!(matches!(
            Resource::parse("arn:aws:states:us-east-1:123456789012:activity:a"),
            Some(Resource::Activity { .. })
        ));
    }
}
