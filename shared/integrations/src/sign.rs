//! Signature Version 4, with the key of a day made once.

use std::sync::Mutex;
use std::time::SystemTime;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request, Uri};
use ring::digest::{SHA256, digest};
use ring::hmac;

use crate::credentials::Credentials;

/// The service whose paths are signed as they are, and whose bodies' hashes stand in a header.
const S3: &str = "s3";

/// Signs requests of one service in one region.
pub struct Signer {
    region: String,
    service: &'static str,
    key: Mutex<Option<SigningKey>>,
}

/// What a day's key was made of, and the key.
struct SigningKey {
    secret: String,
    date: String,
    key: hmac::Key,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({}, {})", self.service, self.region)
    }
}

impl Signer {
    /// Signs for `service`, by its name in signatures (`lambda`, `execute-api`).
    pub fn new(region: impl Into<String>, service: &'static str) -> Self {
        Signer { region: region.into(), service, key: Mutex::new(None) }
    }

    /// Adds the headers that prove who sends `request`. Every header that is there already is signed, and `host`. Path and
    /// query are escaped, and the query's parameters stand in their order.
    pub fn sign<B: AsRef<[u8]>>(&self, request: &mut Request<B>, keys: &Credentials, now: SystemTime) {
        let stamp = stamp(now);
        let date = &stamp[..8];
        let headers = request.headers_mut();
        let text = |text: &str| HeaderValue::from_str(text).ok();
        if let Some(value) = text(&stamp) {
            headers.insert(HeaderName::from_static("x-amz-date"), value);
        }
        if let Some(token) = keys.session_token().and_then(text) {
            headers.insert(HeaderName::from_static("x-amz-security-token"), token);
        }
        let payload = sha256(request.body().as_ref());
        let is_s3 = self.service == S3;
        if is_s3 && let Some(hash) = text(&payload) {
            request.headers_mut().insert(HeaderName::from_static("x-amz-content-sha256"), hash);
        }
        let scope = format!("{date}/{}/{}/{TERMINATOR}", self.region, self.service);
        let (signed, canonical) = canonical(request, &payload, is_s3);
        let string = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", sha256(canonical.as_bytes()));
        let signature = self.signature(keys.secret_access_key(), date, &string);
        let id = keys.access_key_id();
        let value = format!(
            "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}"
        );
        if let Some(value) = text(&value) {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
    }

    fn signature(&self, secret: &str, date: &str, string: &str) -> String {
        let mut kept = self.key.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = kept.take().filter(|kept| kept.date == date && kept.secret == secret);
        let kept = kept.insert(known.unwrap_or_else(|| SigningKey {
            secret: secret.to_owned(),
            date: date.to_owned(),
            key: signing_key(secret, &[date, &self.region, self.service, TERMINATOR]),
        }));
        hex(hmac::sign(&kept.key, string.as_bytes()).as_ref())
    }
}

/// What ends a scope.
const TERMINATOR: &str = "aws4_request";

/// The key of a scope: each part signed with what signing the one before gave.
fn signing_key(secret: &str, scope: &[&str]) -> hmac::Key {
    let key = |bytes: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, bytes);
    let first = key(format!("AWS4{secret}").as_bytes());
    scope.iter().fold(first, |signing, part| key(hmac::sign(&signing, part.as_bytes()).as_ref()))
}

/// The names of the signed headers, and the canonical request.
fn canonical<B>(request: &Request<B>, payload: &str, is_s3: bool) -> (String, String) {
    let mut headers: Vec<(&str, &[u8])> =
        request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let host = host(request.uri());
    headers.push(("host", host.as_bytes()));
    headers.sort_unstable();
    let signed = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let mut canonical = String::with_capacity(512);
    canonical.push_str(request.method().as_str());
    canonical.push('\n');
    let path = request.uri().path();
    if is_s3 {
        canonical.push_str(path);
    } else {
        // Services other than S3 escape the path, which is escaped, once more.
        canonical.push_str(&path.replace('%', "%25"));
    }
    canonical.push('\n');
    canonical.push_str(request.uri().query().unwrap_or(""));
    canonical.push('\n');
    for (name, value) in headers {
        canonical.push_str(name);
        canonical.push(':');
        canonical.push_str(String::from_utf8_lossy(value).trim());
        canonical.push('\n');
    }
    canonical.push('\n');
    canonical.push_str(&signed);
    canonical.push('\n');
    canonical.push_str(payload);
    (signed, canonical)
}

/// The `Host` header as HTTP clients write it: the port only where the scheme does not say it.
fn host(uri: &Uri) -> String {
    let name = uri.host().unwrap_or_default();
    match (uri.port_u16(), uri.scheme_str()) {
        (None, _) | (Some(80), Some("http")) | (Some(443), Some("https")) => name.to_owned(),
        (Some(port), _) => format!("{name}:{port}"),
    }
}

/// `20261120T060000Z`
fn stamp(now: SystemTime) -> String {
    let now = jiff::Timestamp::try_from(now).unwrap_or_default();
    now.strftime("%Y%m%dT%H%M%SZ").to_string()
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
    use std::time::Duration;

    use aws_sigv4::http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    };
    use aws_sigv4::sign::v4::SigningParams;

    use super::*;

    /// The official signer is the referee.
    fn official(request: &Request<Vec<u8>>, keys: &Credentials, now: SystemTime, service: &str) -> String {
        let token = keys.session_token().map(str::to_owned);
        let (id, secret) = (keys.access_key_id(), keys.secret_access_key());
        let identity = aws_credential_types::Credentials::new(id, secret, token, None, "test").into();
        let mut settings = SigningSettings::default();
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        if service == S3 {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let params = SigningParams::builder()
            .identity(&identity)
            .region("eu-west-1")
            .name(service)
            .time(now)
            .settings(settings)
            .build()
            .unwrap();
        let uri = request.uri().to_string();
        let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        let signable = SignableRequest::new(
            request.method().as_str(),
            &uri,
            headers,
            SignableBody::Bytes(request.body()),
        );
        let (instructions, _) = sign(signable.unwrap(), &params.into()).unwrap().into_parts();
        let mut signed = request.clone();
        instructions.apply_to_request_http1x(&mut signed);
        signed.headers()["authorization"].to_str().unwrap().to_owned()
    }

    #[test]
    fn signs_as_the_official_signer_does() {
        let signer = Signer::new("eu-west-1", "lambda");
        let check = |uri: &str, keys: &Credentials, seconds: u64| {
            let request = Request::post(uri)
                .header("content-type", "application/json")
                .header("x-amz-log-type", "Tail")
                .body(b"{\"a\":1}".to_vec())
                .unwrap();
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let expected = official(&request, keys, now, "lambda");
            let mut signed = request;
            signer.sign(&mut signed, keys, now);
            assert_eq!(signed.headers()["authorization"].to_str().unwrap(), expected, "{uri}");
        };
        let plain = Credentials::new("AKID", "secret", None);
        let session = Credentials::new("AKID", "other", Some("token/+=".to_owned()));
        check("http://localhost:9001/2015-03-31/functions/f/invocations", &plain, 1_700_000_000);
        check(
            "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/f/invocations",
            &session,
            1_700_000_000,
        );
        check(
            "http://h/2015-03-31/functions/arn%3Aaws%3Alambda/invocations?Qualifier=v1",
            &plain,
            1_709_200_000,
        );
        check("http://h/f?Qualifier=%24LATEST", &plain, 951_782_400);
    }

    #[test]
    fn signs_for_s3_as_the_official_signer_does() {
        let signer = Signer::new("eu-west-1", S3);
        let keys = Credentials::new("AKID", "secret", Some("token/+=".to_owned()));
        let check = |method: &str, uri: &str, body: &[u8]| {
            let request = Request::builder().method(method).uri(uri).body(body.to_vec()).unwrap();
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
            let expected = official(&request, &keys, now, S3);
            let mut signed = request;
            signer.sign(&mut signed, &keys, now);
            assert_eq!(signed.headers()["authorization"].to_str().unwrap(), expected, "{method} {uri}");
        };
        check("PUT", "https://bucket.s3.eu-west-1.amazonaws.com/runs/1/2", b"bytes");
        check("GET", "http://127.0.0.1:4566/bucket/map-runs/arn%3Aaws%3A%C3%A9%20b/2", b"");
        check("POST", "https://bucket.s3.eu-west-1.amazonaws.com/?delete=", b"<Delete/>");
        check("GET", "http://h/bucket?continuation-token=a%2Fb%3D&list-type=2&prefix=runs%2F1%2F", b"");
    }
}
