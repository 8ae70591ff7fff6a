//! A definition that is an object of the template becomes a text, since CloudFormation makes texts of a custom resource's
//! numbers and booleans.
//!
//! What the template's functions give is put in by the custom resource: the text names it `${Stepwell1}` inside of quotation marks,
//! and it comes as a property of its own. Only `Fn::If`, which may choose between whole objects, stays a function within the text.

use stepwell_expr::json::{write_string, write_value};
use stepwell_expr::{Map, Value};

use super::{joined, object};
use crate::lambda::cloudformation::NO_VALUE;

/// `DefinitionString`, and the values that it names.
///
/// # Errors
/// Why the definition has no such form.
pub(super) fn written(definition: &Value) -> Result<(Value, Map), String> {
    let mut values = Map::new();
    let text = Writer { values: &mut values, conditions: &mut vec![], parts: vec![], text: String::new() }
        .whole(definition)?;
    Ok((text, values))
}

/// What a condition has to be.
#[derive(Clone)]
struct Condition {
    name: Value,
    holds: bool,
}

struct Writer<'w> {
    values: &'w mut Map,
    /// The conditions under which what is written counts.
    conditions: &'w mut Vec<Condition>,
    parts: Vec<Value>,
    text: String,
}

impl Writer<'_> {
    fn whole(mut self, value: &Value) -> Result<Value, String> {
        self.write(value)?;
        if self.parts.is_empty() {
            return Ok(self.text.into());
        }
        self.flush();
        Ok(joined(self.parts))
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.parts.push(std::mem::take(&mut self.text).into());
        }
    }

    fn write(&mut self, value: &Value) -> Result<(), String> {
        match value {
            Value::Array(items) => {
                self.text.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        self.text.push(',');
                    }
                    self.write(item)?;
                }
                self.text.push(']');
            }
            Value::Object(members) => match function(members) {
                Some((name, argument)) => self.function(name, argument, value)?,
                None => {
                    self.text.push('{');
                    for (at, (name, value)) in members.iter().enumerate() {
                        if at > 0 {
                            self.text.push(',');
                        }
                        write_string(name, &mut self.text);
                        self.text.push(':');
                        self.write(value)?;
                    }
                    self.text.push('}');
                }
            },
            plain => write_value(plain, &mut self.text),
        }
        Ok(())
    }

    fn function(&mut self, name: &str, argument: &Value, whole: &Value) -> Result<(), String> {
        match (name, argument) {
            ("Ref", Value::String(named)) if &**named == "AWS::NoValue" => {
                write_string(NO_VALUE, &mut self.text);
                Ok(())
            }
            ("Fn::If", Value::Array(branches)) => {
                let [condition, yes, no] = &branches[..] else {
                    return Err("Fn::If takes a condition and two values".to_owned());
                };
                let mut chosen = vec![condition.clone()];
                for (branch, holds) in [(yes, true), (no, false)] {
                    self.conditions.push(Condition { name: condition.clone(), holds });
                    let (values, conditions) = (&mut *self.values, &mut *self.conditions);
                    let inner = Writer { values, conditions, parts: vec![], text: String::new() };
                    chosen.push(inner.whole(branch)?);
                    self.conditions.pop();
                }
                self.flush();
                self.parts.push(object([("Fn::If", chosen.into())]));
                Ok(())
            }
            _ => {
                let name = format!("Stepwell{}", self.values.len() + 1);
                write_string(&format!("${{{name}}}"), &mut self.text);
                // Where the text does not count, neither does what it names, which may not even be there.
                let value = self.conditions.iter().rev().fold(whole.clone(), |value, condition| {
                    let nothing = object([("Ref", "AWS::NoValue".into())]);
                    let (yes, no) = if condition.holds { (value, nothing) } else { (nothing, value) };
                    object([("Fn::If", vec![condition.name.clone(), yes, no].into())])
                });
                self.values.insert(name, value);
                Ok(())
            }
        }
    }
}

/// A function of the template language. (No state or payload has a single member with such a name.)
fn function(members: &Map) -> Option<(&str, &Value)> {
    let (name, argument) = members.iter().next().filter(|_| members.len() == 1)?;
    let is_function = name.starts_with("Fn::") || (&**name == "Ref" && argument.as_str().is_some());
    is_function.then_some((&**name, argument))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepwell_expr::json::parse;

    #[track_caller]
    fn check(definition: &str, text: &str, values: &str) {
        let (found, named) = written(&parse(definition).unwrap()).unwrap();
        assert_eq!(found.to_json(), parse(text).unwrap().to_json());
        assert_eq!(Value::from(named).to_json(), values);
    }

    #[test]
    fn functions_are_named_and_the_rest_is_text() {
        check(
            r#"{"Seconds":5,"x":[true,1.10,"é\""]}"#,
            r#""{\"Seconds\":5,\"x\":[true,1.10,\"é\\\"\"]}""#,
            "{}",
        );
        check(
            r#"{"Resource":{"Fn::GetAtt":["F","Arn"]},"n":{"Ref":"P"}}"#,
            r#""{\"Resource\":\"${Stepwell1}\",\"n\":\"${Stepwell2}\"}""#,
            r#"{"Stepwell1":{"Fn::GetAtt":["F","Arn"]},"Stepwell2":{"Ref":"P"}}"#,
        );
        check(r#"{"a":{"Ref":"AWS::NoValue"},"Ref":1}"#, r#""{\"a\":\"${AWS::NoValue}\",\"Ref\":1}""#, "{}");
    }

    #[test]
    fn conditions_choose_between_texts() {
        check(
            r#"{"a":{"Fn::If":["C",{"b":{"Ref":"R"}},5]},"d":1}"#,
            r#"{"Fn::Join":["",["{\"a\":",{"Fn::If":["C","{\"b\":\"${Stepwell1}\"}","5"]},",\"d\":1}"]]}"#,
            r#"{"Stepwell1":{"Fn::If":["C",{"Ref":"R"},{"Ref":"AWS::NoValue"}]}}"#,
        );
        check(
            r#"{"Fn::If":["C",1,{"Fn::If":["D",{"Ref":"R"},2]}]}"#,
            r#"{"Fn::Join":["",[{"Fn::If":["C","1",{"Fn::Join":["",[{"Fn::If":["D","\"${Stepwell1}\"","2"]}]]}]}]]}"#,
            r#"{"Stepwell1":{"Fn::If":["C",{"Ref":"AWS::NoValue"},{"Fn::If":["D",{"Ref":"R"},{"Ref":"AWS::NoValue"}]}]}}"#,
        );
        assert!(written(&parse(r#"{"Fn::If":["C",1]}"#).unwrap()).is_err());
    }
}
