//! Writes answers: JSON straight into one text.

use std::fmt::Write;

use stepwell_expr::json::write_string;
use stepwell_interpreter::Timestamp;

/// A JSON object being written, member by member. Member names are the API's own and need no escaping.
pub(crate) struct Answer {
    out: String,
    is_empty: bool,
}

impl Answer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let mut out = String::with_capacity(bytes);
        out.push('{');
        Answer { out, is_empty: true }
    }

    pub(crate) fn new() -> Self {
        Answer::with_capacity(256)
    }

    pub(crate) fn finish(mut self) -> String {
        self.out.push('}');
        self.out
    }

    fn member(&mut self, name: &str) -> &mut String {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.out.push(',');
        }
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
        &mut self.out
    }

    /// A string.
    pub(crate) fn text(&mut self, name: &str, value: &str) -> &mut Self {
        write_string(value, self.member(name));
        self
    }

    /// A string, where there is one.
    pub(crate) fn text_if(&mut self, name: &str, value: Option<impl AsRef<str>>) -> &mut Self {
        if let Some(value) = value {
            self.text(name, value.as_ref());
        }
        self
    }

    /// A whole number.
    pub(crate) fn number(&mut self, name: &str, value: u64) -> &mut Self {
        let _ = write!(self.member(name), "{value}");
        self
    }

    /// A number with its fraction, if it has none then `.0`.
    pub(crate) fn double(&mut self, name: &str, value: f64) -> &mut Self {
        let _ = write!(self.member(name), "{value:?}");
        self
    }

    pub(crate) fn flag(&mut self, name: &str, value: bool) -> &mut Self {
        self.member(name).push_str(if value { "true" } else { "false" });
        self
    }

    /// A time, in seconds since 1970 with milliseconds.
    pub(crate) fn time(&mut self, name: &str, value: Timestamp) -> &mut Self {
        write_time(value, self.member(name));
        self
    }

    /// A member that is JSON already.
    pub(crate) fn json(&mut self, name: &str, json: &str) -> &mut Self {
        self.member(name).push_str(json);
        self
    }

    /// An object.
    pub(crate) fn object(&mut self, name: &str, write: impl FnOnce(&mut Answer)) -> &mut Self {
        self.member(name).push('{');
        self.is_empty = true;
        write(self);
        self.out.push('}');
        self.is_empty = false;
        self
    }

    /// An array of objects.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Answer, T),
    ) -> &mut Self {
        self.member(name).push('[');
        let mut separator = "{";
        for item in items {
            self.out.push_str(separator);
            self.is_empty = true;
            write(self, item);
            self.out.push('}');
            separator = ",{";
        }
        self.out.push(']');
        self.is_empty = false;
        self
    }

    /// A string under a name that comes from a user.
    pub(crate) fn named_text(&mut self, name: &str, value: &str) -> &mut Self {
        write_string(value, self.named(name));
        self
    }

    /// An array of strings under a name that comes from a user.
    pub(crate) fn named_texts(&mut self, name: &str, values: &[String]) -> &mut Self {
        let out = self.named(name);
        out.push('[');
        for (at, value) in values.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            write_string(value, out);
        }
        out.push(']');
        self
    }

    fn named(&mut self, name: &str) -> &mut String {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.out.push(',');
        }
        write_string(name, &mut self.out);
        self.out.push(':');
        &mut self.out
    }
}

/// Appends a time as the API shows it: seconds since 1970 with milliseconds, such as `1700000000.123`.
fn write_time(time: Timestamp, out: &mut String) {
    let (seconds, millis) = (time.0.div_euclid(1000), time.0.rem_euclid(1000));
    let _ = write!(out, "{seconds}.{millis:03}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stand_in_order_and_nest() {
        let mut answer = Answer::new();
        answer.text("a", "x\"y").number("n", 7).time("t", Timestamp(1_700_000_000_012)).flag("f", true);
        answer.object("o", |o| {
            o.text_if("none", None::<&str>).json("j", "[1]");
        });
        answer.list("l", [1_u64, 2], |item, n| {
            item.number("n", n);
        });
        answer.object("e", |names| {
            names.named_text("\"", "v").named_texts("t", &["a".into(), "b".into()]);
        });
        answer.list("none", [0; 0], |_, _| {});
        let expected = r#"{"a":"x\"y","n":7,"t":1700000000.012,"f":true,"o":{"j":[1]},"l":[{"n":1},{"n":2}],"e":{"\"":"v","t":["a","b"]},"none":[]}"#;
        assert_eq!(answer.finish(), expected);
        assert_eq!(Answer::new().finish(), "{}");
    }
}
