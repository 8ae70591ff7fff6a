//! What the expressions under test see.

use stepwell_expr::json::{JsonErrorKind, parse};
use stepwell_expr::{Entropy, Environment, Value};

/// The document that expressions see where the input brings none.
pub(super) const DOCUMENT: &str = r#"{"a":{"b":[1,2.50,{"c":null}],"d e":"text é"},"list":[3,1,2,1],"n":-7,"big":123456789012345678901234567890,
"texts":["b","a","ä"],"items":[{"id":1,"tags":["x"]},{"id":2,"tags":[]}],"empty":{},"yes":true,"date":"2026-01-02T03:04:05Z"}"#;

/// A whole surrounding: the document is the input, the result and the variable `doc`.
pub(super) struct Given {
    document: Value,
    context: Value,
    count: Value,
    entropy: Entropy,
}

impl Given {
    /// A surrounding with this document, or [`DOCUMENT`] where it is no JSON. Two of the same are the same.
    pub(super) fn new(document: Option<&str>) -> Self {
        let read = |text: &str| parse(text).ok();
        let document = document.and_then(read).or_else(|| read(DOCUMENT)).unwrap_or_default();
        let context = r#"{"Execution":{"Id":"arn:x","Input":{"k":[1]},"Name":"e"},"State":{"Name":"S","RetryCount":0},
            "Map":{"Item":{"Index":2,"Value":"v"}}}"#;
        Given {
            document,
            context: read(context).unwrap_or_default(),
            count: 3.into(),
            entropy: Entropy::new(7, 1_767_225_600_000),
        }
    }

    /// The document.
    pub(super) fn document(&self) -> &Value {
        &self.document
    }
}

impl Environment for Given {
    fn input(&self) -> &Value {
        &self.document
    }
    fn context(&self) -> &Value {
        &self.context
    }
    fn variable(&self, name: &str) -> Option<&Value> {
        match name {
            "doc" => Some(&self.document),
            "count" => Some(&self.count),
            _ => None,
        }
    }
    fn result(&self) -> Option<&Value> {
        Some(&self.document)
    }
    fn error_output(&self) -> Option<&Value> {
        Some(&self.context)
    }
    fn entropy(&self) -> &Entropy {
        &self.entropy
    }
}

/// What holds for every value that an expression gives: it can be written, and read again as the same.
pub(super) fn check_value(value: &Value, expression: &str) {
    let text = value.to_json();
    match parse(&text) {
        Ok(read) => assert_eq!(read.to_json(), text, "what {expression:?} gives is read as something else"),
        // The interpreter refuses what nests so deep (`Decider::bounded`): an expression may give it.
        Err(error) if error.kind == JsonErrorKind::Depth => {}
        Err(error) => panic!("what {expression:?} gives cannot be read: {error}"),
    }
}
