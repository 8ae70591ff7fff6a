//! The API as tasks of the same engine call it.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use stepwell_engine::{Caller, StepFunctions, StepFunctionsAnswer, StepFunctionsCall, WeakEngine};

use crate::{Api, Call, Error, Settings};

/// Answers the calls that an engine's own tasks make. It is made before its engine, and told of the API then.
#[derive(Default)]
pub struct TaskCalls {
    api: OnceLock<(WeakEngine, Arc<Settings>)>,
    stays_in_account: bool,
}

impl TaskCalls {
    /// Refuses tasks that name a role of another account in their `Credentials`. Nobody asks that account here whether
    /// it trusts this one.
    #[must_use]
    pub fn within_their_account() -> Self {
        TaskCalls { api: OnceLock::new(), stays_in_account: true }
    }

    /// Calls go to `api` from now on. The first to be named stays.
    pub fn serve(&self, api: &Api) {
        let _ = self.api.set((api.engine().downgrade(), Arc::new(api.settings().clone())));
    }

    /// The API for the account that the call is made in: that of the role it assumes, or of its execution.
    ///
    /// # Errors
    /// [`Error::AccessDenied`]
    fn api(&self, caller: Caller<'_>) -> Result<Api, Error> {
        let closing = || Error::Internal("the engine is closing".into());
        let (engine, settings) = self.api.get().ok_or_else(closing)?;
        let own = account(&caller.info.execution_arn).unwrap_or(&settings.account);
        let account = match caller.role.map(|role| (role, account(role))) {
            Some((role, account)) if self.stays_in_account && account != Some(own) => {
                return Err(Error::AccessDenied(format!(
                    "The role {} is not authorized to assume the task state's role, {role}.",
                    caller.info.role_arn
                )));
            }
            Some((_, Some(account))) => account,
            Some((_, None)) | None => own,
        };
        let settings = Settings { account: account.into(), region: settings.region.clone() };
        Ok(Api::new(engine.upgrade().ok_or_else(closing)?, settings))
    }
}

#[async_trait]
impl StepFunctions for TaskCalls {
    async fn call(&self, call: StepFunctionsCall<'_>) -> StepFunctionsAnswer {
        let api = match self.api(call.caller) {
            Ok(api) => api,
            Err(error) => {
                let (status, body, error_type) = (error.status(), error.body().into(), Some(error.name()));
                return StepFunctionsAnswer { status, body, error_type, request_id: String::new() };
            }
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

/// The account in an ARN.
fn account(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| !account.is_empty())
}
