//! Payload templates: `template ---- document`.

use stepwell_expr::json::parse;
use stepwell_expr::{QueryLanguage, Template};

use super::Target;
use super::environment::{Given, check_value};
use crate::parts;

pub(super) const TARGET: Target = Target {
    name: "template",
    run,
    words: &[
        ".$\":",
        "\"a.$\":\"$.a\"",
        "\"$.list[*]\"",
        "\"$$.State.Name\"",
        "\"$doc.a\"",
        "\"States.Format('{}', $.n)\"",
        "\"{% $states.input %}\"",
        "\"{% $doc.a.b %}\"",
        "\"{% ",
        " %}\"",
        "{%%}",
        "\"b\":",
        "[",
        "]",
        "{",
        "}",
        ",",
        "null",
    ],
    mutations: 4_000,
    bytes_max: 4_096,
    milliseconds_max: 8_000,
};

fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = parts(text);
    let (template, document) = (parts.next().unwrap_or_default(), parts.next());
    let Ok(value) = parse(template) else { return };
    for language in [QueryLanguage::JsonPath, QueryLanguage::Jsonata] {
        let Ok(compiled) = Template::compile(&value, language) else { continue };
        if let Some(constant) = compiled.constant() {
            assert_eq!(constant.to_json(), value.to_json(), "a template without expressions is not itself");
        }
        let first = compiled.evaluate(&Given::new(document), "Parameters");
        assert_eq!(
            first,
            compiled.evaluate(&Given::new(document), "Parameters"),
            "{template:?} twice gives two"
        );
        if let Ok(value) = first {
            check_value(&value, template);
        }
    }
}
