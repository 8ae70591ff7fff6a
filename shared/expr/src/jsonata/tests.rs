//! Expressions as states use them, with AWS's results and texts.

use super::*;
use crate::Entropy;
use crate::json::parse;

struct Stage {
    input: Value,
    context: Value,
    variables: Value,
    result: Option<Value>,
    error_output: Option<Value>,
    entropy: Entropy,
}

impl Environment for Stage {
    fn input(&self) -> &Value {
        &self.input
    }
    fn context(&self) -> &Value {
        &self.context
    }
    fn variable(&self, name: &str) -> Option<&Value> {
        self.variables.get(name)
    }
    fn result(&self) -> Option<&Value> {
        self.result.as_ref()
    }
    fn error_output(&self) -> Option<&Value> {
        self.error_output.as_ref()
    }
    fn entropy(&self) -> &Entropy {
        &self.entropy
    }
}

fn stage() -> Stage {
    let value = |text: &str| parse(text).unwrap();
    Stage {
        input: value(
            r#"{"a":{"b":[1,2,{"c":3}],"n":1.0,"big":9007199254740993},"x":"text","items":[{"p":1},{"p":[2]}],
                "empty":[],"one":[7],"huge":9223372036854775808,"null":null,"f":2.50}"#,
        ),
        context: value(r#"{"State":{"Name":"S"}}"#),
        variables: value(r#"{"i":41,"name":"Ada","list":[1,2,3],"object":{"k":{"v":true}},"sum":5}"#),
        result: Some(value(r#"{"Payload":{"n":5}}"#)),
        error_output: None,
        entropy: Entropy::new(42, 1_700_000_000_123),
    }
}

fn evaluate(text: &str) -> Result<Value, EvalError> {
    Expression::compile(text).unwrap_or_else(|error| panic!("{text}: {error}")).evaluate(&stage(), "Output/v")
}

/// The end of AWS's sentence for an expression that fails.
fn ending(text: &str) -> String {
    let error = evaluate(text).expect_err(text);
    assert_eq!((error.error, error.location.as_deref()), ("States.QueryEvaluationError", Some("Output/v")));
    let sentence = format!("The JSONata expression '{text}' specified for the field 'Output/v'");
    error.message.strip_prefix(&sentence).unwrap_or_else(|| panic!("{error}")).to_owned()
}

#[test]
fn gives_what_the_service_gives() {
    for (text, expected) in [
        ("$states.input.a.b", r#"[1,2,{"c":3}]"#),
        ("$states.input.a.b.c", "3"),
        ("$states.input.a.n", "1"),
        ("$states.input.a", r#"{"b":[1,2,{"c":3}],"n":1,"big":9007199254740993}"#),
        ("$states.input.a.big", "9007199254740993"),
        (
            "{'id': $states.input.a.big, 'twice': $map([1], function($v){ $states.input.a.big })}",
            r#"{"id":9007199254740993,"twice":9007199254740993}"#,
        ),
        ("$states.input.huge", "9.223372036854776E18"),
        ("$states.input.f", "2.5"),
        ("$states.input.one", "[7]"),
        ("$states.input.empty", "[]"),
        ("$states.input.`null`", "null"),
        ("$states.input.items.p", "[1,2]"),
        ("$states.input.items[0].p", "1"),
        ("$states.input.items[-1]", r#"{"p":[2]}"#),
        ("$states.context.State.Name", r#""S""#),
        ("$states.result.Payload.n", "5"),
        ("$i + 1", "42"),
        ("$i < 1000", "true"),
        ("$i / 2", "20.5"),
        ("$name & '-' & $i", r#""Ada-41""#),
        ("$list[1]", "2"),
        ("$object.k.v ? 'yes' : 'no'", r#""yes""#),
        ("[$list, [4], 5]", "[1,2,3,[4],5]"),
        ("{'a': $list, 'gone': $states.input.gone}", r#"{"a":[1,2,3]}"#),
        ("$sum($list) + $i", "47"),
        ("($x := $i; $x + 1)", "42"),
        ("$variable := 1", "1"),
        ("null", "null"),
        ("1/0", r#""Infinity""#),
        ("[1/0, -1/0, 0/0]", r#"["Infinity","-Infinity","NaN"]"#),
        ("$string(1e20) & ' ' & $string(1e21)", r#""100000000000000000000 1e+21""#),
        ("$contains('hello$world', /^hello\\$/)", "true"),
        ("$number('2')", "2"),
        ("$merge([$states.input.a, {'n': 2}])", r#"{"b":[1,2,{"c":3}],"n":2,"big":9007199254740993}"#),
        ("$map($list, function($v) { $v = 1 ? 'pass' : 'failed' })", r#"["pass","failed","failed"]"#),
        ("$count($list[$ = 1])", "1"),
        ("$states.input.items.{'q': p}", r#"[{"q":1},{"q":[2]}]"#),
    ] {
        assert_eq!(evaluate(text).unwrap_or_else(|error| panic!("{error}")).to_json(), expected, "{text}");
    }
}

#[test]
fn the_functions_that_the_service_adds() {
    for (text, expected) in [
        ("$partition([0,1,2], 2)", "[[0,1],[2]]"),
        ("$partition([0], 5)", "[[0]]"),
        ("$partition([1,2,3])", "[[1,2,3]]"),
        ("$partition([1,2,3,4,5], 2.9)", "[[1,2],[3,4],[5]]"),
        ("$range(0, 10, 2)", "[0,2,4,6,8,10]"),
        ("$range(10, 0, -4)", "[10,6,2]"),
        ("$range(-1.7, 2, 1)", "[-1,0,1,2]"),
        ("$range(3, 3, 1)", "3"),
        ("$count($range(1, 360145, 1))", "360145"),
        ("$count($range(-9223372036854775808, 9223372036854775807, 9223372036854775807))", "3"),
        ("$hash('Hello', 'MD5')", r#""8b1a9953c4611296a827abf8c47804d7""#),
        ("$hash('input', 'SHA-1')", r#""140f86aae51ab9e1cda9b4254fe98a74eb54c1a1""#),
        ("$length($hash('Hello', 'SHA-512'))", "128"),
        ("$random(42)", "0.7275636800328681"),
        ("$random(0)", "0.730967787376657"),
        ("$random(7.9)", "0.7306990420600421"),
        ("$random() = $random()", "false"),
        (
            "$contains($uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)",
            "true",
        ),
        ("$uuid() = $uuid()", "false"),
        ("$parse('{\"b\":1,\"a\":[2.0]}')", r#"{"b":1,"a":[2]}"#),
        ("$parse('-0')", "0"),
        ("$parse('{\"n\":9223372036854775807}').n", "9223372036854775807"),
        ("$parse('9223372036854775808')", "9.223372036854776E18"),
        ("$exists($parse('null'))", "true"),
        ("$map(['{\"a\":1}', '{\"a\":2}'], $parse).a", "[1,2]"),
        ("$now()", r#""2023-11-14T22:13:20.123Z""#),
        ("$now('[Y0001]-[M01]-[D01]')", r#""2023-11-14""#),
        ("$millis()", "1700000000123"),
        ("$pad('foo', 5)", r#""foo  ""#),
        ("$pad('foo', -5, '#')", r###""##foo""###),
        ("$pad('foo', 8, '-+')", r#""foo-+-+-""#),
        ("['a','b'].$pad(3)", r#"["a  ","b  "]"#),
        ("$count($shuffle([1..50]))", "50"),
        ("'x' ~> $pad(3) ~> $pad(-5)", r#""  x  ""#),
        ("'[Y0001]' ~> $now()", r#""2023""#),
        ("1 ~> $string", r#""1""#),
        ("($f := $trim ~> $uppercase; ' a ' ~> $f)", r#""A""#),
        ("($trim := function($s){ 'mine' }; ' a ' ~> $trim())", r#""mine""#),
    ] {
        assert_eq!(evaluate(text).unwrap_or_else(|error| panic!("{error}")).to_json(), expected, "{text}");
    }
}

#[test]
fn says_what_the_service_says() {
    const NOTHING: &str = " returned nothing (undefined).";
    const FUNCTION: &str = " returned an unsupported result type.";
    for (text, expected) in [
        ("$states.input.gone", NOTHING),
        ("$gone", NOTHING),
        ("$partition([1], 0)", NOTHING),
        ("$partition([], 2)", NOTHING),
        ("$range(5, 1, 1)", NOTHING),
        ("$range(1, 5)", NOTHING),
        ("$hash('a')", NOTHING),
        ("$parse()", NOTHING),
        ("$fn := function($x){$x}", FUNCTION),
        ("$string", FUNCTION),
        ("/a/", FUNCTION),
        ("{'f': $string}", FUNCTION),
    ] {
        assert_eq!(ending(text), expected, "{text}");
    }
    for (text, expected) in [
        ("$randomSeeded(1)", "T1006: Attempted to invoke a non-function"),
        ("$eval('1+1')", "T1006: Attempted to invoke a non-function"),
        ("$split('a','b',-1)", "D3020: Third argument of split function must evaluate to a positive number"),
        ("$partition([1], -1)", "D3137: Second argument must be zero or greater"),
        ("$parse(null)", "T0410: Argument 1 of function \"parse\" does not match function signature"),
        ("$parse('{}', 'x')", "T0410: Argument 2 of function \"parse\" does not match function signature"),
        ("$uuid('seed')", "T0410: Argument 1 of function \"uuid\" does not match function signature"),
        ("$hash(42, 'MD5')", "T0410: Argument 1 of function \"hash\" does not match function signature"),
        ("$range(1)", "T0410: Argument 2 of function \"range\" does not match function signature"),
        ("$parse('{\"a\":1,\"a\":2}')", "D3137: Invalid JSON"),
        ("$parse('1e400')", "D3137: Invalid JSON"),
        ("$error('mine')", "D3137: mine"),
        ("1 + 'a'", "T2002: The right side of the \"+\" operator must evaluate to a number"),
        (
            "$i < 'a'",
            "T2009: The values 41 and \"a\" either side of operator \"<\" must be of the same data type",
        ),
        (
            "true < 1",
            "T2010: The expressions either side of operator \"<\" must evaluate to numeric or string values",
        ),
        ("-$name", "D1002: Cannot negate a non-numeric value: \"Ada\""),
        ("$sum(['a'])", "T0412: Argument 1 of function \"sum\" must be an array of \"numbers\""),
        ("$abs($abs(1) & 'x')", "T0410: Argument 1 of function \"abs\" does not match function signature"),
        (
            "$map(['a', 1], $uppercase)",
            "T0410: Argument 1 of function \"uppercase\" does not match function signature",
        ),
        ("5 ~> $trim()", "T0410: Argument 1 of function \"trim\" does not match function signature"),
        (
            "$each('x', function($v){$v})",
            "T0410: Argument 1 of function \"each\" does not match function signature",
        ),
        (
            "(function($x)<n:n>{$x})('a')",
            "T0410: Argument 1 of function undefined does not match function signature",
        ),
        ("$number('abc')", "D3030: Unable to cast value to a number: \"abc\""),
        (
            "$formatBase(10, 99)",
            "D3100: The radix of the formatBase function must be between 2 and 36.  It was given 99",
        ),
        (
            "$reduce([1,2], function($a){$a})",
            "D3050: The second argument of reduce function must be a function with at least two arguments",
        ),
        (
            "[1..1e9]",
            "D2014: The size of the sequence allocated by the range operator (..) must not exceed 1e6.  Attempted to \
             allocate 1000000000.",
        ),
        ("$sqrt(-1)", "D3060: The sqrt function cannot be applied to a negative number: -1"),
    ] {
        assert_eq!(ending(text), format!(" threw an error during evaluation. {expected}"), "{text}");
    }
}

#[test]
fn refuses_what_the_service_refuses() {
    for (text, expected) in [
        ("phone", "UNSUPPORTED_JSONATA_EXPRESSION: Reference to 'phone' at the top level is not supported."),
        ("$.phone", "UNSUPPORTED_JSONATA_EXPRESSION: Reference to '$' at the top level is not supported."),
        ("$$", "UNSUPPORTED_JSONATA_EXPRESSION: Reference to '$$' is not supported."),
        ("a[1,2)", r#"INVALID_JSONATA_EXPRESSION: Expected "]", got ",""#),
        ("", "INVALID_JSONATA_EXPRESSION: Unexpected end of expression"),
        ("1 := 2", "INVALID_JSONATA_EXPRESSION: The left side of := must be a variable name (start with $)"),
    ] {
        assert_eq!(Expression::compile(text).unwrap_err().message, expected, "{text}");
    }
    assert_eq!(Expression::compile_all("aaa + bbb + aaa").unwrap_err().len(), 2);
    assert!(Expression::compile("$states.errorOutput.Cause").unwrap().reads_error_output());
}

#[test]
fn an_expression_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Expression>();
}

#[test]
fn a_value_of_the_wrong_kind_is_named() {
    let error =
        Expression::compile(" 'string' ").unwrap().unexpected_type("Items", "array", &Value::from("string"));
    assert_eq!(
        error.message,
        "The JSONata expression ''string'' specified for the field 'Items' returned an unexpected result type. \
         Expected 'array', but was 'string' for value: \"string\""
    );
}

/// On a thread of 2 MiB, as a server's workers have.
fn on_a_small_stack(check: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(check).expect("a thread starts");
    thread.join().expect("the check passes");
}

#[test]
fn hostile_expressions_end_in_errors() {
    on_a_small_stack(|| {
        let doubling = |n| {
            format!("($f := function($s, $n){{ $n = 0 ? $s : $f($s & $s, $n - 1) }}; $length($f('x', {n})))")
        };
        let arrays = "($f := function($s, $n){ $n = 0 ? $s : $f([$s, $s], $n - 1) }; $count($f([1, 2], 60)))";
        for text in [
            "$pad('a', 9e18)",
            "[1..1e9]",
            "$sum([1..873783])",
            "$range(1, 360146, 1)",
            "$range(1, 1000000000, 1)",
            &doubling(23),
            &doubling(60),
            arrays,
            "$reduce([1..60], function($s, $i){ $s & $s }, 'xy')",
            "$reduce([1..60], function($s, $i){ {'a': $s, 'b': $s} }, 'xy')",
            "$reduce([1..60], function($s, $i){ $append($s, $s) }, [1, 2])",
            "$reduce([1..60], function($s, $i){ $replace($s, 'x', 'xx') }, 'x')",
            "$replace($pad('', 1000000, 'x'), /x/, $pad('', 1000000))",
            "$pad('', 1000000, 'x') ~> $replace('x', $pad('', 1000000))",
            "$join($split($pad('', 200000, 'x'), ''), $pad('', 1000000))",
            "($a := [1..10000]; $count([1..100000].$a))",
            "($f := function($n){ $n = 0 ? [1] : ($r := $f($n - 1); [$r, $r, $r]) }; $count($f(20)))",
            "($f := function($n){ $n = 0 ? [1] : ($r := $f($n - 1); $string([$r, $r, $r])) }; $f(20))",
            "$count([1..100000].[$states.input.a.b, [1..10000]])",
        ] {
            let ending = ending(text);
            let expected = [
                format!(" threw an error during evaluation: {}", message::TOO_LARGE),
                " threw an error during evaluation. D2014: ".to_owned(),
            ];
            assert!(expected.iter().any(|expected| ending.starts_with(expected)), "{text}: {ending}");
        }
        let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
        for text in [
            deep("(", ")"),
            deep("[", "]"),
            deep("{'a':", "}"),
            deep("-", ""),
            deep("1+", ""),
            deep("1?", ""),
            deep("$not(", ")"),
            deep("function(){", "}"),
            "($f := function($x){ $x <= 0 ? 0 : 1 + $f($x - 1) }; $f(1000000))".to_owned(),
            "$reduce([1..3000], function($a, $i){ [[$a]] }, 1)".to_owned(),
        ] {
            let expected = format!(" threw an error during evaluation: {}", message::TOO_DEEP);
            assert_eq!(ending(&text), expected, "{}", &text[..40]);
        }
        for text in
            ["1+".repeat(500_000), "[1,".repeat(300_000), "a".repeat(1 << 20), "\"".repeat(1 << 20) + "x"]
        {
            let compiled = Expression::compile(&text);
            assert!(compiled.is_err() || compiled.is_ok_and(|e| e.evaluate(&stage(), "Output").is_err()));
        }
        for text in [
            "$toMillis('é', '[Y')",
            "$fromMillis(1, '[é]')",
            "$parseInteger('é', 'é;')",
            "$formatInteger(1, ';')",
        ] {
            let _ = Expression::compile(text).map(|expression| expression.evaluate(&stage(), "Output"));
        }
        assert_eq!(
            evaluate("$match('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', /^(a+)+$/) = []").unwrap(),
            Value::Bool(false)
        );
    });
}

#[test]
fn bounds_stand_where_the_service_has_them() {
    let nested = |open: &str, n: usize, close: &str| format!("{}1{}", open.repeat(n), close.repeat(n));
    let recursive = |n| format!("($f := function($x){{ $x <= 0 ? 0 : 1 + $f($x-1) }}; $f({n}))");
    let doubling =
        |n| format!("($f := function($s, $n){{ $n = 0 ? $s : $f($s & $s, $n - 1) }}; $length($f('x', {n})))");
    let growing = |n| format!("($f := function($n){{ $n <= 0 ? [] : $append($f($n - 1), $n) }}; $f({n}))");
    for (last, beyond) in [
        (nested("1+", 99, ""), nested("1+", 100, "")),
        (nested("(", 99, ")"), nested("(", 100, ")")),
        (nested("[", 99, "]"), nested("[", 100, "]")),
        (
            format!("$map([1], function($v){{ 'a'{} }})", " & 'b'".repeat(90)),
            format!("$map([1], function($v){{ 'a'{} }})", " & 'b'".repeat(110)),
        ),
        (growing(31), growing(60)),
        (format!("1{}", " ~> $string".repeat(99)), format!("1{}", " ~> $string".repeat(100))),
        (recursive(31), recursive(32)),
        (doubling(22), doubling(23)),
        ("[1..873782] ~> $count()".to_owned(), "[1..873783] ~> $count()".to_owned()),
        ("$count($range(1, 360145, 1))".to_owned(), "$count($range(1, 360146, 1))".to_owned()),
    ] {
        assert!(evaluate(&last).is_ok(), "{last}");
        assert!(ending(&beyond).starts_with(" threw an error during evaluation: "), "{beyond}");
    }
}

/// Both ways of evaluating, over operands of every kind: where the direct one is sure, it agrees with the engine.
#[test]
fn the_direct_way_agrees_with_the_engine() {
    const VALUES: [&str; 17] = [
        "0",
        "-1",
        "1.5",
        "1.0",
        "9007199254740993",
        "\"a\"",
        "\"\"",
        "\"10\"",
        "\"é\"",
        "\"\u{1F600}\"",
        "true",
        "false",
        "null",
        "{}",
        "{\"a\":{\"b\":1},\"c\":[1]}",
        "[]",
        "[{\"a\":1},{\"a\":[2,3]}]",
    ];
    let members: Vec<_> = VALUES.iter().enumerate().map(|(at, json)| format!("\"v{at}\":{json}")).collect();
    let stage = Stage { variables: parse(&format!("{{{}}}", members.join(","))).unwrap(), ..stage() };
    let mut texts = Vec::new();
    // One more than there are values: undefined is an operand too.
    for a in 0..=VALUES.len() {
        for form in [
            "-X",
            "$not(X)",
            "$exists(X)",
            "$count(X)",
            "X ? 1 : X",
            "[X]",
            "[[X], X]",
            "{'k': X}",
            "X.a",
            "X.a.b",
            "X[0]",
            "X[-1]",
            "X[5]",
            "X.c[0]",
            "X[1].a",
        ] {
            texts.push(form.replace('X', &format!("$v{a}")));
        }
        for b in 0..=VALUES.len() {
            for operator in ["+", "-", "*", "/", "%", "=", "!=", "<", "<=", ">", ">=", "and", "or", "&"] {
                texts.push(format!("$v{a} {operator} $v{b}"));
            }
        }
    }
    let mut sure = 0;
    for text in &texts {
        let expression = Expression::compile(text).unwrap();
        let plan = expression.inner.plan.as_ref().unwrap_or_else(|| panic!("{text} has no plan"));
        let Ok(direct) = plan.evaluate(&stage) else { continue };
        sure += 1;
        let engine = expression.inner.program.as_ref().unwrap().evaluate(&stage);
        let show = |value: &Option<Value>| value.as_ref().map(Value::to_json);
        assert_eq!(Ok(show(&direct)), engine.map(|value| show(&value)), "{text}");
    }
    assert!(sure > 1000, "{sure} of {}", texts.len());
}
