//! AWS Signature Version 4, as a server checks it (IAM guide, "AWS Signature Version 4 for API requests").
//!
//! What is signed here has no query, so the canonical request is short. Every header that says what the
//! request means has to be signed, and the body's hash is computed from the body.

use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use http::request::Parts;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ring::digest::{SHA256, digest};
use ring::hmac;
use stepwell_wire::Error;
use subtle::ConstantTimeEq;

use crate::Secret;

/// How far the time of a request may be from this machine's, in seconds either way.
pub const WINDOW_SECONDS: i64 = 5 * 60;

/// The service that requests are signed for.
const SERVICE: &str = "states";

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// The answer to a signature that is another one's.
const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS \
                        Secret Access Key and signing method. Consult the service documentation for details.";

/// The head of a request, as it came.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// `POST` …
    pub method: &'a str,
    /// The path, escaped as it was sent.
    pub path: &'a str,
    /// Whether there is a query.
    pub has_query: bool,
    /// All headers.
    pub headers: &'a HeaderMap,
}

/// Headers are not shown: whoever has them within seconds may send the request again.
impl std::fmt::Debug for Head<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl<'a> From<&'a Parts> for Head<'a> {
    fn from(parts: &'a Parts) -> Self {
        Head {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            has_query: parts.uri.query().is_some(),
            headers: &parts.headers,
        }
    }
}

/// What a request says of who signed it. Nothing of it is proven before [`Claim::verify`].
pub struct Claim<'a> {
    head: Head<'a>,
    /// The id of the key.
    pub key_id: &'a str,
    /// The signature: 64 hexadecimal digits.
    pub signature: &'a str,
    /// When the request was signed, in seconds since 1970.
    pub signed_at: i64,
    stamp: &'a str,
    region: &'a str,
    signed_headers: &'a str,
}

impl std::fmt::Debug for Claim<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Claim");
        shown.field("head", &self.head).field("key_id", &self.key_id).field("signed_at", &self.signed_at);
        shown.finish_non_exhaustive()
    }
}

impl<'a> Claim<'a> {
    /// Reads the head of a request to a server in `region`.
    ///
    /// # Errors
    /// AWS's exceptions for a request that is not signed, or not for this service, place and time.
    pub fn read(head: Head<'a>, region: &str, now: Timestamp) -> Result<Self, Error> {
        if head.has_query {
            return Err(incomplete(
                "A signature is taken from the Authorization header, not from a query string.",
            ));
        }
        let Some(authorization) = single(head.headers, &AUTHORIZATION)? else {
            return Err(Error::MissingAuthenticationToken);
        };
        let stamp = single(head.headers, &DATE)?;
        let Authorization { credential, signed_headers, signature } =
            Authorization::read(authorization, stamp)?;
        let stamp = stamp.unwrap_or_default();
        let signed_at = parse_stamp(stamp).ok_or_else(|| {
            incomplete("Date must be in ISO-8601 'basic format', such as 20261120T060000Z, in the header X-Amz-Date.")
        })?;
        let key_id = check_scope(credential, region, stamp)?;
        check_time(stamp, signed_at, now)?;
        if head.headers.contains_key(SECURITY_TOKEN) {
            return Err(Error::UnrecognizedClient);
        }
        check_signed_headers(head.headers, signed_headers)?;
        let [_, _, region, ..] = credential.split('/').collect::<Vec<_>>()[..] else {
            return Err(Error::MissingAuthenticationToken);
        };
        Ok(Claim { head, key_id, signature, signed_at: signed_at.as_second(), stamp, region, signed_headers })
    }

    /// Whether the owner of `secret` signed this head with this body.
    ///
    /// # Errors
    /// [`Error::InvalidSignature`]
    pub fn verify(&self, secret: &Secret, body: &[u8]) -> Result<(), Error> {
        let body_hash = sha256(body);
        let stated = single(self.head.headers, &CONTENT_SHA256)?;
        if stated.is_some_and(|stated| stated != body_hash) {
            let message = "The header X-Amz-Content-SHA256 has to be the SHA-256 of the body; unsigned payloads and \
                           payloads signed in pieces are not taken.";
            return Err(Error::InvalidSignature(message.into()));
        }
        let canonical = self.canonical(&body_hash);
        let date = &self.stamp[..8];
        let scope = format!("{date}/{}/{SERVICE}/{TERMINATOR}", self.region);
        let string = format!("{ALGORITHM}\n{}\n{scope}\n{}", self.stamp, sha256(&canonical));
        let key = signing_key(secret.reveal(), &[date, self.region, SERVICE, TERMINATOR]);
        let expected = hex(hmac::sign(&key, string.as_bytes()).as_ref());
        if bool::from(expected.as_bytes().ct_eq(self.signature.as_bytes())) {
            Ok(())
        } else {
            Err(Error::InvalidSignature(MISMATCH.into()))
        }
    }

    fn canonical(&self, body_hash: &str) -> Vec<u8> {
        let mut canonical = Vec::with_capacity(1024);
        canonical.extend_from_slice(self.head.method.as_bytes());
        canonical.push(b'\n');
        // The path, which is escaped, is escaped once more.
        canonical.extend_from_slice(self.head.path.replace('%', "%25").as_bytes());
        canonical.extend_from_slice(b"\n\n");
        for name in self.signed_headers.split(';') {
            canonical.extend_from_slice(name.as_bytes());
            let mut separator = b':';
            for value in self.head.headers.get_all(name) {
                canonical.push(separator);
                separator = b',';
                push_value(&mut canonical, value.as_bytes());
            }
            canonical.push(b'\n');
        }
        canonical.push(b'\n');
        canonical.extend_from_slice(self.signed_headers.as_bytes());
        canonical.push(b'\n');
        canonical.extend_from_slice(body_hash.as_bytes());
        canonical
    }
}

/// A header's value with every run of white space as one space.
fn push_value(out: &mut Vec<u8>, value: &[u8]) {
    let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    for (at, word) in words.enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

/// The header `Authorization`, taken apart.
struct Authorization<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn read(text: &'a str, stamp: Option<&str>) -> Result<Self, Error> {
        let (algorithm, parameters) = text.split_once(' ').unwrap_or((text, ""));
        if algorithm != ALGORITHM {
            return Err(incomplete(format!(
                "Unsupported algorithm in the Authorization header; it has to be {ALGORITHM}."
            )));
        }
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for parameter in parameters.split(',').map(str::trim).filter(|parameter| !parameter.is_empty()) {
            let Some((name, value)) = parameter.split_once('=') else {
                return Err(incomplete(
                    "A parameter of the Authorization header is not a valid key=value pair (missing equal-sign).",
                ));
            };
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(incomplete("The Authorization header has a parameter that is not known.")),
            };
            if slot.replace(value).is_some() {
                return Err(incomplete(format!("The Authorization header has '{name}' twice.")));
            }
        }
        let filled = |value: Option<&'a str>| value.filter(|value| !value.is_empty());
        match (filled(credential), filled(signed_headers), filled(signature), stamp) {
            (Some(credential), Some(signed_headers), Some(signature), Some(_)) => {
                Ok(Authorization { credential, signed_headers, signature })
            }
            (credential, signed_headers, signature, stamp) => {
                let missing = [
                    (credential.is_none(), "Authorization header requires 'Credential' parameter."),
                    (signature.is_none(), "Authorization header requires 'Signature' parameter."),
                    (signed_headers.is_none(), "Authorization header requires 'SignedHeaders' parameter."),
                    (
                        stamp.is_none(),
                        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
                    ),
                ];
                let missing = missing.into_iter().filter_map(|(is_missing, text)| is_missing.then_some(text));
                Err(incomplete(missing.collect::<Vec<_>>().join(" ")))
            }
        }
    }
}

/// Checks that a credential is for this service, region and day, and gives the key's id.
fn check_scope<'a>(credential: &'a str, region: &str, stamp: &str) -> Result<&'a str, Error> {
    let parts: Vec<_> = credential.split('/').collect();
    let [key_id, date, signed_region, service, terminator] = parts[..] else {
        return Err(incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.",
        ));
    };
    let mut wrong = String::new();
    if signed_region != region {
        wrong += "Credential should be scoped to a valid region. ";
    }
    if service != SERVICE {
        wrong += "Credential should be scoped to correct service: 'states'. ";
    }
    if terminator != TERMINATOR {
        wrong += "Credential should be scoped with a valid terminator: 'aws4_request'. ";
    }
    if Some(date) != stamp.get(..8) {
        wrong += "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP. ";
    }
    if wrong.is_empty() { Ok(key_id) } else { Err(Error::InvalidSignature(wrong)) }
}

fn check_time(stamp: &str, signed_at: Timestamp, now: Timestamp) -> Result<(), Error> {
    let late = now.as_second() - signed_at.as_second();
    let show = |shift: i64| {
        let time = Timestamp::from_second(now.as_second() + shift).unwrap_or(now);
        time.strftime(STAMP).to_string()
    };
    let (present, minutes) = (show(0), WINDOW_SECONDS / 60);
    Err(Error::InvalidSignature(match late {
        late if late > WINDOW_SECONDS => format!(
            "Signature expired: {stamp} is now earlier than {} ({present} - {minutes} min.)",
            show(-WINDOW_SECONDS)
        ),
        late if late < -WINDOW_SECONDS => format!(
            "Signature not yet current: {stamp} is still later than {} ({present} + {minutes} min.)",
            show(WINDOW_SECONDS)
        ),
        _ => return Ok(()),
    }))
}

/// Checks that the signed headers are in order and there, and that nothing that says what the request means is left out.
fn check_signed_headers(headers: &HeaderMap, signed: &str) -> Result<(), Error> {
    let names: Vec<_> = signed.split(';').collect();
    let is_lower = |name: &&str| !name.is_empty() && !name.bytes().any(|byte| byte.is_ascii_uppercase());
    if !names.is_sorted_by(|a, b| a < b) || !names.iter().all(is_lower) {
        return Err(Error::InvalidSignature(
            "SignedHeaders has to name headers in lower case and in order.".into(),
        ));
    }
    if !names.contains(&"host") {
        let message = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";
        return Err(Error::InvalidSignature(message.into()));
    }
    let left_out = headers
        .keys()
        .map(HeaderName::as_str)
        .find(|name| name.starts_with("x-amz-") && !names.contains(name));
    if let Some(name) = left_out {
        let message = format!("There were headers present in the request which were not signed: {name}");
        return Err(Error::InvalidSignature(message));
    }
    if names.iter().all(|name| headers.contains_key(*name)) {
        Ok(())
    } else {
        Err(Error::InvalidSignature(MISMATCH.into()))
    }
}

/// The value of a header that may be there once.
///
/// # Errors
/// [`Error::IncompleteSignature`]
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Error> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() {
        return Err(incomplete(format!("The header {name} is there twice.")));
    }
    value
        .map(|value| value.to_str().map_err(|_| incomplete(format!("The header {name} is no text."))))
        .transpose()
}

fn incomplete(message: impl Into<String>) -> Error {
    Error::IncompleteSignature(message.into())
}

const STAMP: &str = "%Y%m%dT%H%M%SZ";

/// The time of a text such as `20261120T060000Z`.
fn parse_stamp(text: &str) -> Option<Timestamp> {
    let time = DateTime::strptime(STAMP, text).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    (text.len() == 16 && time.strftime(STAMP).to_string() == text && time.as_second() >= 0).then_some(time)
}

/// The key of a scope: each part signed with what signing the one before gave.
fn signing_key(secret: &str, scope: &[&str]) -> hmac::Key {
    let key = |bytes: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, bytes);
    let first = key(format!("AWS4{secret}").as_bytes());
    scope.iter().fold(first, |signing, part| key(hmac::sign(&signing, part.as_bytes()).as_ref()))
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn white_space_is_folded() {
        let check = |value: &str, expected: &str| {
            let mut out = Vec::new();
            push_value(&mut out, value.as_bytes());
            assert_eq!(out, expected.as_bytes());
        };
        check("", "");
        check("a", "a");
        check("  a \t b  c ", "a b c");
    }

    #[test]
    fn stamps() {
        for text in ["20261120T060000Z", "19700101T000000Z"] {
            assert!(parse_stamp(text).is_some(), "{text}");
        }
        for text in [
            "",
            "20261120",
            "20261120T060000",
            "20261320T060000Z",
            "20261120T0600-1Z",
            "19691231T235959Z",
            "+0261120T060000Z",
        ] {
            assert!(parse_stamp(text).is_none(), "{text}");
        }
    }

    /// A header's value: of pieces that mean something, or anything.
    fn text() -> impl Strategy<Value = String> {
        let pieces = [
            "AWS4-HMAC-SHA256 ",
            "Credential=",
            "SignedHeaders=",
            "Signature=",
            ", ",
            "/",
            ";",
            "=",
            "host",
            "x-amz-date",
            "SWAKAAAAAAAAAAAAAAAA/20261120/us-east-1/states/aws4_request",
            "20261120T060000Z",
            "x-amz-target",
            "é",
            " ",
        ];
        let piece = prop_oneof![4 => proptest::sample::select(pieces.to_vec()).prop_map(str::to_owned), 1 => any::<String>()];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn whatever_a_stranger_sends_is_refused(
            authorization in text(),
            stamp in prop_oneof![Just("20261120T060000Z".to_owned()), text()],
            hash in text(),
            body in any::<Vec<u8>>(),
        ) {
            let mut request = Request::post("/").header("host", "localhost");
            for (name, value) in [("authorization", authorization), ("x-amz-date", stamp), ("x-amz-content-sha256", hash)] {
                request = match http::HeaderValue::from_bytes(value.as_bytes()) {
                    Ok(value) => request.header(name, value),
                    Err(_) => request,
                };
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            let now: Timestamp = "2026-11-20T06:00:00Z".parse().unwrap();
            if let Ok(claim) = Claim::read(Head::from(&head), "us-east-1", now) {
                prop_assert!(claim.verify(&Secret::draw().unwrap(), &body).is_err());
            }
        }
    }
}
