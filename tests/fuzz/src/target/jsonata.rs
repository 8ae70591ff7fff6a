//! JSONata: `expression ---- document`.

use stepwell_expr::jsonata::Expression;

use super::Target;
use super::environment::{Given, check_value};
use crate::parts;

pub(super) const TARGET: Target = Target {
    name: "jsonata",
    run,
    words: &[
        "$states.input",
        "$states.context",
        "$states.result",
        "$states.errorOutput",
        "$doc",
        "$count",
        "$map(",
        "$filter(",
        "$reduce(",
        "$sift(",
        "$each(",
        "$sort(",
        "$zip(",
        "$merge(",
        "$spread(",
        "$keys(",
        "$lookup(",
        "$append(",
        "$reverse(",
        "$shuffle(",
        "$distinct(",
        "$exists(",
        "$count(",
        "$sum(",
        "$max(",
        "$average(",
        "$string(",
        "$length(",
        "$substring(",
        "$substringBefore(",
        "$uppercase(",
        "$trim(",
        "$pad(",
        "$contains(",
        "$split(",
        "$join(",
        "$match(",
        "$replace(",
        "$eval(",
        "$base64encode(",
        "$base64decode(",
        "$encodeUrl(",
        "$decodeUrl(",
        "$formatNumber(",
        "$formatBase(",
        "$formatInteger(",
        "$parseInteger(",
        "$number(",
        "$abs(",
        "$floor(",
        "$round(",
        "$power(",
        "$sqrt(",
        "$random()",
        "$millis()",
        "$now(",
        "$fromMillis(",
        "$toMillis(",
        "$type(",
        "$assert(",
        "$error(",
        "$single(",
        "$clone(",
        "$uuid()",
        "$hash(",
        "$parse(",
        "$partition(",
        "$range(",
        "function($x){",
        "function($a,$b)<s-:n>{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "{",
        ".",
        "..",
        "~>",
        ":=",
        "? 1 : 2",
        "^(",
        "|$|{}|",
        "%",
        "@$v",
        "#$i",
        "*",
        "**",
        "&",
        " and ",
        " or ",
        " in ",
        "?:",
        "??",
        "/a+/i",
        "\"text\"",
        "'#,##0.00'",
        "'[Y0001]-[M01]-[D01]'",
        "'w'",
        "9e18",
        "1e308",
        "-1",
        "0.1",
        "null",
        "true",
        "/* c */",
        "`a b`",
        ";",
        ",",
    ],
    mutations: 2_500,
    bytes_max: 1_024,
    // The engine's own bound is five seconds of the clock.
    milliseconds_max: 8_000,
};

fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = parts(text);
    let (expression, document) = (parts.next().unwrap_or_default(), parts.next());
    let Ok(compiled) = Expression::compile(expression) else { return };
    assert_eq!(compiled.text(), expression.trim());
    let first = compiled.evaluate(&Given::new(document), "Output");
    let is_late = |message: &str| message.contains("timeout") || message.contains("timed out");
    let second = compiled.evaluate(&Given::new(document), "Output");
    let both = [&first, &second];
    if both.iter().all(|one| one.as_ref().err().is_none_or(|error| !is_late(&error.message))) {
        assert_eq!(
            first.as_ref().map(|value| value.to_json()),
            second.as_ref().map(|value| value.to_json()),
            "{expression:?} twice gives two"
        );
    }
    match &first {
        Ok(value) => check_value(value, expression),
        Err(error) => assert_eq!(error.error, "States.QueryEvaluationError"),
    }
}
