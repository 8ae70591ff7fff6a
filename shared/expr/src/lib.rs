//! JSON values and the expression languages of the Amazon States Language: JSONPath with Step Functions'
//! semantics, the intrinsic functions, and JSONata in AWS's dialect.
//!
//! This crate knows how to compile an expression once and evaluate it many times against an [`Environment`].
//! It knows nothing of states, executions or histories, reads no clock and draws no random number: both come
//! in through the [`Environment`].

#![deny(clippy::disallowed_methods)]

pub mod intrinsic;
pub mod json;
pub mod jsonata;
pub mod jsonpath;
pub mod timestamp;

mod effort;
mod environment;
mod error;
mod evaluator;
mod java;
mod template;

pub use effort::Effort;
pub use environment::{Entropy, Environment, uuid_of};
pub use error::EvalError;
pub use evaluator::{CompileError, PathExpression, QueryLanguage};
pub use java::text_order;
pub use json::{Map, Number, Payload, Value};
pub use template::{RESULT_BYTES_MAX, Template};
