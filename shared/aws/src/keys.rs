//! Access keys that this deployment issues: items in the table, their secrets drawn from a root in Secrets Manager.
//!
//! No secret of a key is stored. The root is read once in a process's life; a key is read from the table for each request, so that
//! one that was deleted opens nothing from then on.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use stepwell_access::{AccessKey, Claim, Head, KEYS_MAX, ROOT_BYTES, Root, Secret, is_key_id};
use stepwell_expr::Value;
use stepwell_expr::json::parse;
use stepwell_integrations::{Aws, Service, ServiceClient};
use stepwell_wire::Error;
use tokio::sync::OnceCell;

use crate::error::StoreError;
use crate::item::{Fields, Item, Write, Written, key, number, text};
use crate::machines::maybe;
use crate::store::{LAST, Range, Table};
use crate::table::SORT;

/// The partition of all keys.
const KEYS: &str = "KEYS";

/// Characters of a description at most.
const DESCRIPTION_MAX: usize = 1000;

/// How long Secrets Manager is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is asked at most before a request fails.
const TRIES: u32 = 3;

/// The keys of this deployment, all of which are its own account's.
pub struct IssuedKeys {
    table: Arc<Table>,
    secrets: ServiceClient,
    secret_arn: String,
    root: OnceCell<Root>,
    account: String,
    region: String,
}

/// Why keys could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Secrets Manager gave no root.
    #[error("the secret that access keys are drawn from could not be read: {0}")]
    Root(String),
    /// The system.
    #[error("the system has no random numbers")]
    NoRandomness,
    /// There is no such key.
    #[error("there is no access key {0}")]
    Missing(String),
    /// There are too many.
    #[error("there are {KEYS_MAX} access keys already: delete some")]
    Full,
    /// A description that is none.
    #[error("a description is a text of at most {DESCRIPTION_MAX} characters")]
    Description,
}

impl IssuedKeys {
    /// Keys in `table`, drawn from the secret at `secret_arn`. Nothing is called yet.
    pub(crate) fn new(table: Arc<Table>, aws: &Aws, secret_arn: &str, account: &str) -> Self {
        IssuedKeys {
            table,
            secrets: ServiceClient::new(aws, Service::SecretsManager),
            secret_arn: secret_arn.to_owned(),
            root: OnceCell::new(),
            account: account.to_owned(),
            region: aws.region().to_owned(),
        }
    }

    /// Whether the owner of one of the keys signed this request, lately.
    ///
    /// # Errors
    /// AWS's exceptions about who calls; [`Error::Internal`] where keys cannot be read.
    pub(crate) async fn admit(&self, head: Head<'_>, body: &[u8], now: Timestamp) -> Result<(), Error> {
        let claim = Claim::read(head, &self.region, now)?;
        // What was never issued is not looked for.
        if !is_key_id(claim.key_id) {
            return Err(Error::UnrecognizedClient);
        }
        let internal = |error: KeysError| Error::Internal(Box::new(error));
        let found = self.find(claim.key_id).await.map_err(internal)?;
        let key = found.filter(|key| key.account == self.account).ok_or(Error::UnrecognizedClient)?;
        let root = self.root().await.map_err(internal)?;
        claim.verify(&root.secret(&key), body)
    }

    /// Creates a key.
    pub(crate) async fn create(
        &self,
        description: Option<String>,
        now: Timestamp,
    ) -> Result<(AccessKey, Secret), KeysError> {
        if description.as_ref().is_some_and(|text| text.chars().count() > DESCRIPTION_MAX) {
            return Err(KeysError::Description);
        }
        let root = self.root().await?;
        if self.list().await?.len() >= KEYS_MAX {
            return Err(KeysError::Full);
        }
        let drawn = AccessKey::draw(&self.account, now.as_millisecond(), description);
        let key = drawn.map_err(|_| KeysError::NoRandomness)?;
        let item = item(&key);
        match self.table.write(Write::put(item.clone()).when_absent()).await? {
            Written::Done => {}
            // This very write, whose answer was lost.
            Written::Not(Some(there)) if there == item => {}
            Written::Not(_) => return Err(StoreError::damaged(KEYS, "an id was drawn twice").into()),
        }
        let secret = root.secret(&key);
        Ok((key, secret))
    }

    /// All keys, in the order of their creation.
    pub(crate) async fn list(&self) -> Result<Vec<AccessKey>, KeysError> {
        let items = self.table.items(Range::new(KEYS, " ", LAST)).await?;
        let mut keys = items.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        keys.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(keys)
    }

    /// Deletes a key.
    pub(crate) async fn delete(&self, id: &str) -> Result<(), KeysError> {
        if !is_key_id(id) || self.find(id).await?.is_none() {
            return Err(KeysError::Missing(id.chars().take(40).collect()));
        }
        self.table.write(Write::delete((KEYS, id))).await?;
        Ok(())
    }

    async fn find(&self, id: &str) -> Result<Option<AccessKey>, KeysError> {
        Ok(self.table.item(KEYS, id).await?.map(|item| read(&item)).transpose()?)
    }

    async fn root(&self) -> Result<&Root, KeysError> {
        self.root.get_or_try_init(|| self.read_root()).await
    }

    /// Reads the secret (API: Secrets Manager GetSecretValue), which may be asked for more than once.
    async fn read_root(&self) -> Result<Root, KeysError> {
        let body = Value::from([("SecretId", Value::from(self.secret_arn.as_str()))]).to_json();
        let mut why = String::new();
        for _ in 0..TRIES {
            let asked =
                self.secrets.json("secretsmanager.GetSecretValue", body.clone().into(), PATIENCE).await;
            match asked {
                Ok(answer) if answer.status == 200 => {
                    let text = String::from_utf8_lossy(&answer.body);
                    return root_in(&text).ok_or_else(|| {
                        KeysError::Root(format!("it has to have at least {ROOT_BYTES} characters"))
                    });
                }
                Ok(answer) => {
                    why = format!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body));
                    if answer.status < 500 {
                        break;
                    }
                }
                Err(error) => why = error.to_string(),
            }
        }
        Err(KeysError::Root(why))
    }
}

/// The root in an answer of Secrets Manager: the secret's text, or the member `root` of it.
fn root_in(answer: &str) -> Option<Root> {
    let answer = parse(answer).ok()?;
    let secret = answer.get("SecretString")?.as_str()?;
    let members = parse(secret).ok();
    let member = members.as_ref().and_then(|members| members.get("root")?.as_str());
    Root::new(member.unwrap_or(secret).as_bytes())
}

fn item(access_key: &AccessKey) -> Item {
    let mut item = key(KEYS, &access_key.id);
    item.insert("account".into(), text(access_key.account.as_str()));
    item.insert("created_at".into(), number(access_key.created_at));
    if let Some(description) = &access_key.description {
        item.insert("description".into(), text(description.as_str()));
    }
    item
}

fn read(item: &Item) -> Result<AccessKey, StoreError> {
    Ok(AccessKey {
        id: item.text(SORT)?.to_owned(),
        account: item.text("account")?.to_owned(),
        created_at: item.number("created_at")?,
        description: maybe(item, "description")?.map(|text| text.to_string()),
    })
}

/// Headers as an event has them. What is none is left out: nobody can have signed it.
pub(crate) fn headers<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = http::HeaderName::try_from(name);
        if let (Ok(name), Ok(value)) = (name, http::HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_a_secrets_text_or_a_member_of_it() {
        let check = |secret: &str, expected: bool| {
            let answer = Value::from([("SecretString", Value::from(secret))]).to_json();
            assert_eq!(root_in(&answer).is_some(), expected, "{secret}");
        };
        let long = "x".repeat(64);
        check(&long, true);
        check(&format!(r#"{{"keys":[],"root":"{long}"}}"#), true);
        check(r#"{"root":"short"}"#, false);
        check("short", false);
        check("", false);
        for answer in ["", "{}", "[]", r#"{"SecretString":1}"#, r#"{"SecretBinary":"eA=="}"#] {
            assert!(root_in(answer).is_none(), "{answer}");
        }
        let key = AccessKey::draw("123456789012", 1, None).unwrap();
        let of = |secret: &str| {
            let answer = Value::from([("SecretString", Value::from(secret))]).to_json();
            root_in(&answer).unwrap().secret(&key)
        };
        assert_eq!(of(&long), of(&format!(r#"{{"root":"{long}"}}"#)));
    }
}
