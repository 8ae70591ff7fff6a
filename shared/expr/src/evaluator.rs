//! What a field of a definition in JSONPath mode compiles to: a path or an intrinsic function call.

use std::sync::Arc;

use crate::intrinsic::Intrinsic;
use crate::jsonpath::{NoMatch, Path};
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
    /// `$name…`: from [`Environment::variable`], by its name without `$`.
    Variable(Arc<str>, Path),
    /// `States.…(…)`.
    Intrinsic(Intrinsic),
}

impl PathExpression {
    /// Compiles a path or an intrinsic function call.
    ///
    /// # Errors
    /// [`CompileError`] where it is neither, in the words AWS has for a field such as `InputPath`.
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        if Intrinsic::is_call(text) {
            return Intrinsic::compile(text).map(PathExpression::Intrinsic);
        }
        PathExpression::compile_path(text)
    }

    /// Compiles a path, and no call: for fields such as `InputPath` and `Variable`.
    ///
    /// # Errors
    /// [`CompileError`] in AWS's words, which give no reason.
    pub fn compile_path(text: &str) -> Result<Self, CompileError> {
        read_path(text).ok_or_else(|| CompileError {
            message: "Value must be a valid JSONPath.".to_owned(),
            pointer: String::new(),
        })
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        match self {
            PathExpression::Input(path)
            | PathExpression::Context(path)
            | PathExpression::Variable(_, path) => path.text(),
            PathExpression::Intrinsic(call) => call.text(),
        }
    }

    /// The path and the value it starts from, which a variable may lack; `None` for a call.
    fn start<'a>(&self, environment: &'a dyn Environment) -> Option<(&Path, Option<&'a Value>)> {
        Some(match self {
            PathExpression::Input(path) => (path, Some(environment.input())),
            PathExpression::Context(path) => (path, Some(environment.context())),
            PathExpression::Variable(name, path) => (path, environment.variable(name)),
            PathExpression::Intrinsic(_) => return None,
        })
    }

    /// Evaluates for the field `field`, such as `value.$` or `ErrorPath`.
    ///
    /// # Errors
    /// `States.Runtime` with AWS's text: `The JSONPath '$.x' specified for the field 'value.$' could not be found in
    /// the input '…'`, or what an intrinsic function answers.
    pub fn evaluate(&self, environment: &dyn Environment, field: &str) -> Result<Value, EvalError> {
        if let PathExpression::Intrinsic(call) = self {
            return call.evaluate(environment);
        }
        self.find(environment).map_err(|nothing| {
            if nothing.is_exhausted {
                return EvalError::runtime(nothing.message);
            }
            let searched = match self {
                PathExpression::Context(_) => environment.context(),
                _ => environment.input(),
            };
            EvalError::runtime(format!(
                "The JSONPath '{}' specified for the field '{field}' could not be found in the input '{}'",
                self.text(),
                searched.shown()
            ))
        })
    }

    /// Evaluates for a field whose failure reads otherwise: `InputPath`, `OutputPath`, `TimeoutSecondsPath` ….
    ///
    /// # Errors
    /// `States.Runtime` with AWS's text: `Invalid path '$.x' : No results for path: $['x']`.
    pub fn select(&self, environment: &dyn Environment) -> Result<Value, EvalError> {
        if let PathExpression::Intrinsic(call) = self {
            return call.evaluate(environment);
        }
        self.find(environment).map_err(|nothing| {
            EvalError::runtime(format!("Invalid path '{}' : {}", self.text(), nothing.message))
        })
    }

    /// The value the path leads to, for callers with messages of their own (a Choice rule's `Variable`).
    ///
    /// # Errors
    /// [`NoMatch`] where it leads nowhere, and where a call fails.
    pub fn find(&self, environment: &dyn Environment) -> Result<Value, NoMatch> {
        let nothing = |message| NoMatch { at: self.text().to_owned(), message, is_exhausted: false };
        match (self, self.start(environment)) {
            (_, Some((path, Some(start)))) => path.evaluate_within(start, environment.effort()),
            (PathExpression::Intrinsic(call), _) => {
                call.evaluate(environment).map_err(|error| nothing(error.message))
            }
            _ => Err(nothing(format!("No results for path: {}", self.text()))),
        }
    }

    /// [`PathExpression::find`] for callers that do not ask why there is nothing: what they would be told may quote all that
    /// was looked through.
    pub fn seek(&self, environment: &dyn Environment) -> Option<Value> {
        match self.start(environment) {
            Some((path, start)) => path.seek(start?, environment.effort()),
            None => self.find(environment).ok(),
        }
    }

    /// What AWS says where a Reference Path such as `ItemsPath` leads nowhere: the cause of
    /// `States.ReferencePathConflict`. `None` where it leads somewhere, and for a call.
    pub fn conflict(&self, environment: &dyn Environment) -> Option<String> {
        let (path, start) = self.start(environment)?;
        path.conflict(start.unwrap_or(&Value::Null))
    }

    /// The value of a path as an intrinsic function's argument; `None` for a call.
    pub(crate) fn argument(&self, environment: &dyn Environment) -> Option<Result<Value, NoMatch>> {
        let (path, start) = self.start(environment)?;
        Some(match start {
            Some(start) => path.evaluate_argument_within(start, environment.effort()),
            None => Err(NoMatch { at: self.text().to_owned(), message: String::new(), is_exhausted: false }),
        })
    }

    /// Names of the workflow variables that the expression reads, without `$`, in order of first appearance.
    pub fn variables(&self) -> Vec<String> {
        match self {
            PathExpression::Variable(name, _) => vec![name.to_string()],
            PathExpression::Input(_) | PathExpression::Context(_) => Vec::new(),
            PathExpression::Intrinsic(call) => call.variables(),
        }
    }
}

/// Divides a path into its root and the steps from there, and compiles them. `None` where it is no path.
fn read_path(text: &str) -> Option<PathExpression> {
    let rest = text.strip_prefix('$')?;
    if rest.starts_with('$') {
        return Path::compile_as(text, rest).ok().map(PathExpression::Context);
    }
    let (name, steps) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
    if name.trim_end_matches(' ').is_empty() {
        return Path::compile(text).ok().map(PathExpression::Input);
    }
    let is_name = name
        .chars()
        .enumerate()
        .all(|(at, char)| char == '_' || if at == 0 { char.is_alphabetic() } else { char.is_alphanumeric() });
    let path = Path::compile_as(text, &format!("${steps}")).ok().filter(|_| is_name)?;
    Some(PathExpression::Variable(name.into(), path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intrinsic::tests::Given;

    fn check(text: &str, input: &str, expected: &str) {
        let given = Given::new(input);
        let result = PathExpression::compile(text).unwrap().evaluate(&given, "value.$");
        assert_eq!(result.map_or_else(|error| error.message, |value| value.to_json()), expected, "{text}");
    }

    #[test]
    fn paths_start_from_the_input_the_context_or_a_variable() {
        check("$", r#"{"a":1}"#, r#"{"a":1}"#);
        check("$.a", r#"{"a":1}"#, "1");
        check("$['a']", r#"{"a":1}"#, "1");
        check("$[0]", "[5]", "5");
        check("$$.State.Name", "{}", r#""S""#);
        check("$$", "{}", r#"{"Execution":{"Name":"e-1"},"State":{"Name":"S"}}"#);
        check("$count", "{}", "3");
        check("$obj.a[0]", "{}", "7");
        check("$obj['a']", "{}", "[7]");
        check("States.MathAdd($count, 1)", "{}", "4");
    }

    #[test]
    fn a_path_without_match_names_field_and_input() {
        let text = |path: &str, input: &str| {
            format!(
                "The JSONPath '{path}' specified for the field 'value.$' could not be found in the input '{input}'"
            )
        };
        check("$.x", r#"{"int-literal": 0}"#, &text("$.x", r#"{"int-literal":0}"#));
        check("$$.Nope", "{}", &text("$$.Nope", r#"{"Execution":{"Name":"e-1"},"State":{"Name":"S"}}"#));
        check("$nope.x", "{}", &text("$nope.x", "{}"));
    }

    #[test]
    fn a_path_field_gives_jayways_reason() {
        let given = Given::new(r#"{"a":{"b":1}}"#);
        for (path, reason) in [
            ("$.No", "No results for path: $['No']"),
            ("$.a.No", "No results for path: $['a']['No']"),
            ("$.No.x", "Missing property in path $['No']"),
        ] {
            let error = PathExpression::compile(path).unwrap().select(&given).unwrap_err();
            assert_eq!(error.error, "States.Runtime");
            assert_eq!(error.message, format!("Invalid path '{path}' : {reason}"));
        }
    }

    #[test]
    fn a_reference_path_without_match_names_its_step() {
        let given = Given::new(r#"{"discovery":{"statusCode":500}}"#);
        let conflict = |path: &str| PathExpression::compile(path).unwrap().conflict(&given);
        assert_eq!(
            conflict("$.discovery.objects").as_deref(),
            Some(r#"Unable to apply step "objects" to input {"discovery":{"statusCode":500}}"#)
        );
        assert_eq!(
            conflict("$.discovery[0]").as_deref(),
            Some(r#"Unable to apply step "0" to input {"discovery":{"statusCode":500}}"#)
        );
        assert_eq!(conflict("$.discovery"), None);
    }

    #[test]
    fn what_is_no_path_does_not_compile() {
        for text in ["", "a", "$.", "$1", "$a b", "$a-b", "$.a[", "@.a", "$$x", "States.X()", "$$$", "$ a"] {
            assert!(PathExpression::compile(text).is_err(), "{text}");
        }
        assert_eq!(PathExpression::compile("Test").unwrap_err().message, "Value must be a valid JSONPath.");
    }

    #[test]
    fn variables_are_named() {
        assert_eq!(PathExpression::compile("$_ünï1.x").unwrap().variables(), ["_ünï1"]);
        assert!(PathExpression::compile("$.x").unwrap().variables().is_empty());
    }
}
