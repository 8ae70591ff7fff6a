//! `states:startExecution`: nested executions

use std::sync::Arc;

use async_trait::async_trait;
use stepwell_engine::StepFunctions;
use stepwell_engine::port::TaskCall;
use stepwell_expr::{Map, Payload, Value};
use stepwell_interpreter::{ErrorOutput, Pattern};

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
        let answer = Answered::to(&*self.api, "StartExecution", &request(task)?, task).await;
        match answer.refusal() {
            None => Ok(result(&answer)),
            Some(refusal) => Err(STATES.refused(&refusal)),
        }
    }

    fn offers(&self, action: &str, pattern: Pattern) -> bool {
        action == "startExecution" && !matches!(pattern, Pattern::Sync | Pattern::Sync2)
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
