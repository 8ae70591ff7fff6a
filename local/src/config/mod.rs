//! What a project declares: its Lambda functions, its state machines, and how `stepwell` runs them.
//!
//! A project is a folder with a `stepwell.toml`, an AWS SAM (or CloudFormation) template, or both. What both declare is
//! taken from `stepwell.toml`.

mod intrinsic;
mod sam;
mod toml;
mod variables;
mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stepwell_local::Limits;
use stepwell_wire::{Rate, Throttle};

pub use self::variables::Variables;

/// The region of every ARN, unless the project says otherwise. Step Functions Local uses it too.
pub const REGION_DEFAULT: &str = "us-east-1";
/// The account of every ARN, unless the project says otherwise. Step Functions Local uses it too.
pub const ACCOUNT_DEFAULT: &str = "123456789012";
/// The name of the project file.
pub const PROJECT_FILE: &str = "stepwell.toml";
/// The names under which a SAM template is looked for, in this order.
pub const TEMPLATE_FILES: [&str; 3] = ["template.yaml", "template.yml", "template.json"];

/// Everything a project declares. All paths are absolute, or relative to the working directory as `root` is.
#[derive(Debug, Clone, Default)]
pub struct Project {
    /// The folder of the project; paths in its files start here.
    pub root: PathBuf,
    /// The files that were read.
    pub sources: Vec<PathBuf>,
    /// How `stepwell local` serves.
    pub local: LocalConfig,
    /// The Lambda functions, by name.
    pub functions: Vec<FunctionConfig>,
    /// The state machines, in the order they are declared.
    pub state_machines: Vec<StateMachineConfig>,
    /// A `MockConfigFile.json` of Step Functions Local.
    pub mock: Option<PathBuf>,
}

/// The `[local]` table. What is `None` was not said; a command line option goes before it, a default after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalConfig {
    /// The address to serve on.
    pub host: Option<String>,
    /// The port to serve on.
    pub port: Option<u16>,
    /// The folder of the journal.
    pub data_dir: Option<PathBuf>,
    /// The account in every ARN.
    pub account: Option<String>,
    /// The region in every ARN.
    pub region: Option<String>,
    /// Names, besides loopback's own, under which the server answers.
    pub names: Vec<String>,
    /// Whether requests have to be signed on loopback too.
    pub require_signatures: bool,
    /// Whether AWS's request quotas hold.
    pub throttle: bool,
    /// Operations with quotas of their own.
    pub rates: BTreeMap<String, RateConfig>,
    /// How much may be in hand at once.
    pub capacity: CapacityConfig,
}

/// How much work may be in hand at once; what is not said is as [`Limits`] has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CapacityConfig {
    /// Executions that are worked on.
    pub drivers: Option<NonZeroUsize>,
    /// Executions that wait to begin.
    pub backlog: Option<NonZeroUsize>,
    /// MiB of requests and of commits, and of inputs.
    pub mib: Option<NonZeroUsize>,
}

impl CapacityConfig {
    /// The store's limits.
    #[must_use]
    pub fn limits(self) -> Limits {
        let (limits, mib) = (Limits::default(), |mib: NonZeroUsize| mib.get().saturating_mul(1 << 20));
        Limits {
            drivers: self.drivers.map_or(limits.drivers, NonZeroUsize::get),
            backlog: self.backlog.map_or(limits.backlog, NonZeroUsize::get),
            bytes: self.mib.map_or(limits.bytes, mib),
        }
    }
}

/// The quota of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateConfig {
    /// Requests that may come at once.
    pub bucket: u32,
    /// Requests per second that may come for good.
    pub refill: u32,
}

impl LocalConfig {
    /// The account in every ARN.
    #[must_use]
    pub fn account(&self) -> &str {
        self.account.as_deref().unwrap_or(ACCOUNT_DEFAULT)
    }

    /// The region in every ARN.
    #[must_use]
    pub fn region(&self) -> &str {
        self.region.as_deref().unwrap_or(REGION_DEFAULT)
    }

    /// The request quotas that hold, where any do; `aws` asks for AWS's besides.
    #[must_use]
    pub fn throttle(&self, aws: bool) -> Option<Throttle> {
        let is_on = aws || self.throttle;
        let all = if is_on { Throttle::aws(self.region()) } else { Throttle::default() };
        let with_own = self.rates.iter().fold(all, |all, (operation, rate)| {
            all.with(operation, Rate { bucket: rate.bucket, refill_per_second: f64::from(rate.refill) })
        });
        (is_on || !self.rates.is_empty()).then_some(with_own)
    }
}

/// One Lambda function, as its project declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionConfig {
    /// The function's name, which is the name part of its ARN.
    pub name: String,
    /// Another name it is found under: the logical id in a SAM template.
    pub alias: Option<String>,
    /// What runs it.
    pub runtime: Runtime,
    /// The handler, in the runtime's own form (`module.function`). Empty for a `bootstrap`.
    pub handler: String,
    /// Where its code is.
    pub code: Code,
    /// How long one call may take.
    pub timeout: Duration,
    /// The memory the function is told it has, in MB. Nothing enforces it.
    pub memory_mb: u32,
    /// The most environments at once (SAM: `ReservedConcurrentExecutions`); `None` leaves it to the host.
    pub concurrency: Option<usize>,
    /// Its environment variables.
    pub environment: Variables,
}

impl FunctionConfig {
    /// The timeout of a function that says none. (API: CreateFunction.)
    pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(3);
    /// The memory of a function that says none, in MB. (API: CreateFunction.)
    pub const MEMORY_MB_DEFAULT: u32 = 128;

    /// A function with AWS's defaults for everything else.
    #[must_use]
    pub fn new(name: &str, runtime: Runtime, handler: &str, code: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            alias: None,
            runtime,
            handler: handler.to_owned(),
            code: Code::Folder(code.into()),
            timeout: Self::TIMEOUT_DEFAULT,
            memory_mb: Self::MEMORY_MB_DEFAULT,
            concurrency: None,
            environment: Variables::default(),
        }
    }
}

/// Where a function's code is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// In this folder, or it is this `bootstrap` binary.
    Folder(PathBuf),
    /// Where the host cannot use it: `in a container image`. A call to its function fails and says so.
    Elsewhere(String),
}

/// A Lambda runtime identifier, by what has to be started for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Runtime {
    /// `python3.x`.
    Python(String),
    /// `nodejs*`.
    Nodejs(String),
    /// `provided*`: an executable named `bootstrap`.
    Provided(String),
    /// A runtime of AWS's that is not hosted. A call to its function fails and says so.
    Other(String),
}

impl Runtime {
    /// Reads an identifier such as `python3.11`.
    #[must_use]
    pub fn new(identifier: &str) -> Self {
        let owned = identifier.to_owned();
        if identifier.starts_with("python3") {
            Self::Python(owned)
        } else if identifier.starts_with("nodejs") {
            Self::Nodejs(owned)
        } else if identifier.starts_with("provided") {
            Self::Provided(owned)
        } else {
            Self::Other(owned)
        }
    }

    /// The identifier as AWS writes it.
    #[must_use]
    pub fn identifier(&self) -> &str {
        match self {
            Self::Python(identifier)
            | Self::Nodejs(identifier)
            | Self::Provided(identifier)
            | Self::Other(identifier) => identifier,
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.identifier())
    }
}

/// One state machine, as its project declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateMachineConfig {
    /// Its name, which is the name part of its ARN.
    pub name: String,
    /// Another name it is found under: the logical id in a SAM template.
    pub alias: Option<String>,
    /// Where its definition is.
    pub definition: DefinitionSource,
    /// What `${Name}` in the definition stands for.
    pub substitutions: BTreeMap<String, String>,
    /// The input of a run that is given none.
    pub input: Option<PathBuf>,
    /// STANDARD or EXPRESS.
    pub machine_type: MachineType,
    /// The role's ARN, if the project gives one.
    pub role_arn: Option<String>,
}

/// Where a definition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefinitionSource {
    /// In a file of its own, JSON or YAML.
    File(PathBuf),
    /// In the template, as this text.
    Inline(String),
}

/// The `type` of a state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MachineType {
    /// Durable, exactly once.
    #[default]
    Standard,
    /// Up to five minutes, at least once.
    Express,
}

impl MachineType {
    /// The word the API uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::Express => "EXPRESS",
        }
    }
}

impl StateMachineConfig {
    /// The definition's text, with `${Name}` replaced by what the project says it stands for. A name the project
    /// does not know stays as it is.
    ///
    /// # Errors
    /// [`ConfigError::Read`] if its file cannot be read.
    pub fn definition_text(&self) -> Result<String, ConfigError> {
        let text = match &self.definition {
            DefinitionSource::Inline(text) => text.clone(),
            DefinitionSource::File(path) => read(path)?,
        };
        Ok(substitute(&text, |name| self.substitutions.get(name).cloned()))
    }
}

/// Replaces each `${Name}` for which `value_of` knows a value.
fn substitute(text: &str, value_of: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, after) = rest.split_at(start);
        out.push_str(before);
        let known = after.find('}').and_then(|end| Some((end, value_of(after[2..end].trim())?)));
        let taken = match known {
            Some((end, value)) => {
                out.push_str(&value);
                end + 1
            }
            None => {
                out.push_str("${");
                2
            }
        };
        rest = &after[taken..];
    }
    out.push_str(rest);
    out
}

impl Project {
    /// Reads the project of `folder`: its `stepwell.toml`, its SAM template, or both. A folder with neither is a
    /// project that declares nothing.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(folder: &Path) -> Result<Self, ConfigError> {
        let file = folder.join(PROJECT_FILE);
        let mut project = if file.is_file() {
            toml::of_text(&file, &read(&file)?)?
        } else {
            Self { root: folder.to_owned(), ..Self::default() }
        };
        let template = TEMPLATE_FILES.iter().map(|name| folder.join(name)).find(|path| path.is_file());
        if let (Some(template), false) = (template, project.names_template()) {
            let found = sam::of_text(&template, &read(&template)?, &project.local)?;
            project.add(found);
        }
        Ok(project)
    }

    /// Reads one file: a `*.toml` as a project file, anything else as a SAM template.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load_file(file: &Path) -> Result<Self, ConfigError> {
        Self::of_text(file, &read(file)?)
    }

    /// The same, of a file whose text this is.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn of_text(file: &Path, text: &str) -> Result<Self, ConfigError> {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => toml::of_text(file, text),
            _ => sam::of_text(file, text, &LocalConfig::default()),
        }
    }

    /// The function of this name, alias or ARN.
    #[must_use]
    pub fn function(&self, name_or_arn: &str) -> Option<&FunctionConfig> {
        let name = function_name(name_or_arn);
        let named = |function: &&FunctionConfig| function.name == name;
        let aliased = |function: &&FunctionConfig| function.alias.as_deref() == Some(name);
        self.functions.iter().find(named).or_else(|| self.functions.iter().find(aliased))
    }

    /// The state machine of this name or alias.
    #[must_use]
    pub fn state_machine(&self, name: &str) -> Option<&StateMachineConfig> {
        self.state_machines
            .iter()
            .find(|machine| machine.name == name || machine.alias.as_deref() == Some(name))
    }

    fn names_template(&self) -> bool {
        self.sources.len() > 1
    }

    /// Adds what `other` declares and this project does not.
    fn add(&mut self, other: Self) {
        self.sources.extend(other.sources);
        for function in other.functions {
            if self.functions.iter().all(|known| known.name != function.name) {
                self.functions.push(function);
            }
        }
        for machine in other.state_machines {
            if self.state_machines.iter().all(|known| known.name != machine.name) {
                self.state_machines.push(machine);
            }
        }
    }
}

/// The name part of what `FunctionName` may be: a name, a partial ARN or an ARN, each with or without a qualifier.
/// (API: Lambda Invoke.)
#[must_use]
pub fn function_name(name_or_arn: &str) -> &str {
    split_function(name_or_arn).0
}

/// The version or alias in what `FunctionName` may be.
#[must_use]
pub fn function_qualifier(name_or_arn: &str) -> Option<&str> {
    split_function(name_or_arn).1
}

fn split_function(name_or_arn: &str) -> (&str, Option<&str>) {
    let tail = match name_or_arn.rsplit_once(":function:") {
        Some((_, tail)) => tail,
        None => name_or_arn.strip_prefix("function:").unwrap_or(name_or_arn),
    };
    tail.split_once(':').map_or((tail, None), |(name, qualifier)| (name, Some(qualifier)))
}

/// Why a project could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not TOML, YAML or JSON, or not of the form this program reads.
    #[error("{}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        message: String,
    },
    /// A value cannot be used.
    #[error("{}: {at}: {message}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The function or state machine, and its field: `functions.ValidateOrder.timeout`.
        at: String,
        /// What is wrong with it.
        message: String,
    },
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_known_by_any_form_of_its_name() {
        for (form, qualifier) in [
            ("Pay", None),
            ("Pay:1", Some("1")),
            ("Pay:$LATEST", Some("$LATEST")),
            ("function:Pay", None),
            ("123456789012:function:Pay", None),
            ("arn:aws:lambda:us-east-1:123456789012:function:Pay", None),
            ("arn:aws:lambda:eu-west-1:000000000000:function:Pay:live", Some("live")),
        ] {
            assert_eq!((function_name(form), function_qualifier(form)), ("Pay", qualifier), "{form}");
        }
    }

    #[test]
    fn known_names_are_substituted_and_others_stay() {
        let values = |name: &str| (name == "A").then(|| "1".to_owned());
        for (text, want) in [
            ("${A}${ A }", "11"),
            ("${B} ${A", "${B} ${A"),
            ("$${A}$", "$1$"),
            ("${${A}}", "${1}"),
            ("ä${A}ö", "ä1ö"),
        ] {
            assert_eq!(substitute(text, values), want, "{text}");
        }
    }
}
