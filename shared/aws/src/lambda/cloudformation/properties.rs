//! A resource's properties, as CloudFormation hands them over: whatever is no list or object has become a text.

use std::sync::Arc;

use stepwell_expr::{Map, Value};

use super::Failure;

/// Properties that CloudFormation itself asks for.
const OF_CLOUDFORMATION: [&str; 2] = ["ServiceToken", "ServiceTimeout"];

/// Members that the API wants as numbers, and as booleans.
const NUMBERS: [&str; 2] = ["KmsDataKeyReusePeriodSeconds", "Weight"];
const BOOLEANS: [&str; 2] = ["Enabled", "IncludeExecutionData"];

/// Levels of a property's value at most. AWS's have five.
const DEPTH_MAX: usize = 10;

/// The properties of a resource.
#[derive(Debug, Clone, Copy)]
pub(super) struct Properties<'a>(Option<&'a Map>);

impl<'a> Properties<'a> {
    pub(super) fn of(value: Option<&'a Value>) -> Self {
        Properties(value.and_then(Value::as_object))
    }

    /// Checks that there is no property but these.
    ///
    /// # Errors
    /// [`Failure`] names it.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Failure> {
        let mut names = self.0.iter().flat_map(|members| members.keys());
        match names.find(|name| !known.contains(&&***name) && !OF_CLOUDFORMATION.contains(&&***name)) {
            Some(name) => Err(invalid(format!("there is no property {name}"))),
            None => Ok(()),
        }
    }

    /// A property's value.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        self.0?.get(name).filter(|value| **value != Value::Null)
    }

    /// A property that is a text.
    ///
    /// # Errors
    /// [`Failure`] where it is something else.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, Failure> {
        match self.value(name) {
            None => Ok(None),
            Some(value) => match value.as_str() {
                Some(text) => Ok(Some(text)),
                None => Err(invalid(format!("{name} is no text"))),
            },
        }
    }

    /// A text that there has to be.
    ///
    /// # Errors
    /// [`Failure`]
    pub(super) fn required(&self, name: &str) -> Result<&'a str, Failure> {
        self.text(name)?.ok_or_else(|| invalid(format!("{name} is missing")))
    }

    /// Names and values, such as `DefinitionSubstitutions`.
    ///
    /// # Errors
    /// [`Failure`] where one of the values is no text.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<(&'a str, &'a str)>, Failure> {
        let Some(value) = self.value(name) else { return Ok(vec![]) };
        let members = value.as_object().ok_or_else(|| invalid(format!("{name} is no object")))?;
        let text = |(key, value): (&'a Arc<str>, &'a Value)| match value.as_str() {
            Some(text) => Ok((&**key, text)),
            None => Err(invalid(format!("{name}.{key} is no text"))),
        };
        members.iter().map(text).collect()
    }

    /// `Tags`
    ///
    /// # Errors
    /// [`Failure`] where they are no list of `{Key, Value}`.
    pub(super) fn tags(&self) -> Result<Vec<(String, String)>, Failure> {
        let Some(value) = self.value("Tags") else { return Ok(vec![]) };
        let tag = |tag: &Value| {
            let member = |name| tag.get(name).and_then(Value::as_str).map(str::to_owned);
            Some((member("Key")?, member("Value")?))
        };
        let tags = value.as_array().and_then(|tags| tags.iter().map(tag).collect());
        tags.ok_or_else(|| invalid("Tags is no list of {Key, Value}".to_owned()))
    }

    /// A structure as the API has it; `None` where there is none.
    ///
    /// # Errors
    /// [`Failure`] where a number or a boolean in it is none.
    pub(super) fn structure(&self, name: &str) -> Result<Option<Value>, Failure> {
        self.value(name).map(|value| for_api(value, DEPTH_MAX)).transpose()
    }
}

/// A value with the API's names of members, and numbers and booleans where the API has them.
fn for_api(value: &Value, depth_left: usize) -> Result<Value, Failure> {
    let Some(depth_left) = depth_left.checked_sub(1) else {
        return Err(invalid("a property is nested too deeply".to_owned()));
    };
    match value {
        Value::Array(items) => {
            let items: Result<Vec<_>, _> = items.iter().map(|item| for_api(item, depth_left)).collect();
            Ok(Value::array(items?))
        }
        Value::Object(members) => {
            let mut lowered = Map::with_capacity(members.len());
            for (name, value) in members.iter() {
                let value = match value.as_str() {
                    Some(text) => typed(name, text)?,
                    None => for_api(value, depth_left)?,
                };
                lowered.insert(lower_camel(name), value);
            }
            Ok(lowered.into())
        }
        other => Ok(other.clone()),
    }
}

fn typed(name: &str, text: &str) -> Result<Value, Failure> {
    if NUMBERS.contains(&name) {
        let number = text.parse::<i64>();
        return number.map(Value::from).map_err(|_| invalid(format!("{name} is no whole number: {text}")));
    }
    if BOOLEANS.contains(&name) {
        return match text {
            "true" => Ok(true.into()),
            "false" => Ok(false.into()),
            _ => Err(invalid(format!("{name} is neither true nor false: {text}"))),
        };
    }
    Ok(text.into())
}

fn lower_camel(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
}

/// What CloudFormation says of a template that it does not take.
pub(super) fn invalid(message: String) -> Failure {
    Failure::new("InvalidRequest", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepwell_expr::json::parse;

    #[track_caller]
    fn check(structure: &str, expected: &str) {
        let properties = parse(&format!(r#"{{"S":{structure}}}"#)).unwrap();
        let found = Properties::of(Some(&properties)).structure("S");
        let found = found.map_or_else(|failure| failure.message, |value| value.unwrap_or_default().to_json());
        assert_eq!(found, expected, "{structure}");
    }

    #[test]
    fn structures_are_the_apis() {
        check(
            r#"{"Level":"ALL","IncludeExecutionData":"true","Destinations":[{"CloudWatchLogsLogGroup":{"LogGroupArn":"a"}}]}"#,
            r#"{"level":"ALL","includeExecutionData":true,"destinations":[{"cloudWatchLogsLogGroup":{"logGroupArn":"a"}}]}"#,
        );
        check(r#"{"Enabled":"false"}"#, r#"{"enabled":false}"#);
        check(r#"{"Enabled":true}"#, r#"{"enabled":true}"#);
        check(
            r#"[{"StateMachineVersionArn":"v","Weight":"9"}]"#,
            r#"[{"stateMachineVersionArn":"v","weight":9}]"#,
        );
        check(r#"{"Enabled":"yes"}"#, "Enabled is neither true nor false: yes");
        check(r#"{"Weight":"1.5"}"#, "Weight is no whole number: 1.5");
        check("null", "null");
        check("[[[[[[[[[[[]]]]]]]]]]]", "a property is nested too deeply");
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let properties = parse(r#"{"ServiceToken":"t","Name":"n","Nmae":"m","Tags":[{"Key":"k"}]}"#).unwrap();
        let properties = Properties::of(Some(&properties));
        let failure = properties.only(&["Name", "Tags"]).unwrap_err();
        assert_eq!(failure.message, "there is no property Nmae");
        assert_eq!(properties.tags().unwrap_err().message, "Tags is no list of {Key, Value}");
        assert_eq!(properties.text("Tags").unwrap_err().message, "Tags is no text");
    }
}
