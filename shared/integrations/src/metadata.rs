//! `SdkHttpMetadata` and `SdkResponseMetadata`, which results of the AWS SDK for Java 1 carry.

use std::sync::{Arc, LazyLock};

use stepwell_expr::{Map, Value};

use crate::java::hash_map_order;

/// How a service writes the header names that AWS's services write differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// `Connection`, `x-amzn-RequestId`: Lambda, and DynamoDB where it writes.
    Classic,
    /// `Connection`, `x-amzn-requestid`: DynamoDB where it reads, as recorded.
    LowerRequestId,
    /// `connection`, `x-amzn-RequestId`: SNS and SQS.
    LowerConnection,
}

/// The members that tell of the HTTP exchange, in a result's alphabetical order.
///
/// `headers` come in the order in which they were received, with names in small letters.
pub(crate) fn sdk_members<'a>(
    status: u16,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    request_id: &str,
    spelling: Spelling,
) -> [(&'static str, Value); 2] {
    let http = http_metadata(status, headers, spelling);
    let response = Value::from([("RequestId", Value::from(request_id))]);
    [("SdkHttpMetadata", http), ("SdkResponseMetadata", response)]
}

fn http_metadata<'a>(
    status: u16,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    spelling: Spelling,
) -> Value {
    let mut names: Vec<(Arc<str>, Vec<Value>)> = Vec::with_capacity(10);
    for (name, value) in headers {
        let name = spelled(name, spelling);
        match names.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value.into()),
            None => names.push((name, vec![value.into()])),
        }
    }
    let mut sorted: Vec<_> = names.iter().map(|(name, values)| (name.clone(), values)).collect();
    sorted.sort_by_cached_key(|(name, _)| name.to_ascii_lowercase());
    let last = |values: &Vec<Value>| values.last().cloned().unwrap_or_default();
    let one: Map = sorted.into_iter().map(|(name, values)| (name, last(values))).collect();
    let mut hashed = names;
    hash_map_order(&mut hashed);
    let all: Map = hashed.into_iter().map(|(name, values)| (name, Value::array(values))).collect();
    Value::from([
        ("AllHttpHeaders", Value::object(all)),
        ("HttpHeaders", Value::object(one)),
        ("HttpStatusCode", i64::from(status).into()),
    ])
}

fn spelled(name: &str, spelling: Spelling) -> Arc<str> {
    static SPELLED: LazyLock<Vec<(String, Arc<str>)>> =
        LazyLock::new(|| NAMES.iter().map(|name| (name.to_ascii_lowercase(), Arc::from(*name))).collect());
    match (spelling, name) {
        (Spelling::LowerRequestId, "x-amzn-requestid") | (Spelling::LowerConnection, "connection") => {
            name.into()
        }
        _ => SPELLED
            .iter()
            .find(|(lower, _)| lower == name)
            .map_or_else(|| name.into(), |(_, spelled)| spelled.clone()),
    }
}

/// HTTP clients here see names in small letters; these are AWS's own spellings.
const NAMES: [&str; 10] = [
    "Connection",
    "Content-Length",
    "Content-Type",
    "Date",
    "Server",
    "X-Amz-Executed-Version",
    "X-Amz-Log-Result",
    "X-Amzn-Trace-Id",
    "x-amzn-Remapped-Content-Length",
    "x-amzn-RequestId",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_as_recorded() {
        let check = |headers: &[&str], spelling, expected: &str| {
            let headers = headers.iter().map(|name| (*name, "1"));
            let [(_, http), (_, response)] = sdk_members(200, headers, "id", spelling);
            assert_eq!(http.to_json(), expected);
            assert_eq!(response.to_json(), r#"{"RequestId":"id"}"#);
        };
        check(
            &[
                "date",
                "content-type",
                "content-length",
                "connection",
                "x-amzn-requestid",
                "x-amzn-remapped-content-length",
                "x-amz-executed-version",
                "x-amzn-trace-id",
            ],
            Spelling::Classic,
            concat!(
                r#"{"AllHttpHeaders":{"X-Amz-Executed-Version":["1"],"x-amzn-Remapped-Content-Length":["1"],"#,
                r#""Connection":["1"],"x-amzn-RequestId":["1"],"Content-Length":["1"],"Date":["1"],"#,
                r#""X-Amzn-Trace-Id":["1"],"Content-Type":["1"]},"HttpHeaders":{"Connection":"1","#,
                r#""Content-Length":"1","Content-Type":"1","Date":"1","X-Amz-Executed-Version":"1","#,
                r#""x-amzn-Remapped-Content-Length":"1","x-amzn-RequestId":"1","X-Amzn-Trace-Id":"1"},"#,
                r#""HttpStatusCode":200}"#
            ),
        );
        check(
            &["server", "date", "connection", "x-amzn-requestid", "x-amz-crc32", "x-amz-crc32"],
            Spelling::LowerRequestId,
            concat!(
                r#"{"AllHttpHeaders":{"Server":["1"],"x-amzn-requestid":["1"],"Connection":["1"],"#,
                r#""x-amz-crc32":["1","1"],"Date":["1"]},"HttpHeaders":{"Connection":"1","Date":"1","#,
                r#""Server":"1","x-amz-crc32":"1","x-amzn-requestid":"1"},"HttpStatusCode":200}"#
            ),
        );
    }
}
