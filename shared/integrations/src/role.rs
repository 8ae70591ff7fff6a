//! The roles that calls are made with: the state machine's, and those of tasks' `Credentials`. (API: STS AssumeRole.)

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use bytes::Bytes;
use http::Request;
use stepwell_asl::ErrorName;
use stepwell_interpreter::{ErrorOutput, ExecutionInfo};

use crate::client::{ServiceClient, escaped};
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
            Arc::new(Keys::from_chain(SharedCredentialsProvider::new(Role { sts, role, session })))
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
    /// What the chain's error says at its end.
    fn of(error: CredentialsError) -> Self {
        let mut last: &dyn std::error::Error = &error;
        while let Some(source) = last.source() {
            last = source;
        }
        NotAssumed(last.to_string())
    }
}

impl ProvideCredentials for Role {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async { self.ask().await.map_err(CredentialsError::provider_error) })
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
        let text = String::from_utf8_lossy(&answer.body);
        if answer.status != 200 {
            let why = element(&text, "Message").or_else(|| element(&text, "Code"));
            return Err(NotAssumed(why.unwrap_or_else(|| format!("STS answers {}", answer.status))));
        }
        credentials(&text).ok_or_else(|| NotAssumed("STS answers without keys".to_owned()))
    }
}

/// The keys in an answer to AssumeRole.
fn credentials(xml: &str) -> Option<Credentials> {
    let expires: jiff::Timestamp = element(xml, "Expiration")?.parse().ok()?;
    let expires = SystemTime::from(expires);
    let (id, secret) = (element(xml, "AccessKeyId")?, element(xml, "SecretAccessKey")?);
    Some(Credentials::new(id, secret, Some(element(xml, "SessionToken")?), Some(expires), "AssumeRole"))
}

/// The text of the first element of this name, which has no attributes.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    Some(named.iter().fold(text.trim().to_owned(), |text, (entity, char)| text.replace(entity, char)))
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
        assert_eq!((keys.session_token(), keys.expiry().is_some()), (Some("t"), true));
        for missing in ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"] {
            assert!(credentials(&xml.replace(missing, "Other")).is_none(), "{missing}");
        }
        assert!(credentials(&xml.replace("2099", "soon")).is_none());
        assert_eq!(element("<Message>a &lt;b&gt; &amp;lt;</Message>", "Message").unwrap(), "a <b> &lt;");
        assert_eq!(element("<Message>open", "Message"), None);
    }
}
