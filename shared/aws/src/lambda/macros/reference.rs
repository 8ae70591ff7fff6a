//! What a template's functions refer to.

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwell_expr::{Map, Value};

use super::Template;

impl Template<'_> {
    /// Whether a value is the ARN of something here that can be started: `Ref`, `Fn::GetAtt` of `Arn`, or `Fn::Sub` of either.
    pub(super) fn is_startable(&self, value: &Value) -> bool {
        named(value).is_some_and(|id| self.startable.contains(id))
    }
}

/// The resource whose ARN this is.
pub(super) fn named(value: &Value) -> Option<&str> {
    let (function, argument) = value.as_object().filter(|members| members.len() == 1)?.iter().next()?;
    match &**function {
        "Ref" => argument.as_str(),
        "Fn::GetAtt" => match argument.as_array() {
            Some([id, name]) if name.as_str() == Some("Arn") => id.as_str(),
            Some(_) => None,
            None => argument.as_str()?.strip_suffix(".Arn"),
        },
        "Fn::Sub" => {
            let name = argument.as_str()?.strip_prefix("${")?.strip_suffix('}')?;
            Some(name.strip_suffix(".Arn").unwrap_or(name)).filter(|name| !name.contains("${"))
        }
        _ => None,
    }
}

/// Whether anything within a value refers to one of these resources.
pub(super) fn mentions(value: &Value, ids: &BTreeSet<Arc<str>>) -> bool {
    let mut rest = vec![value];
    while let Some(value) = rest.pop() {
        match value {
            Value::Array(items) => rest.extend(items.iter()),
            Value::Object(members) => {
                for (name, value) in members.iter() {
                    let is_mention = match (&**name, value) {
                        ("Ref", Value::String(id)) => ids.contains(id),
                        ("Fn::GetAtt", Value::String(path)) => {
                            ids.contains(path.split('.').next().unwrap_or_default())
                        }
                        ("Fn::GetAtt", Value::Array(path)) => {
                            path.first().and_then(Value::as_str).is_some_and(|id| ids.contains(id))
                        }
                        ("Fn::Sub", Value::String(text)) => is_in_sub(text, ids),
                        ("Fn::Sub", Value::Array(parts)) => {
                            parts.first().and_then(Value::as_str).is_some_and(|text| is_in_sub(text, ids))
                        }
                        _ => false,
                    };
                    if is_mention {
                        return true;
                    }
                    rest.push(value);
                }
            }
            _ => {}
        }
    }
    false
}

fn is_in_sub(text: &str, ids: &BTreeSet<Arc<str>>) -> bool {
    text.split("${").skip(1).any(|rest| {
        let name = rest.split('}').next().unwrap_or_default();
        ids.contains(name.split('.').next().unwrap_or_default())
    })
}

/// A template in which a resource has another logical id.
pub(super) fn renamed(value: &Value, from: &str, to: &str) -> Value {
    let text = |text: &str| if text == from { Value::from(to) } else { text.into() };
    match value {
        Value::Array(items) => items.iter().map(|item| renamed(item, from, to)).collect::<Vec<_>>().into(),
        Value::Object(members) => {
            let mut all = Map::with_capacity(members.len());
            for (name, value) in members.iter() {
                let value = match (&**name, value) {
                    ("Ref" | "DependsOn", Value::String(id)) => text(id),
                    ("DependsOn", Value::Array(ids)) => {
                        ids.iter().map(|id| id.as_str().map_or(id.clone(), text)).collect::<Vec<_>>().into()
                    }
                    ("Fn::GetAtt", Value::String(path)) => {
                        let (id, rest) = path.split_at(path.find('.').unwrap_or(path.len()));
                        if id == from { format!("{to}{rest}").into() } else { value.clone() }
                    }
                    ("Fn::GetAtt", Value::Array(path)) => path
                        .iter()
                        .map(|part| part.as_str().map_or(part.clone(), text))
                        .collect::<Vec<_>>()
                        .into(),
                    ("Fn::Sub", Value::String(text)) => {
                        text.replace(&format!("${{{from}}}"), &format!("${{{to}}}")).into()
                    }
                    ("Resources", Value::Object(resources)) => {
                        let resources = resources.iter().map(|(id, resource)| {
                            let id = if **id == *from { to.into() } else { id.clone() };
                            (id, renamed(resource, from, to))
                        });
                        Value::object(resources.collect())
                    }
                    _ => renamed(value, from, to),
                };
                all.insert(name.clone(), value);
            }
            all.into()
        }
        plain => plain.clone(),
    }
}

/// The texts of a value that is one, whatever functions it is put together by.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string(),
        Value::Array(items) => items.iter().map(text).collect(),
        Value::Object(members) => {
            let functions = ["Fn::Sub", "Fn::Join"];
            members
                .iter()
                .filter(|(name, _)| functions.contains(&&***name))
                .map(|(_, value)| text(value))
                .collect()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepwell_expr::json::parse;

    #[test]
    fn arns_come_in_five_spellings() {
        let check = |value: &str, expected: Option<&str>| {
            assert_eq!(named(&parse(value).unwrap()), expected, "{value}");
        };
        check(r#"{"Ref":"M"}"#, Some("M"));
        check(r#"{"Fn::GetAtt":["M","Arn"]}"#, Some("M"));
        check(r#"{"Fn::GetAtt":"M.Arn"}"#, Some("M"));
        check(r#"{"Fn::Sub":"${M}"}"#, Some("M"));
        check(r#"{"Fn::Sub":"${M.Arn}"}"#, Some("M"));
        check(r#"{"Fn::GetAtt":["M","Name"]}"#, None);
        check(r#"{"Fn::Sub":"${M}:${N}"}"#, None);
        check(r#"{"Ref":"M","Other":1}"#, None);
        check(r#""arn""#, None);
    }

    #[test]
    fn mentions_are_found_at_any_depth() {
        let ids: BTreeSet<Arc<str>> = ["M".into()].into();
        let check = |value: &str, expected: bool| {
            assert_eq!(mentions(&parse(value).unwrap(), &ids), expected, "{value}");
        };
        check(r#"[{"a":{"Ref":"M"}}]"#, true);
        check(r#"{"Fn::GetAtt":"M.Name"}"#, true);
        check(r#"{"Fn::Join":["",["a",{"Fn::GetAtt":["M","Name"]}]]}"#, true);
        check(r#"{"Fn::Sub":"x${N}${M.Arn}"}"#, true);
        check(r#"{"Fn::Sub":["${M}",{}]}"#, true);
        check(r#"{"Fn::Sub":"${Machine}"}"#, false);
        check(r#"{"Ref":"N","x":"M"}"#, false);
    }
}
