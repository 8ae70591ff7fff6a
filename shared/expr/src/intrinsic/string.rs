//! `States.StringSplit`.

use super::{Outcome, Refusal};
use crate::Value;

/// Splits at each character of `separators`, as a `StringTokenizer` does: empty parts are left out.
pub(super) fn split(text: &Value, separators: &Value) -> Outcome {
    let (Some(text), Some(separators)) = (text.as_str(), separators.as_str()) else {
        return Err(Refusal::Arguments);
    };
    let parts = text.split(|char| separators.contains(char)).filter(|part| !part.is_empty());
    Ok(Value::array(parts.map(Value::from).collect()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, refused};

    #[test]
    fn splits_at_any_separator_and_leaves_out_empty_parts() {
        check("States.StringSplit('a,b,,c,', ',')", "{}", r#"["a","b","c"]"#);
        check("States.StringSplit('1+2,3.4', '.+,')", "{}", r#"["1","2","3","4"]"#);
        check("States.StringSplit('', ',')", "{}", "[]");
        check("States.StringSplit('abc', '')", "{}", r#"["abc"]"#);
        check("States.StringSplit($.t, '\u{e9}')", r#"{"t":"a\u00e9\n b"}"#, r#"["a","\n b"]"#);
        refused("States.StringSplit(1, ',')", "{}");
        refused("States.StringSplit('a', null)", "{}");
    }
}
