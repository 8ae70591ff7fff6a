//! A bucket of S3 on loopback, within the test: it checks signatures by the official signer, and fails when it is told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// A key's id, and the secret of all of them.
pub(crate) const KEYS: (&str, &str) = ("AKID", "secret");

/// How many keys a listing has at most.
const LISTED_MAX: usize = 3;

/// A bucket named `b`.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Bytes>,
    requests: Vec<String>,
    to_fail: u32,
}

impl Bucket {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let bucket = Bucket { endpoint, state: Arc::default() };
        let serving = bucket.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let bucket = serving.clone();
                let service = service_fn(move |request| {
                    let bucket = bucket.clone();
                    async move { Ok::<_, std::convert::Infallible>(bucket.serve(request).await) }
                });
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });
        bucket
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys of all objects.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    /// Requests since this was last called: method and path.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.state().requests)
    }

    /// Answers the next requests with `503 SlowDown`.
    pub(crate) fn fail(&self, requests: u32) {
        self.state().to_fail = requests;
    }

    async fn serve(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.expect("it is sent whole").to_bytes();
        let request = Request::from_parts(parts, body);
        let (status, body) = match self.answer(&request) {
            Ok(body) => (200, body),
            Err((status, code)) => {
                (status, format!("<Error><Code>{code}</Code><Message>so</Message></Error>").into())
            }
        };
        Response::builder().status(status).body(Full::new(body)).expect("it is a response")
    }

    fn answer(&self, request: &Request<Bytes>) -> Result<Bytes, (u16, &'static str)> {
        let uri = request.uri();
        let key = uri.path().strip_prefix("/b/").ok_or((404, "NoSuchBucket"))?.to_owned();
        let query = uri.query().unwrap_or_default();
        let mut state = self.state();
        state.requests.push(format!("{} {key}", request.method()));
        if state.to_fail > 0 {
            state.to_fail -= 1;
            return Err((503, "SlowDown"));
        }
        if !is_signed(request) {
            return Err((403, "SignatureDoesNotMatch"));
        }
        match (request.method(), query) {
            (&Method::PUT, "") => {
                state.objects.insert(key, request.body().clone());
                Ok(Bytes::new())
            }
            (&Method::GET, "") => state.objects.get(&key).cloned().ok_or((404, "NoSuchKey")),
            (&Method::GET, query) => {
                let prefix = query.split("prefix=").nth(1).unwrap_or_default().replace("%2F", "/");
                let found = state.objects.keys().filter(|key| key.starts_with(&prefix)).take(LISTED_MAX);
                let found = found.map(|key| format!("<Contents><Key>{key}</Key></Contents>"));
                Ok(format!("<ListBucketResult>{}</ListBucketResult>", found.collect::<String>()).into())
            }
            (&Method::DELETE, "") => {
                state.objects.remove(&key);
                Ok(Bytes::new())
            }
            (&Method::POST, "delete=") => {
                let text = String::from_utf8_lossy(request.body());
                let keys = text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
                for key in keys {
                    state.objects.remove(key);
                }
                Ok(Bytes::from_static(b"<DeleteResult></DeleteResult>"))
            }
            _ => Err((405, "MethodNotAllowed")),
        }
    }
}

/// Whether the official signer signs the request like this.
fn is_signed(request: &Request<Bytes>) -> bool {
    let headers = request.headers();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let stamp = text("x-amz-date");
    let Ok(time) = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", stamp) else { return false };
    let Ok(time) = time.to_zoned(jiff::tz::TimeZone::UTC) else { return false };
    let id = text("authorization").split("Credential=").nth(1).and_then(|rest| rest.split('/').next());
    let identity = Credentials::new(id.unwrap_or_default(), KEYS.1, None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let params = SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("s3")
        .time(SystemTime::from(time.timestamp()))
        .settings(settings)
        .build()
        .expect("all is there");
    let uri = format!("http://{}{}", text("host"), request.uri());
    let signed = text("authorization").split("SignedHeaders=").nth(1).and_then(|rest| rest.split(',').next());
    let signed: Vec<&str> = signed.unwrap_or_default().split(';').collect();
    let own = ["host", "x-amz-date", "x-amz-content-sha256"];
    let others =
        headers.iter().filter(|(name, _)| signed.contains(&name.as_str()) && !own.contains(&name.as_str()));
    let others = others.map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
    let body = SignableBody::Bytes(request.body());
    let signable =
        SignableRequest::new(request.method().as_str(), &uri, others, body).expect("it is a request");
    let (instructions, _) = sign(signable, &params.into()).expect("it is signed").into_parts();
    instructions.headers().any(|(name, value)| name == "authorization" && value == text("authorization"))
}
