//! Executions as they are before anything has happened to them.

use stepwell_engine::meta::{Meta, RunId};
use stepwell_expr::Payload;
use stepwell_interpreter::{ExecutionInfo, Timestamp};

/// What is fixed at the start of the Standard execution `name` of [`crate::machine`] `machine`.
pub fn execution(machine: &str, name: &str) -> ExecutionInfo {
    const ARN: &str = "arn:aws:states:us-east-1:123456789012";
    ExecutionInfo {
        execution_arn: format!("{ARN}:execution:{machine}:{name}").into(),
        name: name.into(),
        state_machine_arn: format!("{ARN}:stateMachine:{machine}").into(),
        state_machine_name: machine.into(),
        role_arn: "arn:aws:iam::123456789012:role/machine".into(),
        version_arn: None,
        alias_arn: None,
        started_at: Timestamp(0),
        express: false,
    }
}

/// META of an execution that runs.
pub fn meta(info: ExecutionInfo, run: u128, input: Payload) -> Meta {
    Meta {
        execution_arn: info.execution_arn.clone(),
        run: RunId(run),
        epoch: 0,
        info: info.into(),
        input,
        revision: "1".into(),
        trace_header: None,
        end: None,
        parked: None,
        parent: None,
        redriven_at: None,
    }
}
