//! Properties of payload templates.

use proptest::prelude::*;
use stepwell_expr::{Entropy, Environment, Map, QueryLanguage, Template, Value};

struct Given {
    input: Value,
    entropy: Entropy,
}

impl Environment for Given {
    fn input(&self) -> &Value {
        &self.input
    }
    fn context(&self) -> &Value {
        &self.input
    }
    fn variable(&self, name: &str) -> Option<&Value> {
        (name == "v").then_some(&self.input)
    }
    fn entropy(&self) -> &Entropy {
        &self.entropy
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\$\\$?(\\.[a-c]|\\[[0-2*]\\]){0,2}",
        "\\$v(\\.[a-c])?",
        "States\\.(Array|Format|JsonToString|ArrayUnique|UUID)\\((\\$(\\.[a-c])?|'x'|1|, ?){0,3}\\)",
        "\\{% (\\$states\\.input|\\$v|1 \\+ 1|\\(|\\$states\\.input\\.a) %\\}",
        "[a-c$.{}%]{0,4}",
    ]
}

fn template() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::Null), (0..9_i64).prop_map(Value::from), text().prop_map(Value::from)];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let members = prop::collection::vec(("[a-c]{0,2}(\\.\\$)?", inner.clone()), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::array),
            members.prop_map(|members| {
                Value::object(members.into_iter().map(|(key, value)| (key.into(), value)).collect())
            }),
        ]
    })
}

/// The keys of an object that a template makes, in JSONPath: those of its members, without `.$`.
fn keys(map: &Map) -> Vec<&str> {
    let mut keys: Vec<&str> = map.keys().map(|key| key.strip_suffix(".$").unwrap_or(key)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_template_panics(value in template(), input in template()) {
        let given = Given { input, entropy: Entropy::new(1, 0) };
        for language in [QueryLanguage::JsonPath, QueryLanguage::Jsonata] {
            let Ok(template) = Template::compile(&value, language) else { continue };
            let result = template.evaluate(&given, "Output");
            prop_assert!(template.constant().is_none() || result == Ok(value.clone()));
            let _ = template.variables();
            if let (QueryLanguage::JsonPath, Value::Object(map), Ok(made)) = (language, &value, &result) {
                let made = made.as_object().map(keys).unwrap_or_default();
                prop_assert_eq!(made, keys(map));
            }
        }
    }

    #[test]
    fn evaluating_again_gives_the_same(value in template(), input in template()) {
        let Ok(template) = Template::compile(&value, QueryLanguage::JsonPath) else { return Ok(()) };
        let run = || template.evaluate(&Given { input: input.clone(), entropy: Entropy::new(9, 0) }, "Parameters");
        prop_assert_eq!(run(), run());
    }
}
