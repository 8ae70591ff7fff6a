//! The intrinsic functions `States.*` (ASL: Intrinsic Functions).
//!
//! Compiled once: literals are values, `States.Format`'s template is split, argument paths are parsed. What AWS
//! answers where the documentation is silent (which arguments are rounded and which truncated, in which order sets
//! and maps come back) is the Java that shows through; see `java`.

mod array;
mod encoding;
mod format;
pub(crate) mod hash;
mod json;
mod math;
mod parser;
mod string;
mod uuid;

use std::sync::Arc;

use crate::json::write_value_within;
use crate::{CompileError, Environment, EvalError, PathExpression, Value};

/// Calls that may stand inside one another (AWS's limit).
pub const NESTING_MAX: usize = 10;
/// Characters that `States.Base64Encode`, `States.Base64Decode` and `States.Hash` take.
pub const CHARACTERS_MAX: usize = 10_000;
/// Items that `States.ArrayRange` makes.
pub const RANGE_ITEMS_MAX: usize = 1_000;

/// Bytes of a text that a function makes. A state may pass on 256 KiB; what a function makes may be cut down by another.
pub const TEXT_BYTES_MAX: usize = 8 << 20;

/// A compiled call of an intrinsic function.
#[derive(Debug, Clone)]
pub struct Intrinsic(Arc<Call>);

#[derive(Debug)]
struct Call {
    function: Function,
    /// The call as it was written.
    text: Box<str>,
    arguments: Box<[Argument]>,
}

#[derive(Debug)]
enum Argument {
    /// A literal; a string also has its `States.Format` pieces, or why it has none.
    Literal(Value, Option<Result<format::Template, String>>),
    Path(PathExpression),
    Call(Call),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Format,
    StringToJson,
    JsonToString,
    Array,
    ArrayPartition,
    ArrayContains,
    ArrayRange,
    ArrayGetItem,
    ArrayLength,
    ArrayUnique,
    Base64Encode,
    Base64Decode,
    Hash,
    JsonMerge,
    MathRandom,
    MathAdd,
    StringSplit,
    Uuid,
}

/// Why a function gives no value: what follows `Invalid arguments in States.X`, or a text of its own.
enum Refusal {
    Arguments,
    Text(String),
    /// The result would be longer than [`TEXT_BYTES_MAX`], or all results of the state than [`crate::Effort::BYTES_MAX`].
    TooLarge,
}

type Outcome = Result<Value, Refusal>;

impl Intrinsic {
    /// Whether `text` looks like a call, so that a path's messages would not fit it.
    pub fn is_call(text: &str) -> bool {
        text.starts_with("States.")
    }

    /// Compiles a call such as `States.Format('{}', $.name)`.
    ///
    /// # Errors
    /// [`CompileError`] where it is none, names no function that exists, or nests more than [`NESTING_MAX`] calls.
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        parser::parse(text)
            .map(|call| Intrinsic(Arc::new(call)))
            .map_err(|message| CompileError { message, pointer: String::new() })
    }

    /// The call as it was written.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Calls the function.
    ///
    /// # Errors
    /// `States.Runtime`, as AWS answers for every failing intrinsic function.
    pub fn evaluate(&self, environment: &dyn Environment) -> Result<Value, EvalError> {
        self.0.evaluate(environment, &self.0)
    }

    /// Names of the workflow variables among the arguments, in order of first appearance.
    pub fn variables(&self) -> Vec<String> {
        let mut names = Vec::new();
        self.0.variables(&mut names);
        names
    }
}

impl Call {
    fn evaluate(&self, environment: &dyn Environment, whole: &Call) -> Result<Value, EvalError> {
        let mut values = Vec::with_capacity(self.arguments.len());
        for argument in &self.arguments {
            values.push(argument.evaluate(environment, whole)?);
        }
        let made = self.function.call(&values, &self.arguments, environment).and_then(|value| {
            let fits = environment.effort().is_none_or(|effort| effort.make(weight(&value)));
            if fits { Ok(value) } else { Err(Refusal::TooLarge) }
        });
        made.map_err(|refusal| {
            let reason = match refusal {
                Refusal::Arguments => format!("Invalid arguments in {}", self.function.name()),
                Refusal::Text(text) => text,
                Refusal::TooLarge => {
                    format!("The result of {} is larger than what a state may make.", self.function.name())
                }
            };
            EvalError::runtime(format!(
                "There was an error while evaluating the intrinsic function: {}. {reason}",
                self.text
            ))
        })
    }

    fn variables(&self, names: &mut Vec<String>) {
        for argument in &self.arguments {
            match argument {
                Argument::Path(PathExpression::Variable(name, _))
                    if !names.iter().any(|known| **known == **name) =>
                {
                    names.push(name.to_string());
                }
                Argument::Call(call) => call.variables(names),
                _ => {}
            }
        }
    }
}

impl Argument {
    fn evaluate(&self, environment: &dyn Environment, whole: &Call) -> Result<Value, EvalError> {
        let path = match self {
            Argument::Literal(value, _) => return Ok(value.clone()),
            Argument::Call(call) => return call.evaluate(environment, whole),
            Argument::Path(path) => path,
        };
        path.argument(environment).unwrap_or(Ok(Value::Null)).map_err(|nothing| {
            // AWS names a path of the Context object as if it began at `$`, and shows the state's input all the same.
            let shown = match path {
                PathExpression::Context(path) => &path.text()[1..],
                path => path.text(),
            };
            let reason = match nothing.is_exhausted || nothing.message.starts_with("Filter: ") {
                true => nothing.message,
                false => format!(
                    "The JsonPath argument for the field '{shown}' could not be found in the input '{}'",
                    environment.input().shown()
                ),
            };
            EvalError::runtime(format!("The function '{}' had the following error: {reason}", whole.text))
        })
    }

    /// Whether the value is one that AWS holds as a JSON node, and prints as JSON.
    fn is_node(&self) -> bool {
        matches!(self, Argument::Call(call) if call.function == Function::StringToJson)
    }
}

impl Function {
    fn call(self, values: &[Value], arguments: &[Argument], environment: &dyn Environment) -> Outcome {
        let bytes_max = environment.effort().map_or(TEXT_BYTES_MAX, |e| e.bytes_left().min(TEXT_BYTES_MAX));
        match (self, values) {
            (Function::Format, [template, rest @ ..]) => {
                let ready = match &arguments[0] {
                    Argument::Literal(_, ready) => ready.as_ref(),
                    _ => None,
                };
                let nodes = arguments[1..].iter().map(Argument::is_node);
                format::format(template, ready, rest.iter().zip(nodes), bytes_max)
            }
            (Function::StringToJson, [text]) => json::string_to_json(text),
            (Function::JsonToString, [value]) => {
                let mut text = String::new();
                match write_value_within(value, &mut text, bytes_max) {
                    true => Ok(text.into()),
                    false => Err(Refusal::TooLarge),
                }
            }
            (Function::Array, items) => Ok(Value::array(items.to_vec())),
            (Function::ArrayPartition, [array, size]) => array::partition(array, size),
            (Function::ArrayContains, [array, item]) => array::contains(array, item),
            (Function::ArrayRange, [first, last, step]) => array::range(first, last, step),
            (Function::ArrayGetItem, [array, index]) => array::item(array, index),
            (Function::ArrayLength, [array]) => array::length(array),
            (Function::ArrayUnique, [array]) => array::unique(array),
            (Function::Base64Encode, [text]) => encoding::encode(text),
            (Function::Base64Decode, [text]) => encoding::decode(text),
            (Function::Hash, [data, algorithm]) => hash::hash(data, algorithm),
            (Function::JsonMerge, [first, second, deep]) => json::merge(first, second, deep),
            (Function::MathRandom, [first, end]) => math::random(first, end, None, environment.entropy()),
            (Function::MathRandom, [first, end, seed]) => {
                math::random(first, end, Some(seed), environment.entropy())
            }
            (Function::MathAdd, [left, right]) => math::add(left, right),
            (Function::StringSplit, [text, separators]) => string::split(text, separators),
            (Function::Uuid, []) => Ok(uuid::uuid(environment.entropy())),
            _ => Err(Refusal::Arguments),
        }
    }

    fn name(self) -> &'static str {
        FUNCTIONS.iter().find(|(_, function)| *function == self).map_or("", |(name, _)| name)
    }

    fn named(name: &str) -> Option<Self> {
        FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, function)| *function)
    }
}

const FUNCTIONS: [(&str, Function); 18] = [
    ("States.Format", Function::Format),
    ("States.StringToJson", Function::StringToJson),
    ("States.JsonToString", Function::JsonToString),
    ("States.Array", Function::Array),
    ("States.ArrayPartition", Function::ArrayPartition),
    ("States.ArrayContains", Function::ArrayContains),
    ("States.ArrayRange", Function::ArrayRange),
    ("States.ArrayGetItem", Function::ArrayGetItem),
    ("States.ArrayLength", Function::ArrayLength),
    ("States.ArrayUnique", Function::ArrayUnique),
    ("States.Base64Encode", Function::Base64Encode),
    ("States.Base64Decode", Function::Base64Decode),
    ("States.Hash", Function::Hash),
    ("States.JsonMerge", Function::JsonMerge),
    ("States.MathRandom", Function::MathRandom),
    ("States.MathAdd", Function::MathAdd),
    ("States.StringSplit", Function::StringSplit),
    ("States.UUID", Function::Uuid),
];

/// About how many bytes of memory a function's result takes that its arguments did not.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => 32 * items.len(),
        Value::Object(map) => 32 * map.len(),
        _ => 0,
    }
}

/// The text of an argument that must be a string of at most [`CHARACTERS_MAX`] characters.
fn short_text(value: &Value) -> Result<&str, Refusal> {
    let text = value.as_str().ok_or(Refusal::Arguments)?;
    if text.len() > CHARACTERS_MAX && text.encode_utf16().count() > CHARACTERS_MAX {
        return Err(Refusal::Arguments);
    }
    Ok(text)
}

/// An argument that is a number, its fraction cut off. Only `States.MathAdd` rounds.
fn truncated(value: &Value) -> Result<i32, Refusal> {
    let number = value.as_number().ok_or(Refusal::Arguments)?;
    let cut = number.as_i64().map_or_else(|| number.as_f64().trunc(), |value| value as f64);
    let fits = (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&cut);
    if fits { Ok(cut as i32) } else { Err(Refusal::Arguments) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Entropy;
    use crate::json::parse;

    /// An environment with an input and nothing else.
    pub(crate) struct Given {
        pub(crate) input: Value,
        pub(crate) context: Value,
        pub(crate) variables: Value,
        pub(crate) entropy: Entropy,
    }

    impl Given {
        pub(crate) fn new(input: &str) -> Self {
            Given {
                input: parse(input).unwrap(),
                context: parse(r#"{"Execution":{"Name":"e-1"},"State":{"Name":"S"}}"#).unwrap(),
                variables: parse(r#"{"count":3,"name":"Ann","obj":{"a":[7]}}"#).unwrap(),
                entropy: Entropy::new(7, 0),
            }
        }
    }

    impl Environment for Given {
        fn input(&self) -> &Value {
            &self.input
        }
        fn context(&self) -> &Value {
            &self.context
        }
        fn variable(&self, name: &str) -> Option<&Value> {
            self.variables.get(name)
        }
        fn entropy(&self) -> &Entropy {
            &self.entropy
        }
    }

    /// Checks that `call` on `input` gives `expected`: JSON, or the text of the error.
    pub(crate) fn check(call: &str, input: &str, expected: &str) {
        let given = Given::new(input);
        let result = match Intrinsic::compile(call) {
            Ok(intrinsic) => intrinsic.evaluate(&given).map(|value| value.to_json()),
            Err(error) => Err(EvalError::runtime(error.message)),
        };
        assert_eq!(result.unwrap_or_else(|error| error.message), expected, "{call} on {input}");
    }

    /// Checks that `call` on `input` is refused for its arguments.
    pub(crate) fn refused(call: &str, input: &str) {
        let name = call.split('(').next().unwrap();
        let text = format!(
            "There was an error while evaluating the intrinsic function: {call}. Invalid arguments in {name}"
        );
        check(call, input, &text);
    }

    #[test]
    fn arguments_come_from_the_input_the_context_and_variables() {
        check("States.Array($.a, $$.Execution.Name, $count, $obj.a[0])", r#"{"a":1}"#, r#"[1,"e-1",3,7]"#);
        check("States.Array( 'x',-1 ,2.50, true,false , null)", "{}", r#"["x",-1,2.50,true,false,null]"#);
        check("States.Array()", "{}", "[]");
        check("States.ArrayLength($)", "[1,2]", "2");
        check("States.ArrayLength($.a[*].b)", r#"{"a":[1,2]}"#, "0");
        check(
            "States.Array($['a,b)'], $.c[?(@.d == ')')])",
            r#"{"a,b)":1,"c":[{"d":")"}]}"#,
            r#"[1,[{"d":")"}]]"#,
        );
    }

    #[test]
    fn an_argument_that_is_not_there_is_named() {
        let text = |call: &str, path: &str, input: &str| {
            format!(
                "The function '{call}' had the following error: The JsonPath argument for the field '{path}' could not \
                 be found in the input '{input}'"
            )
        };
        for (call, path, input) in [
            ("States.Format('{}',$.nope)", "$.nope", r#"{"other":1}"#),
            ("States.Format('{}', States.ArrayLength($.a.b))", "$.a.b", "{}"),
            ("States.Array($$.Nope.Deep)", "$.Nope.Deep", r#"{"other":1}"#),
            ("States.Array($.items[5])", "$.items[5]", r#"{"items":[1,2]}"#),
            ("States.Array($nope.x)", "$nope.x", "{}"),
        ] {
            check(call, input, &text(call, path, input));
        }
        check(
            "States.Array($.a[0])",
            r#"{"a":1}"#,
            "The function 'States.Array($.a[0])' had the following error: Filter: [0] can only be applied to arrays. \
             Current context is: 1",
        );
    }

    #[test]
    fn the_wrong_number_of_arguments_is_refused_when_called() {
        for (name, _) in
            FUNCTIONS.iter().filter(|(_, function)| !matches!(function, Function::Array | Function::Format))
        {
            refused(&format!("{name}(1, 2, 3, 4)"), "{}");
        }
        refused("States.Format()", "{}");
        refused("States.ArrayLength()", "{}");
    }

    #[test]
    fn failures_are_states_runtime() {
        let given = Given::new("{}");
        for call in ["States.ArrayLength(1)", "States.ArrayLength($.x)"] {
            assert_eq!(
                Intrinsic::compile(call).unwrap().evaluate(&given).unwrap_err().error,
                "States.Runtime"
            );
        }
    }

    #[test]
    fn variables_are_listed_in_order() {
        let call = Intrinsic::compile("States.Array($b.x, $a, States.Array($c, $b, $.d, $$.e))").unwrap();
        assert_eq!(call.variables(), ["b", "a", "c"]);
    }
}
