//! JSONata in AWS's dialect.

use crate::{CompileError, Environment, EvalError, Value};

/// A compiled JSONata expression.
#[derive(Debug)]
pub struct Expression {
    text: String,
}

impl Expression {
    /// Compiles the text between `{%` and `%}`.
    ///
    /// # Errors
    /// [`CompileError`] where the text is no JSONata, or uses what AWS refuses.
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        Ok(Expression { text: text.to_owned() })
    }

    /// The expression as it was written, trimmed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Evaluates for the field `field` (`Output/result`, `Arguments/FunctionName`, `Choices[1]/Condition` …).
    ///
    /// # Errors
    /// `States.QueryEvaluationError` with AWS's text where evaluation fails, gives nothing, or what is no JSON.
    pub fn evaluate(&self, _environment: &dyn Environment, _field: &str) -> Result<Value, EvalError> {
        todo!()
    }

    /// Names of the workflow variables that the expression reads, without `$`, in order of first appearance.
    pub fn variables(&self) -> Vec<String> {
        Vec::new()
    }
}
