//! State machines that no API call made: those of a project, and the one that `stepwell run` runs.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use stepwell_asl::{Definition, Diagnostic, Format, MachineType, Severity, parse};
use stepwell_engine::Engine;
use stepwell_engine::port::{MachineStatus, RegistryError, StateMachine};

use crate::config::{self, DefinitionSource, LocalConfig, Project, StateMachineConfig};

/// A machine as it will be put into the registry.
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Its definition: JSON, also where the file is YAML.
    pub definition: Arc<str>,
    /// Standard or Express.
    pub machine_type: MachineType,
    /// Its role; one of the account where the project names none.
    pub role_arn: String,
}

/// A definition's text, and how it is written.
pub struct Text {
    /// The text, with the project's substitutions made.
    pub text: String,
    /// JSON or YAML.
    pub format: Format,
}

impl Text {
    /// The definition of a machine that a project declares.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn declared(machine: &StateMachineConfig) -> Result<Self> {
        let text = machine.definition_text()?;
        let format = match &machine.definition {
            DefinitionSource::File(path) => format(path, &text),
            DefinitionSource::Inline(_) => Format::Json,
        };
        Ok(Text { text, format })
    }

    /// The definition, or everything that is wrong with it.
    ///
    /// # Errors
    /// The diagnostics, of which one at least is an error.
    pub fn check(&self, machine_type: MachineType) -> Result<Definition, Vec<Diagnostic>> {
        let parsed = parse(&self.text, self.format, machine_type);
        let refused = parsed.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        parsed.definition.filter(|_| !refused).ok_or(parsed.diagnostics)
    }
}

/// How the file at `path` is written: by its name where that tells, else by its first character: JSON definitions begin with a brace.
pub fn format(path: &Path, text: &str) -> Format {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    match extension.as_deref() {
        Some("yaml" | "yml") => Format::Yaml,
        Some("json") => Format::Json,
        _ if text.trim_start().starts_with(['{', '[']) => Format::Json,
        _ if text.trim().is_empty() => Format::Json,
        _ => Format::Yaml,
    }
}

/// The type of a machine that a project declares.
pub fn machine_type(declared: config::MachineType) -> MachineType {
    match declared {
        config::MachineType::Standard => MachineType::Standard,
        config::MachineType::Express => MachineType::Express,
    }
}

/// The role of a machine for which none is named.
pub fn role_arn(local: &LocalConfig) -> String {
    format!("arn:aws:iam::{}:role/stepwell", local.account())
}

/// Puts every machine that `project` declares into the registry; one that is there already, and reads otherwise, is
/// updated. Gives their ARNs.
///
/// # Errors
/// A definition that cannot be read or is refused; a registry that does not answer.
pub async fn register_all(engine: &Engine, project: &Project) -> Result<Vec<Arc<str>>> {
    let mut arns = Vec::new();
    for declared in &project.state_machines {
        let (text, machine_type) = (Text::declared(declared)?, machine_type(declared.machine_type));
        let definition = match text.check(machine_type) {
            Ok(definition) => definition.text().clone(),
            Err(found) => {
                let first = found.iter().find(|diagnostic| diagnostic.severity == Severity::Error);
                let what =
                    first.map_or_else(String::new, |found| format!("{}: {}", found.code.0, found.message));
                bail!("the definition of {} is refused: {what} (stepwell validate says more)", declared.name)
            }
        };
        let role_arn = declared.role_arn.clone().unwrap_or_else(|| role_arn(&project.local));
        let machine = Machine { name: declared.name.clone(), definition, machine_type, role_arn };
        arns.push(machine.register(engine, &project.local).await?.arn.clone());
    }
    Ok(arns)
}

impl Machine {
    /// Puts the machine into the registry, as a new revision where one of its name reads otherwise.
    ///
    /// # Errors
    /// A registry that does not answer, or a machine of another type under the same name.
    pub async fn register(&self, engine: &Engine, local: &LocalConfig) -> Result<Arc<StateMachine>> {
        let registry = &engine.ports().registry;
        let mut machine = self.revised(engine, local);
        let known = registry.machine(&machine.arn).await?;
        match known {
            None => match registry.create(Arc::new(machine.clone()), None).await {
                Err(RegistryError::Exists(_)) => bail!("{} was created meanwhile", self.name),
                done => done?,
            },
            Some(known) if known.machine_type != self.machine_type => {
                bail!("{} is of another type in this store: choose another name or --data-dir", self.name)
            }
            Some(known) if known.definition == machine.definition && known.role_arn == machine.role_arn => {
                return Ok(known);
            }
            Some(known) => {
                let (created_at, edition) = (known.created_at, known.edition + 1);
                machine = StateMachine { created_at, edition, is_updated: true, ..machine };
                registry
                    .update(Arc::new(machine.clone()), &known)
                    .await
                    .with_context(|| format!("updating {}", self.name))?;
            }
        }
        Ok(Arc::new(machine))
    }

    fn revised(&self, engine: &Engine, local: &LocalConfig) -> StateMachine {
        let (region, account) = (local.region(), local.account());
        let now = engine.ports().clock.now();
        StateMachine {
            arn: format!("arn:aws:states:{region}:{account}:stateMachine:{}", self.name).into(),
            name: self.name.as_str().into(),
            machine_type: self.machine_type,
            definition: self.definition.clone(),
            role_arn: self.role_arn.as_str().into(),
            revision: uuid::Uuid::new_v4().to_string().into(),
            is_updated: false,
            created_at: now,
            updated_at: now,
            status: MachineStatus::Active,
            logging: None,
            tracing: None,
            encryption: None,
            tags: Vec::new(),
            edition: 0,
        }
    }
}
