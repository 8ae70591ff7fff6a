//! From text to tree, with jsonata-js's words for what does not parse.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jsonata_core::ast::AstNode;
use jsonata_core::parser::{self, ParserError};

use super::adapt::is_deeper;

/// Brackets that may stand inside one another before the text is not even parsed. AWS evaluates no more than 100.
const NESTING_MAX: usize = 400;

/// Nodes of a tree that may stand inside one another; the walks through a tree are recursive.
const LEVELS_MAX: usize = 300;

/// What parsing gave.
pub(super) enum Parsed {
    /// The expression.
    Tree(AstNode),
    /// It nests deeper than any evaluation may.
    TooDeep,
}

/// Parses `text`; the error is jsonata-js's message without its code.
pub(super) fn parse(text: &str) -> Result<Parsed, String> {
    if nesting(text) > NESTING_MAX {
        return Ok(Parsed::TooDeep);
    }
    match catch_unwind(AssertUnwindSafe(|| parser::parse(text))) {
        Ok(Ok(mut tree)) => match is_deeper(&mut tree, LEVELS_MAX) {
            true => Ok(Parsed::TooDeep),
            false => Ok(Parsed::Tree(tree)),
        },
        Ok(Err(error)) if error.to_string().starts_with("U1002") => Ok(Parsed::TooDeep),
        Ok(Err(error)) => Err(words(&error, text)),
        Err(_) => Err("Syntax error".to_owned()),
    }
}

/// Parses `text` for the public test suite, whose errors have codes; `None` is too deep.
pub(super) fn parse_coded(text: &str) -> Result<Option<AstNode>, String> {
    if nesting(text) > NESTING_MAX {
        return Ok(None);
    }
    let parsed = catch_unwind(AssertUnwindSafe(|| parser::parse(text))).map_err(|_| "internal".to_owned())?;
    parsed.map(Some).map_err(|error| match error {
        ParserError::UnclosedString if !in_quotes_at_end(text) => "S0302".to_owned(),
        ParserError::UnclosedComment => "S0106".to_owned(),
        ParserError::InvalidSyntax(message) | ParserError::InvalidNumber(message) => message,
        other => other.to_string(),
    })
}

/// The deepest nesting of brackets, an upper bound: those inside strings are counted too.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn words(error: &ParserError, text: &str) -> String {
    match error {
        ParserError::UnexpectedToken(token) if token == "Eof" => "Unexpected end of expression".to_owned(),
        ParserError::UnclosedString if !in_quotes_at_end(text) => {
            "No terminating / in regular expression".to_owned()
        }
        ParserError::UnclosedComment => "Comment has no closing tag".to_owned(),
        ParserError::Expected { expected, found } if expected != "parameter name" && found == "Eof" => {
            format!("Expected {} before end of expression", token_text(expected))
        }
        ParserError::Expected { expected, found } if expected != "parameter name" => {
            format!("Expected {}, got {}", token_text(expected), token_text(found))
        }
        ParserError::InvalidSyntax(message) | ParserError::InvalidNumber(message) => uncoded(message),
        other => uncoded(&other.to_string()),
    }
}

/// `S0211: The symbol At cannot be …` as `The symbol "@" cannot be …`.
fn uncoded(message: &str) -> String {
    let (code, rest) = match message.split_once(": ") {
        Some((code, rest)) if code.len() == 5 && code.starts_with('S') => (code, rest),
        _ => return message.to_owned(),
    };
    let framed = |prefix: &str, suffix: &str| {
        let token = rest.strip_prefix(prefix)?.strip_suffix(suffix)?;
        Some(format!("{prefix}{}{suffix}", token_text(token)))
    };
    let worded = match code {
        "S0102" => framed("Number out of range: ", ""),
        "S0201" => framed("Syntax error: ", ""),
        "S0204" => framed("Unknown operator: ", ""),
        "S0211" => framed("The symbol ", " cannot be used as a unary operator"),
        _ => None,
    };
    worded.unwrap_or_else(|| rest.to_owned())
}

/// A token by its name in the engine, as the JSON that jsonata-js prints for its value.
fn token_text(name: &str) -> String {
    if let Some(symbol) = SYMBOLS.iter().find_map(|(known, symbol)| (*known == name).then_some(symbol)) {
        return format!("\"{symbol}\"");
    }
    let inner = name.split_once('(').and_then(|(kind, rest)| Some((kind, rest.strip_suffix(')')?)));
    match (name, inner) {
        ("True", _) => "true".to_owned(),
        ("False", _) => "false".to_owned(),
        ("Null", _) => "null".to_owned(),
        (_, Some(("Number", number))) => number.strip_suffix(".0").unwrap_or(number).to_owned(),
        (_, Some((_, quoted))) if quoted.starts_with('"') => quoted.to_owned(),
        _ if name.starts_with("Regex") => "{}".to_owned(),
        _ => format!("\"{name}\""),
    }
}

const SYMBOLS: [(&str, &str); 38] = [
    ("Plus", "+"),
    ("Minus", "-"),
    ("Star", "*"),
    ("StarStar", "**"),
    ("Slash", "/"),
    ("Percent", "%"),
    ("Equal", "="),
    ("NotEqual", "!="),
    ("LessThan", "<"),
    ("LessThanOrEqual", "<="),
    ("GreaterThan", ">"),
    ("GreaterThanOrEqual", ">="),
    ("And", "and"),
    ("Or", "or"),
    ("In", "in"),
    ("Ampersand", "&"),
    ("Dot", "."),
    ("DotDot", ".."),
    ("Question", "?"),
    ("QuestionQuestion", "??"),
    ("QuestionColon", "?:"),
    ("Colon", ":"),
    ("ColonEqual", ":="),
    ("TildeArrow", "~>"),
    ("LeftParen", "("),
    ("RightParen", ")"),
    ("LeftBracket", "["),
    ("RightBracket", "]"),
    ("LeftBrace", "{"),
    ("RightBrace", "}"),
    ("Comma", ","),
    ("Semicolon", ";"),
    ("Caret", "^"),
    ("Pipe", "|"),
    ("Hash", "#"),
    ("At", "@"),
    ("Undefined", "undefined"),
    ("Eof", "(end)"),
];

/// Whether the text ends inside a quoted string.
fn in_quotes_at_end(text: &str) -> bool {
    let mut open = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (open, c) {
            (Some(_), '\\') => {
                chars.next();
            }
            (Some(quote), c) if c == quote => open = None,
            (None, '"' | '\'') => open = Some(c),
            _ => {}
        }
    }
    open.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, message: &str) {
        match parse(text) {
            Err(words) => assert_eq!(words, message, "{text}"),
            Ok(_) => panic!("{text} parses"),
        }
    }

    #[test]
    fn says_what_the_service_says() {
        for (text, message) in [
            ("a[1,2)", r#"Expected "]", got ",""#),
            ("\"unterminated", "String literal must be terminated by a matching quote"),
            ("1 +", "Unexpected end of expression"),
            ("{\"a\":}", r#"The symbol "}" cannot be used as a unary operator"#),
            ("$x :=", "Unexpected end of expression"),
            ("$match(\"a\", /abc", "No terminating / in regular expression"),
            ("phone %.other", r#"The symbol "." cannot be used as a unary operator"#),
            ("", "Unexpected end of expression"),
            ("[1 \"zz at /States/GHOST\"]", r#"Expected "]", got "zz at /States/GHOST""#),
            ("1 2", "Syntax error: 2"),
            ("(1", r#"Expected ")" before end of expression"#),
            ("!", r#"Unknown operator: "!""#),
            ("1e999", r#"Number out of range: "1e999""#),
            ("/* a", "Comment has no closing tag"),
        ] {
            check(text, message);
        }
    }

    #[test]
    fn deep_texts_are_set_aside_unparsed() {
        for text in [
            format!("{0}1{1}", "(".repeat(10_000), ")".repeat(10_000)),
            "-".repeat(100_000) + "1",
            "1?".repeat(5000) + "1",
        ] {
            assert!(matches!(parse(&text), Ok(Parsed::TooDeep)), "{}", &text[..20]);
        }
    }
}
