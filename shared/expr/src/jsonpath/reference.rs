//! Reference Paths: paths of names and indexes, which `ResultPath` writes to (ASL: Reference Paths).

use std::sync::Arc;

use crate::json::Map;
use crate::{CompileError, Value};

/// A Reference Path: a path to one place only, which `ResultPath` writes to.
#[derive(Debug, Clone)]
pub struct ReferencePath {
    text: Arc<str>,
    steps: Arc<[Step]>,
}

#[derive(Debug)]
enum Step {
    Name(Arc<str>),
    Index(usize),
}

/// Steps that `insert` follows. A payload cannot be deeper.
const STEPS_MAX: usize = crate::json::DEPTH_MAX;

impl ReferencePath {
    /// Compiles a path of names and indexes.
    ///
    /// # Errors
    /// [`CompileError`] where the path is no Reference Path.
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        parse(text).map(|steps| ReferencePath { text: text.into(), steps: steps.into() }).map_err(|reason| {
            CompileError {
                message: format!("Value is not a Reference Path: {reason}"),
                pointer: String::new(),
            }
        })
    }

    /// The path as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether this is `$`, which replaces the whole.
    pub fn is_root(&self) -> bool {
        self.steps.is_empty()
    }

    /// `input` with `result` put where the path leads; objects that are missing on the way are made.
    ///
    /// # Errors
    /// The reason, as AWS words it, where the path runs into a value that is no object, or beyond the end of an array
    /// (`States.ReferencePathConflict`).
    pub fn insert(&self, input: &Value, result: Value) -> Result<Value, String> {
        let mut output = input.clone();
        match self.place(&mut output) {
            Ok(place) => *place = result,
            Err(0) => return Err(format!("Unable to apply ReferencePath {} to input {input}", self.text)),
            Err(at) => {
                let step = match &self.steps[at - 1] {
                    Step::Name(name) => name.to_string(),
                    Step::Index(index) => index.to_string(),
                };
                return Err(format!("Unable to apply step \"{step}\" to input {input}"));
            }
        }
        Ok(output)
    }

    /// Where the path leads in `value`, which is copied on the way where others share it; or the step that cannot be
    /// taken from where it stands.
    fn place<'a>(&self, value: &'a mut Value) -> Result<&'a mut Value, usize> {
        let mut place = value;
        let mut made = false;
        for (at, step) in self.steps.iter().enumerate() {
            if made {
                *place = Value::object(Map::new());
            }
            place = match (step, place) {
                (Step::Name(name), Value::Object(map)) => {
                    let map = Arc::make_mut(map);
                    made = !map.contains_key(name);
                    if made {
                        map.insert(name.clone(), Value::Null);
                    }
                    map.get_mut(name).ok_or(at)?
                }
                (Step::Index(index), Value::Array(items)) => {
                    Arc::make_mut(items).get_mut(*index).ok_or(at)?
                }
                _ => return Err(at),
            };
        }
        Ok(place)
    }
}

fn parse(text: &str) -> Result<Vec<Step>, String> {
    let mut rest = text.strip_prefix('$').ok_or("Reference path didn't start with '$'")?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let (step, behind) = match rest.as_bytes()[0] {
            b'.' => name(&rest[1..])?,
            b'[' => bracket(&rest[1..])?,
            _ => return Err(format!("Unexpected character at position {}", text.len() - rest.len())),
        };
        steps.push(step);
        rest = behind;
        if steps.len() > STEPS_MAX {
            return Err(format!("Reference path has more than {STEPS_MAX} steps"));
        }
    }
    Ok(steps)
}

fn name(rest: &str) -> Result<(Step, &str), String> {
    if let Some(rest) = rest.strip_prefix('[') {
        return bracket(rest);
    }
    let (name, behind) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
    if name.is_empty() {
        return Err("'.' must be followed by a name".to_owned());
    }
    match name
        .chars()
        .find(|char| matches!(char, ' ' | '*' | '@' | '?' | ':' | ',' | '(' | ')' | ']' | '\'' | '"'))
    {
        Some(char) => Err(format!("Illegal character '{char}' in a name")),
        None => Ok((Step::Name(name.into()), behind)),
    }
}

fn bracket(rest: &str) -> Result<(Step, &str), String> {
    if let Some(quote) = rest.chars().next().filter(|char| matches!(char, '\'' | '"')) {
        let quoted = &rest[1..];
        let mut end = 0;
        loop {
            match quoted.as_bytes().get(end) {
                None => return Err(format!("missing closing {quote}")),
                Some(b'\\') => end += 2,
                Some(byte) if *byte == quote as u8 => break,
                Some(_) => end += 1,
            }
        }
        let behind =
            quoted[end + 1..].strip_prefix(']').ok_or_else(|| format!("{quote} must be followed by ']'"))?;
        return Ok((Step::Name(super::parser::unescape(&quoted[..end]).into()), behind));
    }
    let (digits, behind) = rest.split_once(']').ok_or("'[' without ']'")?;
    match digits.parse() {
        Ok(index) if digits.bytes().all(|b| b.is_ascii_digit()) => Ok((Step::Index(index), behind)),
        _ => Err("'[' must be followed by ' or '['".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn check(path: &str, input: &str, expected: &str) {
        let path = ReferencePath::compile(path).unwrap();
        let output = path.insert(&parse(input).unwrap(), parse("9").unwrap());
        assert_eq!(output.map_or_else(|error| error, |value| value.to_json()), expected, "{}", path.text());
    }

    #[test]
    fn a_result_goes_where_the_path_leads() {
        check("$", r#"{"a":1}"#, "9");
        check("$.b", r#"{"a":1}"#, r#"{"a":1,"b":9}"#);
        check("$.a", r#"{"a":1,"b":2}"#, r#"{"a":9,"b":2}"#);
        check("$.a.b.c", "{}", r#"{"a":{"b":{"c":9}}}"#);
        check("$['a b'].c", r#"{"a b":{"d":1}}"#, r#"{"a b":{"d":1,"c":9}}"#);
        check("$.a[1]", r#"{"a":[1,2,3]}"#, r#"{"a":[1,9,3]}"#);
        check("$.a[0].b", r#"{"a":[{}]}"#, r#"{"a":[{"b":9}]}"#);
        check("$[0]", "[1]", "[9]");
        check("$.a-b", "{}", r#"{"a-b":9}"#);
        check("$.a['b\\'c']", "{}", r#"{"a":{"b'c":9}}"#);
    }

    #[test]
    fn a_path_into_a_value_of_another_kind_is_refused() {
        check("$.a", "\"text\"", "Unable to apply ReferencePath $.a to input \"text\"");
        check("$.a.b", r#"{"a":1}"#, r#"Unable to apply step "a" to input {"a":1}"#);
        check("$.a[3]", r#"{"a":[1]}"#, r#"Unable to apply step "a" to input {"a":[1]}"#);
        check("$.a[0]", "{}", "Unable to apply step \"a\" to input {}");
        check("$.b.a[0]", "{}", "Unable to apply step \"a\" to input {}");
        check("$.a.b", r#"{"a":null}"#, r#"Unable to apply step "a" to input {"a":null}"#);
    }

    #[test]
    fn the_input_is_left_alone() {
        let input = parse(r#"{"a":{"b":1},"c":[1]}"#).unwrap();
        let output = ReferencePath::compile("$.a.b").unwrap().insert(&input, Value::Null).unwrap();
        assert_eq!(output.to_json(), r#"{"a":{"b":null},"c":[1]}"#);
        assert_eq!(input.to_json(), r#"{"a":{"b":1},"c":[1]}"#);
    }

    #[test]
    fn only_names_and_indexes_make_a_reference_path() {
        let refused = |path: &str| ReferencePath::compile(path).unwrap_err().message;
        assert_eq!(refused("a.b"), "Value is not a Reference Path: Reference path didn't start with '$'");
        assert_eq!(refused("$[x]"), "Value is not a Reference Path: '[' must be followed by ' or '['");
        for path in [
            "",
            "$.",
            "$..a",
            "$.*",
            "$[*]",
            "$.a[0:1]",
            "$.a[?(@.b)]",
            "$.a[-1]",
            "$a",
            "$$.a",
            "$.a b",
            "$['a",
            "$['a\\",
            "$[0",
            "$.a[0,1]",
            "$['a','b']",
            "$.é(",
            "$[99999999999999999999]",
        ] {
            assert!(ReferencePath::compile(path).is_err(), "{path}");
        }
        assert!(ReferencePath::compile(&format!("${}", ".a".repeat(500_000))).is_err());
    }
}
