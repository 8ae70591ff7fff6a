//! JSONPath with Jayway's semantics, as Step Functions has them.
//!
//! A path is parsed once into tokens (`ast`) and applied token by token (`eval`), so that neither a long path nor
//! a deep document costs stack, and the number of values visited is bounded.

mod ast;
mod eval;
mod filter;
mod filter_parser;
mod function;
mod parser;
mod reference;

use std::sync::Arc;

use crate::{CompileError, Effort, RESULT_BYTES_MAX, Value};
use ast::Token;
use eval::{Budget, Failure, Rules};

pub use reference::ReferencePath;

/// A compiled JSONPath. Its root is `$`, `$$` or a variable: the caller chooses the value it starts from.
#[derive(Debug, Clone)]
pub struct Path {
    text: Arc<str>,
    tokens: Arc<[Token]>,
    definite: bool,
}

/// Where a path found nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NoMatch {
    /// The whole path in Jayway's normal form: `$['a']['b']`.
    pub at: String,
    /// Jayway's text, such as `No results for path: $['a']['b']`.
    pub message: String,
    /// Whether the search was given up because the path visits too many values, or leads to too many.
    pub is_exhausted: bool,
}

impl Path {
    /// Compiles a path that begins with `$`.
    ///
    /// # Errors
    /// [`CompileError`] with Jayway's reason.
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        Path::compile_as(text, text)
    }

    /// Compiles `path`, which is `text` with another root written as `$`.
    pub(crate) fn compile_as(text: &str, path: &str) -> Result<Self, CompileError> {
        let refused = |message| CompileError { message, pointer: String::new() };
        if !path.starts_with('$') {
            return Err(refused("Path must start with '$'".to_owned()));
        }
        let tokens = parser::parse(path, 0).map_err(refused)?;
        Ok(Path { text: text.into(), definite: ast::is_definite(&tokens), tokens: tokens.into() })
    }

    /// The path as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the path leads to at most one place, so that its result is the value itself and not an array.
    pub fn is_definite(&self) -> bool {
        self.definite
    }

    /// Whether this is `$` alone.
    pub fn is_root(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Applies the path to `root`. As on AWS, an index beyond the end of an array leads to `null`.
    ///
    /// # Errors
    /// [`NoMatch`] where a definite path leads nowhere, and where a path of any kind visits too many values; an
    /// indefinite one without match gives `[]`.
    pub fn evaluate(&self, root: &Value) -> Result<Value, NoMatch> {
        self.apply(root, Rules::VALUE, None)
    }

    /// [`Path::evaluate`], which counts towards `effort` what it visits.
    pub(crate) fn evaluate_within(&self, root: &Value, effort: Option<&Effort>) -> Result<Value, NoMatch> {
        self.apply(root, Rules::VALUE, effort)
    }

    /// Applies the path to `root` as an intrinsic function's argument: an index beyond the end leads nowhere.
    ///
    /// # Errors
    /// As [`Path::evaluate`].
    pub fn evaluate_argument(&self, root: &Value) -> Result<Value, NoMatch> {
        self.apply(root, Rules::ARGUMENT, None)
    }

    /// [`Path::evaluate_argument`], which counts towards `effort` what it visits.
    pub(crate) fn evaluate_argument_within(
        &self,
        root: &Value,
        effort: Option<&Effort>,
    ) -> Result<Value, NoMatch> {
        self.apply(root, Rules::ARGUMENT, effort)
    }

    /// [`Path::evaluate`] for callers that do not ask why there is nothing.
    pub(crate) fn seek(&self, root: &Value, effort: Option<&Effort>) -> Option<Value> {
        if let Some(value) = self.find(root) {
            return Some(value.clone());
        }
        let budget = Budget::quiet(effort);
        let most = budget.left();
        let found = eval::run(&self.tokens, root, root, Rules::VALUE, &budget);
        if let Some(effort) = effort {
            effort.spend(most - budget.left());
        }
        match found {
            Ok(value) if self.definite || value.is_within(RESULT_BYTES_MAX) => Some(value.into_owned()),
            Err(Failure::Nothing(_)) if !self.definite => Some(Value::array(Vec::new())),
            _ => None,
        }
    }

    /// The one value a path of names and indexes leads to, without a copy. `None` also for other paths.
    pub fn find<'a>(&self, root: &'a Value) -> Option<&'a Value> {
        eval::follow(&self.tokens, root)
    }

    /// The first step of a path of names and indexes that leads nowhere, as AWS names it: `b` of `$.a.b`.
    fn missing_step(&self, root: &Value) -> Option<String> {
        let missing =
            (1..=self.tokens.len()).find(|end| eval::follow(&self.tokens[..*end], root).is_none())?;
        Some(match &self.tokens[missing - 1] {
            Token::Property(names) => names.iter().map(|name| &*name.text).collect::<Vec<_>>().join(","),
            Token::Index(indexes) => indexes.iter().map(i32::to_string).collect::<Vec<_>>().join(","),
            other => {
                let mut step = String::new();
                ast::write_tokens(std::slice::from_ref(other), &mut step);
                step
            }
        })
    }

    /// What AWS says where a Reference Path such as `ItemsPath` leads nowhere in `root`: the cause of
    /// `States.ReferencePathConflict`. `None` where it leads somewhere.
    pub fn conflict(&self, root: &Value) -> Option<String> {
        self.missing_step(root)
            .map(|step| format!("Unable to apply step \"{step}\" to input {}", root.shown()))
    }

    fn apply(&self, root: &Value, rules: Rules, effort: Option<&Effort>) -> Result<Value, NoMatch> {
        if let Some(value) = self.find(root) {
            return Ok(value.clone());
        }
        let budget = Budget::new(effort);
        let most = budget.left();
        let at = || {
            let mut at = "$".to_owned();
            ast::write_tokens(&self.tokens, &mut at);
            at
        };
        let found = eval::run(&self.tokens, root, root, rules, &budget);
        if let Some(effort) = effort {
            effort.spend(most - budget.left());
        }
        match found {
            Ok(value) if self.definite || value.is_within(RESULT_BYTES_MAX) => Ok(value.into_owned()),
            Ok(_) => {
                let message = format!("Path leads to more than {RESULT_BYTES_MAX} bytes: {}", at());
                Err(NoMatch { at: at(), message, is_exhausted: true })
            }
            // Jayway throws where the definite steps before find nothing; AWS gives `[]` there too.
            Err(Failure::Nothing(_)) if !self.definite => Ok(Value::array(Vec::new())),
            Err(Failure::Nothing(message)) => Err(NoMatch { at: at(), message, is_exhausted: false }),
            Err(Failure::Exhausted) => {
                let message = format!("Path visits too many values: {}", at());
                Err(NoMatch { at: at(), message, is_exhausted: true })
            }
        }
    }
}
