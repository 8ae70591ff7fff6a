//! `states:startExecution`: nested executions

use std::sync::Arc;

use async_trait::async_trait;
use stepwell_asl::ErrorName;
use stepwell_engine::message::Callback;
use stepwell_engine::meta::Meta;
use stepwell_engine::port::TaskCall;
use stepwell_engine::{Caller, StepFunctions};
use stepwell_expr::{Map, Payload, Value};
use stepwell_interpreter::{ErrorOutput, ExecutionInfo, Job, Pattern, Resource};

use crate::error::STATES;
use crate::metadata::{Spelling, sdk_members};
use crate::parameters::Parameters;
use crate::sfn::Answered;
use crate::{Integration, java};

/// Starts executions of other state machines (Developer Guide, "Start a new state machine from a running execution").
pub struct States {
    api: Arc<dyn StepFunctions>,
}

impl States {
    /// Starts them by `api`.
    pub fn new(api: Arc<dyn StepFunctions>) -> Self {
        States { api }
    }
}

const PARAMETERS: [&str; 4] = ["Input", "Name", "StateMachineArn", "TraceHeader"];

#[async_trait]
impl Integration for States {
    async fn call(&self, task: &TaskCall) -> Result<Payload, ErrorOutput> {
        let answer = Answered::to(&*self.api, "StartExecution", &request(task)?, task.into()).await;
        match answer.error(|refusal| STATES.refused(refusal)) {
            None => Ok(result(&answer)),
            Some(error) => Err(error),
        }
    }

    fn offers(&self, action: &str, _: Pattern) -> bool {
        action == "startExecution"
    }

    /// An execution whose end is awaited is known by the attempt that started it: starting it again finds it.
    fn is_idempotent(&self, _: &str, pattern: Pattern) -> bool {
        matches!(pattern, Pattern::Sync | Pattern::Sync2)
    }

    async fn cancel(&self, info: &ExecutionInfo, job: &Job) {
        let Some(arn) = job.submitted.value().get("ExecutionArn") else { return };
        let request = Value::from([("executionArn", arn.clone())]);
        let caller = Caller { info, role: job.credentials.as_deref(), parent: None };
        let stopped = Answered::to(&*self.api, "StopExecution", &request, caller).await;
        if let Some(refusal) = stopped.refusal() {
            tracing::warn!(
                execution = arn.as_str(),
                code = refusal.code,
                "a nested execution was not stopped"
            );
        }
    }
}

/// The request of StartExecution.
fn request(task: &TaskCall) -> Result<Value, ErrorOutput> {
    let parameters = Parameters::new(&task.call.parameters, &PARAMETERS)?;
    let name = match parameters.text("Name")? {
        Some(name) => name.to_owned(),
        // The same for each try of this attempt.
        None => uuid::Builder::from_random_bytes(task.call.nonce.to_be_bytes()).into_uuid().to_string(),
    };
    let mut request = Map::default();
    request.insert("stateMachineArn", parameters.required_text("StateMachineArn")?.into());
    request.insert("name", name.into());
    if let Some(input) = parameters.message("Input") {
        request.insert("input", input.into());
    }
    if let Some(header) = parameters.text("TraceHeader")? {
        request.insert("traceHeader", header.into());
    }
    Ok(Value::object(request))
}

/// `ExecutionArn`, `StartDate` and what is told of the exchange.
fn result(answer: &Answered) -> Payload {
    let arn = answer.body.get("executionArn").and_then(Value::as_str).unwrap_or_default();
    let millis = java::epoch_millis(answer.body.get("startDate"));
    let length = java::start_execution_body(arn, millis).len().to_string();
    let now = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let headers = [
        ("x-amzn-requestid", answer.request_id.as_str()),
        ("connection", "keep-alive"),
        ("content-length", &length),
        ("date", &date),
        ("content-type", "application/x-amz-json-1.0"),
    ];
    let [http, response] =
        sdk_members(answer.status, headers.into_iter(), &answer.request_id, Spelling::LowerConnection);
    let members = [("ExecutionArn", arn.into()), http, response, ("StartDate", millis.into())];
    Payload::of(Value::object(members.into_iter().map(|(name, value)| (name.into(), value)).collect()))
}

/// How a task of `resource` ends that waited for the execution `child`: with what DescribeExecution tells of it.
pub(crate) fn outcome(resource: &str, child: &Meta) -> Callback {
    let parsed = Resource::parse(resource)
        .is_some_and(|resource| matches!(resource, Resource::Service { pattern: Pattern::Sync2, .. }));
    let described = Payload::of(description(child, parsed));
    if child.status() == "SUCCEEDED" {
        Callback::Success(described)
    } else {
        Callback::Failure(ErrorOutput::new(ErrorName::TASK_FAILED, described.text().clone()))
    }
}

/// DescribeExecution as the SDK for Java 1 spells it, in alphabetical order. `.sync:2` gives input and output as JSON,
/// `.sync` as text.
fn description(child: &Meta, parsed: bool) -> Value {
    let info = &child.info;
    let end = child.end.as_ref();
    let text = |text: &Option<Arc<str>>| text.as_ref().map(|text| Value::from(text.clone()));
    let data = |payload: &Payload| {
        if parsed { payload.value().clone() } else { Value::from(payload.text().clone()) }
    };
    let included = || Value::from([("Included", Value::from(true))]);
    let output = end.and_then(|end| end.output.as_ref());
    // Told at its end, when nothing but that can speak against a redrive.
    let now = end.map_or(info.started_at, |end| end.at);
    let (redrive, why) = match child.redrivable(now) {
        Err(why) => ("NOT_REDRIVABLE", Some(why.to_string().into())),
        Ok(()) => ("REDRIVABLE", None),
    };
    let members = [
        ("Cause", end.and_then(|end| text(&end.error.cause))),
        ("Error", end.and_then(|end| text(&end.error.error))),
        ("ExecutionArn", Some(child.execution_arn.clone().into())),
        ("Input", Some(data(&child.input))),
        ("InputDetails", Some(included())),
        ("Name", Some(info.name.clone().into())),
        ("Output", output.map(data)),
        ("OutputDetails", output.map(|_| included())),
        ("RedriveCount", Some(i64::from(child.epoch).into())),
        ("RedriveDate", child.redriven_at.map(|at| at.0.into())),
        ("RedriveStatus", Some(redrive.into())),
        ("RedriveStatusReason", why),
        ("StartDate", Some(info.started_at.0.into())),
        ("StateMachineAliasArn", text(&info.alias_arn)),
        ("StateMachineArn", Some(info.state_machine_arn.clone().into())),
        ("StateMachineVersionArn", text(&info.version_arn)),
        ("Status", Some(child.status().into())),
        ("StopDate", end.map(|end| end.at.0.into())),
        ("TraceHeader", text(&child.trace_header)),
    ];
    let present = members.into_iter().filter_map(|(name, value)| Some((name.into(), value?)));
    Value::object(present.collect())
}
