//! What executions tell: their logs to an emulator of CloudWatch Logs, their status to one of EventBridge.
//!
//! On one machine every history can be read, so nothing is written where no emulator stands in for AWS.

use std::sync::Arc;

use stepwell_engine::Ports;
use stepwell_engine::port::{Events, Logs};
use stepwell_integrations::{Aws, LogGroups, Service, StatusEvents};
use stepwell_wire::{STATUS_CHANGE, log_lines, status_change_detail};

/// Switches status events on.
const STATUS_EVENTS: &str = "STEPWELL_STATUS_EVENTS";

/// The same ports, with whom executions tell of themselves: emulators that are named. Status events have to be switched on.
pub(crate) fn told(ports: Ports, aws: &Aws) -> Ports {
    let is_named = |service| aws.endpoints().custom(service).is_some();
    let wants_events = std::env::var(STATUS_EVENTS).is_ok_and(|value| value == "on");
    let logs = is_named(Service::Logs).then(|| Arc::new(LogGroups::new(aws, log_lines)) as Arc<dyn Logs>);
    let events = is_named(Service::EventBridge) && wants_events;
    let events = events
        .then(|| Arc::new(StatusEvents::new(aws, STATUS_CHANGE, status_change_detail)) as Arc<dyn Events>);
    Ports { logs, events, ..ports }
}
