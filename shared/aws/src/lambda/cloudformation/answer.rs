//! What CloudFormation is told: a JSON document that is put where it waits, an address that S3 has signed.

use std::time::Duration;

use bytes::Bytes;
use http::Request as HttpRequest;
use stepwell_expr::Value;
use stepwell_integrations::{Http, HttpClient};

use super::{Failure, Made, NotMade, Request, object};

/// Characters of a reason at most: CloudFormation takes answers of 4,096 bytes.
const REASON_CHARS_MAX: usize = 700;

/// Bytes of S3's own answer that are read.
const BYTES_MAX: usize = 64 * 1024;

/// How long one try may take, and how many there are. Lambda delivers the request again where none succeeds.
const PATIENCE: Duration = Duration::from_secs(10);
const TRIES: u32 = 3;

/// Puts answers where CloudFormation waits for them.
pub(in crate::lambda) struct Answers {
    http: HttpClient,
    /// Whether an emulator stands in for AWS: it may wait anywhere.
    anywhere: bool,
}

impl Answers {
    pub(in crate::lambda) fn new(anywhere: bool) -> Self {
        Answers { http: HttpClient::new(), anywhere }
    }

    /// Checks that an address is one of S3's, so that nobody else is called on somebody's word.
    ///
    /// # Errors
    /// [`Failure`]
    pub(super) fn check(&self, url: &str) -> Result<(), Failure> {
        let host =
            url.strip_prefix("https://").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
        let is_awss = |host: &str| {
            let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
            is_name && [".amazonaws.com", ".amazonaws.com.cn"].iter().any(|domain| host.ends_with(domain))
        };
        if self.anywhere || host.is_some_and(is_awss) {
            return Ok(());
        }
        Err(Failure::new("InvalidRequest", "the event's ResponseURL is not one of AWS's"))
    }

    /// # Errors
    /// [`Failure`] where it was not taken.
    pub(super) async fn put(
        &self,
        request: &Request<'_>,
        outcome: &Result<Made, NotMade>,
    ) -> Result<(), Failure> {
        let document = Bytes::from(document(request, outcome).to_json());
        let mut why = String::new();
        for _ in 0..TRIES {
            // Nothing is signed but the address, and nothing may be added to it: no Content-Type, above all.
            let put = HttpRequest::put(request.response_url).body(document.clone());
            let put = put.map_err(|error| Failure::new("InvalidRequest", error))?;
            match tokio::time::timeout(PATIENCE, self.http.send(put, BYTES_MAX)).await {
                Ok(Ok(answer)) if (200..300).contains(&answer.status) => return Ok(()),
                Ok(Ok(answer)) => why = format!("status {}", answer.status),
                Ok(Err(error)) => why = error.to_string(),
                Err(_) => why = format!("no answer within {} s", PATIENCE.as_secs()),
            }
        }
        Err(Failure::new("InternalFailure", format!("CloudFormation could not be told: {why}")))
    }
}

/// The document. (CloudFormation: custom resource response objects.)
fn document(request: &Request<'_>, outcome: &Result<Made, NotMade>) -> Value {
    let (status, reason, physical_id, attributes) = match outcome {
        Ok(made) => ("SUCCESS", String::new(), made.physical_id.clone(), &made.attributes[..]),
        Err(not_made) => {
            let made = not_made.physical_id.as_deref().or(request.physical_id).map(str::to_owned);
            // A name by which nothing is found when CloudFormation deletes what was never made.
            let physical_id = made.unwrap_or_else(|| format!("none-{}", request.request_id));
            ("FAILED", reason(&not_made.failure), physical_id, &[][..])
        }
    };
    let data = attributes.iter().map(|(name, value)| ((*name).into(), value.as_str().into()));
    object([
        ("Status", status.into()),
        ("Reason", reason.into()),
        ("PhysicalResourceId", physical_id.into()),
        ("StackId", request.stack_id.into()),
        ("RequestId", request.request_id.into()),
        ("LogicalResourceId", request.logical_id.into()),
        ("Data", Value::object(data.collect())),
    ])
}

fn reason(failure: &Failure) -> String {
    let whole = failure.to_string();
    if whole.chars().count() <= REASON_CHARS_MAX {
        return whole;
    }
    whole.chars().take(REASON_CHARS_MAX).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_but_aws_is_called() {
        let check = |url: &str, expected: bool| {
            assert_eq!(Answers::new(false).check(url).is_ok(), expected, "{url}");
            assert!(Answers::new(true).check(url).is_ok());
        };
        check("https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/arn?X-Amz=1", true);
        check("https://b.s3.cn-north-1.amazonaws.com.cn/k", true);
        check("http://b.s3.amazonaws.com/k", false);
        check("https://169.254.169.254/latest", false);
        check("https://evil.example/.amazonaws.com", false);
        check("https://evil.example#.amazonaws.com", false);
        check("https://evil.example?.amazonaws.com", false);
        check("https://user@evil.example:1@b.amazonaws.com/", false);
    }
}
