//! What shows of Java in AWS's answers.

use std::sync::Arc;

use stepwell_expr::Value;

/// Puts entries in the order in which a `java.util.HashMap` that they were put into would give them out.
pub(crate) fn hash_map_order<T>(entries: &mut [(Arc<str>, T)]) {
    let mut buckets = 16;
    while entries.len() * 4 > buckets * 3 {
        buckets *= 2;
    }
    entries.sort_by_key(|(key, _)| {
        let hash =
            key.encode_utf16().fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
        (hash ^ (hash >> 16)) as usize & (buckets - 1)
    });
}

/// A time of the API, in seconds since 1970, as the SDK for Java 1 shows it: in milliseconds. 0 where it is none.
pub(crate) fn epoch_millis(seconds: Option<&Value>) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a time of ours fits; another is cut to the largest")]
    let millis = |seconds: f64| (seconds * 1000.0).round() as i64;
    seconds.and_then(Value::as_f64).map_or(0, millis)
}

/// A time of the API as the SDK for Java 2 shows it: ISO 8601, with milliseconds where there are any.
pub(crate) fn iso_time(seconds: &Value) -> Option<String> {
    seconds.as_number()?;
    let millis = epoch_millis(Some(seconds));
    let time = jiff::Timestamp::from_millisecond(millis).ok()?;
    Some(if millis % 1000 == 0 { format!("{time:.0}") } else { format!("{time:.3}") })
}

/// The body of AWS's answer to StartExecution, whose length results show: doubles are spelled as Java does.
pub(crate) fn start_execution_body(arn: &str, millis: i64) -> String {
    let digits = millis.to_string();
    let (first, rest) = digits.split_at(digits.len().min(1));
    let decimals = match rest.trim_end_matches('0') {
        "" => "0",
        decimals => decimals,
    };
    let exponent = rest.len().saturating_sub(3);
    format!("{{\"executionArn\":\"{arn}\",\"startDate\":{first}.{decimals}E{exponent}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_as_java_does() {
        let seconds = |text: &str| stepwell_expr::json::parse(text).unwrap();
        assert_eq!(epoch_millis(Some(&seconds("1688136139.123"))), 1_688_136_139_123);
        assert_eq!(iso_time(&seconds("1688136139.123")).as_deref(), Some("2023-06-30T14:42:19.123Z"));
        assert_eq!(iso_time(&seconds("1688136139.120")).as_deref(), Some("2023-06-30T14:42:19.120Z"));
        assert_eq!(iso_time(&seconds("1688136139.000")).as_deref(), Some("2023-06-30T14:42:19Z"));
        assert_eq!(iso_time(&seconds("\"soon\"")), None);
        let body = |millis| start_execution_body("a", millis);
        assert_eq!(body(1_688_136_139_123), r#"{"executionArn":"a","startDate":1.688136139123E9}"#);
        assert_eq!(body(1_688_136_139_100), r#"{"executionArn":"a","startDate":1.6881361391E9}"#);
        assert_eq!(body(1_000_000_000_000), r#"{"executionArn":"a","startDate":1.0E9}"#);
    }

    #[test]
    fn maps_grow_and_keep_their_order() {
        let order = |names: &[&str]| {
            let mut entries: Vec<(Arc<str>, ())> = names.iter().map(|name| (Arc::from(*name), ())).collect();
            hash_map_order(&mut entries);
            entries.iter().map(|(name, ())| name.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(order(&["id", "data"]), "data id");
        assert_eq!(order(&["a", "b", "q", "A"]), "a q A b");
        let letters: Vec<String> = ('a'..='m').map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert_eq!(order(&letters), "a b c d e f g h i j k l m");
    }
}
