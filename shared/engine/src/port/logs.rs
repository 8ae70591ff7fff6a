//! What executions write into their log groups.

use std::sync::Arc;

use async_trait::async_trait;
use stepwell_expr::{Value, json};
use stepwell_interpreter::{ExecutionInfo, HistoryEvent, Timestamp};

use super::BoxError;

/// Logs of executions (CloudWatch Logs).
///
/// Logs hold nobody up: whoever writes them gives up after a while, and an execution goes on without. What is written comes at
/// least once.
#[async_trait]
pub trait Logs: Send + Sync {
    /// Writes events to their log group, in their order.
    ///
    /// # Errors
    /// They were not written, or nobody knows.
    async fn put(&self, logged: LoggedEvents) -> Result<(), BoxError>;

    /// Whether there is a log group of this ARN; `true` where nobody can tell.
    async fn has_group(&self, log_group_arn: &str) -> bool {
        let _ = log_group_arn;
        true
    }
}

/// Events of one execution for one log group.
#[derive(Debug, Clone)]
pub struct LoggedEvents {
    /// How its state machine is logged. The level is dealt with: every event here is to be written.
    pub logging: Arc<Logging>,
    /// The execution.
    pub info: Arc<ExecutionInfo>,
    /// How often it was redriven before each event, and the event.
    pub events: Vec<(u32, HistoryEvent)>,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When what it tells of happened.
    pub at: Timestamp,
    /// JSON. AWS takes 256 KB, with 26 bytes for the line itself.
    pub message: String,
}

/// `loggingConfiguration` of a state machine that is logged (API: LoggingConfiguration).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    /// `level`
    pub level: LogLevel,
    /// `includeExecutionData`
    pub includes_execution_data: bool,
    /// `logGroupArn`, which ends with `:*`.
    pub log_group_arn: Arc<str>,
}

/// Which events are logged (API: LoggingConfiguration, `level`). None is [`Logging`] that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// `FATAL`: an execution's end without success.
    Fatal,
    /// `ERROR`: also what failed in it.
    Error,
    /// `ALL`
    All,
}

impl Logging {
    /// Reads what a state machine keeps as its `loggingConfiguration`; `None` where nothing is logged.
    pub fn of(configuration: &str) -> Option<Logging> {
        let configuration = json::parse(configuration).ok()?;
        let level = match configuration.get("level").and_then(Value::as_str)? {
            "ALL" => LogLevel::All,
            "ERROR" => LogLevel::Error,
            "FATAL" => LogLevel::Fatal,
            _ => return None,
        };
        let destination = configuration.get("destinations")?.as_array()?.first()?;
        let group = destination.get("cloudWatchLogsLogGroup")?.get("logGroupArn")?.as_str()?;
        let includes_execution_data =
            configuration.get("includeExecutionData").and_then(Value::as_bool).unwrap_or(false);
        Some(Logging { level, includes_execution_data, log_group_arn: group.into() })
    }
}

impl LogLevel {
    /// Whether events of this type are logged (Developer Guide, "Log levels for Step Functions execution events").
    pub fn covers(self, event_type: &str) -> bool {
        let is_fatal = || matches!(event_type, "ExecutionFailed" | "ExecutionTimedOut" | "ExecutionAborted");
        let is_error = || ["Failed", "TimedOut", "Aborted"].iter().any(|end| event_type.ends_with(end));
        match self {
            LogLevel::All => true,
            LogLevel::Error => event_type == "FailStateEntered" || is_error(),
            LogLevel::Fatal => is_fatal(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        let check = |event_type: &str, expected: &str| {
            let levels = [(LogLevel::All, "ALL"), (LogLevel::Error, "ERROR"), (LogLevel::Fatal, "FATAL")];
            let covering = levels.iter().filter(|(level, _)| level.covers(event_type)).map(|(_, name)| *name);
            assert_eq!(covering.collect::<Vec<_>>().join(" "), expected, "{event_type}");
        };
        for event_type in ["ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"] {
            check(event_type, "ALL ERROR FATAL");
        }
        for event_type in [
            "FailStateEntered",
            "LambdaFunctionScheduleFailed",
            "LambdaFunctionStartFailed",
            "LambdaFunctionTimedOut",
            "MapIterationAborted",
            "MapIterationFailed",
            "MapRunFailed",
            "ParallelStateFailed",
            "TaskFailed",
            "TaskStateAborted",
            "TaskSubmitFailed",
            "TaskTimedOut",
            "WaitStateAborted",
        ] {
            check(event_type, "ALL ERROR");
        }
        for event_type in [
            "ChoiceStateExited",
            "ExecutionRedriven",
            "ExecutionStarted",
            "ExecutionSucceeded",
            "PassStateEntered",
            "SucceedStateEntered",
            "TaskScheduled",
            "TaskSucceeded",
        ] {
            check(event_type, "ALL");
        }
    }

    #[test]
    fn what_a_machine_keeps() {
        let check = |configuration: &str, expected: Option<(LogLevel, bool)>| {
            let found = Logging::of(configuration);
            let group = found.as_ref().map(|found| &*found.log_group_arn);
            assert!(group.is_none_or(|group| group == "arn:aws:logs:r:1:log-group:g:*"), "{configuration}");
            assert_eq!(found.map(|found| (found.level, found.includes_execution_data)), expected);
        };
        let to = |rest: &str| {
            format!(
                r#"{{{rest}"destinations":[{{"cloudWatchLogsLogGroup":{{"logGroupArn":"arn:aws:logs:r:1:log-group:g:*"}}}}]}}"#
            )
        };
        check(&to(r#""level":"ALL","includeExecutionData":true,"#), Some((LogLevel::All, true)));
        check(&to(r#""level":"ERROR","includeExecutionData":false,"#), Some((LogLevel::Error, false)));
        check(&to(r#""level":"FATAL","#), Some((LogLevel::Fatal, false)));
        check(&to(r#""level":"OFF","includeExecutionData":true,"#), None);
        check(r#"{"level":"OFF","includeExecutionData":false}"#, None);
        check(r#"{"level":"ALL","includeExecutionData":false,"destinations":[]}"#, None);
        check("", None);
    }
}
