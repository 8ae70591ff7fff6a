//! What expressions see: a state's data, its variables, and the Context object.

use std::cell::OnceCell;

use stepwell_expr::{Effort, Entropy, Environment, Map, Value, timestamp};

use crate::execution::{Execution, Phase};
use crate::record::{BranchId, ExecutionInfo, MapItem, Timestamp};
use crate::tested::{self, StateTest};

/// The surroundings of one evaluation.
pub(crate) struct Scope<'a> {
    execution: &'a Execution,
    branch: BranchId,
    entropy: Entropy,
    input: &'a Value,
    result: Option<&'a Value>,
    error_output: Option<&'a Value>,
    token: Option<&'a str>,
    item: Option<&'a MapItem>,
    test: Option<&'a StateTest>,
    effort: Option<&'a Effort>,
    context: OnceCell<Value>,
}

impl<'a> Scope<'a> {
    /// A scope in which `$` (and `$states.input`) is `input`.
    pub(crate) fn new(
        execution: &'a Execution,
        branch: BranchId,
        entropy: Entropy,
        input: &'a Value,
    ) -> Self {
        let (result, error_output, token, item) = (None, None, None, None);
        Scope {
            execution,
            branch,
            entropy,
            input,
            result,
            error_output,
            token,
            item,
            test: None,
            effort: None,
            context: OnceCell::new(),
        }
    }

    /// With `$states.result`.
    pub(crate) fn with_result(self, result: &'a Value) -> Self {
        Scope { result: Some(result), ..self }
    }

    /// With `$states.errorOutput`.
    pub(crate) fn with_error_output(self, error_output: &'a Value) -> Self {
        Scope { error_output: Some(error_output), ..self }
    }

    /// With `$$.Task.Token`.
    pub(crate) fn with_token(self, token: Option<&'a str>) -> Self {
        Scope { token, ..self }
    }

    /// With `$$.Map.Item`, before the iteration's branch exists.
    pub(crate) fn with_item(self, item: &'a MapItem) -> Self {
        Scope { item: Some(item), ..self }
    }

    /// Where all work counts towards `effort`.
    pub(crate) fn counting(self, effort: &'a Effort) -> Self {
        Scope { effort: Some(effort), ..self }
    }

    /// With what a test says of the Context object.
    pub(crate) fn with_test(self, test: Option<&'a StateTest>) -> Self {
        Scope { test, ..self }
    }

    fn execution_object(&self, info: &ExecutionInfo) -> Value {
        let mut object = Map::with_capacity(7);
        object.insert("Id", info.execution_arn.clone().into());
        object.insert("Input", self.execution.input().value().clone());
        // Express executions have it in another place (recorded).
        if !info.express {
            object.insert("StartTime", time(info.started_at));
        }
        object.insert("Name", info.name.clone().into());
        object.insert("RoleArn", info.role_arn.clone().into());
        if info.express {
            object.insert("StartTime", time(info.started_at));
        }
        object.insert("RedriveCount", i64::from(self.execution.redrive_count()).into());
        if let Some(redriven) = self.execution.redrives().last() {
            object.insert("RedriveTime", time(redriven.at));
        }
        object.into()
    }

    fn context_object(&self) -> Value {
        if let Some(context) = self.test.and_then(|test| test.setup.context.as_ref()) {
            return self.with_own_item(context);
        }
        let mut context = Map::with_capacity(5);
        if let Some(info) = self.execution.info() {
            let object = if self.test.is_some() {
                tested::execution_object(info, self.execution.input(), time(info.started_at))
            } else {
                self.execution_object(info)
            };
            context.insert("Execution", object);
        }
        if let Some(item) = self.item.or_else(|| self.execution.item(self.branch).map(|item| &**item)) {
            context.insert("Map", Value::from([("Item", item_object(item))]));
        }
        if let Some(info) = self.execution.info() {
            context.insert(
                "StateMachine",
                Value::from([
                    ("Id", Value::from(info.state_machine_arn.clone())),
                    ("Name", info.state_machine_name.clone().into()),
                ]),
            );
        }
        if let Phase::In { state, entered_at, retries, .. } = &self.execution.branch(self.branch).phase {
            let mut object = Map::with_capacity(3);
            let name = if self.test.is_some() { tested::STATE_NAME.into() } else { state.clone() };
            object.insert("Name", name.into());
            object.insert("EnteredTime", time(*entered_at));
            if self.execution.retries_are_counted(self.branch) {
                let tested = self.test.and_then(|test| test.setup.retry_count);
                let count: u32 = tested.unwrap_or_else(|| retries.iter().sum());
                object.insert("RetryCount", i64::from(count).into());
            }
            context.insert("State", object.into());
        }
        if let Some(token) = self.token {
            context.insert("Task", Value::from([("Token", Value::from(token))]));
        }
        context.into()
    }
}

impl Scope<'_> {
    /// The Context object of a test, in which a Map under test puts each of its items.
    fn with_own_item(&self, context: &Value) -> Value {
        let (Some(item), Some(members)) = (self.item, context.as_object()) else { return context.clone() };
        let mut members = members.clone();
        members.insert("Map", Value::from([("Item", item_object(item))]));
        members.into()
    }
}

impl Environment for Scope<'_> {
    fn input(&self) -> &Value {
        self.input
    }

    fn context(&self) -> &Value {
        self.context.get_or_init(|| self.context_object())
    }

    fn variable(&self, name: &str) -> Option<&Value> {
        self.execution.variable(self.branch, name).map(|payload| payload.value())
    }

    fn result(&self) -> Option<&Value> {
        self.result
    }

    fn error_output(&self) -> Option<&Value> {
        self.error_output
    }

    fn effort(&self) -> Option<&Effort> {
        self.effort
    }

    fn entropy(&self) -> &Entropy {
        &self.entropy
    }
}

fn time(at: Timestamp) -> Value {
    Value::from(timestamp::format_ms(at.0))
}

fn item_object(item: &MapItem) -> Value {
    let mut object = Map::with_capacity(4);
    object.insert("Index", i64::from(item.index).into());
    if let Some(key) = &item.key {
        object.insert("Key", key.clone().into());
    }
    object.insert("Value", item.value.value().clone());
    object.insert("Source", "STATE_DATA".into());
    object.into()
}
