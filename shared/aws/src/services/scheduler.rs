//! EventBridge Scheduler. (API: EventBridge Scheduler.)

use std::sync::Arc;

use stepwell_engine::port::Clock;
use stepwell_integrations::{Aws, Service, escaped};

use super::json::body;
use super::{Caller, ServiceError};

/// Asks EventBridge Scheduler.
#[derive(Debug, Clone)]
pub struct Client {
    caller: Arc<Caller>,
}

/// A schedule that fires once, at its time, and removes itself.
pub(crate) struct Schedule<'a> {
    pub(crate) name: &'a str,
    pub(crate) group_name: &'a str,
    /// `at(…)`, in UTC.
    pub(crate) schedule_expression: &'a str,
    pub(crate) target: Target<'a>,
}

/// What a schedule invokes. (API: Target.)
pub(crate) struct Target<'a> {
    pub(crate) arn: &'a str,
    pub(crate) role_arn: &'a str,
    pub(crate) input: &'a str,
    pub(crate) maximum_retry_attempts: i32,
    pub(crate) maximum_event_age_in_seconds: i32,
}

impl Client {
    /// Asks where `aws` says, and waits by `clock` before it asks again.
    pub fn new(aws: &Aws, clock: Arc<dyn Clock>) -> Self {
        Client { caller: Arc::new(Caller::new(aws, Service::Scheduler, clock)) }
    }

    /// Creates a schedule. (API: CreateSchedule.) All tries of one call bear one token.
    pub(crate) async fn create_schedule(&self, schedule: &Schedule<'_>) -> Result<(), ServiceError> {
        let Schedule { name, group_name, schedule_expression, target } = schedule;
        let clock = self.caller.clock();
        let token = format!("{:016x}{:016x}", clock.random(), clock.random());
        let body = body(|body| {
            body.text("ClientToken", &token);
            body.text("GroupName", group_name);
            body.text("ScheduleExpression", schedule_expression);
            body.object("FlexibleTimeWindow", |window| window.text("Mode", "OFF"));
            body.text("ActionAfterCompletion", "DELETE");
            body.object("Target", |body| {
                body.text("Arn", target.arn);
                body.text("RoleArn", target.role_arn);
                body.text("Input", target.input);
                body.object("RetryPolicy", |policy| {
                    let (tries, age) = (target.maximum_retry_attempts, target.maximum_event_age_in_seconds);
                    policy.plain("MaximumRetryAttempts", &tries.to_string());
                    policy.plain("MaximumEventAgeInSeconds", &age.to_string());
                });
            });
        });
        self.caller.post(&format!("/schedules/{}", escaped(name, b"")), body).await.map(drop)
    }
}
