//! The attacks, by name.

use std::fmt::Write as _;

use stepwell_expr::json::write_string;

use crate::Attack;

/// The names of all attacks.
pub fn names() -> Vec<String> {
    all().into_iter().map(|attack| attack.name).collect()
}

/// The attack called `name`.
pub fn named(name: &str) -> Option<Attack> {
    all().into_iter().find(|attack| attack.name == name)
}

/// All of them.
pub fn all() -> Vec<Attack> {
    let mut attacks = vec![];
    paths(&mut attacks);
    intrinsics(&mut attacks);
    jsonata(&mut attacks);
    templates(&mut attacks);
    choices(&mut attacks);
    forks(&mut attacks);
    loops(&mut attacks);
    definitions(&mut attacks);
    attacks
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    write_string(text, &mut out);
    out
}

/// `text`, `count` times, with `between` between.
fn times(text: &str, count: usize, between: &str) -> String {
    vec![text; count].join(between)
}

/// Texts made by number.
fn each(count: usize, between: &str, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect::<Vec<_>>().join(between)
}

fn attack(name: &str, definition: String, input: String) -> Attack {
    Attack { name: name.to_owned(), definition, input, answer: "{}".into(), express: false }
}

/// A machine of one state.
fn lone(state: &str) -> String {
    format!(r#"{{"StartAt":"A","States":{{"A":{{{state}}}}}}}"#)
}

/// A machine of one state that is entered again and again.
fn looping(state: &str) -> String {
    let again = r#"{"Type":"Choice","Choices":[{"Variable":"$$.Execution.Name","StringEquals":"never","Next":"Z"}],"Default":"A"}"#;
    let again = match state.contains("{%") {
        true => {
            r#"{"Type":"Choice","Choices":[{"Condition":"{% $states.context.Execution.Name = 'never' %}","Next":"Z"}],"Default":"A"}"#
        }
        false => again,
    };
    format!(
        r#"{{"StartAt":"A","States":{{"A":{{{state},"Next":"B"}},"B":{again},"Z":{{"Type":"Succeed"}}}}}}"#
    )
}

/// A Pass state whose one parameter is `expression`.
fn parameter(expression: &str) -> String {
    lone(&format!(
        r#""Type":"Pass","Parameters":{{"x.$":{}}},"ResultPath":null,"End":true"#,
        quoted(expression)
    ))
}

/// A Pass state whose output is `expression`.
fn output(expression: &str) -> String {
    let text = quoted(&format!("{{% {expression} %}}"));
    format!(
        r#"{{"QueryLanguage":"JSONata",{}"#,
        &lone(&format!(r#""Type":"Pass","Output":{text},"End":true"#))[1..]
    )
}

fn paths(out: &mut Vec<Attack>) {
    let deep = format!("{}1{}", "[".repeat(900), "]".repeat(900));
    let wide = format!("[{}]", times("1", 130_000, ","));
    let tree = format!("{{\"a\":[{}]}}", times(r#"{"a":[{"a":[{"a":1}]}]}"#, 9_000, ","));
    let mut path = |name: &str, path: &str, input: String| {
        out.push(attack(&format!("path/{name}"), parameter(path), input));
    };
    path("scan chain, deep", &format!("$.{}", ".*.".repeat(10) + "*"), deep.clone());
    path("scan chain, tree", "$..*..*..*..*", tree.clone());
    path("scan chain 300", &format!("${}", "..*".repeat(300)), tree.clone());
    path("slices 500", &format!("${}", "[0:]".repeat(500)), wide.clone());
    path("union of 1000 indexes, scanned", &format!("$..[{}]", times("0", 1000, ",")), tree.clone());
    path("union of 1000 names, scanned", &format!("$..['a'{}]", ",'a'".repeat(1000)), tree.clone());
    path("filter in filter", "$..[?(@..[?(@..[?(@.a)])])]", tree.clone());
    path("filter on the whole, 20k items", "$.a[?($.a[?($.a[?(@.b)])])]", tree.clone());
    let big = format!(
        r#"{{"big":"{}","b2":"{}","n":"{}b","items":[{}]}}"#,
        "a".repeat(100_000),
        "a".repeat(100_000),
        "a".repeat(3_000),
        times("1", 25_000, ",")
    );
    path("filter: error text of a large value", "$.items[?($.big[0] == 1)]", big.clone());
    path(
        "filter: error text, 50 of them",
        &format!("$.items[?({})]", times("$.big[0] == 1", 50, " || ")),
        big.clone(),
    );
    path("filter: large equal texts", "$.items[?($.big != $.b2)]", big.clone());
    path("filter: large texts in order", "$.items[?($.big < $.b2)]", big.clone());
    path("filter: contains", "$.items[?($.big contains $.n)]", big.clone());
    path("filter: size of a text", "$.items[?($.big size 3)]", big.clone());
    path("filter: regex", "$.items[?($.big =~ /(a|aa|aaa)*b/)]", big.clone());
    let lists = format!(r#"{{"l":[{0}],"m":[{0}],"items":[{0}]}}"#, each(12_000, ",", |n| n.to_string()));
    path("filter: subsetof", "$.items[?($.l subsetof $.m)]", lists.clone());
    path("filter: noneof", "$.items[?($.l noneof $.m)]", lists.clone());
    path("filter: in", "$.items[?(@ in $.m)]", lists.clone());
    path("filter: contains in list", "$.items[?($.m contains 'x')]", lists.clone());
    let nested =
        format!(r#"{{"l":[[{0}]],"m":[[{0}]],"items":[{0}]}}"#, each(12_000, ",", |n| n.to_string()));
    path("filter: deep equality", "$.items[?($.l != $.m)]", nested.clone());
    path(
        "filter: number texts",
        "$.items[?($.t == @)]",
        format!(r#"{{"t":"{}","items":[{}]}}"#, "1".repeat(100_000), times("1", 25_000, ",")),
    );
    path("functions of scans", "$.items[?($..n.length() > $.items.sum())]", big.clone());
    path("filter nested in functions", "$.a[?(@.a[?(@.a.length() > $..a.length())])]", tree.clone());
    path("concat of paths", &format!("$.concat({})", times("$.big", 80, ",")), big.clone());
    path("append of paths", &format!("$.items.append({})", times("$", 80, ",")), big.clone());
    let one = format!(r#"{{"x":[["{}"]]}}"#, "a".repeat(200_000));
    path("a million times one text", &format!("$.x[{0}][{0}]", times("0", 1000, ",")), one.clone());
    let deep_text = format!("{}\"{}\"{}", "[".repeat(500), "a".repeat(200_000), "]".repeat(500));
    path("every value of a deep one", "$..*", deep_text);
    path("or of 300", &format!("$.items[?({})]", times("@ == 2", 300, " || ")), lists.clone());
}

fn intrinsics(out: &mut Vec<Attack>) {
    let big = format!(
        r#"{{"big":"{}","o":{{{}}},"l":[{}]}}"#,
        "a".repeat(100_000),
        each(4_000, ",", |n| format!(r#""k{n}":{n}"#)),
        each(12_000, ",", |n| n.to_string())
    );
    let mut call = |name: &str, call: String| {
        out.push(attack(&format!("intrinsic/{name}"), parameter(&call), big.clone()));
    };
    call("ArrayRange", "States.ArrayRange(0, 2147483647, 1)".into());
    call(
        "ArrayRange 1000 x 50",
        format!("States.Array({})", times("States.ArrayRange(1, 1000, 1)", 50, ",")),
    );
    call("ArrayPartition by 1", "States.ArrayPartition($.l, 1)".into());
    call("ArrayUnique", "States.ArrayUnique($.l)".into());
    call("ArrayContains", "States.ArrayContains($.l, 'x')".into());
    call(
        "Format 1000 x 100 KB",
        format!("States.Format('{}',{})", "{}".repeat(1000), times("$.big", 1000, ",")),
    );
    call(
        "JsonToString of 1000 x 256 KB",
        format!("States.JsonToString(States.Array({}))", times("$", 2000, ",")),
    );
    call(
        "JsonToString nested 9",
        format!(
            "{}$.big{}",
            "States.JsonToString(States.Array(".repeat(4) + "States.JsonToString(",
            "))".repeat(4) + ")"
        ),
    );
    let mut doubling = "$".to_owned();
    for _ in 0..9 {
        doubling = format!("States.JsonToString(States.Array({doubling},$,$,$,$,$,$,$,$,$,$,$,$,$,$,$,$))");
        if doubling.matches("States.").count() > 9 {
            break;
        }
    }
    call("nested with 16 wholes", doubling);
    call("StringSplit", "States.StringSplit($.big, 'b')".into());
    call("StringSplit long separators", "States.StringSplit($.big, $.big)".into());
    call(
        "StringSplit into 100k",
        "States.StringSplit(States.Format('{}{}{}', $.l, $.l, $.l), ', []')".into(),
    );
    call("JsonMerge", "States.JsonMerge($.o, $.o, false)".into());
    call("Base64Encode over", "States.Base64Encode($.big)".into());
    call("Hash over", "States.Hash($.big, 'SHA-512')".into());
    call("StringToJson of deep", format!("States.StringToJson('{}')", "[".repeat(5000)));
    call("nesting 11", format!("{}1{}", "States.Array(".repeat(11), ")".repeat(11)));
    call("escapes doubling", {
        let mut call = "$.l".to_owned();
        for _ in 0..9 {
            call = format!("States.JsonToString({call})");
        }
        call
    });
    let backslashes = format!(r#"{{"b":"{}"}}"#, r"\\".repeat(100_000));
    out.push(attack(
        "intrinsic/backslashes 9 times JsonToString",
        parameter(&{
            let mut call = "$.b".to_owned();
            for _ in 0..10 {
                call = format!("States.JsonToString({call})");
            }
            call
        }),
        backslashes,
    ));
    let hashes = format!(
        r#"{{"l":[{}]}}"#,
        each(13_000, ",", |n| {
            // Texts of one Java hash: Aa and BB.
            let text: String = (0..14).map(|bit| if n >> bit & 1 == 0 { "Aa" } else { "BB" }).collect();
            format!("\"{text}\"")
        })
    );
    out.push(attack("intrinsic/ArrayUnique of equal hashes", parameter("States.ArrayUnique($.l)"), hashes));
    let keys = |value: &str| {
        each(8_000, ",", |n| {
            let text: String = (0..14).map(|bit| if n >> bit & 1 == 0 { "Aa" } else { "BB" }).collect();
            format!("\"{text}\":{value}")
        })
    };
    out.push(attack(
        "intrinsic/JsonMerge of equal hashes",
        parameter("States.JsonMerge($, $, false)"),
        format!("{{{}}}", keys("1")),
    ));
}

fn jsonata(out: &mut Vec<Attack>) {
    let big = format!(
        r#"{{"t":"{}","l":[{}],"o":{{{}}}}}"#,
        "a".repeat(100_000),
        each(12_000, ",", |n| n.to_string()),
        each(4_000, ",", |n| format!(r#""k{n}":{n}"#))
    );
    let expressions: &[(&str, &str)] = &[
        ("endless recursion", "($f := function($n){ $f($n + 1) }; $f(0))"),
        ("recursion, not in tail position", "($f := function($n){ 1 + $f($n + 1) }; $f(0))"),
        ("recursion, doubling", "($f := function($n){ $n = 0 ? 0 : $f($n - 1) + $f($n - 1) }; $f(60))"),
        ("range", "$sum([1..10000000])"),
        ("range of the most", "$count([1..873782])"),
        ("ranges in an array", "$count([[1..800000],[1..800000],[1..800000],[1..800000]])"),
        (
            "ranges kept",
            "($a := [1..800000]; $b := [1..800000]; $c := [1..800000]; $d := [1..800000]; $e := [1..800000]; $count($a) + $count($e))",
        ),
        ("text doubling by $reduce", "$length($reduce([1..40], function($a, $v){ $a & $a }, 'x'))"),
        ("array doubling by $append", "$count($reduce([1..40], function($a, $v){ $append($a, $a) }, [1]))"),
        ("array doubling by literals", "$count($reduce([1..40], function($a, $v){ [$a, $a] }, [1]))"),
        ("object doubling", "$reduce([1..40], function($a, $v){ {'a': $a, 'b': $a} }, 1)"),
        ("$pad", "$length($pad('x', 1000000000))"),
        ("$pad often", "$count([1..100000].$pad('x', 6000000))"),
        ("$distinct", "$count($distinct([1..800000]))"),
        ("$distinct of texts", "$count($distinct([1..300000].$string($)))"),
        ("$sort", "$count($sort([1..800000]))"),
        ("$sort by a function", "$count($sort([1..800000], function($a, $b){ $a < $b }))"),
        ("$sort by a builtin", "$count($sort([1..800000], $power))"),
        ("order by", "$count([1..300000]^(>$))"),
        ("$shuffle", "$count($shuffle([1..800000]))"),
        ("$match many", "$count($match($pad('', 6000000, 'a'), /a/))"),
        ("$match nested quantifiers", "$match($pad('', 6000000, 'a'), /(a*)*b/)"),
        ("$match large repetition", "$match($pad('', 100000, 'a'), /(a{1,1000}){1,100}b/)"),
        ("$match quadratic", "$match($pad('', 3000000, 'a'), /a*b/)"),
        ("$replace quadratic", "$replace($pad('', 3000000, 'a'), /a*b/, 'c')"),
        ("$contains quadratic", "$contains($pad('', 3000000, 'a'), /a.*b/)"),
        ("$split into characters", "$count($split($pad('', 6000000, 'a'), ''))"),
        ("$split by regex", "$count($split($pad('', 6000000, 'a'), /a/))"),
        ("$replace growing", "$length($replace($pad('', 1000000, 'a'), 'a', $pad('', 1000000, 'b')))"),
        (
            "$replace by a function",
            "$length($replace($pad('', 1000000, 'a'), /a/, function($m){ $pad('', 1000, 'b') }))",
        ),
        ("$join growing", "$length($join($split($pad('', 1000000, 'a'), ''), $pad('', 1000000, 'b')))"),
        ("$map of $map", "$count($map([1..3000], function($i){ $map([1..3000], function($j){ $i * $j }) }))"),
        ("product of paths", "$count([1..3000].([1..3000]))"),
        ("product of paths, three", "$count([1..1000].([1..1000]).([1..1000]))"),
        ("product by bindings", "$count([1..1000]@$a.[1..1000]@$b.[$a, $b])"),
        ("group by", "[1..200000]{$string($): $}"),
        ("group into one", "$count([1..200000]{'a': $})"),
        ("in a long array", "$count([1..20000][$ in [1..20000]])"),
        ("in a variable", "($l := [100000..400000]; $count([1..20000][$ in $l]))"),
        ("equality of arrays", "($l := [1..300000]; $m := [1..300000]; $count([1..20000][$l = $m]))"),
        ("filter by itself", "$count([1..5000][$count($states.input.l[$ > 5]) > 3])"),
        ("$merge", "$count($keys($merge([1..200000].{$string($): $})))"),
        ("$spread", "$count($spread($merge([1..200000].{$string($): $})))"),
        ("$each", "$count($each($states.input.o, function($v, $k){ $count($keys($states.input.o)) }))"),
        (
            "$sift",
            "$count($keys($sift($states.input.o, function($v){ $count($keys($states.input.o)) > 0 })))",
        ),
        ("$zip", "$count($zip([1..800000], [1..800000], [1..800000]))"),
        ("$partition", "$count($partition([1..800000], 1))"),
        ("$range", "$count($range(0, 100000000, 1))"),
        ("$reduce", "$reduce([1..800000], function($a, $b){ $a + $b })"),
        ("$lookup in a loop", "$count($map([1..20000], function($i){ $lookup($states.input.l, 'x') }))"),
        (
            "$filter in $filter",
            "$count($filter([1..20000], function($i){ $count($filter([1..20000], function($j){ $j = $i })) = 1 }))",
        ),
        ("$single", "$single([1..800000], function($v){ $v = 1 })"),
        ("$string of much", "$length($string([1..800000]))"),
        ("$string again and again", "$reduce([1..25], function($a, $v){ $string([$a, $a]) }, 'x')"),
        ("$string of backslashes", "$length($reduce([1..30], function($a, $v){ $string({'a': $a}) }, 'x'))"),
        ("$parse of what $string made", "$count($parse($string([1..800000])))"),
        ("$parse of deep", "$parse($pad('', 100000, '['))"),
        ("$fromMillis long picture", "$length($fromMillis(0, $pad('', 6000000, '[Y]')))"),
        ("$fromMillis wide picture", "$fromMillis(0, '[Y,1000000-1000000]')"),
        ("$fromMillis wide fraction", "$fromMillis(0, '[f000000000000000000000000000000000000000000]')"),
        ("$toMillis long", "$toMillis($pad('', 1000000, '1'), '[Y]')"),
        ("$toMillis many parts", "$toMillis($pad('', 100000, '1'), $pad('', 90000, '[Y1]'))"),
        ("$formatNumber wide", "$length($formatNumber(1, $pad('', 1000000, '0')))"),
        ("$formatNumber exponent", "$formatNumber(1e300, '#,##0.00e0000000000')"),
        ("$formatInteger words", "$formatInteger(1e300, 'w')"),
        ("$formatInteger roman", "$length($formatInteger(100000000000, 'I'))"),
        ("$formatInteger roman of much", "$length($formatInteger(9e18, 'I'))"),
        ("$formatInteger letters", "$formatInteger(9e18, 'a')"),
        ("$formatInteger wide", "$formatInteger(1, $pad('', 1000000, '0'))"),
        ("$parseInteger words", "$parseInteger($pad('', 1000000, 'one hundred '), 'w')"),
        ("$parseInteger roman", "$parseInteger($pad('', 1000000, 'M'), 'I')"),
        ("$formatBase", "$formatBase(1e300, 2)"),
        ("$power", "$power(10, 308)"),
        ("$number of long", "$number($pad('', 6000000, '1'))"),
        ("$uppercase", "$length($uppercase($pad('', 6000000, 'ß')))"),
        ("$base64encode often", "$count([1..2000].$base64encode($pad('', 1000000, 'a')))"),
        ("$hash often", "$count([1..20000].$hash($pad('', 100000, 'a'), 'SHA-512'))"),
        ("$hash of much, often", "($t := $pad('', 6000000, 'a'); $count([1..20000].$hash($t, 'SHA-512')))"),
        ("$length often", "($t := $pad('', 6000000, 'a'); $count([1..200000].$length($t)))"),
        (
            "$substring often",
            "($t := $pad('', 6000000, 'a'); $count([1..200000].$substring($t, 3000000, 1)))",
        ),
        ("$substring kept", "($t := $pad('', 6000000, 'a'); $count([1..20000].$substring($t, 1)))"),
        ("$trim often", "($t := $pad('', 6000000, ' '); $count([1..20000].$trim($t)))"),
        ("$contains often", "($t := $pad('', 3000000, 'a'); $count([1..20000].$contains($t, 'ab')))"),
        ("texts compared", "($t := $pad('', 3000000, 'a'); $u := $t & 'b'; $count([1..200000][$t < $u]))"),
        ("texts kept", "$count([1..300].($pad('', 6000000, 'a')))"),
        ("texts kept by $map", "$count($map([1..300], function($i){ $pad('', 6000000, 'a') }))"),
        ("texts kept as members", "$merge([1..300].{$string($): $pad('', 6000000, 'a')})"),
        ("transform", "$count($keys($states.input ~> |$|{'a': $states.input}|))"),
        ("transform often", "$reduce([1..2000], function($a, $i){ $a ~> |$|{'a': $i}| }, $states.input)"),
        ("transform deep", "$states.input ~> |**|{'a': 1}|"),
        ("descendants", "$count($states.input.**.**.**)"),
        ("descendants of much", "$count([1..800000].**)"),
        ("wildcards", "$count($states.input.*.*.*.*)"),
        ("parents", "$count($states.input.o.*.%.*.%.*)"),
        ("$clone", "$count([1..20000].$clone($states.input))"),
        (
            "composition",
            "($f := $uppercase ~> $lowercase; $g := $reduce([1..2000], function($a, $i){ $a ~> $f }, $f); $g('a'))",
        ),
        (
            "closures",
            "($f := $reduce([1..50000], function($a, $i){ function($x){ $a($x) + 1 } }, function($x){ $x }); $f(1))",
        ),
        (
            "signature",
            "($f := function($a, $b)<a<n>a<n>:n>{ $count($a) }; $count([1..1000].$f([1..10000], [1..10000])))",
        ),
        ("$eval", "$eval('1')"),
        ("$assert", "$assert(false, $pad('', 6000000, 'a'))"),
        ("$error", "$error($pad('', 6000000, 'a'))"),
        ("large undefined", "$states.input[$ = 1]"),
        (
            "exponential regex text",
            "$match('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', /^(([a-z])+.)+[A-Z]([a-z])+$/)",
        ),
        ("regex in a loop", "$count([1..20000].$match('a', /(a{1,300}){1,10}b/))"),
        ("numbers beyond", "$reduce([1..2000], function($a, $i){ $a * 10 }, 1)"),
        ("$distinct of alike", "$count($distinct([1..20000].[[[[[[[[[[[$]]]]]]]]]]]))"),
        ("$distinct as a value", "$count($map([[1..800000]], $distinct))"),
        ("$distinct in a chain", "$count([1..800000] ~> $distinct)"),
        ("$match as a step", "$count($pad('', 6000000, 'a').$match(/a/))"),
        ("$replace in a chain", "$length($pad('', 1000000, 'a') ~> $replace('a', $pad('', 1000000, 'b')))"),
        ("$uppercase kept", "($t := $pad('', 6000000, 'a'); $count([1..20000].$uppercase($t)))"),
        ("texts kept in objects", "($t := $pad('', 6000000, 'a'); $count([1..20000].{'a': $uppercase($t)}))"),
        (
            "texts kept by a function",
            "($t := $pad('', 6000000, 'a'); $f := function($i){ $uppercase($t) }; $count([1..20000].$f($)))",
        ),
        (
            "texts kept by recursion",
            "($t := $pad('', 6000000, 'a'); $f := function($i, $l){ $i = 0 ? $count($l) : $f($i - 1, $append($l, $uppercase($t))) }; $f(5000, []))",
        ),
        (
            "texts kept by $reduce",
            "($t := $pad('', 6000000, 'a'); $count($reduce([1..5000], function($l, $i){ $append($l, $lowercase($t)) }, [])))",
        ),
        ("indexes", "$count([1..800000]#$i.($i + $))"),
        ("indexes of products", "$count([1..2000]#$i.([1..2000]#$j.($i + $j)))"),
        ("$fromMillis much padding", "$length($fromMillis(0, '[Y,100000000-100000000]'))"),
        (
            "$formatInteger wide padding",
            "$length($formatInteger(1, '000000000000000000000000000000000000000000;o'))",
        ),
        ("$formatBase often", "$count([1..800000].$formatBase($, 2))"),
        ("$toMillis often", "$count([1..100000].$toMillis('2020-01-01', '[Y0001]-[M01]-[D01]'))"),
        ("$number often", "($t := $pad('', 1000000, '1'); $count([1..20000].$number($t)))"),
        ("$split limit", "$count($split($pad('', 6000000, 'a'), '', 800000))"),
        ("type test of wrong kind, large", "$states.input.t > 5"),
    ];
    for (name, expression) in expressions {
        out.push(attack(&format!("jsonata/{name}"), output(expression), big.clone()));
    }
    let plus = times("1", 20_000, "+");
    out.push(attack("jsonata/sum of 20,000", output(&plus), "{}".into()));
    let nested = format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000));
    out.push(attack("jsonata/5,000 parentheses", output(&nested), "{}".into()));
    let arrays = format!("{}1{}", "[".repeat(300), "]".repeat(300));
    out.push(attack("jsonata/300 arrays", output(&arrays), "{}".into()));
    let conds = format!("{}1", "false ? 0 : ".repeat(20_000));
    out.push(attack("jsonata/20,000 conditions", output(&conds), "{}".into()));
    let chain = format!("$states.input{}", ".a".repeat(50_000));
    out.push(attack("jsonata/path of 50,000 steps", output(&chain), "{}".into()));
    let lets = format!("({}$v0)", each(20_000, "", |n| format!("$v{n} := {n}; ")));
    out.push(attack("jsonata/20,000 variables", output(&lets), "{}".into()));
}

fn templates(out: &mut Vec<Attack>) {
    let big = format!(r#"{{"t":"{}"}}"#, "a".repeat(260_000));
    let wholes = each(10_000, ",", |n| format!(r#""k{n}.$":"$""#));
    out.push(attack(
        "template/10,000 wholes of 256 KiB",
        lone(&format!(r#""Type":"Pass","Parameters":{{{wholes}}},"End":true"#)),
        big.clone(),
    ));
    out.push(attack(
        "template/10,000 wholes, dropped",
        lone(&format!(r#""Type":"Pass","Parameters":{{{wholes}}},"ResultPath":null,"End":true"#)),
        big.clone(),
    ));
    let task = r#""Type":"Task","Resource":"arn:aws:states:::lambda:invoke","#;
    out.push(attack(
        "template/10,000 wholes to a task",
        lone(&format!(r#"{task}"Parameters":{{{wholes}}},"End":true"#)),
        big.clone(),
    ));
    let formats = each(3_000, ",", |n| {
        format!(r#""k{n}.$":"States.Format('{{}}{{}}{{}}{{}}{{}}{{}}', $, $, $, $, $, $)""#)
    });
    out.push(attack(
        "template/3,000 formats of 1.5 MB",
        lone(&format!(r#""Type":"Pass","Parameters":{{{formats}}},"ResultPath":null,"End":true"#)),
        big.clone(),
    ));
    let paths = each(3_000, ",", |n| format!(r#""k{n}.$":"$..*..*..*""#));
    let tree = format!("{{\"a\":[{}]}}", times(r#"{"a":[{"a":[{"a":1}]}]}"#, 9_000, ","));
    out.push(attack(
        "template/3,000 scans",
        lone(&format!(r#""Type":"Pass","Parameters":{{{paths}}},"ResultPath":null,"End":true"#)),
        tree,
    ));
    let expressions = each(500, ",", |n| format!(r#""k{n}":"{{% $sum([1..800000]) %}}""#));
    out.push(attack("template/500 sums of 800,000", format!(r#"{{"QueryLanguage":"JSONata","StartAt":"A","States":{{"A":{{"Type":"Pass","Output":{{{expressions}}},"End":true}}}}}}"#), "{}".into()));
    let expressions = each(300, ",", |n| format!(r#""k{n}":"{{% $length($pad('', 6000000, 'a')) %}}""#));
    out.push(attack("template/300 large texts", format!(r#"{{"QueryLanguage":"JSONata","StartAt":"A","States":{{"A":{{"Type":"Pass","Output":{{{expressions}}},"End":true}}}}}}"#), "{}".into()));
    let expressions = each(300, ",", |n| format!(r#""k{n}":"{{% $pad('', 6000000, 'a') %}}""#));
    out.push(attack("template/300 large texts kept", format!(r#"{{"QueryLanguage":"JSONata","StartAt":"A","States":{{"A":{{"Type":"Pass","Output":{{{expressions}}},"End":true}}}}}}"#), "{}".into()));
    let expressions = each(300, ",", |n| {
        format!(r#""k{n}":"{{% ($f := function($n){{ $n = 0 ? 0 : $f($n - 1) + $f($n - 1) }}; $f(18)) %}}""#)
    });
    out.push(attack("template/300 slow expressions", format!(r#"{{"QueryLanguage":"JSONata","StartAt":"A","States":{{"A":{{"Type":"Pass","Output":{{{expressions}}},"End":true}}}}}}"#), "{}".into()));
    let assigns = each(10_000, ",", |n| format!(r#""v{n}.$":"$""#));
    out.push(attack(
        "assign/10,000 variables of 256 KiB",
        lone(&format!(r#""Type":"Pass","Assign":{{{assigns}}},"End":true"#)),
        big.clone(),
    ));
    let chain = each(100, ",", |n| {
        let next = if n == 99 { r#""End":true"#.to_owned() } else { format!(r#""Next":"S{}""#, n + 1) };
        format!(r#""S{n}":{{"Type":"Pass","Assign":{{"v{n}.$":"$"}},{next}}}"#)
    });
    out.push(attack(
        "assign/100 states of 256 KiB",
        format!(r#"{{"StartAt":"S0","States":{{{chain}}}}}"#),
        big.clone(),
    ));
    let small = each(2_000, ",", |n| {
        let next = if n == 1_999 { r#""End":true"#.to_owned() } else { format!(r#""Next":"S{}""#, n + 1) };
        format!(r#""S{n}":{{"Type":"Pass","Assign":{{"v{n}.$":"$.t"}},{next}}}"#)
    });
    out.push(attack(
        "assign/2,000 states of 5 KB",
        format!(r#"{{"StartAt":"S0","States":{{{small}}}}}"#),
        format!(r#"{{"t":"{}"}}"#, "a".repeat(5_000)),
    ));
    out.push(attack("result path/growing", looping(r#""Type":"Pass","ResultPath":"$.a""#), big));
    out.push(attack(
        "output/doubling",
        looping(r#""Type":"Pass","Parameters":{"a.$":"$","b.$":"$"}"#),
        "{}".into(),
    ));
    out.push(attack("output/nesting", looping(r#""Type":"Pass","Parameters":{"a.$":"$"}"#), "{}".into()));
}

fn choices(out: &mut Vec<Attack>) {
    let big =
        format!(r#"{{"big":"{}","n":{{"a":1}},"l":[{}]}}"#, "a".repeat(200_000), times("1", 20_000, ","));
    let mut choice = |name: &str, rules: String| {
        let definition = format!(
            r#"{{"StartAt":"A","States":{{"A":{{"Type":"Choice","Choices":[{rules}],"Default":"B"}},"B":{{"Type":"Succeed"}}}}}}"#
        );
        out.push(attack(&format!("choice/{name}"), definition, big.clone()));
    };
    choice(
        "10,000 rules",
        each(10_000, ",", |n| format!(r#"{{"Variable":"$.l[{n}]","NumericEquals":5,"Next":"B"}}"#)),
    );
    choice(
        "IsPresent into a large text",
        each(8_000, ",", |_| r#"{"Variable":"$.big[0]","IsPresent":true,"Next":"B"}"#.to_owned()),
    );
    choice(
        "large texts compared",
        each(8_000, ",", |_| r#"{"Variable":"$.big","StringLessThanPath":"$.big","Next":"B"}"#.to_owned()),
    );
    choice("scans", each(5_000, ",", |_| r#"{"Variable":"$..a","IsNull":true,"Next":"B"}"#.to_owned()));
    choice(
        "StringMatches with 2,000 stars",
        each(50, ",", |_| {
            format!(r#"{{"Variable":"$.big","StringMatches":"{}b","Next":"B"}}"#, "*a".repeat(2_000))
        }),
    );
    choice(
        "StringMatches near misses",
        each(2_000, ",", |_| {
            format!(r#"{{"Variable":"$.big","StringMatches":"*{}b*","Next":"B"}}"#, "a".repeat(200))
        }),
    );
    choice(
        "StringMatches long literal",
        each(10, ",", |_| {
            format!(r#"{{"Variable":"$.big","StringMatches":"*{}b*","Next":"B"}}"#, "a".repeat(50_000))
        }),
    );
    choice(
        "Not, 1,000 deep",
        format!(
            "{}{}{}",
            r#"{"Not":"#.repeat(200),
            r#"{"Variable":"$.n","IsNull":true}"#,
            "}".repeat(199) + r#","Next":"B"}"#
        ),
    );
    choice(
        "And of 10,000",
        format!(
            r#"{{"And":[{}],"Next":"B"}}"#,
            each(10_000, ",", |_| r#"{"Variable":"$.n.a","NumericEquals":1}"#.to_owned())
        ),
    );
    let rules = each(4_000, ",", |_| {
        r#"{"Condition":"{% $count($states.input.l[$ > 5]) > 3 %}","Next":"B"}"#.to_owned()
    });
    out.push(attack("choice/4,000 JSONata conditions", format!(r#"{{"QueryLanguage":"JSONata","StartAt":"A","States":{{"A":{{"Type":"Choice","Choices":[{rules}],"Default":"B"}},"B":{{"Type":"Succeed"}}}}}}"#), big));
}

fn forks(out: &mut Vec<Attack>) {
    let block = |n: usize| format!(r#"{{"StartAt":"B{n}","States":{{"B{n}":{{"Type":"Succeed"}}}}}}"#);
    let branches = |count: usize| each(count, ",", block);
    out.push(attack(
        "parallel/8,000 branches",
        lone(&format!(r#""Type":"Parallel","Branches":[{}],"End":true"#, branches(8_000))),
        "{}".into(),
    ));
    out.push(attack(
        "parallel/18,000 branches",
        lone(&format!(r#""Type":"Parallel","Branches":[{}],"End":true"#, branches(18_000))),
        "{}".into(),
    ));
    let big = format!(r#"{{"t":"{}"}}"#, "a".repeat(250_000));
    out.push(attack(
        "parallel/8,000 branches of 256 KiB",
        lone(&format!(r#""Type":"Parallel","Branches":[{}],"End":true"#, branches(8_000))),
        big.clone(),
    ));
    let tasks = each(5_000, ",", |n| {
        format!(
            r#"{{"StartAt":"B{n}","States":{{"B{n}":{{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{{"FunctionName":"f"}},"End":true}}}}}}"#
        )
    });
    out.push(attack(
        "parallel/5,000 tasks",
        lone(&format!(r#""Type":"Parallel","Branches":[{tasks}],"End":true"#)),
        "{}".into(),
    ));
    let waits = each(8_000, ",", |n| {
        format!(
            r#"{{"StartAt":"B{n}","States":{{"B{n}":{{"Type":"Wait","Seconds":{},"End":true}}}}}}"#,
            n + 1
        )
    });
    out.push(attack(
        "parallel/8,000 waits",
        lone(&format!(r#""Type":"Parallel","Branches":[{waits}],"End":true"#)),
        "{}".into(),
    ));
    let mixed = each(6_000, ",", |n| {
        format!(
            r#"{{"StartAt":"B{n}","States":{{"B{n}":{{"Type":"Wait","Seconds":{},"End":true}}}}}}"#,
            n + 1
        )
    });
    out.push(attack("parallel/a loop beside 6,000 waits", lone(&format!(r#""Type":"Parallel","Branches":[{mixed},{{"StartAt":"L","States":{{"L":{{"Type":"Pass","Next":"L"}}}}}}],"End":true"#)), "{}".into()));
    let mut nested = r#"{"StartAt":"Z","States":{"Z":{"Type":"Succeed"}}}"#.to_owned();
    for level in 0..12 {
        let copies = (0..2)
            .map(|_| nested.clone())
            .enumerate()
            .map(|(at, block)| block.replace("\"Z", &format!("\"Z{at}")).replace("\"N", &format!("\"N{at}")))
            .collect::<Vec<_>>()
            .join(",");
        nested = format!(
            r#"{{"StartAt":"N{level}","States":{{"N{level}":{{"Type":"Parallel","Branches":[{copies}],"End":true}}}}}}"#
        );
    }
    out.push(attack("parallel/nested 12 levels of two", nested, "{}".into()));
    let items = format!("[{}]", times("1", 130_000, ","));
    let map = |selector: &str, processor: &str| {
        lone(&format!(
            r#""Type":"Map",{selector}"ItemProcessor":{{"StartAt":"I","States":{{"I":{processor}}}}},"End":true"#
        ))
    };
    out.push(attack("map/130,000 items", map("", r#"{"Type":"Pass","End":true}"#), items.clone()));
    out.push(attack(
        "map/130,000 items, selected",
        map(r#""ItemSelector":{"i.$":"$$.Map.Item.Value","all.$":"$"},"#, r#"{"Type":"Pass","End":true}"#),
        format!("[{}]", times("1", 100_000, ",")),
    ));
    let express = |mut attack: Attack| {
        attack.express = true;
        attack.name = format!("{}, express", attack.name);
        attack
    };
    out.push(express(attack("map/130,000 items", map("", r#"{"Type":"Pass","End":true}"#), items.clone())));
    out.push(express(attack(
        "map/20,000 items, all selected",
        map(r#""ItemSelector":{"i.$":"$$.Map.Item.Value","all.$":"$"},"#, r#"{"Type":"Pass","End":true}"#),
        format!("[{}]", times("1", 20_000, ",")),
    )));
    out.push(express(attack(
        "map/results of 256 KiB",
        map(r#""ItemSelector":{"all.$":"$"},"#, r#"{"Type":"Pass","End":true}"#),
        format!("[{},\"{}\"]", times("1", 20_000, ","), "a".repeat(200_000)),
    )));
    out.push(express(attack(
        "parallel/18,000 branches",
        lone(&format!(r#""Type":"Parallel","Branches":[{}],"End":true"#, branches(18_000))),
        "{}".into(),
    )));
    out.push(attack("map/in map in map", map("", r#"{"Type":"Map","ItemsPath":"$$.Execution.Input","ItemProcessor":{"StartAt":"J","States":{"J":{"Type":"Map","ItemsPath":"$$.Execution.Input","ItemProcessor":{"StartAt":"K","States":{"K":{"Type":"Pass","End":true}}},"End":true}}},"End":true}"#), format!("[{}]", times("1", 1_000, ","))));
    out.push(express(attack("map/in map in map", map("", r#"{"Type":"Map","ItemsPath":"$$.Execution.Input","ItemProcessor":{"StartAt":"J","States":{"J":{"Type":"Map","ItemsPath":"$$.Execution.Input","ItemProcessor":{"StartAt":"K","States":{"K":{"Type":"Pass","End":true}}},"End":true}}},"End":true}"#), format!("[{}]", times("1", 100, ",")))));
}

fn loops(out: &mut Vec<Attack>) {
    out.push(attack("loop/Pass", looping(r#""Type":"Pass""#), "{}".into()));
    out.push(attack(
        "loop/Pass with 256 KiB",
        looping(r#""Type":"Pass""#),
        format!("\"{}\"", "a".repeat(262_000)),
    ));
    out.push(attack("loop/Choice", r#"{"StartAt":"A","States":{"A":{"Type":"Choice","Choices":[{"Variable":"$.a","IsPresent":false,"Next":"A"}],"Default":"Z"},"Z":{"Type":"Succeed"}}}"#.into(), "{}".into()));
    out.push(attack("loop/Wait 0", looping(r#""Type":"Wait","Seconds":0"#), "{}".into()));
    let task =
        r#""Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"}"#;
    out.push(attack("loop/Task", looping(task), "{}".into()));
    let retry = |retry: &str| {
        lone(&format!(
            r#""Type":"Parallel","Branches":[{{"StartAt":"F","States":{{"F":{{"Type":"Fail","Error":"E"}}}}}}],"Retry":[{{"ErrorEquals":["States.ALL"],{retry}}}],"End":true"#
        ))
    };
    out.push(attack(
        "loop/Retry 99,999,999",
        retry(r#""MaxAttempts":99999999,"IntervalSeconds":1,"BackoffRate":1"#),
        "{}".into(),
    ));
    out.push(attack(
        "loop/Retry backoff overflow",
        retry(r#""MaxAttempts":99999999,"IntervalSeconds":99999999,"BackoffRate":1e300"#),
        "{}".into(),
    ));
    let mut pass = attack("loop/Pass, express", looping(r#""Type":"Pass""#), "{}".into());
    pass.express = true;
    out.push(pass);
    out.push(attack(
        "loop/slow JSONata",
        format!(
            r#"{{"QueryLanguage":"JSONata",{}"#,
            &looping(r#""Type":"Pass","Output":"{% $sum([1..800000]) %}""#)[1..]
        ),
        "{}".into(),
    ));
    out.push(attack(
        "loop/slow paths",
        looping(r#""Type":"Pass","Parameters":{"a.$":"$$.Execution.Input..*..*..*.length()"}"#),
        format!("{{\"a\":[{}]}}", times(r#"{"a":[{"a":[{"a":1}]}]}"#, 9_000, ",")),
    ));
}

fn definitions(out: &mut Vec<Attack>) {
    let states = each(10_000, ",", |n| {
        let next = if n == 9_999 { r#""End":true"#.to_owned() } else { format!(r#""Next":"S{}""#, n + 1) };
        format!(r#""S{n}":{{"Type":"Pass",{next}}}"#)
    });
    out.push(attack(
        "definition/10,000 states",
        format!(r#"{{"StartAt":"S0","States":{{{states}}}}}"#),
        "{}".into(),
    ));
    let dangling = each(10_000, ",", |n| format!(r#""S{n}":{{"Type":"Pass","Next":"T{n}"}}"#));
    out.push(attack(
        "definition/10,000 dangling",
        format!(r#"{{"StartAt":"S0","States":{{{dangling}}}}}"#),
        "{}".into(),
    ));
    let unknown = each(10_000, ",", |n| format!(r#""x{n}":1"#));
    out.push(attack(
        "definition/10,000 unknown fields",
        lone(&format!(r#""Type":"Pass","End":true,{unknown}"#)),
        "{}".into(),
    ));
    let duplicate = each(50_000, ",", |_| r#""A":{"Type":"Succeed"}"#.to_owned());
    out.push(attack(
        "definition/50,000 equal keys",
        format!(r#"{{"StartAt":"A","States":{{{duplicate}}}}}"#),
        "{}".into(),
    ));
    out.push(attack(
        "definition/comment of 1 MB",
        lone(&format!(r#""Type":"Succeed","Comment":"{}""#, "\u{1F600}".repeat(250_000))),
        "{}".into(),
    ));
    out.push(attack("definition/deep", format!("{}{}", r#"{"a":"#.repeat(100_000), "1"), "{}".into()));
    let mut nested = r#"{"StartAt":"Z","States":{"Z":{"Type":"Succeed"}}}"#.to_owned();
    for level in 0..60 {
        nested = format!(
            r#"{{"StartAt":"N{level}","States":{{"N{level}":{{"Type":"Parallel","Branches":[{nested}],"End":true}}}}}}"#
        );
    }
    out.push(attack("definition/60 blocks deep", nested, "{}".into()));
    let mut expression = String::new();
    for n in 0..20_000 {
        let _ = write!(expression, "{}$states.input.a{n}", if n > 0 { " & " } else { "" });
    }
    out.push(attack("definition/expression of 500 KB", output(&expression), "{}".into()));
    let expressions = each(20_000, ",", |n| format!(r#""k{n}":"{{% $states.input.a + {n} %}}""#));
    out.push(attack("definition/20,000 expressions", format!(r#"{{"QueryLanguage":"JSONata","StartAt":"A","States":{{"A":{{"Type":"Pass","Output":{{{expressions}}},"End":true}}}}}}"#), r#"{"a":1}"#.into()));
    let catchers = each(5_000, ",", |n| format!(r#"{{"ErrorEquals":["E{n}"],"Next":"A"}}"#));
    let retriers = each(5_000, ",", |n| format!(r#"{{"ErrorEquals":["E{n}"]}}"#));
    out.push(attack("definition/5,000 catchers and retriers", lone(&format!(r#""Type":"Parallel","Branches":[{{"StartAt":"F","States":{{"F":{{"Type":"Fail","Error":"E4999"}}}}}}],"Retry":[{retriers}],"Catch":[{catchers}],"End":true"#)), "{}".into()));
    let regex = "(?:a{0,100}){0,100}".to_owned();
    out.push(attack(
        "definition/large regex in a path",
        parameter(&format!("$[?(@ =~ /{regex}/)]")),
        "[\"a\"]".into(),
    ));
    let references = each(20_000, ",", |n| format!(r#""k{n}.$":"$v{n}""#));
    out.push(attack(
        "definition/20,000 unknown variables",
        lone(&format!(r#""Type":"Pass","Parameters":{{{references}}},"End":true"#)),
        "{}".into(),
    ));
    let variables = each(1_000, ",", |n| {
        let next = if n == 999 { r#""End":true"#.to_owned() } else { format!(r#""Next":"S{}""#, n + 1) };
        let assigned = each(20, ",", |m| format!(r#""v{n}x{m}":1"#));
        format!(r#""S{n}":{{"Type":"Pass","Assign":{{{assigned}}},{next}}}"#)
    });
    out.push(attack(
        "definition/20,000 variables in 1,000 states",
        format!(r#"{{"StartAt":"S0","States":{{{variables}}}}}"#),
        "{}".into(),
    ));
}
