//! Waiting until something is so, by asking again and again. It costs virtual time only.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::calls::Calls;
use super::client::CallError;
use super::run::Stop;

/// Asking again and again.
pub(crate) struct Poll {
    gap: Duration,
    until: Option<Duration>,
}

const TERMINAL: [&str; 4] = ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"];
const LAST: [&str; 4] = ["ExecutionSucceeded", "ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"];

/// How long an execution's last line is waited for.
const LOGS_WAIT: Duration = Duration::from_secs(15);

/// Events that are read of a history at most.
const EVENTS_MAX: usize = 20_000;

/// Whether an event is an execution's last.
pub(crate) fn is_last(event: &Value) -> bool {
    event["type"].as_str().is_some_and(|name| LAST.contains(&name))
}

/// Why a wait came to nothing.
pub(crate) enum WaitError {
    /// A call was refused.
    Refused(CallError),
    /// Not in this case's time, or not in this world.
    Stop(Stop),
}

impl From<Stop> for WaitError {
    fn from(stop: Stop) -> Self {
        WaitError::Stop(stop)
    }
}

impl From<CallError> for WaitError {
    fn from(error: CallError) -> Self {
        WaitError::Refused(error)
    }
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Stop::Broken(error.text())
    }
}

impl Calls {
    /// Asks again and again, for `limit` at most.
    pub(crate) fn poll(&self, limit: Option<Duration>) -> Poll {
        let until = limit.map(|limit| self.client.clock().monotonic() + limit);
        Poll { gap: Duration::from_millis(100), until }
    }

    /// Waits before the next time; `false` where it has been asked for long enough.
    pub(crate) async fn again(&self, poll: &mut Poll) -> Result<bool, Stop> {
        if poll.until.is_some_and(|until| self.client.clock().monotonic() > until) {
            return Ok(false);
        }
        self.check_time()?;
        self.sleep(poll.gap).await;
        poll.gap = poll.gap.mul_f64(1.3).min(Duration::from_millis(500));
        Ok(true)
    }

    pub(crate) async fn sleep(&self, duration: Duration) {
        self.client.clock().sleep(duration).await;
    }

    /// Every event of a history.
    pub(crate) async fn events(&self, arn: &str) -> Result<Vec<Value>, CallError> {
        let mut events = vec![];
        let mut request = json!({"executionArn": arn});
        loop {
            let mut page = self.client.call("GetExecutionHistory", &request).await?;
            if let Value::Array(more) = page["events"].take() {
                events.extend(more);
            }
            match page.get("nextToken") {
                Some(token) if events.len() <= EVENTS_MAX => request["nextToken"] = token.clone(),
                _ => return Ok(events),
            }
        }
    }

    /// Waits for an execution's end.
    pub(crate) async fn await_end(&self, arn: &str) -> Result<(), Stop> {
        let mut poll = self.poll(None);
        loop {
            let has_ended = match self.client.call("DescribeExecution", &json!({"executionArn": arn})).await {
                Ok(answer) => answer["status"].as_str().is_some_and(|status| TERMINAL.contains(&status)),
                // The history of some executions can be seen where they cannot be described.
                Err(_) => self.events(arn).await?.last().is_some_and(is_last),
            };
            if has_ended || !self.again(&mut poll).await? {
                return Ok(());
            }
        }
    }

    /// Waits as `wait` says, and gives what a step may refer to.
    pub(crate) async fn wait(&self, wait: &str, params: &Map<String, Value>) -> Result<Value, WaitError> {
        let param = |name: &str| params.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let execution = param("execution_arn");
        match wait {
            "await_execution_started" => {
                let mut poll = self.poll(None);
                while self.events(&execution).await?.is_empty() && self.again(&mut poll).await? {}
                Ok(Value::Array(self.events(&execution).await?))
            }
            "await_list_execution_status" if param("status") == "RUNNING" => {
                self.sleep(Duration::from_millis(200)).await;
                Ok(Value::Null)
            }
            "await_execution_lists_terminated" | "await_list_execution_status" => {
                self.await_end(&execution).await?;
                Ok(Value::Null)
            }
            "await_execution_terminated" | "await_execution_success" | "await_execution_aborted" => {
                self.await_end(&execution).await?;
                let mut events = self.events(&execution).await?;
                events.sort_by_key(|event| event["timestamp"].as_str().map(str::to_owned));
                Ok(Value::Array(events))
            }
            "await_on_execution_logs" => {
                let group = param("log_group_name");
                let mut poll = self.poll(Some(LOGS_WAIT));
                let events = || self.client.logs().events(&group);
                while !events().last().is_some_and(is_last) && self.again(&mut poll).await? {}
                Ok(Value::Array(events()))
            }
            _ => {
                self.await_list(wait, params).await?;
                Ok(Value::Null)
            }
        }
    }

    /// Waits until something is in a list, or no longer.
    async fn await_list(&self, wait: &str, params: &Map<String, Value>) -> Result<(), Stop> {
        let machine = params.get("state_machine_arn").cloned().unwrap_or_default();
        let (operation, list, member, wanted, request) = if wait.contains("version") {
            let wanted = params.get("state_machine_version_arn").cloned();
            let request = json!({"stateMachineArn": machine});
            ("ListStateMachineVersions", "stateMachineVersions", "stateMachineVersionArn", wanted, request)
        } else if wait.contains("alias") {
            let wanted = params.get("state_machine_alias_arn").cloned();
            let request = json!({"stateMachineArn": machine});
            ("ListStateMachineAliases", "stateMachineAliases", "stateMachineAliasArn", wanted, request)
        } else if wait.starts_with("await_state_machine_") {
            ("ListStateMachines", "stateMachines", "stateMachineArn", Some(machine), json!({}))
        } else {
            self.sleep(Duration::from_millis(300)).await;
            return Ok(());
        };
        let there = !(wait.ends_with("not_listed") || wait.ends_with("deleted"));
        let wanted = wanted.unwrap_or_default();
        let mut poll = self.poll(Some(Duration::from_secs(5)));
        loop {
            let answer = self.client.call(operation, &request).await.unwrap_or_default();
            let is_listed = answer[list].as_array().into_iter().flatten().any(|item| item[member] == wanted);
            if is_listed == there || !self.again(&mut poll).await? {
                return Ok(());
            }
        }
    }
}
