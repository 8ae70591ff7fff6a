//! `dynamodb:getItem`, `putItem`, `updateItem` and `deleteItem`

mod attribute;

use async_trait::async_trait;
use stepwell_engine::port::TaskCall;
use stepwell_expr::{Map, Payload, Value};
use stepwell_interpreter::{ErrorOutput, Pattern, Resource};

use crate::error::DYNAMODB;
use crate::exchange::Caller;
use crate::metadata::Spelling;
use crate::parameters::Parameters;
use crate::{Aws, Integration, Service};

/// Reads and writes items of tables. (API: DynamoDB.)
#[derive(Debug)]
pub struct DynamoDb {
    caller: Caller,
}

impl DynamoDb {
    /// Calls where `aws` says.
    pub fn new(aws: &Aws) -> Self {
        DynamoDb { caller: Caller::new(aws, Service::DynamoDb, &DYNAMODB) }
    }
}

#[async_trait]
impl Integration for DynamoDb {
    async fn call(&self, task: &TaskCall) -> Result<Payload, ErrorOutput> {
        let Resource::Service { action, .. } = &*task.call.resource else {
            return Err(crate::error::not_available("dynamodb"));
        };
        let parameters = &task.call.parameters;
        let (target, parameters) = match &**action {
            "getItem" => ("DynamoDB_20120810.GetItem", read(parameters, GET, &[])?),
            "putItem" => ("DynamoDB_20120810.PutItem", read(parameters, WRITE, PUT)?),
            "updateItem" => ("DynamoDB_20120810.UpdateItem", read(parameters, WRITE, UPDATE)?),
            "deleteItem" => ("DynamoDB_20120810.DeleteItem", read(parameters, WRITE, DELETE)?),
            action => return Err(crate::error::not_available(&format!("dynamodb:{action}"))),
        };
        let exchange = self.caller.json(task, target, parameters).await?;
        let answer = exchange.members()?;
        let spelling = if action.starts_with("get") { Spelling::LowerRequestId } else { Spelling::Classic };
        let shown = SHOWN.map(|(name, show)| (name, answer.get(name).filter(is_there).map(show)));
        Ok(exchange.result(shown, spelling))
    }

    fn offers(&self, action: &str, pattern: Pattern) -> bool {
        pattern == Pattern::RequestResponse && ACTIONS.contains(&action)
    }

    fn is_idempotent(&self, action: &str, _: Pattern) -> bool {
        action == "getItem"
    }
}

const ACTIONS: [&str; 4] = ["deleteItem", "getItem", "putItem", "updateItem"];

/// A parameter, and how its value is read: as it is sent, or not at all where it is of the wrong kind.
type Parameter = (&'static str, fn(&Value) -> Option<Value>);

const GET: &[Parameter] = &[
    ("AttributesToGet", texts),
    ("ConsistentRead", boolean),
    ("ExpressionAttributeNames", names),
    ("Key", attribute::read_map),
    ("ProjectionExpression", text),
    ("ReturnConsumedCapacity", text),
    ("TableName", text),
];

/// What the three that write have in common.
const WRITE: &[Parameter] = &[
    ("ConditionExpression", text),
    ("ConditionalOperator", text),
    ("Expected", expected),
    ("ExpressionAttributeNames", names),
    ("ExpressionAttributeValues", attribute::read_map),
    ("ReturnConsumedCapacity", text),
    ("ReturnItemCollectionMetrics", text),
    ("ReturnValues", text),
    ("ReturnValuesOnConditionCheckFailure", text),
    ("TableName", text),
];

const PUT: &[Parameter] = &[("Item", attribute::read_map)];
const DELETE: &[Parameter] = &[("Key", attribute::read_map)];
const UPDATE: &[Parameter] =
    &[("AttributeUpdates", updates), ("Key", attribute::read_map), ("UpdateExpression", text)];

/// The request that parameters stand for, of which these two lists are known.
fn read(payload: &Payload, some: &[Parameter], others: &[Parameter]) -> Result<Map, ErrorOutput> {
    let all = || some.iter().chain(others);
    let known: Vec<&str> = all().map(|(name, _)| *name).collect();
    let parameters = Parameters::new(payload, &known)?;
    let mut request = Map::with_capacity(known.len());
    for (name, read) in all() {
        if let Some(value) = parameters.value(name) {
            request.insert(*name, read(value).ok_or_else(|| parameters.invalid(name))?);
        }
    }
    Ok(request)
}

fn text(value: &Value) -> Option<Value> {
    value.as_str().map(|_| value.clone())
}

fn boolean(value: &Value) -> Option<Value> {
    value.as_bool().map(Value::from)
}

fn texts(value: &Value) -> Option<Value> {
    value.as_array()?.iter().all(|text| text.as_str().is_some()).then(|| value.clone())
}

fn names(value: &Value) -> Option<Value> {
    attribute::map(value, text)
}

/// `Expected`, the conditions of old.
fn expected(value: &Value) -> Option<Value> {
    attribute::map(value, |condition| {
        members(condition, |name, value| match name {
            "Value" => attribute::read(value),
            "Exists" => boolean(value),
            "ComparisonOperator" => text(value),
            "AttributeValueList" => attribute::list(value, attribute::read),
            _ => None,
        })
    })
}

/// `AttributeUpdates`, the updates of old.
fn updates(value: &Value) -> Option<Value> {
    attribute::map(value, |update| {
        members(update, |name, value| match name {
            "Value" => attribute::read(value),
            "Action" => text(value),
            _ => None,
        })
    })
}

/// An object, each of whose members is read by its name.
fn members(value: &Value, read: impl Fn(&str, &Value) -> Option<Value>) -> Option<Value> {
    let members = value.as_object()?.iter().map(|(name, value)| Some((name.clone(), read(name, value)?)));
    Some(Value::object(members.collect::<Option<_>>()?))
}

/// A member of an answer, and how it is shown.
type Shown = (&'static str, fn(&Value) -> Value);

/// The members of answers.
const SHOWN: [Shown; 4] = [
    ("Attributes", attribute::show_map),
    ("ConsumedCapacity", consumed),
    ("Item", attribute::show_map),
    ("ItemCollectionMetrics", metrics),
];

fn is_there(value: &&Value) -> bool {
    **value != Value::Null
}

/// Members in the order given; what is missing is left out.
fn present<const N: usize>(value: &Value, members: [Shown; N]) -> Value {
    let shown = members.into_iter().filter_map(|(name, show)| {
        let member = value.get(name).filter(is_there)?;
        Some((name.into(), show(member)))
    });
    Value::object(shown.collect())
}

fn consumed(value: &Value) -> Value {
    let indexes = |value: &Value| attribute::hashed(value, capacity);
    present(
        value,
        [
            ("CapacityUnits", double),
            ("GlobalSecondaryIndexes", indexes),
            ("LocalSecondaryIndexes", indexes),
            ("ReadCapacityUnits", double),
            ("Table", capacity),
            ("TableName", Value::clone),
            ("WriteCapacityUnits", double),
        ],
    )
}

fn capacity(value: &Value) -> Value {
    present(value, [("CapacityUnits", double), ("ReadCapacityUnits", double), ("WriteCapacityUnits", double)])
}

fn metrics(value: &Value) -> Value {
    let range = |value: &Value| {
        let range = value.as_array().unwrap_or_default();
        Value::array(range.iter().map(double).collect())
    };
    present(value, [("ItemCollectionKey", attribute::show_map), ("SizeEstimateRangeGB", range)])
}

/// A number as Java's doubles are spelled: with a point.
fn double(value: &Value) -> Value {
    value.as_f64().map_or(Value::Null, Value::from)
}
