//! The port `Tasks`: takes each call to the integration of its service.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stepwell_engine::message::Callback;
use stepwell_engine::meta::Meta;
use stepwell_engine::port::{Accepted, TaskAnswer, TaskCall, Tasks};
use stepwell_expr::Payload;
use stepwell_interpreter::{ErrorOutput, ExecutionInfo, Family, Job, Outcome, Pattern, Resource};

use crate::{Mocks, error, states};

/// One service's calls.
#[async_trait]
pub trait Integration: Send + Sync {
    /// Makes a call and gives its result, or with a callback what the service answered to the request.
    ///
    /// One call is one request. The caller gives up by dropping the future.
    ///
    /// # Errors
    /// An [`ErrorOutput`] is the task's failure, which meets Retry and Catch.
    async fn call(&self, task: &TaskCall) -> Result<Payload, ErrorOutput>;

    /// Makes a call that may take longer than `wait_max` in such a way that it goes on by itself; `None` where it takes no
    /// longer, or nobody knows: then nothing was done.
    ///
    /// # Errors
    /// The task's failure.
    async fn accept(&self, task: &TaskCall, wait_max: Duration) -> Result<Option<Accepted>, ErrorOutput> {
        let _ = (task, wait_max);
        Ok(None)
    }

    /// Whether `service:action` can be called with `pattern`.
    fn offers(&self, action: &str, pattern: Pattern) -> bool;

    /// Whether a call whose outcome is unknown may be made again with the same nonce.
    fn is_idempotent(&self, action: &str, pattern: Pattern) -> bool {
        let _ = (action, pattern);
        false
    }

    /// Stops a job that a call began, as far as the service lets it.
    async fn cancel(&self, info: &ExecutionInfo, job: &Job) {
        let _ = (info, job);
    }
}

/// The integrations of one program.
pub struct Integrations {
    mocks: Option<Arc<Mocks>>,
    services: BTreeMap<&'static str, Arc<dyn Integration>>,
}

/// Puts [`Integrations`] together.
#[derive(Default)]
pub struct IntegrationsBuilder {
    mocks: Option<Arc<Mocks>>,
    services: BTreeMap<&'static str, Arc<dyn Integration>>,
}

impl IntegrationsBuilder {
    /// Tasks of `arn:aws:states:::SERVICE:…` go to `integration`; `lambda` has the bare function ARNs too.
    #[must_use]
    pub fn register(mut self, service: &'static str, integration: Arc<dyn Integration>) -> Self {
        self.services.insert(service, integration);
        self
    }

    /// What `mocks` answers is not called at all.
    #[must_use]
    pub fn mocked_by(mut self, mocks: Arc<Mocks>) -> Self {
        self.mocks = Some(mocks);
        self
    }

    /// The integrations.
    pub fn build(self) -> Integrations {
        Integrations { mocks: self.mocks, services: self.services }
    }
}

impl Integrations {
    /// No integration yet.
    pub fn builder() -> IntegrationsBuilder {
        IntegrationsBuilder::default()
    }

    fn find(&self, resource: &Resource) -> Option<(&Arc<dyn Integration>, Pattern)> {
        let (service, action, pattern) = taken_apart(resource)?;
        let integration = self.services.get(service)?;
        integration.offers(action, pattern).then_some((integration, pattern))
    }
}

#[async_trait]
impl Tasks for Integrations {
    async fn call(&self, call: TaskCall) -> TaskAnswer {
        if let Some(outcome) = self.mocks.as_ref().and_then(|mocks| mocks.outcome(&call)) {
            return TaskAnswer::Ended(outcome);
        }
        let Some((integration, pattern)) = self.find(&call.call.resource) else {
            return TaskAnswer::Ended(Outcome::Failed(error::not_available(&arn(&call.call.resource))));
        };
        if let Some(wait_max) = call.wait_max {
            match integration.accept(&call, wait_max).await {
                Ok(None) => {}
                Ok(Some(accepted)) => return TaskAnswer::Accepted(accepted),
                Err(error) => return TaskAnswer::Ended(Outcome::Failed(error)),
            }
        }
        match integration.call(&call).await {
            Ok(output) if pattern == Pattern::RequestResponse => {
                TaskAnswer::Ended(Outcome::Succeeded(output))
            }
            Ok(output) => TaskAnswer::Submitted(output),
            Err(error) => TaskAnswer::Ended(Outcome::Failed(error)),
        }
    }

    fn is_idempotent(&self, resource: &Resource) -> bool {
        let Some((service, action, pattern)) = taken_apart(resource) else { return false };
        self.services.get(service).is_some_and(|integration| integration.is_idempotent(action, pattern))
    }

    async fn cancel(&self, info: &ExecutionInfo, job: &Job) {
        let Family::Task { resource_type, .. } = &job.family else { return };
        if let Some(integration) = self.services.get(&**resource_type) {
            integration.cancel(info, job).await;
        }
    }

    fn child_outcome(&self, resource: &str, child: &Meta) -> Callback {
        states::outcome(resource, child)
    }
}

/// Service, action and pattern. An activity has none: its worker comes for it.
fn taken_apart(resource: &Resource) -> Option<(&str, &str, Pattern)> {
    match resource {
        Resource::LambdaFunction { .. } => Some(("lambda", "invoke", Pattern::RequestResponse)),
        Resource::Service { service, action, pattern } => Some((service, action, *pattern)),
        Resource::Activity { .. } => None,
    }
}

fn arn(resource: &Resource) -> String {
    match resource {
        Resource::LambdaFunction { arn } | Resource::Activity { arn } => arn.to_string(),
        Resource::Service { service, action, pattern } => {
            format!("arn:aws:states:::{service}:{action}{}", pattern.suffix())
        }
    }
}
