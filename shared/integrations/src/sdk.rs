//! What calls through the official clients share: one attempt is one request, and the exchange is remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use stepwell_engine::port::TaskCall;
use stepwell_expr::{Payload, Value};
use stepwell_interpreter::ErrorOutput;

use crate::error::{Errors, Refusal};
use crate::metadata::{Spelling, sdk_members};
use crate::{Aws, Keys, Service};

/// The clients' defaults, as of a day.
pub(crate) const BEHAVIOR: fn() -> BehaviorVersion = BehaviorVersion::v2026_01_12;

impl Aws {
    /// The configuration of one service's client.
    pub(crate) fn sdk_config(&self, service: Service, keys: Arc<Keys>) -> SdkConfig {
        let custom = self.endpoints.custom(service);
        let keys = KeysOf { keys, emulator: self.endpoints.is_emulated(service) };
        let mut config = SdkConfig::builder()
            .behavior_version(BEHAVIOR())
            .region(Region::new(self.region.clone()))
            .http_client(self.http.clone())
            .time_source(SystemTimeSource::new())
            .credentials_provider(SharedCredentialsProvider::new(keys))
            // `Keys` keeps them.
            .identity_cache(IdentityCache::no_cache())
            // Whether a call is made again is for the state machine's Retry to say, and when it is given up for its
            // TimeoutSeconds.
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        config.set_endpoint_url(custom.map(str::to_owned));
        config.build()
    }
}

/// A service's clients: one for each of the roles that calls are made with.
pub(crate) struct Clients<C> {
    aws: Aws,
    service: Service,
    make: fn(&SdkConfig) -> C,
    /// By the address of the keys, which are held as long.
    made: Mutex<HashMap<usize, (Arc<Keys>, C)>>,
}

/// Clients that are kept at once; roles beyond these begin anew.
const CLIENTS_MAX: usize = 100;

impl<C: Clone> Clients<C> {
    pub(crate) fn new(aws: &Aws, service: Service, make: fn(&SdkConfig) -> C) -> Self {
        Clients { aws: aws.clone(), service, make, made: Mutex::default() }
    }

    /// The client for a task's call.
    ///
    /// # Errors
    /// A role that cannot be assumed.
    pub(crate) async fn of(&self, task: &TaskCall) -> Result<C, ErrorOutput> {
        let keys = self.aws.keys_for(task, self.service).await?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let address = Arc::as_ptr(&keys).addr();
        if made.len() >= CLIENTS_MAX && !made.contains_key(&address) {
            made.clear();
        }
        let (_, client) = made.entry(address).or_insert_with(|| {
            let client = (self.make)(&self.aws.sdk_config(self.service, keys.clone()));
            (keys, client)
        });
        Ok(client.clone())
    }
}

impl<C> std::fmt::Debug for Clients<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clients({:?})", self.service)
    }
}

#[derive(Debug)]
struct KeysOf {
    keys: Arc<Keys>,
    emulator: bool,
}

impl ProvideCredentials for KeysOf {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            if self.emulator { Ok(self.keys.for_emulator().await) } else { self.keys.for_aws().await }
        })
    }
}

/// Remembers the status and headers of one call's answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exchange(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    status: u16,
    headers: Vec<(String, String)>,
}

impl Intercept for Exchange {
    fn name(&self) -> &'static str {
        "Exchange"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let headers = response.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let seen = Seen { status: response.status().as_u16(), headers: headers.collect() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        Ok(())
    }
}

impl Exchange {
    /// The result of a call: its members and those of the exchange, in alphabetical order; `None` is left out.
    pub(crate) fn result(
        &self,
        members: impl IntoIterator<Item = (&'static str, Option<Value>)>,
        spelling: Spelling,
    ) -> Payload {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let headers = seen.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let request_id = seen.headers.iter().find(|(name, _)| name == "x-amzn-requestid");
        let request_id = request_id.map_or("", |(_, value)| value);
        let mut all: Vec<(&str, Value)> =
            members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        all.extend(sdk_members(seen.status, headers, request_id, spelling));
        all.sort_by_key(|(name, _)| *name);
        Payload::of(Value::object(all.into_iter().map(|(name, value)| (name.into(), value)).collect()))
    }
}

/// The error of a call that failed.
pub(crate) fn failed<E>(errors: &Errors, error: &SdkError<E, HttpResponse>) -> ErrorOutput
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    if let (Some(service), Some(response)) = (error.as_service_error(), error.raw_response())
        && !response.status().is_success()
    {
        let meta = service.meta();
        return errors.refused(&Refusal {
            status: response.status().as_u16(),
            code: meta.code().unwrap_or_default(),
            message: meta.message(),
            request_id: response.headers().get("x-amzn-requestid").or_else(|| meta.extra("aws_request_id")),
        });
    }
    errors.client(match error {
        SdkError::DispatchFailure(_) => {
            format!("Unable to execute HTTP request: {}", chain(error))
        }
        SdkError::ResponseError(_) | SdkError::ServiceError(_) => {
            format!("Unable to unmarshall response: {}", chain(error))
        }
        _ => chain(error),
    })
}

/// An error and what it came of, in one line for people.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
