//! CloudFormation's intrinsic functions, as far as a template can be understood without its stack.
//!
//! What only a stack knows stays as it is, or becomes a name that says where it came from. Nothing here fails: a template
//! declares much that a local run never looks at.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{LocalConfig, substitute};

/// The deepest chain of references between names, conditions and values.
const DEPTH_MAX: usize = 64;
/// The most values looked at in one template, since two references in each name double with every step of a chain.
const STEPS_MAX: usize = 100_000;
/// What `AWS::StackName` stands for.
const STACK_NAME: &str = "stepwell";

/// A template, and where its resources are taken to live.
pub(super) struct Template {
    document: Value,
    region: String,
    account: String,
    depth: Cell<usize>,
    steps: Cell<usize>,
}

impl Template {
    pub(super) fn new(document: Value, local: &LocalConfig) -> Self {
        Self {
            document,
            region: local.region().to_owned(),
            account: local.account().to_owned(),
            depth: Cell::new(0),
            steps: Cell::new(0),
        }
    }

    /// A part of the template, as it stands there.
    pub(super) fn part(&self, path: &[&str]) -> &Value {
        path.iter().fold(&self.document, |value, name| &value[*name])
    }

    /// The resources: logical id, type and properties.
    pub(super) fn resources(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        let resources = self.part(&["Resources"]).as_object().into_iter().flatten();
        resources.map(|(id, resource)| {
            (id.as_str(), resource["Type"].as_str().unwrap_or_default(), &resource["Properties"])
        })
    }

    /// The value with its intrinsic functions replaced by what they give.
    pub(super) fn resolve(&self, value: &Value) -> Value {
        if !self.enter() {
            return Value::Null;
        }
        let resolved = match value {
            Value::Object(members) => self.call(members).unwrap_or_else(|| self.object(members)),
            Value::Array(items) => {
                items.iter().map(|item| self.resolve(item)).filter(|item| !is_no_value(item)).collect()
            }
            other => other.clone(),
        };
        self.leave();
        resolved
    }

    /// Whether there is room for one more step down; then [`Self::leave`] has to follow.
    fn enter(&self) -> bool {
        let room = self.depth.get() < DEPTH_MAX && self.steps.get() < STEPS_MAX;
        if room {
            self.depth.set(self.depth.get() + 1);
            self.steps.set(self.steps.get() + 1);
        }
        room
    }

    fn leave(&self) {
        self.depth.set(self.depth.get() - 1);
    }

    /// The value as text, if it comes to a text, a number or a truth value.
    pub(super) fn text(&self, value: &Value) -> Option<String> {
        plain(&self.resolve(value))
    }

    /// The members of an object as texts; others are left out.
    pub(super) fn texts(&self, value: &Value) -> BTreeMap<String, String> {
        let members = value.as_object().into_iter().flatten();
        members.filter_map(|(name, value)| Some((name.clone(), self.text(value)?))).collect()
    }

    /// The name of a resource: what `property` says, or its logical id.
    pub(super) fn name(&self, id: &str, property: &str) -> String {
        self.text(self.part(&["Resources", id, "Properties", property])).unwrap_or_else(|| id.to_owned())
    }

    fn object(&self, members: &Map<String, Value>) -> Value {
        let resolved = members.iter().map(|(name, value)| (name.clone(), self.resolve(value)));
        resolved.filter(|(_, value)| !is_no_value(value)).collect()
    }

    fn call(&self, members: &Map<String, Value>) -> Option<Value> {
        let (1, Some((name, argument))) = (members.len(), members.iter().next()) else { return None };
        match name.as_str() {
            "Ref" => Some(self.reference(argument.as_str()?)),
            "Fn::GetAtt" => {
                let path = match argument {
                    Value::String(path) => path.clone(),
                    _ => format!("{}.{}", argument[0].as_str()?, self.text(&argument[1])?),
                };
                Some(self.dotted(&path).into())
            }
            "Fn::Sub" => Some(self.sub(argument)?.into()),
            "Fn::Join" => {
                let items = self.resolve(&argument[1]);
                let items = items.as_array()?.iter().map(plain).collect::<Option<Vec<_>>>()?;
                Some(items.join(argument[0].as_str()?).into())
            }
            "Fn::Split" => {
                let text = self.text(&argument[1])?;
                Some(text.split(argument[0].as_str()?).collect())
            }
            "Fn::Select" => {
                let index = self.text(&argument[0])?.parse::<usize>().ok()?;
                self.resolve(&argument[1]).get(index).cloned()
            }
            "Fn::FindInMap" => {
                let keys =
                    argument.as_array()?.iter().map(|key| self.text(key)).collect::<Option<Vec<_>>>()?;
                let [map, first, second, ..] = keys.as_slice() else { return None };
                Some(self.part(&["Mappings", map, first, second]).clone())
            }
            "Fn::If" => {
                let chosen = if self.condition(argument[0].as_str()?) { 1 } else { 2 };
                Some(self.resolve(&argument[chosen]))
            }
            _ => None,
        }
    }

    fn reference(&self, name: &str) -> Value {
        match name {
            "AWS::Region" => self.region.as_str().into(),
            "AWS::AccountId" => self.account.as_str().into(),
            "AWS::Partition" => "aws".into(),
            "AWS::URLSuffix" => "amazonaws.com".into(),
            "AWS::StackName" => STACK_NAME.into(),
            "AWS::NoValue" => no_value(),
            _ => match self.part(&["Parameters", name]) {
                Value::Null => self.identity(name).unwrap_or_else(|| name.to_owned()).into(),
                parameter => match &parameter["Default"] {
                    Value::Null => name.into(),
                    value => value.clone(),
                },
            },
        }
    }

    /// `Name` or `Resource.Attribute`, as `${…}` and `Fn::GetAtt` have them.
    fn dotted(&self, path: &str) -> String {
        let known = path.split_once('.').and_then(|(id, attribute)| self.attribute(id, attribute));
        known.unwrap_or_else(|| path.to_owned())
    }

    fn sub(&self, argument: &Value) -> Option<String> {
        let none = Value::Null;
        let (text, values) = match argument {
            Value::String(text) => (text.as_str(), &none),
            _ => (argument[0].as_str()?, &argument[1]),
        };
        let replaced = substitute(text, |name| match &values[name] {
            Value::Null if name.starts_with('!') => None,
            Value::Null if name.contains('.') => Some(self.dotted(name)),
            Value::Null => plain(&self.reference(name)),
            value => self.text(value),
        });
        Some(replaced.replace("${!", "${"))
    }

    fn condition(&self, name: &str) -> bool {
        self.holds(self.part(&["Conditions", name]))
    }

    fn holds(&self, condition: &Value) -> bool {
        if !self.enter() {
            return false;
        }
        let all = |value: &Value| value.as_array().is_some_and(|all| all.iter().all(|each| self.holds(each)));
        let any = |value: &Value| value.as_array().is_some_and(|any| any.iter().any(|each| self.holds(each)));
        let holds = match condition.as_object().and_then(|members| members.iter().next()) {
            Some((name, argument)) => match name.as_str() {
                "Fn::Equals" => self.text(&argument[0]) == self.text(&argument[1]),
                "Fn::Not" => !self.holds(&argument[0]),
                "Fn::And" => all(argument),
                "Fn::Or" => any(argument),
                "Condition" => argument.as_str().is_some_and(|name| self.condition(name)),
                _ => false,
            },
            None => false,
        };
        self.leave();
        holds
    }

    /// What `Ref` gives for a resource.
    fn identity(&self, id: &str) -> Option<String> {
        match self.part(&["Resources", id, "Type"]).as_str()? {
            "AWS::Serverless::StateMachine"
            | "AWS::StepFunctions::StateMachine"
            | "AWS::StepFunctions::Activity"
            | "AWS::SNS::Topic" => self.attribute(id, "Arn"),
            "AWS::SQS::Queue" => {
                let name = self.name(id, "QueueName");
                Some(format!("https://sqs.{}.amazonaws.com/{}/{name}", self.region, self.account))
            }
            kind => Some(self.name(id, name_property(kind))),
        }
    }

    /// What `Fn::GetAtt` gives, of the attributes that tasks use.
    fn attribute(&self, id: &str, attribute: &str) -> Option<String> {
        let kind = self.part(&["Resources", id, "Type"]).as_str()?;
        let name = self.name(id, name_property(kind));
        if attribute == "Name" || attribute == name_property(kind) {
            return Some(name);
        }
        if !matches!(attribute, "Arn" | "TopicArn") {
            return None;
        }
        let (region, account) = (&self.region, &self.account);
        Some(match kind {
            "AWS::Serverless::Function" | "AWS::Lambda::Function" => {
                format!("arn:aws:lambda:{region}:{account}:function:{name}")
            }
            "AWS::Serverless::StateMachine" | "AWS::StepFunctions::StateMachine" => {
                format!("arn:aws:states:{region}:{account}:stateMachine:{name}")
            }
            "AWS::StepFunctions::Activity" => format!("arn:aws:states:{region}:{account}:activity:{name}"),
            "AWS::DynamoDB::Table" | "AWS::Serverless::SimpleTable" => {
                format!("arn:aws:dynamodb:{region}:{account}:table/{name}")
            }
            "AWS::SQS::Queue" => format!("arn:aws:sqs:{region}:{account}:{name}"),
            "AWS::SNS::Topic" => format!("arn:aws:sns:{region}:{account}:{name}"),
            "AWS::S3::Bucket" => format!("arn:aws:s3:::{name}"),
            "AWS::IAM::Role" => format!("arn:aws:iam::{account}:role/{name}"),
            "AWS::Events::EventBus" => format!("arn:aws:events:{region}:{account}:event-bus/{name}"),
            _ => return None,
        })
    }
}

/// The property that names a resource of this type.
fn name_property(kind: &str) -> &'static str {
    match kind {
        "AWS::Serverless::Function" | "AWS::Lambda::Function" => "FunctionName",
        "AWS::StepFunctions::StateMachine" => "StateMachineName",
        "AWS::DynamoDB::Table" | "AWS::Serverless::SimpleTable" => "TableName",
        "AWS::SQS::Queue" => "QueueName",
        "AWS::SNS::Topic" => "TopicName",
        "AWS::S3::Bucket" => "BucketName",
        "AWS::IAM::Role" => "RoleName",
        _ => "Name",
    }
}

/// A value that is no value: what holds it does without.
fn no_value() -> Value {
    Value::Object(Map::from_iter([("Ref".to_owned(), "AWS::NoValue".into())]))
}

fn is_no_value(value: &Value) -> bool {
    value.as_object().is_some_and(|members| members.len() == 1 && members.get("Ref").is_some())
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: &str, want: Value) {
        let text = format!("{TEMPLATE}\nValue: {value}");
        let template = Template::new(super::super::yaml::read(&text).unwrap(), &LocalConfig::default());
        assert_eq!(template.resolve(template.part(&["Value"])), want, "{value}");
    }

    const TEMPLATE: &str = "
Parameters:
  Stage: {Type: String, Default: dev}
  Key: {Type: String}
Mappings:
  Sizes: {dev: {memory: 256}}
Conditions:
  IsDev: !Equals [!Ref Stage, dev]
  IsProd: !Not [!Condition IsDev]
  Both: !And [!Condition IsDev, !Condition IsProd]
  Either: !Or [!Condition IsDev, !Condition IsProd]
  Loop: !Condition Loop
Resources:
  Pay: {Type: AWS::Serverless::Function, Properties: {FunctionName: !Sub 'pay-${Stage}'}}
  Ship: {Type: AWS::Lambda::Function}
  Order: {Type: AWS::Serverless::StateMachine}
  Table: {Type: AWS::DynamoDB::Table, Properties: {TableName: orders}}
  Topic: {Type: AWS::SNS::Topic}
  Queue: {Type: AWS::SQS::Queue}
  Self: {Type: AWS::SQS::Queue, Properties: {QueueName: !GetAtt Self.QueueName}}
  Other: {Type: AWS::ApiGateway::RestApi}
";

    #[test]
    fn references_are_resolved_where_that_is_simple() {
        for (value, want) in [
            ("!Ref Stage", json!("dev")),
            ("!Ref Key", json!("Key")),
            ("!Ref AWS::Region", json!("us-east-1")),
            ("!Ref Pay", json!("pay-dev")),
            ("!GetAtt Pay.Arn", json!("arn:aws:lambda:us-east-1:123456789012:function:pay-dev")),
            ("!GetAtt [Ship, Arn]", json!("arn:aws:lambda:us-east-1:123456789012:function:Ship")),
            ("!Ref Order", json!("arn:aws:states:us-east-1:123456789012:stateMachine:Order")),
            ("!GetAtt Order.Name", json!("Order")),
            ("!Ref Table", json!("orders")),
            ("!Ref Topic", json!("arn:aws:sns:us-east-1:123456789012:Topic")),
            ("!Ref Queue", json!("https://sqs.us-east-1.amazonaws.com/123456789012/Queue")),
            ("!Ref Other", json!("Other")),
            ("!GetAtt Other.RootResourceId", json!("Other.RootResourceId")),
            (
                "!Sub '${Pay.Arn}:${Stage}/${!Stage}/${AWS::AccountId}'",
                json!("arn:aws:lambda:us-east-1:123456789012:function:pay-dev:dev/${Stage}/123456789012"),
            ),
            ("!Sub ['${A}-${Stage}', {A: !Ref Table}]", json!("orders-dev")),
            ("!Join ['-', [a, !Ref Stage, 1]]", json!("a-dev-1")),
            ("!Select [1, !Split [',', 'a,b']]", json!("b")),
            ("!FindInMap [Sizes, !Ref Stage, memory]", json!(256)),
            ("!If [IsDev, a, b]", json!("a")),
            ("!If [IsProd, a, b]", json!("b")),
            ("!If [Both, a, b]", json!("b")),
            ("!If [Either, a, b]", json!("a")),
            ("!If [Loop, a, b]", json!("b")),
            ("{a: !If [IsProd, 1, !Ref AWS::NoValue], b: 2}", json!({"b": 2})),
            ("!ImportValue x", json!({"Fn::ImportValue": "x"})),
        ] {
            check(value, want);
        }
    }

    #[test]
    fn a_name_that_needs_itself_ends() {
        check("!GetAtt Self.Arn", json!("arn:aws:sqs:us-east-1:123456789012:Self"));
        let twice = "Twice: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub '${Twice.QueueName}${Twice.QueueName}'}}";
        let document = super::super::yaml::read(&format!("{TEMPLATE}\n  {twice}")).unwrap();
        let template = Template::new(document, &LocalConfig::default());
        assert!(template.name("Twice", "QueueName").starts_with("Twice"));
    }
}
