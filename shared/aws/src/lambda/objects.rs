//! Objects of any bucket, for definitions that lie in S3.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use stepwell_integrations::{Aws, Service, ServiceClient, escaped};

use super::cloudformation::Objects;

/// Bytes of a definition at most, with room for what makes it too large to be taken.
const BYTES_MAX: usize = 4 * 1024 * 1024;

const PATIENCE: Duration = Duration::from_secs(20);

/// Objects of S3.
pub(super) struct S3Objects<'a>(pub(super) &'a Aws);

#[async_trait]
impl Objects for S3Objects<'_> {
    async fn object(&self, bucket: &str, key: &str, version: Option<&str>) -> Result<Bytes, String> {
        let client = ServiceClient::new(self.0, Service::S3);
        let query =
            version.map(|version| format!("?versionId={}", escaped(version, b""))).unwrap_or_default();
        let uri = format!("{}/{}/{}{query}", client.endpoint(), escaped(bucket, b""), escaped(key, b"/"));
        let request = http::Request::get(uri).body(Bytes::new()).map_err(|error| error.to_string())?;
        let answer = client.send(request, BYTES_MAX, PATIENCE).await.map_err(|error| error.to_string())?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        let text = String::from_utf8_lossy(&answer.body);
        let code = text.split("<Code>").nth(1).and_then(|rest| rest.split('<').next());
        Err(format!("S3 answers {} {}", answer.status, code.unwrap_or_default()))
    }
}
