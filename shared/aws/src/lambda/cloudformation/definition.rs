//! A state machine's definition, from whichever property has it.

use stepwell_expr::json::{parse, write_string};
use stepwell_expr::{Map, Value};

use super::properties::{Properties, invalid};
use super::retyped::retyped;
use super::{Failure, Objects};

/// What the macro writes where a member or an item is to be left out (`AWS::NoValue`). No definition holds it: a
/// state machine's own substitutions have no colon in their names.
pub(in crate::lambda) const NO_VALUE: &str = "${AWS::NoValue}";

/// The property by which the macro hands over what CloudFormation's functions give inside of a definition.
pub(in crate::lambda) const VALUES: &str = "DefinitionValues";

/// The definition's JSON, with everything in its place that CloudFormation put in.
///
/// # Errors
/// [`Failure`] where there is none, or more than one, or it is not to be had.
pub(super) async fn definition(properties: Properties<'_>, objects: &dyn Objects) -> Result<String, Failure> {
    let text = match (
        properties.value("Definition"),
        properties.text("DefinitionString")?,
        properties.value("DefinitionS3Location"),
    ) {
        (Some(definition), None, None) => retyped(definition)?.to_json(),
        (None, Some(text), None) => text.to_owned(),
        (None, None, Some(location)) => read(Properties::of(Some(location)), objects).await?,
        _ => {
            let message = "exactly one of Definition, DefinitionString and DefinitionS3Location is needed";
            return Err(invalid(message.to_owned()));
        }
    };
    let values: Vec<_> =
        properties.texts(VALUES)?.into_iter().map(|(name, value)| (name, escaped(value))).collect();
    let text = substituted(&text, |name| {
        values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    });
    let substitutions = properties.texts("DefinitionSubstitutions")?;
    let text = substituted(&text, |name| {
        substitutions.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    });
    json(text)
}

async fn read(location: Properties<'_>, objects: &dyn Objects) -> Result<String, Failure> {
    location.only(&["Bucket", "Key", "Version"])?;
    let (bucket, key) = (location.required("Bucket")?, location.required("Key")?);
    let object = objects.object(bucket, key, location.text("Version")?).await;
    let bytes = object.map_err(|why| invalid(format!("DefinitionS3Location: s3://{bucket}/{key}: {why}")))?;
    String::from_utf8(bytes.into())
        .map_err(|_| invalid(format!("DefinitionS3Location: s3://{bucket}/{key} is no text")))
}

/// `text` with each `${name}` that has a value replaced by it. What is put in is not looked at again.
fn substituted<'v>(text: &str, value: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let found = from.find('}').and_then(|end| Some((value(&from[2..end])?, end)));
        match found {
            Some((value, end)) => {
                out.push_str(value);
                rest = &from[end + 1..];
            }
            None => {
                out.push_str("${");
                rest = &from[2..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// A text as it stands between the quotation marks of a JSON string.
fn escaped(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    write_string(text, &mut quoted);
    quoted[1..quoted.len() - 1].to_owned()
}

/// The definition as JSON: it may be YAML, and the macro may have left marks in it.
fn json(text: String) -> Result<String, Failure> {
    if !text.trim_start().starts_with('{') {
        return stepwell_asl::json_of_yaml(&text)
            .map_err(|message| invalid(format!("the definition is neither JSON nor YAML: {message}")));
    }
    if !text.contains(NO_VALUE) {
        return Ok(text);
    }
    // What cannot be read is refused by the API, in AWS's words.
    Ok(parse(&text).map_or(text, |value| without_marks(&value).unwrap_or_default().to_json()))
}

/// A value without what is to be left out. (What the reader takes is no deeper than its limit.)
fn without_marks(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) if &**text == NO_VALUE => None,
        Value::Array(items) => Some(Value::array(items.iter().filter_map(without_marks).collect())),
        Value::Object(members) => {
            let mut kept = Map::with_capacity(members.len());
            for (name, value) in members.iter() {
                if let Some(value) = without_marks(value) {
                    kept.insert(name.clone(), value);
                }
            }
            Some(kept.into())
        }
        other => Some(other.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use bytes::Bytes;

    struct Echo;

    #[async_trait]
    impl Objects for Echo {
        async fn object(&self, bucket: &str, key: &str, version: Option<&str>) -> Result<Bytes, String> {
            match bucket {
                "b" => {
                    Ok(format!(r#"{{"key":"{key}","version":"{}","n":${{N}}}}"#, version.unwrap_or("-"))
                        .into())
                }
                "yaml" => Ok("Comment: ${N}\nStates:\n  A: {Type: Pass}\n".into()),
                _ => Err("AccessDenied".to_owned()),
            }
        }
    }

    #[track_caller]
    fn check(properties: &str, expected: &str) {
        let value = parse(properties).unwrap();
        let found = futures::executor::block_on(definition(Properties::of(Some(&value)), &Echo));
        let found = found.unwrap_or_else(|failure| failure.message);
        assert!(found.starts_with(expected), "{properties}: {found}");
    }

    #[test]
    fn there_is_one_definition() {
        const ONE: &str = "exactly one of";
        check("{}", ONE);
        check(r#"{"DefinitionString":"{}","Definition":{}}"#, ONE);
        check(r#"{"DefinitionString":"{ }"}"#, "{ }");
        check(r#"{"Definition":{"StartAt":"A"}}"#, r#"{"StartAt":"A"}"#);
        check(r#"{"Definition":{"Seconds":"5"}}"#, r#"{"Seconds":5}"#);
        check(r#"{"Definition":{"Result":"5"}}"#, "Definition: Result holds");
    }

    #[test]
    fn definitions_may_lie_in_s3() {
        let at = |bucket: &str| {
            format!(
                r#"{{"DefinitionS3Location":{{"Bucket":"{bucket}","Key":"k","Version":"2"}},"DefinitionSubstitutions":{{"N":"7"}}}}"#
            )
        };
        check(&at("b"), r#"{"key":"k","version":"2","n":7}"#);
        check(&at("yaml"), r#"{"Comment":7,"States":{"A":{"Type":"Pass"}}}"#);
        check(&at("other"), "DefinitionS3Location: s3://other/k: AccessDenied");
    }

    #[test]
    fn substitutions_are_of_text_and_values_are_strings() {
        let check = |text: &str, expected: &str| {
            let mut properties = String::from(r#"{"DefinitionString":"#);
            write_string(text, &mut properties);
            properties.push_str(
                r#","DefinitionSubstitutions":{"A":"1","Q":"\"q\"","Same":"${A}"},"DefinitionValues":{"V":"a\"b${A}"}}"#,
            );
            check(&properties, expected);
        };
        check(r#"{"a":${A},"b":"${B}","q":${Q}}"#, r#"{"a":1,"b":"${B}","q":"q"}"#);
        check(r#"{"a":"${Same}"}"#, r#"{"a":"${A}"}"#);
        check(r#"{"a":"${","b":"$${A}"}"#, r#"{"a":"${","b":"$1"}"#);
        check(r#"{"v":"${V}"}"#, r#"{"v":"a\"b1"}"#);
        check(r#"{"a":"${AWS::NoValue}","b":[1,"${AWS::NoValue}"]}"#, r#"{"b":[1]}"#);
    }
}
