//! What AWS says when an evaluation fails: jsonata-js's messages, and its own for the bounds.

use super::diagnose::Marked;
use crate::Value;

/// Too many levels of evaluation.
pub(super) const TOO_DEEP: &str = "Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive";
/// Too much time.
pub(super) const TOO_LONG: &str = "Expression evaluation timeout: Check for infinite loop";
/// Too large a value.
pub(super) const TOO_LARGE: &str =
    "Expression evaluation memory limit exceeded: Check for excessive memory usage";

/// The bound that the engine's error code stands for, where it stands for one.
pub(super) fn bound(code: &str) -> Option<&'static str> {
    match code {
        "D1011" | "U1001" => Some(TOO_DEEP),
        "D1012" => Some(TOO_LONG),
        "D2015" | "U1004" => Some(TOO_LARGE),
        _ => None,
    }
}

/// Whether [`worded`] can say more when it knows where the error came from.
pub(super) fn wants_marks(code: &str) -> bool {
    matches!(code, "T0410" | "T0411" | "T0412" | "T2009" | "T2010" | "D1002" | "D2014" | "D3030")
}

/// jsonata-js's message for `code`, from the engine's `words` and where the error came from.
pub(super) fn worded(code: &str, words: &str, marked: Option<&Marked>) -> String {
    if let Some(fixed) = fixed(code) {
        return fixed.to_owned();
    }
    // Our own functions say it all themselves.
    if words.contains(" of function \"") {
        return words.to_owned();
    }
    let name = marked.map(Marked::quoted_name);
    let value = |at: usize| marked.map_or("undefined".to_owned(), |marked| marked.json(at));
    match (code, name) {
        ("T0410", Some(name)) => {
            format!("Argument {} of function {name} does not match function signature", argument(words))
        }
        ("T0411", Some(name)) => format!(
            "Context value is not a compatible type with argument {} of function {name}",
            argument(words)
        ),
        ("T0412", Some(name)) => {
            format!("Argument {} of function {name} must be an array of {}", argument(words), plural(words))
        }
        ("T2009", Some(name)) => format!(
            "The values {} and {} either side of operator {name} must be of the same data type",
            value(0),
            value(1)
        ),
        ("T2010", Some(name)) => {
            format!(
                "The expressions either side of operator {name} must evaluate to numeric or string values"
            )
        }
        ("D1002", Some(_)) => format!("Cannot negate a non-numeric value: {}", value(0)),
        ("D2014", Some(_)) => format!(
            "The size of the sequence allocated by the range operator (..) must not exceed 1e6.  Attempted to allocate {}.",
            marked.map_or(0.0, Marked::range_size)
        ),
        ("D3030", Some(_)) => format!("Unable to cast value to a number: {}", value(0)),
        // JSON has no other word for what is not finite.
        ("D1001", _) => "Number out of range: null".to_owned(),
        ("T1010", _) => words.replace("function $split ", "function \"split\" "),
        ("T2001" | "T2002", _) => quoted(words, "side of the ", " operator"),
        ("T2011", _) => {
            "The insert/update clause of the transform expression must evaluate to an object".to_owned()
        }
        ("T2012", _) => {
            "The delete clause of the transform expression must evaluate to a string or array of strings"
                .to_owned()
        }
        ("D3100", _) => format!(
            "The radix of the formatBase function must be between 2 and 36.  It was given {}",
            words.rsplit(' ').next().unwrap_or_default()
        ),
        ("D3130", _) => format!(
            "Formatting or parsing an integer as a sequence starting with {} is not supported by this implementation",
            json(words)
        ),
        ("D3132", _) => format!("Unknown component specifier {} in date/time picture string", json(words)),
        ("D3133", _) => format!(
            "The 'name' modifier can only be applied to months and days in the date/time picture string, not {}",
            json(words)
        ),
        _ => words.to_owned(),
    }
}

/// The number of the argument that `words` complain about.
fn argument(words: &str) -> usize {
    let number =
        |text: &str| text.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
    if let Some((expected, got)) =
        words.split_once("expected ").and_then(|(_, rest)| rest.split_once(", got "))
    {
        let (expected, got): (usize, usize) = (number(expected).unwrap_or(0), number(got).unwrap_or(0));
        return got.min(expected) + 1;
    }
    let after = words.split_once("rgument ").map(|(_, rest)| rest);
    after.and_then(number).unwrap_or(1)
}

/// The elements wanted, as jsonata-js names them.
fn plural(words: &str) -> &'static str {
    let kind = words.rsplit("array of ").next().unwrap_or_default();
    match kind {
        "Number" => "\"numbers\"",
        "String" => "\"strings\"",
        "Boolean" => "\"booleans\"",
        "Object" => "\"objects\"",
        _ if kind.starts_with("Array") => "\"arrays\"",
        _ if kind.starts_with("Function") => "\"functions\"",
        _ => "undefined",
    }
}

/// `text` with what stands between `before` and `after` in quotes.
fn quoted(text: &str, before: &str, after: &str) -> String {
    let parts = text.split_once(before).and_then(|(head, rest)| Some((head, rest.split_once(after)?)));
    match parts {
        Some((head, (inner, tail))) => format!("{head}{before}\"{inner}\"{after}{tail}"),
        None => text.to_owned(),
    }
}

fn json(text: &str) -> String {
    Value::from(text).to_json()
}

/// jsonata-js's message for `code`, where the engine words it otherwise and it holds no values.
fn fixed(code: &str) -> Option<&'static str> {
    let at = FIXED.binary_search_by_key(&code, |(known, _)| known).ok()?;
    Some(FIXED[at].1)
}

const FIXED: [(&str, &str); 34] = [
    ("D1004", "Regular expression matches zero length string"),
    ("D3001", "Attempting to invoke string function on Infinity or NaN"),
    ("D3010", "Second argument of replace function cannot be an empty string"),
    ("D3011", "Fourth argument of replace function must evaluate to a positive number"),
    ("D3012", "Attempted to replace a matched string with a non-string value"),
    ("D3020", "Third argument of split function must evaluate to a positive number"),
    ("D3040", "Third argument of match function must evaluate to a positive number"),
    ("D3050", "The second argument of reduce function must be a function with at least two arguments"),
    (
        "D3070",
        "The single argument form of the sort function can only be applied to an array of strings or an array of \
         numbers.  Use the second argument to specify a comparison function",
    ),
    ("D3080", "The picture string must only contain a maximum of two sub-pictures"),
    ("D3081", "The sub-picture must not contain more than one instance of the 'decimal-separator' character"),
    ("D3082", "The sub-picture must not contain more than one instance of the 'percent' character"),
    ("D3083", "The sub-picture must not contain more than one instance of the 'per-mille' character"),
    ("D3084", "The sub-picture must not contain both a 'percent' and a 'per-mille' character"),
    (
        "D3085",
        "The mantissa part of a sub-picture must contain at least one character that is either an 'optional digit \
         character' or a member of the 'decimal digit family'",
    ),
    (
        "D3086",
        "The sub-picture must not contain a passive character that is preceded by an active character and that is \
         followed by another active character",
    ),
    (
        "D3087",
        "The sub-picture must not contain a 'grouping-separator' character that appears adjacent to a \
         'decimal-separator' character",
    ),
    ("D3088", "The sub-picture must not contain a 'grouping-separator' at the end of the integer part"),
    (
        "D3089",
        "The sub-picture must not contain two adjacent instances of the 'grouping-separator' character",
    ),
    (
        "D3090",
        "The integer part of the sub-picture must not contain a member of the 'decimal digit family' that is \
         followed by an instance of the 'optional digit character'",
    ),
    (
        "D3091",
        "The fractional part of the sub-picture must not contain an instance of the 'optional digit character' that \
         is followed by a member of the 'decimal digit family'",
    ),
    (
        "D3092",
        "A sub-picture that contains a 'percent' or 'per-mille' character must not contain a character treated as \
         an 'exponent-separator'",
    ),
    (
        "D3093",
        "The exponent part of the sub-picture must comprise only of one or more characters that are members of the \
         'decimal digit family'",
    ),
    ("D3134", "The timezone integer format specifier cannot have more than four digits"),
    ("D3135", "No matching closing bracket ']' in date/time picture string"),
    ("D3136", "The date/time picture string is missing specifiers required to parse the timestamp"),
    ("D3138", "The $single() function expected exactly 1 matching result.  Instead it matched more."),
    ("D3139", "The $single() function expected exactly 1 matching result.  Instead it matched 0."),
    ("T1006", "Attempted to invoke a non-function"),
    ("T1008", "Attempted to partially apply a non-function"),
    ("T2003", "The left side of the range operator (..) must evaluate to an integer"),
    ("T2004", "The right side of the range operator (..) must evaluate to an integer"),
    ("T2006", "The right side of the function application operator ~> must be a function"),
    ("T2008", "The expressions within an order-by clause must evaluate to numeric or string values"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_counted_as_jsonata_counts_them() {
        for (words, expected) in [
            ("Argument 2 must be Number", 2),
            ("Argument count mismatch: expected 0, got 1", 1),
            ("Argument count mismatch: expected 1, got 2", 2),
            ("Argument count mismatch: expected 2, got 1", 2),
            ("Context value at argument 1 does not match function signature (expected String)", 1),
            ("something else", 1),
        ] {
            assert_eq!(argument(words), expected, "{words}");
        }
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(FIXED.is_sorted_by_key(|(code, _)| code));
        assert_eq!(fixed("T1006"), Some("Attempted to invoke a non-function"));
        assert_eq!(fixed("T0410"), None);
    }
}
