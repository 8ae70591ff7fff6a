//! `States.Format`.

use super::{Outcome, Refusal};
use crate::json::write_value_within;
use crate::{Value, java};

/// A template split at its placeholders.
#[derive(Debug)]
pub(super) struct Template {
    /// The text before each placeholder, and behind the last.
    pieces: Vec<String>,
}

impl Template {
    /// Splits `raw`, in which `\` escapes.
    pub(super) fn parse(raw: &str) -> Result<Self, String> {
        let mut pieces = vec![String::new()];
        let mut push = |char: Option<char>| match (char, pieces.last_mut()) {
            (Some(char), Some(piece)) => piece.push(char),
            _ => pieces.push(String::new()),
        };
        let mut chars = raw.chars();
        while let Some(char) = chars.next() {
            match char {
                '\\' => match chars.next() {
                    Some(escaped @ ('\'' | '{' | '}' | '\\')) => push(Some(escaped)),
                    Some(other) => {
                        push(Some('\\'));
                        push(Some(other));
                    }
                    None => return Err("open escape sequence found.".to_owned()),
                },
                '{' if chars.as_str().starts_with('}') => {
                    chars.next();
                    push(None);
                }
                '{' => return Err("matching '}' not found for '{'.".to_owned()),
                '}' => return Err("matching '{' not found for '}'.".to_owned()),
                other => push(Some(other)),
            }
        }
        Ok(Template { pieces })
    }
}

/// Fills `template`; `ready` is its split form where it is a literal. Each argument comes with whether AWS holds it
/// as a JSON node, which prints as JSON; everything else prints as Java's collections do.
pub(super) fn format<'a>(
    template: &Value,
    ready: Option<&Result<Template, String>>,
    arguments: impl ExactSizeIterator<Item = (&'a Value, bool)>,
    bytes_max: usize,
) -> Outcome {
    let parsed;
    let template = match ready {
        Some(ready) => ready,
        None => {
            // What is no string is a template all the same: its text.
            parsed = match template.as_str() {
                Some(text) => Template::parse(text),
                None => Ok(Template { pieces: vec![java::text(template)] }),
            };
            &parsed
        }
    };
    let template = template
        .as_ref()
        .map_err(|reason| Refusal::Text(format!("Invalid template in States.Format: {reason}")))?;
    if arguments.len() + 1 != template.pieces.len() {
        return Err(Refusal::Text(
            "Invalid arguments in States.Format: number of arguments do not match the occurrences of {}."
                .to_owned(),
        ));
    }
    let mut text = template.pieces[0].clone();
    for ((argument, is_node), piece) in arguments.zip(&template.pieces[1..]) {
        let fits = match is_node {
            true => write_value_within(argument, &mut text, bytes_max),
            false => java::write_value_within(argument, &mut text, bytes_max),
        };
        if !fits {
            return Err(Refusal::TooLarge);
        }
        text.push_str(piece);
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn placeholders_are_filled_in_order() {
        for (input, printed) in [
            (r#""""#, ""),
            ("null", "null"),
            ("1.1", "1.1"),
            (r#""{\"Arg1\": 1}""#, r#"{\"Arg1\": 1}"#),
            (r#"{"Arg1":1,"Arg2":[]}"#, "{Arg1=1, Arg2=[]}"),
        ] {
            check("States.Format('<{}>', $.a)", &format!(r#"{{"a":{input}}}"#), &format!("\"<{printed}>\""));
        }
        check("States.Format('{}{}-{}', 1, true, 'x{}')", "{}", r#""1true-x{}""#);
        check(r"States.Format('\'{}\' \{\} \\', 1)", "{}", r#""'1' {} \\""#);
        check("States.Format('none')", "{}", "\"none\"");
        check("States.Format('{}', States.StringToJson('\"x\"'))", "{}", r#""\"x\"""#);
        check("States.Format('{}', States.StringToJson('{\"a\":1}'))", "{}", r#""{\"a\":1}""#);
    }

    #[test]
    fn a_template_may_come_from_the_input() {
        check("States.Format($.t, 1)", r#"{"t":"n={}"}"#, "\"n=1\"");
        check("States.Format($.t)", r#"{"t":5}"#, "\"5\"");
    }

    #[test]
    fn placeholders_and_arguments_must_agree() {
        let text = |call: &str, reason: &str| {
            format!("There was an error while evaluating the intrinsic function: {call}. {reason}")
        };
        let count =
            "Invalid arguments in States.Format: number of arguments do not match the occurrences of {}.";
        for call in ["States.Format('{} {}', 1)", "States.Format('{}', 1, 2)", "States.Format('{}')"] {
            check(call, "{}", &text(call, count));
        }
        for call in ["States.Format('Hello {', 1)", "States.Format('Hello {{}}', 1)"] {
            check(
                call,
                "{}",
                &text(call, "Invalid template in States.Format: matching '}' not found for '{'."),
            );
        }
    }
}
