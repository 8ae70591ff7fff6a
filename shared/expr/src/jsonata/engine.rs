//! The full engine: jsonata-core with AWS's functions and bounds.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use indexmap::IndexMap;
use jsonata_core::ast::AstNode;
use jsonata_core::evaluator::{Context, Evaluator, EvaluatorError, error_code_prefix};
use jsonata_core::value::JValue;

use super::adapt::adapt;
use super::analysis::{Analysis, Need};
use super::convert::{Exact, from_engine_weighed, to_engine};
use super::diagnose::{self, Marked, Marks};
use super::functions::{self, Sources};
use super::limits::{DIAGNOSIS_MS_MAX, Limits, TUPLES_MAX, TUPLES_MS_MAX};
use super::{guard, message, regex, syntax};
use crate::{Entropy, Environment, Map, Value};

/// Why an evaluation gave no value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Failure {
    /// JSONata's own error: its code and message.
    Thrown(String),
    /// An error without a code.
    Uncoded(String),
    /// A bound was reached.
    Bound(&'static str),
    /// The result is a function.
    Unsupported,
    /// The engine broke.
    Internal,
}

impl Failure {
    /// The end of AWS's sentence, after the expression and the field.
    pub(super) fn ending(&self) -> String {
        match self {
            Failure::Thrown(message) => format!(" threw an error during evaluation. {message}"),
            Failure::Uncoded(message) => format!(" threw an error during evaluation: {message}"),
            Failure::Bound(message) => format!(" threw an error during evaluation: {message}"),
            Failure::Unsupported => " returned an unsupported result type.".to_owned(),
            Failure::Internal => " threw an internal error during evaluation.".to_owned(),
        }
    }
}

/// An expression as the engine runs it.
#[derive(Debug)]
pub(super) struct Program {
    tree: AstNode,
    analysis: Analysis,
    guarded: bool,
    /// Whether sequences know more than their elements.
    tuples: bool,
    /// Whether the regular expressions are more than may be matched.
    regexes_too_large: bool,
}

impl Program {
    /// Prepares `tree`.
    pub(super) fn new(mut tree: AstNode, analysis: Analysis) -> Self {
        adapt(&mut tree);
        let regexes_too_large = guard::regex_states(&mut tree) > regex::STATES_MAX;
        let tuples = guard::makes_tuples(&mut tree);
        let guarded = guard::weave(&mut tree);
        Program { tree, analysis, guarded, tuples, regexes_too_large }
    }

    /// Evaluates; `None` is JSONata's undefined.
    pub(super) fn evaluate(&self, environment: &dyn Environment) -> Result<Option<Value>, Failure> {
        let bind = |context: &mut Context, exact: &mut Exact| {
            for (name, need) in &self.analysis.needs {
                if name == "states" {
                    context.bind(name.clone(), states(environment, need, exact));
                } else if let Some(value) = environment.variable(name) {
                    context.bind(name.clone(), to_engine(value, need, exact));
                }
            }
            JValue::Undefined
        };
        let mut limits = Limits::default();
        let Some(effort) = environment.effort() else {
            return self.run(&bind, environment.entropy(), &limits).map(|out| out.map(|(value, _)| value));
        };
        let left = effort.time_left();
        limits.timeout_ms = limits.timeout_ms.min(u64::try_from(left.as_millis()).unwrap_or(0));
        if limits.timeout_ms == 0 {
            return Err(Failure::Bound(message::TOO_LONG));
        }
        let began = measured();
        let out = self.run(&bind, environment.entropy(), &limits);
        effort.spend_time(began.elapsed());
        match out? {
            Some((_, bytes)) if !effort.make(bytes) => Err(Failure::Bound(message::TOO_LARGE)),
            out => Ok(out.map(|(value, _)| value)),
        }
    }

    /// Evaluates what `bind` binds, with the context item it returns.
    fn run(
        &self,
        bind: &dyn Fn(&mut Context, &mut Exact) -> JValue,
        entropy: &Entropy,
        limits: &Limits,
    ) -> Result<Option<(Value, usize)>, Failure> {
        if self.regexes_too_large {
            return Err(Failure::Bound(message::TOO_LARGE));
        }
        let seed = if functions::need_chance(&self.analysis.functions) { entropy.bits_128() } else { 0 };
        let sources = |exact| Sources::new(seed, entropy.now_ms, exact);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            self.attempt(&self.tree, bind, &sources, limits, None).map_err(|error| match error {
                Raised::Failure(failure) => failure,
                Raised::Thrown { code, words } if message::wants_marks(&code) => {
                    let marked = self.diagnose(bind, &sources, limits, &code);
                    Failure::Thrown(format!("{code}: {}", message::worded(&code, &words, marked.as_ref())))
                }
                Raised::Thrown { code, words } => {
                    Failure::Thrown(format!("{code}: {}", message::worded(&code, &words, None)))
                }
            })
        }));
        caught.unwrap_or(Err(Failure::Internal))
    }

    fn attempt(
        &self,
        tree: &AstNode,
        bind: &dyn Fn(&mut Context, &mut Exact) -> JValue,
        sources: &dyn Fn(Rc<RefCell<Exact>>) -> Rc<Sources>,
        limits: &Limits,
        marks: Option<&Marks>,
    ) -> Result<Option<(Value, usize)>, Raised> {
        let limits = &match self.tuples {
            true => Limits {
                sequence: TUPLES_MAX.min(limits.sequence),
                timeout_ms: TUPLES_MS_MAX.min(limits.timeout_ms),
                ..limits.clone()
            },
            false => limits.clone(),
        };
        let exact = Rc::new(RefCell::new(Exact::default()));
        let mut context = Context::new();
        let input = bind(&mut context, &mut exact.borrow_mut());
        let mut evaluator = Evaluator::with_options(context, limits.options());
        functions::register(&mut evaluator, &self.analysis.functions, sources(Rc::clone(&exact)));
        if self.guarded {
            functions::register_guards(&mut evaluator);
        }
        if let Some(marks) = marks {
            functions::register_marks(&mut evaluator, Rc::clone(marks));
        }
        let value = evaluator.evaluate(tree, &input).map_err(|error| Raised::from(&error))?;
        from_engine_weighed(&value, &exact.borrow()).map_err(Raised::Failure)
    }

    /// Where the error `code` comes from.
    fn diagnose(
        &self,
        bind: &dyn Fn(&mut Context, &mut Exact) -> JValue,
        sources: &dyn Fn(Rc<RefCell<Exact>>) -> Rc<Sources>,
        limits: &Limits,
        code: &str,
    ) -> Option<Marked> {
        let mut tree = self.tree.clone();
        diagnose::put_marks(&mut tree);
        let marks = Marks::default();
        // Marks nest: what they stand before is one level deeper.
        let timeout_ms = limits.timeout_ms.min(DIAGNOSIS_MS_MAX);
        let limits = Limits { depth: limits.depth * 3, timeout_ms, ..limits.clone() };
        match self.attempt(&tree, bind, sources, &limits, Some(&marks)) {
            Err(Raised::Thrown { code: again, .. }) if again == code => Some(marks.take()),
            _ => None,
        }
    }
}

/// The engine bounds its evaluations by the machine's clock, and so are they counted. No result has anything of it.
#[expect(
    clippy::disallowed_methods,
    reason = "how long evaluations take decides only whether they are given up"
)]
fn measured() -> std::time::Instant {
    std::time::Instant::now()
}

/// An error as the engine raises it.
enum Raised {
    Thrown { code: String, words: String },
    Failure(Failure),
}

impl From<&EvaluatorError> for Raised {
    fn from(error: &EvaluatorError) -> Self {
        let message = error.message().trim_start_matches("Signature validation failed: ");
        let Some(code) = error_code_prefix(message) else {
            return Raised::Failure(Failure::Uncoded(message.to_owned()));
        };
        match message::bound(code) {
            Some(bound) => Raised::Failure(Failure::Bound(bound)),
            None => {
                let words = message[code.len() + 1..].trim_start().to_owned();
                Raised::Thrown { code: code.to_owned(), words }
            }
        }
    }
}

static WHOLE: Need = Need::WHOLE;

/// The needed part of `$states`.
fn states(environment: &dyn Environment, need: &Need, exact: &mut Exact) -> JValue {
    let mut members = IndexMap::new();
    for (name, value) in members_of_states(environment, &|name| need_of(need, name).is_some()) {
        if let Some(need) = need_of(need, name) {
            members.insert(name.to_owned(), to_engine(value, need, exact));
        }
    }
    JValue::object(members)
}

fn need_of<'n>(need: &'n Need, member: &str) -> Option<&'n Need> {
    if need.whole {
        return Some(&WHOLE);
    }
    need.members.get(member)
}

/// What `$states` holds at this stage, in AWS's order; a member that is not `wanted` is not even asked for.
fn members_of_states<'e>(
    environment: &'e dyn Environment,
    wanted: &dyn Fn(&str) -> bool,
) -> Vec<(&'static str, &'e Value)> {
    let mut members = Vec::new();
    if wanted("input") {
        members.push(("input", environment.input()));
    }
    if wanted("context") {
        members.push(("context", environment.context()));
    }
    if wanted("result") {
        members.extend(environment.result().map(|value| ("result", value)));
    }
    if wanted("errorOutput") {
        members.extend(environment.error_output().map(|value| ("errorOutput", value)));
    }
    members
}

/// `$states` as one value.
pub(super) fn states_value(environment: &dyn Environment) -> Value {
    let members = members_of_states(environment, &|_| true);
    Value::object(members.into_iter().map(|(name, value)| (name.into(), value.clone())).collect::<Map>())
}

/// Evaluates plain JSONata with an input as its context item and without AWS's refusals, for the public test suite.
///
/// `bounds` are milliseconds of time and levels of nesting; the clock stands at `now_ms`. The error is the message, behind
/// its code where it has one.
#[doc(hidden)]
pub fn evaluate_bare(
    text: &str,
    input: Option<&Value>,
    bindings: &[(String, Value)],
    bounds: (u64, usize),
    now_ms: i64,
) -> Result<Option<Value>, String> {
    let tree = match syntax::parse_coded(text)? {
        Some(tree) => tree,
        None => return Err(message::TOO_DEEP.to_owned()),
    };
    let analysis = Analysis::of(&tree);
    let program = Program::new(tree, analysis);
    let bind = |context: &mut Context, exact: &mut Exact| {
        for (name, value) in bindings {
            context.bind(name.clone(), to_engine(value, &WHOLE, exact));
        }
        input.map_or(JValue::Undefined, |value| to_engine(value, &WHOLE, exact))
    };
    let limits = Limits { timeout_ms: bounds.0, depth: bounds.1, ..Limits::default() };
    let out = program.run(&bind, &Entropy::new(0, now_ms), &limits);
    out.map(|out| out.map(|(value, _)| value)).map_err(|failure| match failure {
        Failure::Thrown(message) | Failure::Uncoded(message) => message,
        Failure::Bound(message) => message.to_owned(),
        Failure::Unsupported => "unsupported".to_owned(),
        Failure::Internal => "internal".to_owned(),
    })
}
