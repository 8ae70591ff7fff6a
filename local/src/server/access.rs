//! Who calls: which account a request is made in.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::http::request::Parts;
use jiff::Timestamp;
use stepwell_access::{Claim, Head};
use stepwell_wire::Error;

use super::replay::{Arrival, Replays};
use crate::keys::{AccessKeys, Secret, is_account};

/// How it is known who calls.
#[derive(Debug)]
pub(super) enum Access {
    /// Everybody on this machine may do everything. A key id that is an account number names the account.
    Loopback,
    /// The owner of the key that signed.
    Signed(Box<Signed>),
}

/// What signatures are checked against.
#[derive(Debug)]
pub(super) struct Signed {
    keys: Arc<AccessKeys>,
    /// The region that requests have to be signed for.
    region: Box<str>,
    replays: Replays,
}

/// Who calls.
#[derive(Debug)]
pub(super) struct Caller<'a> {
    /// The account; `None` for the server's own.
    pub(super) account: Option<String>,
    unproven: Option<(&'a Signed, Claim<'a>, Secret)>,
}

impl Access {
    /// Requires signatures by `keys` for `region`.
    pub(super) fn signed(keys: Arc<AccessKeys>, region: &str) -> Self {
        let replays = Replays::since(Timestamp::now().as_second());
        Access::Signed(Box::new(Signed { keys, region: region.into(), replays }))
    }

    /// Whether anybody may call.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Access::Loopback)
    }

    /// Who a request says that it is from, before its body is read.
    ///
    /// # Errors
    /// AWS's exceptions for a request that nobody signed who is known.
    pub(super) fn caller<'a>(&'a self, head: &'a Parts) -> Result<Caller<'a>, Error> {
        let Access::Signed(signed) = self else {
            return Ok(Caller { account: named_account(&head.headers), unproven: None });
        };
        let claim = Claim::read(Head::from(head), &signed.region, Timestamp::now())?;
        let found = signed.keys.find(claim.key_id).map_err(|error| Error::Internal(Box::new(error)))?;
        let (key, secret) = found.ok_or(Error::UnrecognizedClient)?;
        Ok(Caller { account: Some(key.account), unproven: Some((signed, claim, secret)) })
    }
}

impl Caller<'_> {
    /// Whether the request is theirs, and did not come before.
    ///
    /// # Errors
    /// [`Error::InvalidSignature`], [`Error::Throttling`]
    pub(super) fn prove(&self, head: &Parts, body: &Bytes, connection: u64) -> Result<(), Error> {
        let Some((signed, claim, secret)) = &self.unproven else { return Ok(()) };
        claim.verify(secret, body)?;
        signed.replays.admit(Arrival {
            signature: claim.signature,
            signed_at: claim.signed_at,
            connection,
            headers: &head.headers,
            now: Timestamp::now().as_millisecond(),
        })
    }
}

/// The account that a key id names which is nothing but an account number, as other emulators take it. Twelve zeros are
/// nobody's account, and often said by those who have to say something.
fn named_account(headers: &HeaderMap) -> Option<String> {
    let authorization = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (_, credential) = authorization.split_once("Credential=")?;
    let (key_id, _) = credential.split_once('/')?;
    (is_account(key_id) && key_id != "000000000000").then(|| key_id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_digits_name_an_account() {
        let check = |authorization: &str, expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, authorization.parse().unwrap());
            assert_eq!(named_account(&headers).as_deref(), expected, "{authorization}");
        };
        let of = |id: &str| {
            format!("AWS4-HMAC-SHA256 Credential={id}/20261120/us-east-1/states/aws4_request, S=x")
        };
        check(&of("000000000002"), Some("000000000002"));
        check(&of("000000000000"), None);
        check(&of("00000000000"), None);
        check(&of("AKIAIOSFODNN7EXAMPLE"), None);
        check("Credential=000000000002", None);
        check("Bearer 000000000002/", None);
        check("", None);
        assert_eq!(named_account(&HeaderMap::new()), None);
    }
}
