//! What the macro makes of a definition, put in by CloudFormation, is the definition that CloudFormation would have made.

use stepwell_expr::json::parse;

use super::*;

struct Nowhere;

#[async_trait]
impl Objects for Nowhere {
    async fn object(&self, _: &str, _: &str, _: Option<&str>) -> Result<Bytes, String> {
        Err("not asked".to_owned())
    }
}

/// A value as CloudFormation puts it in, where the one condition holds or not; `None` for what is left out.
fn put_in(value: &Value, holds: bool) -> Option<Value> {
    let text = |value: &Value| put_in(value, holds).and_then(|value| value.as_str().map(str::to_owned));
    match value {
        Value::Array(items) => {
            Some(items.iter().filter_map(|item| put_in(item, holds)).collect::<Vec<_>>().into())
        }
        Value::Object(members) => {
            let only = members.iter().next().filter(|_| members.len() == 1);
            match only.map(|(name, argument)| (&**name, argument)) {
                Some(("Ref", argument)) => {
                    let name = argument.as_str().filter(|name| *name != "AWS::NoValue")?;
                    Some(format!("the \"{name}\"").into())
                }
                Some(("Fn::GetAtt", argument)) => Some(argument.to_json().into()),
                Some(("Fn::Sub", argument)) => Some(argument.as_str()?.replace("${Stage}", "prod").into()),
                Some(("Fn::If", argument)) => put_in(&argument.as_array()?[if holds { 1 } else { 2 }], holds),
                Some(("Fn::Join", argument)) => {
                    let parts = argument.as_array()?[1].as_array()?;
                    Some(parts.iter().filter_map(text).collect::<String>().into())
                }
                _ => {
                    let kept = members
                        .iter()
                        .filter_map(|(name, value)| Some((name.clone(), put_in(value, holds)?)));
                    Some(Value::object(kept.collect()))
                }
            }
        }
        plain => Some(plain.clone()),
    }
}

#[tokio::test]
async fn a_turned_definition_is_the_same() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/templates");
    let read = |name: &str| parse(&std::fs::read_to_string(format!("{folder}/{name}")).unwrap()).unwrap();
    let properties = |template: &Value| {
        let resource = template.get("Resources").and_then(|resources| resources.get("Orders")).unwrap();
        resource.get("Properties").unwrap().clone()
    };
    let (plain, turned) = (properties(&read("plain.json")), properties(&read("plain.turned.json")));
    for holds in [true, false] {
        let expected = put_in(plain.get("Definition").unwrap(), holds).unwrap();
        let turned = put_in(&turned, holds).unwrap();
        let found = definition::definition(Properties::of(Some(&turned)), &Nowhere).await.unwrap();
        assert_eq!(parse(&found).unwrap().to_json(), expected.to_json(), "{holds}");
        assert_eq!(expected.to_json().contains("SecondsPath"), holds);
    }
}
