//! Log groups in memory: as much of CloudWatch Logs as the cases need.

use std::sync::Arc;

use serde_json::{Value, json};
use stepwell_test_support::MemoryLogs;
use stepwell_wire::log_lines;

use super::world::{ACCOUNT, REGION};

/// The log groups of a world.
pub(crate) struct LogGroups(pub(crate) Arc<MemoryLogs>);

impl LogGroups {
    /// Answers an operation of the API.
    ///
    /// # Errors
    ///
    /// It is none of those that cases need.
    pub(crate) fn call(&self, operation: &str, params: &Value) -> Result<Value, String> {
        let text = |name: &str| params[name].as_str().unwrap_or_default();
        match operation {
            "CreateLogGroup" => {
                self.0.make_group(&arn(text("logGroupName")));
                Ok(json!({}))
            }
            "DescribeLogGroups" => {
                let beginning = arn(text("logGroupNamePrefix"));
                let groups = self.0.groups().into_iter();
                let groups: Vec<_> = groups
                    .filter(|arn| arn.starts_with(beginning.trim_end_matches(":*")))
                    .map(|arn| json!({"arn": arn}))
                    .collect();
                Ok(json!({"logGroups": groups}))
            }
            _ => Err(format!("there is no {operation} here")),
        }
    }

    /// The events of a group: what its lines say.
    pub(crate) fn events(&self, group: &str) -> Vec<Value> {
        let group = arn(group);
        let logged = self.0.logged().into_iter().filter(|logged| *logged.logging.log_group_arn == *group);
        let lines = logged.flat_map(|logged| log_lines(&logged));
        lines.map(|line| serde_json::from_str(&line.message).unwrap_or_default()).collect()
    }
}

fn arn(group: &str) -> String {
    format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:*")
}
