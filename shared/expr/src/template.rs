//! Payload templates: JSON with expressions in it.

use std::sync::Arc;

use crate::json::Map;
use crate::jsonata::Expression;
use crate::{CompileError, Environment, EvalError, PathExpression, QueryLanguage, Value, java};

/// A compiled payload template: `Parameters`, `ResultSelector`, `ItemSelector`, `Assign`, `Arguments`, `Output` ….
///
/// In JSONPath, members whose names end in `.$` are expressions; in JSONata, strings of the form `{% … %}` are.
/// Parts without expressions are values ready for use.
#[derive(Debug)]
pub struct Template(Node);

/// Bytes that a template's result or an indefinite path's may have, escapes not counted. What a state passes on has at most 256 KiB; what
/// one field gives may be cut down by the next, and here is as much as JSONata's values may be.
pub const RESULT_BYTES_MAX: usize = 7 << 20;

#[derive(Debug)]
enum Node {
    Constant(Value),
    /// The member's name as it was written, such as `value.$`.
    Path(Arc<str>, PathExpression),
    /// The place below the field, such as `/a/b[0]`.
    Jsonata(Box<str>, Expression),
    Array(Box<[Node]>),
    /// In the order of the result.
    Object(Box<[(Arc<str>, Node)]>),
}

/// Arrays and objects that may stand inside one another in a template. (What its expressions give may be deeper.)
const DEPTH_MAX: usize = 200;

impl Template {
    /// Compiles `value` as the language has it.
    ///
    /// # Errors
    /// All mistakes, each with its place: in JSONPath that of the object around the member, as AWS reports it.
    pub fn compile(value: &Value, language: QueryLanguage) -> Result<Self, Vec<CompileError>> {
        if value.depth(DEPTH_MAX + 1) > DEPTH_MAX {
            let message = format!("A payload template can be nested at most {DEPTH_MAX} levels deep");
            return Err(vec![CompileError { message, pointer: String::new() }]);
        }
        let mut compiler =
            Compiler { language, pointer: String::new(), place: String::new(), errors: Vec::new() };
        let node = compiler.node(value);
        if compiler.errors.is_empty() { Ok(Template(node)) } else { Err(compiler.errors) }
    }

    /// The value, where the template has no expressions.
    pub fn constant(&self) -> Option<&Value> {
        if let Node::Constant(value) = &self.0 { Some(value) } else { None }
    }

    /// The expression's text, where the template is one JSONata expression and nothing around it.
    pub fn expression(&self) -> Option<&str> {
        if let Node::Jsonata(_, expression) = &self.0 { Some(expression.text()) } else { None }
    }

    /// Evaluates for the field `field` (`Parameters`, `Output` …; deeper places are added to it in messages).
    ///
    /// # Errors
    /// The first that an expression gives.
    /// `States.DataLimitExceeded` where all of them together give more than [`RESULT_BYTES_MAX`].
    pub fn evaluate(&self, environment: &dyn Environment, field: &str) -> Result<Value, EvalError> {
        let value = self.0.evaluate(environment, field)?;
        if matches!(self.0, Node::Constant(_)) || value.is_within(RESULT_BYTES_MAX) {
            return Ok(value);
        }
        Err(EvalError::too_large())
    }

    /// Names of the workflow variables that the template reads, without `$`, in order of first appearance.
    pub fn variables(&self) -> Vec<String> {
        let mut names = Vec::new();
        self.0.variables(&mut names);
        names
    }

    /// Where, below the field, JSONata expressions read `$states.errorOutput`, such as `/a/b[0]`: outside a Catcher the
    /// definition is refused ([`Expression::NO_ERROR_OUTPUT`]).
    pub fn reads_error_output(&self) -> Vec<&str> {
        let mut places = Vec::new();
        self.0.reads_error_output(&mut places);
        places
    }
}

impl Node {
    fn evaluate(&self, environment: &dyn Environment, field: &str) -> Result<Value, EvalError> {
        match self {
            Node::Constant(value) => Ok(value.clone()),
            Node::Path(name, expression) => expression.evaluate(environment, name),
            Node::Jsonata(place, expression) if place.is_empty() => expression.evaluate(environment, field),
            Node::Jsonata(place, expression) => expression.evaluate(environment, &format!("{field}{place}")),
            Node::Array(items) => {
                let items: Result<Vec<Value>, EvalError> =
                    items.iter().map(|item| item.evaluate(environment, field)).collect();
                items.map(Value::array)
            }
            Node::Object(members) => {
                let mut map = Map::with_capacity(members.len());
                for (name, member) in members {
                    map.insert(name.clone(), member.evaluate(environment, field)?);
                }
                Ok(Value::object(map))
            }
        }
    }

    fn variables(&self, names: &mut Vec<String>) {
        let found = match self {
            Node::Constant(_) => return,
            Node::Path(_, expression) => expression.variables(),
            Node::Jsonata(_, expression) => expression.variables(),
            Node::Array(items) => return items.iter().for_each(|item| item.variables(names)),
            Node::Object(members) => return members.iter().for_each(|(_, member)| member.variables(names)),
        };
        for name in found {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }

    fn reads_error_output<'a>(&'a self, places: &mut Vec<&'a str>) {
        match self {
            Node::Jsonata(place, expression) if expression.reads_error_output() => places.push(place),
            Node::Array(items) => items.iter().for_each(|item| item.reads_error_output(places)),
            Node::Object(members) => members.iter().for_each(|(_, member)| member.reads_error_output(places)),
            Node::Constant(_) | Node::Path(..) | Node::Jsonata(..) => {}
        }
    }

    fn is_constant(&self) -> bool {
        matches!(self, Node::Constant(_))
    }
}

struct Compiler {
    language: QueryLanguage,
    /// Where we are, as a JSON pointer, and as AWS names places below a field.
    pointer: String,
    place: String,
    errors: Vec<CompileError>,
}

impl Compiler {
    fn node(&mut self, value: &Value) -> Node {
        match value {
            Value::Array(items) => self.array(value, items),
            Value::Object(map) if self.language == QueryLanguage::JsonPath => self.path_object(value, map),
            Value::Object(map) => {
                let members: Vec<(Arc<str>, Node)> =
                    map.iter().map(|(name, member)| (name.clone(), self.member(name, member))).collect();
                object(value, members)
            }
            Value::String(text) if self.language == QueryLanguage::Jsonata => self.jsonata(value, text),
            constant => Node::Constant(constant.clone()),
        }
    }

    fn array(&mut self, value: &Value, items: &[Value]) -> Node {
        let items: Vec<Node> = items
            .iter()
            .enumerate()
            .map(|(at, item)| {
                self.within(&format!("/{at}"), &format!("[{at}]"), |compiler| compiler.node(item))
            })
            .collect();
        match items.iter().all(Node::is_constant) {
            true => Node::Constant(value.clone()),
            false => Node::Array(items.into()),
        }
    }

    fn member(&mut self, name: &str, member: &Value) -> Node {
        let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        self.within(&pointer, &format!("/{name}"), |compiler| compiler.node(member))
    }

    fn within<T>(&mut self, pointer: &str, place: &str, run: impl FnOnce(&mut Self) -> T) -> T {
        let (pointer_length, place_length) = (self.pointer.len(), self.place.len());
        self.pointer.push_str(pointer);
        self.place.push_str(place);
        let result = run(self);
        self.pointer.truncate(pointer_length);
        self.place.truncate(place_length);
        result
    }

    /// The members that are no expressions come first, in the template's order, then the expressions in the order of
    /// a `HashMap` of their names without `.$`, as AWS gives them back.
    fn path_object(&mut self, value: &Value, map: &Map) -> Node {
        let mut members = Vec::with_capacity(map.len());
        let mut expressions = Vec::new();
        for (name, member) in map.iter() {
            match name.strip_suffix(".$") {
                None => members.push((name.clone(), self.member(name, member))),
                Some(bare) => match path_expression(name, member) {
                    Ok(expression) => expressions.push((bare, Node::Path(name.clone(), expression))),
                    Err(message) => self.errors.push(CompileError { message, pointer: self.pointer.clone() }),
                },
            }
        }
        let hashes: Vec<i32> = expressions.iter().map(|(bare, _)| java::hash_string(bare)).collect();
        let mut expressions: Vec<Option<(&str, Node)>> = expressions.into_iter().map(Some).collect();
        for at in java::hash_order(&hashes) {
            members.extend(expressions[at].take().map(|(bare, node)| (bare.into(), node)));
        }
        object(value, members)
    }

    fn jsonata(&mut self, value: &Value, text: &str) -> Node {
        let Some(inner) = text.strip_prefix("{%").and_then(|rest| rest.strip_suffix("%}")) else {
            return Node::Constant(value.clone());
        };
        match Expression::compile_all(inner) {
            Ok(expression) => Node::Jsonata(self.place.as_str().into(), expression),
            Err(errors) => {
                let placed = |error: CompileError| CompileError { pointer: self.pointer.clone(), ..error };
                self.errors.extend(errors.into_iter().map(placed));
                Node::Constant(value.clone())
            }
        }
    }
}

fn object(value: &Value, members: Vec<(Arc<str>, Node)>) -> Node {
    match members.iter().all(|(_, member)| member.is_constant()) {
        true => Node::Constant(value.clone()),
        false => Node::Object(members.into()),
    }
}

fn path_expression(name: &str, member: &Value) -> Result<PathExpression, String> {
    let Some(text) = member.as_str() else {
        let kind = member.kind().name().to_ascii_uppercase();
        let article = if kind.starts_with(['A', 'O']) { "an" } else { "a" };
        return Err(format!(
            "The value for the field '{name}' must be a STRING that contains a JSONPath but was {article} {kind}"
        ));
    };
    PathExpression::compile(text).map_err(|_| {
        format!(
            "The value for the field '{name}' must be a valid JSONPath or a valid intrinsic function call"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intrinsic::tests::Given;
    use crate::json::parse;

    fn check(template: &str, input: &str, expected: &str) {
        let template = Template::compile(&parse(template).unwrap(), QueryLanguage::JsonPath).unwrap();
        let result = template.evaluate(&Given::new(input), "Parameters");
        assert_eq!(result.map_or_else(|error| error.message, |value| value.to_json()), expected);
    }

    #[test]
    fn constants_come_first_then_expressions_in_hash_order() {
        check(
            r#"{"encoded.$":"$.a","x":"$.a","decoded.$":"$.b","w":{"q.$":"$.b"}}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"x":"$.a","w":{"q":2},"decoded":2,"encoded":1}"#,
        );
        check(
            r#"{"mergedJson.$":"$","parsedJson.$":"$","stringifiedJson.$":"$"}"#,
            "1",
            r#"{"parsedJson":1,"mergedJson":1,"stringifiedJson":1}"#,
        );
    }

    #[test]
    fn expressions_are_found_in_arrays_and_objects() {
        check(
            r#"[{"a.$":"$.x[0]"},["$.x",{"b":[{"c.$":"$count"}]}]]"#,
            r#"{"x":[5]}"#,
            r#"[{"a":5},["$.x",{"b":[{"c":3}]}]]"#,
        );
        check(r#"{"a.$":"$.x[*].y","n":null}"#, r#"{"x":[{"y":1},{}]}"#, r#"{"n":null,"a":[1]}"#);
        check(r#""$.x""#, "{}", r#""$.x""#);
    }

    #[test]
    fn a_template_without_expressions_is_a_value() {
        let value = parse(r#"{"a":[1,{"b":"$.c"}]}"#).unwrap();
        assert_eq!(Template::compile(&value, QueryLanguage::JsonPath).unwrap().constant(), Some(&value));
        assert_eq!(Template::compile(&value, QueryLanguage::Jsonata).unwrap().constant(), Some(&value));
    }

    #[test]
    fn a_missing_path_names_the_member_only() {
        check(
            r#"{"deep":{"value.$":"$.x"}}"#,
            r#"{"int-literal": 0}"#,
            "The JSONPath '$.x' specified for the field 'value.$' could not be found in the input \
             '{\"int-literal\":0}'",
        );
    }

    #[test]
    fn all_mistakes_are_listed_with_their_places() {
        let template =
            parse(r#"{"a.$":"Test","b":[{"c/d":{"e.$":["x"],"f.$":"$.ok","g.$":"States.No()"}}],"n.$":1}"#)
                .unwrap();
        let errors = Template::compile(&template, QueryLanguage::JsonPath).unwrap_err();
        let errors: Vec<(&str, &str)> =
            errors.iter().map(|e| (e.pointer.as_str(), e.message.as_str())).collect();
        let invalid = |name: &str| {
            format!(
                "The value for the field '{name}' must be a valid JSONPath or a valid intrinsic function call"
            )
        };
        assert_eq!(
            errors,
            [
                ("", invalid("a.$").as_str()),
                (
                    "/b/0/c~1d",
                    "The value for the field 'e.$' must be a STRING that contains a JSONPath but was an ARRAY"
                ),
                ("/b/0/c~1d", invalid("g.$").as_str()),
                (
                    "",
                    "The value for the field 'n.$' must be a STRING that contains a JSONPath but was a NUMBER"
                ),
            ]
        );
    }

    #[test]
    fn jsonata_places_are_named_below_the_field() {
        let template = parse(r#"{"a":{"b":["{% 1 %}","{% $nope %}"]},"c":"{%","d":" {% 1 %}"}"#).unwrap();
        let template = Template::compile(&template, QueryLanguage::Jsonata).unwrap();
        let error = template.evaluate(&Given::new("{}"), "Output").unwrap_err();
        assert_eq!(
            error.message,
            "The JSONata expression '$nope' specified for the field 'Output/a/b[1]' returned nothing (undefined)."
        );
        let template = parse(r#"{"b":"{% $count + 1 %}","a":["{% $states.input %}"],"c":null}"#).unwrap();
        let template = Template::compile(&template, QueryLanguage::Jsonata).unwrap();
        let value = template.evaluate(&Given::new("{}"), "Output").unwrap();
        assert_eq!(value.to_json(), r#"{"b":4,"a":[{}],"c":null}"#);
    }

    #[test]
    fn jsonata_mistakes_are_listed_with_their_places() {
        let template = parse(r#"{"a":"{% ( %}","b":[1,{"c/d":"{% ) %}"}]}"#).unwrap();
        let errors = Template::compile(&template, QueryLanguage::Jsonata).unwrap_err();
        let pointers: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/a", "/b/1/c~1d"]);
    }

    #[test]
    fn deep_templates_do_not_overflow() {
        let nested = |levels: usize, inner: &str| {
            parse(&format!("{}{inner}{}", "[{\"a\":".repeat(levels / 2), "}]".repeat(levels / 2))).unwrap()
        };
        for language in [QueryLanguage::JsonPath, QueryLanguage::Jsonata] {
            assert!(Template::compile(&nested(200, "1"), language).unwrap().constant().is_some());
            assert!(Template::compile(&nested(300, "1"), language).is_err());
        }
        let template = Template::compile(&nested(198, "{\"b.$\":\"$\"}"), QueryLanguage::JsonPath).unwrap();
        assert!(template.evaluate(&Given::new("1"), "Parameters").is_ok());
    }

    #[test]
    fn variables_are_listed_once() {
        let template = parse(r#"{"a.$":"$v.x","b":[{"c.$":"States.Array($w, $v)"}],"d.$":"$.v"}"#).unwrap();
        let mut names = Template::compile(&template, QueryLanguage::JsonPath).unwrap().variables();
        names.sort();
        assert_eq!(names, ["v", "w"]);
    }
}
