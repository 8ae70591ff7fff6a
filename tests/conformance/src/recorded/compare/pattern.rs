//! Texts of recordings, in which places stand for what changes with each run.

use std::collections::HashMap;
use std::rc::Rc;

use regex_lite::Regex;

/// A place that stands for a piece of text: `<name:3>`, `<region>`, `<<name>:3>`.
const PLACEHOLDER: &str = r"<<[A-Za-z_ .\-]+>:\d+>|<[A-Za-z_][A-Za-z0-9_ .\-]*(?::[A-Za-z0-9_:.+\-]+)?>";

/// A time as text.
const ISO: &str = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?(?:\d\d)?)";

const ACCOUNT: &str = "111111111111";

/// What the places of one case are, and the patterns that were made of its texts.
pub(super) struct Patterns {
    place: Regex,
    placeholder: Regex,
    made: HashMap<String, Option<Rc<Pattern>>>,
}

/// A text with places.
pub(super) struct Pattern {
    whole: Regex,
    /// What each captured piece stands for, in order.
    names: Vec<String>,
}

impl Patterns {
    /// `words` are further names that stand for pieces of text.
    pub(super) fn new(words: &[String]) -> Self {
        let is_word =
            |word: &&String| word.chars().any(|c| (c.is_alphanumeric() || c == '_') && !c.is_ascii_digit());
        let mut words: Vec<_> = words.iter().filter(is_word).collect();
        words.sort_by_key(|word| std::cmp::Reverse(word.chars().count()));
        let words = words.iter().map(|word| format!("(?:{})|", regex_lite::escape(word))).collect::<String>();
        let regex = |pattern: &str| Regex::new(pattern).expect("the pattern is right");
        Patterns {
            place: regex(&format!("(?:{PLACEHOLDER})|{words}{ACCOUNT}|date")),
            placeholder: regex(&format!(r"\A(?:{PLACEHOLDER})\z")),
            made: HashMap::new(),
        }
    }

    /// Whether a text is one placeholder and nothing else.
    pub(super) fn is_placeholder(&self, text: &str) -> bool {
        self.placeholder.is_match(text)
    }

    /// The pattern of a text; `None` where it has no places.
    pub(super) fn of(&mut self, text: &str) -> Option<Rc<Pattern>> {
        if let Some(made) = self.made.get(text) {
            return made.clone();
        }
        let made = self.make(text).map(Rc::new);
        self.made.insert(text.to_owned(), made.clone());
        made
    }

    fn make(&self, text: &str) -> Option<Pattern> {
        let (mut pattern, mut names, mut end) = (String::from(r"(?s)\A"), vec![], 0);
        let mut from = 0;
        while let Some(found) = self.place.find_at(text, from) {
            let place = found.as_str();
            from = found.end().max(found.start() + 1);
            if place == "date" && is_within_word(text, found.start(), found.end()) {
                from = found.start() + 1;
                continue;
            }
            pattern.push_str(&regex_lite::escape(&text[end..found.start()]));
            match place {
                ACCOUNT => pattern.push_str(r"\d{12}"),
                "date" => pattern.push_str(&format!("(?:date|{ISO})")),
                "<region>" => pattern.push_str("[a-z0-9-]+"),
                "<partition>" => pattern.push_str("aws[a-z-]*"),
                _ => {
                    names.push(place.to_owned());
                    pattern.push_str("(.*?)");
                }
            }
            end = found.end();
        }
        if end == 0 {
            return None;
        }
        pattern.push_str(&regex_lite::escape(&text[end..]));
        pattern.push_str(r"\z");
        Some(Pattern { whole: Regex::new(&pattern).ok()?, names })
    }
}

fn is_within_word(text: &str, start: usize, end: usize) -> bool {
    let letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphabetic());
    letter(text[..start].chars().next_back()) || letter(text[end..].chars().next())
}

impl Pattern {
    /// What each place stands for in a text that matches.
    pub(super) fn pieces<'a>(&'a self, text: &'a str) -> Option<impl Iterator<Item = (&'a str, &'a str)>> {
        let found = self.whole.captures(text)?;
        let piece = move |(at, name): (usize, &'a String)| {
            (name.as_str(), found.get(at + 1).map_or("", |piece| piece.as_str()))
        };
        Some(self.names.iter().enumerate().map(piece))
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.whole.is_match(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_stand_for_pieces_of_text() {
        let check = |expected: &str, actual: &str, pieces: Option<&[(&str, &str)]>| {
            let mut patterns = Patterns::new(&["role".to_owned(), "role_arn".to_owned(), "7".to_owned()]);
            let pattern = patterns.of(expected).expect("it has places");
            let found = pattern.pieces(actual).map(Iterator::collect::<Vec<_>>);
            assert_eq!(found.as_deref(), pieces, "{expected}: {actual}");
        };
        check("arn:<partition>:x:<region>:111111111111", "arn:aws-cn:x:eu-west-1:123456789012", Some(&[]));
        check("arn:<partition>:x", "arn:aws:y", None);
        check("a <n:1> b <n:2>", "a 1 2 b 3", Some(&[("<n:1>", "1 2"), ("<n:2>", "3")]));
        check("<<x>:3>.", "any thing.", Some(&[("<<x>:3>", "any thing")]));
        check("role_arn, role", "x, y", Some(&[("role_arn", "x"), ("role", "y")]));
        check("at date.", "at 2026-01-01T00:00:00.000Z.", Some(&[]));
        check("at date.", "at noon.", None);
        check("updated on date (111111111111)", "updated on date (210987654321)", Some(&[]));
        check("111111111111", "12345678901", None);
        check("(<a>)\n", "(\n)\n", Some(&[("<a>", "\n")]));
    }

    #[test]
    fn a_text_without_places_has_no_pattern() {
        let mut patterns = Patterns::new(&["7".to_owned()]);
        for text in ["", "update 7", "dated", "< 3 >", "<1>", "11111111111"] {
            assert!(patterns.of(text).is_none(), "{text}");
        }
        assert!(patterns.is_placeholder("<a:1>") && !patterns.is_placeholder("<a:1>."));
    }
}
