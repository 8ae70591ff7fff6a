//! What AWS's services answer where they say no, in each of their protocols.

use stepwell_expr::Value;
use stepwell_expr::json::parse;

use crate::http::HttpAnswer;
use crate::xml::element;

/// An answer that says no.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exception {
    /// The HTTP status.
    pub status: u16,
    /// Its name, such as `ResourceNotFoundException`, without namespace; empty where the answer has none.
    pub code: String,
    /// What it says besides.
    pub message: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// The body, where it is JSON: some exceptions say more.
    pub body: Value,
}

impl Exception {
    /// Reads an answer of a service that speaks JSON. Where it tells the code that its Query protocol had of old
    /// (`x-amzn-query-error`), as SQS does, that is the code.
    pub fn of_json(answer: &HttpAnswer) -> Self {
        let body = parse(&String::from_utf8_lossy(&answer.body)).unwrap_or_default();
        let member =
            |names: &[&str]| names.iter().find_map(|name| body.get(name)?.as_str().map(str::to_owned));
        let code = match header(answer, "x-amzn-query-error") {
            Some(code) => code.split(';').next().unwrap_or_default().to_owned(),
            None => {
                let code = header(answer, "x-amzn-errortype").map(str::to_owned);
                let code = code.or_else(|| member(&["__type", "code", "Code"])).unwrap_or_default();
                let code = code.split(':').next().unwrap_or_default();
                code.rsplit('#').next().unwrap_or_default().to_owned()
            }
        };
        let message = member(&["message", "Message", "errorMessage"]);
        Exception { status: answer.status, code, message, request_id: request_id(answer), body }
    }

    /// Reads an answer of a service that speaks XML.
    pub fn of_xml(answer: &HttpAnswer) -> Self {
        let text = String::from_utf8_lossy(&answer.body);
        Exception {
            status: answer.status,
            code: element(&text, "Code").unwrap_or_default(),
            message: element(&text, "Message"),
            request_id: request_id(answer).or_else(|| element(&text, "RequestId")),
            body: Value::Null,
        }
    }
}

fn request_id(answer: &HttpAnswer) -> Option<String> {
    let id = header(answer, "x-amzn-requestid").or_else(|| header(answer, "x-amz-request-id"));
    id.map(str::to_owned)
}

fn header<'a>(answer: &'a HttpAnswer, name: &str) -> Option<&'a str> {
    answer.headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    fn answer(headers: &[(&'static str, &'static str)], body: &'static str) -> HttpAnswer {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let headers: HeaderMap = headers.iter().map(header).collect();
        HttpAnswer { status: 400, headers, body: body.into() }
    }

    #[test]
    fn exceptions_are_read_in_every_spelling() {
        let check = |headers: &[_], body, code: &str, message: Option<&str>, id: Option<&str>| {
            let read = Exception::of_json(&answer(headers, body));
            assert_eq!(
                (&*read.code, read.message.as_deref(), read.request_id.as_deref()),
                (code, message, id)
            );
        };
        check(&[], r#"{"__type":"com.amazonaws.x#Busy","message":"m"}"#, "Busy", Some("m"), None);
        check(&[("x-amzn-errortype", "Gone:http://internal")], r#"{"Message":"m"}"#, "Gone", Some("m"), None);
        check(&[("x-amzn-requestid", "1")], r#"{"code":"Busy"}"#, "Busy", None, Some("1"));
        check(&[("x-amzn-query-error", "A.B;Sender")], r#"{"__type":"x#C"}"#, "A.B", None, None);
        check(&[("x-amz-request-id", "2")], "<html>", "", None, Some("2"));
        let xml =
            "<E><Error><Code>NotFound</Code><Message>a &amp; b</Message></Error><RequestId>3</RequestId></E>";
        let read = Exception::of_xml(&answer(&[], xml));
        assert_eq!((&*read.code, read.message.as_deref()), ("NotFound", Some("a & b")));
        assert_eq!(read.request_id.as_deref(), Some("3"));
    }
}
