//! One interface over both languages: what a field of a definition compiles to.

use crate::jsonata::Expression;
use crate::jsonpath::Path;
use crate::{Environment, EvalError, Value};

/// The query language of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QueryLanguage {
    /// `JSONPath`, the default.
    #[default]
    JsonPath,
    /// `JSONata`.
    Jsonata,
}

/// Why an expression does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// What is wrong, in AWS's words where they are known.
    pub message: String,
    /// Where inside the value that was compiled: a JSON pointer, empty for the value itself.
    pub pointer: String,
}

/// A JSONPath-mode expression: a path from `$`, `$$` or a variable, or a call of an intrinsic function.
#[derive(Debug, Clone)]
pub enum PathExpression {
    /// `$…`: from [`Environment::input`].
    Input(Path),
    /// `$$…`: from [`Environment::context`].
    Context(Path),
    /// `$name…`: from [`Environment::variable`].
    Variable(String, Path),
}

impl PathExpression {
    /// Compiles a path or an intrinsic function call.
    ///
    /// # Errors
    /// [`CompileError`] where it is neither.
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        Ok(PathExpression::Input(Path::compile(text)?))
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        todo!()
    }

    /// Evaluates for the field `field`, such as `value.$` or `ErrorPath`.
    ///
    /// # Errors
    /// `States.Runtime` (or what the recordings show) with AWS's text.
    pub fn evaluate(&self, _environment: &dyn Environment, _field: &str) -> Result<Value, EvalError> {
        todo!()
    }
}

/// A compiled payload template: `Parameters`, `ResultSelector`, `ItemSelector`, `Assign`, `Arguments`, `Output` ….
///
/// In JSONPath, members whose names end in `.$` are expressions; in JSONata, strings of the form `{% … %}` are.
#[derive(Debug)]
pub enum Template {
    /// A value without expressions.
    Constant(Value),
    /// A JSONata expression.
    Jsonata(Expression),
}

impl Template {
    /// Compiles `value` as the language has it.
    ///
    /// # Errors
    /// All mistakes, each with its place.
    pub fn compile(_value: &Value, _language: QueryLanguage) -> Result<Self, Vec<CompileError>> {
        todo!()
    }

    /// Evaluates for the field `field` (`Parameters`, `Output` …; deeper places are added to it in messages).
    ///
    /// # Errors
    /// The first that an expression gives.
    pub fn evaluate(&self, _environment: &dyn Environment, _field: &str) -> Result<Value, EvalError> {
        todo!()
    }

    /// Names of the workflow variables that the template reads, without `$`, in order of first appearance.
    pub fn variables(&self) -> Vec<String> {
        Vec::new()
    }
}
