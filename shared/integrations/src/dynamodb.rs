//! `dynamodb:getItem`, `putItem`, `updateItem` and `deleteItem`

mod attribute;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeValueUpdate, Capacity, ConsumedCapacity, ExpectedAttributeValue, ItemCollectionMetrics,
};
use stepwell_engine::port::TaskCall;
use stepwell_expr::{Payload, Value};
use stepwell_interpreter::{ErrorOutput, Pattern, Resource};

use crate::error::DYNAMODB;
use crate::metadata::Spelling;
use crate::parameters::Parameters;
use crate::sdk::{Clients, Exchange, failed};
use crate::{Aws, Integration, Service};

/// Reads and writes items of tables. (API: DynamoDB.)
#[derive(Debug)]
pub struct DynamoDb {
    clients: Clients<Client>,
}

impl DynamoDb {
    /// Calls where `aws` says.
    pub fn new(aws: &Aws) -> Self {
        DynamoDb { clients: Clients::new(aws, Service::DynamoDb, Client::new) }
    }
}

#[async_trait]
impl Integration for DynamoDb {
    async fn call(&self, task: &TaskCall) -> Result<Payload, ErrorOutput> {
        let Resource::Service { action, .. } = &*task.call.resource else {
            return Err(crate::error::not_available("dynamodb"));
        };
        let parameters = &task.call.parameters;
        let client = self.clients.of(task).await?;
        match &**action {
            "getItem" => get_item(&client, parameters).await,
            "putItem" => put_item(&client, parameters).await,
            "updateItem" => update_item(&client, parameters).await,
            "deleteItem" => delete_item(&client, parameters).await,
            action => Err(crate::error::not_available(&format!("dynamodb:{action}"))),
        }
    }

    fn offers(&self, action: &str, pattern: Pattern) -> bool {
        pattern == Pattern::RequestResponse && ACTIONS.contains(&action)
    }

    fn is_idempotent(&self, action: &str, _: Pattern) -> bool {
        action == "getItem"
    }
}

const ACTIONS: [&str; 4] = ["deleteItem", "getItem", "putItem", "updateItem"];

const GET: [&str; 7] = [
    "AttributesToGet",
    "ConsistentRead",
    "ExpressionAttributeNames",
    "Key",
    "ProjectionExpression",
    "ReturnConsumedCapacity",
    "TableName",
];

/// What the three that write have in common.
const WRITE: [&str; 10] = [
    "ConditionExpression",
    "ConditionalOperator",
    "Expected",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "ReturnConsumedCapacity",
    "ReturnItemCollectionMetrics",
    "ReturnValues",
    "ReturnValuesOnConditionCheckFailure",
    "TableName",
];

/// Fills in what the three that write have in common.
macro_rules! write_request {
    ($request:expr, $parameters:expr) => {{
        let parameters = $parameters;
        $request
            .set_condition_expression(parameters.text("ConditionExpression")?.map(str::to_owned))
            .set_conditional_operator(parameters.text("ConditionalOperator")?.map(Into::into))
            .set_expected(parameters.members("Expected", expected)?)
            .set_expression_attribute_names(parameters.members("ExpressionAttributeNames", text)?)
            .set_expression_attribute_values(
                parameters.members("ExpressionAttributeValues", attribute::read)?,
            )
            .set_return_consumed_capacity(parameters.text("ReturnConsumedCapacity")?.map(Into::into))
            .set_return_item_collection_metrics(
                parameters.text("ReturnItemCollectionMetrics")?.map(Into::into),
            )
            .set_return_values(parameters.text("ReturnValues")?.map(Into::into))
            .set_return_values_on_condition_check_failure(
                parameters.text("ReturnValuesOnConditionCheckFailure")?.map(Into::into),
            )
            .set_table_name(parameters.text("TableName")?.map(str::to_owned))
    }};
}

/// Sends a request that writes, and gives its result.
macro_rules! write_result {
    ($request:expr) => {{
        let exchange = Exchange::default();
        let output = $request.customize().interceptor(exchange.clone()).send().await;
        let output = output.map_err(|error| failed(&DYNAMODB, &error))?;
        let members = [
            ("Attributes", output.attributes.as_ref().map(attribute::write_map)),
            ("ConsumedCapacity", output.consumed_capacity.as_ref().map(consumed)),
            ("ItemCollectionMetrics", output.item_collection_metrics.as_ref().map(metrics)),
        ];
        Ok(exchange.result(members, Spelling::Classic))
    }};
}

async fn get_item(client: &Client, parameters: &Payload) -> Result<Payload, ErrorOutput> {
    let parameters = Parameters::new(parameters, &GET)?;
    let names = parameters.value("AttributesToGet").map(|names| {
        let names = names.as_array().and_then(|names| names.iter().map(text).collect::<Option<Vec<_>>>());
        names.ok_or_else(|| parameters.invalid("AttributesToGet"))
    });
    let request = client
        .get_item()
        .set_attributes_to_get(names.transpose()?)
        .set_consistent_read(parameters.boolean("ConsistentRead")?)
        .set_expression_attribute_names(parameters.members("ExpressionAttributeNames", text)?)
        .set_key(parameters.members("Key", attribute::read)?)
        .set_projection_expression(parameters.text("ProjectionExpression")?.map(str::to_owned))
        .set_return_consumed_capacity(parameters.text("ReturnConsumedCapacity")?.map(Into::into))
        .set_table_name(parameters.text("TableName")?.map(str::to_owned));
    let exchange = Exchange::default();
    let output = request.customize().interceptor(exchange.clone()).send().await;
    let output = output.map_err(|error| failed(&DYNAMODB, &error))?;
    let members = [
        ("ConsumedCapacity", output.consumed_capacity.as_ref().map(consumed)),
        ("Item", output.item.as_ref().map(attribute::write_map)),
    ];
    Ok(exchange.result(members, Spelling::LowerRequestId))
}

async fn put_item(client: &Client, parameters: &Payload) -> Result<Payload, ErrorOutput> {
    let parameters = Parameters::new(parameters, &[&WRITE[..], &["Item"]].concat())?;
    let request = client.put_item().set_item(parameters.members("Item", attribute::read)?);
    write_result!(write_request!(request, &parameters))
}

async fn delete_item(client: &Client, parameters: &Payload) -> Result<Payload, ErrorOutput> {
    let parameters = Parameters::new(parameters, &[&WRITE[..], &["Key"]].concat())?;
    let request = client.delete_item().set_key(parameters.members("Key", attribute::read)?);
    write_result!(write_request!(request, &parameters))
}

async fn update_item(client: &Client, parameters: &Payload) -> Result<Payload, ErrorOutput> {
    let known = [&WRITE[..], &["AttributeUpdates", "Key", "UpdateExpression"]].concat();
    let parameters = Parameters::new(parameters, &known)?;
    let request = client
        .update_item()
        .set_attribute_updates(parameters.members("AttributeUpdates", update)?)
        .set_key(parameters.members("Key", attribute::read)?)
        .set_update_expression(parameters.text("UpdateExpression")?.map(str::to_owned));
    write_result!(write_request!(request, &parameters))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// A member of `Expected`, the conditions of old.
fn expected(value: &Value) -> Option<ExpectedAttributeValue> {
    let mut builder = ExpectedAttributeValue::builder();
    for (name, value) in value.as_object()?.iter() {
        builder = match &**name {
            "Value" => builder.value(attribute::read(value)?),
            "Exists" => builder.exists(value.as_bool()?),
            "ComparisonOperator" => builder.comparison_operator(value.as_str()?.into()),
            "AttributeValueList" => {
                let values = value.as_array()?.iter().map(attribute::read).collect::<Option<_>>()?;
                builder.set_attribute_value_list(Some(values))
            }
            _ => return None,
        };
    }
    Some(builder.build())
}

/// A member of `AttributeUpdates`, the updates of old.
fn update(value: &Value) -> Option<AttributeValueUpdate> {
    let mut builder = AttributeValueUpdate::builder();
    for (name, value) in value.as_object()?.iter() {
        builder = match &**name {
            "Value" => builder.value(attribute::read(value)?),
            "Action" => builder.action(value.as_str()?.into()),
            _ => return None,
        };
    }
    Some(builder.build())
}

/// Members in the order given; `None` is left out.
fn present<const N: usize>(members: [(&'static str, Option<Value>); N]) -> Value {
    Value::object(members.into_iter().filter_map(|(name, value)| Some((name.into(), value?))).collect())
}

fn consumed(consumed: &ConsumedCapacity) -> Value {
    let indexes = |map: &std::collections::HashMap<String, Capacity>| attribute::members(map, capacity);
    present([
        ("CapacityUnits", consumed.capacity_units.map(Value::from)),
        ("GlobalSecondaryIndexes", consumed.global_secondary_indexes.as_ref().map(indexes)),
        ("LocalSecondaryIndexes", consumed.local_secondary_indexes.as_ref().map(indexes)),
        ("ReadCapacityUnits", consumed.read_capacity_units.map(Value::from)),
        ("Table", consumed.table.as_ref().map(capacity)),
        ("TableName", consumed.table_name.as_deref().map(Value::from)),
        ("WriteCapacityUnits", consumed.write_capacity_units.map(Value::from)),
    ])
}

fn capacity(capacity: &Capacity) -> Value {
    present([
        ("CapacityUnits", capacity.capacity_units.map(Value::from)),
        ("ReadCapacityUnits", capacity.read_capacity_units.map(Value::from)),
        ("WriteCapacityUnits", capacity.write_capacity_units.map(Value::from)),
    ])
}

fn metrics(metrics: &ItemCollectionMetrics) -> Value {
    let range = metrics.size_estimate_range_gb.as_deref();
    present([
        ("ItemCollectionKey", metrics.item_collection_key.as_ref().map(attribute::write_map)),
        (
            "SizeEstimateRangeGB",
            range.map(|range| Value::array(range.iter().map(|gb| (*gb).into()).collect())),
        ),
    ])
}
