//! XML as AWS's services answer it: elements without attributes, but for the root.

/// The text of the first element of this name.
pub fn element(xml: &str, name: &str) -> Option<String> {
    elements(xml, name).next().map(text)
}

/// What stands in the elements of this name, as it is written.
pub fn elements<'x>(xml: &'x str, name: &str) -> impl Iterator<Item = &'x str> {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once(begin.as_str())?;
        let (inside, behind) = behind.split_once(end.as_str())?;
        rest = behind;
        Some(inside)
    })
}

/// What stands for itself in what is written.
fn text(written: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    named.iter().fold(written.trim().to_owned(), |text, (entity, char)| text.replace(entity, char))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_in_their_order() {
        let xml = "<R xmlns=\"x\"><C><Key>a&amp;b</Key></C><C><Key>c</Key></C><Key>d";
        assert_eq!(elements(xml, "Key").collect::<Vec<_>>(), ["a&amp;b", "c"]);
        assert_eq!(elements("", "Key").count(), 0);
        assert_eq!(element(xml, "Key").as_deref(), Some("a&b"));
        assert_eq!(
            element("<Message>a &lt;b&gt; &amp;lt;</Message>", "Message").as_deref(),
            Some("a <b> &lt;")
        );
        assert_eq!(element("<Message>open", "Message"), None);
    }
}
