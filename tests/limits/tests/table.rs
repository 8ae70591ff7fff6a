//! Each limit of `LIMITS.md` that a definition or an input can reach: reached, and what it answers.

use std::time::Duration;

use stepwell_limits::{Attack, Report, run};

struct Case {
    /// As `LIMITS.md` has it in its last column.
    name: &'static str,
    definition: String,
    input: String,
    express: bool,
    /// The error's name; `INVALID` where the definition is refused.
    error: &'static str,
    /// The end of the cause, or of the first diagnostics.
    cause: &'static str,
}

fn case(
    name: &'static str,
    definition: String,
    input: String,
    error: &'static str,
    cause: &'static str,
) -> Case {
    Case { name, definition, input, express: false, error, cause }
}

fn lone(state: &str) -> String {
    format!(r#"{{"StartAt":"A","States":{{"A":{{{state}}}}}}}"#)
}

fn parameter(expression: &str) -> String {
    lone(&format!(r#""Type":"Pass","Parameters":{{"x.$":"{expression}"}},"ResultPath":null,"End":true"#))
}

fn output(expression: &str) -> String {
    let output = format!("{{% {expression} %}}");
    format!(
        r#"{{"QueryLanguage":"JSONata",{}"#,
        &lone(&format!(r#""Type":"Pass","Output":"{output}","End":true"#))[1..]
    )
}

fn times(text: &str, count: usize) -> String {
    vec![text; count].join(",")
}

fn each(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect::<Vec<_>>().join(",")
}

const TOO_LARGE: &str =
    "The state/task 'A' returned a result with a size exceeding the maximum number of bytes service limit.";
const MEMORY: &str = " threw an error during evaluation: Expression evaluation memory limit exceeded: Check for excessive memory usage";
const TIME: &str =
    " threw an error during evaluation: Expression evaluation timeout: Check for infinite loop";
const DEPTH: &str = " threw an error during evaluation: Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive";
const QUERY: &str = "States.QueryEvaluationError";
const RUNTIME: &str = "States.Runtime";
const DATA: &str = "States.DataLimitExceeded";

fn states() -> Vec<Case> {
    let whole = format!("\"{}\"", "a".repeat(262_142));
    let round = r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"},"B":{"Type":"Choice","Choices":[{"Variable":"$.stop","IsPresent":true,"Next":"Z"}],"Default":"A"},"Z":{"Type":"Succeed"}}}"#;
    let chain = each(42, |n| {
        let next = if n == 41 { r#""End":true"#.to_owned() } else { format!(r#""Next":"S{}""#, n + 1) };
        format!(r#""S{n}":{{"Type":"Pass","Assign":{{"v{n}.$":"$"}},{next}}}"#)
    });
    let branches = each(200, |n| format!(r#"{{"StartAt":"B{n}","States":{{"B{n}":{{"Type":"Succeed"}}}}}}"#));
    let mut round_express = case(
        "events of an Express execution",
        round.to_owned(),
        "{}".into(),
        RUNTIME,
        "The execution reached the maximum number of history events (500000).",
    );
    round_express.express = true;
    vec![
        case(
            "events of a Standard execution",
            round.to_owned(),
            "{}".into(),
            RUNTIME,
            "The execution reached the maximum number of history events (25000).",
        ),
        round_express,
        case("payload: at its limit", lone(r#""Type":"Pass","End":true"#), whole.clone(), "", ""),
        case(
            "payload",
            lone(r#""Type":"Pass","Parameters":{"a.$":"$"},"End":true"#),
            whole.clone(),
            DATA,
            TOO_LARGE,
        ),
        case(
            "nesting of a payload",
            lone(r#""Type":"Pass","Parameters":{"a.$":"$"},"End":true"#),
            format!("{}{}", "[".repeat(1000), "]".repeat(1000)),
            DATA,
            TOO_LARGE,
        ),
        case(
            "one Assign",
            lone(r#""Type":"Pass","Assign":{"a.$":"$","b.$":"$"},"End":true"#),
            format!("\"{}\"", "a".repeat(200_000)),
            RUNTIME,
            "The variables assigned exceed the maximum size of 262144 bytes.",
        ),
        case(
            "all variables",
            format!(r#"{{"StartAt":"S0","States":{{{chain}}}}}"#),
            format!("\"{}\"", "a".repeat(262_000)),
            RUNTIME,
            "The variables of the execution exceed the maximum size of 10485760 bytes.",
        ),
        case(
            "result of a template",
            lone(&format!(
                r#""Type":"Pass","Parameters":{{{}}},"ResultPath":null,"End":true"#,
                each(50, |n| format!(r#""k{n}.$":"$""#))
            )),
            whole.clone(),
            DATA,
            TOO_LARGE,
        ),
        case(
            "joined outputs",
            lone(&format!(
                r#""Type":"Parallel","Branches":[{branches}],"ResultSelector":{{"n.$":"States.ArrayLength($)"}},"End":true"#
            )),
            whole,
            DATA,
            TOO_LARGE,
        ),
    ]
}

fn paths() -> Vec<Case> {
    let tree = format!("{{\"a\":[{}]}}", times(r#"{"a":[{"a":[{"a":1}]}]}"#, 9_000));
    let text = format!(r#"{{"x":[["{}"]]}}"#, "a".repeat(200_000));
    let big = format!(
        r#"{{"t":"{}b","u":"{}c","items":[{}]}}"#,
        "a".repeat(80_000),
        "a".repeat(80_000),
        times("1", 20_000)
    );
    vec![
        case(
            "values a path visits",
            parameter("$..*..*..*..*..*"),
            tree,
            RUNTIME,
            "Path visits too many values: $..[*]..[*]..[*]..[*]..[*]",
        ),
        case(
            "values a path visits: texts",
            parameter("$.items[?($.t contains $.u)]"),
            big,
            RUNTIME,
            "Path visits too many values: $['items'][?]",
        ),
        case(
            "result of a path",
            parameter(&format!("$.x[{}]", times("0", 100))),
            text,
            RUNTIME,
            "Path leads to more than 7340032 bytes: $['x'][0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]",
        ),
        case(
            "values all paths of a state visit",
            lone(&format!(
                r#""Type":"Pass","Parameters":{{{}}},"ResultPath":null,"End":true"#,
                each(40, |n| format!(r#""k{n}.$":"$..*..*.length()""#))
            )),
            format!("{{\"a\":[{}]}}", times(r#"{"a":[{"a":[{"a":1}]}]}"#, 9_000)),
            RUNTIME,
            "Path visits too many values: $..[*]..[*].length()",
        ),
    ]
}

fn intrinsics() -> Vec<Case> {
    let text = format!("\"{}\"", "a".repeat(200_000));
    let hashes = format!(
        "[{}]",
        each(5_000, |n| {
            let text: String = (0..13).map(|bit| if n >> bit & 1 == 0 { "Aa" } else { "BB" }).collect();
            format!("\"{text}\"")
        })
    );
    let refused = |name: &'static str, call: &str, cause: &'static str| {
        case(name, parameter(call), "\"x\"".into(), RUNTIME, cause)
    };
    vec![
        refused(
            "States.ArrayRange",
            "States.ArrayRange(1, 1001, 1)",
            "States.ArrayRange(1, 1001, 1). Invalid arguments in States.ArrayRange",
        ),
        case(
            "States.Base64Encode, States.Base64Decode, States.Hash",
            parameter("States.Hash($, 'MD5')"),
            text.clone(),
            RUNTIME,
            "Invalid arguments in States.Hash",
        ),
        case(
            "nesting of intrinsic functions",
            parameter(&format!("{}1{}", "States.Array(".repeat(11), ")".repeat(11))),
            "{}".into(),
            "INVALID",
            "The value for the field 'x.$' must be a valid JSONPath or a valid intrinsic function call",
        ),
        case(
            "text of an intrinsic function",
            parameter(&format!("States.JsonToString(States.Array({}))", times("$", 50))),
            text.clone(),
            RUNTIME,
            "The result of States.JsonToString is larger than what a state may make.",
        ),
        case(
            "all that a state makes",
            lone(&format!(
                r#""Type":"Pass","Parameters":{{{}}},"ResultPath":null,"End":true"#,
                each(100, |n| format!(
                    r#""k{n}.$":"States.ArrayLength(States.StringSplit(States.Format('{{}}{{}}{{}}{{}}', $, $, $, $), 'b'))""#
                ))
            )),
            text,
            RUNTIME,
            "The result of States.Format is larger than what a state may make.",
        ),
        case(
            "texts of one hash",
            parameter("States.ArrayUnique($)"),
            hashes,
            RUNTIME,
            "The result of States.ArrayUnique is larger than what a state may make.",
        ),
    ]
}

fn jsonata() -> Vec<Case> {
    let of = |name: &'static str, expression: &str, cause: &'static str| {
        case(name, output(expression), "{}".into(), QUERY, cause)
    };
    vec![
        of("depth of an evaluation", "($f := function($n){ 1 + $f($n + 1) }; $f(0))", DEPTH),
        of("nesting of an expression", &format!("{}1{}", "(".repeat(500), ")".repeat(500)), DEPTH),
        of("size of a value", "$length($reduce([1..40], function($a, $v){ $a & $a }, 'x'))", MEMORY),
        of("size of a value: $pad", "$pad('x', 7000000)", MEMORY),
        of("elements of $range", "$count($range(1, 360146, 1))", MEMORY),
        of("elements of a sequence", "$count([1..900000])", "D2014: The size of the sequence allocated by the range operator (..) must not exceed 1e6.  Attempted to allocate 900000.").or(MEMORY),
        of("elements with bindings", "$count([1..60000]#$i.($i))", MEMORY),
        of("matches and parts", "$count($match($pad('', 1000000, 'a'), /a/))", MEMORY),
        of("matches and parts: $split", "$count($split($pad('', 1000000, 'a'), ''))", MEMORY),
        of("states of regular expressions", "$match('a', /((a{1,100}){1,100}){1,100}/)", MEMORY),
        of("work of a regular expression", "$match($pad('', 1000000, 'a'), /(a{1,1000})b/)", MEMORY),
        of("pictures", "$formatInteger(1, $pad('', 5000, '0'))", MEMORY),
        of("pictures: roman numerals", "$formatInteger(9000000000000000, 'I')", MEMORY),
        of("pictures: dates", "$toMillis('1', $pad('', 5000, '[Y]'))", MEMORY),
        of("$distinct", "$count($distinct([1..6000].[[[[[[[[[[[$]]]]]]]]]]]))", MEMORY),
        of("texts kept", "($t := $pad('', 6000000, 'a'); $count([1..100].$uppercase($t)))", MEMORY),
        case(
            "all that a state makes: JSONata",
            format!(
                r#"{{"QueryLanguage":"JSONata","StartAt":"A","States":{{"A":{{"Type":"Pass","Output":{{{}}},"End":true}}}}}}"#,
                each(20, |n| format!(r#""k{n}":"{{% $reduce([1..22], function($a, $v){{ $a & $a }}, 'x') %}}""#))
            ),
            "{}".into(),
            QUERY,
            MEMORY,
        ),
    ]
}

impl Case {
    /// The engine's own words for a bound that AWS has no words for.
    fn or(self, cause: &'static str) -> Self {
        Case { cause, ..self }
    }
}

fn definitions() -> Vec<Case> {
    let mut nested = r#"{"StartAt":"Z","States":{"Z":{"Type":"Succeed"}}}"#.to_owned();
    for level in 0..51 {
        nested = format!(
            r#"{{"StartAt":"N{level}","States":{{"N{level}":{{"Type":"Parallel","Branches":[{nested}],"End":true}}}}}}"#
        );
    }
    let invalid = |name, definition, cause| case(name, definition, "{}".into(), "INVALID", cause);
    vec![
        invalid("nesting of a definition", format!("{}1{}", r#"{"a":"#.repeat(301), "}".repeat(301)), "Document nesting depth (301) exceeds the maximum allowed (300)"),
        invalid("blocks in blocks", nested, "States are nested more than 50 levels deep"),
        invalid("name of a state", r#"{"StartAt":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","States":{"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA":{"Type":"Succeed"}}}"#.into(), "80"),
        invalid(
            "nesting of a template",
            lone(&format!(r#""Type":"Pass","Parameters":{}1{},"End":true"#, "[".repeat(201), "]".repeat(201))),
            "A payload template can be nested at most 200 levels deep",
        ),
    ]
}

fn all() -> Vec<Case> {
    [states(), paths(), intrinsics(), jsonata(), definitions()].into_iter().flatten().collect()
}

fn reach(case: &Case) -> Report {
    let attack = Attack {
        name: case.name.to_owned(),
        definition: case.definition.clone(),
        input: case.input.clone(),
        answer: "{}".into(),
        express: case.express,
    };
    run(&attack, Duration::from_secs(600))
}

#[test]
fn each_limit_answers_what_the_table_says() {
    let mut wrong = vec![];
    for case in all() {
        let report = reach(&case);
        let error = if report.status == "INVALID" { "INVALID" } else { &report.error };
        if error != case.error || !report.cause.contains(case.cause) {
            let end: String =
                report.cause.chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
            wrong.push(format!("{}: {} {error} {end}", case.name, report.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What one slow expression costs is time, and the bound is AWS's.
#[test]
fn an_expression_without_end_is_given_up() {
    let report = reach(&case(
        "time of an evaluation",
        output("($f := function($n){ $f($n + 1) }; $f(0))"),
        "{}".into(),
        QUERY,
        TIME,
    ));
    assert!(report.cause.ends_with(TIME), "{}", report.cause);
}

#[test]
fn the_table_has_each_of_these() {
    let table = include_str!("../../../LIMITS.md");
    let names = all().into_iter().map(|case| case.name).chain(["time of an evaluation"]);
    let missing: Vec<_> = names
        .filter(|name| !table.contains(&format!("| {} |", name.split(": ").next().unwrap_or(name))))
        .collect();
    assert!(missing.is_empty(), "LIMITS.md does not have {missing:?}");
}

#[test]
fn every_quick_attack_comes_to_an_end() {
    // Those that take seconds are for `cargo xtask attack`.
    let quick = ["choice/", "intrinsic/"];
    for attack in stepwell_limits::attacks::all() {
        if quick.iter().any(|prefix| attack.name.starts_with(prefix)) && !attack.name.contains("JSONata") {
            let report = run(&attack, Duration::from_secs(600));
            assert!(
                ["SUCCEEDED", "FAILED", "INVALID"].contains(&report.status.as_str()),
                "{}: {}",
                attack.name,
                report.status
            );
        }
    }
}
