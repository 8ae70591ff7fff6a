//! JSONPath and Reference Paths: `path ---- document`.

use stepwell_expr::json::parse;
use stepwell_expr::jsonpath::{Path, ReferencePath};
use stepwell_expr::{PathExpression, Value};

use super::Target;
use super::environment::{Given, check_value};
use crate::parts;

pub(super) const TARGET: Target = Target {
    name: "jsonpath",
    run,
    words: &[
        "$",
        "$$",
        "$.",
        "$..",
        "@",
        "@.",
        ".*",
        "[*]",
        "[0]",
        "[-1]",
        "[0:2]",
        "[::2]",
        "[?(",
        ")]",
        "['",
        "']",
        "[\"a\"]",
        ".length()",
        ".sum()",
        ".min()",
        ".max()",
        ".avg()",
        ".stddev()",
        ".keys()",
        ".concat(",
        ".append(",
        ".first()",
        ".index(",
        "==",
        "!=",
        "<=",
        ">=",
        "=~",
        "/a.*/i",
        " in ",
        " nin ",
        " subsetof ",
        " anyof ",
        " noneof ",
        " size ",
        " empty ",
        " contains ",
        "&&",
        "||",
        "!",
        "null",
        "true",
        "'x'",
        "1.5",
        "99999999999",
        "-2147483648",
        ",",
        "(",
        ")",
        "$doc",
        "$count",
        "..[?(@.id)]",
        "[?(@.id>1)]",
    ],
    mutations: 4_000,
    bytes_max: 2_048,
    milliseconds_max: 2_000,
};

fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = parts(text);
    let (path, document) = (parts.next().unwrap_or_default(), parts.next());
    let given = Given::new(document);
    if let Ok(compiled) = Path::compile(path) {
        evaluated(&compiled, path, given.document());
    }
    if let Ok(reference) = ReferencePath::compile(path) {
        inserted(&reference, path, given.document());
    }
    if let Ok(expression) = PathExpression::compile(path) {
        assert_eq!(expression.text(), path);
        let first = expression.evaluate(&Given::new(document), "F");
        assert_eq!(first, expression.evaluate(&Given::new(document), "F"), "{path:?} twice gives two");
        if let Ok(value) = first {
            check_value(&value, path);
        }
    }
}

fn evaluated(path: &Path, text: &str, root: &Value) {
    assert_eq!(path.text(), text);
    let found = path.evaluate(root);
    assert_eq!(found, path.evaluate(root), "{text:?} twice gives two");
    if let Some(value) = path.find(root) {
        assert!(path.is_definite(), "{text:?} finds one place and is not definite");
        assert_eq!(found.as_ref(), Ok(value), "{text:?} finds and gives two");
        assert_eq!(path.evaluate_argument(root).as_ref(), Ok(value), "{text:?} finds another as an argument");
    }
    if let Ok(value) = &found {
        check_value(value, text);
    }
}

/// What was put somewhere is found there.
fn inserted(path: &ReferencePath, text: &str, root: &Value) {
    let marker = parse(r#"{"the":"marker"}"#).unwrap_or_default();
    let Ok(output) = path.insert(root, marker.clone()) else { return };
    check_value(&output, text);
    let there = Path::compile(text).ok().filter(Path::is_definite).map(|path| path.evaluate(&output));
    if let Some(there) = there {
        assert_eq!(there, Ok(marker), "what is put at {text:?} is not found there");
    }
}
