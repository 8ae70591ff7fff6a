//! The table: its keys, its indexes, and how it is made. `infra/template.yaml` says the same.

use serde_json::json;

use crate::services::ServiceError;
use crate::services::dynamodb::Client;

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
pub async fn create_table(client: &Client, name: &str) -> Result<(), ServiceError> {
    let keys = |partition: &str, sort: &str| {
        json!([
            { "AttributeName": partition, "KeyType": "HASH" },
            { "AttributeName": sort, "KeyType": "RANGE" },
        ])
    };
    let texts = [PARTITION, SORT, LISTED].into_iter().chain(INDEXES.map(|index| index.partition));
    let texts = texts.map(|name| json!({ "AttributeName": name, "AttributeType": "S" }));
    let indexes = INDEXES.map(|index| {
        json!({
            "IndexName": index.name,
            "KeySchema": keys(index.partition, LISTED),
            "Projection": { "ProjectionType": "INCLUDE", "NonKeyAttributes": PROJECTED },
        })
    });
    let table = json!({
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": keys(PARTITION, SORT),
        "AttributeDefinitions": texts.collect::<Vec<_>>(),
        "GlobalSecondaryIndexes": indexes,
        "StreamSpecification": { "StreamEnabled": true, "StreamViewType": STREAM },
    });
    client.call("CreateTable", table.to_string()).await?;
    let expiry = json!({
        "TableName": name,
        "TimeToLiveSpecification": { "AttributeName": EXPIRES, "Enabled": true },
    });
    client.call("UpdateTimeToLive", expiry.to_string()).await.map(drop)
}
