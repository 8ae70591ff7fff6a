//! Reads a mock file, strictly.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use stepwell_expr::json::{Build, JsonError, Options, parse_with};
use stepwell_expr::{Map, Value};
use stepwell_interpreter::{ErrorOutput, Outcome};

use super::{Attempts, MockedResponse, Mocks, TestCase, returned};

/// What is wrong with a mock file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MockError {
    /// It is no JSON document, or a name comes twice.
    #[error("line {}, column {}: {}", .0.line, .0.column, .0.message)]
    Json(JsonError),
    /// A value is not what belongs there.
    #[error("{pointer}: {message}")]
    Shape {
        /// The place as a JSON Pointer.
        pointer: String,
        /// What is expected.
        message: String,
    },
}

type Responses = BTreeMap<String, Arc<MockedResponse>>;

pub(super) fn parse(text: &str) -> Result<Mocks, MockError> {
    let options = Options { unique_keys: true, ..Options::default() };
    parse_with(text, options, &mut Names).map_err(MockError::Json)?;
    let document = stepwell_expr::json::parse(text).map_err(MockError::Json)?;
    let top = Place { pointer: String::new(), name: "", value: &document };
    top.only(&["StateMachines", "MockedResponses"])?;
    let mut responses = Responses::new();
    for response in top.members_of("MockedResponses")? {
        responses.insert(response.name.to_owned(), Arc::new(mocked_response(&response)?));
    }
    let mut machines = BTreeMap::new();
    for machine in top.members_of("StateMachines")? {
        machine.only(&["TestCases"])?;
        let mut cases = BTreeMap::new();
        for case in machine.members_of("TestCases")? {
            cases.insert(case.name.to_owned(), Arc::new(test_case(&case, &responses)?));
        }
        machines.insert(machine.name.to_owned(), cases);
    }
    Ok(Mocks { machines, ..Mocks::default() })
}

fn test_case(case: &Place<'_>, responses: &Responses) -> Result<TestCase, MockError> {
    let mut states = BTreeMap::new();
    for state in case.members()? {
        let response = state.text()?;
        let Some(found) = responses.get(response) else {
            return Err(state.wrong(format!("MockedResponses has no `{response}`")));
        };
        states.insert(state.name.to_owned(), found.clone());
    }
    Ok(TestCase { states })
}

fn mocked_response(response: &Place<'_>) -> Result<MockedResponse, MockError> {
    let mut attempts = Vec::new();
    for answer in response.members()? {
        let Some((first, last)) = range(answer.name) else {
            let message = "an attempt is a number from 0 such as \"0\", or a range such as \"1-2\"";
            return Err(answer.wrong(message));
        };
        let outcome = outcome(&answer)?;
        attempts.push((first, last, outcome, answer));
    }
    attempts.sort_by_key(|(first, ..)| *first);
    for pair in attempts.windows(2) {
        let [(_, last, ..), (first, .., answer)] = pair else { continue };
        if first <= last {
            return Err(answer.wrong(format!("attempt {first} is answered twice")));
        }
    }
    if attempts.is_empty() {
        return Err(response.wrong("a mocked response answers at least one attempt"));
    }
    let attempts =
        attempts.into_iter().map(|(first, last, outcome, _)| Attempts { first, last, outcome }).collect();
    Ok(MockedResponse { name: response.name.to_owned(), attempts })
}

/// `"0"` or `"1-2"`
fn range(text: &str) -> Option<(u32, u32)> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten()
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

fn outcome(answer: &Place<'_>) -> Result<Outcome, MockError> {
    answer.only(&["Return", "Throw"])?;
    match (answer.member("Return")?, answer.member("Throw")?) {
        (Some(value), None) => Ok(returned(value.value.clone())),
        (None, Some(throw)) => {
            throw.only(&["Error", "Cause"])?;
            let text = |name| throw.member(name)?.map(|place| place.text().map(Arc::from)).transpose();
            let (error, cause) = (text("Error")?, text("Cause")?);
            if error.is_none() {
                return Err(throw.wrong("`Error` is missing"));
            }
            Ok(Outcome::Failed(ErrorOutput { error, cause }))
        }
        _ => Err(answer.wrong("an attempt has either `Return` or `Throw`")),
    }
}

/// A value with the place where it stands.
struct Place<'a> {
    pointer: String,
    /// The last part of the pointer, unescaped.
    name: &'a str,
    value: &'a Value,
}

impl<'a> Place<'a> {
    fn object(&self) -> Result<&'a Map, MockError> {
        self.value.as_object().ok_or_else(|| self.wrong("this must be an object"))
    }

    fn text(&self) -> Result<&'a str, MockError> {
        self.value.as_str().ok_or_else(|| self.wrong("this must be a string"))
    }

    fn members(&self) -> Result<Vec<Place<'a>>, MockError> {
        Ok(self.object()?.iter().map(|(name, value)| self.inner(name, value)).collect())
    }

    fn member(&self, name: &'a str) -> Result<Option<Place<'a>>, MockError> {
        Ok(self.object()?.get(name).map(|value| self.inner(name, value)))
    }

    fn members_of(&self, name: &'a str) -> Result<Vec<Place<'a>>, MockError> {
        let member = self.member(name)?;
        member.ok_or_else(|| self.wrong(format!("`{name}` is missing")))?.members()
    }

    fn inner(&self, name: &'a str, value: &'a Value) -> Place<'a> {
        let pointer = format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1"));
        Place { pointer, name, value }
    }

    /// Refuses members with other names.
    fn only(&self, names: &[&str]) -> Result<(), MockError> {
        match self.object()?.iter().find(|(name, _)| !names.contains(&&***name)) {
            None => Ok(()),
            Some((name, value)) => Err(self.inner(name, value).wrong("this name is not known here")),
        }
    }

    fn wrong(&self, message: impl Into<String>) -> MockError {
        let pointer = if self.pointer.is_empty() { "the file".to_owned() } else { self.pointer.clone() };
        MockError::Shape { pointer, message: message.into() }
    }
}

/// Only looks whether a name comes twice in one object, which would silently hide a response.
struct Names;

impl Build for Names {
    type Node = ();
    type Array = ();
    type Object = BTreeSet<String>;

    fn literal(&mut self, _: Option<bool>, _: Range<usize>) {}
    fn number(&mut self, _: &str, _: Range<usize>) {}
    fn string(&mut self, _: Cow<'_, str>, _: Range<usize>) {}
    fn push(&mut self, (): &mut (), (): ()) {}
    fn insert(&mut self, names: &mut BTreeSet<String>, name: Cow<'_, str>, _: Range<usize>, (): ()) -> bool {
        names.insert(name.into_owned())
    }
    fn array(&mut self, (): (), _: Range<usize>) {}
    fn object(&mut self, _: BTreeSet<String>, _: Range<usize>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_with_their_place() {
        let check = |text: &str, expected: &str| {
            assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text}");
        };
        check(
            "{",
            "line 1, column 2: Unexpected end-of-input: expected close marker for Object (start marker at [Source: (String)\"{\"; line: 1, column: 1])",
        );
        check("{}", "the file: `MockedResponses` is missing");
        check("[]", "the file: this must be an object");
        check(r#"{"StateMachine":{}}"#, "/StateMachine: this name is not known here");
        let responses = |inner: &str| format!(r#"{{"StateMachines":{{}},"MockedResponses":{inner}}}"#);
        check(
            &responses(r#"{"A":{}}"#),
            "/MockedResponses/A: a mocked response answers at least one attempt",
        );
        check(
            &responses(r#"{"A":{"1-0":{"Return":1}}}"#),
            "/MockedResponses/A/1-0: an attempt is a number from 0 such as \"0\", or a range such as \"1-2\"",
        );
        check(
            &responses(r#"{"A":{"0-2":{"Return":1},"2":{"Return":1}}}"#),
            "/MockedResponses/A/2: attempt 2 is answered twice",
        );
        check(
            &responses(r#"{"A":{"0":{"Return":1,"Throw":{}}}}"#),
            "/MockedResponses/A/0: an attempt has either `Return` or `Throw`",
        );
        check(
            &responses(r#"{"A/B":{"0":{"Throw":{}}}}"#),
            "/MockedResponses/A~1B/0/Throw: `Error` is missing",
        );
        check(
            r#"{"StateMachines":{"M":{"TestCases":{"C":{"S":"A"}}}},"MockedResponses":{}}"#,
            "/StateMachines/M/TestCases/C/S: MockedResponses has no `A`",
        );
        assert!(parse(r#"{"MockedResponses":{},"MockedResponses":{}}"#).is_err());
        assert!(parse(&responses(r#"{"A":{"99999999999":{"Return":1}}}"#)).is_err());
    }
}
