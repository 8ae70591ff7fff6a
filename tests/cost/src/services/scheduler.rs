//! EventBridge Scheduler: schedules that fire once.

use std::collections::BTreeMap;

use hyper::Method;
use serde_json::{Value, json};
use stepwell_interpreter::Timestamp;

use super::{Answer, Asked, Services};

pub(super) type Pending = BTreeMap<String, (Timestamp, String)>;

impl Services {
    /// When the first schedule fires.
    pub fn next_schedule(&self) -> Option<Timestamp> {
        self.state().schedules.values().map(|(at, _)| *at).min()
    }

    /// The input of a schedule that fires, which is removed.
    pub fn fire(&self, now: Timestamp) -> Option<String> {
        let mut state = self.state();
        let due = state.schedules.iter().find(|(_, (at, _))| *at <= now)?;
        let name = due.0.clone();
        let (_, input) = state.schedules.remove(&name)?;
        state.usage.request("scheduler", "invocation");
        state.usage.add("scheduler.invocations", 1.0);
        Some(input)
    }

    /// Calls of its API cost nothing.
    pub(super) fn scheduler(&self, asked: &Asked) -> Answer {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let name = asked.path.rsplit('/').next().unwrap_or_default().to_owned();
        let mut state = self.state();
        match asked.method {
            Method::POST => state.usage.request("scheduler", "CreateSchedule"),
            Method::DELETE => state.usage.request("scheduler", "DeleteSchedule"),
            _ => return Answer::error(400, "ValidationException"),
        }
        if asked.method == Method::DELETE {
            state.schedules.remove(&name);
            return Answer::json(&json!({}));
        }
        let at = body["ScheduleExpression"].as_str().and_then(|at| at.strip_prefix("at(")?.strip_suffix(')'));
        let at = at.and_then(|at| format!("{at}Z").parse::<jiff::Timestamp>().ok());
        let (Some(at), Some(input)) = (at, body["Target"]["Input"].as_str()) else {
            return Answer::error(400, "ValidationException");
        };
        if state.schedules.contains_key(&name) {
            return Answer::error(409, "ConflictException");
        }
        state.schedules.insert(name, (Timestamp(at.as_millisecond()), input.to_owned()));
        Answer::json(&json!({ "ScheduleArn": "arn" }))
    }
}
