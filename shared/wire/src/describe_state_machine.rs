//! API: DescribeStateMachine

use stepwell_asl::variable_references;
use stepwell_engine::port::{MachineStatus, StateMachine};
use stepwell_expr::Value;

use crate::answer::Answer;
use crate::create_state_machine::{encryption, logging, tracing, type_name};
use crate::request::{Members, Text, Violations};
use crate::start_execution::IncludedData;
use crate::target::largest;
use crate::update_state_machine::shown_revision;
use crate::{Api, Error, Qualifier, StateMachineArn};

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let arn = request.required("stateMachineArn", &Text::ARN)?;
    let included = IncludedData::read(&mut request)?;
    violations.check()?;
    let arn = StateMachineArn::parse(&arn, api.settings())?;
    // An alias is described by the version that most of its executions go to.
    let target = api.target(&arn, largest).await?;
    let (machine, version) = (&target.machine, &target.version);

    let label = if let Qualifier::Label(label) = arn.qualifier() { Some(label) } else { None };
    let mut answer = Answer::with_capacity(machine.definition.len() + 1024);
    let status = match machine.status {
        MachineStatus::Active => "ACTIVE",
        MachineStatus::Deleting => "DELETING",
    };
    answer
        .text("status", status)
        .text("type", type_name(machine.machine_type))
        .time("creationDate", version.as_ref().map_or(machine.created_at, |version| version.created_at))
        .text("stateMachineArn", arn.text())
        .text_if("label", label)
        .text_if("description", version.as_ref().and_then(|version| version.description.as_ref()));
    write_machine(&mut answer, api, machine, &machine.role_arn, included);
    Ok(answer)
}

/// The members that DescribeStateMachineForExecution shows too.
pub(crate) fn write_machine(
    answer: &mut Answer,
    api: &Api,
    machine: &StateMachine,
    role_arn: &str,
    included: IncludedData,
) {
    answer
        .text("name", &machine.name)
        .text("roleArn", role_arn)
        .text_if("revisionId", shown_revision(machine))
        .json("loggingConfiguration", logging(machine))
        .json("tracingConfiguration", tracing(machine))
        .json("encryptionConfiguration", encryption(machine));
    if included == IncludedData::MetadataOnly {
        answer.text("definition", "{}");
        return;
    }
    answer.text("definition", &machine.definition);
    let definition = api.engine().definition(machine);
    let references = definition.map(|definition| variable_references(&definition)).unwrap_or_default();
    if !references.is_empty() {
        answer.object("variableReferences", |states| {
            for (state, names) in &references {
                states.named_texts(state, names);
            }
        });
    }
}
