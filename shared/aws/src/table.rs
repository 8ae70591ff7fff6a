//! The table: its keys, its indexes, and how it is made. `infra/template.yaml` says the same.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType, TimeToLiveSpecification,
};
use stepwell_engine::port::BoxError;

/// The partition key.
pub const PARTITION: &str = "pk";

/// The sort key.
pub const SORT: &str = "sk";

/// The attribute by which DynamoDB removes items: seconds since 1970. METAs of ended executions and leases have it.
pub const EXPIRES: &str = "expires";

/// The sort key of all indexes: status, date and name of an execution.
pub const LISTED: &str = "ls";

/// What of an execution is projected into the indexes: enough for ListExecutions.
pub const PROJECTED: [&str; 2] = ["head", "brief"];

/// What the stream carries: a META that was removed or replaced says whose pages go.
pub const STREAM: &str = "OLD_IMAGE";

/// An index of executions. Each has those items only that bear its partition key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: &'static str,
    /// Its partition key: an ARN and a shard.
    pub partition: &'static str,
}

/// Executions by state machine, or by Map Run.
pub const BY_MACHINE: Index = Index { name: "by-machine", partition: "lm" };
/// Executions by the version that was started.
pub const BY_VERSION: Index = Index { name: "by-version", partition: "lv" };
/// Executions by the alias that was started.
pub const BY_ALIAS: Index = Index { name: "by-alias", partition: "la" };

/// All indexes.
pub const INDEXES: [Index; 3] = [BY_MACHINE, BY_VERSION, BY_ALIAS];

/// Makes the table: for tests and emulators, since a deployment's is made by its template.
///
/// # Errors
/// What DynamoDB answers, also where there is such a table.
pub async fn create_table(client: &Client, name: &str) -> Result<(), BoxError> {
    let mut create = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key(PARTITION, KeyType::Hash)?)
        .key_schema(key(SORT, KeyType::Range)?)
        .stream_specification(
            StreamSpecification::builder()
                .stream_enabled(true)
                .stream_view_type(StreamViewType::from(STREAM))
                .build()?,
        );
    for name in [PARTITION, SORT, LISTED].into_iter().chain(INDEXES.map(|index| index.partition)) {
        let attribute = AttributeDefinition::builder().attribute_name(name);
        create = create.attribute_definitions(attribute.attribute_type(ScalarAttributeType::S).build()?);
    }
    for index in INDEXES {
        create = create.global_secondary_indexes(
            GlobalSecondaryIndex::builder()
                .index_name(index.name)
                .key_schema(key(index.partition, KeyType::Hash)?)
                .key_schema(key(LISTED, KeyType::Range)?)
                .projection(
                    Projection::builder()
                        .projection_type(ProjectionType::Include)
                        .set_non_key_attributes(Some(PROJECTED.map(str::to_owned).into()))
                        .build(),
                )
                .build()?,
        );
    }
    create.send().await?;
    let expiry = TimeToLiveSpecification::builder().attribute_name(EXPIRES).enabled(true).build()?;
    client.update_time_to_live().table_name(name).time_to_live_specification(expiry).send().await?;
    Ok(())
}

fn key(name: &str, key_type: KeyType) -> Result<KeySchemaElement, BuildError> {
    KeySchemaElement::builder().attribute_name(name).key_type(key_type).build()
}
