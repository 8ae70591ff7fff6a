//! What executions tell: their logs in CloudWatch Logs, their status on the default bus of EventBridge.

use async_trait::async_trait;
use stepwell_engine::port::{BoxError, Events, LoggedEvents, Logs, StatusChange};
use stepwell_integrations::{Aws, BusEvent, CloudWatchLogs, EventBus, LogEvent};
use stepwell_wire::{LogLine, STATUS_CHANGE, log_lines, status_change_detail};

/// `source` of our events. AWS takes none that begins with `aws.` from anybody else.
const SOURCE: &str = "stepwell";

/// Logs in CloudWatch Logs.
pub struct LogGroups(CloudWatchLogs);

impl LogGroups {
    /// The log groups of the account and region that `aws` calls.
    pub fn new(aws: &Aws) -> Self {
        LogGroups(CloudWatchLogs::new(aws))
    }
}

#[async_trait]
impl Logs for LogGroups {
    async fn put(&self, logged: LoggedEvents) -> Result<(), BoxError> {
        let event = |LogLine { at, message }| LogEvent { at, message };
        let events = log_lines(&logged).into_iter().map(event).collect();
        let (group, machine) = (&logged.logging.log_group_arn, &logged.info.state_machine_name);
        Ok(self.0.put(group, machine, events).await?)
    }

    async fn has_group(&self, log_group_arn: &str) -> bool {
        // Who may not look cannot tell.
        self.0.has_group(log_group_arn).await.unwrap_or(true)
    }
}

/// Status events on the default bus.
pub struct StatusEvents(EventBus);

impl StatusEvents {
    /// The bus of the account and region that `aws` calls.
    pub fn new(aws: &Aws) -> Self {
        StatusEvents(EventBus::new(aws))
    }
}

#[async_trait]
impl Events for StatusEvents {
    async fn put(&self, changes: Vec<StatusChange>) -> Result<(), BoxError> {
        let event = |change: &StatusChange| BusEvent {
            source: SOURCE,
            detail_type: STATUS_CHANGE,
            detail: status_change_detail(change),
            resource: change.meta.execution_arn.to_string(),
            at: change.at,
        };
        let events: Vec<_> = changes.iter().map(event).collect();
        Ok(self.0.put(&events).await?)
    }
}
