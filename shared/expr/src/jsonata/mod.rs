//! JSONata in AWS's dialect.
//!
//! The engine is jsonata-core; no type of it leaves this module. Around it stand AWS's additions and bounds
//! (`functions`, `limits`, `guard`), AWS's words for what goes wrong (`syntax`, `message`, `diagnose`), and a small
//! evaluator of our own (`direct`) for what most expressions are: a path, a comparison, a sum.
//!
//! An expression sees `$states` and the workflow variables. It has no context item: a bare field name, `$` and `$$` are
//! refused when it is compiled.
//!
//! jsonata-core panics on some malformed date and number pictures. The panic is caught and becomes an evaluation
//! error, but the process's panic hook sees it first: a program that wants silence there sets its own hook.

mod adapt;
mod analysis;
mod convert;
mod diagnose;
mod direct;
mod engine;
mod functions;
mod guard;
mod limits;
mod message;
mod parse;
mod regex;
mod syntax;

use std::sync::Arc;

use crate::{CompileError, Environment, EvalError, Value};
use analysis::Analysis;
use direct::Plan;
pub use engine::evaluate_bare;
use engine::{Failure, Program};
use syntax::Parsed;

/// A compiled JSONata expression. A clone costs a reference count.
#[derive(Clone)]
pub struct Expression {
    inner: Arc<Compiled>,
}

struct Compiled {
    text: String,
    /// The direct way, where the whole expression is simple enough.
    plan: Option<Plan>,
    /// The engine's way. Without it, the text nests deeper than any evaluation may.
    program: Option<Program>,
    variables: Vec<String>,
    reads_result: bool,
    reads_error_output: bool,
}

impl Expression {
    /// Compiles the text between `{%` and `%}`.
    ///
    /// # Errors
    /// [`CompileError`] where the text is no JSONata, or uses what AWS refuses: the first of [`Self::compile_all`]'s.
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        Self::compile_all(text).map_err(|mut errors| errors.swap_remove(0))
    }

    /// Compiles the text between `{%` and `%}`, and reports every reference that AWS refuses.
    ///
    /// # Errors
    /// At least one [`CompileError`]; messages start with AWS's code, as in
    /// `UNSUPPORTED_JSONATA_EXPRESSION: Reference to 'phone' at the top level is not supported.`
    pub fn compile_all(text: &str) -> Result<Self, Vec<CompileError>> {
        let text = text.trim().to_owned();
        let refuse = |message| CompileError { message, pointer: String::new() };
        let tree = match syntax::parse(&text) {
            Ok(Parsed::Tree(tree)) => tree,
            Ok(Parsed::TooDeep) => return Ok(Self::too_deep(text)),
            Err(message) => return Err(vec![refuse(format!("INVALID_JSONATA_EXPRESSION: {message}"))]),
        };
        let analysis = Analysis::of(&tree);
        if analysis.bad_assignment {
            let message = "The left side of := must be a variable name (start with $)";
            return Err(vec![refuse(format!("INVALID_JSONATA_EXPRESSION: {message}"))]);
        }
        if !analysis.refused.is_empty() {
            let message = |reference: &String| {
                let place = if reference == "$$" { "" } else { " at the top level" };
                refuse(format!(
                    "UNSUPPORTED_JSONATA_EXPRESSION: Reference to '{reference}'{place} is not supported."
                ))
            };
            return Err(analysis.refused.iter().map(message).collect());
        }
        let plan = Plan::compile(&tree);
        let compiled = Compiled {
            text,
            plan,
            variables: analysis.variables.clone(),
            reads_result: analysis.states("result"),
            reads_error_output: analysis.states("errorOutput"),
            program: Some(Program::new(tree, analysis)),
        };
        Ok(Expression { inner: Arc::new(compiled) })
    }

    fn too_deep(text: String) -> Self {
        let compiled = Compiled {
            text,
            plan: None,
            program: None,
            variables: Vec::new(),
            reads_result: false,
            reads_error_output: false,
        };
        Expression { inner: Arc::new(compiled) }
    }

    /// The expression as it was written, trimmed.
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// Evaluates for the field `field` (`Output/result`, `Arguments/FunctionName`, `Choices[1]/Condition` …).
    ///
    /// # Errors
    /// `States.QueryEvaluationError` with AWS's text where evaluation fails, gives nothing, or what is no JSON.
    pub fn evaluate(&self, environment: &dyn Environment, field: &str) -> Result<Value, EvalError> {
        let result = match self.inner.plan.as_ref().map(|plan| plan.evaluate(environment)) {
            Some(Ok(value)) => Ok(value),
            Some(Err(direct::Unsure)) | None => match &self.inner.program {
                Some(program) => program.evaluate(environment),
                None => Err(Failure::Bound(message::TOO_DEEP)),
            },
        };
        match result {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(self.error(field, " returned nothing (undefined).")),
            Err(failure) => Err(self.error(field, &failure.ending())),
        }
    }

    /// The error of a field that wanted another kind of value, such as `expected` = `array` for a Map's `Items`.
    pub fn unexpected_type(&self, field: &str, expected: &str, value: &Value) -> EvalError {
        let was = value.kind().name();
        self.error(
            field,
            &format!(
                " returned an unexpected result type. Expected '{expected}', but was '{was}' for value: {}",
                value.shown()
            ),
        )
    }

    fn error(&self, field: &str, ending: &str) -> EvalError {
        EvalError {
            error: "States.QueryEvaluationError",
            message: format!(
                "The JSONata expression '{}' specified for the field '{field}'{ending}",
                self.inner.text
            ),
            location: Some(field.to_owned()),
        }
    }

    /// Names of the workflow variables that the expression reads, without `$`, in order of first appearance.
    pub fn variables(&self) -> Vec<String> {
        self.inner.variables.clone()
    }

    /// Whether the expression reads `$states.result`, which only a Task, Parallel or Map has.
    pub fn reads_result(&self) -> bool {
        self.inner.reads_result
    }

    /// Whether the expression reads `$states.errorOutput`, which exists in a Catcher alone. Elsewhere AWS refuses the
    /// definition: [`Self::NO_ERROR_OUTPUT`].
    pub fn reads_error_output(&self) -> bool {
        self.inner.reads_error_output
    }

    /// What AWS says of `$states.errorOutput` outside a Catcher.
    pub const NO_ERROR_OUTPUT: &str =
        "UNSUPPORTED_JSONATA_EXPRESSION: Field '$states.errorOutput' does not exist.";
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Expression").field(&self.inner.text).finish()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.inner.text == other.inner.text
    }
}

#[cfg(test)]
mod tests;
