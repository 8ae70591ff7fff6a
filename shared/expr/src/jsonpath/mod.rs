//! JSONPath with Jayway's semantics, as Step Functions has them.

use crate::{CompileError, Value};

/// A compiled JSONPath. Its root is `$`, `$$` or a variable: the caller chooses the value it starts from.
#[derive(Debug, Clone)]
pub struct Path {
    text: String,
}

/// Where a path found nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoMatch {
    /// The part of the path that found nothing, in Jayway's normal form: `$['a']['b']`.
    pub at: String,
}

impl Path {
    /// Compiles a path that begins with `$`.
    ///
    /// # Errors
    /// [`CompileError`] with Jayway's reason.
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        Ok(Path { text: text.to_owned() })
    }

    /// The path as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the path leads to at most one place, so that its result is the value itself and not an array.
    pub fn is_definite(&self) -> bool {
        true
    }

    /// Applies the path to `root`.
    ///
    /// # Errors
    /// [`NoMatch`] where a definite path leads nowhere; an indefinite one gives `[]`.
    pub fn evaluate(&self, _root: &Value) -> Result<Value, NoMatch> {
        todo!()
    }
}

/// A Reference Path: a path to one place only, which `ResultPath` writes to.
#[derive(Debug, Clone)]
pub struct ReferencePath {
    text: String,
}

impl ReferencePath {
    /// Compiles a path of names and indexes.
    ///
    /// # Errors
    /// [`CompileError`] where the path is no Reference Path.
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        Ok(ReferencePath { text: text.to_owned() })
    }

    /// The path as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether this is `$`, which replaces the whole.
    pub fn is_root(&self) -> bool {
        self.text == "$"
    }

    /// `input` with `result` put where the path leads; objects that are missing on the way are made.
    ///
    /// # Errors
    /// The reason, as AWS words it, where the path runs into a value that is no object (`States.ResultPathMatchFailure`).
    pub fn insert(&self, _input: &Value, _result: Value) -> Result<Value, String> {
        todo!()
    }
}
