//! The engine's ports on AWS: executions, Map Runs, state machines and activities in one DynamoDB table, wake-ups in SQS and
//! EventBridge Scheduler.
//!
//! This crate knows how the former are kept as items ([`Store`]), what the table looks like ([`table`]), and what of them is kept
//! as objects ([`Blobs`]); what the services are asked ([`services`]), and how often ([`retry`]); how messages are sent
//! ([`SqsQueue`]), and set for later ([`Schedules`]); which access keys are issued ([`IssuedKeys`]); what a function is told by its
//! environment ([`Config`]), how an engine is put together from that ([`Assembly`]), and what becomes of an event ([`lambda`]). It does
//! not know the store of one machine, nor what a message or a page says.

mod activities;
mod assembly;
mod blobs;
mod clock;
mod config;
mod error;
mod executions;
mod head;
mod item;
mod journal;
mod keys;
pub mod lambda;
mod listing;
mod log;
mod machines;
mod map_runs;
mod queue;
mod registry;
mod remains;
pub mod retry;
mod s3;
mod scheduler;
mod serve;
pub mod services;
mod store;
pub mod table;
mod timers;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use stepwell_engine::port::{Activities, Clock, Journal, MapRuns, Registry};

pub use assembly::Assembly;
pub use blobs::{BlobError, Blobs};
pub use clock::SystemClock;
pub use config::{AssumeRoles, Config, ConfigError};
pub use keys::IssuedKeys;
pub use queue::{BodyError, SqsQueue, read_body};
pub use remains::{Gone, Remains, RemoveError};
pub use s3::{S3Blobs, S3Error};
pub use scheduler::{FireError, Schedules, fire};
pub use serve::serve;
pub use timers::Timers;

use crate::activities::DynamoActivities;
use crate::blobs::Bodies;
use crate::journal::DynamoJournal;
use crate::map_runs::DynamoMapRuns;
use crate::registry::DynamoRegistry;
use crate::store::Table;

/// What a [`Store`] is made of.
#[derive(Clone)]
pub struct Options {
    /// The service. It may try a request again: every write here recognises itself.
    pub client: Arc<services::dynamodb::Client>,
    /// The table's name.
    pub table: String,
    /// Where what is too large for an item goes. Where this is `None`, it is refused.
    pub blobs: Option<Arc<dyn Blobs>>,
    /// Time and randomness.
    pub clock: Arc<dyn Clock>,
    /// How long an execution is kept after its end: [`stepwell_engine::meta::RETENTION`], or what an operator says.
    pub retention: Duration,
}

/// The ports that stand on the table.
#[derive(Clone)]
pub struct Store {
    /// Executions.
    pub journal: Arc<dyn Journal>,
    /// Map Runs.
    pub map_runs: Arc<dyn MapRuns>,
    /// State machines.
    pub registry: Arc<dyn Registry>,
    /// Activities.
    pub activities: Arc<dyn Activities>,
    /// What runs leave.
    pub remains: Remains,
    /// What they stand on.
    pub(crate) table: Arc<Table>,
}

impl Store {
    /// The ports on a table that is there, with the keys and indexes that [`table`] says.
    pub fn new(options: Options) -> Self {
        let Options { client, table: name, blobs, clock, retention } = options;
        let table = Arc::new(Table { client, name, bodies: Bodies { blobs }, clock, retention });
        Store {
            journal: Arc::new(DynamoJournal::new(table.clone())),
            map_runs: Arc::new(DynamoMapRuns { table: table.clone() }),
            registry: Arc::new(DynamoRegistry::new(table.clone())),
            activities: Arc::new(DynamoActivities::new(table.clone())),
            remains: Remains::new(table.clone()),
            table,
        }
    }

    /// The scheduler that keeps timers here which share a schedule.
    pub fn timers(&self, schedules: Schedules) -> Timers {
        Timers::new(self.table.clone(), schedules)
    }
}
