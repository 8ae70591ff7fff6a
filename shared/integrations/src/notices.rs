//! What executions tell: their logs in CloudWatch Logs, their status on the default bus of EventBridge. What it says is AWS's words,
//! which the caller has.

use async_trait::async_trait;
use stepwell_engine::port::{BoxError, Events, LogLine, LoggedEvents, Logs, StatusChange};

use crate::{Aws, BusEvent, CloudWatchLogs, EventBus};

/// `source` of our events. AWS takes none that begins with `aws.` from anybody else.
const SOURCE: &str = "stepwell";

/// Logs in CloudWatch Logs.
pub struct LogGroups {
    groups: CloudWatchLogs,
    lines: fn(&LoggedEvents) -> Vec<LogLine>,
}

impl LogGroups {
    /// The log groups of the account and region that `aws` calls. `lines` says what is written of events.
    pub fn new(aws: &Aws, lines: fn(&LoggedEvents) -> Vec<LogLine>) -> Self {
        LogGroups { groups: CloudWatchLogs::new(aws), lines }
    }
}

#[async_trait]
impl Logs for LogGroups {
    async fn put(&self, logged: LoggedEvents) -> Result<(), BoxError> {
        let (group, machine) = (&logged.logging.log_group_arn, &logged.info.state_machine_name);
        Ok(self.groups.put(group, machine, (self.lines)(&logged)).await?)
    }

    async fn has_group(&self, log_group_arn: &str) -> bool {
        // Who may not look cannot tell.
        self.groups.has_group(log_group_arn).await.unwrap_or(true)
    }
}

/// Status events on the default bus.
pub struct StatusEvents {
    bus: EventBus,
    detail_type: &'static str,
    detail: fn(&StatusChange) -> String,
}

impl StatusEvents {
    /// The bus of the account and region that `aws` calls. `detail` is the `detail` of a change, a JSON object, of `detail_type`.
    pub fn new(aws: &Aws, detail_type: &'static str, detail: fn(&StatusChange) -> String) -> Self {
        StatusEvents { bus: EventBus::new(aws), detail_type, detail }
    }
}

#[async_trait]
impl Events for StatusEvents {
    async fn put(&self, changes: Vec<StatusChange>) -> Result<(), BoxError> {
        let event = |change: &StatusChange| BusEvent {
            source: SOURCE,
            detail_type: self.detail_type,
            detail: (self.detail)(change),
            resource: change.meta.execution_arn.to_string(),
            at: change.at,
        };
        let events: Vec<_> = changes.iter().map(event).collect();
        Ok(self.bus.put(&events).await?)
    }
}
