//! Paths and what they give: a table made by comparing with Jayway, hostile paths, and properties.

use proptest::prelude::*;
use stepwell_expr::json::parse;
use stepwell_expr::jsonpath::{Path, ReferencePath};
use stepwell_expr::{PathExpression, Value};

/// One cell of the table: the kind, and the result or reason.
fn answer(path: &str, document: &Value) -> (char, String) {
    let path = match Path::compile(path) {
        Ok(path) => path,
        Err(error) => return ('C', error.message),
    };
    match path.evaluate(document) {
        Ok(value) => (if path.is_definite() { 'D' } else { 'I' }, value.to_json()),
        Err(nothing) => ('N', nothing.message),
    }
}

#[test]
fn paths_give_what_jayway_gives() {
    let mut document = Value::Null;
    let mut checked = 0;
    for line in include_str!("jsonpath.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let mut cells = line.splitn(3, '\t');
        let (first, second, third) = (cells.next().unwrap(), cells.next().unwrap(), cells.next());
        let Some(result) = third else {
            document = parse(second).unwrap();
            continue;
        };
        let (kind, given) = answer(first, &document);
        assert_eq!(kind.to_string(), second, "{first}: {given}");
        // A table without reason leaves our words to us.
        assert!(given == result || (kind == 'C' && result.is_empty()), "{first}\n  {given}\n  {result}");
        checked += 1;
    }
    assert!(checked > 300, "{checked}");
}

#[test]
fn a_name_is_found_as_it_is_written_between_quotes() {
    let document = parse(r#"{"Test\\\"\"Name\"":"raw","a\"b":"plain"}"#).unwrap();
    assert_eq!(answer(r#"$['Test\""Name"']"#, &document), ('D', "\"raw\"".to_owned()));
    assert_eq!(answer(r#"$['a\"b']"#, &document), ('D', "\"plain\"".to_owned()));
}

#[test]
fn an_index_beyond_the_end_is_null_in_a_field_and_nothing_in_an_argument() {
    let document = parse("[1]").unwrap();
    let path = Path::compile("$[5]").unwrap();
    assert_eq!(path.evaluate(&document), Ok(Value::Null));
    assert!(path.evaluate_argument(&document).is_err());
    assert_eq!(Path::compile("$[0,5]").unwrap().evaluate_argument(&document), Ok(parse("[1]").unwrap()));
}

#[test]
fn hostile_paths_are_refused_or_found_empty() {
    let document = parse(r#"{"a":{"a":[{"a":1}]}}"#).unwrap();
    for (path, compiles) in [
        (format!("${}", ".a".repeat(500_000)), true),
        (format!("${}", "[0]".repeat(300_000)), true),
        (format!("$.{}", "a".repeat(1_000_000)), true),
        (format!("$['{}", "a\\".repeat(500_000)), false),
        (format!("${}", "..a".repeat(300_000)), false),
        (format!("${}", "[?(@)]".repeat(100_000)), false),
        (format!("$[?{}", "(".repeat(500_000)), false),
        (format!("$[?({}@.a)]", "!".repeat(500_000)), false),
        (format!("${}1{}", "[?(@.a==$".repeat(50_000), ")]".repeat(50_000)), false),
        (format!("${}", "[?(@".repeat(250_000)), false),
        (format!("$.f({}", "$.f(".repeat(250_000)), false),
        (format!("$.f{}{}", "($.f".repeat(100_000), ")".repeat(100_000)), false),
        (format!("$[{}]", "0,".repeat(300_000)), false),
        (format!("$[?(@.a == 1{})]", " || @.a == 1".repeat(50_000)), true),
        ("$[-2147483648:2147483647]".to_owned(), true),
        ("$[99999999999]".to_owned(), false),
    ] {
        let compiled = Path::compile(&path);
        assert_eq!(compiled.is_ok(), compiles, "{}…", &path[..13]);
        if let Ok(path) = compiled {
            let _ = path.evaluate(&document);
        }
    }
}

#[test]
fn a_path_that_visits_too_much_says_so() {
    let deep = parse(&format!("{}1{}", "[".repeat(900), "]".repeat(900))).unwrap();
    let wide = Value::array((0..3000_i64).map(Value::from).collect());
    for (path, document) in [
        ("$..*..*..*", &deep),
        ("$..[?(@..[?(@..*)])]", &deep),
        ("$[?(@ in $)][?($[?(@ in $)])]", &wide),
        ("$[-2147483648:1]", &wide),
    ] {
        let (kind, message) = answer(path, document);
        assert_eq!(kind, 'N', "{path}");
        assert!(message.starts_with("Path visits too many values"), "{path}: {message}");
    }
    assert_eq!(answer("$..*", &deep).0, 'I');
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..9_i64).prop_map(Value::from),
        "[a-cé']{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::array),
            prop::collection::vec(("[a-cé'\\\\]{0,2}", inner), 0..4)
                .prop_map(|members| Value::object(members.into_iter().map(|(k, v)| (k.into(), v)).collect())),
        ]
    })
}

fn path_piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\.[a-cé]",
        "\\['[a-cé'\\\\]{0,2}'\\]",
        "\\[-?[0-9],?:?-?[0-9]?\\]",
        Just("..".to_owned()),
        Just("[*]".to_owned()),
        "\\[\\?\\(!?[@$]\\.?[a-c]? ?(==|!=|<|=~|in|nin|size|\\|\\||&&)? ?(1|'a'|\\[1\\]|/a/|@|\\$\\.b)?\\)\\]",
        "\\.(length|sum|keys|first|concat)\\(\\$?\\)",
        "[ -~é]{1,3}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_path_panics(pieces in prop::collection::vec(path_piece(), 0..6), document in json()) {
        let text = format!("${}", pieces.concat());
        if let Ok(path) = Path::compile(&text) {
            let result = path.evaluate(&document);
            prop_assert!(path.is_definite() || !matches!(result, Ok(ref value) if value.as_array().is_none()));
            let _ = path.evaluate_argument(&document);
        }
        let _ = PathExpression::compile(&text);
        let _ = PathExpression::compile(&format!("States.Array({text})"));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}") {
        let _ = Path::compile(&text);
        let _ = Path::compile(&format!("$[?({text})]"));
        let _ = ReferencePath::compile(&format!("${text}"));
        let _ = PathExpression::compile(&format!("States.Format({text})"));
        let _ = stepwell_expr::timestamp::parse(&text);
    }

    #[test]
    fn what_a_reference_path_puts_a_path_finds(pieces in prop::collection::vec("\\.[a-c]|\\[[01]\\]", 0..4), document in json()) {
        let text = format!("${}", pieces.concat());
        let result = Value::from("new");
        if let Ok(output) = ReferencePath::compile(&text).unwrap().insert(&document, result.clone()) {
            prop_assert_eq!(Path::compile(&text).unwrap().evaluate(&output), Ok(result));
        }
    }
}
