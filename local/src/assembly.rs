//! Puts an engine together on this machine: the SQLite store, the functions hosted here, the services called elsewhere.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use stepwell_engine::{Engine, Settings};
use stepwell_integrations::{FunctionHost, HostAnswer, HostCall, Mocks};
use stepwell_local::{Dispatching, Limits, LocalStore, Options};
use stepwell_wire::{Api, TaskCalls};

use crate::capacity::Room;
use crate::config::{Project, Variables};
use crate::host::{Functions, HostOptions, InvokeError, InvokeOptions, LogSink};
use crate::keys::AccessKeys;
use crate::{notices, services};

/// How long drivers may take over what they are at, when the program stops. What is cut off is taken up at the next
/// start, where a call whose outcome is unknown fails with `Lambda.Unknown`.
const PATIENCE: Duration = Duration::from_secs(5);

/// Variables by which users give functions credentials of their own.
const USERS_OWN: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_PROFILE"];

/// What an engine is put together from.
pub struct Parts<'a> {
    /// The project, for its functions, account and region.
    pub project: &'a Project,
    /// The folder of the store.
    pub data_dir: &'a Path,
    /// Answers in the place of calls.
    pub mocks: Option<Arc<Mocks>>,
    /// Where the API is served, or will be: the functions hosted here are told.
    pub api_url: String,
    /// The keys that requests to the API have to be signed with, where they have to be: the functions hosted here get one.
    pub keys: Option<&'a AccessKeys>,
    /// Where the functions' output goes.
    pub log: LogSink,
    /// How much may be in hand at once.
    pub limits: Limits,
}

/// An engine that runs, over its store.
pub struct Assembly {
    /// The engine.
    pub engine: Engine,
    api: stepwell_wire::Settings,
    store: LocalStore,
    dispatching: Option<Dispatching>,
}

impl Assembly {
    /// Opens the store, and takes up what an earlier life of the program left.
    ///
    /// # Errors
    /// A store that cannot be opened; an endpoint variable that is no URL.
    pub async fn start(parts: Parts<'_>) -> Result<Self> {
        let options = Options { limits: parts.limits, ..Options::default() };
        let store = LocalStore::open(parts.data_dir, options)
            .with_context(|| format!("the store in {}", parts.data_dir.display()))?;
        let local = &parts.project.local;
        let mut environment = Variables::from([("AWS_ENDPOINT_URL_SFN".to_owned(), parts.api_url)]);
        if let Some(keys) = parts.keys
            && !USERS_OWN.iter().any(|name| std::env::var_os(name).is_some())
        {
            let (key, secret) = keys.lend(local.account())?;
            environment.insert("AWS_ACCESS_KEY_ID".to_owned(), key.id);
            environment.insert("AWS_SECRET_ACCESS_KEY".to_owned(), secret.reveal().to_owned());
        }
        let functions = Functions::new(
            parts.project.functions.clone(),
            HostOptions {
                account: local.account().to_owned(),
                region: local.region().to_owned(),
                environment,
                log: parts.log,
                ..HostOptions::default()
            },
        );
        // Where accounts are kept apart by their keys, no definition leads from one to another.
        let task_calls =
            if parts.keys.is_some() { TaskCalls::within_their_account() } else { TaskCalls::default() };
        let task_calls = Arc::new(task_calls);
        let functions = Arc::new(Hosted(functions));
        let aws = services::aws(local.region()).await?;
        let tasks = services::tasks(&aws, functions, task_calls.clone(), parts.mocks);
        let engine = Engine::new(notices::told(store.ports(tasks), &aws), settings());
        let api = stepwell_wire::Settings { account: local.account().into(), region: local.region().into() };
        task_calls.serve(&Api::new(engine.clone(), api.clone()));
        let dispatching = store.run(engine.clone());
        Ok(Assembly { engine, api, store, dispatching })
    }

    /// The API over the engine, for the project's account and region, which takes in no more than there is room for.
    pub fn api(&self) -> Api {
        let room = Arc::new(Room(self.store.backlog()));
        Api::new(self.engine.clone(), self.api.clone()).within(room)
    }

    /// Lets what is under way come to a commit, and closes the store.
    pub async fn stop(self) {
        if let Some(dispatching) = self.dispatching {
            dispatching.stop(PATIENCE).await;
        }
        drop(self.engine);
        self.store.close();
    }
}

/// Decisions that take long are made on threads of their own, as many at once as there are cores: the runtime's one thread
/// goes on with all else.
fn settings() -> Settings {
    let aside_max = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
    Settings { aside: |decide| tokio::task::block_in_place(decide), aside_max, ..Settings::default() }
}

/// The functions hosted here, as the integration of Lambda asks for them.
struct Hosted(Functions);

#[async_trait]
impl FunctionHost for Hosted {
    fn hosts(&self, function: &str) -> bool {
        self.0.find(function).is_some()
    }

    async fn invoke(&self, call: HostCall) -> HostAnswer {
        let options = InvokeOptions {
            request_id: Some(call.request_id),
            client_context: call.client_context,
            invoked_function_arn: None,
            trace_id: Some(call.trace_id),
        };
        match self.0.invoke(&call.function, call.payload, options).await {
            Ok(outcome) if outcome.is_error() => HostAnswer::FunctionError(outcome.payload().clone()),
            Ok(outcome) => HostAnswer::Success(outcome.payload().clone()),
            Err(error) => {
                let (status, code) = match &error {
                    InvokeError::FunctionNotFound { .. } => (404, "ResourceNotFoundException"),
                    InvokeError::Header { .. } => (400, "InvalidParameterValueException"),
                    InvokeError::Closing => (500, "ServiceException"),
                };
                HostAnswer::Refused { status, code, message: error.to_string() }
            }
        }
    }
}
