//! Requests' bodies, written one member behind the other.

use stepwell_expr::json::write_string;

/// An object that is being written.
pub(crate) struct Object<'o> {
    out: &'o mut String,
    is_empty: bool,
}

impl<'o> Object<'o> {
    pub(crate) fn begin(out: &'o mut String) -> Self {
        out.push('{');
        Object { out, is_empty: true }
    }

    /// The name of a member, whose value is then to be written.
    pub(crate) fn name(&mut self, name: &str) -> &mut String {
        if !std::mem::take(&mut self.is_empty) {
            self.out.push(',');
        }
        write_string(name, self.out);
        self.out.push(':');
        self.out
    }

    /// A member that is a text.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        write_string(text, self.name(name));
    }

    /// A member whose value is this JSON: a number, `true`, `false`.
    pub(crate) fn plain(&mut self, name: &str, json: &str) {
        self.name(name).push_str(json);
    }

    /// A member that is an object.
    pub(crate) fn object(&mut self, name: &str, write: impl FnOnce(&mut Object<'_>)) {
        let mut object = Object::begin(self.name(name));
        write(&mut object);
        object.end();
    }

    pub(crate) fn end(self) {
        self.out.push('}');
    }
}

/// An array, each of whose items `write` writes.
pub(crate) fn array<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

/// A whole body.
pub(crate) fn body(write: impl FnOnce(&mut Object<'_>)) -> String {
    let mut out = String::with_capacity(512);
    let mut object = Object::begin(&mut out);
    write(&mut object);
    object.end();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stand_one_behind_the_other() {
        let body = body(|body| {
            body.text("a", "x\"y");
            body.plain("b", "1");
            body.object("c", |_| {});
            array(body.name("d"), [1, 2], |out, n| out.push_str(&n.to_string()));
        });
        assert_eq!(body, r#"{"a":"x\"y","b":1,"c":{},"d":[1,2]}"#);
    }
}
