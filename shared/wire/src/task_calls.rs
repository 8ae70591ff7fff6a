//! The API as tasks of the same engine call it.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use stepwell_engine::{Caller, StepFunctions, StepFunctionsAnswer, StepFunctionsCall, WeakEngine};

use crate::{Api, Call, Error, Settings};

/// Answers the calls that an engine's own tasks make. It is made before its engine, and told of the API then.
#[derive(Default)]
pub struct TaskCalls(OnceLock<(WeakEngine, Arc<Settings>)>);

impl TaskCalls {
    /// Calls go to `api` from now on. The first to be named stays.
    pub fn serve(&self, api: &Api) {
        let _ = self.0.set((api.engine().downgrade(), Arc::new(api.settings().clone())));
    }

    /// The API for the account that the call is made in: that of the role it assumes, or of its execution.
    fn api(&self, caller: Caller<'_>) -> Option<Api> {
        let (engine, settings) = self.0.get()?;
        let role = caller.role.unwrap_or(&caller.info.execution_arn);
        let account = role.split(':').nth(4).unwrap_or(&settings.account).into();
        Some(Api::new(engine.upgrade()?, Settings { account, region: settings.region.clone() }))
    }
}

#[async_trait]
impl StepFunctions for TaskCalls {
    async fn call(&self, call: StepFunctionsCall<'_>) -> StepFunctionsAnswer {
        let Some(api) = self.api(call.caller) else {
            let error = Error::Internal("the engine is closing".into());
            let (status, body, error_type) = (error.status(), error.body().into(), Some(error.name()));
            return StepFunctionsAnswer { status, body, error_type, request_id: String::new() };
        };
        let target = format!("{}{}", Api::TARGET_PREFIX, call.operation);
        let (body, parent) = (call.body, call.caller.parent);
        let reply = api.answer(Call { target: &target, body, trace_header: None, parent }).await;
        StepFunctionsAnswer {
            status: reply.status,
            body: reply.body,
            error_type: reply.error_type,
            request_id: reply.request_id,
        }
    }
}
