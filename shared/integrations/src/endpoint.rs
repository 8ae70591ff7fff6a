//! Where calls go: the rules of `AWS_ENDPOINT_URL…` and of Step Functions Local's variables.

use std::collections::BTreeMap;

/// A service that calls go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say all")]
pub enum Service {
    CloudFormation,
    DynamoDb,
    EventBridge,
    Lambda,
    Logs,
    S3,
    Scheduler,
    SecretsManager,
    Sns,
    Sqs,
    Sts,
}

impl Service {
    /// All of them.
    pub const ALL: [Service; 11] = [
        Service::CloudFormation,
        Service::DynamoDb,
        Service::EventBridge,
        Service::Lambda,
        Service::Logs,
        Service::S3,
        Service::Scheduler,
        Service::SecretsManager,
        Service::Sns,
        Service::Sqs,
        Service::Sts,
    ];

    /// The variables that name the service's endpoint, the strongest first: the AWS SDKs' (whose suffix is the
    /// serviceId), then that of Step Functions Local.
    fn variables(self) -> &'static [&'static str] {
        match self {
            Service::CloudFormation => &["AWS_ENDPOINT_URL_CLOUDFORMATION"],
            Service::DynamoDb => &["AWS_ENDPOINT_URL_DYNAMODB", "DYNAMODB_ENDPOINT"],
            Service::EventBridge => &["AWS_ENDPOINT_URL_EVENTBRIDGE"],
            Service::Lambda => &["AWS_ENDPOINT_URL_LAMBDA", "LAMBDA_ENDPOINT"],
            Service::Logs => &["AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"],
            Service::S3 => &["AWS_ENDPOINT_URL_S3"],
            Service::Scheduler => &["AWS_ENDPOINT_URL_SCHEDULER"],
            Service::SecretsManager => &["AWS_ENDPOINT_URL_SECRETS_MANAGER"],
            Service::Sns => &["AWS_ENDPOINT_URL_SNS", "SNS_ENDPOINT"],
            Service::Sqs => &["AWS_ENDPOINT_URL_SQS", "SQS_ENDPOINT"],
            Service::Sts => &["AWS_ENDPOINT_URL_STS"],
        }
    }

    /// The first part of the service's host name in AWS, which is its name in signatures too.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Service::CloudFormation => "cloudformation",
            Service::DynamoDb => "dynamodb",
            Service::EventBridge => "events",
            Service::Lambda => "lambda",
            Service::Logs => "logs",
            Service::S3 => "s3",
            Service::Scheduler => "scheduler",
            Service::SecretsManager => "secretsmanager",
            Service::Sns => "sns",
            Service::Sqs => "sqs",
            Service::Sts => "sts",
        }
    }

    /// AWS's own endpoint in `region`.
    pub fn aws_endpoint(self, region: &str) -> String {
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("https://{}.{region}.{suffix}", self.prefix())
    }
}

/// The endpoints that stand in for AWS's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    by_service: BTreeMap<Service, String>,
}

/// A variable whose value is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is `{value}`: an endpoint begins with http:// or https:// and names a host")]
pub struct EndpointError {
    /// Its name.
    pub variable: &'static str,
    /// What it holds.
    pub value: String,
}

impl Endpoints {
    /// Every call goes to AWS.
    pub fn aws() -> Self {
        Endpoints::default()
    }

    /// Reads the variables through `variable`, which gives each one's value; an empty one counts as not set.
    ///
    /// A service's own variable goes before `AWS_ENDPOINT_URL`. `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true` turns
    /// those of the SDKs off, as it does in the SDKs.
    ///
    /// # Errors
    /// [`EndpointError`] where a value is no HTTP address.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, EndpointError> {
        let ignored = variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let read = |name: &'static str| {
            if ignored && name.starts_with("AWS_") {
                return Ok(None);
            }
            variable(name).filter(|value| !value.is_empty()).map(|value| checked(name, value)).transpose()
        };
        let general = read("AWS_ENDPOINT_URL")?;
        let mut by_service = BTreeMap::new();
        for service in Service::ALL {
            let mut endpoint = None;
            for name in service.variables() {
                let value = read(name)?;
                endpoint = endpoint.or(value);
            }
            if let Some(endpoint) = endpoint.or_else(|| general.clone()) {
                by_service.insert(service, endpoint);
            }
        }
        Ok(Endpoints { by_service })
    }

    /// The same with `service` at `endpoint`, such as `http://127.0.0.1:9001`.
    #[must_use]
    pub fn with(mut self, service: Service, endpoint: impl Into<String>) -> Self {
        self.by_service.insert(service, trimmed(endpoint.into()));
        self
    }

    /// The endpoint that stands in for AWS's, without a slash at its end.
    pub fn custom(&self, service: Service) -> Option<&str> {
        self.by_service.get(&service).map(String::as_str)
    }

    /// Whether calls of `service` go to something that is not AWS. An endpoint of AWS's own, such as one in a VPC, wants
    /// real keys; an emulator takes any.
    pub fn is_emulated(&self, service: Service) -> bool {
        self.custom(service).is_some_and(|endpoint| {
            let host = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
            let host = host.split(['/', ':']).next().unwrap_or_default().to_ascii_lowercase();
            !AWS_DOMAINS.iter().any(|domain| host.ends_with(domain))
        })
    }
}

const AWS_DOMAINS: [&str; 3] = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];

fn checked(variable: &'static str, value: String) -> Result<String, EndpointError> {
    let host = value.strip_prefix("http://").or_else(|| value.strip_prefix("https://"));
    let fits = host.is_some_and(|host| {
        host.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
            && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"`{}|\\^".contains(&byte))
    });
    if fits { Ok(trimmed(value)) } else { Err(EndpointError { variable, value }) }
}

fn trimmed(mut endpoint: String) -> String {
    while endpoint.ends_with('/') {
        endpoint.pop();
    }
    endpoint
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Endpoints, EndpointError> {
        Endpoints::from_variables(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_services_own_variable_goes_first() {
        let check = |variables: &[(&str, &str)], service, expected: Option<&str>| {
            assert_eq!(read(variables).unwrap().custom(service), expected, "{variables:?}");
        };
        let (general, own, local) = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_LAMBDA", "LAMBDA_ENDPOINT");
        check(&[], Service::Lambda, None);
        check(&[(general, "http://a")], Service::Lambda, Some("http://a"));
        check(&[(general, "http://a"), (own, "https://b:1/")], Service::Lambda, Some("https://b:1"));
        check(&[(general, "http://a"), (own, "https://b:1")], Service::Sqs, Some("http://a"));
        check(&[(general, "http://a"), (local, "http://[::1]:3")], Service::Lambda, Some("http://[::1]:3"));
        check(&[(own, "http://a"), (local, "http://b")], Service::Lambda, Some("http://a"));
        check(&[(own, "")], Service::Lambda, None);
        let ignore = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
        check(&[ignore, (general, "http://a"), (own, "nonsense")], Service::Lambda, None);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for value in ["localhost:9001", "ftp://a", "http://", "http://a b", "http:///x"] {
            let error = read(&[("AWS_ENDPOINT_URL_SQS", value)]).unwrap_err();
            assert_eq!(error.variable, "AWS_ENDPOINT_URL_SQS", "{value}");
        }
    }

    #[test]
    fn emulators_are_what_aws_does_not_host() {
        let check = |endpoint: &str, emulated| {
            let endpoints = Endpoints::aws().with(Service::Sqs, endpoint);
            assert_eq!(endpoints.is_emulated(Service::Sqs), emulated, "{endpoint}");
            assert!(!endpoints.is_emulated(Service::Sns));
        };
        check("http://127.0.0.1:4566", true);
        check("http://[::1]:4566", true);
        check("https://amazonaws.com.example.org/sqs", true);
        check("https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com", false);
        check("https://SQS.eu-west-1.api.aws:443/", false);
    }

    #[test]
    fn aws_endpoints_follow_the_partition() {
        assert_eq!(Service::Lambda.aws_endpoint("eu-west-1"), "https://lambda.eu-west-1.amazonaws.com");
        assert_eq!(Service::Sqs.aws_endpoint("cn-north-1"), "https://sqs.cn-north-1.amazonaws.com.cn");
    }
}
