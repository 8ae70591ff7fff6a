//! What executions tell: their logs to an emulator of CloudWatch Logs, their status to one of EventBridge.
//!
//! On one machine every history can be read, so nothing is written where no emulator stands in for AWS.

use std::sync::Arc;

use async_trait::async_trait;
use stepwell_engine::Ports;
use stepwell_engine::port::{BoxError, Events, LoggedEvents, Logs, StatusChange};
use stepwell_integrations::{Aws, BusEvent, CloudWatchLogs, EventBus, LogEvent, Service};
use stepwell_wire::{LogLine, STATUS_CHANGE, log_lines, status_change_detail};

/// `source` of our events. AWS takes none that begins with `aws.` from anybody else.
const SOURCE: &str = "stepwell";

/// Switches status events on.
const STATUS_EVENTS: &str = "STEPWELL_STATUS_EVENTS";

/// The same ports, with whom executions tell of themselves: emulators that are named. Status events have to be switched on.
pub(crate) fn told(ports: Ports, aws: &Aws) -> Ports {
    let is_named = |service| aws.endpoints().custom(service).is_some();
    let wants_events = std::env::var(STATUS_EVENTS).is_ok_and(|value| value == "on");
    let logs = is_named(Service::Logs).then(|| Arc::new(LogGroups::new(aws)) as Arc<dyn Logs>);
    let events = is_named(Service::EventBridge) && wants_events;
    let events = events.then(|| Arc::new(StatusEvents::new(aws)) as Arc<dyn Events>);
    Ports { logs, events, ..ports }
}

/// Logs in CloudWatch Logs.
pub(crate) struct LogGroups(CloudWatchLogs);

impl LogGroups {
    /// The log groups where `aws` calls.
    pub(crate) fn new(aws: &Aws) -> Self {
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
pub(crate) struct StatusEvents(EventBus);

impl StatusEvents {
    /// The bus where `aws` calls.
    pub(crate) fn new(aws: &Aws) -> Self {
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
