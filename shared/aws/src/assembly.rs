//! Puts an engine together in a function: the table, the queue, the scheduler, the services that tasks call.

use std::sync::Arc;
use std::time::Duration;

use stepwell_engine::port::{Clock, Events, Tasks};
use stepwell_engine::stored::Packing;
use stepwell_engine::{Engine, Ports, Settings, StepFunctions};
use stepwell_integrations::{
    Aws, DynamoDb, HttpClient, Integrations, Keys, Lambda, LambdaClient, LogGroups, Sfn, Sns, Sqs, States,
    StatusEvents,
};
use stepwell_wire::{Api, STATUS_CHANGE, TaskCalls, log_lines, status_change_detail};

use crate::retry::CONNECTIONS;
use crate::services::{dynamodb, scheduler, sqs};
use crate::{
    AssumeRoles, Blobs, Config, IssuedKeys, Options, S3Blobs, Schedules, SqsQueue, Store, SystemClock, Timers,
};

/// V of PROTOCOL §1.
const VISIBILITY: Duration = Duration::from_secs(60);

/// How long a driver goes on at the most. What bounds it is the event's time, since a hand-over costs a message and a read.
const SLICE: Duration = Duration::from_secs(15 * 60);

/// How long a port that does not answer is tried again, where the event's time does not end it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Calls that a driver keeps open at once: each holds a connection, and a function has 1,024 files.
const CALLS_MAX: usize = 250;

/// An engine in a function, with what its events need of it.
#[derive(Clone)]
pub struct Assembly {
    /// What it was told.
    pub config: Arc<Config>,
    /// The engine. Each event has a time of its own: [`Engine::until`].
    pub engine: Engine,
    /// The API over it.
    pub api: Api,
    /// The queue, which has to be told what was received.
    pub queue: Arc<SqsQueue>,
    /// The table.
    pub store: Store,
    /// What the timer function is woken for.
    pub timers: Arc<Timers>,
    /// Time and randomness.
    pub clock: Arc<dyn Clock>,
    /// The access keys that are issued here, where any are.
    pub keys: Option<Arc<IssuedKeys>>,
    /// Where AWS's services are, and the keys for them.
    pub aws: Aws,
}

impl Assembly {
    /// Puts the engine together. Nothing is called: the first event opens the connections.
    pub fn new(config: Config) -> Self {
        let keys = Keys::of(config.credentials.clone());
        let aws = Aws::new(config.region.clone(), config.endpoints.clone(), keys);
        let of_ports = aws.clone().over(HttpClient::keeping(CONNECTIONS));
        Assembly::of(config, aws, &of_ports, Arc::new(SystemClock::default()))
    }

    /// The same, whose calls go where `aws` says, with a clock of the caller's.
    pub fn with(config: Config, aws: Aws, clock: Arc<dyn Clock>) -> Self {
        let of_ports = aws.clone();
        Assembly::of(config, aws, &of_ports, clock)
    }

    /// The same, whose ports ask over other connections than tasks call.
    fn of(config: Config, aws: Aws, of_ports: &Aws, clock: Arc<dyn Clock>) -> Self {
        // Nobody asks another account here whether it trusts this one.
        let task_calls = Arc::new(TaskCalls::within_their_account());
        let sqs = sqs::Client::new(of_ports, clock.clone());
        let queue = Arc::new(SqsQueue::new(sqs, &config.queue_url, clock.clone()));
        let store = Store::new(Options {
            client: Arc::new(dynamodb::Client::new(of_ports, clock.clone())),
            table: config.table.clone(),
            blobs: config
                .bucket
                .as_ref()
                .map(|bucket| Arc::new(S3Blobs::new(of_ports, bucket, clock.clone())) as Arc<dyn Blobs>),
            clock: clock.clone(),
            retention: config.retention,
        });
        let keys = config.keys_secret_arn.as_deref().map(|secret_arn| {
            Arc::new(IssuedKeys::new(store.table.clone(), &aws, secret_arn, &config.account))
        });
        let schedules = Schedules {
            client: scheduler::Client::new(of_ports, clock.clone()),
            group: config.schedule_group.clone(),
            target: config.timer_arn.clone(),
            role: config.schedule_role_arn.clone(),
        };
        let timers = Arc::new(store.timers(schedules));
        let ports = Ports {
            journal: store.journal.clone(),
            map_runs: store.map_runs.clone(),
            queue: queue.clone(),
            scheduler: timers.clone(),
            tasks: tasks(&aws_of_tasks(&config, &aws), task_calls.clone()),
            registry: store.registry.clone(),
            activities: store.activities.clone(),
            logs: Some(Arc::new(LogGroups::new(&aws, log_lines))),
            events: config.status_events.then(|| status_events(&aws)),
            clock: clock.clone(),
        };
        let engine = Engine::new(ports, settings(&config));
        let (account, region) = (config.account.as_str().into(), config.region.as_str().into());
        let api = Api::new(engine.clone(), stepwell_wire::Settings { account, region });
        task_calls.serve(&api);
        Assembly { config: Arc::new(config), engine, api, queue, store, timers, clock, keys, aws }
    }
}

/// Changes of status, on the default bus.
fn status_events(aws: &Aws) -> Arc<dyn Events> {
    Arc::new(StatusEvents::new(aws, STATUS_CHANGE, status_change_detail))
}

/// How an engine works in a function.
fn settings(config: &Config) -> Settings {
    Settings {
        slice: SLICE,
        calls_max: CALLS_MAX,
        former_deliveries_are_dead: false,
        queue_delay_max: config.queue_delay_max,
        packing: Packing::Small,
        visibility: VISIBILITY,
        receives_max: Some(config.receives_max),
        patience: PATIENCE,
        express_in_memory: true,
        ..Settings::default()
    }
}

/// Whose permissions tasks call with.
fn aws_of_tasks(config: &Config, aws: &Aws) -> Aws {
    match config.assume_roles {
        AssumeRoles::Machine => aws.clone().assuming_machine_roles(),
        AssumeRoles::Credentials => aws.clone(),
    }
}

/// The integrations of the functions.
fn tasks(aws: &Aws, step_functions: Arc<dyn StepFunctions>) -> Arc<dyn Tasks> {
    let integrations = Integrations::builder()
        .register("lambda", Arc::new(Lambda::new().called_by(LambdaClient::new(aws))))
        .register("states", Arc::new(States::new(step_functions.clone())))
        .register("aws-sdk:sfn", Arc::new(Sfn::new(step_functions)))
        .register("dynamodb", Arc::new(DynamoDb::new(aws)))
        .register("sns", Arc::new(Sns::new(aws)))
        .register("sqs", Arc::new(Sqs::new(aws)));
    Arc::new(integrations.build())
}
