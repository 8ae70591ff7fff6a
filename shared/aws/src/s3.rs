//! Objects in a bucket of S3, over the lean client.
//!
//! What is tried again here is what any client of S3 tries again: requests that may be repeated, since a key says what its
//! object is. Who asks has more patience than this.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request};
use sha2::{Digest, Sha256};
use stepwell_engine::port::{BoxError, Clock, Refused};
use stepwell_integrations::xml::elements;
use stepwell_integrations::{Aws, CallError, HttpAnswer, Service, ServiceClient, escaped};

use crate::blobs::Blobs;
use crate::retry::{Retries, is_passing};

/// The largest object that is read: more than any page, definition or payload has.
const OBJECT_BYTES_MAX: usize = 96 * 1024 * 1024;

/// Largest answer of any other kind: a listing of a thousand keys.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long one request may take, with a megabyte in each four seconds more.
const PATIENCE: Duration = Duration::from_secs(8);

/// Keys in one DeleteObjects.
const BATCH: usize = 1_000;

/// Objects in a bucket.
pub struct S3Blobs {
    client: ServiceClient,
    /// Where the bucket's objects are, with a slash at the end.
    base: String,
    clock: Arc<dyn Clock>,
}

/// Why S3 did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// S3 says no.
    #[error("S3 refuses {operation}: {status} {code}: {message}")]
    Refused {
        /// The operation.
        operation: &'static str,
        /// The HTTP status.
        status: u16,
        /// Its code, such as `AccessDenied`.
        code: String,
        /// What it says besides.
        message: String,
    },
    /// S3 did not answer.
    #[error("S3 does not answer {operation}")]
    NoAnswer {
        /// The operation.
        operation: &'static str,
        /// Why.
        #[source]
        source: CallError,
    },
}

impl S3Error {
    /// Whether the same request may do better a moment later.
    fn is_passing(&self) -> bool {
        match self {
            S3Error::Refused { status, code, .. } => is_passing(*status, code),
            S3Error::NoAnswer { source: CallError::NoKeys(_), .. } => false,
            S3Error::NoAnswer { .. } => true,
        }
    }

    fn boxed(self) -> BoxError {
        if self.is_passing() { Box::new(self) } else { Box::new(Refused(Box::new(self))) }
    }
}

impl S3Blobs {
    /// The objects of `bucket`. Where `aws` has an endpoint of its own for S3, the bucket stands in the path; in AWS it stands in the
    /// host's name, unless dots in it would not fit the certificate.
    pub fn new(aws: &Aws, bucket: &str, clock: Arc<dyn Clock>) -> Self {
        let client = ServiceClient::new(aws, Service::S3);
        let endpoint = client.endpoint();
        let is_hosted = aws.endpoints().custom(Service::S3).is_none() && !bucket.contains('.');
        let base = match endpoint.strip_prefix("https://").filter(|_| is_hosted) {
            Some(host) => format!("https://{bucket}.{host}/"),
            None => format!("{endpoint}/{}/", escaped(bucket, b"")),
        };
        S3Blobs { client, base, clock }
    }

    /// Sends a request until it is answered or there is no sense in it. That there is no such object is an answer.
    async fn ask(
        &self,
        operation: &'static str,
        (method, uri): (Method, String),
        checksum: Option<&str>,
        body: Bytes,
    ) -> Result<HttpAnswer, S3Error> {
        let most = if method == Method::GET { OBJECT_BYTES_MAX } else { ANSWER_BYTES_MAX };
        let patience =
            PATIENCE + Duration::from_secs(4) * u32::try_from(body.len() >> 20).unwrap_or(u32::MAX);
        let mut retries = Retries::new();
        loop {
            let mut request = Request::builder().method(&method).uri(&uri);
            if let Some(checksum) = checksum {
                request = request.header("x-amz-checksum-sha256", checksum);
                request = request.header("x-amz-sdk-checksum-algorithm", "SHA256");
            }
            let request = request.body(body.clone()).map_err(|error| S3Error::Refused {
                operation,
                status: 400,
                code: "InvalidURI".to_owned(),
                message: error.to_string(),
            })?;
            let error = match self.client.send(request, most, patience).await {
                Ok(answer) if (200..300).contains(&answer.status) => return Ok(answer),
                Ok(answer) if is_missing(&method, &answer) => return Ok(answer),
                Ok(answer) => refused(operation, &answer),
                Err(source) => S3Error::NoAnswer { operation, source },
            };
            if !error.is_passing() || !retries.again(&*self.clock).await {
                return Err(error);
            }
        }
    }

    /// Puts an object.
    ///
    /// # Errors
    /// [`S3Error`].
    pub async fn put_object(&self, key: &str, bytes: Bytes) -> Result<(), S3Error> {
        self.ask("PutObject", (Method::PUT, self.uri(key)), None, bytes).await.map(drop)
    }

    /// Reads an object; `None` where there is none.
    ///
    /// # Errors
    /// [`S3Error`].
    pub async fn get_object(&self, key: &str) -> Result<Option<Bytes>, S3Error> {
        let answer = self.ask("GetObject", (Method::GET, self.uri(key)), None, Bytes::new()).await?;
        Ok((answer.status != 404).then_some(answer.body))
    }

    /// Deletes an object, if there is one.
    ///
    /// # Errors
    /// [`S3Error`].
    pub async fn delete_object(&self, key: &str) -> Result<(), S3Error> {
        self.ask("DeleteObject", (Method::DELETE, self.uri(key)), None, Bytes::new()).await.map(drop)
    }

    /// Deletes every object whose key begins with `prefix`.
    ///
    /// # Errors
    /// [`S3Error`]; some may be deleted.
    pub async fn delete_objects(&self, prefix: &str) -> Result<(), S3Error> {
        loop {
            // What was listed is deleted before the next listing, so each begins at the prefix's first.
            let uri = format!("{}?list-type=2&max-keys={BATCH}&prefix={}", self.base, escaped(prefix, b""));
            let answer = self.ask("ListObjectsV2", (Method::GET, uri), None, Bytes::new()).await?;
            let text = String::from_utf8_lossy(&answer.body);
            let keys: Vec<&str> = elements(&text, "Key").collect();
            if keys.is_empty() {
                return Ok(());
            }
            // The keys stay escaped, as XML has them.
            let objects = keys.iter().map(|key| format!("<Object><Key>{key}</Key></Object>"));
            let objects = objects.collect::<String>();
            let body = format!("<Delete><Quiet>true</Quiet>{objects}</Delete>");
            let checksum = STANDARD.encode(Sha256::digest(&body));
            let request = (Method::POST, format!("{}?delete=", self.base));
            let answer = self.ask("DeleteObjects", request, Some(&checksum), body.into()).await?;
            let text = String::from_utf8_lossy(&answer.body);
            if let Some(error) = elements(&text, "Error").next() {
                let part = |name| elements(error, name).next().unwrap_or_default().to_owned();
                let (status, code, message) = (200, part("Code"), part("Message"));
                return Err(S3Error::Refused { operation: "DeleteObjects", status, code, message });
            }
        }
    }

    fn uri(&self, key: &str) -> String {
        format!("{}{}", self.base, escaped(key, b"/"))
    }
}

/// What S3 says besides its status.
fn refused(operation: &'static str, answer: &HttpAnswer) -> S3Error {
    let text = String::from_utf8_lossy(&answer.body);
    let part = |name| elements(&text, name).next().unwrap_or_default().to_owned();
    S3Error::Refused { operation, status: answer.status, code: part("Code"), message: part("Message") }
}

/// Whether the object that was asked for is not there. A bucket that is not there is an error.
fn is_missing(method: &Method, answer: &HttpAnswer) -> bool {
    let text = String::from_utf8_lossy(&answer.body);
    *method == Method::GET
        && answer.status == 404
        && elements(&text, "Code").all(|code| code != "NoSuchBucket")
}

#[async_trait]
impl Blobs for S3Blobs {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BoxError> {
        self.put_object(key, bytes).await.map_err(S3Error::boxed)
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, BoxError> {
        self.get_object(key).await.map_err(S3Error::boxed)
    }

    async fn delete_one(&self, key: &str) -> Result<(), BoxError> {
        self.delete_object(key).await.map_err(S3Error::boxed)
    }

    async fn delete(&self, prefix: &str) -> Result<(), BoxError> {
        self.delete_objects(prefix).await.map_err(S3Error::boxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_in_the_hosts_name_where_it_fits() {
        use stepwell_integrations::{Endpoints, Keys};
        let base = |endpoints: Endpoints, bucket: &str| {
            let aws = Aws::new("eu-west-1", endpoints, Keys::none());
            S3Blobs::new(&aws, bucket, Arc::new(crate::SystemClock::default())).base
        };
        assert_eq!(base(Endpoints::aws(), "b"), "https://b.s3.eu-west-1.amazonaws.com/");
        assert_eq!(base(Endpoints::aws(), "b.c"), "https://s3.eu-west-1.amazonaws.com/b.c/");
        let own = Endpoints::aws().with(Service::S3, "http://127.0.0.1:4566/");
        assert_eq!(base(own, "b"), "http://127.0.0.1:4566/b/");
    }
}
