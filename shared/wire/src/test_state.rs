//! API: TestState

mod context;
mod mock;
mod report;
mod schema;

use std::sync::Arc;

use stepwell_asl::{Definition, Format, LONE_STATE, MachineType, State, StateKind, invalid_definition};
use stepwell_engine::TestRequest;
use stepwell_expr::{Payload, Value};
use stepwell_interpreter::{ExecutionInfo, Resource, TestSetup};

use crate::answer::Answer;
use crate::arn::partition;
use crate::create_state_machine::check_role;
use crate::request::{Members, Text, Violations};
use crate::start_execution::input;
use crate::{Api, Error, id};
use mock::Mock;
use report::Level;

/// Whose role a state without one seems to have.
const NO_ROLE: &str = "TestState";

/// A request.
struct Request {
    definition: Arc<str>,
    state_name: Option<Arc<str>>,
    role_arn: Option<Arc<str>>,
    input: Option<Arc<str>>,
    variables: Option<Arc<str>>,
    context: Option<Arc<str>>,
    level: Level,
    reveals_secrets: bool,
    mock: Option<Mock>,
    configuration: Configuration,
}

/// `stateConfiguration`
#[derive(Default)]
struct Configuration {
    retry_count: Option<u32>,
    error_caused_by: Option<Arc<str>>,
    failed_iterations: Option<u32>,
    reader_data: Option<Arc<str>>,
}

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let request = Request::read(body)?;
    let (definition, name) = request.definition()?;
    let state = definition.state(&name).ok_or_else(|| Error::validation("State not found in definition"))?;
    let setup = request.setup(&definition, state)?;
    let input = request.input.clone().map_or_else(|| Ok(Payload::trusted("{}")), input)?;
    let info = info(api, request.role_arn.as_ref());

    let failed = setup.failed_iterations;
    let run = TestRequest { definition, state: name, input: input.clone(), info, setup };
    let seen = api.engine().test_state(run).await;
    if let (Some(failed), Some(iterations)) = (failed, seen.iterations)
        && failed as usize > iterations
    {
        let message =
            "Map iteration failure count must be less than or equal to the number of Map iterations";
        return Err(Error::validation(message));
    }
    Ok(report::answer(&seen, request.level, &input))
}

impl Request {
    fn read(body: &Value) -> Result<Self, Error> {
        let mut violations = Violations::default();
        let mut members = Members::of(body, &mut violations);
        let request = Request {
            definition: members.required("definition", &Text::DEFINITION)?,
            state_name: members.text("stateName", &Text::STATE_NAME)?,
            role_arn: members.text("roleArn", &Text::ARN)?,
            input: members.text("input", &Text::DATA)?,
            variables: members.text("variables", &Text::DATA)?,
            context: members.text("context", &Text::DATA)?,
            level: Level::read(&mut members)?,
            reveals_secrets: members.flag("revealSecrets")?.unwrap_or(false),
            mock: members.structure("mock", Mock::read)?,
            configuration: members.structure("stateConfiguration", Configuration::read)?.unwrap_or_default(),
        };
        violations.check()?;
        if let Some(role_arn) = &request.role_arn {
            check_role(role_arn)?;
        }
        request.check()?;
        Ok(request)
    }

    /// What cannot stand together, whatever the state is.
    fn check(&self) -> Result<(), Error> {
        let Some(mock) = &self.mock else {
            let wanted =
                |what: &str| Err(Error::validation(format!("{what} can only be specified with a mock")));
            let Configuration { retry_count, error_caused_by, failed_iterations, reader_data } =
                &self.configuration;
            return match () {
                () if self.context.is_some() => wanted("Context object"),
                () if failed_iterations.is_some() => wanted("Map iteration failure count"),
                () if error_caused_by.is_some() => wanted("Error caused by state"),
                () if retry_count.is_some() => wanted("Retrier retry count"),
                () if reader_data.is_some() => wanted("Map item reader data"),
                () => Ok(()),
            };
        };
        if self.reveals_secrets {
            return Err(Error::validation("Secrets cannot be revealed when a mock is specified"));
        }
        mock.check()
    }

    /// The definition, and the name of the state to test in it.
    fn definition(&self) -> Result<(Arc<Definition>, Arc<str>), Error> {
        let text = &self.definition;
        let parsed = match &self.state_name {
            Some(_) => stepwell_asl::parse(text, Format::Json, MachineType::Standard),
            None => stepwell_asl::parse_state(text, MachineType::Standard),
        };
        let definition = parsed
            .definition
            .ok_or_else(|| Error::InvalidDefinition(invalid_definition(text, &parsed.diagnostics)))?;
        Ok((Arc::new(definition), self.state_name.clone().unwrap_or_else(|| LONE_STATE.into())))
    }

    /// What stands in for the world.
    fn setup(&self, definition: &Definition, state: &State) -> Result<TestSetup, Error> {
        match &self.mock {
            Some(_) => mock::check_mocked(state)?,
            None => mock::check_unmocked(state)?,
        }
        if let Some(name) = &self.configuration.error_caused_by
            && definition.state(name).is_none()
        {
            return Err(Error::validation("State not found in definition"));
        }
        let mock = self.mock.as_ref().map(|mock| mock.outcome(state)).transpose()?;
        let context = self.context.as_deref().map(|text| context::read(text, state)).transpose()?;
        let Configuration { retry_count, failed_iterations, reader_data, .. } = &self.configuration;
        Ok(TestSetup {
            mock,
            context,
            variables: self.variables.as_deref().map(variables).transpose()?.unwrap_or_default(),
            retry_count: *retry_count,
            failed_iterations: *failed_iterations,
            reader_data: reader_data.clone(),
        })
    }
}

impl Configuration {
    fn read(members: &mut Members<'_>) -> Result<Self, Error> {
        let mut count = |name: &str| -> Result<Option<u32>, Error> {
            let count = members.integer(name, 0, i64::from(i32::MAX))?;
            Ok(count.and_then(|count| u32::try_from(count).ok()))
        };
        let (retry_count, failed_iterations) =
            (count("retrierRetryCount")?, count("mapIterationFailureCount")?);
        Ok(Configuration {
            retry_count,
            failed_iterations,
            error_caused_by: members.text("errorCausedByState", &Text::STATE_NAME)?,
            reader_data: members.text("mapItemReaderData", &Text::DATA)?,
        })
    }
}

/// The resource of a Task state.
fn resource(state: &State) -> Option<Resource> {
    match &state.kind {
        StateKind::Task(task) => Resource::parse(&task.resource),
        _ => None,
    }
}

fn variables(text: &str) -> Result<Vec<(Arc<str>, Payload)>, Error> {
    let refused = || Error::validation("Variables must be a valid JSON object");
    let value = stepwell_expr::json::parse(text).map_err(|_| refused())?;
    let map = value.as_object().ok_or_else(refused)?;
    Ok(map.iter().map(|(name, value)| (name.clone(), Payload::of(value.clone()))).collect())
}

/// The execution that the state seems to belong to: of an Express machine (recorded).
fn info(api: &Api, role_arn: Option<&Arc<str>>) -> Arc<ExecutionInfo> {
    let settings = api.settings();
    let (machine, name) = (id::random_uuid(api.clock()), id::random_uuid(api.clock()));
    let no_role = || {
        let partition = partition(&settings.region);
        format!("arn:{partition}:iam::{}:role/{NO_ROLE}", settings.account).into()
    };
    Arc::new(ExecutionInfo {
        execution_arn: settings.arn(&format!("express:{machine}:{name}")),
        name: name.into(),
        state_machine_arn: settings.arn(&format!("stateMachine:{machine}")),
        state_machine_name: machine.into(),
        role_arn: role_arn.cloned().unwrap_or_else(no_role),
        version_arn: None,
        alias_arn: None,
        started_at: api.now(),
        express: true,
    })
}
