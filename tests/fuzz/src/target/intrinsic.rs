//! Intrinsic functions: `call ---- document`.

use stepwell_expr::intrinsic::Intrinsic;

use super::Target;
use super::environment::{Given, check_value};
use crate::parts;

pub(super) const TARGET: Target = Target {
    name: "intrinsic",
    run,
    words: &[
        "States.Format(",
        "States.StringToJson(",
        "States.JsonToString(",
        "States.Array(",
        "States.ArrayPartition(",
        "States.ArrayContains(",
        "States.ArrayRange(",
        "States.ArrayGetItem(",
        "States.ArrayLength(",
        "States.ArrayUnique(",
        "States.Base64Encode(",
        "States.Base64Decode(",
        "States.Hash(",
        "States.JsonMerge(",
        "States.MathRandom(",
        "States.MathAdd(",
        "States.StringSplit(",
        "States.UUID()",
        "$.list",
        "$.a",
        "$.texts",
        "$$",
        "$doc",
        "$count",
        "'{}'",
        "'\\{\\}'",
        "'\\''",
        "'SHA-256'",
        "'MD5'",
        ", ",
        ")",
        "true",
        "false",
        "null",
        "1",
        "-1",
        "0",
        "1.5",
        "2147483648",
        "9223372036854775807",
        "-9223372036854775808",
        "1e308",
        "'[1,2'",
        "'{\"a\":1}'",
        "'a,b;c'",
    ],
    mutations: 6_000,
    bytes_max: 2_048,
    milliseconds_max: 1_000,
};

fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = parts(text);
    let (call, document) = (parts.next().unwrap_or_default(), parts.next());
    let compiled = Intrinsic::compile(call);
    assert_eq!(
        compiled.as_ref().err(),
        Intrinsic::compile(call).as_ref().err(),
        "{call:?} twice is refused otherwise"
    );
    let Ok(compiled) = compiled else { return };
    assert_eq!(compiled.text(), call.trim());
    let first = compiled.evaluate(&Given::new(document));
    assert_eq!(first, compiled.evaluate(&Given::new(document)), "{call:?} twice gives two");
    match first {
        Ok(value) => check_value(&value, call),
        Err(error) => assert!(error.error.starts_with("States."), "{call:?} fails with {}", error.error),
    }
}
