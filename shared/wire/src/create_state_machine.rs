//! API: CreateStateMachine

use std::sync::Arc;

use stepwell_asl::{Format, MachineType, invalid_definition};
use stepwell_engine::port::{MachineStatus, Publication, RegistryError, StateMachine};
use stepwell_expr::Value;

use crate::answer::Answer;
use crate::arn::check_name;
use crate::configuration::{Configurations, ENCRYPTION_DEFAULT, Kept, LOGGING_DEFAULT, TRACING_DEFAULT};
use crate::request::{Members, Text, Violations};
use crate::target::{alive, version_arn};
use crate::{Api, Error, id, tags};

struct Input {
    name: Arc<str>,
    definition: Arc<str>,
    role_arn: Arc<str>,
    machine_type: MachineType,
    kept: Kept,
    tags: Vec<(String, String)>,
    publish: Publish,
}

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let input = Input::read(body)?;
    input.kept.check_log_group(api).await?;
    let now = api.now();
    let machine = Arc::new(StateMachine {
        arn: api.settings().arn(&format!("stateMachine:{}", input.name)),
        name: input.name,
        machine_type: input.machine_type,
        definition: input.definition,
        role_arn: input.role_arn,
        revision: id::random_uuid(api.clock()).into(),
        is_updated: false,
        created_at: now,
        updated_at: now,
        status: MachineStatus::Active,
        logging: input.kept.logging,
        tracing: input.kept.tracing,
        encryption: input.kept.encryption,
        tags: input.tags,
        edition: 0,
    });
    let publish = &input.publish;
    let version = publish.publishes.then(|| Publication {
        revision: machine.revision.clone(),
        description: publish.description.clone(),
        at: now,
    });
    let created = match api.engine().ports().registry.create(machine.clone(), version).await {
        Ok(()) => machine,
        Err(RegistryError::Exists(there)) => {
            let there = same(there, &machine)?;
            same_version(api, &there, publish).await?;
            there
        }
        Err(error) => return Err(error.into()),
    };
    let mut answer = Answer::new();
    answer.text("stateMachineArn", &created.arn).time("creationDate", created.created_at);
    if publish.publishes {
        answer.text("stateMachineVersionArn", &version_arn(&created.arn, FIRST_VERSION));
    }
    Ok(answer)
}

/// The number of the version that is published at the creation.
const FIRST_VERSION: u64 = 1;

impl Input {
    fn read(body: &Value) -> Result<Self, Error> {
        let mut violations = Violations::default();
        let mut request = Members::of(body, &mut violations);
        let name = request.required("name", &Text::NAME)?;
        let definition = request.required("definition", &Text::DEFINITION)?;
        let role_arn = request.required("roleArn", &Text::ARN)?;
        let machine_type = machine_type(read_type(&mut request)?);
        let configurations = Configurations::read(&mut request)?;
        let tags = tags::read(&mut request)?.unwrap_or_default();
        let publish = Publish::read(&mut request)?;
        violations.check()?;
        publish.check()?;
        check_name(&name)?;
        check_role(&role_arn)?;
        check_definition(&definition, machine_type)?;
        let kept = configurations.kept()?;
        let tags = tags::merged(&name, &[], tags)?;
        Ok(Input { name, definition, role_arn, machine_type, kept, tags, publish })
    }
}

/// The answer to the same request made again: what is `there`. Role and tags may differ (API: CreateStateMachine).
fn same(there: Arc<StateMachine>, asked: &StateMachine) -> Result<Arc<StateMachine>, Error> {
    alive(&there)?;
    let is_same = there.definition == asked.definition
        && there.machine_type == asked.machine_type
        && logging(&there) == logging(asked)
        && tracing(&there) == tracing(asked)
        && encryption(&there) == encryption(asked);
    if is_same { Ok(there) } else { Err(Error::StateMachineAlreadyExists(there.arn.to_string())) }
}

/// Checks that the machine which is `there` was published at its creation, or not, as `publish` says.
async fn same_version(api: &Api, there: &StateMachine, publish: &Publish) -> Result<(), Error> {
    let first = api.engine().ports().registry.version(&there.arn, FIRST_VERSION).await?;
    let first = first.filter(|first| first.created_at == there.created_at);
    let is_same = match &first {
        Some(first) => publish.publishes && first.description == publish.description,
        None => !publish.publishes,
    };
    if is_same { Ok(()) } else { Err(Error::StateMachineAlreadyExists(there.arn.to_string())) }
}

/// `loggingConfiguration` as JSON.
pub(crate) fn logging(machine: &StateMachine) -> &str {
    machine.logging.as_deref().unwrap_or(LOGGING_DEFAULT)
}

/// `tracingConfiguration` as JSON.
pub(crate) fn tracing(machine: &StateMachine) -> &str {
    machine.tracing.as_deref().unwrap_or(TRACING_DEFAULT)
}

/// `encryptionConfiguration` as JSON.
pub(crate) fn encryption(machine: &StateMachine) -> &str {
    machine.encryption.as_deref().unwrap_or(ENCRYPTION_DEFAULT)
}

/// `publish` and `versionDescription`
pub(crate) struct Publish {
    pub(crate) publishes: bool,
    pub(crate) description: Option<Arc<str>>,
}

impl Publish {
    pub(crate) fn read(request: &mut Members<'_>) -> Result<Self, Error> {
        Ok(Publish {
            publishes: request.flag("publish")?.unwrap_or(false),
            description: request.text("versionDescription", &Text::VERSION_DESCRIPTION)?,
        })
    }

    /// # Errors
    /// [`Error::Validation`] for a description of nothing.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.description.is_some() && !self.publishes {
            return Err(Error::validation("Version description can only be set when publish is true"));
        }
        Ok(())
    }
}

/// # Errors
/// [`Error::InvalidArn`]
pub(crate) fn check_role(role_arn: &str) -> Result<(), Error> {
    if role_arn.starts_with("arn:aws") {
        Ok(())
    } else {
        Err(Error::InvalidArn(format!("Invalid ARN prefix: {role_arn}")))
    }
}

/// # Errors
/// [`Error::InvalidDefinition`]
pub(crate) fn check_definition(definition: &str, machine_type: MachineType) -> Result<(), Error> {
    let parsed = stepwell_asl::parse(definition, Format::Json, machine_type);
    if parsed.definition.is_some() {
        return Ok(());
    }
    Err(Error::InvalidDefinition(invalid_definition(definition, &parsed.diagnostics)))
}

/// `type`
pub(crate) fn read_type(request: &mut Members<'_>) -> Result<Option<&'static str>, Error> {
    request.one_of("type", &["STANDARD", "EXPRESS"])
}

/// The type that `type` names; Standard where there is none.
pub(crate) fn machine_type(name: Option<&str>) -> MachineType {
    if name == Some("EXPRESS") { MachineType::Express } else { MachineType::Standard }
}

/// `type` of a state machine.
pub(crate) fn type_name(machine_type: MachineType) -> &'static str {
    match machine_type {
        MachineType::Standard => "STANDARD",
        MachineType::Express => "EXPRESS",
    }
}
