//! Who calls: whether API Gateway or Lambda has seen to that, and if not, whose key signed. And the operations on those keys.

use jiff::Timestamp;
use stepwell_access::{AccessKey, Head};
use stepwell_expr::Value;
use stepwell_wire::Error;

use super::Failure;
use super::http::Request;
use crate::Assembly;
use crate::keys::{IssuedKeys, KeysError, headers};

/// The operations on access keys, by the names of IAM's. They are for whoever may invoke the function, and nobody else.
const OPERATIONS: [&str; 3] = ["CreateAccessKey", "ListAccessKeys", "DeleteAccessKey"];

/// Lets a request in whose caller is known: to API Gateway or Lambda by IAM, or by a key that was issued here.
///
/// # Errors
/// AWS's exceptions about who calls.
pub(super) async fn admit(assembly: &Assembly, request: &Request<'_>, body: &[u8]) -> Result<(), Error> {
    if request.has_caller() {
        return Ok(());
    }
    match &assembly.keys {
        Some(keys) => {
            let mut headers = headers(request.headers());
            // Clients sign it, and not everybody on the way hands it on.
            headers.entry("content-length").or_insert_with(|| body.len().into());
            let (method, path) = (request.method, request.path);
            let head = Head { method, path, has_query: request.has_query(), headers: &headers };
            keys.admit(head, body, now(assembly)).await
        }
        // A Function URL without IAM, which nobody meant: there are no keys to ask for.
        None if request.is_direct => Err(Error::MissingAuthenticationToken),
        // A route of API Gateway's that its owner opened, or guards otherwise.
        None => Ok(()),
    }
}

/// Answers an invocation for an operation on access keys; `None` where it is for something else.
pub(super) async fn manage(assembly: &Assembly, event: &Value) -> Option<Result<String, Failure>> {
    let operation = event.get("operation").and_then(Value::as_str)?;
    if !OPERATIONS.contains(&operation) {
        return None;
    }
    let Some(keys) = &assembly.keys else {
        let message =
            "this function issues no access keys: the one that does is there with the parameter IssueKeys";
        return Some(Err(Failure::new("UnknownOperationException", message)));
    };
    Some(answer(keys, operation, event, now(assembly)).await.map_err(failed))
}

async fn answer(
    keys: &IssuedKeys,
    operation: &str,
    event: &Value,
    now: Timestamp,
) -> Result<String, KeysError> {
    let member = |name: &str| event.get(name).and_then(Value::as_str);
    let answer = match operation {
        "CreateAccessKey" => {
            if event.get("description").is_some() && member("description").is_none() {
                return Err(KeysError::Description);
            }
            let (key, secret) = keys.create(member("description").map(str::to_owned), now).await?;
            let secret = ("SecretAccessKey", Value::from(secret.reveal()));
            Value::from([("AccessKey", shown(&key, Some(secret)))])
        }
        "ListAccessKeys" => {
            let all = keys.list().await?;
            Value::from([("AccessKeys", Value::array(all.iter().map(|key| shown(key, None)).collect()))])
        }
        _ => {
            keys.delete(member("accessKeyId").unwrap_or_default()).await?;
            Value::object(stepwell_expr::Map::default())
        }
    };
    Ok(answer.to_json())
}

fn shown(key: &AccessKey, secret: Option<(&'static str, Value)>) -> Value {
    let date = Timestamp::from_millisecond(key.created_at).unwrap_or_default();
    let members = [
        Some(("AccessKeyId", Value::from(key.id.as_str()))),
        secret,
        Some(("Account", Value::from(key.account.as_str()))),
        Some(("CreateDate", Value::from(date.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))),
        key.description.as_deref().map(|description| ("Description", Value::from(description))),
    ];
    Value::object(members.into_iter().flatten().map(|(name, value)| (name.into(), value)).collect())
}

fn failed(error: KeysError) -> Failure {
    let error_type = match &error {
        KeysError::Missing(_) => "NoSuchEntity",
        KeysError::Full => "LimitExceeded",
        KeysError::Description => "ValidationError",
        KeysError::Store(_) | KeysError::Root(_) | KeysError::NoRandomness => "InternalFailure",
    };
    if error_type == "InternalFailure" {
        tracing::error!(%error, "an operation on access keys failed");
    }
    Failure::new(error_type, error)
}

fn now(assembly: &Assembly) -> Timestamp {
    Timestamp::from_millisecond(assembly.clock.now().0).unwrap_or_default()
}
