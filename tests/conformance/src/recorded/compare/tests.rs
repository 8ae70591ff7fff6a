//! That differences are seen: each is planted.

use serde_json::{Value, json};

use super::{Comparer, Likeness};

/// `exact`, `loose`, or the path of the first difference.
fn compare(expected: &Value, actual: &Value) -> String {
    let mut comparer =
        Comparer::new(&["role_arn".to_owned()], &["<start>".to_owned()], Some("18-11-2024, 14:53:25"));
    match comparer.compare("$", expected, actual) {
        Likeness::Exact => "exact".to_owned(),
        Likeness::Loose(_) => "loose".to_owned(),
        Likeness::Different(difference) => difference.path,
    }
}

fn check(expected: Value, actual: Value, likeness: &str) {
    assert_eq!(compare(&expected, &actual), likeness, "{expected} {actual}");
}

#[test]
fn values_differ_in_value_type_and_members() {
    check(json!({"a": 1}), json!({"a": 1}), "exact");
    check(json!({"a": 1}), json!({"a": 2}), "$.a");
    check(json!({"a": 1}), json!({}), "$.a");
    check(json!({"a": 1}), json!({"a": 1, "b": 1}), "$.b");
    check(json!({"a": null}), json!({}), "$.a");
    check(json!({"a": null}), json!({"a": false}), "$.a");
    check(json!({"a": true}), json!({"a": 1}), "$.a");
    check(json!({"a": "1"}), json!({"a": 1}), "$.a");
    check(json!({"a": "x"}), json!({"a": "x "}), "$.a");
    check(json!([1, 2]), json!([2, 1]), "$[0]");
    check(json!([1, 2]), json!([1]), "$");
    check(json!([1]), json!([1, 2]), "$");
    check(json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992_u64), "$");
}

#[test]
fn the_telling_difference_comes_first() {
    check(json!({"a": 1, "type": "T", "z": 1}), json!({"a": 2, "type": "U", "x": 1}), "$.z");
    check(json!({"a": 1, "type": "T"}), json!({"a": 2, "type": "U", "x": 1}), "$.type");
}

#[test]
fn what_is_the_same_value_written_differently_is_loose() {
    check(json!({"a": 1}), json!({"a": 1.0}), "loose");
    check(json!({"a": 1.5}), json!({"a": 2}), "$.a");
    check(json!({"input": {"a": 1, "b": 2}}), json!({"input": "{\"a\":1,\"b\":2}"}), "exact");
    check(json!({"input": {"a": 1, "b": 2}}), json!({"input": "{\"b\":2, \"a\":1}"}), "loose");
    check(json!({"input": {"a": 1}}), json!({"input": "{\"a\":1.0}"}), "loose");
    check(json!({"input": {"a": 1}}), json!({"input": "{\"a\":2}"}), "$.input.a");
    check(json!({"input": {"a": 1}}), json!({"input": "{a}"}), "$.input");
    check(json!({"input": "[1,2]"}), json!({"input": "[1, 2]"}), "loose");
    check(json!({"input": "[1,2]"}), json!({"input": "[2,1]"}), "$.input[0]");
    check(json!({"input": "\"a\""}), json!({"input": "\"b\""}), "$.input");
    check(json!({"output": 1}), json!({"output": "1"}), "exact");
    check(json!({"output": 1}), json!({"output": "2"}), "$.output");
    // Members of an answer have no order, and neither do headers.
    check(json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1}), "exact");
    let headers = |text: &str| json!({"output": format!("{{\"HttpHeaders\":{text}}}")});
    check(json!({"output": {"HttpHeaders": {"a": 1, "b": 2}}}), headers("{\"b\":2,\"a\":1}"), "exact");
}

#[test]
fn places_stand_for_what_changes() {
    check(json!("arn:<region>:111111111111"), json!("arn:eu-west-1:000000000000"), "exact");
    check(json!("arn:<region>:111111111111"), json!("arn:eu-west-1:00000000000"), "$");
    check(json!({"t": "timestamp"}), json!({"t": 5}), "exact");
    check(json!({"t": "timestamp"}), json!({"t": null}), "$.t");
    check(json!({"t": "timestamp"}), json!({}), "$.t");
    check(json!({"t": "timestamps"}), json!({"t": 5}), "$.t");
    check(json!({"t": "<start>"}), json!({"t": {"any": 1}}), "exact");
    check(json!({"t": "<other>"}), json!({"t": 7}), "exact");
    check(json!({"a": "x<n:1>", "b": "<n:1>y"}), json!({"a": "x1", "b": "1y"}), "exact");
    check(json!({"a": "x<n:1>", "b": "<n:1>y"}), json!({"a": "x1", "b": "2y"}), "loose");
    check(json!({"<n:1>": 1}), json!({"anything": 1}), "exact");
    check(json!({"<n:1>": 1}), json!({"anything": 2}), "$.<n:1>");
    check(json!("as role_arn"), json!("as arn:aws:iam"), "exact");
    check(json!("as role"), json!("as arn:aws:iam"), "$");
}

#[test]
fn what_answers_say_of_the_exchange_is_its_status() {
    let metadata = |status: u16| json!({"ResponseMetadata": {"HTTPStatusCode": status, "x": status}});
    check(metadata(200), metadata(200), "exact");
    check(metadata(200), metadata(400), "$.ResponseMetadata.HTTPStatusCode");
    check(metadata(200), json!({}), "exact");
    check(json!({}), metadata(400), "exact");
}

#[test]
fn members_that_came_later_are_not_missed() {
    let check = |recorded: &str, expected: Likeness| {
        let mut comparer = Comparer::new(&[], &[], Some(recorded));
        let likeness = comparer.compare("$", &json!({}), &json!({"redriveCount": 0}));
        assert_eq!(std::mem::discriminant(&likeness), std::mem::discriminant(&expected), "{recorded}");
    };
    check("14-11-2023, 10:00:00", Likeness::Exact);
    let compared = Comparer::new(&[], &[], None).compare("$", &json!(1), &json!(2));
    check("15-11-2023, 10:00:00", compared);
}

/// A history of events, each by its type and `previousEventId`.
fn history(events: &[(&str, u64)]) -> Value {
    let event = |(at, (name, previous)): (usize, &(&str, u64))| json!({"id": at + 1, "previousEventId": previous, "type": name, "details": {"name": name}});
    json!({"events": events.iter().enumerate().map(event).collect::<Vec<_>>()})
}

#[test]
fn histories_differ_in_events_ids_and_order() {
    let recorded = history(&[("A", 0), ("B", 1), ("C", 2), ("D", 2), ("E", 4)]);
    let check = |events: &[(&str, u64)], likeness: &str| check(recorded.clone(), history(events), likeness);
    check(&[("A", 0), ("B", 1), ("C", 2), ("D", 2), ("E", 4)], "exact");
    check(&[("A", 0), ("B", 1), ("D", 2), ("C", 2), ("E", 3)], "loose");
    check(&[("A", 0), ("B", 1), ("C", 2), ("D", 2)], "$.events");
    check(&[("A", 0), ("B", 1), ("C", 2), ("D", 2), ("E", 4), ("F", 5)], "$.events");
    check(&[("A", 0), ("B", 1), ("C", 2), ("X", 2), ("E", 4)], "$.events[3].type");
    check(&[("A", 0), ("B", 1), ("C", 2), ("D", 2), ("E", 3)], "$.events[4].previousEventId");
    check(&[("A", 0), ("B", 1), ("C", 2), ("D", 3), ("E", 4)], "$.events[3].previousEventId");
}

#[test]
fn events_differ_in_their_details() {
    let recorded = history(&[("A", 0), ("B", 1), ("C", 2)]);
    let planted = |at: usize, plant: fn(&mut Value), likeness: &str| {
        let mut came = recorded.clone();
        plant(&mut came["events"][at]);
        check(recorded.clone(), came, likeness);
    };
    planted(1, |event| event["id"] = json!(20), "$.events[1].id");
    planted(1, |event| event["id"] = json!(2.0), "loose");
    planted(1, |event| event["previousEventId"] = json!("1"), "exact");
    planted(1, |event| event["previousEventId"] = json!(null), "$.events[1].previousEventId");
    planted(1, |event| event["more"] = json!(1), "$.events[1].more");
    planted(1, |event| event["details"] = json!({}), "$.events[1].details.name");
    planted(1, |event| event["details"]["name"] = json!("b"), "$.events[1].details.name");
    planted(1, |event| event["details"]["name"] = json!({"name": "B"}), "$.events[1].details.name");
    // Nothing hangs on the last event, whose id alone is therefore only a question of order.
    planted(2, |event| event["id"] = json!(30), "loose");
}

#[test]
fn events_without_places_come_in_any_order_between_those_that_have_them() {
    let event =
        |name: &str| json!({"id": [0], "previousEventId": 0, "type": name, "details": {"name": name}});
    let mut recorded =
        history(&[("ParallelStateStarted", 0), ("B", 1), ("C", 1), ("ParallelStateSucceeded", 3)]);
    recorded["events"][1] = event("C");
    recorded["events"][2] = event("B");
    let check = |events: &[(&str, u64)], likeness: &str| check(recorded.clone(), history(events), likeness);
    check(&[("ParallelStateStarted", 0), ("B", 1), ("C", 1), ("ParallelStateSucceeded", 3)], "exact");
    check(
        &[("ParallelStateStarted", 0), ("B", 1), ("X", 1), ("ParallelStateSucceeded", 3)],
        "$.events[1:3] #0",
    );
    check(&[("ParallelStateStarted", 0), ("B", 1), ("ParallelStateSucceeded", 2)], "$.events[1:3] #0");
}
