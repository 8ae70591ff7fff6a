//! Requests that nobody means well with: each has an answer.

use proptest::prelude::*;
use stepwell_expr::Value;

use crate::model::{members, members_within, operations};
use crate::site::{MACHINE, PASS, Site, quoted};

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("1e400".to_owned()),
        Just("-99999999999999999999".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_filter("JSON has no others", |n| n.is_finite()).prop_map(|n| n.to_string()),
        any::<String>().prop_map(|text| quoted(&text)),
        Just(quoted("arn:aws:states:us-east-1:123456789012:stateMachine:m")),
        Just(quoted("arn:aws:states:us-east-1:123456789012:execution:m:e")),
        Just(quoted(PASS)),
        Just(quoted("{")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let key = proptest::sample::select(members_within());
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec((key, inner), 0..4).prop_map(|members| {
                let members: Vec<_> =
                    members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let member = (proptest::sample::select(members()), value());
    let object = proptest::collection::vec(member, 0..12).prop_map(|members| {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(",")).into_bytes()
    });
    prop_oneof![8 => object, 1 => proptest::collection::vec(any::<u8>(), 0..64)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_request_has_an_answer(bodies in proptest::collection::vec(request(), 1..6)) {
        let mut site = Site::new();
        site.create("m", PASS);
        for body in bodies {
            for operation in operations() {
                let (status, answer) = site.call(operation, &body);
                prop_assert!([200, 400].contains(&status), "{operation}: {status} {answer}");
            }
        }
    }
}

#[test]
fn deep_large_and_doubled() {
    let mut site = Site::new();
    site.create("m", PASS);
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let long = "x".repeat(1_000_000);
    let bodies = [
        deep.clone().into_bytes(),
        format!(r#"{{"definition":{},"name":"m","roleArn":"arn:aws:iam::1:role/r"}}"#, quoted(&deep))
            .into_bytes(),
        format!(r#"{{"stateMachineArn":"{MACHINE}m","input":"{deep}"}}"#).into_bytes(),
        format!(r#"{{"taskToken":"t","output":"{deep}"}}"#).into_bytes(),
        format!(r#"{{"stateMachineArn":"{long}"}}"#).into_bytes(),
        format!(r#"{{"definition":"{long}"}}"#).into_bytes(),
        br#"{"name":"a","name":"b","stateMachineArn":{},"stateMachineArn":"abc"}"#.to_vec(),
        vec![0xff; 1000],
        b"{\"name\":\"\\ud800\"}".to_vec(),
        format!(r#"{{"maxResults":{}}}"#, "9".repeat(100_000)).into_bytes(),
    ];
    for body in &bodies {
        for operation in operations() {
            let (status, answer) = site.call(operation, body);
            let shown = String::from_utf8_lossy(&body[..body.len().min(99)]);
            assert!([200, 400].contains(&status), "{operation} {status} {answer}: {shown}");
        }
    }
    let (status, answer) = site.call("StartExecution", vec![b' '; 1_048_577]);
    assert_eq!(status, 413);
    assert_eq!(
        answer.get("__type").and_then(Value::as_str),
        Some("com.amazon.coral.service#RequestEntityTooLargeException")
    );
}
