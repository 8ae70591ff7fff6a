//! How a Task state's Resource and arguments become a call, and its answer the task's result or error.
//!
//! This crate knows the services' parameters, results and error names as Step Functions shows them, where calls go
//! (a mock, a function hosted by this program, an endpoint, AWS), and that one attempt is one request. It does not know
//! executions, retries or timeouts: whoever gives up drops the future. It reads no environment variable: the program
//! hands in what it read.
//!
//! [`Integrations`] is built in `main` by registering services, and the clients stand behind cargo features, so that a
//! function carries only what it calls.

#![cfg_attr(
    not(all(feature = "lambda", feature = "dynamodb", feature = "sns", feature = "sqs")),
    allow(dead_code, reason = "each service uses its part of what they share")
)]

mod endpoint;
mod error;
mod host;
mod integrations;
mod java;
mod lambda;
#[cfg(feature = "http-client")]
mod message_attribute;
mod metadata;
mod mock;
mod parameters;
mod sfn;
mod states;

#[cfg(feature = "keys")]
mod aws;
#[cfg(feature = "chain")]
mod chain;
#[cfg(feature = "http-client")]
mod client;
#[cfg(feature = "keys")]
mod credentials;
#[cfg(feature = "dynamodb")]
mod dynamodb;
#[cfg(feature = "http-client")]
mod event_bus;
#[cfg(feature = "http-client")]
mod exception;
#[cfg(feature = "http-client")]
mod exchange;
#[cfg(feature = "http-client")]
mod http;
#[cfg(feature = "keys")]
mod keys;
#[cfg(feature = "http-client")]
mod logs;
#[cfg(feature = "http-client")]
mod notices;
#[cfg(feature = "http-client")]
mod role;
#[cfg(feature = "http-client")]
mod sign;
#[cfg(feature = "sns")]
mod sns;
#[cfg(feature = "sqs")]
mod sqs;
#[cfg(feature = "http-client")]
pub mod xml;

#[cfg(feature = "keys")]
pub use aws::Aws;
#[cfg(feature = "http-client")]
pub use client::{CallError, ServiceClient, escaped};
#[cfg(feature = "keys")]
pub use credentials::{Credentials, KeySource};
#[cfg(feature = "dynamodb")]
pub use dynamodb::DynamoDb;
pub use endpoint::{EndpointError, Endpoints, Service};
#[cfg(feature = "http-client")]
pub use event_bus::{BusEvent, EventBus, EventBusError};
#[cfg(feature = "http-client")]
pub use exception::Exception;
pub use host::{FunctionHost, HostAnswer, HostCall};
#[cfg(feature = "http-client")]
pub use http::{Connections, Http, HttpAnswer, HttpClient, HttpError};
pub use integrations::{Integration, Integrations, IntegrationsBuilder};
#[cfg(feature = "keys")]
pub use keys::Keys;
#[cfg(feature = "lambda")]
pub use lambda::LambdaClient;
pub use lambda::{InvocationRecord, Lambda};
#[cfg(feature = "http-client")]
pub use logs::{CloudWatchLogs, LogsError};
pub use mock::{MockError, Mocks, UnknownTestCase};
#[cfg(feature = "http-client")]
pub use notices::{LogGroups, StatusEvents};
pub use sfn::Sfn;
#[cfg(feature = "http-client")]
pub use sign::Signer;
#[cfg(feature = "sns")]
pub use sns::Sns;
#[cfg(feature = "sqs")]
pub use sqs::Sqs;
pub use states::States;

#[cfg(test)]
#[path = "../tests/stub/task.rs"]
mod tests;
