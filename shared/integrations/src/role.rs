//! The roles that calls are made with: the state machine's, and those of tasks' `Credentials`. (API: STS AssumeRole.)

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use stepwell_asl::ErrorName;
use stepwell_engine::port::BoxError;
use stepwell_interpreter::{ErrorOutput, ExecutionInfo};

use crate::client::{ServiceClient, escaped};
use crate::credentials::{Credentials, KeySource};
use crate::exception::Exception;
use crate::xml::element;
use crate::{Aws, Keys, Service};

/// Roles whose keys are kept at once; tasks that name more than these begin anew.
const ROLES_MAX: usize = 1000;

/// How long STS may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer of STS stays far under this.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// What session names begin with.
const SESSION: &str = "stepwell-";

/// The longest that STS takes.
const SESSION_CHARS_MAX: usize = 64;

/// The keys of the roles assumed so far.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    keys: Mutex<BTreeMap<Assumed, Arc<Keys>>>,
}

/// A role, by whom it was assumed, and as what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Assumed {
    /// The role that assumed it; `None` where that were the program's own keys.
    by: Option<Arc<str>>,
    role: Arc<str>,
    session: String,
}

impl Roles {
    /// The keys of the machine's role.
    ///
    /// # Errors
    /// `States.TaskFailed` where it cannot be assumed.
    pub(crate) async fn of_machine(&self, aws: &Aws, info: &ExecutionInfo) -> Result<Arc<Keys>, ErrorOutput> {
        let assumed = Assumed { by: None, role: info.role_arn.clone(), session: session(info) };
        self.assume(aws, &aws.keys, assumed).await.map_err(|error| {
            let cause =
                format!("Stepwell cannot assume the role of the state machine, {}: {error}", info.role_arn);
            ErrorOutput::new(ErrorName::TASK_FAILED, cause)
        })
    }

    /// The keys of a task's `role`, assumed with `keys`, which are the machine's role's or the program's own.
    ///
    /// # Errors
    /// `States.TaskFailed` where it cannot be assumed.
    pub(crate) async fn of_task(
        &self,
        aws: &Aws,
        role: &Arc<str>,
        info: &ExecutionInfo,
        keys: &Arc<Keys>,
    ) -> Result<Arc<Keys>, ErrorOutput> {
        let by = (!Arc::ptr_eq(keys, &aws.keys)).then(|| info.role_arn.clone());
        let assumed = Assumed { by, role: role.clone(), session: session(info) };
        self.assume(aws, keys, assumed).await.map_err(|error| {
            tracing::warn!(%role, %error, "a role was not assumed");
            let machine = &info.role_arn;
            let cause =
                format!("The role {machine} is not authorized to assume the task state's role, {role}.");
            ErrorOutput::new(ErrorName::TASK_FAILED, cause)
        })
    }

    async fn assume(&self, aws: &Aws, by: &Arc<Keys>, assumed: Assumed) -> Result<Arc<Keys>, NotAssumed> {
        let known = self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(&assumed).cloned();
        let keys = known.unwrap_or_else(|| {
            let sts = ServiceClient::new(aws, Service::Sts).with_keys(Arc::clone(by));
            let (role, session) = (assumed.role.clone(), assumed.session.clone());
            Arc::new(Keys::from_source(Arc::new(Role { sts, role, session })))
        });
        keys.for_aws().await.map_err(NotAssumed::of)?;
        let mut all = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= ROLES_MAX && !all.contains_key(&assumed) {
            all.clear();
        }
        Ok(all.entry(assumed).or_insert(keys).clone())
    }
}

/// What the session is called in the account's trail: the machine, since executions of one share it, and its keys are kept for all
/// of them. A Map Run's machine has a label behind its name.
fn session(info: &ExecutionInfo) -> String {
    let name = info
        .state_machine_name
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() || "_+=,.@-".contains(char) { char } else { '-' });
    SESSION.chars().chain(name).take(SESSION_CHARS_MAX).collect()
}

/// Assumes one role whenever it is asked.
#[derive(Debug)]
struct Role {
    sts: ServiceClient,
    role: Arc<str>,
    session: String,
}

/// Why a role was not assumed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotAssumed(String);

impl NotAssumed {
    /// What a source's error says at its end.
    fn of(error: BoxError) -> Self {
        let mut last: &dyn std::error::Error = &*error;
        while let Some(source) = last.source() {
            last = source;
        }
        NotAssumed(last.to_string())
    }
}

#[async_trait]
impl KeySource for Role {
    async fn keys(&self) -> Result<Credentials, BoxError> {
        Ok(self.ask().await?)
    }
}

impl Role {
    async fn ask(&self) -> Result<Credentials, NotAssumed> {
        let body = format!(
            "Action=AssumeRole&Version=2011-06-15&RoleArn={}&RoleSessionName={}",
            escaped(&self.role, b""),
            escaped(&self.session, b"")
        );
        let request = Request::post(format!("{}/", self.sts.endpoint()))
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(Bytes::from(body));
        let request = request.map_err(|error| NotAssumed(error.to_string()))?;
        let answer = self.sts.send(request, ANSWER_BYTES_MAX, PATIENCE).await;
        let answer = answer.map_err(|error| NotAssumed(error.to_string()))?;
        if answer.status != 200 {
            let Exception { status, code, message, .. } = Exception::of_xml(&answer);
            let why = message.or(Some(code).filter(|code| !code.is_empty()));
            return Err(NotAssumed(why.unwrap_or_else(|| format!("STS answers {status}"))));
        }
        credentials(&String::from_utf8_lossy(&answer.body))
            .ok_or_else(|| NotAssumed("STS answers without keys".to_owned()))
    }
}

/// The keys in an answer to AssumeRole.
fn credentials(xml: &str) -> Option<Credentials> {
    let expires: jiff::Timestamp = element(xml, "Expiration")?.parse().ok()?;
    let (id, secret) = (element(xml, "AccessKeyId")?, element(xml, "SecretAccessKey")?);
    Some(Credentials::new(id, secret, Some(element(xml, "SessionToken")?)).until(SystemTime::from(expires)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::task;

    #[test]
    fn sessions_are_called_by_their_machine() {
        let check = |machine: &str, expected: &str| {
            let mut info = ExecutionInfo::clone(&task("arn:aws:states:::lambda:invoke", "{}").info);
            info.state_machine_name = machine.into();
            assert_eq!(session(&info), expected);
        };
        check("Orders_2-b", "stepwell-Orders_2-b");
        check("Straße/Label", "stepwell-Stra-e-Label");
        check(&"m".repeat(80), &format!("stepwell-{}", "m".repeat(55)));
    }

    #[test]
    fn answers_of_sts_are_read() {
        let xml = "<A><Credentials><AccessKeyId>ID</AccessKeyId><SecretAccessKey> a/+= </SecretAccessKey>\
                   <SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></A>";
        let keys = credentials(xml).unwrap();
        assert_eq!((keys.access_key_id(), keys.secret_access_key()), ("ID", "a/+="));
        assert_eq!((keys.session_token(), keys.expires().is_some()), (Some("t"), true));
        for missing in ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"] {
            assert!(credentials(&xml.replace(missing, "Other")).is_none(), "{missing}");
        }
        assert!(credentials(&xml.replace("2099", "soon")).is_none());
    }
}
