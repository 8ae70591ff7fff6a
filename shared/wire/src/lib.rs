//! The Step Functions API: requests in, answers out, over the engine (API: AWS Step Functions, JSON 1.0).
//!
//! This crate knows the operations: their members and constraints, AWS's exceptions and texts, page tokens, ARNs; and how AWS
//! writes of executions into logs and events ([`log_lines()`], [`status_change_detail`]). Its entrance is [`Api::call`], which a
//! server and a Lambda function use alike. It knows no HTTP, no signatures, and not what stands behind the engine's ports.

mod answer;
mod api;
mod arn;
mod capacity;
mod configuration;
mod create_activity;
mod create_state_machine;
mod create_state_machine_alias;
mod delete_activity;
mod delete_state_machine;
mod delete_state_machine_alias;
mod delete_state_machine_version;
mod describe_activity;
mod describe_execution;
mod describe_map_run;
mod describe_state_machine;
mod describe_state_machine_alias;
mod describe_state_machine_for_execution;
mod error;
mod get_activity_task;
mod get_execution_history;
mod history;
mod id;
mod list_activities;
mod list_executions;
mod list_map_runs;
mod list_state_machine_aliases;
mod list_state_machine_versions;
mod list_state_machines;
mod log_lines;
mod page_token;
mod publish_state_machine_version;
mod redrive_execution;
mod request;
mod routing;
mod send_task;
mod start_execution;
mod start_sync_execution;
mod status_change;
mod stop_execution;
mod tags;
mod target;
mod task_calls;
#[cfg(feature = "test-state")]
mod test_state;
mod throttle;
mod update_map_run;
mod update_state_machine;
mod update_state_machine_alias;
mod validate_state_machine_definition;

pub use api::{Api, Call, Reply, Settings};
pub use arn::{ActivityArn, ExecutionArn, MapRunArn, Qualifier, StateMachineArn};
pub use capacity::{Capacity, Place, Work};
pub use error::Error;
pub use log_lines::log_lines;
pub use status_change::{STATUS_CHANGE, status_change_detail};
pub use task_calls::TaskCalls;
pub use throttle::{Rate, Throttle};

/// Largest request, in bytes (Developer Guide, "Service quotas").
pub const REQUEST_BYTES_MAX: usize = 1_048_576;

/// Tags a resource may have (API: TagResource).
pub const TAGS_MAX: usize = 50;

/// Items on a page where the request does not say (API: `maxResults`).
pub(crate) const PAGE_ITEMS_DEFAULT: usize = 100;

/// Items on a page at most (API: `maxResults`).
pub(crate) const PAGE_ITEMS_MAX: i64 = 1000;
