//! `loggingConfiguration`, `tracingConfiguration` and `encryptionConfiguration` of a state machine.
//!
//! Each is kept as the JSON text that describes it, in one spelling, so that two are the same when their texts are.

use std::sync::Arc;

use crate::answer::Answer;
use crate::request::{Members, Text};
use crate::{Api, Error};

/// What a machine without `loggingConfiguration` has.
pub(crate) const LOGGING_DEFAULT: &str = r#"{"level":"OFF","includeExecutionData":false}"#;
/// What a machine without `tracingConfiguration` has.
pub(crate) const TRACING_DEFAULT: &str = r#"{"enabled":false}"#;
/// What a machine without `encryptionConfiguration` has.
pub(crate) const ENCRYPTION_DEFAULT: &str = r#"{"type":"AWS_OWNED_KEY"}"#;

/// Data key reuse where an `encryptionConfiguration` with a key names none, in seconds (API: EncryptionConfiguration).
const KEY_REUSE_SECONDS_DEFAULT: i64 = 300;

/// The configurations of a request, read but not yet checked.
pub(crate) struct Configurations {
    logging: Option<Logging>,
    tracing: Option<bool>,
    encryption: Option<Encryption>,
}

/// The configurations of a request as they are kept; `None` where the request has none.
#[derive(Default, PartialEq)]
pub(crate) struct Kept {
    pub(crate) logging: Option<Arc<str>>,
    pub(crate) tracing: Option<Arc<str>>,
    pub(crate) encryption: Option<Arc<str>>,
}

/// `encryptionConfiguration` of a request for what has no other configuration, read but not yet checked.
///
/// # Errors
/// [`Error::Serialization`].
pub(crate) fn encryption(request: &mut Members<'_>) -> Result<AskedEncryption, Error> {
    request.structure("encryptionConfiguration", Encryption::read).map(AskedEncryption)
}

/// What [`encryption`] read.
pub(crate) struct AskedEncryption(Option<Encryption>);

impl AskedEncryption {
    /// As it is kept; `None` where the request has none.
    ///
    /// # Errors
    /// [`Error::InvalidEncryptionConfiguration`].
    pub(crate) fn kept(self) -> Result<Option<Arc<str>>, Error> {
        self.0.map(Encryption::kept).transpose()
    }
}

struct Logging {
    level: &'static str,
    includes_execution_data: bool,
    destinations: Option<Vec<Option<Arc<str>>>>,
}

struct Encryption {
    key_type: &'static str,
    key_id: Option<Arc<str>>,
    reuse_seconds: Option<i64>,
}

impl Configurations {
    /// Reads them from a request.
    ///
    /// # Errors
    /// [`Error::Serialization`].
    pub(crate) fn read(request: &mut Members<'_>) -> Result<Self, Error> {
        Ok(Configurations {
            logging: request.structure("loggingConfiguration", Logging::read)?,
            tracing: request
                .structure("tracingConfiguration", |tracing| Ok(tracing.flag("enabled")?.unwrap_or(false)))?,
            encryption: request.structure("encryptionConfiguration", Encryption::read)?,
        })
    }

    /// Checks what the API's model does not say.
    ///
    /// # Errors
    /// [`Error::InvalidLoggingConfiguration`], [`Error::InvalidEncryptionConfiguration`].
    pub(crate) fn kept(self) -> Result<Kept, Error> {
        Ok(Kept {
            logging: self.logging.map(Logging::kept).transpose()?,
            tracing: self.tracing.map(|enabled| format!(r#"{{"enabled":{enabled}}}"#).into()),
            encryption: self.encryption.map(Encryption::kept).transpose()?,
        })
    }
}

impl Kept {
    /// Checks that the log group is there, where anybody can tell.
    ///
    /// # Errors
    /// [`Error::InvalidLoggingConfiguration`].
    pub(crate) async fn check_log_group(&self, api: &Api) -> Result<(), Error> {
        let logging = self.logging.as_deref().and_then(stepwell_engine::port::Logging::of);
        let (Some(logs), Some(logging)) = (&api.engine().ports().logs, logging) else { return Ok(()) };
        if logs.has_group(&logging.log_group_arn).await { Ok(()) } else { Err(no_destination()) }
    }
}

fn no_destination() -> Error {
    Error::InvalidLoggingConfiguration("Log Destination not found.")
}

impl Logging {
    fn read(logging: &mut Members<'_>) -> Result<Self, Error> {
        Ok(Logging {
            level: logging.one_of("level", &["ALL", "ERROR", "FATAL", "OFF"])?.unwrap_or("OFF"),
            includes_execution_data: logging.flag("includeExecutionData")?.unwrap_or(false),
            destinations: logging.structures("destinations", |destination| {
                let group = destination
                    .structure("cloudWatchLogsLogGroup", |group| group.text("logGroupArn", &Text::ARN))?;
                Ok(group.flatten())
            })?,
        })
    }

    fn kept(self) -> Result<Arc<str>, Error> {
        let destinations = self.destinations.as_deref().unwrap_or_default();
        if destinations.len() > 1 || (destinations.is_empty() && self.level != "OFF") {
            return Err(Error::InvalidLoggingConfiguration("Must specify exactly one Log Destination."));
        }
        let is_group = |arn: &str| arn.starts_with("arn:") && arn.contains(":logs:") && arn.ends_with(":*");
        if !destinations.iter().all(|group| group.as_deref().is_some_and(is_group)) {
            return Err(no_destination());
        }
        let mut kept = Answer::new();
        kept.text("level", self.level).flag("includeExecutionData", self.includes_execution_data);
        if let Some(destinations) = &self.destinations {
            kept.list("destinations", destinations.iter().flatten(), |destination, arn| {
                destination.object("cloudWatchLogsLogGroup", |group| {
                    group.text("logGroupArn", arn);
                });
            });
        }
        Ok(kept.finish().into())
    }
}

impl Encryption {
    fn read(encryption: &mut Members<'_>) -> Result<Self, Error> {
        encryption.require("type");
        Ok(Encryption {
            key_type: encryption.one_of("type", &["AWS_OWNED_KEY", CUSTOMER_KEY])?.unwrap_or("AWS_OWNED_KEY"),
            key_id: encryption.text("kmsKeyId", &Text::KMS_KEY_ID)?,
            reuse_seconds: encryption.integer("kmsDataKeyReusePeriodSeconds", 60, 900)?,
        })
    }

    fn kept(self) -> Result<Arc<str>, Error> {
        let is_customers = self.key_type == CUSTOMER_KEY;
        if !is_customers && (self.key_id.is_some() || self.reuse_seconds.is_some()) {
            return Err(Error::InvalidEncryptionConfiguration(
                "An AWS owned key has no key id or reuse period.",
            ));
        }
        let mut kept = Answer::new();
        kept.text("type", self.key_type);
        match self.key_id {
            Some(key) => {
                kept.text("kmsKeyId", &key);
                let seconds = self.reuse_seconds.unwrap_or(KEY_REUSE_SECONDS_DEFAULT);
                kept.json("kmsDataKeyReusePeriodSeconds", &seconds.to_string());
            }
            None if is_customers => {
                return Err(Error::InvalidEncryptionConfiguration(
                    "A customer managed key needs its key id.",
                ));
            }
            None => {}
        }
        Ok(kept.finish().into())
    }
}

const CUSTOMER_KEY: &str = "CUSTOMER_MANAGED_KMS_KEY";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Violations, parse};

    #[track_caller]
    fn check(request: &str, expected: &str) {
        let body = parse(request.as_bytes()).unwrap();
        let mut violations = Violations::default();
        let read = Configurations::read(&mut Members::of(&body, &mut violations));
        let kept = read.and_then(|read| violations.check().and_then(|()| read.kept()));
        let found = kept.map_or_else(
            |error| format!("{}: {error}", error.name()),
            |kept| {
                [kept.logging, kept.tracing, kept.encryption]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join(" ")
            },
        );
        assert_eq!(found, expected, "{request}");
    }

    const ONE: &str = "Must specify exactly one Log Destination.";

    #[test]
    fn logging() {
        let group = r#"{"cloudWatchLogsLogGroup":{"logGroupArn":"arn:aws:logs:r:1:log-group:g:*"}}"#;
        check("{}", "");
        check(r#"{"loggingConfiguration":{}}"#, LOGGING_DEFAULT);
        check(
            r#"{"loggingConfiguration":{"destinations":[]}}"#,
            r#"{"level":"OFF","includeExecutionData":false,"destinations":[]}"#,
        );
        check(
            &format!(
                r#"{{"loggingConfiguration":{{"level":"ALL","includeExecutionData":true,"destinations":[{group}]}}}}"#
            ),
            &format!(r#"{{"level":"ALL","includeExecutionData":true,"destinations":[{group}]}}"#),
        );
        let refused =
            |what: &str| format!("InvalidLoggingConfiguration: Invalid Logging Configuration: {what}");
        check(r#"{"loggingConfiguration":{"level":"ALL"}}"#, &refused(ONE));
        check(&format!(r#"{{"loggingConfiguration":{{"destinations":[{group},{group}]}}}}"#), &refused(ONE));
        check(
            r#"{"loggingConfiguration":{"level":"ALL","destinations":[{}]}}"#,
            &refused("Log Destination not found."),
        );
    }

    #[test]
    fn tracing_and_encryption() {
        check(r#"{"tracingConfiguration":{"enabled":true}}"#, r#"{"enabled":true}"#);
        check(r#"{"tracingConfiguration":{}}"#, TRACING_DEFAULT);
        check(r#"{"encryptionConfiguration":{"type":"AWS_OWNED_KEY"}}"#, ENCRYPTION_DEFAULT);
        check(
            r#"{"encryptionConfiguration":{"type":"CUSTOMER_MANAGED_KMS_KEY","kmsKeyId":"k"}}"#,
            r#"{"type":"CUSTOMER_MANAGED_KMS_KEY","kmsKeyId":"k","kmsDataKeyReusePeriodSeconds":300}"#,
        );
        check(
            r#"{"encryptionConfiguration":{"type":"CUSTOMER_MANAGED_KMS_KEY"}}"#,
            "InvalidEncryptionConfiguration: Invalid Encryption Configuration: A customer managed key needs its key id.",
        );
        check(
            r#"{"encryptionConfiguration":{}}"#,
            "ValidationException: 1 validation error detected: Value null at 'encryptionConfiguration.type' \
             failed to satisfy constraint: Member must not be null",
        );
    }
}
