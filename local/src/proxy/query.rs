//! The two questions that the proxy has for AWS, in the query protocol: what a stack gave out, and who its keys are.

use std::time::Duration;

use bytes::Bytes;
use hyper::Request;
use stepwell_integrations::{Aws, Service, ServiceClient, escaped};

/// Bytes of an answer at most.
const BYTES_MAX: usize = 4 << 20;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The service was not reached, or there is nothing to sign with.
    #[error("{service:?} did not answer: {why}")]
    Unanswered {
        /// Which.
        service: Service,
        /// Why.
        why: String,
    },
    /// The service refused.
    #[error("{service:?} refused: {code}: {message}")]
    Refused {
        /// Which.
        service: Service,
        /// Its exception.
        code: String,
        /// What it said.
        message: String,
    },
}

/// The outputs of a stack, by key (API: CloudFormation DescribeStacks).
///
/// # Errors
/// [`QueryError`]
pub async fn stack_outputs(aws: &Aws, stack: &str) -> Result<Vec<(String, String)>, QueryError> {
    let form = format!("Action=DescribeStacks&Version=2010-05-15&StackName={}", escaped(stack, b""));
    let xml = ask(aws, Service::CloudFormation, form).await?;
    Ok(outputs(&xml))
}

/// The ARN that the keys stand for (API: STS GetCallerIdentity).
///
/// # Errors
/// [`QueryError`]
pub(super) async fn caller(aws: &Aws) -> Result<String, QueryError> {
    let form = "Action=GetCallerIdentity&Version=2011-06-15".to_owned();
    let xml = ask(aws, Service::Sts, form).await?;
    Ok(element(&xml, "Arn").unwrap_or_default())
}

async fn ask(aws: &Aws, service: Service, form: String) -> Result<String, QueryError> {
    let client = ServiceClient::new(aws, service);
    let request = Request::post(format!("{}/", client.endpoint()))
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
        .body(Bytes::from(form));
    let unanswered = |why: &dyn std::fmt::Display| QueryError::Unanswered { service, why: why.to_string() };
    let request = request.map_err(|error| unanswered(&error))?;
    let answer = client.send(request, BYTES_MAX, PATIENCE).await.map_err(|error| unanswered(&error))?;
    let xml = String::from_utf8_lossy(&answer.body).into_owned();
    if answer.status == 200 {
        return Ok(xml);
    }
    let said = |tag: &str| element(&xml, tag).unwrap_or_default();
    Err(QueryError::Refused { service, code: said("Code"), message: said("Message") })
}

fn outputs(xml: &str) -> Vec<(String, String)> {
    let all = element_raw(xml, "Outputs").unwrap_or_default();
    let members = all.split("<member>").skip(1);
    members
        .filter_map(|member| Some((element(member, "OutputKey")?, element(member, "OutputValue")?)))
        .collect()
}

/// The text of the first element of this name.
fn element(xml: &str, name: &str) -> Option<String> {
    element_raw(xml, name).map(unescaped)
}

fn element_raw<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

fn unescaped(text: &str) -> String {
    let mut out = text.trim().to_owned();
    for (escape, plain) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")]
    {
        out = out.replace(escape, plain);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_read() {
        let xml = "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>s</StackName><Outputs>\n\
            <member><OutputKey>A</OutputKey><OutputValue>https://x/?a&amp;b</OutputValue><Description>d</Description></member>\
            <member><OutputValue>2</OutputValue><OutputKey>B</OutputKey></member><member><OutputKey>C</OutputKey></member>\
            </Outputs><Tags><member><Key>k</Key></member></Tags></member></Stacks></DescribeStacksResult></DescribeStacksResponse>";
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(outputs(xml), [pair("A", "https://x/?a&b"), pair("B", "2")]);
        for hostile in
            ["", "<Outputs>", "<Outputs></Outputs>", "<Outputs><member><OutputKey></Outputs>", "\u{0}<"]
        {
            assert_eq!(outputs(hostile), [], "{hostile}");
        }
    }

    #[test]
    fn escapes_are_undone_once() {
        assert_eq!(unescaped(" &amp;lt; "), "&lt;");
    }
}
