//! GetExecutionHistory

use std::time::Duration;

use stepwell_expr::Value;

use crate::site::{PASS, Site, check, text};

fn ran() -> (Site, String) {
    let mut site = Site::new();
    let machine = site.create("m", PASS);
    let arn = site.start(&machine, "e", "{ }");
    site.settle(Duration::from_secs(1));
    (site, arn)
}

fn ids(page: &Value) -> Vec<i64> {
    let events = page.get("events").and_then(Value::as_array).unwrap_or_default();
    events.iter().filter_map(|event| event.get("id").and_then(Value::as_i64)).collect()
}

#[test]
fn every_event_is_shown_with_its_data() {
    let (mut site, arn) = ran();
    let details =
        |data: &str, value: &str| format!(r#""{data}":"{value}","{data}Details":{{"truncated":false}}"#);
    let (input, output) = (details("input", "{ }"), details("output", r#"{\"done\":true}"#));
    let events = |input: &str, output: &str| {
        format!(
            r#"{{"events":[
            {{"timestamp":0,"type":"ExecutionStarted","id":1,"previousEventId":0,
              "executionStartedEventDetails":{{{input}"roleArn":"arn:aws:iam::1:role/r"}}}},
            {{"timestamp":0,"type":"PassStateEntered","id":2,"previousEventId":0,
              "stateEnteredEventDetails":{{{input}"name":"P"}}}},
            {{"timestamp":0,"type":"PassStateExited","id":3,"previousEventId":2,
              "stateExitedEventDetails":{{{output}"name":"P"}}}},
            {{"timestamp":0,"type":"ExecutionSucceeded","id":4,"previousEventId":3,
              "executionSucceededEventDetails":{{{}}}}}]}}"#,
            output.trim_end_matches(',')
        )
    };
    let all = site.ask("GetExecutionHistory", format!(r#"{{"executionArn":"{arn}"}}"#));
    check(&all, &events(&format!("{input},"), &format!("{output},")));
    let without = format!(r#"{{"executionArn":"{arn}","includeExecutionData":false}}"#);
    check(&site.ask("GetExecutionHistory", without), &events("", ""));
}

#[test]
fn pages_go_both_ways() {
    let (mut site, arn) = ran();
    for (reverse, expected) in [(false, [[1, 2, 3].as_slice(), &[4]]), (true, [&[4, 3, 2], &[1]])] {
        let request = |token: &str| {
            format!(r#"{{"executionArn":"{arn}","maxResults":3,"reverseOrder":{reverse}{token}}}"#)
        };
        let first = site.ask("GetExecutionHistory", request(""));
        let token = text(&first, "nextToken");
        let second = site.ask("GetExecutionHistory", request(&format!(r#","nextToken":"{token}""#)));
        assert_eq!([ids(&first), ids(&second)], expected.map(<[i64]>::to_vec));
        assert_eq!(second.get("nextToken"), None);
        let other = request(&format!(r#","nextToken":"{token}""#));
        let other = other.replace(&format!("{reverse}"), &format!("{}", !reverse));
        site.refused("GetExecutionHistory", &other, "InvalidToken: Invalid Token: 'Invalid token'");
    }
}
