//! A call for tests.

use std::sync::Arc;

use stepwell_engine::port::TaskCall;
use stepwell_expr::Payload;
use stepwell_interpreter::{AttemptId, BranchId, CallTask, ExecutionInfo, Resource, Timestamp};

/// A call of `resource` with parameters.
pub(crate) fn task(resource: &str, parameters: &str) -> TaskCall {
    let info = ExecutionInfo {
        execution_arn: "arn:aws:states:us-east-1:123456789012:execution:machine:run".into(),
        name: "run".into(),
        state_machine_arn: "arn:aws:states:us-east-1:123456789012:stateMachine:machine".into(),
        state_machine_name: "machine".into(),
        role_arn: "arn:aws:iam::123456789012:role/role".into(),
        version_arn: None,
        alias_arn: None,
        started_at: Timestamp(0),
        express: false,
    };
    let call = CallTask {
        attempt: AttemptId(1),
        nonce: 1,
        branch: BranchId(0),
        resource: Arc::new(Resource::parse(resource).expect("a Resource")),
        state: "State".into(),
        retry_count: 0,
        parameters: Payload::parse(parameters).expect("parameters are JSON"),
        timeout_seconds: None,
        credentials: None,
    };
    TaskCall { info: Arc::new(info), call, token: None, parent: None, wait_max: None }
}
