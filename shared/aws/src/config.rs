//! What a function is told by its environment. Nothing else of this crate reads it.

use std::time::Duration;

use stepwell_integrations::{Credentials, EndpointError, Endpoints};

/// Days in which an ended execution is kept, where nothing else is said.
const RETENTION_DAYS: u32 = 90;

/// How often a message is received at most, where nothing else is said: the template's `maxReceiveCount`.
const RECEIVES_MAX: u32 = 5;

/// The longest delay that SQS takes, in seconds (`DelaySeconds`).
const QUEUE_DELAY_SECONDS_MAX: u32 = 900;

/// How long a call of a task is waited for, where nothing else is said.
const CALL_SECONDS_MAX: u32 = 600;

/// A function's environment, read and checked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// `AWS_REGION`: where the functions and everything they stand on are.
    pub region: String,
    /// `STEPWELL_ACCOUNT_ID`: the account's twelve digits, which ARNs are made with.
    pub account: String,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`: the function's role, as Lambda hands it over.
    pub credentials: Credentials,
    /// `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_SQS` …: what stands in for AWS's own endpoints, as in the SDKs.
    pub endpoints: Endpoints,
    /// `STEPWELL_TABLE`: the name of the table in DynamoDB.
    pub table: String,
    /// `STEPWELL_QUEUE_URL`: the queue of wake-ups.
    pub queue_url: String,
    /// `STEPWELL_BUCKET`: where payloads go that are too large for an item. Without it they are refused.
    pub bucket: Option<String>,
    /// `STEPWELL_SCHEDULE_GROUP`: the group of EventBridge Scheduler that long waits stand in.
    pub schedule_group: String,
    /// `STEPWELL_SCHEDULE_ROLE_ARN`: the role by which a schedule invokes the function `timer`.
    pub schedule_role_arn: String,
    /// `STEPWELL_TIMER_ARN`: the function `timer`, the target of schedules.
    pub timer_arn: String,
    /// `STEPWELL_RETENTION_DAYS`: how long an execution is kept after its end; 90 days where nothing is said.
    pub retention: Duration,
    /// `STEPWELL_RECEIVES_MAX`: the queue's `maxReceiveCount`, 5 where nothing is said. On the last receipt but one an execution is
    /// parked.
    pub receives_max: u32,
    /// `STEPWELL_QUEUE_DELAY_SECONDS_MAX`: waits longer than this become schedules; 900 s where nothing is said, which is what SQS
    /// takes. Tests make it seconds.
    pub queue_delay_max: Duration,
    /// `STEPWELL_CALL_SECONDS_MAX`: how long `step` waits for a task's call before its own time is up, 600 s where nothing is said.
    /// A shorter time of the function bounds it further.
    pub call_max: Duration,
    /// `STEPWELL_STATE_MACHINE_ARN`: what `start` starts for an event that names no machine.
    pub state_machine_arn: Option<String>,
    /// `STEPWELL_ASSUME_ROLES`: whose permissions tasks call with.
    pub assume_roles: AssumeRoles,
    /// `STEPWELL_STATUS_EVENTS`: whether the default bus is told when an execution's status changes; `off` where nothing is said,
    /// since events are paid for.
    pub status_events: bool,
    /// `STEPWELL_KEYS_SECRET_ARN`: the secret that access keys issued by Stepwell are drawn from. Without it there are none.
    pub keys_secret_arn: Option<String>,
    /// `STEPWELL_START_ARN`: the function `start`, which the macro makes the target of rules and schedules.
    pub start_arn: Option<String>,
    /// `STEPWELL_API_ARN`: the function `api` itself, which makes the macro's custom resources.
    pub api_arn: Option<String>,
    /// `STEPWELL_ROLE_ARNS`, with commas between them: the roles of our functions that run executions, which a state machine's role
    /// has to trust.
    pub role_arns: Vec<String>,
    /// `STEPWELL_LOG`: what is logged, such as `info` or `warn,stepwell_engine=debug`; `warn` where nothing is said.
    pub log: Option<String>,
}

/// `STEPWELL_ASSUME_ROLES`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AssumeRoles {
    /// `machine`: those of the state machine's `roleArn`, or of the task's `Credentials`.
    #[default]
    Machine,
    /// `credentials`: those of the task's `Credentials` where it has any, else the function's own.
    Credentials,
}

/// Why a function cannot work in its environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A variable that there has to be.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// A variable that says nothing sensible.
    #[error("the environment variable {variable} is `{value}`: {why}")]
    Invalid {
        /// Its name.
        variable: &'static str,
        /// What it holds.
        value: String,
        /// What it should.
        why: &'static str,
    },
    /// An endpoint that is none.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        Config::from_variables(|name| std::env::var(name).ok())
    }

    /// Reads variables through `variable`, which gives each one's value; an empty one counts as not set.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let read = |name: &str| variable(name).filter(|value| !value.is_empty());
        let required = |name: &'static str| read(name).ok_or(ConfigError::Missing(name));
        let whole = |name, otherwise| number(name, read(name), otherwise);
        let account = required("STEPWELL_ACCOUNT_ID")?;
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            let why = "an account has twelve digits";
            return Err(ConfigError::Invalid { variable: "STEPWELL_ACCOUNT_ID", value: account, why });
        }
        let credentials = Credentials::new(
            required("AWS_ACCESS_KEY_ID")?,
            required("AWS_SECRET_ACCESS_KEY")?,
            read("AWS_SESSION_TOKEN"),
        );
        let assume_roles = read("STEPWELL_ASSUME_ROLES");
        let status_events = read("STEPWELL_STATUS_EVENTS");
        Ok(Config {
            region: required("AWS_REGION")?,
            account,
            credentials,
            endpoints: Endpoints::from_variables(&variable)?,
            table: required("STEPWELL_TABLE")?,
            queue_url: required("STEPWELL_QUEUE_URL")?,
            bucket: read("STEPWELL_BUCKET"),
            schedule_group: required("STEPWELL_SCHEDULE_GROUP")?,
            schedule_role_arn: required("STEPWELL_SCHEDULE_ROLE_ARN")?,
            timer_arn: required("STEPWELL_TIMER_ARN")?,
            retention: days(whole("STEPWELL_RETENTION_DAYS", RETENTION_DAYS)?),
            receives_max: whole("STEPWELL_RECEIVES_MAX", RECEIVES_MAX)?,
            queue_delay_max: Duration::from_secs(
                whole("STEPWELL_QUEUE_DELAY_SECONDS_MAX", QUEUE_DELAY_SECONDS_MAX)?
                    .min(QUEUE_DELAY_SECONDS_MAX)
                    .into(),
            ),
            call_max: Duration::from_secs(whole("STEPWELL_CALL_SECONDS_MAX", CALL_SECONDS_MAX)?.into()),
            state_machine_arn: read("STEPWELL_STATE_MACHINE_ARN"),
            assume_roles: match assume_roles.as_deref() {
                None | Some("machine") => AssumeRoles::Machine,
                Some("credentials") => AssumeRoles::Credentials,
                Some(_) => {
                    return Err(invalid("STEPWELL_ASSUME_ROLES", assume_roles, "machine or credentials"));
                }
            },
            status_events: match status_events.as_deref() {
                None | Some("off") => false,
                Some("on") => true,
                Some(_) => return Err(invalid("STEPWELL_STATUS_EVENTS", status_events, "on or off")),
            },
            keys_secret_arn: read("STEPWELL_KEYS_SECRET_ARN"),
            start_arn: read("STEPWELL_START_ARN"),
            api_arn: read("STEPWELL_API_ARN"),
            role_arns: read("STEPWELL_ROLE_ARNS")
                .map(|arns| arns.split(',').map(str::to_owned).collect())
                .unwrap_or_default(),
            log: read("STEPWELL_LOG"),
        })
    }
}

fn days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 24 * 60 * 60)
}

fn number(variable: &'static str, value: Option<String>, otherwise: u32) -> Result<u32, ConfigError> {
    let Some(text) = &value else { return Ok(otherwise) };
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| invalid(variable, value, "a whole number from 1"))
}

fn invalid(variable: &'static str, value: Option<String>, why: &'static str) -> ConfigError {
    ConfigError::Invalid { variable, value: value.unwrap_or_default(), why }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const WHOLE: [(&str, &str); 9] = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("STEPWELL_ACCOUNT_ID", "123456789012"),
        ("STEPWELL_TABLE", "stepwell"),
        ("STEPWELL_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/123456789012/transitions"),
        ("STEPWELL_SCHEDULE_GROUP", "stepwell"),
        ("STEPWELL_SCHEDULE_ROLE_ARN", "arn:aws:iam::123456789012:role/schedules"),
        ("STEPWELL_TIMER_ARN", "arn:aws:lambda:eu-central-1:123456789012:function:timer"),
    ];

    fn read(changes: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let variables: BTreeMap<_, _> = WHOLE.iter().chain(changes).copied().collect();
        Config::from_variables(|name| variables.get(name).map(|value| (*value).to_owned()))
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let config = read(&[]).unwrap();
        assert_eq!(config.retention, Duration::from_secs(90 * 86_400));
        assert_eq!((config.receives_max, config.call_max.as_secs()), (5, 600));
        assert_eq!(config.queue_delay_max.as_secs(), 900);
        assert_eq!((config.bucket, config.state_machine_arn, config.status_events), (None, None, false));
        assert_eq!(config.assume_roles, AssumeRoles::Machine);
        assert_eq!(config.credentials.session_token(), None);
    }

    #[test]
    fn what_is_missing_is_named() {
        for (name, _) in WHOLE {
            let error = read(&[(name, "")]).unwrap_err();
            assert_eq!(error.to_string(), format!("the environment variable {name} is not set"));
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let check = |name: &str, value: &str| {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        };
        check("STEPWELL_ACCOUNT_ID", "12345678901");
        check("STEPWELL_ACCOUNT_ID", "12345678901x");
        check("STEPWELL_RETENTION_DAYS", "0");
        check("STEPWELL_RECEIVES_MAX", "five");
        check("STEPWELL_ASSUME_ROLES", "all");
        check("STEPWELL_STATUS_EVENTS", "yes");
        check("AWS_ENDPOINT_URL_SQS", "localhost:4566");
        let credentials = read(&[("STEPWELL_ASSUME_ROLES", "credentials")]).unwrap().assume_roles;
        assert_eq!(credentials, AssumeRoles::Credentials);
    }
}
