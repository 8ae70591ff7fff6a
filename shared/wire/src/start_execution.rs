//! API: StartExecution

use std::sync::Arc;

use stepwell_asl::MachineType;
use stepwell_engine::StartRequest;
use stepwell_engine::port::StateMachine;
use stepwell_expr::{Payload, Value};

use crate::answer::Answer;
use crate::arn::check_name;
use crate::request::{Members, Text, Violations};
use crate::target::{Target, check_unlabelled};
use crate::{Api, Call, Error, StateMachineArn, id};

/// A request to start, of either kind.
pub(crate) struct Start {
    arn: StateMachineArn,
    name: Option<Arc<str>>,
    input: Option<Arc<str>>,
    trace_header: Option<Arc<str>>,
    pub(crate) included_data: IncludedData,
}

/// `includedData`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IncludedData {
    All,
    MetadataOnly,
}

impl IncludedData {
    pub(crate) fn read(request: &mut Members<'_>) -> Result<Self, Error> {
        let read = request.one_of("includedData", &["ALL_DATA", "METADATA_ONLY"])?;
        Ok(if read == Some("METADATA_ONLY") { IncludedData::MetadataOnly } else { IncludedData::All })
    }
}

pub(crate) async fn answer(api: &Api, body: &Value, call: Call<'_>) -> Result<Answer, Error> {
    let start = Start::read(api, body, call.trace_header)?;
    let target = start.target(api).await?;
    let request = StartRequest { parent: call.parent.cloned(), ..start.request(api, target)? };
    let started = api.engine().start(request).await?;
    let mut answer = Answer::new();
    answer.text("executionArn", &started.execution_arn).time("startDate", started.started_at);
    Ok(answer)
}

impl Start {
    pub(crate) fn read(api: &Api, body: &Value, trace_header: Option<&str>) -> Result<Self, Error> {
        let mut violations = Violations::default();
        let mut request = Members::of(body, &mut violations);
        let arn = request.required("stateMachineArn", &Text::ARN)?;
        let name = request.text("name", &Text::NAME)?;
        let input = request.text("input", &Text::DATA)?;
        let in_body = request.text("traceHeader", &Text::TRACE_HEADER)?;
        let included_data = IncludedData::read(&mut request)?;
        violations.check()?;
        let trace_header = trace_header.map(Into::into).or(in_body);
        Ok(Start {
            arn: StateMachineArn::parse(&arn, api.settings())?,
            name,
            input,
            trace_header,
            included_data,
        })
    }

    /// What is to be started.
    ///
    /// # Errors
    /// [`Error::StateMachineDoesNotExist`], [`Error::Validation`].
    pub(crate) async fn target(&self, api: &Api) -> Result<Target, Error> {
        check_unlabelled(&self.arn)?;
        api.target_lately(&self.arn, |alias| alias.pick(api.clock().random())).await
    }

    /// What the engine is asked, once the machine is known.
    ///
    /// # Errors
    /// [`Error::StateMachineDeleting`], [`Error::InvalidName`], [`Error::InvalidExecutionInput`]: AWS checks in this
    /// order.
    pub(crate) fn request(self, api: &Api, target: Target) -> Result<StartRequest, Error> {
        let target = target.alive()?;
        let (version_arn, alias_arn) = (target.version_arn(), target.alias_arn);
        let machine = target.machine;
        if let Some(name) = &self.name {
            check_name(name)?;
        }
        let input = self.input.map_or_else(|| Ok(Payload::trusted("{}")), input)?;
        let name = self.name.unwrap_or_else(|| id::random_uuid(api.clock()).into());
        Ok(StartRequest {
            execution_arn: execution_arn(api, &machine, &name),
            machine,
            name,
            input,
            trace_header: self.trace_header,
            version_arn,
            alias_arn,
            parent: None,
        })
    }
}

fn execution_arn(api: &Api, machine: &StateMachine, name: &str) -> Arc<str> {
    let machine_name = &machine.name;
    match machine.machine_type {
        MachineType::Standard => api.settings().arn(&format!("execution:{machine_name}:{name}")),
        MachineType::Express => {
            let run = id::random_uuid(api.clock());
            api.settings().arn(&format!("express:{machine_name}:{name}:{run}"))
        }
    }
}

/// An `input`, as it stands.
pub(crate) fn input(text: Arc<str>) -> Result<Payload, Error> {
    if text.is_empty() {
        return Err(Error::InvalidExecutionInput("Invalid execution input.".into()));
    }
    Payload::parse(text).map_err(|error| Error::InvalidExecutionInput(error.message))
}
